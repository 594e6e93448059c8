//! The first pass: what the columns are, and where batches begin and end.

use std::collections::HashSet;

use arrow_array::timezone::Tz;
use csv_core::{ReadRecordResult, Reader};
use linkspan_domain::FieldKind;
use linkspan_sdk::{BatchLimits, Failure};

use super::{dialect::Dialect, infer::Seen};
use crate::format::text::Text;

/// What the first pass finds out about a table.
pub(super) struct Layout {
    /// What the batches keep to.
    pub(super) limits: BatchLimits,
    pub(super) delimiter: u8,
    pub(super) columns: Vec<Column>,
    /// Where the first row begins, in bytes of text.
    pub(super) begin: u64,
    /// The batches, one after the other without gaps.
    pub(super) extents: Vec<Extent>,
}

/// One column of a table.
pub(super) struct Column {
    pub(super) name: String,
    pub(super) kind: FieldKind,
}

/// Rows that make one batch.
#[derive(Clone, Copy)]
pub(super) struct Extent {
    /// Where it ends, in bytes of text.
    pub(super) end: u64,
    pub(super) rows: usize,
}

/// How long one row may be, in bytes. More is most likely a quote that is never closed.
const ROW: usize = 16 * 1024 * 1024;

/// The names of the columns.
pub(super) async fn header(text: Text<'_>, dialect: &Dialect) -> Result<Vec<String>, Failure> {
    let mut rows = Rows::new(text, dialect);
    match rows.next().await? {
        Some(row) => Ok(names(&row, dialect)),
        None => Err(rows.text.malformed(None, "it is empty")),
    }
}

/// Goes through the whole table.
pub(super) async fn layout(
    text: Text<'_>,
    dialect: &Dialect,
    limits: BatchLimits,
) -> Result<Layout, Failure> {
    let mut rows = Rows::new(text, dialect);
    let utc: Tz =
        "+00:00".parse().map_err(|_| Failure::Defect { doing: "know UTC", source: None })?;
    let Some(first) = rows.next().await? else {
        return Err(rows.text.malformed(None, "it is empty"));
    };
    let names = names(&first, dialect);
    let mut seen = vec![Seen::Nothing; names.len()];
    let mut extents = Vec::new();
    let (mut open, mut bytes) = (Extent { end: 0, rows: 0 }, 0);
    let begin = if dialect.has_header {
        rows.offset
    } else {
        bytes = look(&first, &mut seen, dialect, utc);
        open = Extent { end: rows.offset, rows: 1 };
        0
    };
    while let Some(row) = rows.next().await? {
        if row.width() != names.len() {
            let (line, says) = (row.line, row.misfit(names.len()));
            return Err(rows.text.malformed(Some(line), says));
        }
        let length = row.fields.len();
        if open.rows > 0 && (open.rows >= limits.rows || bytes + length > limits.bytes) {
            extents.push(open);
            (open.rows, bytes) = (0, 0);
        }
        bytes += look(&row, &mut seen, dialect, utc);
        open = Extent { end: rows.offset, rows: open.rows + 1 };
    }
    if open.rows > 0 {
        extents.push(open);
    }
    let kinds = seen.into_iter().map(Seen::kind);
    let columns = names.into_iter().zip(kinds).map(|(name, kind)| Column { name, kind }).collect();
    Ok(Layout { limits, delimiter: rows.delimiter, columns, begin, extents })
}

/// Takes note of what `row` holds, and answers how many bytes that is.
fn look(row: &Row<'_>, seen: &mut [Seen], dialect: &Dialect, utc: Tz) -> usize {
    for (seen, value) in seen.iter_mut().zip(row.values()) {
        if *seen != Seen::Text && !dialect.is_null(value) {
            *seen = seen.with(value, utc);
        }
    }
    row.fields.len()
}

/// The names of the columns, no two of them alike.
pub(crate) fn names(first: &Row<'_>, dialect: &Dialect) -> Vec<String> {
    let mut taken = HashSet::new();
    let mut names = Vec::new();
    for (at, value) in first.values().enumerate() {
        let given = if dialect.has_header { value.trim() } else { "" };
        let base = if given.is_empty() { format!("column_{}", at + 1) } else { given.to_owned() };
        let mut name = base.clone();
        let mut copy = 1;
        while !taken.insert(name.clone()) {
            copy += 1;
            name = format!("{base}_{copy}");
        }
        names.push(name);
    }
    names
}

