//! Conditions as SQL over JSON, as far as a database means the same by them.
//!
//! What SQL lets through is asked the condition itself, so SQL may let through too much, but never too little. What is
//! turned around by a `NOT` has to be exact.

use linkspan_domain::{Condition, Decimal, FieldPath, Scalar, Test};
use sea_orm::{ConnectionTrait, DbBackend, Value};
use serde_json::Number;

use crate::session::Session;

/// Which SQL to speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// JSON is `jsonb`.
    Postgres,
    /// JSON is text.
    Sqlite,
}

impl From<&Session> for Dialect {
    fn from(session: &Session) -> Self {
        match session.get_database_backend() {
            DbBackend::Postgres => Self::Postgres,
            _ => Self::Sqlite,
        }
    }
}

/// A predicate on a column of JSON, and the values that it refers to.
#[derive(Clone, Debug)]
pub(crate) struct Predicate {
    /// SQL that is true of all rows of which the condition holds.
    pub(crate) sql: String,
    /// The values of its parameters.
    pub(crate) values: Vec<Value>,
}

impl Predicate {
    /// What a database can tell of `condition` on `column`, with parameters from `$first` on.
    pub(crate) fn of(
        dialect: Dialect,
        column: &'static str,
        condition: &Condition,
        first: usize,
    ) -> Self {
        let mut writer = Writer { dialect, column, first, values: Vec::new() };
        let sql = writer.superset(condition).unwrap_or_else(|| "true".to_owned());
        Self { sql, values: writer.values }
    }
}

struct Writer {
    dialect: Dialect,
    column: &'static str,
    first: usize,
    values: Vec<Value>,
}

/// Decimals with more characters or digits are left to the condition: no database takes any number of them.
const DIGITS: u64 = 100;

/// How values of a field compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Number,
    Boolean,
}

impl Writer {
    /// SQL that is true wherever `condition` holds.
    fn superset(&mut self, condition: &Condition) -> Option<String> {
        match condition {
            Condition::And(parts) => {
                let parts: Vec<_> = parts.iter().filter_map(|it| self.superset(it)).collect();
                (!parts.is_empty()).then(|| joined(&parts, " AND "))
            }
            Condition::Or(parts) => self.all(parts, " OR ", "false", Self::superset),
            Condition::Not(_) => self.exact(condition),
            Condition::Field(path, test) => self.attempt(|it| {
                let field = it.field(path)?;
                it.attempt(|it| it.test(&field, test)).or_else(|| it.near(&field, test))
            }),
        }
    }

    /// SQL that is true, false or null as `condition` is true, false or unknown.
    fn exact(&mut self, condition: &Condition) -> Option<String> {
        match condition {
            Condition::And(parts) => self.all(parts, " AND ", "true", Self::exact),
            Condition::Or(parts) => self.all(parts, " OR ", "false", Self::exact),
            Condition::Not(part) => self.exact(part).map(|it| format!("NOT ({it})")),
            Condition::Field(path, test) => self.attempt(|it| {
                let field = it.field(path)?;
                it.test(&field, test)
            }),
        }
    }

    fn all(
        &mut self,
        parts: &[Condition],
        joint: &str,
        none: &str,
        write: fn(&mut Self, &Condition) -> Option<String>,
    ) -> Option<String> {
        if parts.is_empty() {
            return Some(none.to_owned());
        }
        self.attempt(|it| {
            let parts: Option<Vec<_>> =
                parts.iter().map(|part| Some(format!("({})", write(it, part)?))).collect();
            Some(joined(&parts?, joint))
        })
    }

    /// Takes the values back if nothing came of it: a parameter that no statement mentions is an error.
    fn attempt(&mut self, write: impl FnOnce(&mut Self) -> Option<String>) -> Option<String> {
        let before = self.values.len();
        let written = write(self);
        if written.is_none() {
            self.values.truncate(before);
        }
        written
    }

    fn bind(&mut self, value: impl Into<Value>) -> String {
        self.values.push(value.into());
        format!("${}", self.first + self.values.len() - 1)
    }

    fn text(&mut self, text: &str) -> Option<String> {
        // PostgreSQL has no U+0000: what it keeps cannot be compared with it.
        (!text.contains('\0')).then(|| self.bind(text))
    }

    fn field(&mut self, path: &FieldPath) -> Option<Field> {
        match self.dialect {
            Dialect::Postgres => {
                let mut value = self.column.to_owned();
                for name in path.names() {
                    let name = self.text(name)?;
                    value = format!("{value} -> {name}::text");
                }
                Some(Field::Postgres(format!("({value})")))
            }
            Dialect::Sqlite => {
                let mut place = "$".to_owned();
                for name in path.names() {
                    // A label has no way to write these.
                    if name.contains(|it: char| it == '"' || it == '\\' || it.is_control()) {
                        return None;
                    }
                    place = format!("{place}.\"{name}\"");
                }
                let column = self.column;
                Some(Field::Sqlite(format!("{column}, {}", self.bind(place))))
            }
        }
    }

