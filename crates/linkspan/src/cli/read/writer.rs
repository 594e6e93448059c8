//! Records to a file or to standard output.

use std::{
    fs::{self, File},
    io::{self, BufWriter, Write},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use arrow_array::RecordBatch;
use arrow_csv::writer::{Writer as CsvWriter, WriterBuilder};
use arrow_ipc::writer::StreamWriter;
use linkspan_domain::StreamSpec;
use linkspan_engine::RowEncoder;
use linkspan_sdk::{Rows, arrow_schema};
use parquet::{
    arrow::ArrowWriter,
    basic::{Compression, ZstdLevel},
    errors::ParquetError,
    file::properties::WriterProperties,
};

use tempfile::{Builder, NamedTempFile};

use crate::cli::exit::Failed;

/// How records are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Encoding {
    /// One JSON object a line
    Jsonl,
    /// Comma-separated values with a header
    Csv,
    /// Apache Parquet
    Parquet,
    /// Apache Arrow, as a stream between processes
    Arrow,
}

/// About how much of a row group of Parquet is kept in memory before it is written out.
const ROW_GROUP: usize = 32 * 1024 * 1024;

/// Writes the batches of one stream.
pub(super) struct RecordWriter {
    format: Format,
    /// What takes the place of the file when it is complete: what is there may be what is being read.
    place: Place,
    written: Written,
}

/// What was written.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Written {
    /// Records that are in the file.
    pub(super) records: u64,
    /// Records that could not be written.
    pub(super) rejected: u64,
}

enum Format {
    Jsonl(Box<RowEncoder>, Target),
    Csv(Box<CsvWriter<Target>>),
    Parquet(Box<ArrowWriter<Target>>),
    Arrow(Box<StreamWriter<Target>>),
}

type Target = BufWriter<Box<dyn Write + Send>>;

impl RecordWriter {
    /// Writes to `path`, or to standard output; in `encoding`, or as the suffix says.
    pub(super) fn open(
        path: Option<&Path>,
        encoding: Option<Encoding>,
        spec: &StreamSpec,
    ) -> Result<Self, Failed> {
        let encoding = match encoding {
            Some(encoding) => encoding,
            None => of_suffix(path)?,
        };
        let (target, place) = place(path)?;
        let target = BufWriter::with_capacity(1 << 20, target);
        let schema = arrow_schema(spec);
        let format = match encoding {
            Encoding::Jsonl => {
                let encoder =
                    RowEncoder::new(schema, &[]).map_err(|error| Failed::internal(&error))?;
                Format::Jsonl(Box::new(encoder), target)
            }
            Encoding::Csv => {
                Format::Csv(Box::new(WriterBuilder::new().with_header(true).build(target)))
            }
            Encoding::Parquet => {
                let properties = WriterProperties::builder()
                    .set_compression(Compression::ZSTD(ZstdLevel::default()))
                    .build();
                let writer = ArrowWriter::try_new(target, schema, Some(properties));
                Format::Parquet(Box::new(writer.map_err(|error| Failed::internal(&error))?))
            }
            Encoding::Arrow => {
                let writer = StreamWriter::try_new(target, &schema);
                Format::Arrow(Box::new(writer.map_err(|error| Failed::internal(&error))?))
            }
        };
        Ok(Self { format, place, written: Written::default() })
    }

    /// Adds a batch.
    pub(super) fn write(&mut self, records: &RecordBatch) -> Result<(), Failed> {
        let mut lost = 0;
        match &mut self.format {
            Format::Jsonl(encoder, target) => lost = lines(encoder, target, records)?,
            Format::Csv(writer) => {
                writer.write(records).map_err(|error| Failed::internal(&error))?;
            }
            Format::Parquet(writer) => {
                writer.write(records).map_err(unencodable)?;
                if writer.in_progress_size() >= ROW_GROUP {
                    writer.flush().map_err(unencodable)?;
                }
            }
            Format::Arrow(writer) => {
                writer.write(records).map_err(|error| Failed::internal(&error))?;
            }
        }
        let count = u64::try_from(records.num_rows()).unwrap_or(u64::MAX);
        self.written.records += count - lost;
        self.written.rejected += lost;
        Ok(())
    }

