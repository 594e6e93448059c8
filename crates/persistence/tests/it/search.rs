//! Looking for records: the database lets through what the condition holds of, page by page, within the tenant.

use std::time::Duration;

use linkspan_domain::{
    Condition, Deleted, FieldKind, RunEnd, StreamField, SyncMode, WorkspaceConnectorId,
    ports::StoreError,
};
use linkspan_persistence::{Database, PoolSizes, SearchTime, connect_with};
use linkspan_sdk::{RecordQuery, RecordSearch, RecordStore, SearchPosition};
use linkspan_testkit::Random;
use serde_json::{Value, json};

use crate::{activation::Bench, scratch::on_both};

on_both! {
    what_is_found_is_what_the_condition_holds_of
    decimals_are_found_by_their_values_where_the_stream_has_them
    the_largest_conditions_are_asked
    a_search_goes_on_page_by_page
    a_search_stays_in_its_workspaces_and_activation
    a_page_that_took_long_enough_goes_on
    a_statement_that_takes_too_long_is_stopped_and_nothing_after_it
    a_search_that_is_given_up_is_stopped_and_nothing_after_it
    a_page_ends_after_eight_megabytes_and_goes_on
}

fn search(bench: &Bench, condition: &Value) -> RecordSearch {
    RecordSearch {
        workspaces: vec![bench.activation.workspace_id],
        activation: None,
        stream: None,
        condition: Condition::parse(condition).unwrap(),
        deleted: Deleted::Hidden,
        after: None,
        limit: 1_000,
    }
}

async fn found(bench: &Bench, search: &RecordSearch) -> Vec<(WorkspaceConnectorId, String)> {
    found_by(&*bench.records, search).await
}

async fn found_by(
    records: &dyn RecordStore,
    search: &RecordSearch,
) -> Vec<(WorkspaceConnectorId, String)> {
    let mut search = search.clone();
    let mut found = Vec::new();
    loop {
        let page = records.search(&search).await.unwrap();
        assert!(page.records.len() <= search.limit as usize);
        for it in page.records {
            assert_eq!(it.position.key.as_ref(), Some(&it.record.key));
            found.push((it.activation, it.record.key));
        }
        let Some(next) = page.next else { return found };
        search.after = Some(next);
    }
}

/// Values that databases and JSON like to disagree on.
pub(crate) fn values() -> Vec<Value> {
    let big = 9_007_199_254_740_993_i64;
    vec![
        json!(null),
        json!(true),
        json!(false),
        json!(0),
        json!(-1),
        json!(1),
        json!(1.0),
        json!(1.5),
        json!(-0.5),
        json!(0.1),
        json!(1e-7),
        json!(1e20),
        json!(big),
        json!(i64::MIN),
        json!(u64::MAX),
        json!(""),
        json!("a"),
        json!("A"),
        json!("ab"),
        json!("a%"),
        json!("a_b"),
        json!("é"),
        json!("e\u{301}"),
        json!("Z"),
        json!("1"),
        json!("true"),
        json!("null"),
        json!("it's"),
        json!("say \"hi\""),
        json!("back\\slash"),
        json!("2026-05-01"),
        json!("2026-05-01T12:00:00Z"),
        json!("2026-05-01T12:00:00.5Z"),
        json!("2026-05-01T14:00:00+02:00"),
        json!("2026-05-02T01:00:00+02:00"),
        json!("2026-05-01t12:00:00z"),
        json!("2026Z"),
        json!("9999-12-31T23:59:59Z"),
        json!([]),
        json!([1, 2]),
        json!(["a"]),
        json!([null]),
        json!([[1]]),
        json!({}),
        json!({ "b": 1 }),
        json!({ "b": "a", "0": true }),
        json!({ "b": { "c": [1, "x"] } }),
        json!({ "b": null }),
        json!("line\nbreak"),
    ]
}

