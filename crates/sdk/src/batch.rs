//! Records on their way from a source, in columns.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use arrow_array::RecordBatch;
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use futures_util::Stream;
use linkspan_domain::{Cursor, FieldKind, StreamSpec};
use tokio::{sync::mpsc, task::JoinHandle};
use tokio_util::sync::DropGuard;

use crate::Failure;

/// Some records of one stream.
#[derive(Clone, Debug)]
pub struct Batch {
    /// The records. All batches of one read have the same schema.
    pub records: RecordBatch,
    /// A read may resume from here once this batch is kept: no record with a smaller cursor is still to come.
    /// `None` where the source cannot promise that yet, and in full reads.
    pub cursor: Option<Cursor>,
    /// What the source has besides, and could not pass on.
    pub losses: Vec<Loss>,
    /// Records that are not among the others, since they do not fit the columns.
    pub unfit: Option<Unfit>,
    /// The groups of records that were read whole, up to and with this batch.
    pub ends: Vec<GroupEnd>,
}

/// The end of a group of records, such as those of one file: of a stream that names its records by two columns, the text of their
/// group and their number in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupEnd {
    /// What the first column of the key says.
    pub group: String,
    /// The last number that the group has. What was read of it before with a greater one is gone.
    pub last: i64,
}

/// Something that a source has and could not pass on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loss {
    /// What: `the field x is in no column`.
    pub what: String,
    /// Of how many records.
    pub records: u64,
}

/// Records with values that their columns cannot hold, such as a text in a column of numbers.
#[derive(Clone, Debug)]
pub struct Unfit {
    /// What fits of each, in the columns of the batch; null stands for what does not.
    pub records: RecordBatch,
    /// What is wrong with each.
    pub misfits: Vec<Misfit>,
}

/// A record that does not fit the columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misfit {
    /// How many [records](Batch::records) of the batch come before it.
    pub before: usize,
    /// All of it, as it stands in the source: JSON.
    pub payload: String,
    /// What does not fit, as it can be said of others, too: `the column x is to hold integer`.
    pub what: String,
    /// Where it is: `the object x.csv, line 7`.
    pub place: String,
}

impl Misfit {
    /// What is wrong with this very record.
    pub fn reason(&self) -> String {
        format!("{}: {}", self.place, self.what)
    }
}

impl Batch {
    /// Records of which nothing was lost.
    pub const fn new(records: RecordBatch, cursor: Option<Cursor>) -> Self {
        Self { records, cursor, losses: Vec::new(), unfit: None, ends: Vec::new() }
    }
}

/// Where a source puts its batches. It holds few of them, so a source is never far ahead of whoever keeps the records.
#[derive(Debug)]
pub struct BatchSink {
    sender: mpsc::Sender<Batch>,
}

/// How many batches wait between a source and whoever keeps the records.
const IN_FLIGHT: usize = 2;

impl BatchSink {
    /// A sink, and the end where its batches come out.
    pub fn channel() -> (Self, mpsc::Receiver<Batch>) {
        let (sender, receiver) = mpsc::channel(IN_FLIGHT);
        (Self { sender }, receiver)
    }

    /// Passes `batch` on, as soon as there is room. [`Failure::Cancelled`] when nobody wants it any more.
    pub async fn send(&mut self, batch: Batch) -> Result<(), Failure> {
        self.sender.send(batch).await.map_err(|_| Failure::Cancelled)
    }
}

/// The batches of one read, as they arrive. Dropping it ends the reading.
///
/// A failure is the last item. Without one, everything was read.
#[derive(Debug)]
pub struct BatchStream {
    batches: mpsc::Receiver<Batch>,
    reading: Option<JoinHandle<Result<(), Failure>>>,
    _cancel: DropGuard,
}

impl BatchStream {
    pub(crate) fn new(
        batches: mpsc::Receiver<Batch>,
        reading: JoinHandle<Result<(), Failure>>,
        cancel: DropGuard,
    ) -> Self {
        Self { batches, reading: Some(reading), _cancel: cancel }
    }
}

