//! The second pass: rows as columns.

use std::sync::Arc;

use arrow_array::{
    Array, BooleanArray, RecordBatch,
    cast::AsArray,
    types::{Date32Type, Int64Type, TimestampMicrosecondType},
};
use arrow_csv::{ReaderBuilder, reader::Decoder};
use arrow_schema::{ArrowError, SchemaRef};
use arrow_select::filter::filter_record_batch;
use linkspan_domain::{Cursor, CursorType, FieldKind, StreamSpec};
use linkspan_sdk::{Batch, BatchSink, CursorSpec, Failure, ReadMode, arrow_schema};
use time::{Duration, OffsetDateTime};

use super::{Table, scan::Layout};
use crate::format::text::Text;

/// Decodes the table batch by batch.
///
/// Nothing says that rows are in the order of their cursor, so the cursor is that of the whole table
/// and comes with the last batch.
pub(super) async fn read(
    table: &mut Table,
    layout: &Layout,
    spec: &StreamSpec,
    mode: ReadMode,
    out: &mut BatchSink,
) -> Result<(), Failure> {
    let mut sieve = match mode {
        ReadMode::Full => None,
        ReadMode::Incremental { cursor, after } => Some(Sieve::new(spec, &cursor, after)?),
    };
    let mut decoder = decoder(table, layout, arrow_schema(spec));
    let what = table.what();
    let mut text = table.text().await?;
    let mut place = Place { at: 0, used: 0 };
    place.skip(&mut text, layout.begin).await?;
    let mut held: Option<RecordBatch> = None;
    for extent in &layout.extents {
        place.feed(&mut text, &mut decoder, extent.end).await?;
        let changed = || Failure::Malformed {
            what: what.clone(),
            line: None,
            reason: "it changed while it was read; read it again".to_owned(),
        };
        let records = decoder.flush().map_err(|_| changed())?.ok_or_else(changed)?;
        if records.num_rows() != extent.rows {
            return Err(changed());
        }
        let records = match &mut sieve {
            None => records,
            Some(sieve) => sieve.sift(&records)?,
        };
        if records.num_rows() == 0 {
            continue;
        }
        if let Some(records) = held.replace(records) {
            out.send(Batch::new(records, None)).await?;
        }
    }
    match held {
        Some(records) => out.send(Batch::new(records, sieve.and_then(|it| it.high))).await,
        None => Ok(()),
    }
}

fn decoder(table: &Table, layout: &Layout, schema: SchemaRef) -> Decoder {
    let rows = layout.extents.iter().map(|it| it.rows).max().unwrap_or(1);
    let builder = ReaderBuilder::new(schema)
        .with_header(false)
        .with_delimiter(layout.delimiter)
        .with_quote(table.dialect.quote)
        // One more than there will be, or the end of the last row would be left unread.
        .with_batch_size(rows + 1);
    match table.dialect.null_regex() {
        Some(regex) => builder.with_null_regex(regex),
        None => builder,
    }
    .build_decoder()
}

/// How far the second pass has come.
struct Place {
    /// In bytes of text.
    at: u64,
    /// How much of the piece at hand has been used.
    used: usize,
}

impl Place {
    async fn skip(&mut self, text: &mut Text<'_>, to: u64) -> Result<(), Failure> {
        while self.at < to {
            let taken = self.take(text, to).await?.len();
            if taken == 0 {
                break;
            }
            self.advance(taken);
        }
        Ok(())
    }

    /// Passes the text up to `to` on to `decoder`.
    async fn feed(
        &mut self,
        text: &mut Text<'_>,
        decoder: &mut Decoder,
        to: u64,
    ) -> Result<(), Failure> {
        let unread = |_: ArrowError| Failure::Defect { doing: "decode a row", source: None };
        while self.at < to {
            let piece = self.take(text, to).await?;
            let used = decoder.decode(piece).map_err(unread)?;
            if used == 0 {
                break;
            }
            self.advance(used);
        }
        // Without a line break at the end of the file, only this tells the decoder that the last row is over.
        if self.take(text, u64::MAX).await?.is_empty() {
            decoder.decode(&[]).map_err(unread)?;
        }
        Ok(())
    }

    /// What is at hand and before `to`. Empty at the end of the text.
    async fn take<'t>(&mut self, text: &'t mut Text<'_>, to: u64) -> Result<&'t [u8], Failure> {
        if self.used == text.piece().len() && self.used > 0 {
            text.next().await?;
            self.used = 0;
        }
        let rest = &text.piece()[self.used..];
        let wanted = usize::try_from(to - self.at).unwrap_or(usize::MAX);
        Ok(&rest[..rest.len().min(wanted)])
    }

    fn advance(&mut self, bytes: usize) {
        self.used += bytes;
        self.at += bytes as u64;
    }
}

/// Lets the rows through that are new.
struct Sieve {
    column: usize,
    kind: FieldKind,
    after: Option<Cursor>,
    /// The greatest cursor so far.
    high: Option<Cursor>,
}

impl Sieve {
    fn new(spec: &StreamSpec, cursor: &CursorSpec, after: Option<Cursor>) -> Result<Self, Failure> {
        let invalid = |reason: String| Failure::Invalid {
            what: "request".into(),
            field: "cursor_column".to_owned(),
            reason,
        };
        let column = spec.fields.iter().position(|it| it.name == cursor.column);
        let Some(column) = column else {
            return Err(invalid("names a column that the file lacks".to_owned()));
        };
        let kind = spec.fields[column].kind;
        let fitting = match kind {
            FieldKind::Integer => CursorType::Int,
            FieldKind::Timestamp | FieldKind::Date => CursorType::Timestamp,
            FieldKind::Text => CursorType::Text,
            other => return Err(invalid(format!("holds {other}, which cannot be a cursor"))),
        };
        let given = after.as_ref().map_or(cursor.cursor_type, Cursor::cursor_type);
        if cursor.cursor_type != fitting || given != fitting {
            return Err(invalid(format!("holds {kind}, so the cursor type must be {fitting}")));
        }
        Ok(Self { column, kind, high: after.clone(), after })
    }

    fn sift(&mut self, records: &RecordBatch) -> Result<RecordBatch, Failure> {
        let column = Arc::clone(records.column(self.column));
        let is_new: BooleanArray = (0..column.len())
            .map(|row| {
                let Some(cursor) = self.cursor(&column, row) else { return Some(true) };
                let is_new = self.after.as_ref().is_none_or(|after| cursor >= *after);
                if self.high.as_ref().is_none_or(|high| cursor > *high) {
                    self.high = Some(cursor);
                }
                Some(is_new)
            })
            .collect();
        filter_record_batch(records, &is_new)
            .map_err(|error| Failure::Defect { doing: "filter rows", source: Some(error.into()) })
    }

    /// None where there is no value, or one outside the years that can be told.
    fn cursor(&self, column: &dyn Array, row: usize) -> Option<Cursor> {
        if column.is_null(row) {
            return None;
        }
        let since_1970 = match self.kind {
            FieldKind::Integer => {
                return Some(Cursor::Int(column.as_primitive::<Int64Type>().value(row)));
            }
            FieldKind::Timestamp => {
                Duration::microseconds(column.as_primitive::<TimestampMicrosecondType>().value(row))
            }
            FieldKind::Date => {
                Duration::days(column.as_primitive::<Date32Type>().value(row).into())
            }
            _ => return Some(Cursor::Text(column.as_string::<i32>().value(row).to_owned())),
        };
        OffsetDateTime::UNIX_EPOCH.checked_add(since_1970).map(Cursor::Timestamp)
    }
}
