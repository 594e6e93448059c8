//! Reading Hasura's JSON.

use serde_json::{Map, Value};

use super::{Condition, FieldPath, Pattern, Scalar, Test, pattern::Syntax};

/// How deep conditions and paths may nest together.
const DEPTH: usize = 32;
/// How many nodes a condition may have.
const NODES: usize = 1_000;
/// How many values a list may have.
const LIST: usize = 10_000;

/// Everything a field can be tested with.
const OPERATORS: [&str; 18] = [
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
    "_nilike",
    "_similar",
    "_regex",
    "_iregex",
    "_is_null",
    "_contains",
    "_has_key",
];

/// JSON that is no condition. `pointer` is the JSON pointer (RFC 6901) of the offending place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidCondition {
    /// Something else stands where an object belongs.
    #[error("{pointer} must be an object such as {{\"name\": {{\"_eq\": \"Ada\"}}}}")]
    NotAnObject {
        /// Where.
        pointer: String,
    },
    /// Something else stands where a list belongs.
    #[error("{pointer} must be a list")]
    NotAList {
        /// Where.
        pointer: String,
    },
    /// There is no such operator.
    #[error("{pointer} is no operator; {}", instead(*.nearest))]
    UnknownOperator {
        /// Where.
        pointer: String,
        /// The known one that looks most like it, if one does.
        nearest: Option<&'static str>,
    },
    /// An operator without a field before it.
    #[error("{pointer} needs a field around it, such as {{\"name\": {{\"_eq\": \"Ada\"}}}}")]
    NoField {
        /// Where.
        pointer: String,
    },
    /// The operator does not take such a value.
    #[error("{pointer} takes {expected}")]
    WrongOperand {
        /// Where.
        pointer: String,
        /// What it takes.
        expected: &'static str,
    },
    /// It nests too deep.
    #[error("{pointer} is nested deeper than {DEPTH} levels")]
    TooDeep {
        /// Where.
        pointer: String,
    },
    /// It has too many parts.
    #[error("the condition has more than {NODES} parts")]
    TooLarge,
    /// A list has too many values.
    #[error("{pointer} has more than {LIST} values")]
    ListTooLong {
        /// Where.
        pointer: String,
    },
}

impl InvalidCondition {
    /// Where it is: a JSON pointer.
    pub fn pointer(&self) -> &str {
        match self {
            Self::NotAnObject { pointer }
            | Self::NotAList { pointer }
            | Self::UnknownOperator { pointer, .. }
            | Self::NoField { pointer }
            | Self::WrongOperand { pointer, .. }
            | Self::TooDeep { pointer }
            | Self::ListTooLong { pointer } => pointer,
            Self::TooLarge => "",
        }
    }
}

impl Condition {
    /// Reads Hasura's JSON. Several keys of one object must all hold; `{}` always holds.
    pub fn parse(value: &Value) -> Result<Self, InvalidCondition> {
        Parser { nodes: 0 }.expression(value, &Place::default(), &[])
    }
}

struct Parser {
    nodes: usize,
}

/// Where the parser is. Made longer on the way down, so that an error can say where it is.
#[derive(Clone, Default)]
struct Place {
    pointer: String,
    depth: usize,
}

impl Place {
    fn at(&self, key: &str) -> Self {
        // Long keys are input, not an address: errors stay short.
        let key: String = key.chars().take(64).collect();
        let key = key.replace('~', "~0").replace('/', "~1");
        Self { pointer: format!("{}/{key}", self.pointer), depth: self.depth + 1 }
    }

    /// The address; the root is named, since an empty address reads badly in a sentence.
    fn address(&self) -> String {
        if self.pointer.is_empty() { "/".to_owned() } else { self.pointer.clone() }
    }
}

