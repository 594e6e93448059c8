//! Filters as SQL: what is the same for every make of database.
//!
//! A make says what a test of one of its columns is in SQL, and how close that comes. Values are never part of the text.

use linkspan_domain::{Condition, Scalar, Test};
use linkspan_sdk::{Failure, Pushed, Statement};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::table::{Column, Table};

/// How close SQL comes to a condition, the worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Precision {
    /// It holds wherever the condition does, and maybe elsewhere.
    Wider,
    /// It holds, does not hold, or is null where the condition is true, false or unknown.
    Exact,
}

/// A condition in SQL.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sql {
    pieces: Vec<Piece>,
    pub(crate) precision: Precision,
}

#[derive(Clone, Debug, PartialEq)]
enum Piece {
    Text(String),
    Value(Literal),
}

/// A value to compare with.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Literal {
    Boolean(bool),
    Int(i64),
    Float(f64),
    Decimal(String),
    Text(String),
    /// `2026-01-31`, of the years 1 to 9999.
    Date(String),
    /// To the microsecond.
    Instant(OffsetDateTime),
    Uuid(Uuid),
}

/// One make of database.
pub(crate) trait Dialect<W> {
    /// `test` of `column` in SQL. Nothing if that cannot be said.
    fn test(&self, column: &Column<W>, test: &Test) -> Option<Sql>;
}

/// More values are not sent along.
const MOST_VALUES: usize = 1_000;

impl Sql {
    /// Text without values.
    pub(crate) fn exactly(text: impl Into<String>) -> Self {
        Self { pieces: vec![Piece::Text(text.into())], precision: Precision::Exact }
    }

    /// The same, but not exactly what was asked for.
    pub(crate) fn wider(self) -> Self {
        Self { precision: Precision::Wider, ..self }
    }

    fn text(&mut self, text: &str) {
        if let Some(Piece::Text(last)) = self.pieces.last_mut() {
            last.push_str(text);
        } else {
            self.pieces.push(Piece::Text(text.to_owned()));
        }
    }

    fn value(&mut self, literal: Literal, [before, behind]: [&str; 2]) {
        self.text(before);
        self.pieces.push(Piece::Value(literal));
        self.text(behind);
    }

    /// Adds `other` behind `text`.
    pub(crate) fn then(mut self, text: &str, other: Self) -> Self {
        self.text(text);
        self.precision = self.precision.min(other.precision);
        for piece in other.pieces {
            match piece {
                Piece::Text(it) => self.text(&it),
                value @ Piece::Value(_) => self.pieces.push(value),
            }
        }
        self
    }

    /// The values, in the order of their places.
    pub(crate) fn values(&self) -> impl Iterator<Item = &Literal> {
        self.pieces.iter().filter_map(|it| match it {
            Piece::Value(it) => Some(it),
            Piece::Text(_) => None,
        })
    }

    /// The text, with what `place` makes of each value in its place.
    pub(crate) fn render(&self, mut place: impl FnMut(&Literal) -> String) -> String {
        let pieces = self.pieces.iter().map(|it| match it {
            Piece::Text(it) => it.clone(),
            Piece::Value(it) => place(it),
        });
        pieces.collect()
    }

    /// What becomes of the condition at the source.
    fn pushed(&self, mut place: impl FnMut(usize) -> String) -> Pushed {
        let mut number = 0;
        let text = self.render(|_| {
            number += 1;
            place(number)
        });
        let statement = Statement { text, values: self.values().map(Literal::shown).collect() };
        match self.precision {
            Precision::Exact => Pushed::Exactly(statement),
            Precision::Wider => Pushed::Roughly(statement),
        }
    }
}

impl Literal {
    fn shown(&self) -> String {
        match self {
            Self::Boolean(it) => it.to_string(),
            Self::Int(it) => it.to_string(),
            Self::Float(it) => format!("{it:?}"),
            Self::Decimal(it) | Self::Text(it) | Self::Date(it) => it.clone(),
            Self::Instant(it) => linkspan_domain::Cursor::Timestamp(*it).to_string(),
            Self::Uuid(it) => it.to_string(),
        }
    }
}

/// What of `parts` can be said in SQL. `place` writes the place of a value, counted from 1.
pub(crate) fn push_down<W>(
    dialect: &impl Dialect<W>,
    table: &Table<W>,
    parts: &[Condition],
    place: impl Fn(usize) -> String,
) -> Vec<Pushed> {
    let compiled = parts.iter().map(|it| compile(dialect, table, it));
    compiled.map(|it| it.map_or(Pushed::Not, |it| it.pushed(&place))).collect()
}

/// The parts of a filter that the source has taken over, in SQL.
pub(crate) fn taken<W>(
    dialect: &impl Dialect<W>,
    table: &Table<W>,
    parts: &[Condition],
) -> Result<Vec<Sql>, Failure> {
    let compiled = parts.iter().map(|it| compile(dialect, table, it));
    compiled.collect::<Option<_>>().ok_or_else(|| {
        // It could be said a moment ago.
        Failure::unavailable(table.stream(), "the table was changed while it was to be read")
    })
}

fn compile<W>(dialect: &impl Dialect<W>, table: &Table<W>, condition: &Condition) -> Option<Sql> {
    let sql = part(dialect, table, condition)?;
    (sql.values().count() <= MOST_VALUES).then_some(sql)
}

