//! The MySQL and MariaDB types against a real server.

mod connections;

use arrow_array::{Array, RecordBatch, cast::AsArray, types};
use futures_util::TryStreamExt;
use linkspan_domain::{Cursor, CursorType, FieldKind, StreamSpec};
use linkspan_sdk::{Batch, CursorSpec, Failure, ReadRequest, conformance};
use linkspan_testkit::TestMysql;
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;

use super::{definition, environment, ids};

async fn database(statements: &str) -> TestMysql {
    let database = TestMysql::create().await;
    let mut connection = database.connect().await;
    sqlx::raw_sql(AssertSqlSafe(statements.to_owned())).execute(&mut connection).await.unwrap();
    database
}

fn settings(database: &TestMysql) -> Value {
    let server = database.server();
    json!({
        "host": server.host_str(), "port": server.port().unwrap_or(3306), "database": database.name(),
        "username": server.username(), "password": server.password(),
    })
}

async fn discover(settings: &Value) -> Vec<StreamSpec> {
    definition("mysql").discover(settings.clone(), environment()).await.unwrap().streams
}

async fn read(settings: &Value, request: ReadRequest) -> Result<Vec<Batch>, Failure> {
    definition("mysql").read(settings.clone(), request, environment()).try_collect().await
}

async fn only_batch(database: &TestMysql, table: &str) -> RecordBatch {
    let stream = format!("{}.{table}", database.name()).parse().unwrap();
    let mut batches = read(&settings(database), ReadRequest::full(stream)).await.unwrap();
    assert_eq!(batches.len(), 1);
    batches.remove(0).records
}

fn incremental(
    database: &TestMysql,
    table: &str,
    column: &str,
    cursor_type: CursorType,
    after: Option<&str>,
) -> ReadRequest {
    let stream = format!("{}.{table}", database.name()).parse().unwrap();
    let after = after.map(|it| Cursor::parse(cursor_type, it).unwrap());
    ReadRequest::incremental(stream, CursorSpec { column: column.to_owned(), cursor_type }, after)
}

fn texts(records: &RecordBatch, column: &str) -> Vec<Option<String>> {
    let column = records.column_by_name(column).unwrap().as_string::<i32>();
    column.iter().map(|it| it.map(str::to_owned)).collect()
}

const PEOPLE: &str = "
create table people (id int primary key, name text not null, seen timestamp(6) null, code varchar(20), day date not null, big bigint unsigned not null);
insert into people values (1, 'Ada', '2026-01-01 00:00:00', 'b', '2026-01-01', 1), (2, 'Ben', '2026-01-02 00:00:00', 'a', '2026-01-02', 2),
  (3, 'Cyd', '2026-01-02 00:00:00', 'B', '2026-01-03', 3), (4, 'Dee', null, 'é', '2026-01-03', 4),
  (5, 'Eve', '2026-01-03 00:00:00.000001', null, '2026-01-04', 18446744073709551615);";

