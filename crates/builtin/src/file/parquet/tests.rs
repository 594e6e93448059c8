//! What the files in a folder are, and what becomes of pushes that broke off.

use std::{fs, os::unix::fs::symlink, path::Path, sync::Arc};

use arrow_array::{
    Array, ArrayRef, Int64Array, RecordBatch, StringArray, cast::AsArray, types::Int64Type,
};
use linkspan_domain::{Fence, FieldKind, StreamField, StreamSpec, SyncLogId, WorkspaceConnectorId};
use linkspan_sdk::{
    BatchWriter, Change, ChangeKind, Definition, Environment, FileAccess, HeldRun, OpenHosts, Push,
    RecordVersion, arrow_schema, conformance,
};
use linkspan_testkit::{Answer, Answers, journal};
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
        let journal = folder.path().join("crm.people");
        let batches = if journal.exists() {
            journal::last_of_each(&journal_in(&journal))
        } else {
            batches(&folder.path().join("crm.people.parquet"))
        };
        for batch in batches {
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
        let names = [names(folder.path()), names(&folder.path().join("crm.people"))].concat();
        if names.iter().all(|it| !it.starts_with('.')) {
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
        assert!(refused.to_string().starts_with(&format!("the stream `{name}`: ")), "{refused}");
        assert!(Definition::of::<Parquet>().accepts(&name.parse().unwrap()).is_err(), "{name}");
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
        let times =
            arrow_array::TimestampMicrosecondArray::from_iter_values(ids.values().iter().copied());
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

/// The names of what is in `folder`, in order, but that which tells it from others.
fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let names = entries.map(|it| it.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.filter(|it| it != IDENTITY).collect();
    names.sort();
    names
}

fn people() -> StreamSpec {
    let field = |name: &str, kind| StreamField { name: name.to_owned(), kind, nullable: false };
    StreamSpec {
        name: "people".parse().unwrap(),
        fields: vec![field("name", FieldKind::Text), field("id", FieldKind::Integer)],
        primary_key: vec!["id".to_owned()],
        cursor_candidates: Vec::new(),
        supports_incremental: false,
    }
}

fn begin(folder: &Path, stream: StreamSpec) -> BatchWriter {
    let run = HeldRun { id: SyncLogId::from_uuid(Uuid::nil()), fence: Fence(1) };
    let push = Push { activation: WorkspaceConnectorId::from_uuid(Uuid::nil()), run };
    let request = WriteRequest { stream, mode: WriteMode::Journal, push: Some(push) };
    let subject = subject(folder, Vec::new());
    subject.definition.write(subject.settings, request, subject.environment)
}

/// Records with these numbers, all called the same, that changed in a generation.
fn put(ids: &[i64], name: &str, generation: i64) -> (Change, Vec<RecordVersion>) {
    let names: ArrayRef = Arc::new(StringArray::from_iter_values(ids.iter().map(|_| name)));
    let numbers: ArrayRef = Arc::new(Int64Array::from(ids.to_vec()));
    let records = RecordBatch::try_new(arrow_schema(&people()), vec![names, numbers]).unwrap();
    (Change::Put(records), versions(ids, ChangeKind::Added, generation))
}

fn removal(ids: &[i64], generation: i64) -> (Change, Vec<RecordVersion>) {
    let (put, _) = put(ids, "", generation);
    let keys = put.records().project(&[1]).unwrap();
    (Change::Remove(keys), versions(ids, ChangeKind::Deleted, generation))
}

fn versions(ids: &[i64], kind: ChangeKind, generation: i64) -> Vec<RecordVersion> {
    let version = |id: &i64| RecordVersion { key: format!("k{id}"), kind, begun: 5, generation };
    ids.iter().map(version).collect()
}

async fn push(folder: &Path, changes: &[&(Change, Vec<RecordVersion>)]) {
    let mut writer = begin(folder, people());
    for (change, versions) in changes {
        writer.push(change.clone(), versions.clone()).await.unwrap();
    }
    writer.finish().await.unwrap();
}

/// What is in the files of a folder that are complete.
fn journal_in(folder: &Path) -> Vec<RecordBatch> {
    let names = names(folder).into_iter().filter(|it| it.ends_with(".parquet"));
    names.flat_map(|it| batches(&folder.join(it))).collect()
}

/// What counts for a reader.
fn held(folder: &Path) -> Vec<(i64, String)> {
    let rows = journal::last_of_each(&journal_in(&folder.join("people")));
    let row = |it: &RecordBatch| {
        let (names, ids) =
            (it.column(0).as_string::<i32>(), it.column(1).as_primitive::<Int64Type>());
        (ids.value(0), names.value(0).to_owned())
    };
    rows.iter().map(row).collect()
}

#[tokio::test]
async fn a_push_is_a_file_of_changes_with_key_and_position() {
    let folder = TempDir::new().unwrap();
    push(folder.path(), &[&put(&[1, 2], "Ada", 7), &removal(&[3], 4)]).await;
    let names = names(&folder.path().join("people"));
    assert_eq!(names.len(), 1, "{names:?}");
    assert!(names[0].starts_with("0000000005-0000000000000000004-"), "{names:?}");
    let rows = journal_in(&folder.path().join("people"));
    let schema = rows[0].schema();
    let columns: Vec<_> = schema.fields().iter().map(|it| it.name().as_str()).collect();
    let ours = ["_linkspan_change", "_linkspan_key", "_linkspan_position"];
    assert_eq!(columns, [&["name", "id"], &ours[..]].concat());
    let text = |at: usize| {
        rows[0].column(at).as_string::<i32>().iter().map(Option::unwrap).collect::<Vec<_>>()
    };
    assert_eq!(text(2), ["ADDED", "ADDED", "DELETED"]);
    assert_eq!(text(3), ["k1", "k2", "k3"]);
    assert_eq!(text(4)[1..], ["0000000005-0000000000000000007", "0000000005-0000000000000000004"]);
    assert!(rows[0].column(0).is_null(2), "what is gone has a key and nothing else");
    assert_eq!(rows[0].column(1).as_primitive::<Int64Type>().value(2), 3);
}

#[tokio::test]
async fn a_push_that_is_repeated_changes_nothing_however_it_is_cut() {
    let folder = TempDir::new().unwrap();
    let (first, second, third) = (put(&[1, 2, 3], "a", 1), put(&[2], "b", 2), removal(&[3], 3));
    push(folder.path(), &[&first, &second, &third]).await;
    let expected = [(1, "a".to_owned()), (2, "b".to_owned())];
    assert_eq!(held(folder.path()), expected);
    let before = names(&folder.path().join("people"));
    push(folder.path(), &[&first, &second, &third]).await;
    assert_eq!(names(&folder.path().join("people")), before, "the same has the same name");
    for cut in [vec![&first], vec![&third, &second], vec![&second]] {
        push(folder.path(), &cut).await;
        assert_eq!(held(folder.path()), expected);
    }
    push(folder.path(), &[]).await;
    assert_eq!(names(&folder.path().join("people")).len(), 4, "nothing is no file");
}

#[tokio::test]
async fn what_a_crash_left_behind_is_not_seen_and_goes_with_the_next_push() {
    let folder = TempDir::new().unwrap();
    let own = folder.path().join("people");
    let mut broken = begin(folder.path(), people());
    let (change, versions) = put(&[1], "lost", 1);
    broken.push(change, versions).await.unwrap();
    drop(broken);
    fs::create_dir_all(&own).unwrap();
    fs::write(own.join(".linkspan-abc"), "PAR1 and no end").unwrap();
    assert_eq!(held(folder.path()), []);
    push(folder.path(), &[&put(&[1], "kept", 1)]).await;
    assert_eq!(held(folder.path()), [(1, "kept".to_owned())]);
    assert_eq!(names(&own).len(), 1);
}

#[tokio::test]
async fn files_are_confirmed_when_they_are_there() {
    let folder = TempDir::new().unwrap();
    let mut writer = begin(folder.path(), people());
    // Names that no encoding makes small.
    let name = |seed: i64| -> String {
        let word =
            |at: i64| format!("{:x}", (seed * 4_096 + at).wrapping_mul(-7_046_029_254_386_353_131));
        (0..512).map(word).collect()
    };
    for id in 0..8_000 {
        let (change, versions) = put(&[id], &name(id), 1);
        writer.push(change, versions).await.unwrap();
    }
    let confirmed = writer.confirmed();
    assert!(confirmed > 0, "the first file is full");
    let rows = held(folder.path()).len();
    assert!(rows as u64 >= confirmed, "{rows} of {confirmed} that are confirmed");
    writer.finish().await.unwrap();
    assert_eq!(held(folder.path()).len(), 8_000);
}

#[tokio::test]
async fn a_push_makes_a_file_of_what_it_is_asked_to_keep_and_goes_on_in_the_open_folder() {
    let folder = TempDir::new().unwrap();
    let own = folder.path().join("people");
    let mut writer = begin(folder.path(), people());
    writer.opened().await.unwrap();
    // Whoever opens the folder removes it.
    fs::write(own.join(".linkspan-abc"), "another's").unwrap();
    let mut files = Vec::new();
    for (ids, name) in [([1, 2], "a"), ([3, 4], "b")] {
        for id in ids {
            let (change, versions) = put(&[id], name, id);
            writer.push(change, versions).await.unwrap();
        }
        let (refused, going_on) = writer.flush().await.unwrap();
        assert_eq!(refused, []);
        writer = going_on.expect("it goes on");
        assert_eq!(writer.confirmed(), u64::try_from(held(folder.path()).len()).unwrap());
        files.push(names(&own).into_iter().filter(|it| it.ends_with(".parquet")).count());
    }
    let (refused, going_on) = writer.flush().await.unwrap();
    assert_eq!(refused, [], "there is nothing to wait for");
    going_on.expect("it goes on").finish().await.unwrap();
    assert_eq!(files, [1, 2]);
    assert_eq!(held(folder.path()).len(), 4);
    assert!(own.join(".linkspan-abc").exists());
}

#[tokio::test]
async fn what_cannot_be_journaled_is_told() {
    let folder = TempDir::new().unwrap();
    let mut taken = people();
    taken.fields[0].name = "_linkspan_key".to_owned();
    let refused = begin(folder.path(), taken).finish().await.unwrap_err();
    assert!(refused.to_string().contains("_linkspan_key"), "{refused}");

    let outside = TempDir::new().unwrap();
    symlink(outside.path(), folder.path().join("people")).unwrap();
    let refused = begin(folder.path(), people()).finish().await.unwrap_err();
    assert!(matches!(refused, Failure::Refused(_)), "{refused:?}");
}

#[test]
fn a_folder_that_takes_nothing_is_named_as_the_person_did() {
    let folder = Folder { path: PathBuf::new(), called: "lake" };
    for (kind, says) in [
        (ErrorKind::PermissionDenied, "the folder `lake` may not be written to; ask"),
        (ErrorKind::StorageFull, "the folder `lake` could not be reached"),
    ] {
        let failure = folder.unwritable(kind.into()).to_string();
        assert!(failure.starts_with(says), "{failure}");
    }
}
