//! What a column of texts holds.

use arrow_array::timezone::Tz;
use arrow_cast::parse::string_to_datetime;
use linkspan_domain::FieldKind;

/// What all values of a column have been so far.
///
/// A kind is given only to texts that it can give back: `007` and `1.0e999` stay text, and so does
/// a column in which one value is different from the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    Nothing,
    Boolean,
    /// Whole numbers of 64 bits, the longest with so many digits.
    Integer(usize),
    Number,
    Decimal,
    Date,
    Time,
    Timestamp,
    Uuid,
    Binary,
    Json,
    Text,
}

/// How many significant digits a floating-point number keeps.
const DIGITS: usize = 15;

impl Seen {
    /// Looks at one more value.
    pub(crate) fn with(self, value: &str, utc: Tz) -> Self {
        match self {
            Self::Text => Self::Text,
            _ => self.join(Self::of(value, utc)),
        }
    }

    /// What one value is.
    pub(crate) fn of(value: &str, utc: Tz) -> Self {
        let bytes = value.as_bytes();
        match bytes.first() {
            Some(b't' | b'T' | b'f' | b'F') if is_boolean(value) => Self::Boolean,
            Some(b'0'..=b'9') if bytes.get(4) == Some(&b'-') => day_or_time(value, utc),
            Some(b'0'..=b'9' | b'-') => number(value),
            _ => Self::Text,
        }
    }

    /// What two columns are together.
    pub(crate) fn join(self, other: Self) -> Self {
        match (self, other) {
            (Self::Nothing, it) | (it, Self::Nothing) => it,
            (Self::Integer(one), Self::Integer(other)) => Self::Integer(one.max(other)),
            (Self::Integer(digits), Self::Number) | (Self::Number, Self::Integer(digits)) => {
                if digits <= DIGITS {
                    Self::Number
                } else {
                    Self::Decimal
                }
            }
            (Self::Decimal, Self::Integer(_) | Self::Number)
            | (Self::Integer(_) | Self::Number, Self::Decimal) => Self::Decimal,
            (Self::Date, Self::Timestamp) | (Self::Timestamp, Self::Date) => Self::Timestamp,
            // Whatever it is can be written as JSON.
            (Self::Json, _) | (_, Self::Json) => Self::Json,
            (one, other) if one == other => one,
            _ => Self::Text,
        }
    }

    /// A column of which only its kind is known.
    pub(crate) const fn of_kind(kind: FieldKind) -> Self {
        match kind {
            FieldKind::Boolean => Self::Boolean,
            FieldKind::Integer => Self::Integer(DIGITS),
            FieldKind::Number => Self::Number,
            FieldKind::Decimal => Self::Decimal,
            FieldKind::Text => Self::Text,
            FieldKind::Date => Self::Date,
            FieldKind::Time => Self::Time,
            FieldKind::Timestamp => Self::Timestamp,
            FieldKind::Uuid => Self::Uuid,
            FieldKind::Binary => Self::Binary,
            FieldKind::Json => Self::Json,
        }
    }

    /// The kind of a column all of whose values have been seen.
    pub(crate) const fn kind(self) -> FieldKind {
        match self {
            Self::Nothing | Self::Text => FieldKind::Text,
            Self::Boolean => FieldKind::Boolean,
            Self::Integer(_) => FieldKind::Integer,
            Self::Number => FieldKind::Number,
            Self::Decimal => FieldKind::Decimal,
            Self::Date => FieldKind::Date,
            Self::Time => FieldKind::Time,
            Self::Timestamp => FieldKind::Timestamp,
            Self::Uuid => FieldKind::Uuid,
            Self::Binary => FieldKind::Binary,
            Self::Json => FieldKind::Json,
        }
    }
}

fn is_boolean(value: &str) -> bool {
    value.eq_ignore_ascii_case("true") || value.eq_ignore_ascii_case("false")
}

