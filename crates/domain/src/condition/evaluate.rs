//! The reference evaluator: what a condition means, record by record.
//!
//! SQL's three-valued logic, as PostgreSQL has it: a comparison with null is neither true nor false.
//! Beyond SQL, which refuses to compare text with numbers, values of different kinds compare to unknown.

use std::cmp::Ordering;

use serde_json::{Number, Value};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{Condition, Decimal, FieldPath, Scalar, Test};

/// True, false, or neither.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Truth {
    /// It does not hold.
    False,
    /// It cannot be told, since something is null.
    Unknown,
    /// It holds.
    True,
}

impl Truth {
    /// True where this is false, and the other way round.
    #[must_use]
    pub const fn negated(self) -> Self {
        match self {
            Self::False => Self::True,
            Self::Unknown => Self::Unknown,
            Self::True => Self::False,
        }
    }

    const fn of(holds: bool) -> Self {
        if holds { Self::True } else { Self::False }
    }
}

impl Condition {
    /// Whether `record` passes: only what is true does, as in SQL's `WHERE`.
    pub fn holds(&self, record: &Value) -> bool {
        self.evaluate(record) == Truth::True
    }

    /// What the condition says of `record`.
    pub fn evaluate(&self, record: &Value) -> Truth {
        match self {
            Self::And(parts) => {
                parts.iter().map(|it| it.evaluate(record)).min().unwrap_or(Truth::True)
            }
            Self::Or(parts) => {
                parts.iter().map(|it| it.evaluate(record)).max().unwrap_or(Truth::False)
            }
            Self::Not(part) => part.evaluate(record).negated(),
            Self::Field(path, test) => test.evaluate(Cell::of(path.find(record))),
        }
    }
}

/// The value of a field, as far as tests look into it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Cell<'a> {
    /// None.
    Null,
    /// True or false.
    Boolean(bool),
    /// A whole number.
    Integer(i64),
    /// A finite floating-point number.
    Number(f64),
    /// Text, and all that JSON writes as text.
    Text(&'a str),
    /// A point in time whose text is RFC 3339. Compares with points in time alone.
    Instant(OffsetDateTime),
    /// Any of these, or a list, or an object.
    Json(&'a Value),
}

impl<'a> Cell<'a> {
    /// The cell that holds `value`.
    pub fn of(value: &'a Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(it) => Self::Boolean(*it),
            Value::String(it) => Self::Text(it),
            other => Self::Json(other),
        }
    }
}

impl FieldPath {
    /// The value of the field. What is missing is null.
    pub fn find<'a>(&self, record: &'a Value) -> &'a Value {
        self.0.iter().try_fold(record, |inner, name| inner.get(name)).unwrap_or(&Value::Null)
    }
}

impl Test {
    /// What the test says of a field that holds `value`.
    pub fn evaluate(&self, value: Cell<'_>) -> Truth {
        let compared = |scalar: &Scalar, accept: fn(Ordering) -> bool| {
            scalar.compare(value).map_or(Truth::Unknown, |it| Truth::of(accept(it)))
        };
        match self {
            Self::Eq(it) => compared(it, Ordering::is_eq),
            Self::Neq(it) => compared(it, Ordering::is_ne),
            Self::Gt(it) => compared(it, Ordering::is_gt),
            Self::Gte(it) => compared(it, Ordering::is_ge),
            Self::Lt(it) => compared(it, Ordering::is_lt),
            Self::Lte(it) => compared(it, Ordering::is_le),
            Self::In(list) => among(list, value),
            Self::Nin(list) => among(list, value).negated(),
            Self::Matches(pattern) => text(value, |it| pattern.matches(it)),
            Self::Differs(pattern) => text(value, |it| !pattern.matches(it)),
            Self::IsNull => Truth::of(value == Cell::Null),
            Self::IsNotNull => Truth::of(value != Cell::Null),
            Self::Contains(_) | Self::HasKey(_) => inside(value, |it| match self {
                Self::Contains(needle) => contains_at_top(it, needle),
                Self::HasKey(key) => has_key(it, key),
                _ => false,
            }),
        }
    }
}