#[tokio::test]
async fn all_three_types_keep_the_rules_of_connectors() {
    let database = database(&format!("set time_zone = '+00:00'; {PEOPLE}")).await;
    let good = settings(&database);
    let refused = |field: &str, value: Value| {
        let mut settings = good.clone();
        settings[field] = value;
        settings
    };
    let cursor = |column: &str, cursor_type| {
        let stream = format!("{}.people", database.name()).parse().unwrap();
        (stream, CursorSpec { column: column.to_owned(), cursor_type })
    };
    for key in ["mysql", "mariadb"] {
        let subject = conformance::Subject {
            definition: definition(key),
            environment: environment(),
            settings: good.clone(),
            refused: vec![
                refused("password", json!("not-the-password")),
                refused("database", json!("no_such_database")),
                refused("sslmode", json!("verify-full")),
                refused("port", json!(1)),
            ],
            cursors: vec![
                cursor("id", CursorType::Int),
                cursor("big", CursorType::Int),
                cursor("seen", CursorType::Timestamp),
                cursor("day", CursorType::Timestamp),
                cursor("code", CursorType::Text),
            ],
        };
        assert_eq!(conformance::of_check(&subject).await, [""; 0]);
        assert_eq!(conformance::of_source(&subject).await, [""; 0]);
    }
    let subject = conformance::Subject {
        definition: definition("mysql_identity"),
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
async fn what_the_server_refuses_is_told_apart() {
    let database = database("select 1").await;
    let with = async |field: &str, value: Value| {
        let mut settings = settings(&database);
        settings[field] = value;
        definition("mysql").check(settings, environment()).await
    };
    let refused = with("password", json!("not-the-password")).await.unwrap_err();
    assert!(matches!(refused, Failure::Unauthorized), "{refused:?}");
    let refused = with("database", json!("no_such_database")).await.unwrap_err();
    let Failure::NotFound(what) = &refused else { panic!("{refused:?}") };
    assert!(what.starts_with("the database `no_such_database` of "), "{what}");
    let refused = with("port", json!(1)).await.unwrap_err();
    assert!(matches!(refused, Failure::Unavailable { .. }), "{refused:?}");
    let table = json!({ "connection_string": database.url(), "table": "nobody" });
    let refused = definition("mysql_identity").check(table, environment()).await.unwrap_err();
    assert!(matches!(refused, Failure::NotFound(_)), "{refused:?}");
    database.remove().await;
}

#[tokio::test]
async fn tables_views_and_their_keys_are_discovered() {
    let database = database(
        "create table `Order Lines` (b int, a int, at datetime not null, updated_at timestamp, primary key (a, b));
         create view v as select 1 as one; create table `a.b` (x int);",
    )
    .await;
    let found = discover(&settings(&database)).await;
    let names: Vec<_> = found.iter().map(|it| it.name.as_str().to_owned()).collect();
    let name = |table: &str| format!("{}.{table}", database.name());
    assert_eq!(names, [name("Order Lines"), name("a.b"), name("v")]);
    assert_eq!(found[0].primary_key, ["a", "b"], "in the order of the key, not of the table");
    assert_eq!(found[0].cursor_candidates, ["updated_at", "at"]);
    assert_eq!(batches_of(&database, "a.b").await, 0);

    let mut everywhere = settings(&database);
    everywhere.as_object_mut().unwrap().remove("database");
    let all = discover(&everywhere).await;
    assert!(all.iter().any(|it| it.name.as_str() == name("v")));
    assert!(!all.iter().any(|it| it.name.as_str().starts_with("mysql.")));
    database.remove().await;
}

async fn batches_of(database: &TestMysql, table: &str) -> usize {
    let stream = format!("{}.{table}", database.name()).parse().unwrap();
    read(&settings(database), ReadRequest::full(stream)).await.unwrap().len()
}

const TYPES: &str = "
create table t (b1 bit(1), b9 bit(9), b64 bit(64), i1 tinyint, u1 tinyint unsigned, i2 smallint, u2 smallint unsigned,
  i3 mediumint, u3 mediumint unsigned, i4 int, u4 int unsigned, i8 bigint, u8 bigint unsigned, y year, f4 float, f8 double,
  n decimal(20,4), c char(4), v varchar(20), l1 varchar(20) character set latin1, tx longtext, e enum('glad','sad'), s set('a','b'),
  j json, d date, dt datetime(6), ts timestamp(3) null, tm time(6), bi binary(3), vb varbinary(9), bl blob, g geometry);
insert into t values (b'1', b'100000001', b'1111111111111111111111111111111111111111111111111111111111111111', -1, 255, -2, 65535,
  -3, 16777215, -4, 4294967295, 9007199254740993, 18446744073709551615, 2026, 1.5, 2.5,
  -123456.7890, 'ab', 'é', 'é', 'x', 'sad', 'a,b',
  '{\"a\": 1}', '2026-05-01', '2026-05-01 12:00:00.25', '2026-05-01 10:00:00', '-26:03:04.5', 'abc', x'00ff', x'', point(1, 2));
insert into t (i4) values (null);";

#[tokio::test]
async fn values_of_every_type_arrive_whole() {
    let database = database(&format!("set time_zone = '+00:00'; {TYPES}")).await;
    let records = only_batch(&database, "t").await;
    let long = |name: &str| {
        records.column_by_name(name).unwrap().as_primitive::<types::Int64Type>().value(0)
    };
    for (name, value) in [
        ("b9", 257),
        ("i1", -1),
        ("u1", 255),
        ("i2", -2),
        ("u2", 65_535),
        ("i3", -3),
        ("u3", 16_777_215),
        ("i4", -4),
        ("u4", 4_294_967_295),
        ("i8", 9_007_199_254_740_993),
        ("y", 2026),
    ] {
        assert_eq!(long(name), value, "{name}");
    }
    for (name, value) in [
        ("b64", "18446744073709551615"),
        ("u8", "18446744073709551615"),
        ("n", "-123456.7890"),
        ("c", "ab"),
        ("v", "é"),
        ("l1", "é"),
        ("tx", "x"),
        ("e", "sad"),
        ("s", "a,b"),
        ("j", "{\"a\": 1}"),
        ("tm", "-26:03:04.500000"),
    ] {
        assert_eq!(texts(&records, name), [Some(value.to_owned()), None], "{name}");
    }
    let number = |name: &str| {
        records.column_by_name(name).unwrap().as_primitive::<types::Float64Type>().value(0)
    };
    assert_eq!(
        (number("f4").to_string(), number("f8").to_string()),
        ("1.5".to_owned(), "2.5".to_owned())
    );
    assert!(records.column_by_name("b1").unwrap().as_boolean().value(0));
    let micros = |name: &str| {
        let column = records.column_by_name(name).unwrap();
        column.as_primitive::<types::TimestampMicrosecondType>().value(0)
    };
    assert_eq!(micros("dt"), 1_777_636_800_250_000);
    assert_eq!(micros("ts"), 1_777_629_600_000_000);
    let days = records.column_by_name("d").unwrap().as_primitive::<types::Date32Type>();
    assert_eq!(days.value(0), 20_574);
    let bytes =
        |name: &str| records.column_by_name(name).unwrap().as_binary::<i32>().value(0).to_vec();
    assert_eq!((bytes("bi"), bytes("vb"), bytes("bl")), (b"abc".to_vec(), vec![0, 0xFF], vec![]));
    assert_eq!(bytes("g").len(), 25, "a point, as the server keeps it");
    assert!(records.columns().iter().all(|it| it.is_valid(0)), "nothing is lost");
    assert!(records.columns().iter().all(|it| it.is_null(1)), "and nothing is made up");

    let spec = discover(&settings(&database)).await.remove(0);
    let kind = |name: &str| spec.field(name).unwrap().kind;
    assert_eq!((kind("u8"), kind("n")), (FieldKind::Decimal, FieldKind::Decimal));
    assert_eq!(
        (kind("j"), kind("tm"), kind("b1")),
        (FieldKind::Json, FieldKind::Text, FieldKind::Boolean)
    );
    database.remove().await;
}

#[tokio::test]
async fn instants_are_in_utc_whatever_the_zone_of_the_server() {
    let database = database(
        "set time_zone = '+05:00'; create table t (ts timestamp not null);
         insert into t values ('2026-05-01 15:00:00');",
    )
    .await;
    let records = only_batch(&database, "t").await;
    let stamps = records.column(0).as_primitive::<types::TimestampMicrosecondType>();
    assert_eq!(stamps.value(0), 1_777_629_600_000_000, "2026-05-01T10:00:00Z");
    database.remove().await;
}

#[tokio::test]
async fn zero_dates_are_null_and_are_read_each_time() {
    let database = database(
        "set sql_mode = 'ALLOW_INVALID_DATES';
         create table t (id int primary key, d date not null, at datetime not null, ts timestamp not null default 0);
         insert into t values (1, '0000-00-00', '0000-00-00', 0), (2, '2026-02-31', '2026-02-31 10:00:00', '2026-03-01 00:00:00'),
           (3, '2026-00-00', '2026-00-00', '2026-03-02 00:00:00'), (4, '2026-03-01', '2026-03-01', '2026-03-03 00:00:00');",
    )
    .await;
    let records = only_batch(&database, "t").await;
    for column in ["d", "at", "ts"] {
        let column = records.column_by_name(column).unwrap();
        let nulls: Vec<_> = (0..4).map(|row| column.is_null(row)).collect();
        assert_eq!(nulls, [true, false, false, false]);
    }
    let days = records.column_by_name("d").unwrap().as_primitive::<types::Date32Type>();
    assert_eq!(
        days.values()[1..],
        [20_512, 20_453, 20_513],
        "the last day before one that is none"
    );
    for column in ["d", "at", "ts"] {
        let timestamp = CursorType::Timestamp;
        let all = incremental(&database, "t", column, timestamp, None);
        let all = read(&settings(&database), all).await.unwrap();
        assert_eq!(ids(&all).len(), 4, "{column}");
        assert_eq!(ids(&all)[0], 1, "{column}");
        let after = Some("2026-03-01");
        let rest = incremental(&database, "t", column, timestamp, after);
        let mut rest = ids(&read(&settings(&database), rest).await.unwrap());
        rest.retain(|it| ![2, 3].contains(it));
        assert_eq!(rest, [1, 4], "{column}");
    }
    database.remove().await;
}

#[tokio::test]
async fn an_incremental_read_starts_at_the_boundary_and_keeps_rows_without_a_cursor() {
    let database = database(&format!("set time_zone = '+00:00'; {PEOPLE}")).await;
    let settings = settings(&database);
    let request = |after| incremental(&database, "people", "seen", CursorType::Timestamp, after);
    let all = read(&settings, request(None)).await.unwrap();
    assert_eq!(ids(&all), [4, 1, 2, 3, 5]);
    assert_eq!(all[0].cursor, None, "rows without a cursor value move no mark");
    let rest = read(&settings, request(Some("2026-01-02T00:00:00Z"))).await.unwrap();
    assert_eq!(ids(&rest), [4, 2, 3, 5]);
    database.remove().await;
}

#[tokio::test]
async fn unsigned_keys_are_cursors_as_far_as_a_cursor_can_say() {
    let database = database(PEOPLE).await;
    let request = |after| incremental(&database, "people", "big", CursorType::Int, after);
    let all = read(&settings(&database), request(Some("3"))).await.unwrap();
    assert_eq!(ids(&all), [3, 4, 5]);
    let last = all.last().unwrap().cursor.clone();
    assert_eq!(last, Some(Cursor::Int(i64::MAX)), "which is at or below what is to come");
    let again = read(&settings(&database), request(Some(&i64::MAX.to_string()))).await.unwrap();
    assert_eq!(ids(&again), [5]);
    database.remove().await;
}

#[tokio::test]
async fn text_cursors_order_by_bytes_and_take_any_text() {
    let database = database(PEOPLE).await;
    let settings = settings(&database);
    let request = |after| incremental(&database, "people", "code", CursorType::Text, Some(after));
    assert_eq!(ids(&read(&settings, request("a")).await.unwrap()), [5, 2, 1, 4]);
    let hostile = read(&settings, request("x'); drop table people; -- \\")).await.unwrap();
    assert_eq!(ids(&hostile), [5, 4]);
    assert_eq!(ids(&read(&settings, request("")).await.unwrap()), [5, 3, 2, 1, 4]);
    database.remove().await;
}

#[tokio::test]
async fn hostile_names_never_reach_the_database() {
    let database = database(&format!(
        "{PEOPLE} create table `a``b` (`x``; drop table people; -- x` int); insert into `a``b` values (7);"
    ))
    .await;
    let found = definition("mysql").discover(settings(&database), environment()).await.unwrap();
    let left_out: Vec<_> = found.left_out.0.into_iter().map(|it| it.name).collect();
    assert_eq!(left_out, [format!("{}.a`b", database.name())]);
    let long = "x".repeat(200);
    for table in ["people; drop table people", "people` --", "a`b", "a.b.c", "people\0", &long, ""]
    {
        let settings = json!({ "connection_string": database.url(), "table": table });
        let refused = definition("mysql_identity").check(settings, environment()).await;
        assert!(matches!(refused, Err(Failure::Invalid { .. })), "{table}: {refused:?}");
    }
    for table in ["people`; drop table people; --", "a`b", "people\\"] {
        let stream = format!("{}.{table}", database.name()).parse().unwrap();
        let refused = read(&settings(&database), ReadRequest::full(stream)).await.unwrap_err();
        assert!(matches!(refused, Failure::Invalid { .. }), "{refused:?}");
    }
    let request = incremental(&database, "people", "id` desc; --", CursorType::Int, None);
    assert!(matches!(read(&settings(&database), request).await, Err(Failure::Invalid { .. })));
    let stream = format!("{}.people", database.name()).parse().unwrap();
    let all = read(&settings(&database), ReadRequest::full(stream)).await.unwrap();
    assert_eq!(ids(&all).len(), 5);
    database.remove().await;
}

#[tokio::test]
async fn columns_with_hostile_names_are_read() {
    let database = database(
        "create table t (`x``; drop table t; -- x` int, `select` int, `é?` int); insert into t values (7, 8, 9);",
    )
    .await;
    let records = only_batch(&database, "t").await;
    let values = records.columns().iter().map(|it| it.as_primitive::<types::Int64Type>().value(0));
    assert_eq!(values.collect::<Vec<_>>(), [7, 8, 9]);
    database.remove().await;
}

#[tokio::test]
async fn a_query_that_the_server_refuses_is_no_outage() {
    let database = database(
        "create table people (id int primary key, name text not null); insert into people values (1, 'a'), (2, 'b');
         create view several as select id, (select name from people) as name from people;
         create function fail(number int, state char(5)) returns int deterministic begin
           if state = '08S01' then signal sqlstate '08S01' set mysql_errno = number, message_text = 'no to you'; end if;
           signal sqlstate '45000' set mysql_errno = number, message_text = 'no to you';
           return 0;
         end;",
    )
    .await;
    let settings = settings(&database);
    let read = async |view: &str| {
        let stream = format!("{}.{view}", database.name()).parse().unwrap();
        read(&settings, ReadRequest::full(stream)).await.unwrap_err()
    };
    let refused = read("several").await;
    assert!(matches!(refused, Failure::Refused(_)) && !refused.is_retryable(), "{refused:?}");
    let text = refused.to_string();
    let stream = format!("`{}.several`", database.name());
    assert!(text.contains(&stream) && text.contains("more than 1 row"), "{text}");

    let mut connection = database.connect().await;
    for (number, state, is_outage) in [
        (1053, "08S01", true),
        (1205, "HY000", true),
        (1226, "HY000", true),
        (1317, "HY000", false),
        (1690, "HY000", false),
        (3024, "HY000", false),
    ] {
        let view = format!(
            "create or replace view failing as select id, fail({number}, '{state}') as it from people"
        );
        sqlx::raw_sql(AssertSqlSafe(view)).execute(&mut connection).await.unwrap();
        let failed = read("failing").await;
        assert_eq!(failed.is_retryable(), is_outage, "{number}: {failed:?}");
        assert_eq!(failed.to_string().contains("no to you"), !is_outage, "{failed}");
    }
    database.remove().await;
}

#[tokio::test]
async fn the_parts_of_a_large_table_have_each_row_once() {
    let database = database(
        "create table large (id bigint primary key, text varchar(1000) not null);
         insert into large select cast(seq as signed) * 3 - 100000, repeat('x', 600) from seq_1_to_90000;
         analyze table large;
         create table small (id bigint primary key); insert into small values (1), (2);",
    )
    .await;
    let settings = settings(&database);
    let split = async |table: &str| {
        let stream = format!("{}.{table}", database.name()).parse().unwrap();
        definition("mariadb").split(settings.clone(), stream, 4, environment()).await.unwrap()
    };
    let parts = split("large").await;
    assert_eq!(parts.len(), 4);
    let mut seen = std::collections::BTreeSet::new();
    for part in parts {
        let stream = format!("{}.large", database.name()).parse().unwrap();
        let request = ReadRequest { filter: vec![part], ..ReadRequest::full(stream) };
        for batch in read(&settings, request).await.unwrap() {
            let ids = batch.records.column_by_name("id").unwrap();
            let ids = ids.as_primitive::<arrow_array::types::Int64Type>();
            assert!(ids.values().iter().all(|it| seen.insert(*it)), "no row twice");
        }
    }
    assert_eq!(seen.len(), 90_000);
    assert_eq!(split("small").await, []);
    database.remove().await;
}
