//! Delimited text.

use std::sync::Arc;

use linkspan_sdk::{BatchLimits, Failure};
use serde_json::value::to_raw_value;

use super::{
    Chunk, Columns, Manner, Members, Ranges, SAMPLE_BYTES, SAMPLE_ROWS,
    columns::{BatchBuilder, Strays, Value, utc},
    ranges::input,
    text::Text,
};
use crate::delimited::{Dialect, Row, Rows, Seen, names};

/// How much is fetched at a time.
const PIECE: u64 = 8 * 1024 * 1024;

async fn rows(
    file: Arc<dyn Ranges>,
    manner: &Manner,
    piece: u64,
) -> Result<Rows<'static>, Failure> {
    let what = file.what();
    let text = Text::open(input(file, piece), what, manner.text_bytes).await?;
    Ok(Rows::new(text, &manner.dialect))
}

pub(super) async fn columns(file: Arc<dyn Ranges>, manner: &Manner) -> Result<Columns, Failure> {
    let (utc, dialect) = (utc()?, &manner.dialect);
    let mut rows = rows(file, manner, SAMPLE_BYTES).await?;
    let Some(first) = rows.next().await? else { return Ok(Columns::default()) };
    let names = names(&first, dialect);
    let mut seen = vec![Seen::Nothing; names.len()];
    let mut look = |row: &Row<'_>| {
        for (seen, value) in seen.iter_mut().zip(row.values()) {
            if !dialect.is_null(value) {
                *seen = seen.with(value, utc);
            }
        }
    };
    if !dialect.has_header {
        look(&first);
    }
    let mut count = 0;
    while count < SAMPLE_ROWS && rows.offset < SAMPLE_BYTES {
        let Some(row) = rows.next().await? else { break };
        look(&row);
        count += 1;
    }
    let mut columns = Columns::default();
    for (name, seen) in names.iter().zip(seen) {
        columns.see(name, seen);
    }
    Ok(columns)
}

/// The records of a file of delimited text.
pub(crate) struct Records {
    rows: Rows<'static>,
    batch: BatchBuilder,
    filling: Filling,
    pub(super) strays: Strays,
}

/// Which field of a row goes where.
struct Filling {
    dialect: Arc<Dialect>,
    columns: Columns,
    /// For each field its column, or its name.
    positions: Vec<Result<usize, String>>,
}

impl Records {
    pub(super) async fn open(
        file: Arc<dyn Ranges>,
        manner: &Manner,
        columns: &Columns,
        limits: BatchLimits,
    ) -> Result<Self, Failure> {
        let dialect = Arc::clone(&manner.dialect);
        let mut rows = rows(file, manner, PIECE).await?;
        let (mut batch, mut strays) = (BatchBuilder::new(columns, limits)?, Strays::default());
        let mut filling = Filling { dialect, columns: columns.clone(), positions: Vec::new() };
        if let Some(first) = rows.next().await? {
            let names = names(&first, &filling.dialect);
            let position = |name: String| columns.position(&name).ok_or(name);
            filling.positions = names.into_iter().map(position).collect();
            if !filling.dialect.has_header
                && let Some((line, says)) = filling.fill(&mut batch, &mut strays, &first)
            {
                return Err(rows.text.malformed(Some(line), says));
            }
        }
        Ok(Self { rows, batch, filling, strays })
    }

    pub(super) async fn next(&mut self) -> Result<Option<Chunk>, Failure> {
        while !self.batch.is_full() {
            let Some(row) = self.rows.next().await? else { break };
            let Self { filling, batch, strays, .. } = self;
            if let Some((line, says)) = filling.fill(batch, strays, &row) {
                return Err(self.rows.text.malformed(Some(line), says));
            }
        }
        self.batch.take()
    }
}

impl Filling {
    /// Puts `row` into `batch`; if it is broken, says at which line and why.
    fn fill(
        &self,
        batch: &mut BatchBuilder,
        strays: &mut Strays,
        row: &Row<'_>,
    ) -> Option<(u64, String)> {
        if row.width() != self.positions.len() {
            return Some((row.line, row.misfit(self.positions.len())));
        }
        let mut odd = None;
        for (position, value) in self.positions.iter().zip(row.values()) {
            if self.dialect.is_null(value) {
                continue;
            }
            match position {
                Ok(position) if !batch.put(*position, Value::Text(value)) => {
                    odd.get_or_insert(*position);
                }
                Ok(_) => {}
                Err(name) => strays.add(name, 1),
            }
        }
        if let Some(column) = odd {
            batch.set_aside(row.line, column, self.members(row));
        }
        batch.end_row();
        None
    }

    /// All of `row` as it stands, texts that mean null among it.
    fn members(&self, row: &Row<'_>) -> Members {
        let names = self.positions.iter().map(|it| match it {
            Ok(position) => self.columns.name(*position),
            Err(name) => name,
        });
        let members = names.zip(row.values());
        // Every text can be said in JSON.
        members.filter_map(|(name, it)| Some((name.to_owned(), to_raw_value(it).ok()?))).collect()
    }
}
