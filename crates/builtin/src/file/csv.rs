//! A CSV file, uploaded or in a folder that the operator opened.

use std::sync::Arc;

use linkspan_domain::Category;
use linkspan_sdk::{
    BatchSink, CheckOutcome, ConnectorType, Cx, Discovered, Failure, ReadRequest, Source,
    SourceEntry, source,
};
use schemars::JsonSchema;
use semver::Version;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::delimited::{FileState, Format, LastLayout, Table, stream_name};

pub(crate) struct Csv;

impl ConnectorType for Csv {
    const KEY: &'static str = "csv";
    const TITLE: &'static str = "CSV file";
    const VERSION: Version = Version::new(1, 0, 0);
    const CATEGORY: Category = Category::File;
    const TAGS: &'static [&'static str] = &["file", "upload", "tsv", "delimited"];
    const IS_QUERYABLE: bool = true;
    type Settings = Settings;
    type Shared = LastLayout;

    fn source() -> Option<SourceEntry<Self>> {
        Some(source::<Self>())
    }

    fn accept(settings: &Settings) -> Result<(), Failure> {
        settings.format.accept()
    }

    fn place(settings: &Settings) -> Option<Value> {
        Some(json!({ "path": settings.path }))
    }

    async fn check(cx: &Cx<Self>) -> Result<CheckOutcome, Failure> {
        open(cx).await?.check().await
    }
}

/// Reads the records of a file of comma-separated values, or values separated by something else.
///
/// The types of the columns are those that all rows fit. Blank lines are skipped, empty fields are
/// null. The file may be compressed with gzip. It is read as a whole each time; with a cursor, only the rows
/// at or after it are passed on.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    /// The path of the file: that of an upload of the workspace, or one below a folder that the operator opened.
    #[schemars(length(min = 1))]
    path: String,
    #[serde(flatten)]
    format: Format,
}

impl Source for Csv {
    async fn discover(cx: &Cx<Self>) -> Result<Discovered, Failure> {
        Ok(vec![open(cx).await?.spec().await?].into())
    }

    async fn read(cx: &Cx<Self>, request: ReadRequest, out: &mut BatchSink) -> Result<(), Failure> {
        open(cx).await?.read(request, out).await
    }
}

/// How many times as large a compressed file may become. Text rarely gets ten times as large; a trap gets a thousand.
const EXPANSION: u64 = 20;

