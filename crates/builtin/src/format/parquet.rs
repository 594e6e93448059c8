//! Apache Parquet.

use std::{collections::BTreeMap, ops::Range, sync::Arc};

use arrow_array::{Array, ArrayRef, RecordBatch, builder::StringBuilder, new_null_array};
use arrow_cast::{CastOptions, cast_with_options};
use arrow_json::{
    EncoderOptions,
    writer::{NullableEncoder, make_encoder},
};
use arrow_schema::{ArrowError, DataType, Field, FieldRef, SchemaRef};
use bytes::Bytes;
use futures_util::{FutureExt, StreamExt, future::BoxFuture};
use linkspan_domain::FieldKind;
use linkspan_sdk::{BatchLimits, Failure, field_kind};
use parquet::{
    arrow::{
        ParquetRecordBatchStreamBuilder, ProjectionMask,
        arrow_reader::ArrowReaderOptions,
        async_reader::{AsyncFileReader, ParquetRecordBatchStream},
    },
    errors::{ParquetError, Result as ParquetResult},
    file::metadata::{ParquetMetaData, ParquetMetaDataReader},
};
use serde_json::value::RawValue;

use super::{Chunk, Columns, Members, Odd, Ranges, columns::Strays};
use crate::delimited::Seen;

/// How large a row group may be, compressed or not: it is decoded as a whole.
const ROW_GROUP: i64 = 512 * 1024 * 1024;

/// How large the description at the end of a file may be.
const FOOTER: u64 = 64 * 1024 * 1024;

/// How much is fetched at a time.
const PIECE: u64 = 8 * 1024 * 1024;

/// How the file ends: the length of the description, and the mark of the format.
const TAIL: u64 = 8;

pub(super) async fn columns(file: Arc<dyn Ranges>) -> Result<Columns, Failure> {
    let mut columns = Columns::default();
    let Some(builder) = builder(&file).await? else { return Ok(columns) };
    for field in builder.schema().fields() {
        columns.see(field.name(), seen(field));
    }
    Ok(columns)
}

fn seen(field: &Field) -> Seen {
    match field.data_type() {
        DataType::Null => Seen::Nothing,
        _ => Seen::of_kind(field_kind(field)),
    }
}

/// None for an empty file.
async fn builder(
    file: &Arc<dyn Ranges>,
) -> Result<Option<ParquetRecordBatchStreamBuilder<Reader>>, Failure> {
    if file.bytes() == 0 {
        return Ok(None);
    }
    // What the writer knew of Arrow would add types that say nothing more.
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    let reader = Reader(Arc::clone(file));
    let builder = ParquetRecordBatchStreamBuilder::new_with_options(reader, options).await;
    builder.map(Some).map_err(|error| failure(&file.what(), error))
}

/// The records of a Parquet file.
pub(crate) struct Records {
    what: String,
    batches: Option<ParquetRecordBatchStream<Reader>>,
    columns: Columns,
    schema: SchemaRef,
    limits: BatchLimits,
    /// What is left of a batch that was too large, and how many rows of it fit at a time.
    rest: Option<(Chunk, usize)>,
    pub(super) strays: Strays,
}

impl Records {
    pub(super) async fn open(
        file: Arc<dyn Ranges>,
        columns: &Columns,
        limits: BatchLimits,
    ) -> Result<Self, Failure> {
        let what = file.what();
        let mut strays = Strays::default();
        let batches = match builder(&file).await? {
            None => None,
            Some(builder) => {
                let rows = builder.metadata().file_metadata().num_rows().unsigned_abs();
                let fields = builder.schema().fields().iter();
                for stray in fields.filter(|it| columns.position(it.name()).is_none()) {
                    strays.add(stray.name(), rows);
                }
                Some(batches(&what, builder, columns, limits)?)
            }
        };
        let schema = columns.schema()?;
        Ok(Self { what, batches, columns: columns.clone(), schema, limits, rest: None, strays })
    }