    fn test(&mut self, field: &Field, test: &Test) -> Option<String> {
        match test {
            Test::Eq(it) => self.compare(field, "=", it),
            Test::Neq(it) => self.compare(field, "<>", it),
            Test::Gt(it) => self.compare(field, ">", it),
            Test::Gte(it) => self.compare(field, ">=", it),
            Test::Lt(it) => self.compare(field, "<", it),
            Test::Lte(it) => self.compare(field, "<=", it),
            Test::In(list) => self.among(list, |it, one| it.compare(field, "=", one)),
            Test::Nin(list) => {
                let among = self.among(list, |it, one| it.compare(field, "=", one));
                among.map(|it| format!("NOT ({it})"))
            }
            Test::Matches(pattern) if self.dialect == Dialect::Postgres => {
                self.like(field, pattern.as_like()?)
            }
            Test::Differs(pattern) if self.dialect == Dialect::Postgres => {
                self.like(field, pattern.as_like()?).map(|it| format!("NOT ({it})"))
            }
            Test::Matches(_) | Test::Differs(_) => None,
            Test::IsNull => Some(field.is_null()),
            Test::IsNotNull => Some(format!("NOT ({})", field.is_null())),
            Test::Contains(needle) => {
                let needle = needle.to_string();
                // That is how JSON writes U+0000.
                if needle.contains("\\u0000") {
                    return None;
                }
                self.json(field, "@>", &needle, "::jsonb")
            }
            Test::HasKey(key) => self.json(field, "?", key, ""),
        }
    }

    /// What is true wherever `test` holds, where SQL cannot tell exactly.
    fn near(&mut self, field: &Field, test: &Test) -> Option<String> {
        match test {
            Test::Eq(it) => self.about(field, "=", it),
            Test::Gt(it) | Test::Gte(it) => self.about(field, ">=", it),
            Test::Lt(it) | Test::Lte(it) => self.about(field, "<=", it),
            Test::In(list) => self.among(list, |it, one| {
                it.compare(field, "=", one).or_else(|| it.about(field, "=", one))
            }),
            // It minds no case.
            Test::Matches(pattern) if self.dialect == Dialect::Sqlite => {
                self.like(field, pattern.as_like()?)
            }
            _ => None,
        }
    }

    fn compare(&mut self, field: &Field, operator: &str, scalar: &Scalar) -> Option<String> {
        match scalar {
            // Points in time compare as such, and decimals as numbers, whatever their spelling.
            Scalar::Decimal(_) => None,
            Scalar::Text(_) if scalar.is_instant() => None,
            Scalar::Text(text) => {
                let text = self.text(text)?;
                let left = field.get(Kind::Text);
                Some(field.guard(Kind::Text, &format!("{left} {operator} {text}")))
            }
            Scalar::Number(number) => {
                let number = self.number(number)?;
                let left = field.get(Kind::Number);
                Some(field.guard(Kind::Number, &format!("{left} {operator} {number}")))
            }
            Scalar::Boolean(boolean) => {
                let boolean = self.bind(*boolean);
                let left = field.get(Kind::Boolean);
                Some(field.guard(Kind::Boolean, &format!("{left} {operator} {boolean}")))
            }
        }
    }

    fn number(&mut self, number: &Number) -> Option<String> {
        match self.dialect {
            Dialect::Postgres => {
                let number = self.bind(number.to_string());
                Some(format!("({number}::text)::numeric"))
            }
            Dialect::Sqlite => match number.as_i64() {
                Some(whole) => Some(self.bind(whole)),
                None if number.is_f64() => number.as_f64().map(|it| self.bind(it)),
                // SQLite would round it.
                None => None,
            },
        }
    }

    fn among(
        &mut self,
        list: &[Scalar],
        mut one: impl FnMut(&mut Self, &Scalar) -> Option<String>,
    ) -> Option<String> {
        if list.is_empty() {
            return Some("false".to_owned());
        }
        // A statement has 65,535 parameters at most on PostgreSQL, and 32,766 on SQLite.
        if list.len() > 1_000 || self.values.len() > 10_000 {
            return None;
        }
        let each: Option<Vec<_>> = list.iter().map(|it| one(self, it)).collect();
        each.map(|it| joined(&it, " OR "))
    }

    fn like(&mut self, field: &Field, pattern: &str) -> Option<String> {
        // Without an escape both databases mean the same by it. SQLite refuses long ones.
        if pattern.contains('\\') || pattern.len() > 1_000 {
            return None;
        }
        let pattern = self.text(pattern)?;
        let left = field.get(Kind::Text);
        Some(field.guard(Kind::Text, &format!("{left} LIKE {pattern}")))
    }

    /// What is true wherever a value compares so with `scalar`.
    fn about(&mut self, field: &Field, operator: &str, scalar: &Scalar) -> Option<String> {
        match scalar {
            Scalar::Decimal(decimal) => self.close(field, operator, decimal),
            _ => self.same_day(field, operator, scalar),
        }
    }

