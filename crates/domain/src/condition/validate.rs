//! Holding a condition against the fields of a stream.

use std::convert::Infallible;

use time::{Date, format_description::BorrowedFormatItem, macros::format_description};

use super::{Condition, Decimal, FieldPath, Scalar, Test};
use crate::{FieldKind, StreamField};

/// A condition that a stream cannot be asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConditionMismatch {
    /// The stream has no such field.
    #[error("there is no field `{field}`; known: {known}")]
    UnknownField {
        /// As the condition names it.
        field: String,
        /// What there is.
        known: String,
    },
    /// Fields of that kind cannot be tested so.
    #[error("`{field}` holds {kind}, which `{operator}` does not apply to")]
    UnknownOperator {
        /// Which field.
        field: String,
        /// What it holds.
        kind: FieldKind,
        /// The operator.
        operator: &'static str,
    },
    /// The value is of another kind than the field.
    #[error(
        "`{field}` holds {kind}, and `{operator}` compares it with something else; points in time are written like \
         2026-05-01T12:00:00Z, days like 2026-05-01"
    )]
    WrongOperand {
        /// Which field.
        field: String,
        /// What it holds.
        kind: FieldKind,
        /// The operator.
        operator: &'static str,
    },
}

impl Condition {
    /// Passes if a stream with these fields can be asked the condition.
    pub fn validate(&self, fields: &[StreamField]) -> Result<(), ConditionMismatch> {
        match self {
            Self::And(parts) | Self::Or(parts) => {
                parts.iter().try_for_each(|it| it.validate(fields))
            }
            Self::Not(part) => part.validate(fields),
            Self::Field(path, test) => test.validate(path, kind(path, fields)?),
        }
    }
}

impl Condition {
    /// The condition as a stream with these fields is asked it: what compares with decimals is a decimal itself.
    pub fn bind(&self, fields: &[StreamField]) -> Result<Self, ConditionMismatch> {
        self.validate(fields)?;
        self.bound(fields)
    }

    /// The condition as it is asked of what keeps decimals in some fields: what compares with them is a decimal itself,
    /// if it reads as one. Unlike [`bind`](Self::bind), it leaves the rest as it is, whether it fits or not.
    #[must_use]
    pub fn with_decimals(&self, is_decimal: &impl Fn(&str) -> bool) -> Self {
        let all = |parts: &[Self]| parts.iter().map(|it| it.with_decimals(is_decimal)).collect();
        match self {
            Self::And(parts) => Self::And(all(parts)),
            Self::Or(parts) => Self::Or(all(parts)),
            Self::Not(part) => Self::Not(Box::new(part.with_decimals(is_decimal))),
            Self::Field(path, test) if matches!(path.names(), [name] if is_decimal(name)) => {
                let Ok(test) = test.map(|it| {
                    let decimal = it.as_decimal().map(Scalar::Decimal);
                    Ok::<_, Infallible>(decimal.unwrap_or_else(|| it.clone()))
                });
                Self::Field(path.clone(), test)
            }
            Self::Field(..) => self.clone(),
        }
    }

    fn bound(&self, fields: &[StreamField]) -> Result<Self, ConditionMismatch> {
        let all = |parts: &[Self]| {
            parts.iter().map(|it| it.bound(fields)).collect::<Result<_, ConditionMismatch>>()
        };
        Ok(match self {
            Self::And(parts) => Self::And(all(parts)?),
            Self::Or(parts) => Self::Or(all(parts)?),
            Self::Not(part) => Self::Not(Box::new(part.bound(fields)?)),
            Self::Field(path, test) if kind(path, fields)? == FieldKind::Decimal => {
                Self::Field(path.clone(), test.of_decimals(path)?)
            }
            Self::Field(..) => self.clone(),
        })
    }
}

/// What the field holds. Below a JSON field everything is JSON.
fn kind(path: &FieldPath, fields: &[StreamField]) -> Result<FieldKind, ConditionMismatch> {
    let [name, below @ ..] = path.names() else {
        return Ok(FieldKind::Json);
    };
    let field = fields.iter().find(|it| it.name == *name);
    let field = field.filter(|it| below.is_empty() || it.kind == FieldKind::Json);
    field.map(|it| it.kind).ok_or_else(|| ConditionMismatch::UnknownField {
        field: path.to_string().chars().take(100).collect(),
        known: fields.iter().map(|it| it.name.as_str()).collect::<Vec<_>>().join(", "),
    })
}

