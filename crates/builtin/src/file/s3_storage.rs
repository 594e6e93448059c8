//! Files of several formats in a bucket of Amazon S3, or of a server that speaks as it does.

use linkspan_domain::{Category, Condition, Direction, StreamName};
use linkspan_sdk::{
    BatchSink, CheckOutcome, ConnectorType, Cx, Discovered, Failure, Intake, ReadRequest, Sink,
    SinkEntry, Source, SourceEntry, WriteMode, WriteRequest, sink, source,
};
use schemars::JsonSchema;
use semver::Version;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    delimited,
    format::{self, Journal, Part, write_parquet},
    objects::{Formats, Place, Table, s3::S3},
};

pub(crate) struct S3Storage;

impl ConnectorType for S3Storage {
    const KEY: &'static str = "s3_storage";
    const TITLE: &'static str = "Amazon S3";
    const VERSION: Version = Version::new(1, 1, 0);
    const CATEGORY: Category = Category::File;
    const ALIASES: &'static [&'static str] = &["s3"];
    const TAGS: &'static [&'static str] = &["file", "aws", "bucket", "parquet", "jsonl", "csv"];
    const IS_QUERYABLE: bool = true;
    type Settings = Settings;
    type Shared = ();

    fn source() -> Option<SourceEntry<Self>> {
        Some(source::<Self>())
    }

    fn sink() -> Option<SinkEntry<Self>> {
        Some(sink::<Self>())
    }

    fn accept(settings: &Settings) -> Result<(), Failure> {
        settings.s3.accept()?;
        settings.place.pattern(settings.s3.bucket())?;
        settings.csv.accept()
    }

    fn place(settings: &Settings) -> Option<Value> {
        Some(json!([settings.s3.place(), settings.place.parts()]))
    }

    async fn check(cx: &Cx<Self>) -> Result<CheckOutcome, Failure> {
        match cx.direction {
            Direction::Input => table(cx)?.check().await,
            Direction::Output => {
                let found = table(cx)?.reach().await?;
                // Whoever may list a bucket without a key need not be able to write to it.
                Ok(if cx.settings.s3.is_signed() {
                    CheckOutcome::ok(found)
                } else {
                    CheckOutcome::reached(format!(
                        "{found}; only a run tells whether it can be written to"
                    ))
                })
            }
        }
    }
}

/// Reads the records of CSV, JSON Lines and Parquet files in a bucket of Amazon S3, or of a server that speaks as it
/// does.
///
/// All files that match are one stream. Each record says where it comes from: `_object`, `_object_modified` and
/// `_row`. With `_object_modified` as the cursor, only files that are new or were written again are read. The types of
/// the columns are those that a sample of the files fits; columns that a file lacks are null, and fields that the sample lacks are left out and told. CSV and JSON Lines
/// may be compressed with gzip or zstd.
///
/// A stream that is written becomes one Parquet file: that of `path`, or one below `prefix` that is called after the
/// stream. It takes the place of what was there when it is complete. What activations push becomes files of changes, below
/// `prefix` and the name of the stream: of the rows with one `_linkspan_key`, the greatest `_linkspan_position` counts.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    #[serde(flatten)]
    s3: S3,
    #[serde(flatten)]
    place: Place,
    /// How the files are written; by default as the endings of their names say, and files with other endings are
    /// left out.
    #[serde(default)]
    format: Format,
    #[serde(flatten)]
    csv: delimited::Format,
}

/// How files are written.
#[derive(Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Format {
    /// As the endings of their names say.
    #[default]
    Auto,
    /// Delimited text.
    Csv,
    /// One JSON object on each line.
    Jsonl,
    /// Apache Parquet.
    Parquet,
}

impl From<Format> for Formats {
    fn from(format: Format) -> Self {
        match format {
            Format::Auto => Self::ByName,
            Format::Csv => Self::One(format::Format::Csv),
            Format::Jsonl => Self::One(format::Format::Jsonl),
            Format::Parquet => Self::One(format::Format::Parquet),
        }
    }
}

impl Source for S3Storage {
    async fn discover(cx: &Cx<Self>) -> Result<Discovered, Failure> {
        Ok(vec![table(cx)?.spec().await?].into())
    }

    async fn read(cx: &Cx<Self>, request: ReadRequest, out: &mut BatchSink) -> Result<(), Failure> {
        table(cx)?.read(request, out).await
    }

    async fn split(
        cx: &Cx<Self>,
        stream: &StreamName,
        parts: usize,
    ) -> Result<Vec<Condition>, Failure> {
        table(cx)?.split(stream, parts).await
    }
}

impl Sink for S3Storage {
    const MODES: &'static [WriteMode] = &[WriteMode::Replace, WriteMode::Journal];

    async fn write(
        cx: &Cx<Self>,
        request: WriteRequest,
        intake: &mut Intake,
    ) -> Result<(), Failure> {
        let Settings { s3, place, format, .. } = &cx.settings;
        if !matches!(format, Format::Auto | Format::Parquet) {
            return Err(Failure::setting("format", "must be parquet to write"));
        }
        let bucket = s3.open(cx)?;
        if request.mode == WriteMode::Journal {
            let folder = place.folder(&request.stream.name)?;
            let mut journal = Journal::new(&request.stream, intake)?;
            while let Some(Part { name, bytes }) = journal.next().await? {
                bucket.put(&format!("{folder}{name}"), bytes).await?;
                journal.confirm();
            }
            return Ok(());
        }
        let upload = bucket.upload(&place.key(&request.stream.name)?).await?;
        let (upload, written) = write_parquet(&request.stream, intake, upload).await?;
        if written.is_err() {
            upload.abort().await;
        }
        written
    }
}

fn table(cx: &Cx<S3Storage>) -> Result<Table, Failure> {
    let Settings { s3, place, format, csv } = &cx.settings;
    Table::new(s3.open(cx)?, place, (*format).into(), csv)
}