    pub(super) async fn next(&mut self) -> Result<Option<Chunk>, Failure> {
        let Some(batches) = &mut self.batches else { return Ok(None) };
        let (whole, rows) = match self.rest.take() {
            Some(rest) => rest,
            None => match batches.next().await {
                None => return Ok(None),
                Some(batch) => {
                    let batch = batch.map_err(|error| failure(&self.what, error))?;
                    let whole = self.converted(&batch)?;
                    let rows = fitting(&whole.records, self.limits);
                    (whole, rows)
                }
            },
        };
        let (chunk, rest) = whole.split(rows);
        self.rest = rest.map(|it| (it, rows));
        Ok(Some(chunk))
    }

    /// `batch` in the columns that are wanted.
    fn converted(&self, batch: &RecordBatch) -> Result<Chunk, Failure> {
        let mut odd = BTreeMap::new();
        let columns = self.schema.fields().iter().enumerate().map(|(position, wanted)| {
            let name = self.columns.name(position);
            let Some((found, field)) = batch.schema_ref().column_with_name(name) else {
                return new_null_array(wanted.data_type(), batch.num_rows());
            };
            let (field, column) = (Arc::new(field.clone()), batch.column(found));
            convert(&field, column, wanted, Misfits::Refused).unwrap_or_else(|_| {
                let fitting = convert(&field, column, wanted, Misfits::Null);
                let fitting = fitting
                    .unwrap_or_else(|_| new_null_array(wanted.data_type(), batch.num_rows()));
                // A place in a dictionary can lead to null, and itself be none.
                let nulls = column.logical_nulls();
                let is_said = |row: usize| nulls.as_ref().is_none_or(|it| it.is_valid(row));
                for row in (0..column.len()).filter(|it| is_said(*it) && fitting.is_null(*it)) {
                    odd.entry(row).or_insert(position);
                }
                fitting
            })
        });
        let columns = columns.collect();
        let records = RecordBatch::try_new(Arc::clone(&self.schema), columns);
        let records = records.map_err(|error| Failure::Defect {
            doing: "put columns together",
            source: Some(error.into()),
        })?;
        let rows: Vec<_> = odd.keys().copied().collect();
        let odd = odd.into_iter().zip(members(batch, &rows));
        let odd = odd.map(|((row, column), members)| Odd { row, line: None, column, members });
        Ok(Chunk { records, odd: odd.collect() })
    }
}

/// The batches of a file, of the columns that are wanted.
fn batches(
    what: &str,
    builder: ParquetRecordBatchStreamBuilder<Reader>,
    columns: &Columns,
    limits: BatchLimits,
) -> Result<ParquetRecordBatchStream<Reader>, Failure> {
    let groups = builder.metadata().row_groups();
    let largest = groups.iter().map(|it| it.total_byte_size().max(it.compressed_size())).max();
    if largest.is_some_and(|it| it > ROW_GROUP) {
        let what = format!("a row group of {what}");
        return Err(Failure::TooLarge { what, limit: ROW_GROUP.unsigned_abs() });
    }
    let fields = builder.schema().fields().iter();
    let wanted = fields.enumerate().filter(|(_, it)| columns.position(it.name()).is_some());
    let mask = ProjectionMask::roots(builder.parquet_schema(), wanted.map(|(at, _)| at));
    let stream = builder.with_projection(mask).with_batch_size(limits.rows.max(1)).build();
    stream.map_err(|error| failure(what, error))
}

/// How many rows of `batch` fit into one of these limits.
fn fitting(batch: &RecordBatch, limits: BatchLimits) -> usize {
    let rows = batch.num_rows();
    let bytes = batch.get_array_memory_size().max(1);
    let fitting = (rows as u128 * limits.bytes as u128 / bytes as u128).max(1);
    usize::try_from(fitting).unwrap_or(rows).min(limits.rows).min(rows)
}

/// What becomes of values that their column cannot hold.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Misfits {
    /// One of them is an error.
    Refused,
    /// Null stands for them.
    Null,
}

fn convert(
    field: &FieldRef,
    column: &ArrayRef,
    wanted: &Field,
    misfits: Misfits,
) -> Result<ArrayRef, ArrowError> {
    let (found, target) = (column.data_type(), wanted.data_type());
    if found.is_nested() || field_kind(wanted) == FieldKind::Json {
        return json(field, column);
    }
    if found == target {
        return Ok(Arc::clone(column));
    }
    let safe = misfits == Misfits::Null;
    cast_with_options(column, target, &CastOptions { safe, ..CastOptions::default() })
}

