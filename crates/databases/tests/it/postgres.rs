//! The PostgreSQL types against a real server.

use arrow_array::{Array, cast::AsArray, types};
use futures_util::TryStreamExt;
use linkspan_domain::{Cursor, CursorType, FieldKind, StreamSpec};
use linkspan_sdk::{Batch, CursorSpec, Failure, Omission, Omitted, ReadRequest, conformance};
use linkspan_testkit::TestPostgres;
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;

use super::{definition, environment, ids};

pub(crate) async fn database(statements: &str) -> TestPostgres {
    let database = TestPostgres::create().await;
    let mut connection = database.connect().await;
    sqlx::raw_sql(AssertSqlSafe(statements.to_owned())).execute(&mut connection).await.unwrap();
    database
}

pub(crate) fn settings(database: &TestPostgres) -> Value {
    let server = database.server();
    json!({
        "host": server.host_str(), "port": server.port().unwrap_or(5432), "database": database.name(),
        "username": server.username(), "password": server.password().unwrap_or("unused"),
    })
}

async fn read(settings: &Value, request: ReadRequest) -> Result<Vec<Batch>, Failure> {
    definition("postgresql").read(settings.clone(), request, environment()).try_collect().await
}

async fn stream(settings: &Value, name: &str) -> StreamSpec {
    let found = definition("postgresql").discover(settings.clone(), environment()).await.unwrap();
    found.streams.into_iter().find(|it| it.name.as_str() == name).unwrap()
}

const PEOPLE: &str = "
create table people (id int primary key, name text not null, seen timestamptz, code text);
insert into people values (1, 'Ada', '2026-01-01T00:00:00Z', 'b'), (2, 'Ben', '2026-01-02T00:00:00Z', 'a'),
  (3, 'Cyd', '2026-01-02T00:00:00Z', 'B'), (4, 'Dee', null, 'é'), (5, 'Eve', '2026-01-03T00:00:00.000001Z', null);";

#[tokio::test]
async fn both_types_keep_the_rules_of_connectors() {
    let database = database(PEOPLE).await;
    let good = settings(&database);
    let refused = |field: &str, value: Value| {
        let mut settings = good.clone();
        settings[field] = value;
        settings
    };
    let cursor = |column: &str, cursor_type| {
        ("public.people".parse().unwrap(), CursorSpec { column: column.to_owned(), cursor_type })
    };
    let subject = conformance::Subject {
        definition: definition("postgresql"),
        environment: environment(),
        settings: good.clone(),
        refused: vec![
            refused("username", json!("nobody_of_that_name")),
            refused("database", json!("no_such_database")),
            refused("port", json!(1)),
        ],
        cursors: vec![
            cursor("id", CursorType::Int),
            cursor("seen", CursorType::Timestamp),
            cursor("code", CursorType::Text),
        ],
    };
    assert_eq!(conformance::of_check(&subject).await, [""; 0]);
    assert_eq!(conformance::of_source(&subject).await, [""; 0]);

    let subject = conformance::Subject {
        definition: definition("postgres_identity"),
        environment: environment(),
        settings: json!({ "connection_string": database.url(), "table": "people" }),
        refused: vec![json!({ "connection_string": database.url(), "table": "nobody" })],
        cursors: vec![cursor("id", CursorType::Int)],
    };
    assert_eq!(conformance::of_check(&subject).await, [""; 0]);
    assert_eq!(conformance::of_source(&subject).await, [""; 0]);
    database.remove().await;
}

#[tokio::test]
async fn an_unknown_user_is_asked_to_correct_the_credentials() {
    let database = database("").await;
    let mut settings = settings(&database);
    settings["username"] = json!("nobody_of_that_name");
    let refused = definition("postgresql").check(settings, environment()).await.unwrap_err();
    assert!(matches!(refused, Failure::Unauthorized), "{refused:?}");
    database.remove().await;
}

#[tokio::test]
async fn a_database_that_is_not_there_is_named() {
    let database = database("select 1").await;
    let mut absent = settings(&database);
    absent["database"] = json!("no_such_database");
    let refused = definition("postgresql").check(absent, environment()).await.unwrap_err();
    let Failure::NotFound(what) = &refused else { panic!("{refused:?}") };
    assert!(what.starts_with("the database `no_such_database` of "), "{what}");
    database.remove().await;
}

