//! Writing into PostgreSQL.

use std::{sync::Arc, time::Duration};

use arrow_array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Float64Array, Int64Array, RecordBatch,
    StringArray, Time64MicrosecondArray, TimestampMicrosecondArray,
};
use futures_util::TryStreamExt;
use linkspan_domain::{Fence, FieldKind, StreamField, StreamSpec, SyncLogId, WorkspaceConnectorId};
use linkspan_sdk::{
    Batch, BatchWriter, Change, ChangeKind, Failure, HeldRun, Push, ReadRequest, RecordVersion,
    WriteMode, WriteRequest, arrow_schema, conformance,
};
use linkspan_testkit::TestPostgres;
use serde_json::json;
use sqlx::AssertSqlSafe;

use super::{
    definition, environment,
    postgres::{database, settings},
};

fn spec(name: &str, fields: &[(&str, FieldKind)], primary_key: &[&str]) -> StreamSpec {
    let field =
        |&(name, kind): &(&str, _)| StreamField { name: name.to_owned(), kind, nullable: true };
    StreamSpec {
        name: name.parse().unwrap(),
        fields: fields.iter().map(field).collect(),
        primary_key: primary_key.iter().map(|&it| it.to_owned()).collect(),
        cursor_candidates: Vec::new(),
        supports_incremental: false,
    }
}

fn put(stream: &StreamSpec, columns: Vec<ArrayRef>) -> Change {
    Change::Put(RecordBatch::try_new(arrow_schema(stream), columns).unwrap())
}

fn numbers(numbers: &[i64]) -> ArrayRef {
    Arc::new(Int64Array::from(numbers.to_vec()))
}

fn texts(texts: &[Option<&str>]) -> ArrayRef {
    Arc::new(StringArray::from(texts.to_vec()))
}

fn open(database: &TestPostgres, stream: &StreamSpec, mode: WriteMode) -> BatchWriter {
    let request = WriteRequest { stream: stream.clone(), mode, push: None };
    definition("postgresql").write(settings(database), request, environment())
}

async fn write(
    database: &TestPostgres,
    stream: &StreamSpec,
    mode: WriteMode,
    changes: Vec<Change>,
) -> Result<(), Failure> {
    let mut writer = open(database, stream, mode);
    for change in changes {
        writer.send(change).await?;
    }
    writer.finish().await.map(drop)
}

/// The one text that a statement gives.
async fn says(database: &TestPostgres, statement: &str) -> String {
    let mut connection = database.connect().await;
    let text = sqlx::query_scalar::<_, Option<String>>(AssertSqlSafe(statement.to_owned()));
    text.fetch_one(&mut connection).await.unwrap().unwrap_or_default()
}

/// A push as the worker with the token `fence` of the run `run` makes it.
fn push(database: &TestPostgres, stream: &StreamSpec, run: u128, fence: i64) -> BatchWriter {
    let activation = WorkspaceConnectorId::from_uuid(uuid::Uuid::from_u128(1));
    let id = SyncLogId::from_uuid(uuid::Uuid::from_u128(run));
    let push = Some(Push { activation, run: HeldRun { id, fence: Fence(fence) } });
    let request = WriteRequest { stream: stream.clone(), mode: WriteMode::Upsert, push };
    definition("postgresql").write(settings(database), request, environment())
}

/// The versions of so many records of a generation.
fn versions(generation: i64, count: usize) -> Vec<RecordVersion> {
    let (key, kind) = (String::new(), ChangeKind::Updated);
    vec![RecordVersion { key, kind, begun: 1, generation }; count]
}