fn test(random: &mut Random) -> Value {
    let values = values();
    let scalars: Vec<Value> = values
        .iter()
        .filter(|it| !(it.is_null() || it.is_array() || it.is_object()))
        .cloned()
        .collect();
    let operator = *random.pick(&[
        "_eq",
        "_neq",
        "_gt",
        "_gte",
        "_lt",
        "_lte",
        "_in",
        "_nin",
        "_like",
        "_nlike",
        "_ilike",
        "_is_null",
        "_contains",
        "_has_key",
        "_regex",
    ]);
    let operand = match operator {
        "_in" | "_nin" => {
            (0..*random.pick(&[0, 1, 3])).map(|_| random.pick(&scalars).clone()).collect()
        }
        "_like" | "_nlike" | "_ilike" => {
            random.pick(&[json!("a%"), json!("%b"), json!("_"), json!("A\\%"), json!("%")]).clone()
        }
        "_is_null" => random.pick(&[json!(true), json!(false)]).clone(),
        "_has_key" => random.pick(&[json!("b"), json!("a"), json!("0")]).clone(),
        "_contains" => random.pick(&values).clone(),
        "_regex" => json!("^a"),
        _ => random.pick(&scalars).clone(),
    };
    let leaf = json!({ operator: operand });
    let paths: [&[&str]; 5] = [&["a"], &["a", "b"], &["a", "0"], &["x\"y"], &["it's"]];
    random.pick(&paths).iter().rev().fold(leaf, |inner, name| json!({ *name: inner }))
}

pub(crate) fn condition(random: &mut Random, depth: u32) -> Value {
    condition_of(test, random, depth)
}

fn condition_of(test: fn(&mut Random) -> Value, random: &mut Random, depth: u32) -> Value {
    let kind = *random.pick(&["leaf", "leaf", "and", "or", "not"]);
    if depth == 0 || kind == "leaf" {
        return test(random);
    }
    let mut part = || condition_of(test, random, depth - 1);
    match kind {
        "and" => json!({ "_and": [part(), part()] }),
        "or" => json!({ "_or": [part(), part()] }),
        _ => json!({ "_not": part() }),
    }
}

async fn what_is_found_is_what_the_condition_holds_of(url: &str) {
    let bench = Bench::new(url).await;
    let mut rows: Vec<(String, Value)> = Vec::new();
    for (number, value) in values().into_iter().enumerate() {
        rows.push((format!("{number:03}"), json!({ "a": value, "x\"y": number, "it's": value })));
    }
    rows.push(("none".to_owned(), json!({})));
    let texts: Vec<(&str, String)> =
        rows.iter().map(|(key, row)| (&**key, row.to_string())).collect();
    let texts: Vec<(&str, &str)> = texts.iter().map(|(key, row)| (*key, &**row)).collect();
    bench.full(&texts).await;

    let mut random = Random::from_seed(7);
    let mut hits = 0;
    for _ in 0..600 {
        let condition = condition(&mut random, 2);
        let reference = Condition::parse(&condition).unwrap();
        let expected: Vec<&str> =
            rows.iter().filter(|(_, row)| reference.holds(row)).map(|(key, _)| &**key).collect();
        let found = found(&bench, &search(&bench, &condition)).await;
        let found: Vec<&str> = found.iter().map(|(_, key)| &**key).collect();
        assert_eq!(found, expected, "{condition}");
        hits += found.len();
    }
    assert!(hits > 2_000, "{hits}");
}

/// Decimals as systems write them, and what is none.
fn decimals() -> Vec<Value> {
    let mut all: Vec<Value> = [
        "12.50",
        "12.5",
        "9",
        "9.00",
        "+9",
        "0009",
        "-3",
        "-3.10",
        "0",
        "-0.0",
        ".5",
        "5.",
        "1e2",
        "100",
        "1e400",
        "-1e400",
        "1e-400",
        "1e-5",
        "0.1",
        "0.10000000000000000001",
        "NaN",
        "Infinity",
        "",
        " 9",
        "9 ",
        "9,5",
        "ten",
        "0x10",
        "+",
        "9007199254740993",
        "9007199254740992",
        "1e99999999999",
    ]
    .map(Value::from)
    .into();
    let (nines, zeros) = ("9".repeat(140), "0".repeat(140));
    all.extend([json!(nines), json!(format!("0.{zeros}1")), json!(format!("9.{zeros}1"))]);
    all.extend([json!(null), json!(true), json!(9), json!(12.5), json!(-4), json!(["9"])]);
    all
}

