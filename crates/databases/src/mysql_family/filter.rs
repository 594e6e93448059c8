//! Filters as MySQL and MariaDB say them.

use linkspan_domain::{Condition, FieldKind, Scalar, Test};
use linkspan_sdk::Pushed;
use time::Duration;

use super::{
    Table,
    column::{Column, Wire, quoted},
};
use crate::filter::{
    self, Dialect, Literal, Sql, boolean, comparison, date, decimal, float, instant, int, like,
    text,
};

/// MySQL and MariaDB, in every mode.
pub(super) struct Family;

/// Decimals of the server have at most 65 digits, 30 of them behind the point.
const DIGITS: (u64, u64) = (35, 30);

impl Dialect<Wire> for Family {
    fn test(&self, column: &Column, test: &Test) -> Option<Sql> {
        let name = quoted(&column.name);
        let plain = ["", ""];
        match (test, column.wire, column.kind) {
            (_, Wire::AsText | Wire::Bytes | Wire::Bits64, _) | (_, _, FieldKind::Json) => None,
            // Zero dates are none to records.
            (Test::IsNull, Wire::Date | Wire::DateTime, _) => None,
            (Test::IsNotNull, Wire::Date | Wire::DateTime, _) => {
                Some(Sql::exactly(format!("{name} is not null")).wider())
            }
            (Test::IsNull, ..) => Some(Sql::exactly(format!("{name} is null"))),
            (Test::IsNotNull, ..) => Some(Sql::exactly(format!("{name} is not null"))),
            (_, Wire::Bit, _) => comparison(&format!("({name} + 0)"), test, plain, boolean),
            (_, Wire::Signed, _) => comparison(&name, test, plain, int),
            // A year compares with 26 as with 2026, unless it is calculated with.
            (_, Wire::Unsigned | Wire::Bits, _) => {
                comparison(&format!("({name} + 0)"), test, plain, int)
            }
            (_, Wire::Float, _) => comparison(&name, test, plain, float),
            (_, Wire::Unsigned8, _) | (_, Wire::Text, FieldKind::Decimal) => {
                let around = ["cast(", " as decimal(65, 30))"];
                comparison(&name, test, around, |it| decimal(it, DIGITS))
            }
            (_, Wire::Text, FieldKind::Text) => of_text(&name, test),
            (_, Wire::Text, _) => None,
            (_, Wire::Date, _) => of_moments(&name, test, ["cast(", " as date)"], date),
            (_, Wire::DateTime, _) => {
                of_moments(&name, test, ["cast(", " as datetime(6))"], instant)
            }
        }
    }
}

/// Tests of text, byte by byte of what arrives, whatever the collation and the character set of the column.
fn of_text(name: &str, test: &Test) -> Option<Sql> {
    let characters = format!("convert({name} using utf8mb4) collate utf8mb4_bin");
    // Whether a backslash escapes depends on the mode of the server.
    let like = |operator: &str, pattern: &str| {
        (!pattern.contains('\\')).then(|| like(&characters, operator, pattern))
    };
    match test {
        Test::Matches(pattern) => like("like", pattern.as_like()?),
        Test::Differs(pattern) => like("not like", pattern.as_like()?),
        _ => {
            let bytes = format!("cast(convert({name} using utf8mb4) as binary)");
            comparison(&bytes, test, ["cast(", " as binary)"], text)
        }
    }
}

/// Tests of days and points in time. Those of no calendar, such as 31 February, count as the last one before to records,
/// and lie between two others to the server.
fn of_moments(
    name: &str,
    test: &Test,
    around: [&str; 2],
    literal: fn(&Scalar) -> Option<Literal>,
) -> Option<Sql> {
    let sql = match test {
        Test::Gt(_) | Test::Gte(_) | Test::Lt(_) | Test::Neq(_) | Test::Nin(_) => {
            comparison(name, test, around, literal)?
        }
        Test::Lte(it) => {
            let next = |it: &Scalar| literal(it).and_then(next);
            comparison(name, &Test::Lt(it.clone()), around, next)?
        }
        _ => return None,
    };
    Some(sql.wider())
}

/// The first that is no calendar's last one before.
fn next(literal: Literal) -> Option<Literal> {
    match literal {
        Literal::Instant(at) => Some(Literal::Instant(at.checked_add(Duration::MICROSECOND)?)),
        Literal::Date(day) => {
            let format = time::macros::format_description!("[year]-[month]-[day]");
            let next = time::Date::parse(&day, format).ok()?.next_day()?;
            next.format(format).ok().map(Literal::Date)
        }
        _ => None,
    }
}

/// What of `parts` the server can take over.
pub(crate) fn push_down(table: &Table, parts: &[Condition]) -> Vec<Pushed> {
    filter::push_down(&Family, table, parts, |_| "?".to_owned())
}
