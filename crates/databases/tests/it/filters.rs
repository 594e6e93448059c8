//! What servers make of filters is what the reference evaluator makes of them, on tables of what is likely to differ.

use arrow_array::{Array, RecordBatch, cast::AsArray, types};
use arrow_schema::DataType;
use futures_util::{StreamExt, TryStreamExt, stream};
use linkspan_domain::{Condition, FieldKind, StreamName, StreamSpec};
use linkspan_sdk::{Batch, Definition, Pushed, ReadMode, ReadRequest, field_kind};
use linkspan_testkit::{TestMysql, TestPostgres};
use serde_json::{Map, Value, json};
use sqlx::AssertSqlSafe;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{definition, environment, ids};

/// A server and a table of it.
struct Subject {
    definition: Definition,
    settings: Value,
    spec: StreamSpec,
}

impl Subject {
    async fn new(key: &str, settings: Value, stream: &str) -> Self {
        let definition = definition(key);
        let found = definition.discover(settings.clone(), environment()).await.unwrap();
        let spec = found.streams.into_iter().find(|it| it.name.as_str() == stream).unwrap();
        Self { definition, settings, spec }
    }

    fn stream(&self) -> StreamName {
        self.spec.name.clone()
    }

    async fn read(&self, filter: Vec<Condition>, mode: ReadMode) -> Vec<Batch> {
        let request = ReadRequest { filter, mode, ..ReadRequest::full(self.stream()) };
        let batches = self.definition.read(self.settings.clone(), request, environment());
        batches.try_collect().await.unwrap()
    }

    async fn push_down(&self, parts: Vec<Condition>) -> Vec<Pushed> {
        let asked =
            self.definition.push_down(self.settings.clone(), self.stream(), parts, environment());
        asked.await.unwrap()
    }

    fn bound(&self, condition: &Value) -> Option<Condition> {
        Condition::parse(condition).unwrap().bind(&self.spec.fields).ok()
    }

    /// Holds every test that fits a column, turned round as well, and some of them together, against the reference.
    /// Answers how many parts the server took exactly, and how many roughly.
    async fn check(&self) -> (usize, usize) {
        let records: Vec<_> = self.read(Vec::new(), ReadMode::Full).await;
        let records: Vec<_> = records.iter().flat_map(|it| rows(&it.records)).collect();
        assert!(records.len() > 10);
        let parts = self.parts();
        let pushed = self.push_down(parts.clone()).await;
        let taken = parts.into_iter().zip(pushed).filter(|(_, it)| *it != Pushed::Not);
        let taken: Vec<_> = taken.collect();
        let checks = taken.iter().map(async |(part, pushed)| {
            let mut found = ids(&self.read(vec![part.clone()], ReadMode::Full).await);
            found.sort_unstable();
            let holds = records.iter().filter(|it| part.holds(it));
            let mut expected: Vec<_> = holds.map(|it| it["id"].as_i64().unwrap()).collect();
            expected.sort_unstable();
            if matches!(pushed, Pushed::Exactly(_)) {
                assert_eq!(found, expected, "{} as {pushed:?}", part.to_value());
            } else {
                let lost: Vec<_> = expected.iter().filter(|it| !found.contains(it)).collect();
                assert!(lost.is_empty(), "{} as {pushed:?} loses {lost:?}", part.to_value());
            }
        });
        stream::iter(checks).buffer_unordered(6).collect::<Vec<()>>().await;
        let exactly = taken.iter().filter(|it| matches!(it.1, Pushed::Exactly(_))).count();
        (exactly, taken.len() - exactly)
    }

    fn parts(&self) -> Vec<Condition> {
        let mut leaves = Vec::new();
        for field in &self.spec.fields {
            let name = &field.name;
            let operands = operands(field.kind);
            for operator in ["_eq", "_neq", "_gt", "_gte", "_lt", "_lte"] {
                leaves.extend(operands.iter().map(|it| json!({ name: { operator: it } })));
            }
            for operator in ["_in", "_nin"] {
                let lists = [&operands[..0], &operands[..operands.len().min(3)], &operands[..]];
                leaves.extend(lists.iter().map(|it| json!({ name: { operator: it } })));
            }
            for operator in ["_like", "_nlike"] {
                let patterns = ["%", "A%", "_", "%é", "a\\%%", "", "a "];
                leaves.extend(patterns.iter().map(|it| json!({ name: { operator: it } })));
            }
            leaves.extend([true, false].map(|it| json!({ name: { "_is_null": it } })));
        }
        let several = leaves
            .windows(2)
            .step_by(11)
            .flat_map(|pair| [json!({ "_or": pair }), json!({ "_not": { "_and": pair } })]);
        let turned = leaves.iter().map(|it| json!({ "_not": it }));
        let all = leaves.iter().cloned().chain(turned).chain(several);
        all.filter_map(|it| self.bound(&it)).collect()
    }
}

