//! CSV files in a bucket of Amazon S3, or of a server that speaks as it does.

use linkspan_domain::{Category, Condition, StreamName};
use linkspan_sdk::{
    BatchSink, CheckOutcome, ConnectorType, Cx, Discovered, Failure, ReadRequest, Source,
    SourceEntry, source,
};
use schemars::JsonSchema;
use semver::Version;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    delimited, format,
    objects::{Formats, Place, Table, s3::S3},
};

pub(crate) struct S3Csv;

impl ConnectorType for S3Csv {
    const KEY: &'static str = "s3_csv";
    const TITLE: &'static str = "CSV in Amazon S3";
    const VERSION: Version = Version::new(1, 0, 0);
    const CATEGORY: Category = Category::File;
    const TAGS: &'static [&'static str] = &["file", "aws", "bucket", "tsv", "delimited"];
    const IS_QUERYABLE: bool = true;
    type Settings = Settings;
    type Shared = ();

    fn source() -> Option<SourceEntry<Self>> {
        Some(source::<Self>())
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
        table(cx)?.check().await
    }
}

/// Reads the records of CSV files in a bucket of Amazon S3, or of a server that speaks as it does.
///
/// All files that match are one stream. Each record says where it comes from: `_object`, `_object_modified` and
/// `_row`. With `_object_modified` as the cursor, only files that are new or were written again are read. The types of
/// the columns are those that a sample of the files fits; columns that a file lacks are null, and fields that the sample lacks are left out and told. Files may be
/// compressed with gzip or zstd.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    #[serde(flatten)]
    s3: S3,
    #[serde(flatten)]
    place: Place,
    #[serde(flatten)]
    csv: delimited::Format,
}

impl Source for S3Csv {
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

fn table(cx: &Cx<S3Csv>) -> Result<Table, Failure> {
    let Settings { s3, place, csv } = &cx.settings;
    Table::new(s3.open(cx)?, place, Formats::One(format::Format::Csv), csv)
}