fn test_of_decimals(random: &mut Random) -> Value {
    let values = decimals();
    let scalars: Vec<Value> =
        values.into_iter().filter(|it| !(it.is_null() || it.is_array())).collect();
    let operators = ["_eq", "_neq", "_gt", "_gte", "_lt", "_lte", "_in", "_nin", "_is_null"];
    let operator = *random.pick(&operators);
    let operand = match operator {
        "_in" | "_nin" => {
            (0..*random.pick(&[0, 1, 3])).map(|_| random.pick(&scalars).clone()).collect()
        }
        "_is_null" => random.pick(&[json!(true), json!(false)]).clone(),
        _ => random.pick(&scalars).clone(),
    };
    let paths: [&[&str]; 4] = [&["price"], &["price"], &["name"], &["below", "price"]];
    let leaf = json!({ operator: operand });
    random.pick(&paths).iter().rev().fold(leaf, |inner, name| json!({ *name: inner }))
}

async fn decimals_are_found_by_their_values_where_the_stream_has_them(url: &str) {
    let mut one = Bench::new(url).await;
    let field = |name: &str, kind| StreamField { name: name.to_owned(), kind, nullable: true };
    one.memory.fields = vec![field("name", FieldKind::Text), field("price", FieldKind::Decimal)];
    let mut other = one.another(2).await;
    other.memory.fields = vec![field("price", FieldKind::Text)];
    let unknown = one.another(3).await;
    let rows: Vec<(String, Value)> = (0..)
        .zip(decimals())
        .map(|(number, it)| {
            (format!("{number:03}"), json!({ "price": it, "name": it, "below": { "price": it } }))
        })
        .collect();
    let texts: Vec<(&str, String)> =
        rows.iter().map(|(key, row)| (&**key, row.to_string())).collect();
    let texts: Vec<(&str, &str)> = texts.iter().map(|(key, row)| (*key, &**row)).collect();
    for bench in [&one, &other, &unknown] {
        bench.full(&texts).await;
    }

    let expected = |condition: &Condition| {
        let of = |bench: &Bench, condition: &Condition| {
            let held = rows.iter().filter(|(_, row)| condition.holds(row));
            held.map(|(key, _)| (bench.activation.id, key.clone())).collect::<Vec<_>>()
        };
        let decimal = condition.with_decimals(&|it| it == "price");
        [of(&one, &decimal), of(&other, condition), of(&unknown, condition)].concat()
    };
    let dear = json!({ "price": { "_gt": "9" }, "name": { "_in": ["12.50", "12.5", "9 "] } });
    let found_dear = found(&one, &search(&one, &dear)).await;
    assert_eq!(found_dear[..2], [0, 1].map(|it| (one.activation.id, rows[it].0.clone())));
    assert_eq!(found_dear.len(), 4, "in the others, they are texts: {found_dear:?}");

    let mut random = Random::from_seed(23);
    let mut hits = 0;
    for round in 0..400 {
        let condition = condition_of(test_of_decimals, &mut random, 2);
        let limit = if round % 10 == 0 { 7 } else { 1_000 };
        let search = RecordSearch { limit, ..search(&one, &condition) };
        let expected = expected(&search.condition);
        assert_eq!(found(&one, &search).await, expected, "{condition}");
        hits += expected.len();
    }
    assert!(hits > 10_000, "{hits}");
}