#[tokio::test]
async fn a_push_leaves_out_what_the_table_refuses() {
    let database = database(
        "create table t (id int primary key, name varchar(3), n int2 not null);
         create table other (id int primary key); insert into other values (1);
         alter table t add foreign key (n) references other deferrable initially deferred",
    )
    .await;
    let fields = [("id", FieldKind::Integer), ("name", FieldKind::Text), ("n", FieldKind::Integer)];
    let stream = spec("public.t", &fields, &["id"]);
    let mut writer = push(&database, &stream, 1, 1);
    let names = [Some("a"), Some("long"), None, Some("b"), Some("c"), Some("d\0")];
    let n: ArrayRef =
        Arc::new(Int64Array::from(vec![Some(1), Some(1), None, Some(70_000), Some(2), Some(1)]));
    let records = put(&stream, vec![numbers(&[1, 2, 3, 4, 5, 6]), texts(&names), n]);
    writer.push(records, versions(1, 6)).await.unwrap();
    let one: ArrayRef = Arc::new(Int64Array::from(vec![1]));
    writer
        .push(put(&stream, vec![numbers(&[7]), texts(&[Some("e")]), one]), versions(2, 1))
        .await
        .unwrap();
    let refused = writer.finish().await.unwrap();
    let told: Vec<_> = refused.iter().map(|it| (it.change, it.row)).collect();
    assert_eq!(told, [(1, 1), (1, 2), (1, 3), (1, 4), (1, 5)]);
    for (refusal, word) in refused.iter().zip(["too long", "requires", "`n`", "refers", "NUL"]) {
        assert!(refusal.reason.contains(word), "{word}: {}", refusal.reason);
    }
    assert_eq!(says(&database, "select string_agg(id::text, ' ' order by id) from t").await, "1 7");
    database.remove().await;
}

#[tokio::test]
async fn a_worker_whose_run_was_taken_over_writes_nothing_more() {
    let database = database("").await;
    let stream = spec("t", &[("id", FieldKind::Integer), ("name", FieldKind::Text)], &["id"]);
    let record = |name| put(&stream, vec![numbers(&[1]), texts(&[Some(name)])]);
    let mut old = push(&database, &stream, 1, 1);
    let target = old.opened().await.unwrap();
    assert!(target.is_some());
    let mut new = push(&database, &stream, 1, 2);
    assert_eq!(new.opened().await.unwrap(), target, "the table is the same");
    new.push(record("new"), versions(2, 1)).await.unwrap();
    new.finish().await.unwrap();
    // It may not even know yet that it was refused.
    let _ = old.push(record("old"), versions(1, 1)).await;
    assert!(matches!(old.finish().await, Err(Failure::TakenOver)));
    assert!(matches!(push(&database, &stream, 1, 1).opened().await, Err(Failure::TakenOver)));
    assert_eq!(says(&database, "select name from t").await, "new");

    // The next run has the next turn, and finds out that the table is another.
    let mut connection = database.connect().await;
    sqlx::raw_sql("drop table t").execute(&mut connection).await.unwrap();
    let next = push(&database, &stream, 2, 1).opened().await.unwrap();
    assert!(next.is_some() && next != target);
    database.remove().await;
}

const COLUMNS: &str =
    "select string_agg(attname || ' ' || format_type(atttypid, atttypmod), ', ' order by attnum)
  from pg_attribute where attnum > 0 and not attisdropped and attrelid = ";

#[tokio::test]
async fn the_type_keeps_the_rules_of_sinks() {
    let database = database("").await;
    let subject = conformance::Subject {
        definition: definition("postgresql"),
        environment: environment(),
        settings: settings(&database),
        refused: Vec::new(),
        cursors: Vec::new(),
    };
    let held = async || {
        let mut connection = database.connect().await;
        let there = "select to_regclass('crm.people') is not null";
        if !sqlx::query_scalar::<_, bool>(there).fetch_one(&mut connection).await.unwrap() {
            return Vec::new();
        }
        let all = sqlx::query_as("select id, name from crm.people");
        all.fetch_all(&mut connection).await.unwrap()
    };
    let target = "crm.people".parse().unwrap();
    assert_eq!(conformance::of_sink(&subject, &target, held).await, [""; 0]);
    database.remove().await;
}