fn operands(kind: FieldKind) -> Vec<Value> {
    match kind {
        FieldKind::Boolean => vec![json!(true), json!(false)],
        FieldKind::Integer => {
            [0, 26, 99, -1, 1950, 2026, i64::MAX, i64::MIN].map(Value::from).into()
        }
        FieldKind::Number => vec![
            json!(0),
            json!(-0.0),
            json!(0.1),
            json!(1e300),
            json!(9_007_199_254_740_992_i64),
            json!(9_007_199_254_740_993_i64),
            json!(-1.5),
        ],
        FieldKind::Decimal => vec![
            json!(0),
            json!("1.50"),
            json!(1.5),
            json!("18446744073709551615"),
            json!("-1e-7"),
            json!("1e40"),
        ],
        FieldKind::Date => {
            ["2026-05-01", "0001-01-01", "9999-12-31", "2026-5-1", "x", "2026-02-28"]
                .map(Value::from)
                .into()
        }
        FieldKind::Timestamp => [
            "2026-05-01T12:00:00Z",
            "2026-05-01T14:00:00+02:00",
            "2026-05-01T12:00:00.000001Z",
            "2026-05-01T12:00:00.0000001Z",
            "2026-05-01",
            "2026-02-28T23:59:59.999999Z",
        ]
        .map(Value::from)
        .into(),
        FieldKind::Uuid => {
            ["67e55044-10b1-426f-9247-bb680e5fe0c8", "67E55044-10B1-426F-9247-BB680E5FE0C8", "x"]
                .map(Value::from)
                .into()
        }
        _ => [
            "a",
            "A",
            "a ",
            "",
            "é",
            "e\u{301}",
            "it's \\ \"x\"",
            "2026-05-01T12:00:00Z",
            "\u{1f980}",
            "ß",
            "z",
        ]
        .map(Value::from)
        .into(),
    }
}

/// The records of a batch as they would be stored.
fn rows(batch: &RecordBatch) -> Vec<Value> {
    let row = |row: usize| {
        let fields = batch.schema_ref().fields().iter().zip(batch.columns());
        let values = fields.map(|(field, column)| {
            let value = if column.is_null(row) {
                Value::Null
            } else {
                value(field_kind(field), column, row)
            };
            (field.name().clone(), value)
        });
        Value::Object(values.collect::<Map<_, _>>())
    };
    (0..batch.num_rows()).map(row).collect()
}

fn value(kind: FieldKind, column: &dyn Array, row: usize) -> Value {
    let at = |micros: i64| {
        OffsetDateTime::from_unix_timestamp_nanos(i128::from(micros) * 1_000).unwrap()
    };
    match column.data_type() {
        DataType::Boolean => column.as_boolean().value(row).into(),
        DataType::Int64 => column.as_primitive::<types::Int64Type>().value(row).into(),
        DataType::Float64 => match column.as_primitive::<types::Float64Type>().value(row) {
            it if it.is_finite() => it.into(),
            it => it.to_string().into(),
        },
        DataType::Date32 => {
            let days = i64::from(column.as_primitive::<types::Date32Type>().value(row));
            at(days * 86_400_000_000).date().to_string().into()
        }
        DataType::Timestamp(..) => {
            let micros = column.as_primitive::<types::TimestampMicrosecondType>().value(row);
            at(micros).format(&Rfc3339).unwrap().into()
        }
        DataType::Utf8 if kind == FieldKind::Json => {
            serde_json::from_str(column.as_string::<i32>().value(row)).unwrap()
        }
        DataType::Utf8 => column.as_string::<i32>().value(row).into(),
        other => panic!("no column of the table holds {other}"),
    }
}