/// SQL's `IN`: an empty list holds nothing, not even null.
fn among(list: &[Scalar], value: Cell<'_>) -> Truth {
    let each =
        list.iter().map(|it| it.compare(value).map_or(Truth::Unknown, |o| Truth::of(o.is_eq())));
    each.max().unwrap_or(Truth::False)
}

fn text(value: Cell<'_>, accept: impl Fn(&str) -> bool) -> Truth {
    match value {
        Cell::Text(it) => Truth::of(accept(it)),
        _ => Truth::Unknown,
    }
}

/// What is asked of JSON. Texts and such are JSON too.
fn inside(value: Cell<'_>, accept: impl Fn(&Value) -> bool) -> Truth {
    let value = match value {
        Cell::Null | Cell::Instant(_) => return Truth::Unknown,
        Cell::Json(it) => return Truth::of(accept(it)),
        Cell::Boolean(it) => Value::from(it),
        Cell::Integer(it) => Value::from(it),
        Cell::Number(it) => Value::from(it),
        Cell::Text(it) => Value::from(it),
    };
    Truth::of(accept(&value))
}

impl Scalar {
    /// Whether it is text that compares as a point in time with others of its kind.
    pub fn is_instant(&self) -> bool {
        matches!(self, Self::Text(text) if instant(text).is_some())
    }

    /// How `value` compares to this. Nothing where they cannot be compared.
    fn compare(&self, value: Cell<'_>) -> Option<Ordering> {
        match (value, self) {
            (Cell::Boolean(a), Self::Boolean(b)) => Some(a.cmp(b)),
            (Cell::Integer(a), Self::Number(b)) => compare_numbers(&a.into(), b),
            (Cell::Number(a), Self::Number(b)) => compare_numbers(&Number::from_f64(a)?, b),
            (Cell::Json(Value::Number(a)), Self::Number(b)) => compare_numbers(a, b),
            (Cell::Text(a), Self::Text(b)) => Some(compare_text(a, b)),
            (Cell::Text(a), Self::Decimal(b)) => Some(Decimal::parse(a)?.cmp(b)),
            (Cell::Json(Value::Number(a)), Self::Decimal(b)) => {
                Some(Decimal::parse(&a.to_string())?.cmp(b))
            }
            (Cell::Instant(a), Self::Text(b)) => Some(a.cmp(&instant(b)?)),
            _ => None,
        }
    }

    /// The point in time that it says, if it is the RFC 3339 of one.
    pub fn as_instant(&self) -> Option<OffsetDateTime> {
        match self {
            Self::Text(it) => instant(it),
            Self::Boolean(_) | Self::Number(_) | Self::Decimal(_) => None,
        }
    }
}

/// Points in time compare as such where both are RFC 3339, all other text byte by byte.
fn compare_text(a: &str, b: &str) -> Ordering {
    match (instant(a), instant(b)) {
        (Some(a), Some(b)) => a.cmp(&b),
        _ => a.cmp(b),
    }
}

fn instant(text: &str) -> Option<OffsetDateTime> {
    let bytes = text.as_bytes();
    // Most text is no instant: a look at its shape spares the parser.
    let shaped = bytes.len() >= 20 && bytes[4] == b'-' && bytes[0].is_ascii_digit();
    if shaped { OffsetDateTime::parse(text, &Rfc3339).ok() } else { None }
}

/// Compares without losing a digit of a whole number.
fn compare_numbers(a: &Number, b: &Number) -> Option<Ordering> {
    match (whole(a), whole(b)) {
        (Some(a), Some(b)) => Some(a.cmp(&b)),
        (Some(a), None) => compare_whole(a, b.as_f64()?),
        (None, Some(b)) => compare_whole(b, a.as_f64()?).map(Ordering::reverse),
        (None, None) => a.as_f64()?.partial_cmp(&b.as_f64()?),
    }
}

fn whole(number: &Number) -> Option<i128> {
    number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from))
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "`as` saturates, and every 64-bit whole number fits i128 with room to spare"
)]
fn compare_whole(a: i128, b: f64) -> Option<Ordering> {
    if b.is_nan() {
        return None;
    }
    let floor = b.floor();
    let order = a.cmp(&(floor as i128));
    Some(if order.is_eq() && b > floor { Ordering::Less } else { order })
}

