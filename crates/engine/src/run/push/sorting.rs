//! What of a page of changes is put, and what removed.

use arrow_array::{BooleanArray, RecordBatch};
use arrow_select::filter::filter_record_batch;
use linkspan_domain::{Condition, StreamSpec};
use linkspan_sdk::{Change, ChangeKind, RecordChange, Rejected, WriteMode};
use serde_json::Value;

use super::{aside, defect};
use crate::{
    RowEncoder, SyncError,
    decoder::{Decoder, Values},
};

/// Tells what to put from what to remove.
pub(super) struct Sorting<'f> {
    filter: Option<&'f Condition>,
    whole: Decoder,
    key: Decoder,
    /// What names records in the system, where it knows them by that alone.
    primary_key: &'f [String],
}

/// Records of one kind of change: what the system gets of each, and the record.
type Side = (Vec<Values>, Vec<RecordChange>);

/// One of the sink's changes, and the records that it has, row by row.
pub(super) struct Sorted {
    pub(super) change: Change,
    /// Deleted, or anything else.
    pub(super) kind: ChangeKind,
    pub(super) records: Vec<RecordChange>,
}

impl<'f> Sorting<'f> {
    pub(super) fn new(
        filter: Option<&'f Condition>,
        stream: &'f StreamSpec,
        mode: Option<WriteMode>,
    ) -> Self {
        let primary_key = match mode {
            Some(WriteMode::Journal) => &[],
            _ => stream.primary_key.as_slice(),
        };
        let (whole, key) = (Decoder::new(stream), Decoder::of_key(stream));
        Self { filter, whole, key, primary_key }
    }

    /// The batches of some changes, and what is to be kept aside. A record that the filter does not let through may
    /// have been let through before, so it is removed.
    pub(super) fn sort(
        &self,
        changes: Vec<RecordChange>,
    ) -> Result<(Vec<Sorted>, Vec<Rejected>), SyncError> {
        let (mut puts, mut removals): (Side, Side) = Default::default();
        let mut rejected = Vec::new();
        for change in changes {
            let payload: Value = serde_json::from_str(change.record.payload.get())
                .map_err(|error| defect("read a record", error))?;
            let stays = change.kind != ChangeKind::Deleted
                && self.filter.is_none_or(|it| it.holds(&payload));
            let (decoder, into) =
                if stays { (&self.whole, &mut puts) } else { (&self.key, &mut removals) };
            match decoder.values(&payload) {
                Ok(values) => {
                    into.0.push(values);
                    into.1.push(change);
                }
                Err(reason) => rejected.push(aside(&change, reason)),
            }
        }
        let mut sorted = Vec::new();
        if !puts.0.is_empty() {
            let change = Change::Put(built(&self.whole, &puts.0)?);
            sorted.push(Sorted { change, kind: ChangeKind::Updated, records: puts.1 });
        }
        if !removals.0.is_empty() {
            let (batch, records) = self.named_so(built(&self.key, &removals.0)?, removals.1)?;
            if !records.is_empty() {
                let change = Change::Remove(batch);
                sorted.push(Sorted { change, kind: ChangeKind::Deleted, records });
            }
        }
        Ok((sorted, rejected))
    }

    /// Those that are to be removed and have the name that the primary key gives them. Under another primary key they had
    /// others, and what the system has by that key is another record, which is there.
    fn named_so(
        &self,
        batch: RecordBatch,
        mut records: Vec<RecordChange>,
    ) -> Result<(RecordBatch, Vec<RecordChange>), SyncError> {
        if self.primary_key.is_empty() {
            return Ok((batch, records));
        }
        let doing = "name the records to remove";
        let encoder = RowEncoder::new(batch.schema(), self.primary_key);
        let mut encoder = encoder.map_err(|error| defect(doing, error))?;
        let keys = encoder.keys(&batch).map_err(|error| defect(doing, error))?;
        let is_named_so: Vec<bool> = records
            .iter()
            .zip(&keys)
            .map(|(it, key)| Some(&it.record.key) == key.as_ref())
            .collect();
        let mut is_kept = is_named_so.iter();
        records.retain(|_| is_kept.next().copied().unwrap_or_default());
        let batch = filter_record_batch(&batch, &BooleanArray::from(is_named_so));
        Ok((batch.map_err(|error| defect(doing, error))?, records))
    }
}

fn built(decoder: &Decoder, records: &[Values]) -> Result<RecordBatch, SyncError> {
    decoder.batch(records).map_err(|error| defect("build a batch of records", error))
}

#[cfg(test)]
mod tests {
    use linkspan_domain::{FieldKind, StreamField};
    use linkspan_sdk::{ContentHash, Position, Record};
    use serde_json::{json, value::to_raw_value};
    use time::OffsetDateTime;

    use super::*;

    fn gone(key: &str, payload: &Value) -> RecordChange {
        let at = OffsetDateTime::UNIX_EPOCH;
        RecordChange {
            position: Position { generation: 2, key: Some(key.to_owned()) },
            kind: ChangeKind::Deleted,
            record: Record {
                key: key.to_owned(),
                payload: to_raw_value(payload).unwrap(),
                run: None,
                first_seen_at: at,
                last_seen_at: at,
                stale_since: None,
                deleted_at: Some(at),
                hash: ContentHash::of(&payload.to_string()),
            },
        }
    }

    #[test]
    fn what_went_under_another_primary_key_removes_nothing_from_who_knows_that_key_alone() {
        let field = |name: &str| StreamField {
            name: name.to_owned(),
            kind: FieldKind::Integer,
            nullable: false,
        };
        let stream = StreamSpec {
            name: "orders".parse().unwrap(),
            fields: vec![field("id"), field("number")],
            primary_key: vec!["id".to_owned()],
            cursor_candidates: Vec::new(),
            supports_incremental: false,
        };
        // The second was named by its number.
        let changes = || {
            vec![
                gone("7", &json!({ "id": 7, "number": 1 })),
                gone("2", &json!({ "id": 8, "number": 2 })),
            ]
        };
        let removed = |mode| {
            let sorted = Sorting::new(None, &stream, mode).sort(changes()).unwrap().0;
            let keys = sorted.iter().flat_map(|it| &it.records).map(|it| it.record.key.clone());
            keys.collect::<Vec<_>>()
        };
        assert_eq!(removed(Some(WriteMode::Upsert)), ["7"]);
        assert_eq!(removed(Some(WriteMode::Journal)), ["7", "2"], "it knows them by their names");
    }
}
