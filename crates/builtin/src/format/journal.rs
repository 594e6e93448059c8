//! Changes written down as files of Apache Parquet, which nobody changes any more.
//!
//! Whoever reads takes of each key the row with the greatest position. So it does no harm if a change is in several files,
//! as after a push that broke off and cut its files elsewhere, or if a worker that lost its run still writes one.

use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, StringArray, new_null_array};
use arrow_schema::{ArrowError, SchemaRef};
use bytes::Bytes;
use linkspan_domain::{FieldKind, StreamField, StreamSpec};
use linkspan_sdk::{Change, Failure, Intake, RecordVersion, arrow_schema};
use parquet::arrow::ArrowWriter;

use super::write::{ROW_GROUP, failure, properties};
use crate::fingerprint::Fingerprint;

/// The columns that every row has besides those of the stream.
const CHANGE: &str = "_linkspan_change";
const KEY: &str = "_linkspan_key";
const POSITION: &str = "_linkspan_position";

/// The changes of a push, some of which make a file at a time.
pub(crate) struct Journal<'i> {
    intake: &'i mut Intake,
    schema: SchemaRef,
}

/// A file of changes.
pub(crate) struct Part {
    /// What it is called: by the position of its first change, and the hash of all. One with the same name has the same
    /// changes.
    pub(crate) name: String,
    /// The whole file: it is there in full, or not at all.
    pub(crate) bytes: Bytes,
}

impl<'i> Journal<'i> {
    /// The changes of `stream` that come out of `intake`.
    pub(crate) fn new(stream: &StreamSpec, intake: &'i mut Intake) -> Result<Self, Failure> {
        if let Some(taken) = [CHANGE, KEY, POSITION].iter().find(|it| stream.field(it).is_some()) {
            let reason = "is the name of a column that is added to each change";
            return Err(Failure::stream(&stream.name, *taken, reason));
        }
        Ok(Self { intake, schema: schema(stream) })
    }

    /// Says how to tell the place of the files from one that takes its place later, before the first of them.
    pub(crate) fn opened(&mut self, place: String) {
        self.intake.opened(place);
    }

    /// The next file: what comes until whoever pushes waits for it, or the file is large. Whoever has stored it says so
    /// with [`confirm`](Self::confirm).
    pub(crate) async fn next(&mut self) -> Result<Option<Part>, Failure> {
        let mut open: Option<Open> = None;
        while open.as_ref().is_none_or(|it| it.bytes() < ROW_GROUP) {
            let Some(change) = self.intake.next().await? else { break };
            let open = match &mut open {
                Some(open) => open,
                None => open.insert(Open::new(&self.schema)?),
            };
            open.add(&self.schema, &change, self.intake.versions())?;
        }
        open.map(Open::close).transpose()
    }

    /// Says that all files up to here are stored.
    pub(crate) fn confirm(&mut self) {
        self.intake.confirm();
    }
}

/// The columns of `stream`, which are empty where a record is gone, and ours.
fn schema(stream: &StreamSpec) -> SchemaRef {
    let mut stream = stream.clone();
    for field in &mut stream.fields {
        field.nullable = true;
    }
    let ours = [CHANGE, KEY, POSITION].map(|it| StreamField {
        name: it.to_owned(),
        kind: FieldKind::Text,
        nullable: false,
    });
    stream.fields.extend(ours);
    arrow_schema(&stream)
}

/// A file while changes are added.
struct Open {
    writer: ArrowWriter<Vec<u8>>,
    /// The position of its first change.
    first: Option<String>,
    /// Of what it has.
    fingerprint: Fingerprint,
}

impl Open {
    fn new(schema: &SchemaRef) -> Result<Self, Failure> {
        let writer = ArrowWriter::try_new(Vec::new(), Arc::clone(schema), Some(properties()));
        Ok(Self {
            writer: writer.map_err(failure)?,
            first: None,
            fingerprint: Fingerprint::default(),
        })
    }

    fn bytes(&self) -> usize {
        self.writer.bytes_written() + self.writer.in_progress_size()
    }

    fn add(
        &mut self,
        schema: &SchemaRef,
        change: &Change,
        versions: &[RecordVersion],
    ) -> Result<(), Failure> {
        let rows =
            rows(schema, change.records(), versions).map_err(|error| failure(error.into()))?;
        for it in versions {
            self.fingerprint.add(it);
            let position = it.position();
            if self.first.as_ref().is_none_or(|first| position < *first) {
                self.first = Some(position);
            }
        }
        self.writer.write(&rows).map_err(failure)
    }

    fn close(self) -> Result<Part, Failure> {
        let first = self.first.unwrap_or_default();
        let fingerprint = u64::from_be_bytes(self.fingerprint.bytes());
        let name = format!("{first}-{fingerprint:016x}.parquet");
        let bytes = self.writer.into_inner().map_err(failure)?.into();
        Ok(Part { name, bytes })
    }
}

/// The rows of a change.
fn rows(
    schema: &SchemaRef,
    records: &RecordBatch,
    versions: &[RecordVersion],
) -> Result<RecordBatch, ArrowError> {
    let text = |of: fn(&RecordVersion) -> String| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(versions.iter().map(of)))
    };
    let column = |name: &str| match name {
        CHANGE => Some(text(|it| it.kind.word().to_owned())),
        KEY => Some(text(|it| it.key.clone())),
        POSITION => Some(text(RecordVersion::position)),
        _ => records.column_by_name(name).cloned(),
    };
    let columns = schema.fields().iter().map(|it| {
        column(it.name()).unwrap_or_else(|| new_null_array(it.data_type(), records.num_rows()))
    });
    RecordBatch::try_new(Arc::clone(schema), columns.collect())
}
