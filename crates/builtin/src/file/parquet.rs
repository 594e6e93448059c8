//! Parquet files in a folder that the operator opened for writing.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;

use linkspan_domain::{Category, StreamName};
use linkspan_sdk::{
    CheckOutcome, ConnectorType, Cx, Failure, Intake, Sink, SinkEntry, WriteMode, WriteRequest,
    sink,
};
use schemars::JsonSchema;
use semver::Version;
use serde::Deserialize;
use tempfile::{Builder, NamedTempFile};
use tokio::fs::File;

use crate::format::write_parquet;

pub(crate) struct Parquet;

impl ConnectorType for Parquet {
    const KEY: &'static str = "parquet";
    const TITLE: &'static str = "Parquet files";
    const VERSION: Version = Version::new(1, 0, 0);
    const CATEGORY: Category = Category::File;
    const TAGS: &'static [&'static str] = &["file", "folder", "destination"];
    const DOCS_URL: Option<&'static str> = Some("https://parquet.apache.org/docs/");
    type Settings = Settings;
    type Shared = ();

    fn sink() -> Option<SinkEntry<Self>> {
        Some(sink::<Self>())
    }

    async fn check(cx: &Cx<Self>) -> Result<CheckOutcome, Failure> {
        temporary(cx).await?;
        Ok(CheckOutcome::ok("the folder can be written to"))
    }
}

/// Writes streams as Parquet files into a folder.
///
/// Each stream becomes one file that is called after it, and takes the place of what was there when it is complete.
/// Decimals, UUIDs and JSON are columns of text; all else has the type of its column.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    /// The folder: one that the operator opened for writing, or one below it. It must exist.
    #[schemars(length(min = 1))]
    folder: String,
}

impl Sink for Parquet {
    const MODES: &'static [WriteMode] = &[WriteMode::Replace];

    async fn write(
        cx: &Cx<Self>,
        request: WriteRequest,
        intake: &mut Intake,
    ) -> Result<(), Failure> {
        let name = file_name(&request.stream.name)?;
        // Unless it is kept, it is gone when it is dropped.
        let temporary = temporary(cx).await?;
        let file = File::from_std(temporary.reopen().map_err(unwritable)?);
        let (file, written) = write_parquet(&request.stream, intake, file).await?;
        written?;
        file.sync_all().await.map_err(unwritable)?;
        let target = temporary.path().with_file_name(name);
        temporary.persist(target).map(drop).map_err(|error| unwritable(error.error))
    }
}

/// A file beside those that are complete.
async fn temporary(cx: &Cx<Parquet>) -> Result<NamedTempFile, Failure> {
    let folder = cx.files.folder(&cx.settings.folder).await?;
    // As any file: temporary ones are for their owner alone.
    let mut builder = Builder::new();
    builder.prefix(".linkspan-").permissions(Permissions::from_mode(0o644));
    builder.tempfile_in(folder).map_err(unwritable)
}

fn unwritable(error: std::io::Error) -> Failure {
    match error.kind() {
        std::io::ErrorKind::PermissionDenied => Failure::Refused(
            "the folder may not be written to; ask an operator for the permission".to_owned(),
        ),
        _ => Failure::unavailable("the folder", error),
    }
}

/// The longest name that file systems take, less what is added to it.
const LENGTH: usize = 240;