#[tokio::test]
async fn a_certificate_that_does_not_hold_is_no_outage() {
    let database = database("").await;
    let mut settings = settings(&database);
    settings["sslmode"] = json!("verify-ca");
    // Whether the server shows one that it signed itself, or none.
    let refused = definition("postgresql").check(settings, environment()).await.unwrap_err();
    assert!(matches!(&refused, Failure::Refused(it) if it.contains("`sslmode`")), "{refused:?}");
    database.remove().await;
}

#[tokio::test]
async fn tables_views_and_their_keys_are_discovered() {
    let database = database(
        "create schema \"Odd Name\"; create table \"Odd Name\".\"Order Lines\" (b int, a int, primary key (a, b));
         create view v as select 1 as one; create table secret (x int); create table \"a/b\" (x int);
         create table _linkspan_pushes (x int);
         create table parted (id int) partition by range (id); create table part partition of parted for values from (0) to (9);",
    )
    .await;
    let found =
        definition("postgresql").discover(settings(&database), environment()).await.unwrap();
    let left_out: Vec<_> = found.left_out.0.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(left_out, ["public.a/b"]);
    let found = found.streams;
    let names: Vec<_> = found.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(names, ["Odd Name.Order Lines", "public.parted", "public.secret", "public.v"]);
    assert_eq!(found[0].primary_key, ["a", "b"], "in the order of the key, not of the table");
    database.remove().await;
}

#[tokio::test]
async fn what_a_login_may_not_read_is_named_and_is_no_stream_and_no_key() {
    let role = "linkspan_reader_of_some";
    let database = database(&format!(
        "create table open (a int, b int, primary key (a, b)); create table closed (id int primary key);
         create schema hidden; create table hidden.t (id int);
         do $$ begin create role {role} login; exception when duplicate_object then null; end $$;
         grant usage on schema public to {role}; grant select (a) on open to {role};
         grant insert on closed to {role};",
    ))
    .await;
    let mut settings = settings(&database);
    settings["username"] = json!(role);
    let found = definition("postgresql").discover(settings, environment()).await.unwrap();
    let closed = Omitted { name: "public.closed".to_owned(), reason: Omission::MissingPermission };
    assert_eq!(found.left_out.0, [closed], "nothing of schemas that are closed");
    assert!(found.left_out.to_string().contains("\"public.closed\"; grant SELECT"));
    let open = &found.streams[0];
    let fields: Vec<_> = open.fields.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(
        (found.streams.len(), open.name.as_str(), &fields[..]),
        (1, "public.open", &["a"][..])
    );
    assert_eq!(open.primary_key, [""; 0], "half a key names no records");
    database.remove().await;
}

#[tokio::test]
async fn values_of_every_type_arrive_whole() {
    let database = database(
        "create type mood as enum ('glad'); create table t (
           b bool, i2 int2, i4 int4, i8 int8, f4 float4, f8 float8, n numeric, c char(3), v varchar, d date, tm time, ts timestamp,
           tz timestamptz, u uuid, by bytea, j json, jb jsonb, l int[], m mood, iv interval, ip inet);
         insert into t values (true, -2, 4, 9007199254740993, 1.5, 2.5, 123456.7890, 'ab', 'é', '2026-05-01', '12:34:56.000001',
           '2026-05-01 12:00:00.25', '2026-05-01T12:00:00+02', '00000000-0000-0000-0000-00000000000a', '\\x00ff',
           '{\"a\": 1}', '{\"b\": [1, 2]}', '{1,2}', 'glad', '1 day', '10.0.0.1');
         insert into t (d, ts) values ('infinity', '-infinity');",
    )
    .await;
    let settings = settings(&database);
    let spec = stream(&settings, "public.t").await;
    let batches = read(&settings, ReadRequest::full("public.t".parse().unwrap())).await.unwrap();
    let records = &batches[0].records;
    let text =
        |name: &str| records.column_by_name(name).unwrap().as_string::<i32>().value(0).to_owned();
    let long = |name: &str| {
        records.column_by_name(name).unwrap().as_primitive::<types::Int64Type>().value(0)
    };
    assert_eq!((long("i2"), long("i4"), long("i8")), (-2, 4, 9_007_199_254_740_993));
    for (name, value) in [
        ("n", "123456.7890"),
        ("c", "ab "),
        ("v", "é"),
        ("u", "00000000-0000-0000-0000-00000000000a"),
        ("j", "{\"a\": 1}"),
        ("jb", "{\"b\": [1, 2]}"),
        ("l", "[1,2]"),
        ("m", "glad"),
        ("iv", "1 day"),
        ("ip", "10.0.0.1/32"),
    ] {
        assert_eq!(text(name), value, "{name}");
    }
    let stamps = records.column_by_name("tz").unwrap();
    let stamps = stamps.as_primitive::<types::TimestampMicrosecondType>();
    assert_eq!(stamps.value(0), 1_777_629_600_000_000);
    assert_eq!(spec.field("n").unwrap().kind, FieldKind::Decimal);
    assert_eq!(spec.field("l").unwrap().kind, FieldKind::Json);
    assert!(records.columns().iter().all(|it| it.is_valid(0)), "nothing is lost");
    let days = records.column_by_name("d").unwrap().as_primitive::<types::Date32Type>();
    assert_eq!(days.value(1), 2_932_896, "infinity is the last day that RFC 3339 can write");
    database.remove().await;
}