#[tokio::test]
async fn a_table_read_and_written_is_the_same_table() {
    let database = database(
        "create table t (
           id int primary key, b bool, i2 int2, i8 int8, f4 float4, f8 float8, n numeric, v varchar, d date, tm time,
           ts timestamp, tz timestamptz, u uuid, by bytea, j json, jb jsonb);
         insert into t values (1, true, -2, 9007199254740993, 1.5, 2.5, 123456.7890, 'é', '2026-05-01', '12:34:56.000001',
           '2026-05-01 12:00:00.25', '1969-12-31T23:59:59.5+02', '00000000-0000-0000-0000-00000000000a', '\\x00ff',
           '{\"a\": 1}', '{\"b\": [1, 2]}');
         insert into t values (2, false, 0, 0, 0, 0, 0, '', '0001-01-01', '00:00', '1999-12-31', '9999-12-31T23:59:59Z',
           'ffffffff-ffff-ffff-ffff-ffffffffffff', '', '[]', 'null');
         insert into t (id, n) values (3, 'NaN'), (4, -0.00001), (5, 99999999999999999999999999.5), (6, null);
         create table same (like t including all);",
    )
    .await;
    let (good, subject) = (settings(&database), definition("postgresql"));
    let found = subject.discover(good.clone(), environment()).await.unwrap();
    let source = found.streams.into_iter().find(|it| it.name.as_str() == "public.t").unwrap();
    let batches: Vec<Batch> = subject
        .read(good, ReadRequest::full(source.name.clone()), environment())
        .try_collect()
        .await
        .unwrap();
    // One that is made, one with the very types of the source, and one that is upserted into.
    for (target, mode) in [
        ("made", WriteMode::Replace),
        ("public.same", WriteMode::Replace),
        ("public.same", WriteMode::Upsert),
    ] {
        let stream = StreamSpec { name: target.parse().unwrap(), ..source.clone() };
        let changes = batches.iter().map(|it| Change::Put(it.records.clone())).collect();
        write(&database, &stream, mode, changes).await.unwrap();
    }
    let rows =
        |table: &str| format!("select string_agg(t::text, E'\\n' order by id) from {table} t");
    assert_eq!(says(&database, &rows("same")).await, says(&database, &rows("t")).await);
    let differ = "select count(*)::text from t join made m using (id) where (t.b, t.i2, t.i8, t.f4, t.f8, t.n, t.v, t.d, t.tm,
        t.ts at time zone 'UTC', t.tz, t.u, t.by, t.j::jsonb, t.jb, t.n::text) is not distinct from
      (m.b, m.i2, m.i8, m.f4, m.f8, m.n, m.v, m.d, m.tm, m.ts, m.tz, m.u, m.by, m.j, m.jb, m.n::text)";
    assert_eq!(says(&database, differ).await, "6");
    assert_eq!(
        says(&database, &format!("{COLUMNS} 'made'::regclass")).await,
        "id bigint, b boolean, i2 bigint, i8 bigint, f4 double precision, f8 double precision, n numeric, v text, \
         d date, tm time without time zone, ts timestamp with time zone, tz timestamp with time zone, u uuid, by bytea, \
         j jsonb, jb jsonb"
    );
    database.remove().await;
}