impl Stream for BatchStream {
    type Item = Result<Batch, Failure>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(batch) = ready!(self.batches.poll_recv(cx)) {
            return Poll::Ready(Some(Ok(batch)));
        }
        // The sink is gone. Whether everything was sent, only the end of the task tells.
        let Some(reading) = &mut self.reading else { return Poll::Ready(None) };
        let ended = ready!(Pin::new(reading).poll(cx));
        self.reading = None;
        Poll::Ready(match ended {
            Ok(Ok(())) => None,
            Ok(Err(failure)) => Some(Err(failure)),
            Err(error) => {
                Some(Err(Failure::Defect { doing: "read a stream", source: Some(error.into()) }))
            }
        })
    }
}

/// The key under which a column's metadata says what it holds, where its Arrow type does not: decimals,
/// UUIDs and JSON travel as text.
const KIND: &str = "linkspan.kind";

/// The time zone of points in time. As an offset, Arrow needs no database of zones for it.
const UTC: &str = "+00:00";

/// The columns of `stream` as Arrow has them: points in time in microseconds of UTC, the rest as
/// plain as it can be. Sources build their batches by it.
pub fn arrow_schema(stream: &StreamSpec) -> SchemaRef {
    let fields = stream.fields.iter();
    let fields = fields.map(|it| arrow_field(&it.name, it.kind, it.nullable));
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

fn arrow_field(name: &str, kind: FieldKind, nullable: bool) -> Field {
    let (data_type, says_kind) = match kind {
        FieldKind::Boolean => (DataType::Boolean, true),
        FieldKind::Integer => (DataType::Int64, true),
        FieldKind::Number => (DataType::Float64, true),
        FieldKind::Text => (DataType::Utf8, true),
        FieldKind::Date => (DataType::Date32, true),
        FieldKind::Time => (DataType::Time64(TimeUnit::Microsecond), true),
        FieldKind::Timestamp => {
            (DataType::Timestamp(TimeUnit::Microsecond, Some(UTC.into())), true)
        }
        FieldKind::Binary => (DataType::Binary, true),
        FieldKind::Decimal | FieldKind::Uuid | FieldKind::Json => (DataType::Utf8, false),
    };
    let field = Field::new(name, data_type, nullable);
    if says_kind {
        field
    } else {
        field.with_metadata([(KIND.to_owned(), kind.to_string())].into())
    }
}

/// What a column holds: the reverse of [`arrow_schema()`], and a sensible answer for other Arrow types.
pub fn field_kind(field: &Field) -> FieldKind {
    if let Some(kind) = field.metadata().get(KIND).and_then(|it| it.parse().ok()) {
        return kind;
    }
    match field.data_type() {
        DataType::Boolean => FieldKind::Boolean,
        DataType::Float16 | DataType::Float32 | DataType::Float64 => FieldKind::Number,
        DataType::Date32 | DataType::Date64 => FieldKind::Date,
        DataType::Time32(_) | DataType::Time64(_) => FieldKind::Time,
        DataType::Timestamp(..) => FieldKind::Timestamp,
        DataType::Decimal32(..)
        | DataType::Decimal64(..)
        | DataType::Decimal128(..)
        | DataType::Decimal256(..) => FieldKind::Decimal,
        it if it.is_integer() => FieldKind::Integer,
        it if it.is_binary() => FieldKind::Binary,
        it if it.is_nested() => FieldKind::Json,
        _ => FieldKind::Text,
    }
}

#[cfg(test)]
mod tests {
    use linkspan_domain::{FieldKind, StreamField, StreamSpec};

    use super::{arrow_schema, field_kind};

    #[test]
    fn the_columns_say_what_they_hold() {
        let kinds = [
            FieldKind::Boolean,
            FieldKind::Integer,
            FieldKind::Number,
            FieldKind::Decimal,
            FieldKind::Text,
            FieldKind::Date,
            FieldKind::Time,
            FieldKind::Timestamp,
            FieldKind::Uuid,
            FieldKind::Binary,
            FieldKind::Json,
        ];
        let fields = kinds.map(|kind| StreamField { name: kind.to_string(), kind, nullable: true });
        let spec = StreamSpec {
            name: "s".parse().unwrap(),
            fields: fields.into(),
            primary_key: Vec::new(),
            cursor_candidates: Vec::new(),
            supports_incremental: false,
        };
        let schema = arrow_schema(&spec);
        let back: Vec<_> = schema.fields().iter().map(|it| field_kind(it)).collect();
        assert_eq!(back, kinds);
    }
}