#[tokio::test]
async fn an_incremental_read_starts_at_the_boundary_and_keeps_rows_without_a_cursor() {
    let database = database(PEOPLE).await;
    let settings = settings(&database);
    let spec = CursorSpec { column: "seen".to_owned(), cursor_type: CursorType::Timestamp };
    let request =
        |after| ReadRequest::incremental("public.people".parse().unwrap(), spec.clone(), after);

    let all = read(&settings, request(None)).await.unwrap();
    assert_eq!(ids(&all), [4, 1, 2, 3, 5]);
    assert_eq!(all[0].cursor, None, "rows without a cursor value move no mark");

    let after = Cursor::parse(CursorType::Timestamp, "2026-01-02T00:00:00Z").unwrap();
    let mut rest = ids(&read(&settings, request(Some(after))).await.unwrap());
    rest.sort_unstable();
    assert_eq!(rest, [2, 3, 4, 5]);
    database.remove().await;
}

#[tokio::test]
async fn days_padded_texts_and_times_without_end_are_good_cursors() {
    let database = database(
        "create table t (id int primary key, day date not null, code char(4) not null, at timestamptz not null);
         insert into t values (1, '2026-05-01', 'a', '2026-05-01Z'), (2, '2026-05-02', 'b', 'infinity'),
           (3, '2026-05-02', 'b', '2026-05-02Z');",
    )
    .await;
    let settings = settings(&database);
    for (column, cursor_type, late) in [
        ("day", CursorType::Timestamp, vec![2, 3]),
        ("code", CursorType::Text, vec![2, 3]),
        ("at", CursorType::Timestamp, vec![2, 3]),
    ] {
        let spec = CursorSpec { column: column.to_owned(), cursor_type };
        let request =
            |after| ReadRequest::incremental("public.t".parse().unwrap(), spec.clone(), after);
        let all = read(&settings, request(None)).await.unwrap();
        assert_eq!(ids(&all).len(), 3, "{column}");
        let mark = all.last().unwrap().cursor.clone().unwrap();
        let mut again = ids(&read(&settings, request(Some(mark.clone()))).await.unwrap());
        again.sort_unstable();
        assert_eq!(again, late, "{column} from {mark:?}");
    }
    database.remove().await;
}

#[tokio::test]
async fn text_cursors_order_by_bytes_and_take_any_text() {
    let database = database(PEOPLE).await;
    let settings = settings(&database);
    let spec = CursorSpec { column: "code".to_owned(), cursor_type: CursorType::Text };
    let request = |after: &str| {
        let after = Some(Cursor::Text(after.to_owned()));
        ReadRequest::incremental("public.people".parse().unwrap(), spec.clone(), after)
    };
    assert_eq!(ids(&read(&settings, request("a")).await.unwrap()), [5, 2, 1, 4]);
    let hostile = read(&settings, request("x'); drop table people; --")).await.unwrap();
    assert_eq!(ids(&hostile), [5, 4]);
    assert_eq!(ids(&read(&settings, request("")).await.unwrap()).len(), 5);
    database.remove().await;
}

#[tokio::test]
async fn hostile_names_never_reach_the_database() {
    let database = database(PEOPLE).await;
    for table in ["people; drop table people", "people\" --", "pg_catalog.pg_authid;", "a.b.c", ""]
    {
        let settings = json!({ "connection_string": database.url(), "table": table });
        let refused = definition("postgres_identity").check(settings, environment()).await;
        assert!(matches!(refused, Err(Failure::Invalid { .. })), "{table}: {refused:?}");
    }
    let stream = "public.people\"; drop table people; --".parse().unwrap();
    let refused = read(&settings(&database), ReadRequest::full(stream)).await.unwrap_err();
    assert!(matches!(refused, Failure::Invalid { .. }), "{refused:?}");
    let spec = CursorSpec { column: "id\" desc; --".to_owned(), cursor_type: CursorType::Int };
    let request = ReadRequest::incremental("public.people".parse().unwrap(), spec, None);
    assert!(matches!(read(&settings(&database), request).await, Err(Failure::Invalid { .. })));
    assert_eq!(
        ids(&read(&settings(&database), ReadRequest::full("public.people".parse().unwrap()))
            .await
            .unwrap())
        .len(),
        5
    );
    database.remove().await;
}