impl Test {
    /// The same test of decimals.
    fn of_decimals(&self, path: &FieldPath) -> Result<Self, ConditionMismatch> {
        let (operator, _) = self.to_wire();
        self.map(|it| {
            it.as_decimal().map(Scalar::Decimal).ok_or_else(|| ConditionMismatch::WrongOperand {
                field: path.to_string(),
                kind: FieldKind::Decimal,
                operator,
            })
        })
    }

    /// The same test with other values to compare with.
    fn map<E>(&self, one: impl Fn(&Scalar) -> Result<Scalar, E>) -> Result<Self, E> {
        let all = |list: &[Scalar]| list.iter().map(&one).collect::<Result<_, E>>();
        Ok(match self {
            Self::Eq(it) => Self::Eq(one(it)?),
            Self::Neq(it) => Self::Neq(one(it)?),
            Self::Gt(it) => Self::Gt(one(it)?),
            Self::Gte(it) => Self::Gte(one(it)?),
            Self::Lt(it) => Self::Lt(one(it)?),
            Self::Lte(it) => Self::Lte(one(it)?),
            Self::In(list) => Self::In(all(list)?),
            Self::Nin(list) => Self::Nin(all(list)?),
            other => other.clone(),
        })
    }

    fn validate(&self, path: &FieldPath, kind: FieldKind) -> Result<(), ConditionMismatch> {
        let (operator, _) = self.to_wire();
        let field = || path.to_string();
        let applies = match self {
            Self::IsNull
            | Self::IsNotNull
            | Self::Eq(_)
            | Self::Neq(_)
            | Self::In(_)
            | Self::Nin(_) => true,
            Self::Gt(_) | Self::Gte(_) | Self::Lt(_) | Self::Lte(_) => {
                !matches!(kind, FieldKind::Boolean | FieldKind::Binary)
            }
            Self::Matches(_) | Self::Differs(_) => {
                matches!(kind, FieldKind::Text | FieldKind::Uuid | FieldKind::Json)
            }
            Self::Contains(_) | Self::HasKey(_) => kind == FieldKind::Json,
        };
        if !applies {
            return Err(ConditionMismatch::UnknownOperator { field: field(), kind, operator });
        }
        let fits = match self {
            Self::Eq(it)
            | Self::Neq(it)
            | Self::Gt(it)
            | Self::Gte(it)
            | Self::Lt(it)
            | Self::Lte(it) => it.fits(kind),
            Self::In(list) | Self::Nin(list) => list.iter().all(|it| it.fits(kind)),
            _ => true,
        };
        if fits {
            Ok(())
        } else {
            Err(ConditionMismatch::WrongOperand { field: field(), kind, operator })
        }
    }
}

impl Scalar {
    fn as_decimal(&self) -> Option<Decimal> {
        match self {
            Self::Number(it) => Decimal::parse(&it.to_string()),
            Self::Text(it) => Decimal::parse(it),
            Self::Decimal(it) => Some(it.clone()),
            Self::Boolean(_) => None,
        }
    }

    fn fits(&self, kind: FieldKind) -> bool {
        match kind {
            FieldKind::Json => true,
            _ if matches!(self, Self::Decimal(_)) => kind == FieldKind::Decimal,
            FieldKind::Boolean => matches!(self, Self::Boolean(_)),
            FieldKind::Integer | FieldKind::Number => matches!(self, Self::Number(_)),
            // Exact decimals are text in JSON, so that no digit is lost.
            FieldKind::Decimal => !matches!(self, Self::Boolean(_)),
            // Any other text would compare byte by byte.
            FieldKind::Timestamp => self.is_instant(),
            FieldKind::Date => matches!(self, Self::Text(text) if is_day(text)),
            FieldKind::Text | FieldKind::Time | FieldKind::Uuid | FieldKind::Binary => {
                matches!(self, Self::Text(_))
            }
        }
    }
}