/// The name of the stream's file, which leads to no other folder.
fn file_name(stream: &StreamName) -> Result<String, Failure> {
    let name = stream.as_str();
    if name.contains(['/', '\\']) || name.starts_with('.') || name.len() > LENGTH {
        return Err(Failure::Invalid {
            what: "the stream",
            field: "name".to_owned(),
            reason: "cannot name a file; write it under another name".to_owned(),
        });
    }
    Ok(format!("{name}.parquet"))
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path, sync::Arc};

    use arrow_array::{Array, RecordBatch, cast::AsArray, types::Int64Type};
    use linkspan_domain::{FieldKind, StreamField, StreamSpec};
    use linkspan_sdk::{
        Change, Definition, Environment, FileAccess, OpenHosts, arrow_schema, conformance,
    };
    use linkspan_testkit::{Answer, Answers};
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
    use serde_json::{Value, json};
    use tempfile::TempDir;

    use super::*;

    fn environment(folder: &Path) -> Environment {
        let outbound = Arc::new(Answers::always(Answer::Unreachable));
        let mut environment = Environment::new(outbound, Arc::new(OpenHosts));
        environment.files = FileAccess::none().with_targets([folder.to_owned()]).unwrap();
        environment
    }

    fn subject(folder: &Path, refused: Vec<Value>) -> conformance::Subject {
        conformance::Subject {
            definition: Definition::of::<Parquet>(),
            environment: environment(folder),
            settings: json!({ "folder": "." }),
            refused,
            cursors: Vec::new(),
        }
    }

    fn batches(path: &Path) -> Vec<RecordBatch> {
        let Ok(file) = fs::File::open(path) else { return Vec::new() };
        let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
        reader.map(Result::unwrap).collect()
    }

    #[tokio::test]
    async fn the_type_keeps_the_contract() {
        let folder = TempDir::new().unwrap();
        let refused = ["absent", "..", "/etc", ""].map(|it| json!({ "folder": it }));
        let subject = subject(folder.path(), refused.into());
        assert_eq!(conformance::of_check(&subject).await, [""; 0]);
        let held = async || {
            let mut held = Vec::new();
            for batch in batches(&folder.path().join("crm.people.parquet")) {
                let ids = batch.column(0).as_primitive::<Int64Type>().values().to_vec();
                let names = batch.column(1).as_string::<i32>();
                held.extend(ids.into_iter().zip(names.iter().map(|it| it.map(str::to_owned))));
            }
            held
        };
        let target = "crm.people".parse().unwrap();
        assert_eq!(conformance::of_sink(&subject, &target, held).await, [""; 0]);
        // A task that was given up is gone when nothing refers to it any more.
        for _ in 0..100 {
            let names: Vec<_> = fs::read_dir(folder.path()).unwrap().collect();
            if names.len() == 1 {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        panic!("files that are not complete stay behind");
    }

    #[tokio::test]
    async fn a_stream_leads_to_no_other_folder() {
        let folder = TempDir::new().unwrap();
        for name in ["../people", "/tmp/people", ".people", "a\\b"] {
            let stream = StreamSpec {
                name: name.parse().unwrap(),
                fields: vec![StreamField {
                    name: "id".to_owned(),
                    kind: FieldKind::Integer,
                    nullable: true,
                }],
                primary_key: Vec::new(),
                cursor_candidates: Vec::new(),
                supports_incremental: false,
            };
            let request = WriteRequest { stream, mode: WriteMode::Replace, push: None };
            let subject = subject(folder.path(), Vec::new());
            let writer = subject.definition.write(subject.settings, request, subject.environment);
            let refused = writer.finish().await.unwrap_err();
            assert!(matches!(refused, Failure::Invalid { .. }), "{name}: {refused:?}");
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn a_large_stream_is_written_in_row_groups() {
        let folder = TempDir::new().unwrap();
        let field = |name: &str, kind| StreamField { name: name.to_owned(), kind, nullable: true };
        let stream = StreamSpec {
            name: "big".parse().unwrap(),
            fields: vec![field("id", FieldKind::Integer), field("at", FieldKind::Timestamp)],
            primary_key: Vec::new(),
            cursor_candidates: Vec::new(),
            supports_incremental: false,
        };
        let schema = arrow_schema(&stream);
        let request = WriteRequest { stream, mode: WriteMode::Replace, push: None };
        let subject = subject(folder.path(), Vec::new());
        let mut writer = subject.definition.write(subject.settings, request, subject.environment);
        // Numbers that no encoding makes small.
        let noise = |at: i64| at.wrapping_mul(-7_046_029_254_386_353_131);
        for batch in 0..30 {
            let ids = (batch * 100_000..(batch + 1) * 100_000).map(noise);
            let ids = arrow_array::Int64Array::from_iter_values(ids);
            let times = arrow_array::TimestampMicrosecondArray::from_iter_values(
                ids.values().iter().copied(),
            );
            let columns: Vec<arrow_array::ArrayRef> =
                vec![Arc::new(ids), Arc::new(times.with_timezone("+00:00"))];
            let records = RecordBatch::try_new(Arc::clone(&schema), columns).unwrap();
            writer.send(Change::Put(records)).await.unwrap();
        }
        writer.finish().await.unwrap();
        let file = fs::File::open(folder.path().join("big.parquet")).unwrap();
        let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
        let groups = reader.metadata().num_row_groups();
        assert!(groups > 1, "{groups} row groups");
        assert_eq!(reader.metadata().file_metadata().num_rows(), 3_000_000);
        let first = reader.build().unwrap().next().unwrap().unwrap();
        assert_eq!(first.column(0).as_primitive::<Int64Type>().value(1), noise(1));
        assert_eq!(first.column(1).null_count(), 0);
    }
}