#[tokio::test]
async fn a_read_that_nobody_takes_lets_go_of_the_server() {
    let database = database("create table big as select g as id, repeat('x', 500) as t from generate_series(1, 200000) g").await;
    let settings = settings(&database);
    {
        let mut request = ReadRequest::full("public.big".parse().unwrap());
        request.batch.rows = 100;
        let mut batches = definition("postgresql").read(settings.clone(), request, environment());
        assert!(batches.try_next().await.unwrap().is_some());
    }
    let mut connection = database.connect().await;
    let busy = "select count(*) from pg_stat_activity where datname = current_database() and query like 'copy%' and state <> 'idle'";
    for _ in 0..100 {
        let count: i64 = sqlx::query_scalar(busy).fetch_one(&mut connection).await.unwrap();
        if count == 0 {
            return database.remove().await;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("the server still sends");
}

#[tokio::test]
async fn a_query_that_the_server_refuses_is_no_outage() {
    let database = database(
        "create table people as select 1 as id, 0 as nought;
         create view divided as select id / nought as it from people;
         create view slow as select pg_sleep(60)::text as it from people;
         create function raise(code text) returns int language plpgsql volatile as
           $$ begin raise exception using errcode = code, message = 'no to ' || code; end $$;",
    )
    .await;
    let mut connection = database.connect().await;
    let hurried = format!("alter database {} set statement_timeout = '1s'", database.name());
    sqlx::raw_sql(AssertSqlSafe(hurried)).execute(&mut connection).await.unwrap();
    let settings = settings(&database);
    let read = async |view: &str| {
        let stream = format!("public.{view}").parse().unwrap();
        read(&settings, ReadRequest::full(stream)).await.unwrap_err()
    };
    for (view, said) in [("divided", "division by zero"), ("slow", "due to statement timeout")] {
        let refused = read(view).await;
        assert!(matches!(refused, Failure::Refused(_)) && !refused.is_retryable(), "{refused:?}");
        let text = refused.to_string();
        assert!(text.contains(&format!("`public.{view}`")) && text.contains(said), "{text}");
    }
    for (code, is_outage) in [
        ("08006", true),
        ("40001", true),
        ("53200", true),
        ("55P03", true),
        ("57P01", true),
        ("0A000", false),
        ("2201B", false),
        ("42883", false),
        ("57014", false),
        ("P0001", false),
    ] {
        let view = format!("create or replace view failing as select raise('{code}') as it");
        sqlx::raw_sql(AssertSqlSafe(view)).execute(&mut connection).await.unwrap();
        let failed = read("failing").await;
        assert_eq!(failed.is_retryable(), is_outage, "{code}: {failed:?}");
        assert_eq!(failed.to_string().contains(&format!("no to {code}")), !is_outage, "{failed}");
    }
    database.remove().await;
}

#[tokio::test]
async fn the_parts_of_a_large_table_have_each_row_once() {
    let database = database(
        "create table large (id int8 primary key, text text not null);
         insert into large select it * 3 - 100000, repeat('x', 400) from generate_series(1, 90000) it;
         create table small (id int8 primary key); insert into small values (1), (2);
         create table keyless (id int8 not null, text text not null);
         insert into keyless select * from large;",
    )
    .await;
    let settings = settings(&database);
    let split = async |stream: &str| {
        let stream = stream.parse().unwrap();
        definition("postgresql").split(settings.clone(), stream, 4, environment()).await.unwrap()
    };
    let parts = split("public.large").await;
    assert_eq!(parts.len(), 4);
    let mut seen = std::collections::BTreeSet::new();
    for part in parts {
        let stream = "public.large".parse().unwrap();
        let request = ReadRequest { filter: vec![part], ..ReadRequest::full(stream) };
        let batches = read(&settings, request).await.unwrap();
        let part = ids(&batches);
        assert!((20_000..25_000).contains(&part.len()), "{}", part.len());
        assert!(part.into_iter().all(|it| seen.insert(it)), "no row twice");
    }
    assert_eq!(seen.len(), 90_000);
    assert_eq!(split("public.small").await, []);
    assert_eq!(split("public.keyless").await, []);
    database.remove().await;
}