    /// Completes the file.
    pub(super) fn finish(self) -> Result<Written, Failed> {
        match self.format {
            Format::Jsonl(_, mut target) => target.flush().map_err(|error| unwritable(&error))?,
            Format::Csv(writer) => {
                writer.into_inner().flush().map_err(|error| unwritable(&error))?;
            }
            Format::Parquet(writer) => drop(writer.close().map_err(unencodable)?),
            Format::Arrow(mut writer) => {
                writer.finish().map_err(|error| Failed::internal(&error))?;
                writer.get_mut().flush().map_err(|error| unwritable(&error))?;
            }
        }
        if let Some((file, path)) = self.place {
            file.persist(path).map_err(|error| unwritable(&error.error))?;
        }
        Ok(self.written)
    }
}

/// Writes a line for each record that JSON can hold, and counts the others.
fn lines(
    encoder: &mut RowEncoder,
    target: &mut Target,
    records: &RecordBatch,
) -> Result<u64, Failed> {
    let (mut rows, mut rejected) = (Rows::default(), Vec::new());
    encoder.encode(records, &mut rows, &mut rejected).map_err(|error| Failed::internal(&error))?;
    for row in rows.iter() {
        let line = target.write_all(row.payload.as_bytes()).and_then(|()| target.write_all(b"\n"));
        line.map_err(|error| unwritable(&error))?;
    }
    Ok(u64::try_from(rejected.len()).unwrap_or(u64::MAX))
}

fn unwritable(error: &io::Error) -> Failed {
    Failed::usage(format!("the records cannot be written: {error}"))
}

/// Either the file takes no more, or the records cannot be encoded.
fn unencodable(error: ParquetError) -> Failed {
    match error {
        ParquetError::External(cause) => match cause.downcast::<io::Error>() {
            Ok(error) => unwritable(&error),
            Err(cause) => Failed::internal(&*cause),
        },
        error => Failed::internal(&error),
    }
}

/// Where records go, and what becomes of it in the end. Devices and pipes are written to as they are.
fn place(path: Option<&Path>) -> Result<(Box<dyn Write + Send>, Place), Failed> {
    let Some(path) = path else { return Ok((Box::new(io::stdout()), None)) };
    let failed = |error| Failed::usage(format!("{} cannot be written: {error}", path.display()));
    if fs::metadata(path).is_ok_and(|it| !it.is_file()) {
        return Ok((Box::new(File::create(path).map_err(failed)?), None));
    }
    let folder = path.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // As any file that a person makes: temporary files are for their owner alone.
    let readable = fs::Permissions::from_mode(0o644);
    let file = Builder::new().prefix(".linkspan-").permissions(readable).tempfile_in(folder);
    let file = file.map_err(failed)?;
    let target = file.reopen().map_err(failed)?;
    Ok((Box::new(target), Some((file, path.to_owned()))))
}

type Place = Option<(NamedTempFile, PathBuf)>;

fn of_suffix(path: Option<&Path>) -> Result<Encoding, Failed> {
    let Some(suffix) = path.and_then(Path::extension) else { return Ok(Encoding::Jsonl) };
    match suffix.to_str() {
        Some("jsonl" | "ndjson" | "json") => Ok(Encoding::Jsonl),
        Some("csv") => Ok(Encoding::Csv),
        Some("parquet") => Ok(Encoding::Parquet),
        Some("arrow" | "arrows") => Ok(Encoding::Arrow),
        _ => Err(Failed::usage(
            "the suffix of the file says how it is written: .jsonl, .csv, .parquet or .arrow; use one of them, or --format",
        )),
    }
}