#[tokio::test]
async fn every_kind_has_a_text() {
    let database = database("create table t (id int primary key, v text)").await;
    let arrays: Vec<(FieldKind, ArrayRef, &str)> = vec![
        (FieldKind::Boolean, Arc::new(BooleanArray::from(vec![true])), "true"),
        (FieldKind::Integer, numbers(&[-7]), "-7"),
        (FieldKind::Number, Arc::new(Float64Array::from(vec![2.5])), "2.5"),
        (FieldKind::Date, Arc::new(Date32Array::from(vec![0])), "1970-01-01"),
        (FieldKind::Time, Arc::new(Time64MicrosecondArray::from(vec![1_000_000])), "00:00:01"),
        (
            FieldKind::Timestamp,
            Arc::new(TimestampMicrosecondArray::from(vec![0]).with_timezone("+00:00")),
            "1970-01-01T00:00:00Z",
        ),
        (FieldKind::Decimal, texts(&[Some("1.50")]), "1.50"),
        (FieldKind::Json, texts(&[Some("[1]")]), "[1]"),
    ];
    for (kind, array, expected) in arrays {
        let stream = spec("t", &[("id", FieldKind::Integer), ("v", kind)], &["id"]);
        let change = put(&stream, vec![numbers(&[1]), array]);
        write(&database, &stream, WriteMode::Upsert, vec![change]).await.unwrap();
        assert_eq!(says(&database, "select v from t").await, expected, "{kind}");
    }
    let stream = spec("t", &[("id", FieldKind::Integer), ("v", FieldKind::Binary)], &["id"]);
    let bytes: ArrayRef = Arc::new(BinaryArray::from(vec![&b"x"[..]]));
    let change = put(&stream, vec![numbers(&[1]), bytes]);
    let refused = write(&database, &stream, WriteMode::Upsert, vec![change]).await.unwrap_err();
    assert!(refused.to_string().contains("`v` holds text"), "{refused}");
    database.remove().await;
}

#[tokio::test]
async fn a_table_grows_with_its_stream() {
    let database = database(
        "create table t (id bigint primary key, n bigint, d date, keep text default 'kept', at timestamptz);
         insert into t values (1, 5, '2026-05-01')",
    )
    .await;
    let fields = [
        ("id", FieldKind::Integer),
        ("n", FieldKind::Decimal),
        ("d", FieldKind::Timestamp),
        ("new one", FieldKind::Json),
    ];
    let stream = spec("public.t", &fields, &["id"]);
    let day: ArrayRef = Arc::new(TimestampMicrosecondArray::from(vec![1]).with_timezone("+00:00"));
    let change =
        put(&stream, vec![numbers(&[2]), texts(&[Some("0.10")]), day, texts(&[Some("{\"a\":1}")])]);
    write(&database, &stream, WriteMode::Upsert, vec![change]).await.unwrap();
    assert_eq!(
        says(&database, &format!("{COLUMNS} 't'::regclass")).await,
        "id bigint, n numeric, d timestamp with time zone, keep text, at timestamp with time zone, new one jsonb"
    );
    let rows = "set timezone to 'UTC'; select string_agg(t::text, ' ' order by id) from t";
    assert_eq!(
        says(&database, rows.split_once("; ").unwrap().1).await.replace("+00", ""),
        "(1,5,\"2026-05-01 00:00:00\",kept,,) (2,0.10,\"1970-01-01 00:00:00.000001\",kept,,\"{\"\"a\"\": 1}\")"
    );

    let stream =
        spec("public.t", &[("id", FieldKind::Integer), ("at", FieldKind::Boolean)], &["id"]);
    let flag: ArrayRef = Arc::new(BooleanArray::from(vec![true]));
    let change = put(&stream, vec![numbers(&[1]), flag]);
    let refused = write(&database, &stream, WriteMode::Upsert, vec![change]).await.unwrap_err();
    assert!(matches!(&refused, Failure::Invalid { field, .. } if field == "at"), "{refused:?}");
    assert!(refused.to_string().contains("alter or drop the column"), "{refused}");
    database.remove().await;
}

