//! What a source yields.

use std::{collections::BTreeMap, time::Duration};

use arrow_array::RecordBatch;
use futures_util::StreamExt;
use linkspan_domain::{Cursor, StreamName, StreamSpec};
use tokio::time::timeout;

use super::{Subject, said};
use crate::{
    Batch, BatchLimits, BatchStream, CursorSpec, Failure, ReadMode, ReadRequest, arrow_schema,
};

/// Few rows per batch, so that a small stream has many.
const SMALL: BatchLimits = BatchLimits { rows: 3, bytes: 1024 * 1024 };

/// How long a cancelled read may take to end.
const PROMPT: Duration = Duration::from_secs(5);

/// What is wrong with how the type reads: whether discovery and reading agree, whether a read that
/// broke off anywhere resumes without loss, whether cancelling works.
pub async fn of_source(subject: &Subject) -> Vec<String> {
    let Subject { definition, environment, settings, cursors, .. } = subject;
    let streams = match definition.discover(settings.clone(), environment.clone()).await {
        Ok(found) => found.streams,
        Err(failure) => return vec![format!("discovery fails: {}", said(&failure))],
    };
    let mut faults = Vec::new();
    if streams.is_empty() {
        faults.push("discovery finds no stream".to_owned());
    }
    for stream in &streams {
        faults.extend(agrees(subject, stream).await);
    }
    for (stream, cursor) in cursors {
        match streams.iter().find(|it| it.name == *stream) {
            None => faults.push(format!("{stream}: not discovered")),
            Some(spec) if !spec.supports_incremental => {
                faults.push(format!("{stream}: says it cannot be read incrementally"));
            }
            Some(_) => faults.extend(resumes(subject, stream, cursor).await),
        }
    }
    if let Some(stream) = streams.first() {
        faults.extend(cancels(subject, &stream.name).await);
    }
    faults.extend(misses(subject).await);
    faults
}

fn open(subject: &Subject, stream: &StreamName, mode: ReadMode) -> BatchStream {
    let request = ReadRequest { stream: stream.clone(), mode, filter: Vec::new(), batch: SMALL };
    let Subject { definition, environment, settings, .. } = subject;
    definition.read(settings.clone(), request, environment.clone())
}

async fn all(mut batches: BatchStream) -> Result<Vec<Batch>, Failure> {
    let mut all = Vec::new();
    while let Some(batch) = batches.next().await {
        all.push(batch?);
    }
    Ok(all)
}

/// Whether a stream yields the columns that discovery told of, within the limits of a batch.
async fn agrees(subject: &Subject, stream: &StreamSpec) -> Vec<String> {
    let name = &stream.name;
    let batches = match all(open(subject, name, ReadMode::Full)).await {
        Ok(batches) => batches,
        Err(failure) => return vec![format!("{name}: cannot be read: {}", said(&failure))],
    };
    let mut faults = Vec::new();
    let told = arrow_schema(stream);
    for Batch { records, .. } in &batches {
        if records.schema() != told {
            let got = records.schema();
            faults.push(format!("{name}: yields {got:?} but discovery told of {told:?}"));
            break;
        }
    }
    if batches.iter().any(|it| it.records.num_rows() > SMALL.rows) {
        faults.push(format!("{name}: a batch is larger than it may be"));
    }
    let named = stream.primary_key.iter().chain(&stream.cursor_candidates);
    for field in named.filter(|it| stream.field(it).is_none()) {
        faults.push(format!("{name}: `{field}` is a key or a cursor but no field"));
    }
    faults
}

