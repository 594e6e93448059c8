//! JSON Lines: one object on each line.

use std::{borrow::Cow, fmt, sync::Arc};

use arrow_array::timezone::Tz;
use linkspan_sdk::{BatchLimits, Failure};
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;

use super::{
    Chunk, Columns, Manner, Ranges, SAMPLE_BYTES, SAMPLE_ROWS,
    columns::{BatchBuilder, Strays, Value, utc},
    ranges::input,
    text::Text,
};
use crate::delimited::Seen;

/// How much is fetched at a time.
const PIECE: u64 = 8 * 1024 * 1024;

/// How long one line may be, in bytes.
const LINE: usize = 16 * 1024 * 1024;

const NO_OBJECT: &str = "it is not one JSON object, as every line of JSON Lines has to be";

pub(super) async fn columns(file: Arc<dyn Ranges>, manner: &Manner) -> Result<Columns, Failure> {
    let utc = utc()?;
    let mut lines = Lines::open(file, manner, SAMPLE_BYTES).await?;
    let (mut columns, mut count, mut bytes) = (Columns::default(), 0, 0);
    while count < SAMPLE_ROWS && bytes < SAMPLE_BYTES && lines.next().await? {
        let read = members(lines.line(), |name, it| columns.see(name, seen(it.get(), utc)));
        read.ok_or_else(|| lines.malformed(NO_OBJECT))?;
        count += 1;
        bytes += lines.line().len() as u64;
    }
    Ok(columns)
}

/// What a JSON value is.
fn seen(json: &str, utc: Tz) -> Seen {
    match json.as_bytes().first() {
        Some(b'n') => Seen::Nothing,
        Some(b'"') => Seen::Text,
        Some(b'{' | b'[') => Seen::Json,
        _ => Seen::of(json, utc),
    }
}

/// The records of a file of JSON Lines.
pub(crate) struct Records {
    lines: Lines,
    columns: Columns,
    batch: BatchBuilder,
    pub(super) strays: Strays,
}

impl Records {
    pub(super) async fn open(
        file: Arc<dyn Ranges>,
        manner: &Manner,
        columns: &Columns,
        limits: BatchLimits,
    ) -> Result<Self, Failure> {
        let lines = Lines::open(file, manner, PIECE).await?;
        let (batch, strays) = (BatchBuilder::new(columns, limits)?, Strays::default());
        Ok(Self { lines, columns: columns.clone(), batch, strays })
    }

    pub(super) async fn next(&mut self) -> Result<Option<Chunk>, Failure> {
        while !self.batch.is_full() && self.lines.next().await? {
            let Self { lines, columns, batch, strays } = self;
            let mut odd = None;
            let read = members(lines.line(), |name, json| {
                let json = json.get();
                let Some(position) = columns.position(name) else {
                    if !json.starts_with('n') {
                        strays.add(name, 1);
                    }
                    return;
                };
                if !put(batch, position, json) {
                    odd.get_or_insert(position);
                }
            });
            read.ok_or_else(|| lines.malformed(NO_OBJECT))?;
            if let Some(column) = odd {
                let mut all = Vec::new();
                members(lines.line(), |name, it| all.push((name.to_owned(), it.to_owned())));
                batch.set_aside(lines.number, column, all);
            }
            batch.end_row();
        }
        self.batch.take()
    }
}

/// Puts a JSON value into a column, and says whether it fits.
fn put(batch: &mut BatchBuilder, position: usize, json: &str) -> bool {
    match json.as_bytes().first() {
        Some(b'n') => true,
        Some(b'"') => match serde_json::from_str::<Cow<'_, str>>(json) {
            Ok(text) => batch.put(position, Value::JsonText(&text, json)),
            Err(_) => false,
        },
        _ => batch.put(position, Value::Json(json)),
    }
}

/// Hands name and JSON of each member of the object in `line` to `member`. None if there is no object.
fn members(line: &str, member: impl FnMut(&str, &RawValue)) -> Option<()> {
    let mut deserializer = serde_json::Deserializer::from_str(line);
    deserializer.deserialize_map(Members(member)).ok()?;
    deserializer.end().ok()
}

struct Members<F>(F);

/// A name, borrowed where it has no escapes.
#[derive(Deserialize)]
#[serde(transparent)]
struct Name<'n>(#[serde(borrow)] Cow<'n, str>);

impl<'de, F: FnMut(&str, &RawValue)> Visitor<'de> for Members<F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        while let Some((Name(name), value)) = map.next_entry::<Name<'de>, &'de RawValue>()? {
            (self.0)(&name, value);
        }
        Ok(())
    }
}

/// The lines of a text that are not blank.
struct Lines {
    text: Text<'static>,
    /// How much of the piece at hand has been used.
    used: usize,
    line: String,
    number: u64,
}

impl Lines {
    async fn open(file: Arc<dyn Ranges>, manner: &Manner, piece: u64) -> Result<Self, Failure> {
        let what = file.what();
        let text = Text::open(input(file, piece), what, manner.text_bytes).await?;
        Ok(Self { text, used: 0, line: String::new(), number: 0 })
    }

    fn line(&self) -> &str {
        &self.line
    }

    /// Goes on to the next line, and says whether there is one.
    async fn next(&mut self) -> Result<bool, Failure> {
        let mut line = Vec::from(std::mem::take(&mut self.line));
        loop {
            line.clear();
            self.number += 1;
            let is_last = !self.fill(&mut line).await?;
            if line.iter().all(u8::is_ascii_whitespace) {
                if is_last {
                    return Ok(false);
                }
                continue;
            }
            return match String::from_utf8(line) {
                Ok(line) => {
                    self.line = line;
                    Ok(true)
                }
                Err(_) => Err(self.malformed("it is not in UTF-8; save it as UTF-8")),
            };
        }
    }

    /// Fills `line` up to the next line break, and says whether there was one.
    async fn fill(&mut self, line: &mut Vec<u8>) -> Result<bool, Failure> {
        loop {
            let rest = &self.text.piece()[self.used..];
            if let Some(end) = rest.iter().position(|it| *it == b'\n') {
                line.extend_from_slice(&rest[..end]);
                self.used += end + 1;
                return Ok(true);
            }
            line.extend_from_slice(rest);
            if line.len() > LINE {
                return Err(self.malformed("it is longer than 16 MiB"));
            }
            self.used = 0;
            self.text.next().await?;
            if self.text.piece().is_empty() {
                return Ok(false);
            }
        }
    }

    /// That the line at hand cannot be read, for `reason`.
    fn malformed(&self, reason: impl Into<String>) -> Failure {
        self.text.malformed(Some(self.number), reason)
    }
}