async fn the_largest_conditions_are_asked(url: &str) {
    let bench = Bench::new(url).await;
    bench.full(&[("1", "{\"n\":1}"), ("2", "{\"n\":2}"), ("3", "{\"n\":3}")]).await;
    let numbers = |many: i64| (0..many).map(|it| 2 - it).collect::<Vec<_>>();
    let parts = |many| numbers(many).iter().map(|it| json!({ "n": { "_eq": it } })).collect();
    let list = |many| json!({ "n": { "_in": numbers(many) } });
    let (any, lists): (Vec<Value>, _) = (parts(490), vec![list(1_000); 100]);
    let none: Vec<Value> = any.iter().map(|it| json!({ "_not": it })).collect();
    for (condition, expected) in [
        (list(1_000), &["1", "2"][..]),
        (list(10_000), &["1", "2"]),
        (json!({ "_and": lists }), &["1", "2"]),
        (json!({ "_or": lists }), &["1", "2"]),
        (json!({ "_or": any }), &["1", "2"]),
        (json!({ "_and": none[..320] }), &["3"]),
        (json!({ "_not": { "_and": [{ "_or": none[..320] }, list(2)] } }), &["3"]),
    ] {
        let found = found(&bench, &search(&bench, &condition)).await;
        let keys: Vec<&str> = found.iter().map(|(_, key)| &**key).collect();
        assert_eq!(
            keys,
            expected,
            "{}",
            condition.to_string().chars().take(80).collect::<String>()
        );
    }
}

async fn a_search_goes_on_page_by_page(url: &str) {
    let bench = Bench::new(url).await;
    let rows: Vec<(String, String)> = (0..1_300)
        .map(|it| (format!("{it:05}"), format!("{{\"n\":{it},\"even\":{}}}", it % 2 == 0)))
        .collect();
    let rows: Vec<(&str, &str)> = rows.iter().map(|(key, row)| (&**key, &**row)).collect();
    bench.full(&rows).await;
    bench.full(&rows[..1_200]).await;
    // One that SQL can tell, and one that it cannot.
    for even in [
        json!({ "even": { "_eq": true } }),
        json!({ "n": { "_neq": 7 }, "even": { "_nin": [false] } }),
    ] {
        let pages = RecordSearch { limit: 7, ..search(&bench, &even) };
        assert_eq!(found(&bench, &pages).await.len(), 600);
        let shown = RecordSearch { deleted: Deleted::Shown, ..pages };
        assert_eq!(found(&bench, &shown).await.len(), 650);
    }
    let odd = json!({ "n": { "_gte": 1_190 }, "even": { "_eq": false } });
    let last = RecordSearch { limit: 100, ..search(&bench, &odd) };
    let page = bench.records.search(&last).await.unwrap();
    assert_eq!((page.records.len(), page.next), (5, None));
    let behind =
        SearchPosition { key: Some("01195".to_owned()), ..page.records[0].position.clone() };
    assert_eq!(found(&bench, &RecordSearch { after: Some(behind), ..last }).await.len(), 2);
}

async fn a_search_stays_in_its_workspaces_and_activation(url: &str) {
    let one = Bench::new(url).await;
    let other = one.another(2).await;
    for bench in [&one, &other] {
        let run = bench.begin(SyncMode::Incremental).await;
        let load = bench.open(run, SyncMode::Incremental).await.unwrap();
        bench.commit(&load, &[("1", "{\"n\":1}"), ("2", "{\"n\":2}")]).await.unwrap();
    }
    let all = search(&one, &json!({ "n": { "_gt": 1 } }));
    assert_eq!(found(&one, &all).await.len(), 2);
    let narrow = RecordSearch { activation: Some(other.activation.id), ..all.clone() };
    assert_eq!(found(&one, &narrow).await, [(other.activation.id, "2".to_owned())]);
    let named = RecordSearch { stream: Some("others".parse().unwrap()), ..all.clone() };
    assert_eq!(found(&one, &named).await, []);
    let foreign = RecordSearch { workspaces: vec![one.place.foreign_workspace], ..all };
    assert_eq!(found(&one, &foreign).await, []);
}

/// One connection to the database at `url`, on which looking for something may take so long.
pub(crate) async fn hurried(url: &str, search: SearchTime) -> Database {
    let sizes = PoolSizes { connections: 1, search, ..PoolSizes::default() };
    connect_with(url, sizes).await.unwrap()
}