/// Whether nothing is lost when a read breaks off after any batch and resumes from its cursor.
async fn resumes(subject: &Subject, stream: &StreamName, cursor: &CursorSpec) -> Vec<String> {
    let from = |after| ReadMode::Incremental { cursor: cursor.clone(), after };
    let (whole, full) = match (
        all(open(subject, stream, from(None))).await,
        all(open(subject, stream, ReadMode::Full)).await,
    ) {
        (Ok(whole), Ok(full)) => (whole, full),
        (Err(failure), _) | (_, Err(failure)) => {
            return vec![format!("{stream}: cannot be read incrementally: {}", said(&failure))];
        }
    };
    let mut faults = Vec::new();
    if counted(&full) != counted(&whole) {
        faults.push(format!("{stream}: reading from no cursor on is not reading everything"));
    }
    if whole.last().is_some_and(|it| it.cursor.is_none()) {
        faults.push(format!("{stream}: the last batch has no cursor"));
    }
    if !ascends(&whole) {
        faults.push(format!("{stream}: the cursors of the batches do not ascend"));
    }
    for (at, batch) in whole.iter().enumerate() {
        let Some(after) = &batch.cursor else { continue };
        let rest = match all(open(subject, stream, from(Some(after.clone())))).await {
            Ok(rest) => rest,
            Err(failure) => {
                return vec![format!("{stream}: cannot be resumed: {}", said(&failure))];
            }
        };
        let mut kept = counted(&whole[..=at]);
        for (row, times) in counted(&rest) {
            let before = kept.entry(row).or_default();
            *before = times.max(*before);
        }
        if counted(&whole).iter().any(|(row, _)| !kept.contains_key(row)) {
            faults.push(format!("{stream}: resuming after batch {} loses records", at + 1));
        }
        if at + 1 == whole.len() && counted(&rest).is_empty() {
            faults.push(format!("{stream}: the record at the cursor is not read again"));
        }
    }
    faults
}

fn ascends(batches: &[Batch]) -> bool {
    let cursors: Vec<&Cursor> = batches.iter().filter_map(|it| it.cursor.as_ref()).collect();
    cursors.is_sorted()
}

/// The rows, as text, and how often each occurs.
fn counted(batches: &[Batch]) -> BTreeMap<String, usize> {
    let mut rows = BTreeMap::new();
    for Batch { records, .. } in batches {
        for at in 0..records.num_rows() {
            *rows.entry(row(records, at)).or_default() += 1;
        }
    }
    rows
}

fn row(records: &RecordBatch, at: usize) -> String {
    format!("{:?}", records.slice(at, 1).columns())
}

/// Whether a read ends soon after it is cancelled.
async fn cancels(subject: &Subject, stream: &StreamName) -> Vec<String> {
    let mut faults = Vec::new();
    let mut environment = subject.environment.clone();
    environment.cancel = environment.cancel.child_token();
    environment.cancel.cancel();
    let Subject { definition, settings, .. } = subject;
    let (early, late) = (environment.clone(), subject.environment.clone());
    match timeout(PROMPT, definition.check(settings.clone(), environment)).await {
        Ok(Err(Failure::Cancelled)) => {}
        other => faults.push(format!("a cancelled check ends in {other:?}")),
    }
    let request = ReadRequest { batch: SMALL, ..ReadRequest::full(stream.clone()) };
    let read = definition.read(settings.clone(), request.clone(), early);
    match timeout(PROMPT, all(read)).await {
        Ok(Err(Failure::Cancelled)) => {}
        Ok(_) => faults.push("a cancelled read goes on".to_owned()),
        Err(_) => faults.push("a cancelled read does not end".to_owned()),
    }
    let mut environment = late;
    environment.cancel = environment.cancel.child_token();
    let cancel = environment.cancel.clone();
    let mut read = definition.read(settings.clone(), request, environment);
    if matches!(read.next().await, Some(Err(_))) {
        faults.push("the first batch of a read fails".to_owned());
    }
    cancel.cancel();
    match timeout(PROMPT, all(read)).await {
        Ok(Ok(_) | Err(Failure::Cancelled)) => {}
        Ok(Err(failure)) => {
            faults.push(format!("a read that is cancelled ends in {}", said(&failure)));
        }
        Err(_) => faults.push("a read that is cancelled does not end".to_owned()),
    }
    faults
}

/// Whether a stream that is not there is said not to be there.
async fn misses(subject: &Subject) -> Option<String> {
    let absent = "no such stream".parse().ok()?;
    match all(open(subject, &absent, ReadMode::Full)).await {
        Err(Failure::NotFound(_)) => None,
        Err(failure) => Some(format!("an absent stream ends in {}", failure.code())),
        Ok(_) => Some("an absent stream can be read".to_owned()),
    }
}