#[tokio::test]
async fn hostile_names_never_become_statements() {
    let database = database("create table people (id int)").await;
    for name in
        ["people\"; drop table people; --", "people; drop table people", "(select 1)", "a'b"]
    {
        let stream = spec(name, &[("id", FieldKind::Integer)], &[]);
        let refused = write(&database, &stream, WriteMode::Replace, Vec::new()).await.unwrap_err();
        assert!(matches!(refused, Failure::Invalid { .. }), "{name}: {refused:?}");
        assert!(refused.to_string().starts_with(&format!("the stream `{name}`: ")), "{refused}");
        let accepts = definition("postgresql").accepts(&stream.name);
        assert!(accepts.is_err(), "{name} is known to be no good without asking");
        let stream = spec("t", &[(name, FieldKind::Integer)], &[]);
        let refused = write(&database, &stream, WriteMode::Replace, Vec::new()).await.unwrap_err();
        assert!(matches!(refused, Failure::Invalid { .. }), "{name}: {refused:?}");
        assert!(!refused.to_string().contains("drop"), "{refused}");
    }
    let long = "x".repeat(64);
    for stream in [
        spec(&long, &[("id", FieldKind::Integer)], &[]),
        spec("t", &[(&long, FieldKind::Text)], &[]),
    ] {
        let refused = write(&database, &stream, WriteMode::Replace, Vec::new()).await.unwrap_err();
        assert!(matches!(refused, Failure::Invalid { .. }), "{refused:?}");
    }
    // What a database may reasonably call things is quoted.
    let stream = spec(
        "Odd Name.Order & Lines",
        &[("Größe $", FieldKind::Text), ("select", FieldKind::Integer)],
        &["select"],
    );
    let change = put(&stream, vec![texts(&[Some("x")]), numbers(&[1])]);
    write(&database, &stream, WriteMode::Upsert, vec![change.clone(), change]).await.unwrap();
    let count = "select count(*)::text from \"Odd Name\".\"Order & Lines\" where \"Größe $\" = 'x' and \"select\" = 1";
    assert_eq!(says(&database, count).await, "1");
    assert_eq!(says(&database, "select count(*)::text from people").await, "0");
    database.remove().await;
}

#[tokio::test]
async fn what_the_table_cannot_hold_is_told_by_column() {
    let database = database(
        "create table t (id int primary key, small int2, code varchar(3), must text not null default '', j jsonb, n numeric(4,2));
         create table keyless (id int)",
    )
    .await;
    let (int, text) = (FieldKind::Integer, FieldKind::Text);
    for (field, kind, array, words) in [
        ("small", int, numbers(&[70_000]), "too large"),
        ("code", text, texts(&[Some("long")]), "too long"),
        ("must", text, texts(&[None]), "requires one"),
        ("must", text, texts(&[Some("a\0b")]), "NUL character"),
        ("j", FieldKind::Json, texts(&[Some("{\"a\":\"\\u0000\"}")]), "NUL character"),
        ("j", FieldKind::Json, texts(&[Some("{nonsense")]), "cannot keep"),
        ("n", FieldKind::Decimal, texts(&[Some("123.45")]), "too large"),
        ("n", FieldKind::Decimal, texts(&[Some("a few")]), "no decimal"),
    ] {
        let stream = spec("t", &[("id", int), (field, kind)], &["id"]);
        let change = put(&stream, vec![numbers(&[1]), array]);
        for mode in [WriteMode::Upsert, WriteMode::Append] {
            let failed = write(&database, &stream, mode, vec![change.clone()]).await.unwrap_err();
            let said = failed.to_string();
            assert!(matches!(failed, Failure::Invalid { .. }), "{field}: {failed:?}");
            assert!(said.contains(words), "{field}: {said}");
            assert!(field == "n" || said.contains(&format!("`{field}`")), "{field}: {said}");
        }
    }
    let stream = spec("t", &[("id", int)], &["id"]);
    let twice = put(&stream, vec![numbers(&[1, 1])]);
    let failed =
        write(&database, &stream, WriteMode::Append, vec![twice.clone()]).await.unwrap_err();
    assert!(failed.to_string().contains("upsert"), "{failed}");
    let null: ArrayRef = Arc::new(Int64Array::from(vec![None]));
    let null = put(&stream, vec![null]);
    let failed = write(&database, &stream, WriteMode::Upsert, vec![null]).await.unwrap_err();
    assert!(failed.to_string().contains("primary key"), "{failed}");
    let stream = spec("keyless", &[("id", int)], &["id"]);
    let failed = write(&database, &stream, WriteMode::Upsert, vec![twice]).await.unwrap_err();
    assert!(failed.to_string().contains("no unique key"), "{failed}");
    assert_eq!(says(&database, "select count(*)::text from t").await, "0");
    database.remove().await;
}