async fn open(cx: &Cx<Csv>) -> Result<Table, Failure> {
    let Settings { path, format } = &cx.settings;
    let local = cx.files.open(path).await?;
    let limit = cx.limits.file_bytes;
    if local.bytes > limit {
        return Err(Failure::TooLarge { what: format!("the file `{path}`"), limit });
    }
    let file_name = local.path.file_name().and_then(|it| it.to_str()).unwrap_or_default();
    let text = limit.saturating_mul(EXPANSION);
    let (name, state) = (stream_name(file_name)?, FileState::of(&local).await);
    let table = Table::new(name, local.file, text, format)?;
    Ok(table.remembered_by(Arc::clone(&cx.shared), state))
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        sync::Arc,
        time::{Duration, SystemTime},
    };

    use arrow_array::RecordBatch;
    use async_compression::tokio::write::GzipEncoder;
    use futures_util::{StreamExt, TryStreamExt};
    use linkspan_domain::{Cursor, CursorType, FieldKind, StreamField};
    use linkspan_sdk::{
        Batch, BatchLimits, CursorSpec, Definition, Environment, FileAccess, OpenHosts, ReadMode,
        conformance,
    };
    use linkspan_testkit::{Answer, Answers};
    use serde_json::{Value, json};
    use tempfile::TempDir;
    use tokio::io::AsyncWriteExt;

    use super::{Csv, Failure, ReadRequest};

    /// A folder with one file in it, open to the type.
    struct Folder {
        dir: TempDir,
        environment: Environment,
    }

    fn folder(name: &str, text: impl AsRef<[u8]>) -> Folder {
        let dir = TempDir::new().unwrap();
        fs::write(dir.path().join(name), text).unwrap();
        let outbound = Arc::new(Answers::always(Answer::Unreachable));
        let mut environment = Environment::new(outbound, Arc::new(OpenHosts));
        environment.files = FileAccess::within([dir.path().to_owned()]).unwrap();
        Folder { dir, environment }
    }

    async fn fields(text: impl AsRef<[u8]>) -> Result<Vec<(String, FieldKind)>, Failure> {
        let folder = folder("t.csv", text);
        let settings = json!({ "path": "t.csv" });
        let found = Definition::of::<Csv>().discover(settings, folder.environment).await?;
        let fields = found.streams.into_iter().flat_map(|it| it.fields);
        Ok(fields.map(|StreamField { name, kind, .. }| (name, kind)).collect())
    }

    async fn read(
        folder: &Folder,
        settings: Value,
        mode: ReadMode,
        batch: BatchLimits,
    ) -> Result<Vec<Batch>, Failure> {
        let stream = "t".parse().unwrap();
        let request = ReadRequest { stream, mode, filter: Vec::new(), batch };
        let environment = folder.environment.clone();
        let mut read = Definition::of::<Csv>().read(settings, request, environment);
        let mut batches = Vec::new();
        while let Some(batch) = read.next().await {
            batches.push(batch?);
        }
        Ok(batches)
    }

    /// The rows of a file as JSON.
    async fn rows(text: impl AsRef<[u8]>) -> Result<Value, Failure> {
        let folder = folder("t.csv", text);
        let settings = json!({ "path": "t.csv" });
        let batches = read(&folder, settings, ReadMode::Full, BatchLimits::default()).await?;
        Ok(json(&batches))
    }

    fn json(batches: &[Batch]) -> Value {
        let records: Vec<&RecordBatch> = batches.iter().map(|it| &it.records).collect();
        let mut writer = arrow_json::ArrayWriter::new(Vec::new());
        writer.write_batches(&records).unwrap();
        writer.finish().unwrap();
        let text = writer.into_inner();
        if text.is_empty() { json!([]) } else { serde_json::from_slice(&text).unwrap() }
    }

    fn people() -> String {
        let row = |at: i32| format!("{at},\"Name, {at}\",2026-01-{:02}T00:00:00Z\n", at % 28 + 1);
        format!("id,name,updated_at\n{}", (0..20).map(row).collect::<String>())
    }

    #[tokio::test]
    async fn columns_are_what_their_values_are() {
        let text = "\u{feff}id,price,at,note,,id\n1,2.50,2026-01-31,x,,1\n2,3,,\"y\nz\",,x\n";
        let expect = [
            ("id", FieldKind::Integer),
            ("price", FieldKind::Number),
            ("at", FieldKind::Date),
            ("note", FieldKind::Text),
            ("column_5", FieldKind::Text),
            ("id_2", FieldKind::Text),
        ];
        let expect: Vec<_> = expect.map(|(name, kind)| (name.to_owned(), kind)).into();
        assert_eq!(fields(text).await.unwrap(), expect);
    }

    #[tokio::test]
    async fn a_late_value_that_does_not_fit_makes_the_column_text() {
        let lines: Vec<_> = (0..50_000).map(|at| at.to_string()).collect();
        let text = format!("id\n{}\nn/a\n", lines.join("\n"));
        assert_eq!(fields(&text).await.unwrap()[0].1, FieldKind::Text);
        let rows = rows(&text).await.unwrap();
        assert_eq!(rows.as_array().unwrap().len(), 50_001);
        assert_eq!(rows[7], json!({ "id": "7" }));
        assert_eq!(rows[50_000], json!({ "id": "n/a" }));
    }

    #[tokio::test]
    async fn a_file_that_changed_after_its_columns_were_found_is_looked_through_again() {
        let folder = folder("t.csv", "id\n1\n2\n");
        let settings = json!({ "path": "t.csv" });
        let path = folder.dir.path().join("t.csv");
        let file = fs::File::options().write(true).open(&path).unwrap();
        let long_ago = SystemTime::now() - Duration::from_mins(5);
        file.set_modified(long_ago).unwrap();
        let definition = Definition::of::<Csv>();
        let mut kinds = Vec::new();
        for text in ["id\n1\n2\n", "id\nx\n2\n"] {
            fs::write(&path, text).unwrap();
            // The second time, a moment later.
            file.set_modified(long_ago + Duration::from_secs(kinds.len() as u64)).unwrap();
            for _ in 0..2 {
                let found = definition.discover(settings.clone(), folder.environment.clone()).await;
                kinds.push(found.unwrap().streams[0].fields[0].kind);
            }
            let request = ReadRequest::full("t".parse().unwrap());
            let read = definition.read(settings.clone(), request, folder.environment.clone());
            let batches: Vec<_> = read.try_collect().await.unwrap();
            let id = if kinds.len() == 2 { json!(1) } else { json!("x") };
            assert_eq!(json(&batches)[0], json!({ "id": id }));
        }
        assert_eq!(kinds, [[FieldKind::Integer; 2], [FieldKind::Text; 2]].concat());
    }

    #[tokio::test]
    async fn every_way_to_end_a_line_gives_the_same_rows() {
        let expect = json!([{ "a": 1, "b": "x" }, { "a": 2, "b": "y" }]);
        for text in [
            "a,b\n1,x\n2,y\n",
            "a,b\n1,x\n2,y",
            "a,b\r\n1,x\r\n2,y\r\n",
            "a,b\r\n1,x\r\n2,y",
            "a,b\r1,x\r2,y\r",
            "\u{feff}a,b\n\n1,x\n\n2,y\n\n\n",
            "a;b\n1;x\n2;y\n",
            "a\tb\n1\tx\n2\ty\n",
        ] {
            assert_eq!(rows(text).await.unwrap(), expect, "{text:?}");
        }
    }

    #[tokio::test]
    async fn batches_keep_their_limits_wherever_pieces_of_the_file_end() {
        let lines = (0..3000).map(|at| format!("{at},\"{}\"", "ä\n".repeat(at % 97)));
        let text = format!("id,text\n{}\r\n", lines.collect::<Vec<_>>().join("\r\n"));
        let folder = folder("t.csv", &text);
        let expect = rows(&text).await.unwrap();
        for (rows, bytes) in [(1, 1), (7, 1 << 20), (10_000, 1000), (10_000, 1 << 30)] {
            let limits = BatchLimits { rows, bytes };
            let settings = json!({ "path": "t.csv" });
            let batches = read(&folder, settings, ReadMode::Full, limits).await.unwrap();
            assert_eq!(json(&batches), expect);
            assert!(batches.iter().all(|it| it.records.num_rows() <= rows));
            if bytes == 1000 {
                assert!(batches.len() > 300, "{}", batches.len());
            }
        }
    }

    #[tokio::test]
    async fn a_ragged_row_is_named() {
        for text in ["a,b\n1,2\n\"x\ny\",2\n3\n", "\r\na,b\r\n1,2\r\n\r\n3\r\n"] {
            let failure = rows(text).await.unwrap_err();
            let says =
                "the file `t` cannot be read at line 5: it has 1 fields where there are 2 columns";
            assert_eq!(failure.to_string(), says);
        }
    }

    #[tokio::test]
    async fn a_file_that_ends_within_quotes_is_refused_at_the_line_of_the_quote() {
        // Across the border of the pieces that are looked at together, too.
        let long = format!("a,b\n{}1,\"x\n\ny", "1,2\n".repeat(40_000));
        let quoted = format!("a,b\n1,\"{}", "line\n".repeat(40_000));
        for (text, line) in [
            ("a,b\n1,\"x", 2),
            ("a,b\r\n\r\n1,\"x\r\ny", 3),
            ("a,b\n\"x\ny\",\"z \"\" ,\n", 3),
            ("\"a,b\n1,2\n", 1),
            ("a,b\n1,\"", 2),
            (&long, 40_002),
            (&quoted, 2),
        ] {
            let mut gzip = GzipEncoder::new(Vec::new());
            gzip.write_all(text.as_bytes()).await.unwrap();
            gzip.shutdown().await.unwrap();
            for bytes in [text.as_bytes().to_vec(), gzip.into_inner()] {
                let refused = rows(bytes).await.unwrap_err().to_string();
                let place = format!("at line {line}: a quote that is opened there");
                assert!(refused.contains(&place), "{refused}");
            }
        }
        for whole in ["a,b\n1,\"x\"", "a,b\n1,x\"", "a,b\n1,\"\"", "a,b\n1,", "a,b\n1,\"x\"\"\"\n"]
        {
            assert_eq!(rows(whole).await.unwrap().as_array().unwrap().len(), 1, "{whole:?}");
        }
    }

    #[tokio::test]
    async fn what_is_no_table_in_utf_8_says_so() {
        for (text, says) in [
            (&b""[..], "it is empty"),
            (b"\xff\xfea\0", "it is not in UTF-8; save it as UTF-8"),
            (b"a,b\n\xe9,1\n", "it is not in UTF-8; save it as UTF-8"),
            (b"a,b\n\xc3,\xa9\n", "it is not in UTF-8; save it as UTF-8"),
            (b"\x1f\x8b\x08broken", "it is compressed, and broken or cut off"),
        ] {
            match rows(text).await {
                Err(Failure::Malformed { reason, .. }) => assert_eq!(reason, says),
                other => panic!("{text:?}: {other:?}"),
            }
        }
    }

    #[tokio::test]
    async fn a_compressed_file_is_read_like_any_other() {
        let mut gzip = GzipEncoder::new(Vec::new());
        gzip.write_all(b"a,b\n1,2\n").await.unwrap();
        gzip.shutdown().await.unwrap();
        let mut whole = gzip.into_inner();
        // Files that were compressed piece by piece have several members.
        whole.extend(whole.clone());
        let rows = rows(whole).await.unwrap();
        assert_eq!(
            rows,
            json!([{ "a": "1", "b": "2" }, { "a": "a", "b": "b" }, { "a": "1", "b": "2" }])
        );
    }

    #[tokio::test]
    async fn a_file_is_bounded_as_it_lies_there_and_a_trap_when_it_unfolds() {
        let settings = json!({ "path": "t.csv" });
        let discover = async |text: Vec<u8>, limit: u64| {
            let mut folder = folder("t.csv", text);
            folder.environment.limits.file_bytes = limit;
            Definition::of::<Csv>().discover(settings.clone(), folder.environment).await
        };
        let plain = b"a\n1\n".to_vec();
        assert!(discover(plain.clone(), 4).await.is_ok());
        let refused = discover(plain, 3).await;
        assert!(matches!(refused, Err(Failure::TooLarge { limit: 3, .. })), "{refused:?}");
        let mut gzip = GzipEncoder::new(Vec::new());
        gzip.write_all(format!("a\n{}", "1\n".repeat(500_000)).as_bytes()).await.unwrap();
        gzip.shutdown().await.unwrap();
        let trap = gzip.into_inner();
        let bytes = trap.len() as u64;
        assert!(discover(trap.clone(), 60_000).await.is_ok());
        let refused = discover(trap, bytes).await;
        assert!(matches!(refused, Err(Failure::TooLarge { .. })), "{refused:?}");
    }

    #[tokio::test]
    async fn settings_say_how_the_file_is_written() {
        let folder = folder("t.csv", "1|'a|b'|NULL\n2||-\n");
        let settings = json!({
            "path": "t.csv", "delimiter": "|", "quote": "'", "has_header": false,
            "null_values": ["NULL", "-"], "primary_key": ["column_1"],
        });
        let found = Definition::of::<Csv>()
            .discover(settings.clone(), folder.environment.clone())
            .await
            .unwrap();
        assert_eq!(found.streams[0].primary_key, ["column_1"]);
        let batches =
            read(&folder, settings, ReadMode::Full, BatchLimits::default()).await.unwrap();
        assert_eq!(
            json(&batches),
            json!([{ "column_1": 1, "column_2": "a|b" }, { "column_1": 2 }])
        );
    }

    #[tokio::test]
    async fn an_unknown_key_column_is_refused() {
        let folder = folder("t.csv", "a\n1\n");
        let settings = json!({ "path": "t.csv", "primary_key": ["b"] });
        let csv = Definition::of::<Csv>();
        let failure = csv.discover(settings, folder.environment).await.unwrap_err();
        let says = "settings: `primary_key` names a column that the file lacks";
        assert_eq!(failure.to_string(), says);
    }

    #[tokio::test]
    async fn rows_at_the_cursor_and_rows_without_one_are_read_again() {
        let folder = folder("t.csv", "id,n\n1,3\n2,1\n3,\n4,2\n5,3\n");
        let cursor = CursorSpec { column: "n".to_owned(), cursor_type: CursorType::Int };
        let mode = ReadMode::Incremental { cursor, after: Some(Cursor::Int(2)) };
        let limits = BatchLimits { rows: 2, bytes: 1000 };
        let batches = read(&folder, json!({ "path": "t.csv" }), mode, limits).await.unwrap();
        let ids = json(&batches);
        let ids: Vec<_> = ids.as_array().unwrap().iter().map(|it| &it["id"]).collect();
        assert_eq!(ids, [&json!(1), &json!(3), &json!(4), &json!(5)]);
        let cursors: Vec<_> = batches.iter().map(|it| it.cursor.clone()).collect();
        assert_eq!(cursors, [None, None, Some(Cursor::Int(3))]);
    }

    #[tokio::test]
    async fn a_cursor_of_the_wrong_type_is_refused() {
        let folder = folder("t.csv", "id\nx\n");
        let cursor = CursorSpec { column: "id".to_owned(), cursor_type: CursorType::Int };
        let mode = ReadMode::Incremental { cursor, after: None };
        let failure = read(&folder, json!({ "path": "t.csv" }), mode, BatchLimits::default()).await;
        let says = "request: `cursor_column` holds text, so the cursor type must be text";
        assert_eq!(failure.unwrap_err().to_string(), says);
    }

    #[tokio::test]
    async fn the_type_keeps_the_contract() {
        let folder = folder("people.csv", people());
        fs::write(folder.dir.path().join("empty.csv"), "").unwrap();
        let cursor = |column: &str, cursor_type| {
            ("people".parse().unwrap(), CursorSpec { column: column.to_owned(), cursor_type })
        };
        let subject = conformance::Subject {
            definition: Definition::of::<Csv>(),
            environment: folder.environment.clone(),
            settings: json!({ "path": "people.csv", "primary_key": ["id"] }),
            refused: vec![
                json!({ "path": "absent.csv" }),
                json!({ "path": "../people.csv" }),
                json!({ "path": "empty.csv" }),
                json!({ "path": "people.csv", "delimiter": "ab" }),
                json!({}),
            ],
            cursors: vec![
                cursor("id", CursorType::Int),
                cursor("updated_at", CursorType::Timestamp),
                cursor("name", CursorType::Text),
            ],
        };
        assert_eq!(conformance::of_check(&subject).await, [""; 0]);
        assert_eq!(conformance::of_source(&subject).await, [""; 0]);
    }
}