/// `jsonb @> jsonb`: at the top, and only there, a list also contains a bare scalar.
fn contains_at_top(value: &Value, needle: &Value) -> bool {
    match (value, needle) {
        (Value::Array(values), scalar) if !scalar.is_array() && !scalar.is_object() => {
            values.iter().any(|it| contains(it, scalar))
        }
        _ => contains(value, needle),
    }
}

fn contains(value: &Value, needle: &Value) -> bool {
    match (value, needle) {
        (Value::Object(value), Value::Object(needle)) => {
            needle.iter().all(|(key, needle)| value.get(key).is_some_and(|it| contains(it, needle)))
        }
        (Value::Array(values), Value::Array(needles)) => {
            needles.iter().all(|needle| values.iter().any(|it| contains(it, needle)))
        }
        (Value::Number(a), Value::Number(b)) => compare_numbers(a, b).is_some_and(Ordering::is_eq),
        (a, b) => a == b,
    }
}

/// `jsonb ? text`: a key of an object, an element of a list, or the text itself.
fn has_key(value: &Value, key: &str) -> bool {
    match value {
        Value::Object(object) => object.contains_key(key),
        Value::Array(values) => values.iter().any(|it| it == key),
        other => other == key,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn evaluate(condition: &Value, record: &Value) -> Truth {
        Condition::parse(condition).unwrap().evaluate(record)
    }

    #[test]
    fn each_operator_means_what_it_means_in_postgresql() {
        use Truth::{False, True, Unknown};
        let record = json!({
            "n": 5, "big": 9_007_199_254_740_993_i64, "f": 2.5, "t": "Oslo", "b": true, "nil": null,
            "at": "2026-05-01T12:00:00+02:00", "tags": ["a", "b"], "o": { "k": 1, "l": [1, { "m": 2 }] },
        });
        for (condition, expected) in [
            (json!({ "n": { "_eq": 5 } }), True),
            (json!({ "n": { "_eq": 5.0 } }), True),
            (json!({ "n": { "_lt": 5.5 } }), True),
            (json!({ "n": { "_gt": "4" } }), Unknown),
            (json!({ "big": { "_gt": 9_007_199_254_740_992_i64 } }), True),
            (json!({ "big": { "_eq": 9_007_199_254_740_992.0 } }), False),
            (json!({ "f": { "_gte": 2 } }), True),
            (json!({ "t": { "_neq": "Rome" } }), True),
            (json!({ "nil": { "_neq": "Rome" } }), Unknown),
            (json!({ "gone": { "_is_null": true } }), True),
            (json!({ "n": { "_is_null": true } }), False),
            (json!({ "t": { "_in": ["Rome", "Oslo"] } }), True),
            (json!({ "t": { "_in": [] } }), False),
            (json!({ "nil": { "_in": [] } }), False),
            (json!({ "nil": { "_nin": [] } }), True),
            (json!({ "nil": { "_nin": ["x"] } }), Unknown),
            (json!({ "t": { "_nin": ["x"] } }), True),
            (json!({ "t": { "_like": "O%" } }), True),
            (json!({ "t": { "_nlike": "o%" } }), True),
            (json!({ "t": { "_ilike": "o%" } }), True),
            (json!({ "t": { "_nilike": "o%" } }), False),
            (json!({ "nil": { "_nlike": "o%" } }), Unknown),
            (json!({ "t": { "_similar": "(O|R)%" } }), True),
            (json!({ "t": { "_regex": "sl" } }), True),
            (json!({ "t": { "_iregex": "^OS" } }), True),
            (json!({ "at": { "_eq": "2026-05-01T10:00:00Z" } }), True),
            (json!({ "at": { "_gt": "2026-05-01T10:00:00.5Z" } }), False),
            (json!({ "o": { "_contains": { "l": [{ "m": 2 }] } } }), True),
            (json!({ "o": { "_contains": { "k": 2 } } }), False),
            (json!({ "tags": { "_contains": "a" } }), True),
            (json!({ "tags": { "_contains": ["b", "a", "a"] } }), True),
            (json!({ "tags": { "_contains": [["a"]] } }), False),
            (json!({ "o": { "_has_key": "k" } }), True),
            (json!({ "tags": { "_has_key": "b" } }), True),
            (json!({ "t": { "_has_key": "Oslo" } }), True),
            (json!({ "nil": { "_has_key": "k" } }), Unknown),
            (json!({ "o": { "k": { "_eq": 1 } } }), True),
            (json!({ "b": { "_eq": true } }), True),
            (json!({}), True),
            (json!({ "_or": [] }), False),
            (json!({ "_not": { "nil": { "_eq": 1 } } }), Unknown),
            (json!({ "_or": [{ "nil": { "_eq": 1 } }, { "n": { "_eq": 5 } }] }), True),
            (json!({ "_and": [{ "nil": { "_eq": 1 } }, { "n": { "_eq": 4 } }] }), False),
        ] {
            assert_eq!(evaluate(&condition, &record), expected, "{condition}");
        }
    }

    fn json_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            (-1e6..1e6).prop_map(|it: f64| Value::from(it)),
            "[a-c%_]{0,3}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 12, 3, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
                prop::collection::btree_map("[a-c]", inner, 0..3).prop_map(|it| json!(it)),
            ]
        })
    }

    fn condition() -> impl Strategy<Value = Condition> {
        let scalar = prop_oneof![
            any::<bool>().prop_map(Value::from),
            (-3..3).prop_map(Value::from),
            "[a-c]{0,2}".prop_map(Value::from)
        ];
        let operand = (
            prop::sample::select(vec!["_eq", "_neq", "_gt", "_gte", "_lt", "_lte"]),
            scalar.clone(),
        )
            .prop_map(|(operator, value)| json!({ operator: value }));
        let list = (prop::sample::select(vec!["_in", "_nin"]), prop::collection::vec(scalar, 0..3))
            .prop_map(|(operator, values)| json!({ operator: values }));
        let pattern = (
            prop::sample::select(vec![
                "_like", "_nlike", "_ilike", "_nilike", "_similar", "_regex", "_iregex",
            ]),
            "[a-c%_]{0,3}",
        )
            .prop_map(|(operator, pattern)| json!({ operator: pattern }));
        let other = prop_oneof![
            any::<bool>().prop_map(|it| json!({ "_is_null": it })),
            json_value().prop_map(|it| json!({ "_contains": it })),
            "[a-c]".prop_map(|it| json!({ "_has_key": it })),
        ];
        let test = prop_oneof![operand, list, pattern, other];
        let leaf = (prop::collection::vec("[a-c]", 1..3), test).prop_map(|(path, test)| {
            let value = path.into_iter().rev().fold(test, |inner, name| json!({ name: inner }));
            Condition::parse(&value).unwrap()
        });
        leaf.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Condition::And),
                prop::collection::vec(inner.clone(), 0..4).prop_map(Condition::Or),
                inner.prop_map(|it| Condition::Not(Box::new(it))),
            ]
        })
    }

    fn not(condition: Condition) -> Condition {
        Condition::Not(Box::new(condition))
    }

    proptest! {
        #[test]
        fn what_is_printed_reads_back_as_it_was(condition in condition()) {
            prop_assert_eq!(Condition::parse(&condition.to_value()), Ok(condition));
        }

        #[test]
        fn twice_negated_is_as_it_was(condition in condition(), record in json_value()) {
            prop_assert_eq!(not(not(condition.clone())).evaluate(&record), condition.evaluate(&record));
        }

        #[test]
        fn de_morgan_holds_with_unknowns(parts in prop::collection::vec(condition(), 0..4), record in json_value()) {
            let negated: Vec<_> = parts.iter().cloned().map(not).collect();
            prop_assert_eq!(
                not(Condition::And(parts.clone())).evaluate(&record),
                Condition::Or(negated.clone()).evaluate(&record)
            );
            prop_assert_eq!(
                not(Condition::Or(parts)).evaluate(&record),
                Condition::And(negated).evaluate(&record)
            );
        }

        #[test]
        fn whatever_is_parsed_never_panics(value in json_value()) {
            let _ = Condition::parse(&value);
        }
    }
}
