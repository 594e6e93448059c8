//! Files with records in them, wherever they lie: read a piece at a time, never as a whole.

mod chunk;
mod columns;
mod csv;
mod journal;
mod jsonl;
mod parquet;
mod ranges;
pub(crate) mod text;
mod write;

use std::sync::Arc;

use linkspan_domain::StreamName;
use linkspan_sdk::{BatchLimits, CheckOutcome, Failure};

pub(crate) use self::{
    chunk::{Chunk, Members, Odd},
    columns::{Columns, Strays},
    journal::{Journal, Part},
    ranges::Ranges,
    write::write_parquet,
};
use crate::delimited::Dialect;

/// How the records of a file are written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// Delimited text.
    Csv,
    /// One JSON object on each line.
    Jsonl,
    /// Apache Parquet.
    Parquet,
}

impl Format {
    /// What the endings of `name` say, those of compression aside.
    pub(crate) fn of_name(name: &str) -> Option<Self> {
        let name = name.to_ascii_lowercase();
        let packed = [".gz", ".gzip", ".zst", ".zstd"].iter().find_map(|it| name.strip_suffix(it));
        match packed.unwrap_or(&name).rsplit_once('.')?.1 {
            "csv" | "tsv" | "tab" | "psv" => Some(Self::Csv),
            "jsonl" | "ndjson" => Some(Self::Jsonl),
            "parquet" | "pq" => Some(Self::Parquet),
            _ => None,
        }
    }
}

/// What reading needs to know besides the file.
#[derive(Clone)]
pub(crate) struct Manner {
    /// How delimited text is written.
    pub(crate) dialect: Arc<Dialect>,
    /// How many bytes of text one file may have, uncompressed.
    pub(crate) text_bytes: u64,
}

/// What a check says of a stream that it found.
pub(crate) fn found(stream: &StreamName, columns: usize) -> CheckOutcome {
    CheckOutcome::ok(format!("found `{stream}` with {columns} columns"))
}

/// How much of a file is looked at to find its columns: the first of these that is reached.
const SAMPLE_BYTES: u64 = 1024 * 1024;
const SAMPLE_ROWS: usize = 10_000;

/// The columns of `file`, as far as its beginning shows them. A file without records has none.
pub(crate) async fn columns(
    file: Arc<dyn Ranges>,
    format: Format,
    manner: &Manner,
) -> Result<Columns, Failure> {
    match format {
        Format::Csv => csv::columns(file, manner).await,
        Format::Jsonl => jsonl::columns(file, manner).await,
        Format::Parquet => parquet::columns(file).await,
    }
}

/// The records of one file, in columns.
pub(crate) enum Records {
    Csv(Box<csv::Records>),
    Jsonl(jsonl::Records),
    Parquet(parquet::Records),
}

impl Records {
    /// The records of `file` in these `columns`: those that the file lacks are null, others that it has are
    /// [strays](Self::strays). A record with a value that does not fit its column is [odd](Chunk::odd).
    pub(crate) async fn open(
        file: Arc<dyn Ranges>,
        format: Format,
        manner: &Manner,
        columns: &Columns,
        limits: BatchLimits,
    ) -> Result<Self, Failure> {
        Ok(match format {
            Format::Csv => {
                Self::Csv(Box::new(csv::Records::open(file, manner, columns, limits).await?))
            }
            Format::Jsonl => {
                Self::Jsonl(jsonl::Records::open(file, manner, columns, limits).await?)
            }
            Format::Parquet => Self::Parquet(parquet::Records::open(file, columns, limits).await?),
        })
    }

    /// The next records; none at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Chunk>, Failure> {
        match self {
            Self::Csv(records) => records.next().await,
            Self::Jsonl(records) => records.next().await,
            Self::Parquet(records) => records.next().await,
        }
    }

    /// What the records so far have besides those columns.
    pub(crate) const fn strays(&self) -> &Strays {
        match self {
            Self::Csv(records) => &records.strays,
            Self::Jsonl(records) => &records.strays,
            Self::Parquet(records) => &records.strays,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Format;

    #[test]
    fn the_endings_of_a_name_tell_the_format() {
        for (name, expect) in [
            ("a/b.csv", Some(Format::Csv)),
            ("B.TSV.GZ", Some(Format::Csv)),
            ("b.ndjson", Some(Format::Jsonl)),
            ("b.2026.jsonl.zst", Some(Format::Jsonl)),
            ("part-0.snappy.parquet", Some(Format::Parquet)),
            ("_SUCCESS", None),
            ("archive.gz", None),
            ("csv", None),
            ("b.json", None),
        ] {
            assert_eq!(Format::of_name(name), expect, "{name}");
        }
    }
}