const POSTGRES: &str = r#"
create collation loose (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
create type mood as enum ('a', 'z');
create table oddities (
    id int primary key, b boolean, "i " smallint, big bigint, f real, d double precision, n numeric,
    "t'" text, v varchar(40), padded char(4), loose text collate loose, m mood, day date, at timestamp, atz timestamptz,
    u uuid, j jsonb, l text[]);
insert into oddities values
 (1, true, 0, 0, 0, 0, 0, 'a', 'a', 'a', 'a', 'a', '2026-05-01', '2026-05-01 12:00', '2026-05-01T12:00Z', '67e55044-10b1-426f-9247-bb680e5fe0c8', '1', '{a}'),
 (2, false, 26, 9223372036854775807, 0.1, 0.1, 1.5, 'A', 'A', 'A', 'A', 'z', '0001-01-01', '2026-05-01 12:00:00.000001', '2026-05-01T14:00+03:00', '00000000-0000-0000-0000-000000000000', 'null', '{}'),
 (3, null, -1, -9223372036854775808, 'NaN', 'NaN', 'NaN', '', '', '', '', null, 'infinity', 'infinity', '-infinity', null, '{"k":1}', null),
 (4, true, 99, 2026, 'Infinity', '-Infinity', 18446744073709551615, 'é', 'é', 'é', 'é', 'a', '-infinity', '-infinity', 'infinity', 'ffffffff-ffff-ffff-ffff-ffffffffffff', '"a"', '{b}'),
 (5, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null),
 (6, false, 2026, 1950, -1.5, 1e300, -0.0000001, 'a ', 'a ', 'a  ', 'a ', 'a', '9999-12-31', '9999-12-31 23:59:59.999999', '0001-01-01T00:00Z', null, '[]', '{c}'),
 (7, true, 1, 9007199254740993, 1, 9007199254740992, 1.500, 'é', 'é', 'é', 'É', 'z', '2026-02-28', '2026-02-28 23:59:59.999999', '2026-05-01T12:00:00.000001Z', null, '0', null),
 (8, true, 1, 1, 1, -0.0, 1e40, 'it''s \ "x"', 'ß', 'z', 'ß', 'a', '4713-01-01 BC', '4713-01-01 BC', '4713-01-01 BC', null, '0', null),
 (9, true, 1, 1, 1, 1, 2, '2026-05-01T12:00:00Z', '2026-05-01T14:00+02:00', 'a%', 'Z', 'a', '2026-05-02', '2026-05-02', '2026-05-02', null, '0', null),
 (10, false, 1, 1, 1, 1, 2, '🦀', 'a%b', 'Aé', 'z', 'a', '2026-05-02', '2026-05-02', '2026-05-02', null, '0', null),
 (11, false, 1, 1, 1, 1, '-Infinity', 'Az', 'A_', '_', 'e' || chr(769), 'a', '2026-05-02', '2026-05-02', '2026-05-02', null, '0', null);
"#;

#[tokio::test]
async fn postgresql_filters_as_the_reference_does() {
    let database = TestPostgres::create().await;
    let mut connection = database.connect().await;
    sqlx::raw_sql(AssertSqlSafe(POSTGRES)).execute(&mut connection).await.unwrap();
    let settings = json!({ "connection_string": database.url() });
    let subject = Subject::new("postgresql", settings, "public.oddities").await;
    let (exactly, roughly) = subject.check().await;
    assert!(exactly > 400, "the server takes {exactly} parts exactly");
    assert_eq!(roughly, 0);
    database.remove().await;
}

#[tokio::test]
async fn an_incremental_read_is_filtered_too() {
    let database = TestPostgres::create().await;
    let mut connection = database.connect().await;
    sqlx::raw_sql(AssertSqlSafe(POSTGRES)).execute(&mut connection).await.unwrap();
    let settings = json!({ "connection_string": database.url() });
    let subject = Subject::new("postgresql", settings, "public.oddities").await;
    let part = subject.bound(&json!({ "i ": { "_gte": 1 } })).unwrap();
    let cursor = linkspan_sdk::CursorSpec {
        column: "big".to_owned(),
        cursor_type: linkspan_domain::CursorType::Int,
    };
    let mode = ReadMode::Incremental { cursor, after: Some(linkspan_domain::Cursor::Int(1950)) };
    assert_eq!(ids(&subject.read(vec![part], mode).await), [6, 4, 7, 2]);
    database.remove().await;
}

const MYSQL: &str = r#"
set sql_mode = 'ALLOW_INVALID_DATES';
set time_zone = '+00:00';
create table oddities (
    id int primary key, b bit(1), `i x` smallint, tiny tinyint unsigned, big bigint, ub bigint unsigned, y year, bits bit(9),
    f float, d double, n decimal(50, 10), t text character set utf8mb4 collate utf8mb4_general_ci,
    latin varchar(20) character set latin1, padded char(6) character set utf8mb4, bin varchar(20) collate utf8mb4_bin,
    e enum('a', 'A ', 'z') character set utf8mb4 collate utf8mb4_bin, day date, at datetime(6), ts timestamp(6) null, j json, u uuid);
insert into oddities values
 (1, b'1', 0, 0, 0, 0, 2026, 0, 0, 0, 0, 'a', 'a', 'a', 'a', 'a', '2026-05-01', '2026-05-01 12:00', '2026-05-01 12:00', '1', '67e55044-10b1-426f-9247-bb680e5fe0c8'),
 (2, b'0', 26, 26, 9223372036854775807, 18446744073709551615, 1950, 26, 0.1, 0.1, 1.5, 'A', 'A', 'A', 'A', 'A ', '0001-01-01', '2026-05-01 12:00:00.000001', '2026-05-01 12:00:00.000001', 'null', '00000000-0000-0000-0000-000000000000'),
 (3, null, -1, 99, -9223372036854775808, 1, 2000, 511, -1.5, -1.5, -0.0000001, '', '', '', '', null, '0000-00-00', '0000-00-00 00:00:00', null, '{"k":1}', null),
 (4, b'1', 99, 255, 2026, 9223372036854775808, 1999, 99, 1, 1e300, 18446744073709551615, 'é', 'é', 'é', 'é', 'z', '2026-02-31', '2026-02-31 10:00:00', null, '"a"', 'ffffffff-ffff-ffff-ffff-ffffffffffff'),
 (5, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null),
 (6, b'0', 2026, 1, 1950, 2, 1970, 1, 1, -0.0, 1.5000, 'a ', 'a ', 'a ', 'a ', 'a', '9999-12-31', '9999-12-31 23:59:59.999999', '2026-02-28 23:59:59.999999', '[]', null),
 (7, b'1', 1, 1, 9007199254740993, 2, 0, 1, 1, 9007199254740992, 2, 'É', 'É', 'É', 'É', 'z', '2026-02-28', '2026-02-28 23:59:59.999999', '2026-05-02', '0', null),
 (8, b'1', 1, 1, 1, 2, 2069, 1, 1, 1, 2, 'it''s \\ "x"', 'ß', 'ß', 'ß', 'z', '2026-00-10', '2026-05-02', '2026-05-02', '0', null),
 (9, b'1', 1, 1, 1, 2, 2001, 1, 1, 1, 2, '2026-05-01T12:00:00Z', 'ss', 'ss', 'ss', 'z', '2026-05-02', '2026-05-02', '2026-05-02', '0', null),
 (10, b'0', 1, 1, 1, 2, 2002, 1, 1, 1, 2, '🦀', 'a%b', 'a%b', 'a%b', 'z', '2026-05-02', '2026-05-02', '2026-05-02', '0', null),
 (11, b'0', 1, 1, 1, 2, 2003, 1, 1, 1, 2, 'Az', 'Az', 'A_', 'é', 'z', '2026-05-02', '2026-05-02', '2026-05-02', '0', null);
"#;

#[tokio::test]
async fn mariadb_filters_as_the_reference_does() {
    let database = TestMysql::create().await;
    let mut connection = database.connect().await;
    sqlx::raw_sql(AssertSqlSafe(MYSQL)).execute(&mut connection).await.unwrap();
    let settings = json!({ "connection_string": database.url() });
    let stream = format!("{}.oddities", database.name());
    let subject = Subject::new("mariadb", settings, &stream).await;
    let (exactly, roughly) = subject.check().await;
    assert!(exactly > 400, "the server takes {exactly} parts exactly");
    assert!(roughly > 20, "the server takes {roughly} parts roughly");
    database.remove().await;
}