/// What some `rows` of `batch` say.
fn members(batch: &RecordBatch, rows: &[usize]) -> Vec<Members> {
    let mut all: Vec<Members> = rows.iter().map(|_| Vec::new()).collect();
    if rows.is_empty() {
        return all;
    }
    let options = EncoderOptions::default();
    for (field, column) in batch.schema_ref().fields().iter().zip(batch.columns()) {
        // Of a column that JSON cannot say, there is nothing to tell.
        let Ok(mut encoder) = make_encoder(field, column, &options) else { continue };
        for (row, members) in rows.iter().zip(&mut all) {
            if let Some(value) = raw(&mut encoder, column, *row) {
                members.push((field.name().clone(), value));
            }
        }
    }
    all
}

fn raw(encoder: &mut NullableEncoder<'_>, column: &ArrayRef, row: usize) -> Option<Box<RawValue>> {
    let mut text = Vec::new();
    if encoder.is_null(row) || column.is_null(row) {
        text.extend_from_slice(b"null");
    } else {
        encoder.encode(row, &mut text);
    }
    RawValue::from_string(String::from_utf8(text).ok()?).ok()
}

/// Each value of `column` as JSON.
fn json(field: &FieldRef, column: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    let options = EncoderOptions::default();
    let mut encoder = make_encoder(field, column, &options)?;
    let mut texts = StringBuilder::new();
    let mut text = Vec::new();
    for row in 0..column.len() {
        if encoder.is_null(row) || column.is_null(row) {
            texts.append_null();
            continue;
        }
        text.clear();
        encoder.encode(row, &mut text);
        texts.append_value(str::from_utf8(&text)?);
    }
    Ok(Arc::new(texts.finish()))
}

/// Lets the decoder read from a file that lies elsewhere.
struct Reader(Arc<dyn Ranges>);

impl Reader {
    async fn bytes(&self, range: Range<u64>) -> ParquetResult<Bytes> {
        if range.end > self.0.bytes() || range.start > range.end {
            return Err(ParquetError::EOF("a range beyond the end of the file".to_owned()));
        }
        let outside = |failure: Failure| ParquetError::External(Box::new(failure));
        if range.end - range.start <= PIECE {
            return self.0.read(range).await.map_err(outside);
        }
        let mut whole = Vec::new();
        let mut at = range.start;
        while at < range.end {
            let end = range.end.min(at + PIECE);
            whole.extend_from_slice(&self.0.read(at..end).await.map_err(outside)?);
            at = end;
        }
        Ok(whole.into())
    }

    /// The description at the end of the file.
    async fn description(&mut self) -> ParquetResult<ParquetMetaData> {
        let bytes = self.0.bytes();
        let no_parquet = || ParquetError::General("it does not end as Parquet does".to_owned());
        let tail = self.bytes(bytes.saturating_sub(TAIL)..bytes).await?;
        let Some((length, b"PAR1")) = tail.split_first_chunk::<4>() else {
            return Err(no_parquet());
        };
        let length = u64::from(u32::from_le_bytes(*length));
        if length > FOOTER || length + TAIL > bytes {
            return Err(no_parquet());
        }
        let reader = ParquetMetaDataReader::new();
        let prefetch = usize::try_from(length + TAIL).ok();
        reader.with_prefetch_hint(prefetch).load_and_finish(self, bytes).await
    }
}

impl AsyncFileReader for Reader {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, ParquetResult<Bytes>> {
        self.bytes(range).boxed()
    }

    fn get_metadata<'a>(
        &'a mut self,
        _: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, ParquetResult<Arc<ParquetMetaData>>> {
        self.description().map(|it| it.map(Arc::new)).boxed()
    }
}

/// Either what went wrong when the file was fetched, or that it is no Parquet.
fn failure(what: &str, error: ParquetError) -> Failure {
    let malformed = || Failure::Malformed {
        what: what.to_owned(),
        line: None,
        reason: "it is not Parquet, or it is damaged".to_owned(),
    };
    match error {
        ParquetError::External(cause) => match cause.downcast::<Failure>() {
            Ok(failure) => *failure,
            Err(_) => malformed(),
        },
        _ => malformed(),
    }
}