impl Parser {
    /// One object: each key is a connective, an operator on `path`, or a field below `path`.
    fn expression(
        &mut self,
        value: &Value,
        place: &Place,
        path: &[String],
    ) -> Result<Condition, InvalidCondition> {
        if place.depth > DEPTH {
            return Err(InvalidCondition::TooDeep { pointer: place.address() });
        }
        let object = value
            .as_object()
            .ok_or_else(|| InvalidCondition::NotAnObject { pointer: place.address() })?;
        let mut parts = self.parts(object, place, path)?;
        self.nodes += parts.len().max(1);
        if self.nodes > NODES {
            return Err(InvalidCondition::TooLarge);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Condition::And(parts) })
    }

    fn parts(
        &mut self,
        object: &Map<String, Value>,
        place: &Place,
        path: &[String],
    ) -> Result<Vec<Condition>, InvalidCondition> {
        object
            .iter()
            .map(|(key, value)| {
                let place = place.at(key);
                match key.as_str() {
                    "_and" => self.list(value, &place, path).map(Condition::And),
                    "_or" => self.list(value, &place, path).map(Condition::Or),
                    "_not" => {
                        self.expression(value, &place, path).map(|it| Condition::Not(Box::new(it)))
                    }
                    operator if OPERATORS.contains(&operator) => {
                        if path.is_empty() {
                            return Err(InvalidCondition::NoField { pointer: place.address() });
                        }
                        test(operator, value, &place)
                            .map(|test| Condition::Field(FieldPath(path.to_vec()), test))
                    }
                    // A field may begin with an underscore; what is tested of it is then an object.
                    unknown if unknown.starts_with('_') && !value.is_object() => {
                        Err(InvalidCondition::UnknownOperator {
                            pointer: place.address(),
                            nearest: nearest(unknown),
                        })
                    }
                    name => {
                        let path: Vec<String> =
                            path.iter().cloned().chain([name.to_owned()]).collect();
                        self.expression(value, &place, &path)
                    }
                }
            })
            .collect()
    }

    fn list(
        &mut self,
        value: &Value,
        place: &Place,
        path: &[String],
    ) -> Result<Vec<Condition>, InvalidCondition> {
        let list = value
            .as_array()
            .ok_or_else(|| InvalidCondition::NotAList { pointer: place.address() })?;
        list.iter()
            .enumerate()
            .map(|(index, value)| self.expression(value, &place.at(&index.to_string()), path))
            .collect()
    }
}

fn test(operator: &str, value: &Value, place: &Place) -> Result<Test, InvalidCondition> {
    let pattern = |syntax| {
        let compiled = value.as_str().and_then(|source| Pattern::new(syntax, source));
        compiled.ok_or_else(|| wrong(place, "a pattern that compiles"))
    };
    Ok(match operator {
        "_eq" => Test::Eq(scalar(value, place)?),
        "_neq" => Test::Neq(scalar(value, place)?),
        "_gt" => Test::Gt(scalar(value, place)?),
        "_gte" => Test::Gte(scalar(value, place)?),
        "_lt" => Test::Lt(scalar(value, place)?),
        "_lte" => Test::Lte(scalar(value, place)?),
        "_in" => Test::In(scalars(value, place)?),
        "_nin" => Test::Nin(scalars(value, place)?),
        "_like" => Test::Matches(pattern(Syntax::Like)?),
        "_nlike" => Test::Differs(pattern(Syntax::Like)?),
        "_ilike" => Test::Matches(pattern(Syntax::Ilike)?),
        "_nilike" => Test::Differs(pattern(Syntax::Ilike)?),
        "_similar" => Test::Matches(pattern(Syntax::Similar)?),
        "_regex" => Test::Matches(pattern(Syntax::Regex)?),
        "_iregex" => Test::Matches(pattern(Syntax::Iregex)?),
        "_is_null" => match value {
            Value::Bool(true) => Test::IsNull,
            Value::Bool(false) => Test::IsNotNull,
            _ => return Err(wrong(place, "true or false")),
        },
        "_contains" => Test::Contains(value.clone()),
        "_has_key" => match value {
            Value::String(key) => Test::HasKey(key.clone()),
            _ => return Err(wrong(place, "the name of a key")),
        },
        unknown => {
            return Err(InvalidCondition::UnknownOperator {
                pointer: place.address(),
                nearest: nearest(unknown),
            });
        }
    })
}

fn scalar(value: &Value, place: &Place) -> Result<Scalar, InvalidCondition> {
    match value {
        Value::Bool(it) => Ok(Scalar::Boolean(*it)),
        Value::Number(it) => Ok(Scalar::Number(it.clone())),
        Value::String(it) => Ok(Scalar::Text(it.clone())),
        Value::Null => Err(wrong(place, "a value; for null use `_is_null`")),
        Value::Array(_) | Value::Object(_) => Err(wrong(
            place,
            "text, a number, true or false; for objects and lists use `_contains`",
        )),
    }
}

fn scalars(value: &Value, place: &Place) -> Result<Vec<Scalar>, InvalidCondition> {
    let Value::Array(values) = value else {
        return Err(InvalidCondition::NotAList { pointer: place.address() });
    };
    if values.len() > LIST {
        return Err(InvalidCondition::ListTooLong { pointer: place.address() });
    }
    let numbered = values.iter().enumerate();
    numbered.map(|(index, it)| scalar(it, &place.at(&index.to_string()))).collect()
}

