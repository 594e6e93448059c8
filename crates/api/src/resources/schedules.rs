//! `/v1/workspace-connectors/{id}/schedule`: when activations sync by themselves.

use linkspan_app::{Pace, SetSchedule};
use linkspan_domain::{
    Attribute, Code, Interval, Recurrence, Revision, Schedule, SyncMode, WorkspaceConnector,
    WorkspaceConnectorId, ZoneName,
};
use poem_openapi::{OpenApi, registry::MetaSchema};
use serde::Deserialize;
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::Tag;
use crate::{
    answer::{Document, Gone},
    body::{Plain, PlainBody},
    include::Found,
    problem::Failure,
    request::{Asking, Deleting, Setting},
    resource::{Key, Related, Relationship, Shown, attributes, instant, maybe_instant},
    schema::{object, property},
    view::View,
};

/// The operations.
#[derive(Default)]
pub(crate) struct Schedules;

#[OpenApi(prefix_path = "/v1/workspace-connectors", tag = "Tag::Activations")]
impl Schedules {
    /// Get the schedule of an activation
    #[oai(path = "/:id/schedule", method = "get", operation_id = "get_schedule")]
    async fn get(&self, request: Asking<Schedule>) -> Result<Document<Schedule>, Failure> {
        let schedules = &request.context.app.schedules;
        request.show(&schedules.get(&request.call.caller, request.id()?).await?)
    }

    /// Set the schedule of an activation
    ///
    /// In place of the one there. A turn that comes while a run is active is skipped and not made up for.
    #[oai(path = "/:id/schedule", method = "put", operation_id = "set_schedule")]
    async fn set(
        &self,
        request: Setting<WorkspaceConnector, Plain<ScheduleBody>>,
    ) -> Result<Document<Schedule>, Failure> {
        let Setting { call, context, id, expected, body: Plain(body) } = request;
        let schedule =
            context.app.schedules.set(&call, id, expected, body.read("/data/attributes")?).await?;
        Document::plain(&View::default(), &schedule)
    }

    /// Take the schedule of an activation away
    #[oai(path = "/:id/schedule", method = "delete", operation_id = "remove_schedule")]
    async fn remove(&self, request: Deleting<WorkspaceConnector>) -> Result<Gone, Failure> {
        let Deleting { call, context, id, expected } = request;
        context.app.schedules.remove(&call, id, expected).await?;
        Ok(Gone)
    }
}

attributes! { Schedule, |it| {
    /// Of which activation. The same as `id`.
    workspace_connector_id: WorkspaceConnectorId = it.workspace_connector_id;
    /// The local times of runs: a cron expression. None: `interval_secs` says when.
    cron: Option<String> = cron(it).map(|(expression, _)| expression);
    /// The time zone of `cron`.
    time_zone: Option<String> = cron(it).map(|(_, zone)| zone);
    /// How many seconds lie between runs. None: `cron` says when.
    interval_secs: Option<u64> = interval(it);
    /// What each run reads.
    mode: SyncMode = it.mode;
    /// Whether it waits until somebody sets it again.
    paused: bool = it.next_run_at.is_none();
    /// When the next run starts.
    next_run_at: Option<OffsetDateTime> = maybe_instant(it.next_run_at);
    /// When it last started a run.
    last_started_at: Option<OffsetDateTime> = maybe_instant(it.last_started_at);
    /// When it last skipped a turn, since the activation could not run.
    last_skipped_at: Option<OffsetDateTime> = maybe_instant(it.last_skipped_at);
    /// When it was first set.
    created_at: OffsetDateTime = instant(it.created_at);
    /// When it was last set.
    updated_at: OffsetDateTime = instant(it.updated_at);
} }

fn cron(schedule: &Schedule) -> Option<(String, String)> {
    match &schedule.recurrence {
        Recurrence::Cron { expression, time_zone } => {
            Some((expression.as_str().to_owned(), time_zone.as_str().to_owned()))
        }
        Recurrence::Every(_) => None,
    }
}

fn interval(schedule: &Schedule) -> Option<u64> {
    match schedule.recurrence {
        Recurrence::Cron { .. } => None,
        Recurrence::Every(interval) => Some(interval.seconds().into()),
    }
}

impl Shown for Schedule {
    const TYPE: &'static str = "schedule";
    const NAME: &'static str = "Schedule";
    const PATH: Option<&'static str> = None;
    const RELATIONSHIPS: &'static [Relationship] =
        &[Relationship::one("workspace_connector", "workspace_connector")];
    const LISTED: &'static [Attribute] = &[];

    fn key(&self) -> Key {
        Key::of(self.workspace_connector_id)
    }

    fn revision(&self) -> Revision {
        Revision::FIRST
    }

    fn related(&self, _: &str, _: &Found) -> Related {
        Related::one(self.workspace_connector_id)
    }
}

/// When an activation shall sync.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ScheduleBody {
    cron: Option<String>,
    time_zone: Option<ZoneName>,
    interval_secs: Option<Interval>,
    mode: SyncMode,
    #[serde(default)]
    paused: bool,
}

impl ScheduleBody {
    /// Reads it, where it stands at `place` in the body.
    pub(super) fn read(self, place: &str) -> Result<SetSchedule, Failure> {
        let invalid = |attribute: &str, detail: String| {
            Failure::new(Code::Invalid, detail).at(format!("{place}/{attribute}"))
        };
        let recurrence = match (self.cron, self.interval_secs) {
            (Some(expression), None) => Recurrence::Cron {
                expression: expression.parse().map_err(|error: linkspan_domain::InvalidCron| {
                    invalid("cron", error.to_string())
                })?,
                time_zone: self.time_zone.unwrap_or_else(ZoneName::utc),
            },
            (None, Some(_)) if self.time_zone.is_some() => {
                return Err(invalid("time_zone", "goes with `cron` only".to_owned()));
            }
            (None, Some(interval)) => Recurrence::Every(interval),
            _ => {
                let detail = "give either `cron` or `interval_secs`".to_owned();
                return Err(invalid("cron", detail));
            }
        };
        Ok(SetSchedule {
            recurrence,
            mode: self.mode,
            pace: if self.paused { Pace::Paused } else { Pace::Running },
        })
    }
}

impl PlainBody for ScheduleBody {
    const NAME: &'static str = "SetSchedule";
    const TYPE: &'static str = Schedule::TYPE;

    fn schema() -> MetaSchema {
        let properties = vec![
            property::<Option<String>>(
                "cron",
                "The local times of runs: a cron expression of five fields, or one like `@daily`. Either this or \
                 `interval_secs`.",
            ),
            property::<Option<String>>("time_zone", "The time zone of `cron`. Without it: UTC."),
            property::<Option<u64>>(
                "interval_secs",
                "How many seconds lie between runs: from 60 to 31622400.",
            ),
            property::<SyncMode>("mode", "What each run reads."),
            property::<bool>("paused", "Whether it waits until it is set again."),
        ];
        object(properties, &["mode"])
    }

    fn example() -> Option<Value> {
        Some(json!({ "cron": "30 6 * * MON-FRI", "time_zone": "Europe/Vienna", "mode": "full" }))
    }
}
