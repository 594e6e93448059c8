//! Conditions on records: Hasura's boolean expressions, as a tree that can only be built right.

mod decimal;
mod evaluate;
mod parse;
mod pattern;
mod validate;

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::{Map, Number, Value, json};

pub use decimal::Decimal;
pub use evaluate::{Cell, Truth};
pub use parse::InvalidCondition;
pub use pattern::Pattern;
pub use validate::ConditionMismatch;

/// What must hold of a record.
///
/// Speaks [Hasura's `where`](https://hasura.io/docs/2.0/queries/postgres/filters/index/) on the wire:
///
/// ```
/// use linkspan_domain::Condition;
/// use serde_json::json;
///
/// let adults = Condition::parse(&json!({ "age": { "_gte": 18 }, "address": { "city": { "_in": ["Oslo", "Rome"] } } }))?;
/// assert!(adults.holds(&json!({ "age": 40, "address": { "city": "Rome" } })));
/// assert!(!adults.holds(&json!({ "age": 40 })), "a comparison with nothing does not hold");
/// # Ok::<(), linkspan_domain::InvalidCondition>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// All hold. Of none: true.
    And(Vec<Self>),
    /// At least one holds. Of none: false.
    Or(Vec<Self>),
    /// It does not hold.
    Not(Box<Self>),
    /// The field passes the test.
    Field(FieldPath, Test),
}

/// Where in a record a field is: the names on the way to it, at least one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FieldPath(Vec<String>);

/// What must hold of a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Test {
    /// `_eq`
    Eq(Scalar),
    /// `_neq`
    Neq(Scalar),
    /// `_gt`
    Gt(Scalar),
    /// `_gte`
    Gte(Scalar),
    /// `_lt`
    Lt(Scalar),
    /// `_lte`
    Lte(Scalar),
    /// `_in`
    In(Vec<Scalar>),
    /// `_nin`
    Nin(Vec<Scalar>),
    /// `_like`, `_ilike`, `_similar`, `_regex`, `_iregex`
    Matches(Pattern),
    /// `_nlike`, `_nilike`
    Differs(Pattern),
    /// `_is_null: true`
    IsNull,
    /// `_is_null: false`
    IsNotNull,
    /// `_contains`: as PostgreSQL's `@>` on `jsonb`
    Contains(Value),
    /// `_has_key`: as PostgreSQL's `?` on `jsonb`
    HasKey(String),
}

/// A value to compare with. Never null: that is what `_is_null` is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scalar {
    /// True or false.
    Boolean(bool),
    /// A number, with all its digits.
    Number(Number),
    /// Text, and all that JSON writes as text.
    Text(String),
    /// An exact decimal, which JSON writes as text or as a number. Only [`Condition::bind`] and
    /// [`Condition::with_decimals`] make it: it takes a field that holds decimals.
    Decimal(Decimal),
}

impl FieldPath {
    /// The names on the way to the field.
    pub fn names(&self) -> &[String] {
        &self.0
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("."))
    }
}

impl Condition {
    /// The condition that always holds: `{}`.
    pub const fn always() -> Self {
        Self::And(Vec::new())
    }

    /// The fields it looks at, each once, in the order of their appearance.
    pub fn fields(&self) -> Vec<&FieldPath> {
        let mut fields = Vec::new();
        self.collect(&mut fields);
        fields
    }

    /// The tests of single fields that it is made of, each once, in the order of their appearance.
    pub fn tests(&self) -> Vec<&Self> {
        match self {
            Self::And(parts) | Self::Or(parts) => {
                let mut tests = Vec::new();
                for test in parts.iter().flat_map(Self::tests) {
                    if !tests.contains(&test) {
                        tests.push(test);
                    }
                }
                tests
            }
            Self::Not(part) => part.tests(),
            Self::Field(..) => vec![self],
        }
    }

    /// What must hold all together: the parts of the outermost `_and`, and of those within it.
    pub fn conjuncts(self) -> Vec<Self> {
        match self {
            Self::And(parts) => parts.into_iter().flat_map(Self::conjuncts).collect(),
            other => vec![other],
        }
    }

    fn collect<'a>(&'a self, fields: &mut Vec<&'a FieldPath>) {
        match self {
            Self::And(parts) | Self::Or(parts) => parts.iter().for_each(|it| it.collect(fields)),
            Self::Not(part) => part.collect(fields),
            Self::Field(path, _) if fields.contains(&path) => {}
            Self::Field(path, _) => fields.push(path),
        }
    }

    /// Hasura's JSON for it. [`Condition::parse`] reads it back as it was.
    pub fn to_value(&self) -> Value {
        match self {
            Self::And(parts) if parts.is_empty() => json!({}),
            Self::And(parts) => {
                json!({ "_and": parts.iter().map(Self::to_value).collect::<Vec<_>>() })
            }
            Self::Or(parts) => {
                json!({ "_or": parts.iter().map(Self::to_value).collect::<Vec<_>>() })
            }
            Self::Not(part) => json!({ "_not": part.to_value() }),
            Self::Field(path, test) => {
                let (operator, operand) = test.to_wire();
                path.0.iter().rev().fold(json!({ operator: operand }), |inner, name| {
                    Value::Object(Map::from_iter([(name.clone(), inner)]))
                })
            }
        }
    }
}

impl Test {
    /// The operator and its operand, as Hasura writes them.
    fn to_wire(&self) -> (&'static str, Value) {
        let list = |values: &[Scalar]| values.iter().map(Scalar::to_value).collect();
        match self {
            Self::Eq(it) => ("_eq", it.to_value()),
            Self::Neq(it) => ("_neq", it.to_value()),
            Self::Gt(it) => ("_gt", it.to_value()),
            Self::Gte(it) => ("_gte", it.to_value()),
            Self::Lt(it) => ("_lt", it.to_value()),
            Self::Lte(it) => ("_lte", it.to_value()),
            Self::In(values) => ("_in", list(values)),
            Self::Nin(values) => ("_nin", list(values)),
            Self::Matches(pattern) => (pattern.operator(), json!(pattern.source())),
            Self::Differs(pattern) => (pattern.negated_operator(), json!(pattern.source())),
            Self::IsNull => ("_is_null", json!(true)),
            Self::IsNotNull => ("_is_null", json!(false)),
            Self::Contains(value) => ("_contains", value.clone()),
            Self::HasKey(key) => ("_has_key", json!(key)),
        }
    }
}

impl Scalar {
    fn to_value(&self) -> Value {
        match self {
            Self::Boolean(it) => json!(it),
            Self::Number(it) => Value::Number(it.clone()),
            Self::Text(it) => json!(it),
            Self::Decimal(it) => json!(it.as_str()),
        }
    }
}

impl Serialize for Condition {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_value().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Condition {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&Value::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}