fn part<W>(dialect: &impl Dialect<W>, table: &Table<W>, condition: &Condition) -> Option<Sql> {
    let all = |parts: &[Condition], joined: &str, of_none: &str| {
        let mut parts = parts.iter().map(|it| part(dialect, table, it));
        let Some(first) = parts.next() else { return Some(Sql::exactly(of_none)) };
        let first = Sql::exactly("(").then("", first?);
        let joined = parts.try_fold(first, |sql, it| Some(sql.then(joined, it?)))?;
        Some(joined.then(")", Sql::exactly("")))
    };
    match condition {
        Condition::And(parts) => all(parts, " and ", "true"),
        Condition::Or(parts) => all(parts, " or ", "false"),
        // What holds in too many places holds in too few when it is turned round.
        Condition::Not(inner) => {
            let inner = part(dialect, table, inner)?;
            let exact = inner.precision == Precision::Exact;
            exact.then(|| Sql::exactly("(not ").then("", inner).then(")", Sql::exactly("")))
        }
        Condition::Field(path, test) => {
            let [name] = path.names() else { return None };
            let column = table.columns.iter().find(|it| it.name == *name)?;
            dialect.test(column, test)
        }
    }
}

/// A comparison of `expression`, where `literal` says what each value is and `around` what is written around it.
///
/// SQL compares as conditions do, three truth values and empty lists among it.
pub(crate) fn comparison(
    expression: &str,
    test: &Test,
    around: [&str; 2],
    literal: impl Fn(&Scalar) -> Option<Literal>,
) -> Option<Sql> {
    let one = |operator: &str, scalar: &Scalar| {
        let mut sql = Sql::exactly(format!("{expression} {operator} "));
        sql.value(literal(scalar)?, around);
        Some(sql)
    };
    let several = |operator: &str, of_none: &str, list: &[Scalar]| {
        if list.is_empty() {
            return Some(Sql::exactly(of_none));
        }
        let mut sql = Sql::exactly(format!("{expression} {operator} ("));
        for (index, scalar) in list.iter().enumerate() {
            sql.text(if index == 0 { "" } else { ", " });
            sql.value(literal(scalar)?, around);
        }
        sql.text(")");
        Some(sql)
    };
    match test {
        Test::Eq(it) => one("=", it),
        Test::Neq(it) => one("<>", it),
        Test::Gt(it) => one(">", it),
        Test::Gte(it) => one(">=", it),
        Test::Lt(it) => one("<", it),
        Test::Lte(it) => one("<=", it),
        Test::In(list) => several("in", "false", list),
        Test::Nin(list) => several("not in", "true", list),
        Test::Matches(_)
        | Test::Differs(_)
        | Test::IsNull
        | Test::IsNotNull
        | Test::Contains(_)
        | Test::HasKey(_) => None,
    }
}

/// Whether `expression`, which is the pattern's side `operator`, is like a pattern of SQL's `LIKE`.
pub(crate) fn like(expression: &str, operator: &str, pattern: &str) -> Sql {
    let mut sql = Sql::exactly(format!("{expression} {operator} "));
    sql.value(Literal::Text(pattern.to_owned()), ["", ""]);
    sql
}

pub(crate) fn boolean(scalar: &Scalar) -> Option<Literal> {
    match scalar {
        Scalar::Boolean(it) => Some(Literal::Boolean(*it)),
        _ => None,
    }
}

/// A whole number of 64 bits.
pub(crate) fn int(scalar: &Scalar) -> Option<Literal> {
    match scalar {
        Scalar::Number(it) => it.as_i64().map(Literal::Int),
        _ => None,
    }
}

/// A number that is the same as a floating-point one.
pub(crate) fn float(scalar: &Scalar) -> Option<Literal> {
    const WHOLE: i64 = 1 << 53;
    match scalar {
        Scalar::Number(it) if it.is_f64() => it.as_f64().map(Literal::Float),
        Scalar::Number(it) => {
            it.as_i64().filter(|it| (-WHOLE..=WHOLE).contains(it))?;
            it.as_f64().map(Literal::Float)
        }
        _ => None,
    }
}

/// A decimal of at most so many digits in front of the point and behind it.
pub(crate) fn decimal(scalar: &Scalar, most: (u64, u64)) -> Option<Literal> {
    match scalar {
        Scalar::Decimal(it) => {
            let (before, behind) = it.size();
            (before <= most.0 && behind <= most.1).then(|| Literal::Decimal(it.to_string()))
        }
        _ => None,
    }
}

/// Text that compares as text. Points in time do not, however they are written, and no database keeps a NUL.
pub(crate) fn text(scalar: &Scalar) -> Option<Literal> {
    match scalar {
        Scalar::Text(it) if scalar.as_instant().is_none() && !it.contains('\0') => {
            Some(Literal::Text(it.clone()))
        }
        _ => None,
    }
}

/// A day as records have it, between the first and the last that databases say the same way.
pub(crate) fn date(scalar: &Scalar) -> Option<Literal> {
    const DAY: &[time::format_description::BorrowedFormatItem<'_>] =
        time::macros::format_description!("[year]-[month]-[day]");
    match scalar {
        Scalar::Text(it) if it.len() == 10 => {
            time::Date::parse(it, DAY).ok()?;
            let inside = "0001-01-01" < it.as_str() && it.as_str() < "9999-12-31";
            inside.then(|| Literal::Date(it.clone()))
        }
        _ => None,
    }
}

/// A point in time to the microsecond, between the first and the last that databases say the same way.
pub(crate) fn instant(scalar: &Scalar) -> Option<Literal> {
    let at = scalar.as_instant()?.to_offset(time::UtcOffset::UTC);
    let is_whole = at.nanosecond().is_multiple_of(1_000);
    (is_whole && (2..9999).contains(&at.year())).then_some(Literal::Instant(at))
}

/// A UUID as records have it.
pub(crate) fn uuid(scalar: &Scalar) -> Option<Literal> {
    match scalar {
        Scalar::Text(it) => {
            let uuid: Uuid = it.parse().ok()?;
            (uuid.hyphenated().to_string() == *it).then_some(Literal::Uuid(uuid))
        }
        _ => None,
    }
}