    /// Decimals that are written as text, and plainly, compare as numbers. All others pass.
    fn close(&mut self, field: &Field, operator: &str, decimal: &Decimal) -> Option<String> {
        let (whole, fraction) = decimal.size();
        if whole > DIGITS || fraction > DIGITS || decimal.as_str().len() as u64 > DIGITS {
            return None;
        }
        let left = field.get(Kind::Text);
        let (is_plain, passes) = match self.dialect {
            Dialect::Postgres => {
                let right = self.bind(decimal.as_str());
                let is_plain = format!(" AND {left} ~ '^[+-]?[0-9]+([.][0-9]+)?$'");
                (is_plain, format!("({left})::numeric {operator} ({right}::text)::numeric"))
            }
            // It would round: what is a little more, or a little less, passes too.
            Dialect::Sqlite => {
                let value: f64 = decimal.as_str().parse().ok()?;
                let slack = value.abs() * 1e-9 + 1e-200;
                let number = format!("CAST({left} AS REAL)");
                let mut bounds = Vec::new();
                if operator != "<=" {
                    bounds.push(format!("{number} >= {}", self.bind(value - slack)));
                }
                if operator != ">=" {
                    bounds.push(format!("{number} <= {}", self.bind(value + slack)));
                }
                (String::new(), bounds.join(" AND "))
            }
        };
        let (text, number) = (field.is(Kind::Text), field.is(Kind::Number));
        Some(format!(
            "CASE WHEN {text} AND length({left}) <= {DIGITS}{is_plain} THEN {passes} \
             ELSE {text} OR {number} END"
        ))
    }

    /// Points in time that are written alike, in UTC, compare by their days as text. All others pass.
    fn same_day(&mut self, field: &Field, operator: &str, scalar: &Scalar) -> Option<String> {
        let Scalar::Text(text) = scalar else { return None };
        if !scalar.is_instant() || !text.ends_with('Z') {
            return None;
        }
        let day = self.text(text.get(..10)?)?;
        let left = field.get(Kind::Text);
        let passes = format!(
            "(substr({left}, length({left})) <> 'Z' OR substr({left}, 1, 10) {operator} {day})"
        );
        Some(field.guard(Kind::Text, &passes))
    }

    fn json(&mut self, field: &Field, operator: &str, operand: &str, cast: &str) -> Option<String> {
        let Field::Postgres(value) = field else { return None };
        let operand = self.text(operand)?;
        let is_null = field.is_null();
        Some(format!("CASE WHEN NOT {is_null} THEN {value} {operator} ({operand}::text){cast} END"))
    }
}

/// The parts, joined pair by pair: SQLite takes no expression that is nested deeper than 1,000, as a long row of them is.
fn joined(parts: &[String], joint: &str) -> String {
    if let [] | [_] = parts {
        return parts.concat();
    }
    let (left, right) = parts.split_at(parts.len() / 2);
    format!("({}{joint}{})", joined(left, joint), joined(right, joint))
}

/// A field of a row, as SQL.
enum Field {
    /// The value as `jsonb`.
    Postgres(String),
    /// The column, and where in it, as arguments of functions.
    Sqlite(String),
}

impl Field {
    /// The value, if it is of `kind`.
    fn get(&self, kind: Kind) -> String {
        match (self, kind) {
            (Self::Postgres(value), Kind::Text) => format!("({value} #>> '{{}}') COLLATE \"C\""),
            (Self::Postgres(value), Kind::Number) => format!("({value})::numeric"),
            (Self::Postgres(value), Kind::Boolean) => format!("({value})::boolean"),
            (Self::Sqlite(place), _) => format!("json_extract({place})"),
        }
    }

    /// Null unless the value is of `kind`.
    fn guard(&self, kind: Kind, test: &str) -> String {
        format!("CASE WHEN {} THEN {test} END", self.is(kind))
    }

    /// Whether the value is of `kind`.
    fn is(&self, kind: Kind) -> String {
        match (self, kind) {
            (Self::Postgres(value), Kind::Text) => format!("jsonb_typeof{value} = 'string'"),
            (Self::Postgres(value), Kind::Number) => format!("jsonb_typeof{value} = 'number'"),
            (Self::Postgres(value), Kind::Boolean) => format!("jsonb_typeof{value} = 'boolean'"),
            (Self::Sqlite(place), Kind::Text) => {
                format!("json_type({place}) = 'text'")
            }
            (Self::Sqlite(place), Kind::Number) => {
                format!("json_type({place}) IN ('integer', 'real')")
            }
            (Self::Sqlite(place), Kind::Boolean) => {
                format!("json_type({place}) IN ('true', 'false')")
            }
        }
    }

    fn is_null(&self) -> String {
        match self {
            Self::Postgres(value) => format!("(coalesce(jsonb_typeof{value}, 'null') = 'null')"),
            Self::Sqlite(place) => {
                format!("(coalesce(json_type({place}), 'null') = 'null')")
            }
        }
    }
}