fn wrong(place: &Place, expected: &'static str) -> InvalidCondition {
    InvalidCondition::WrongOperand { pointer: place.address(), expected }
}

/// What to write instead of an operator that there is not.
fn instead(nearest: Option<&str>) -> String {
    match nearest {
        Some(nearest) => format!("did you mean `{nearest}`?"),
        None => format!(
            "there are {}; a field of that name is tested like this: {{\"_id\": {{\"_eq\": 1}}}}",
            OPERATORS.join(", ")
        ),
    }
}

/// The known operator that shares most of its beginning and length with `unknown`, if it is more than the underscore.
fn nearest(unknown: &str) -> Option<&'static str> {
    let likeness = |known: &&'static str| {
        let shared = known.bytes().zip(unknown.bytes()).take_while(|(a, b)| a == b).count();
        (shared, usize::MAX - known.len().abs_diff(unknown.len()))
    };
    let known = ["_and", "_or", "_not"].into_iter().chain(OPERATORS);
    known.max_by_key(likeness).filter(|it| likeness(it).0 > 1)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_offence_is_reported_where_it_is() {
        for (value, pointer) in [
            (json!([]), "/"),
            (json!({ "_and": {} }), "/_and"),
            (json!({ "_or": [{ "a": { "_eq": 1 } }, 2] }), "/_or/1"),
            (json!({ "_eq": 1 }), "/_eq"),
            (json!({ "a": 1 }), "/a"),
            (json!({ "a": { "_eqq": 1 } }), "/a/_eqq"),
            (json!({ "a": { "_eq": null } }), "/a/_eq"),
            (json!({ "a": { "_eq": [1] } }), "/a/_eq"),
            (json!({ "a": { "_in": [1, {}] } }), "/a/_in/1"),
            (json!({ "a": { "_in": 1 } }), "/a/_in"),
            (json!({ "a": { "_is_null": "yes" } }), "/a/_is_null"),
            (json!({ "a": { "_regex": "(" } }), "/a/_regex"),
            (json!({ "a": { "_has_key": 1 } }), "/a/_has_key"),
            (json!({ "a/b": { "_like": 1 } }), "/a~1b/_like"),
        ] {
            assert_eq!(Condition::parse(&value).unwrap_err().pointer(), pointer, "{value}");
        }
    }

    #[test]
    fn a_misspelled_operator_is_answered_with_the_nearest() {
        let refused = Condition::parse(&json!({ "a": { "_greater": 1 } })).unwrap_err();
        assert!(refused.to_string().contains("did you mean `_gt"), "{refused}");
    }

    #[test]
    fn what_looks_like_no_operator_is_answered_with_all_and_with_how_to_test_a_field() {
        for value in [json!({ "_foo": 1 }), json!({ "a": { "_foo": 1 } })] {
            let refused = Condition::parse(&value).unwrap_err().to_string();
            assert!(!refused.contains("did you mean"), "{refused}");
            assert!(refused.contains("_eq, _neq") && refused.contains("a field"), "{refused}");
        }
    }

    #[test]
    fn several_keys_must_all_hold_and_none_always_does() {
        let parsed = Condition::parse(&json!({ "a": { "_gt": 1, "_lt": 5 }, "b": {} })).unwrap();
        assert!(matches!(&parsed, Condition::And(parts) if parts.len() == 2));
        assert_eq!(Condition::parse(&json!({})).unwrap(), Condition::always());
    }

    #[test]
    fn a_field_may_begin_with_an_underscore() {
        let parsed = Condition::parse(&json!({ "_id": { "_eq": "x" } })).unwrap();
        assert_eq!(parsed.fields()[0].to_string(), "_id");
    }

    #[test]
    fn bombs_are_refused() {
        let mut deep = json!({ "a": { "_eq": 1 } });
        for _ in 0..40 {
            deep = json!({ "_not": deep });
        }
        assert!(matches!(Condition::parse(&deep), Err(InvalidCondition::TooDeep { .. })));
        let wide: Vec<_> = (0..2_000).map(|it| json!({ "a": { "_eq": it } })).collect();
        assert_eq!(Condition::parse(&json!({ "_or": wide })), Err(InvalidCondition::TooLarge));
        let long: Vec<_> = (0..10_001).collect();
        let long = Condition::parse(&json!({ "a": { "_in": long } }));
        assert!(matches!(long, Err(InvalidCondition::ListTooLong { .. })));
    }
}