/// Numbers without leading zeros: those of telephones and postal codes are no numbers.
fn number(value: &str) -> Seen {
    let unsigned = value.strip_prefix('-').unwrap_or(value);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    let digits = |it: &str| !it.is_empty() && it.bytes().all(|it| it.is_ascii_digit());
    if !digits(whole)
        || (whole.len() > 1 && whole.starts_with('0'))
        || fraction.is_some_and(|it| !digits(it))
    {
        return Seen::Text;
    }
    let length = whole.trim_start_matches('0').len() + fraction.map_or(0, str::len);
    match (fraction, exponent) {
        (None, None) if value == "-0" => Seen::Text,
        (None, None) if value.parse::<i64>().is_ok() => Seen::Integer(length),
        (_, None) if length <= DIGITS => Seen::Number,
        (_, None) => Seen::Decimal,
        (_, Some(_)) if length <= DIGITS && value.parse().is_ok_and(f64::is_finite) => Seen::Number,
        (_, Some(_)) => Seen::Text,
    }
}

/// ISO 8601, to the microsecond; without an offset in UTC.
fn day_or_time(value: &str, utc: Tz) -> Seen {
    let bytes = value.as_bytes();
    let has = |at: usize, what: &[u8]| bytes.get(at).is_some_and(|it| what.contains(it));
    let is_time = bytes.len() >= 19 && has(10, b"T ") && has(13, b":") && has(16, b":");
    if !has(7, b"-") || !(is_time || bytes.len() == 10) {
        return Seen::Text;
    }
    let fraction = value.get(19..).and_then(|it| it.strip_prefix('.')).unwrap_or_default();
    let is_too_fine = fraction.bytes().take_while(u8::is_ascii_digit).count() > 6;
    match string_to_datetime(&utc, value) {
        Ok(_) if is_too_fine => Seen::Text,
        Ok(_) if is_time => Seen::Timestamp,
        Ok(_) => Seen::Date,
        Err(_) => Seen::Text,
    }
}

#[cfg(test)]
mod tests {
    use linkspan_domain::FieldKind;

    use super::Seen;

    fn check(values: &[&str], expect: FieldKind) {
        let utc = "+00:00".parse().unwrap();
        let seen = values.iter().fold(Seen::Nothing, |seen, value| seen.with(value, utc));
        assert_eq!(seen.kind(), expect, "{values:?}");
    }

    #[test]
    fn a_column_is_what_all_its_values_are() {
        check(&["1", "-20", "0", "9223372036854775807"], FieldKind::Integer);
        check(&["1", "2.50", "-0.5", "1e3"], FieldKind::Number);
        check(&["true", "FALSE"], FieldKind::Boolean);
        check(&["2026-01-31", "2024-02-29"], FieldKind::Date);
        check(
            &["2026-01-31T10:00:00Z", "2026-01-31 10:00:00.123456+02:00", "2026-01-31"],
            FieldKind::Timestamp,
        );
        check(&["1", "x"], FieldKind::Text);
        check(&["1", "2026-01-31"], FieldKind::Text);
        check(&[], FieldKind::Text);
    }

    #[test]
    fn no_text_changes_by_being_read() {
        for text in [
            "007",
            "+49",
            "0x10",
            "1_000",
            "1,5",
            " 1",
            "1 ",
            ".5",
            "5.",
            "-",
            "-0",
            "1e999",
            "NaN",
            "yes",
            "t",
            "2026-1-31",
            "2026-02-30",
            "2026-01-31T25:00:00Z",
            "2026-01-31T10:00:00.123456789Z",
            "2026-01-31 10:00:00 Europe/Berlin",
            "1234-5678",
        ] {
            check(&[text], FieldKind::Text);
        }
    }

    #[test]
    fn numbers_too_long_for_floating_point_stay_exact() {
        check(&["12345678901234567890"], FieldKind::Decimal);
        check(&["0.1234567890123456"], FieldKind::Decimal);
        check(&["1234567890123456", "0.5"], FieldKind::Decimal);
        check(&["123456789012345", "0.5"], FieldKind::Number);
    }
}