/// Whether it is a day as records have it: `2026-05-01`.
fn is_day(text: &str) -> bool {
    const DAY: &[BorrowedFormatItem<'_>] = format_description!("[year]-[month]-[day]");
    text.len() == 10 && Date::parse(text, DAY).is_ok()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn validate(condition: &Value) -> Result<(), ConditionMismatch> {
        let field = |name: &str, kind| StreamField { name: name.to_owned(), kind, nullable: true };
        Condition::parse(condition).unwrap().validate(&[
            field("name", FieldKind::Text),
            field("age", FieldKind::Integer),
            field("active", FieldKind::Boolean),
            field("attrs", FieldKind::Json),
            field("at", FieldKind::Timestamp),
            field("born", FieldKind::Date),
        ])
    }

    #[test]
    fn times_and_days_are_compared_with_what_is_one() {
        for good in [
            json!({ "at": { "_gte": "2026-05-01T12:00:00Z" } }),
            json!({ "at": { "_in": ["2026-05-01T12:00:00.5+02:00"] } }),
            json!({ "born": { "_lt": "2026-05-01" } }),
        ] {
            assert_eq!(validate(&good), Ok(()), "{good}");
        }
        for bad in [
            json!({ "at": { "_gt": "nonsense" } }),
            json!({ "at": { "_gte": "2026-05-01 12:00:00" } }),
            json!({ "at": { "_gte": "2026-05-01" } }),
            json!({ "at": { "_nin": ["2026-05-01T12:00:00Z", "01/20/2026"] } }),
            json!({ "born": { "_eq": "2026-02-30" } }),
            json!({ "born": { "_eq": "2026-05-01T00:00:00Z" } }),
        ] {
            assert!(matches!(validate(&bad), Err(ConditionMismatch::WrongOperand { .. })), "{bad}");
        }
    }

    #[test]
    fn decimals_are_compared_as_numbers_once_bound() {
        let fields =
            [StreamField { name: "d".to_owned(), kind: FieldKind::Decimal, nullable: true }];
        let holds = |condition: &Value, value: &str| {
            let condition = Condition::parse(condition).unwrap().bind(&fields).unwrap();
            assert_eq!(
                Condition::parse(&condition.to_value()).unwrap().bind(&fields),
                Ok(condition.clone())
            );
            condition.holds(&json!({ "d": value }))
        };
        assert!(holds(&json!({ "d": { "_gt": 9.5 } }), "10.00"));
        assert!(holds(&json!({ "d": { "_lt": "10.50" } }), "9"));
        assert!(holds(&json!({ "d": { "_in": [1, "2.0"] } }), "2.00"));
        assert!(!holds(&json!({ "d": { "_neq": 1 } }), "NaN"));
        let wrong = Condition::parse(&json!({ "d": { "_eq": "ten" } })).unwrap().bind(&fields);
        assert!(matches!(wrong, Err(ConditionMismatch::WrongOperand { .. })));
    }

    #[test]
    fn what_may_be_asked_of_anything_compares_decimals_as_numbers_and_all_else_as_it_is() {
        let holds = |condition: Value, record: Value| {
            Condition::parse(&condition).unwrap().with_decimals(&|it| it == "d").holds(&record)
        };
        for operand in [json!("9"), json!(9)] {
            assert!(holds(json!({ "d": { "_gt": operand } }), json!({ "d": "12.50" })));
            assert!(holds(json!({ "d": { "_in": [operand, "ten"] } }), json!({ "d": "9.0" })));
            assert!(holds(json!({ "_not": { "d": { "_lt": operand } } }), json!({ "d": 9.5 })));
        }
        assert!(holds(json!({ "d": { "_eq": "NaN" } }), json!({ "d": "NaN" })));
        assert!(!holds(json!({ "d": { "_neq": true } }), json!({ "d": "1" })));
        assert!(!holds(json!({ "t": { "_gt": "9" } }), json!({ "t": "12.50" })));
        assert!(!holds(json!({ "d": { "d": { "_gt": "9" } } }), json!({ "d": { "d": "12.50" } })));
    }

    #[test]
    fn what_a_stream_cannot_be_asked_is_refused() {
        for (condition, fits) in [
            (json!({ "name": { "_ilike": "a%" } }), true),
            (json!({ "age": { "_gte": 18 } }), true),
            (json!({ "attrs": { "deep": { "er": { "_eq": 1 } } } }), true),
            (json!({ "attrs": { "_has_key": "x" } }), true),
            (json!({ "nmae": { "_eq": "a" } }), false),
            (json!({ "name": { "first": { "_eq": "a" } } }), false),
            (json!({ "age": { "_like": "1%" } }), false),
            (json!({ "age": { "_eq": "18" } }), false),
            (json!({ "age": { "_in": [1, "2"] } }), false),
            (json!({ "active": { "_gt": true } }), false),
            (json!({ "name": { "_contains": "a" } }), false),
            (json!({ "_not": { "_or": [{ "age": { "_eq": true } }] } }), false),
        ] {
            assert_eq!(validate(&condition).is_ok(), fits, "{condition}");
        }
    }
}