#[tokio::test]
async fn a_load_that_is_killed_leaves_nothing_half_written() {
    let database =
        database("create table old (id bigint primary key); insert into old values (7)").await;
    let batch = |stream: &StreamSpec, from: i64| {
        put(stream, vec![numbers(&(from..from + 10_000).collect::<Vec<_>>())])
    };
    for (name, mode) in
        [("new", WriteMode::Replace), ("old", WriteMode::Replace), ("fresh", WriteMode::Upsert)]
    {
        let stream = spec(name, &[("id", FieldKind::Integer)], &["id"]);
        let mut writer = open(&database, &stream, mode);
        for at in 0..20 {
            writer.send(batch(&stream, at * 10_000)).await.unwrap();
        }
        assert_eq!(writer.confirmed(), 0);
        drop(writer);
    }
    assert_eq!(says(&database, "select string_agg(id::text, ',') from old").await, "7");
    for _ in 0..100 {
        let left = "select count(*)::text from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()";
        if says(&database, left).await == "0" {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(
        says(&database, "select to_regclass('new')::text || to_regclass('fresh')::text").await,
        ""
    );
    // The server ends a session in the middle of a load.
    let stream = spec("old", &[("id", FieldKind::Integer)], &["id"]);
    let mut writer = open(&database, &stream, WriteMode::Replace);
    writer.send(batch(&stream, 0)).await.unwrap();
    for at in 1..4 {
        writer.send(batch(&stream, at * 10_000)).await.unwrap();
    }
    let end = "select count(pg_terminate_backend(pid))::text from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()";
    assert_eq!(says(&database, end).await, "1");
    let failed = writer.finish().await.unwrap_err();
    assert!(failed.is_retryable(), "{failed:?}");
    assert_eq!(says(&database, "select string_agg(id::text, ',') from old").await, "7");
    database.remove().await;
}

#[tokio::test]
async fn an_upsert_says_what_is_durable_and_touches_only_what_changed() {
    let database = database("create table t (id bigint primary key, name text)").await;
    let stream = spec("t", &[("id", FieldKind::Integer), ("name", FieldKind::Text)], &["id"]);
    let all = put(&stream, vec![numbers(&[1, 2]), texts(&[Some("a"), None])]);
    let mut writer = open(&database, &stream, WriteMode::Upsert);
    writer.send(all.clone()).await.unwrap();
    for _ in 0..100 {
        if writer.confirmed() == 1 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(writer.confirmed(), 1);
    assert_eq!(says(&database, "select count(*)::text from t").await, "2");
    let places = "select string_agg(ctid::text, ' ' order by id) from t";
    let before = says(&database, places).await;
    writer.send(all).await.unwrap();
    writer.finish().await.unwrap();
    assert_eq!(says(&database, places).await, before, "no row was written again");
    database.remove().await;
}

#[tokio::test]
async fn credentials_that_may_not_write_are_told_what_to_grant() {
    let database = database(
        "create table t (id int primary key); drop role if exists linkspan_reader; create role linkspan_reader login;
         grant select on t to linkspan_reader",
    )
    .await;
    let stream = spec("t", &[("id", FieldKind::Integer)], &["id"]);
    let mut as_reader = settings(&database);
    as_reader["username"] = json!("linkspan_reader");
    let request = WriteRequest { stream: stream.clone(), mode: WriteMode::Upsert, push: None };
    let mut writer = definition("postgresql").write(as_reader, request, environment());
    let sent = writer.send(put(&stream, vec![numbers(&[1])])).await;
    let failed = match sent {
        Err(failed) => failed,
        Ok(()) => writer.finish().await.unwrap_err(),
    };
    assert!(failed.to_string().contains("grant"), "{failed}");
    let mut connection = database.connect().await;
    sqlx::raw_sql("drop owned by linkspan_reader; drop role linkspan_reader")
        .execute(&mut connection)
        .await
        .unwrap();
    drop(connection);
    database.remove().await;
}