/// One row, unquoted.
pub(crate) struct Row<'r> {
    /// Its fields, one after the other.
    fields: &'r str,
    /// Where each of them ends.
    ends: &'r [usize],
    /// The line it begins at; the first is 1.
    pub(crate) line: u64,
}

impl<'r> Row<'r> {
    /// How many fields it has.
    pub(crate) const fn width(&self) -> usize {
        self.ends.len()
    }

    /// That it has other than `columns` fields.
    pub(crate) fn misfit(&self, columns: usize) -> String {
        format!("it has {} fields where there are {columns} columns", self.width())
    }

    pub(crate) fn values(&self) -> impl Iterator<Item = &'r str> {
        let begins = std::iter::once(&0).chain(self.ends);
        let fields = self.fields;
        begins.zip(self.ends).map(move |(&begin, &end)| fields.get(begin..end).unwrap_or_default())
    }
}

/// The rows of a text.
pub(crate) struct Rows<'f> {
    pub(crate) text: Text<'f>,
    reader: Reader,
    delimiter: u8,
    /// How much of the piece at hand has been used.
    used: usize,
    /// How much of the text has been used.
    pub(crate) offset: u64,
    fields: Vec<u8>,
    ends: Vec<usize>,
    /// Whether the line break that ends the text has been added.
    is_ended: bool,
}

impl<'f> Rows<'f> {
    pub(crate) fn new(text: Text<'f>, dialect: &Dialect) -> Self {
        let delimiter = dialect.detect(text.piece());
        let reader = dialect.reader(delimiter);
        let (fields, ends) = (vec![0; 4096], vec![0; 64]);
        Self { text, reader, delimiter, used: 0, offset: 0, fields, ends, is_ended: false }
    }

    pub(crate) async fn next(&mut self) -> Result<Option<Row<'_>>, Failure> {
        let (mut length, mut width) = (0, 0);
        let (mut line, mut has_begun) = (self.reader.line(), false);
        loop {
            if self.used == self.text.piece().len() && self.used > 0 {
                self.text.next().await?;
                self.used = 0;
            }
            let is_last = self.text.piece().is_empty() && !self.is_ended;
            // A line break more ends the last row, unless a quote is open: then it is text. The reader does not tell, and
            // takes the end of a text for that of a quoted field.
            let input = if is_last { b"\n" } else { &self.text.piece()[self.used..] };
            let (fields, ends) = (&mut self.fields[length..], &mut self.ends[width..]);
            let (result, used, written, found) = self.reader.read_record(input, fields, ends);
            length += written;
            width += found;
            if !has_begun {
                let blank = blank(&input[..used]);
                has_begun = blank.len() < used;
                line += blank.split(|it| *it == b'\n').count() as u64 - 1;
            }
            if is_last {
                self.is_ended = used > 0;
                if written > 0 {
                    let line = self.opening_line(length, width);
                    let says =
                        "a quote that is opened there is never closed, or the file is cut off";
                    return Err(self.text.malformed(Some(line), says));
                }
            } else {
                self.used += used;
                self.offset += used as u64;
            }
            match result {
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::OutputFull if length >= ROW => {
                    let line = self.opening_line(length, width);
                    let says = "a row is longer than 16 MiB; is a quote missing?";
                    return Err(self.text.malformed(Some(line), says));
                }
                ReadRecordResult::OutputFull => self.fields.resize(2 * self.fields.len(), 0),
                ReadRecordResult::OutputEndsFull => self.ends.resize(2 * self.ends.len(), 0),
                ReadRecordResult::Record => break,
                ReadRecordResult::End => return Ok(None),
            }
        }
        let ends = &self.ends[..width];
        let fields = str::from_utf8(&self.fields[..length]).ok();
        // Two fields may be valid only together.
        match fields.filter(|it| ends.iter().all(|end| it.is_char_boundary(*end))) {
            Some(fields) => Ok(Some(Row { fields, ends, line })),
            None => Err(self.text.malformed(Some(line), "it is not in UTF-8; save it as UTF-8")),
        }
    }

    /// The line where the field begins in which the text read so far ends, `width` fields and `length` bytes into a row.
    fn opening_line(&self, length: usize, width: usize) -> u64 {
        let begin = width.checked_sub(1).map_or(0, |last| self.ends[last]);
        let lines = self.fields[begin..length].split(|it| *it == b'\n').count();
        self.reader.line() + 1 - lines as u64
    }
}

/// What of `text` comes before a row: blank lines, and what is left of the line break before.
fn blank(text: &[u8]) -> &[u8] {
    let length = text.iter().take_while(|it| matches!(it, b'\r' | b'\n')).count();
    &text[..length]
}
