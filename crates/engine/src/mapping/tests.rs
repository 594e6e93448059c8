//! Tests of mappings.

use std::time::{Duration, Instant};

use super::*;

fn map(expression: &str, payload: &str) -> Result<Vec<String>, MappingFailure> {
    Mapping::compile(expression).unwrap().evaluate(payload).map(|it| it.objects)
}

fn within(change: impl FnOnce(&mut MappingLimits)) -> MappingLimits {
    let mut limits = MappingLimits::default();
    change(&mut limits);
    limits
}

#[test]
fn a_record_becomes_none_one_or_several_objects() {
    let lines = r#"{"id":7,"lines":[{"sku":"a"},{"sku":"b"}],"none":[]}"#;
    assert_eq!(map(r#"{"id": id}"#, lines).unwrap(), [r#"{"id":7}"#]);
    assert_eq!(
        map(r#"lines.{"sku": sku, "of": %.id}"#, lines).unwrap(),
        [r#"{"sku":"a","of":7}"#, r#"{"sku":"b","of":7}"#]
    );
    assert_eq!(map(r#"id > 8 ? {"id": id}"#, lines).unwrap(), [""; 0]);
    assert_eq!(map(r#"none.{"sku": sku}"#, lines).unwrap(), [""; 0]);
    assert_eq!(map(r#"[{"a": 1}, missing]"#, lines).unwrap(), [r#"{"a":1}"#]);
}

#[test]
fn what_is_absent_is_left_out_and_null_stays() {
    assert_eq!(
        map(r#"{"a": a, "b": b, "c": c}"#, r#"{"a":null,"c":[1,2.50,"x"]}"#).unwrap(),
        [r#"{"a":null,"c":[1,2.5,"x"]}"#]
    );
}

#[test]
fn long_identifiers_stay_what_they_are() {
    let payload = r#"{"id":9007199254740993,"low":-9223372036854775808,"high":18446744073709551615,"small":9007199254740992}"#;
    assert_eq!(
        map(r#"{"id": $string(id), "low": low, "high": high, "small": small}"#, payload).unwrap(),
        [
            r#"{"id":"9007199254740993","low":"-9223372036854775808","high":"18446744073709551615","small":9007199254740992}"#
        ]
    );
}

#[test]
fn only_objects_are_mapped() {
    for (expression, kind) in [
        ("1", ValueKind::Number),
        ("\"a\"", ValueKind::Text),
        ("true", ValueKind::Boolean),
        ("null", ValueKind::Null),
        ("$sum", ValueKind::Function),
        ("[{}, 1]", ValueKind::Number),
        ("[[{}], [{}]]", ValueKind::Array),
    ] {
        assert_eq!(map(expression, "{}"), Err(MappingFailure::NotAnObject(kind)), "{expression}");
    }
}

#[test]
fn a_mapping_that_is_no_jsonata_is_refused_when_it_is_compiled() {
    for (expression, said) in [
        ("", "empty"),
        (" \n", "empty"),
        ("{ \"a\": ", "ends too early"),
        ("{ \"a\": \"b }", "no closing quote (S0101)"),
        ("a /* b", "a comment has no end (S0106)"),
        ("10e1000", "a number is out of range (S0102)"),
        ("2(a)", "something is called that is no function (T1006)"),
        ("a ~ b", "not JSONata"),
        ("{ \"a\" b }", "not JSONata"),
    ] {
        let error = Mapping::compile(expression).unwrap_err().to_string();
        assert!(error.contains(said), "{expression}: {error}");
    }
    let long = format!("{{\"a\": \"{}\"}}", "x".repeat(Mapping::LONGEST));
    assert!(matches!(Mapping::compile(&long), Err(InvalidMapping::TooLong { .. })));
}

#[test]
fn deep_expressions_are_refused_before_the_parser_recurses() {
    for pair in ["()", "[]", "{}"] {
        let (open, close) = pair.split_at(1);
        let deep = format!("{}{}", open.repeat(30_000), close.repeat(30_000));
        assert!(matches!(Mapping::compile(&deep), Err(InvalidMapping::TooDeep { .. })), "{pair}");
    }
    let fine = format!("{}{{\"a\":1}}{}", "(".repeat(99), ")".repeat(99));
    assert_eq!(map(&fine, "{}").unwrap(), [r#"{"a":1}"#]);
}

#[test]
fn long_chains_neither_overflow_nor_hang() {
    for unit in ["-", "a.", "a&", "1+", "a?b:", "a~>", "a[1]", "a:=", "$a:=", "function($a)", "^"] {
        let chain = unit.repeat(Mapping::LONGEST / unit.len() - 4) + "a";
        if let Ok(mapping) = Mapping::compile(&chain) {
            let _ = mapping.evaluate(r#"{"a":1}"#);
        }
    }
}

#[test]
fn no_failure_quotes_a_value() {
    let payload = r#"{"secret":"hunter2","list":["hunter2"],"hunter2":{}}"#;
    for expression in [
        "secret + 1",
        "$number(secret)",
        "$sum(list)",
        "secret < 1",
        "$error(secret)",
        "$assert(false, secret)",
        "secret()",
        "$single(list, function($v) { false })",
        "$eval(secret & ' +')",
        "{secret: 1, list: 2}",
        "secret",
    ] {
        let failure = map(expression, payload).expect_err(expression);
        assert!(!format!("{failure} {failure:?}").contains("hunter2"), "{expression}: {failure}");
    }
    let failure = map("secret + 1", payload).unwrap_err();
    assert_eq!(
        failure.to_string(),
        "the mapping cannot work with the values of the record: arithmetic with something that is no number; convert \
         it with $number (T2001)"
    );
}

#[test]
fn a_mapping_that_never_ends_is_stopped() {
    let limits = within(|it| it.timeout = Duration::from_millis(50));
    let began = Instant::now();
    let endless = Mapping::compile_within("($f := function() { $f() }; $f())", limits).unwrap();
    assert_eq!(endless.evaluate("{}"), Err(MappingFailure::TimedOut(limits.timeout)));
    assert!(began.elapsed() < Duration::from_secs(10));
    let deep = Mapping::compile("($f := function($n) { 1 + $f($n + 1) }; $f(0))").unwrap();
    assert_eq!(deep.evaluate("{}"), Err(MappingFailure::TooDeep));
}

#[test]
fn a_mapping_that_makes_too_much_is_stopped() {
    assert_eq!(
        map(r#"[1..1000000].{"n": $}"#, "{}"),
        Err(MappingFailure::TooManyItems(MappingLimits::default().items))
    );
    // Each turn shares the last one twice: a few references, 2⁴⁰ texts.
    let shared =
        r#"{"a": $reduce([1..40], function($all, $n) { {"l": $all, "r": $all} }, {"x": 1})}"#;
    let limits = within(|it| it.mapped = 10_000);
    let bomb = Mapping::compile_within(shared, limits).unwrap();
    assert_eq!(bomb.evaluate("{}"), Err(MappingFailure::MappedTooLarge(10_000)));
    // The bound is on all objects of a record together.
    let both = Mapping::compile_within(r#"[{"a": a}, {"a": a}]"#, within(|it| it.mapped = 15));
    let failure = both.unwrap().evaluate(r#"{"a":"xy"}"#);
    assert_eq!(failure, Err(MappingFailure::MappedTooLarge(15)));
}

#[test]
fn a_record_is_json_of_bounded_size_and_depth() {
    assert_eq!(map("{}", "{"), Err(MappingFailure::Unreadable));
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(map("{}", &deep), Err(MappingFailure::Unreadable));
    let small = Mapping::compile_within("{}", within(|it| it.payload = 4)).unwrap();
    assert_eq!(
        small.evaluate("[1,2]"),
        Err(MappingFailure::PayloadTooLarge { length: 5, limit: 4 })
    );
    assert_eq!(small.evaluate("null").unwrap().objects, ["{}"]);
}

#[test]
fn one_evaluation_leaves_nothing_for_the_next() {
    let mapping =
        Mapping::compile(r#"($seen := $exists($seen) ? $seen + 1 : 1; {"seen": $seen})"#).unwrap();
    for _ in 0..3 {
        assert_eq!(mapping.evaluate("{}").unwrap().objects, [r#"{"seen":1}"#]);
    }
}