async fn a_page_that_took_long_enough_goes_on(url: &str) {
    let one = Bench::new(url).await;
    let other = one.another(2).await;
    let rows: Vec<(String, String)> =
        (0..1_300).map(|it| (format!("{it:05}"), format!("{{\"n\":{it}}}"))).collect();
    let rows: Vec<(&str, &str)> = rows.iter().map(|(key, row)| (&**key, &**row)).collect();
    one.full(&rows).await;
    other.full(&rows).await;
    let time = SearchTime { page: Duration::ZERO, ..SearchTime::default() };
    let db = hurried(url, time).await;
    let all = search(&one, &json!({}));
    let page = db.records().search(&all).await.unwrap();
    assert_eq!(page.records.len(), 500);
    assert_eq!(found_by(&*db.records(), &all).await, found(&one, &all).await);
    let none = search(&one, &json!({ "n": { "_eq": -1 } }));
    let page = db.records().search(&none).await.unwrap();
    assert!(page.records.is_empty() && page.next.is_some(), "{page:?}");
    assert_eq!(found_by(&*db.records(), &none).await, []);
}

async fn a_statement_that_takes_too_long_is_stopped_and_nothing_after_it(url: &str) {
    let bench = Bench::new(url).await;
    let rows: Vec<(String, String)> =
        (0..20_000).map(|it| (format!("{it:05}"), format!("{{\"n\":{it}}}"))).collect();
    let rows: Vec<(&str, &str)> = rows.iter().map(|(key, row)| (&**key, &**row)).collect();
    bench.full(&rows).await;
    let time = SearchTime { statement: Duration::from_millis(1), ..SearchTime::default() };
    let db = hurried(url, time).await;
    let none = search(&bench, &json!({ "n": { "_eq": -1 } }));
    let refused = db.records().search(&none).await;
    assert!(matches!(refused, Err(StoreError::TooSlow)), "{refused:?}");
    let all = RecordQuery {
        activation: bench.activation.id,
        stream: "orders".parse().unwrap(),
        deleted: Deleted::Hidden,
        after: None,
        limit: 20_000,
    };
    assert_eq!(db.records().page(&all).await.unwrap().len(), 20_000);
    assert_eq!(found(&bench, &none).await, []);
}

async fn a_search_that_is_given_up_is_stopped_and_nothing_after_it(url: &str) {
    let bench = Bench::new(url).await;
    let rows: Vec<(String, String)> =
        (0..20_000).map(|it| (format!("{it:05}"), format!("{{\"n\":{it}}}"))).collect();
    let rows: Vec<(&str, &str)> = rows.iter().map(|(key, row)| (&**key, &**row)).collect();
    bench.full(&rows).await;
    let time = SearchTime { statement: Duration::from_mins(1), ..SearchTime::default() };
    let db = hurried(url, time).await;
    // Holds of nothing, and takes longer than anybody waits for a connection.
    let none: Vec<i64> = (1..=1_000).map(|it| -it).collect();
    let endless = search(&bench, &json!({ "n": { "_in": none } }));
    let store = db.records();
    let given_up = tokio::time::timeout(Duration::from_secs(1), store.search(&endless)).await;
    assert!(given_up.is_err(), "it was at work: {given_up:?}");
    // On the same connection: there is no other.
    let all = RecordQuery {
        activation: bench.activation.id,
        stream: "orders".parse().unwrap(),
        deleted: Deleted::Hidden,
        after: None,
        limit: 20_000,
    };
    assert_eq!(store.page(&all).await.unwrap().len(), 20_000);
}

async fn a_page_ends_after_eight_megabytes_and_goes_on(url: &str) {
    let bench = Bench::new(url).await;
    let large = json!({ "text": "a".repeat(5 << 20) }).to_string();
    for key in ["1", "2", "3"] {
        let run = bench.begin(SyncMode::Incremental).await;
        let load = bench.open(run, SyncMode::Incremental).await.unwrap();
        bench.commit(&load, &[(key, &large)]).await.unwrap();
        bench.end(run, RunEnd::Clean).await.unwrap();
    }
    let all = search(&bench, &json!({}));
    let page = bench.records.search(&all).await.unwrap();
    assert_eq!(page.records.len(), 2);
    let rest = RecordSearch { after: page.next, ..all };
    let page = bench.records.search(&rest).await.unwrap();
    assert_eq!((page.records.len(), page.next), (1, None));
}
