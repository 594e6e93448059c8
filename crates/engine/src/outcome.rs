//! What the end of a run means to its activation.

use linkspan_domain::{
    Attribute, Filter, FilterTest, FilterValue, ListQuery, MASK, PageRequest, PageSize, RunCounts,
    RunEnd, RunOutcome, RunStatus, Sort, SyncLog, Visible, WorkspaceConnector,
    ports::{Store, StoreError},
};
use linkspan_sdk::Failure;
use serde_json::Value;
use time::{Duration, OffsetDateTime};

use crate::{OpenError, failure::{CANCELLED, RunFailure}};

/// So many failed runs in a row mean that something is wrong for good.
const FAILED_RUNS: usize = 3;

/// So long without a success means the same.
const STALE: Duration = Duration::days(7);

/// So many lost records degrade an activation at least; one with many streams may lose half a record for each of them.
const LOSSES: u64 = 3;

/// How many runs are looked at.
const LOOK_BACK: u16 = 20;

/// A run that read all its streams.
pub(crate) fn succeeded(counts: RunCounts, streams: usize) -> RunOutcome {
    let limit = LOSSES.max((streams as u64).div_ceil(2));
    let end = if counts.quarantined >= limit { RunEnd::Lossy } else { RunEnd::Clean };
    RunOutcome { end, counts, error: None }
}

/// A run that ended early.
pub(crate) fn failed(end: RunEnd, counts: RunCounts, failure: &RunFailure, text: String) -> RunOutcome {
    RunOutcome { end, counts, error: Some((failure.code(), text)) }
}

/// What a failure means, as long as the activation's history does not make it worse.
pub(crate) const fn meaning(failure: &RunFailure) -> Meaning {
    match failure {
        RunFailure::Disconnected | RunFailure::Halted => Meaning::Certain(RunEnd::Cancelled),
        RunFailure::Open(OpenError::NotInstalled(_) | OpenError::Sealed(_))
        | RunFailure::Settings { .. } => Meaning::Certain(RunEnd::Broken),
        // What was asked for is at fault, not the activation.
        RunFailure::NoStream(_) | RunFailure::NoCursor(_) => Meaning::Certain(RunEnd::Failed),
        RunFailure::TooManyQuarantined { .. } | RunFailure::Store(_) | RunFailure::Panicked => {
            Meaning::DependsOnHistory
        }
        RunFailure::Discover(failure) | RunFailure::Read { failure, .. } => match failure {
            Failure::Unauthorized => Meaning::Certain(RunEnd::Unauthorized),
            Failure::Invalid { .. }
            | Failure::NotFound(_)
            | Failure::Unsupported(_)
            | Failure::Refused(_) => Meaning::Certain(RunEnd::Broken),
            Failure::Unavailable { .. }
            | Failure::RateLimited { .. }
            | Failure::TooLarge { .. }
            | Failure::Malformed { .. }
            | Failure::Cancelled
            | Failure::Defect { .. } => Meaning::DependsOnHistory,
        },
    }
}

/// What a failure means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// Always the same.
    Certain(RunEnd),
    /// A failure now and then is nothing to worry about.
    DependsOnHistory,
}

/// Whether `run`, which fails, is one failure too many.
pub(crate) async fn end_by_history(
    runs: &(impl Store<SyncLog> + ?Sized),
    run: &SyncLog,
    now: OffsetDateTime,
) -> Result<RunEnd, StoreError> {
    let activation = Filter {
        attribute: Attribute::id("workspace_connector_id"),
        test: FilterTest::Equals(FilterValue::Id(run.workspace_connector_id.uuid())),
    };
    let query = ListQuery {
        filters: vec![activation],
        sort: vec![Sort::NEWEST],
        page: PageRequest {
            size: PageSize::new(LOOK_BACK).unwrap_or_default(),
            ..PageRequest::default()
        },
        ..ListQuery::default()
    };
    let page = runs.list(&Visible::only(run.workspace_id), &query).await?;
    let others: Vec<SyncLog> =
        page.into_resources().into_iter().filter(|it| it.id != run.id).collect();
    Ok(if is_unhealthy(&others, now) { RunEnd::Unhealthy } else { RunEnd::Failed })
}

/// Judges the earlier runs, newest first, of an activation whose run has just failed.
fn is_unhealthy(earlier: &[SyncLog], now: OffsetDateTime) -> bool {
    let is_success = |it: &&SyncLog| it.status == RunStatus::Success;
    let since = earlier.iter().take_while(|it| !is_success(it));
    let failed = since.filter(|it| {
        it.status == RunStatus::Error && it.error_code.as_deref() != Some(CANCELLED)
    });
    // Without any success, the oldest run says how long there has been none.
    let good = earlier.iter().find(is_success).or(earlier.last());
    let good_at = good.map(|it| it.completed_at.unwrap_or(it.created_at));
    failed.count() + 1 >= FAILED_RUNS || good_at.is_some_and(|at| now - at > STALE)
}

/// `text` without the secrets that a careless type may have put into it.
pub(crate) fn masked(mut text: String, activation: &WorkspaceConnector, settings: &Value) -> String {
    for pointer in activation.secrets.iter().flat_map(|it| &it.pointers) {
        let secret = settings.pointer(pointer).and_then(Value::as_str);
        // Shorter ones would be found in ordinary words.
        if let Some(secret) = secret.filter(|it| it.len() >= 6 && text.contains(it)) {
            text = text.replace(secret, MASK);
        }
    }
    text
}
