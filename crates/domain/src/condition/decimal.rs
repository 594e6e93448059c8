//! Exact decimal numbers, to compare with.

use std::{cmp::Ordering, fmt};

/// An exact decimal number of any precision, which compares by value: `1.50` is `1.5`.
#[derive(Clone, Debug)]
pub struct Decimal {
    /// As it was written.
    text: String,
    sign: Sign,
    /// The digits, without zeros at either end. Empty: zero.
    digits: String,
    /// How many of the digits are in front of the point. Negative: so many zeros are behind it first.
    point: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sign {
    Plus,
    Minus,
}

/// Numbers with more digits are not compared as numbers.
const LONGEST: usize = 100_000;

impl Decimal {
    /// Reads what databases and JSON write: `-12.50`, `1e-7`. Nothing if `text` is no number.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() > LONGEST {
            return None;
        }
        let (sign, rest) = match text.as_bytes().first()? {
            b'-' => (Sign::Minus, &text[1..]),
            b'+' => (Sign::Plus, &text[1..]),
            _ => (Sign::Plus, text),
        };
        let (mantissa, exponent) = match rest.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, i64::from(exponent.parse::<i32>().ok()?)),
            None => (rest, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let all = || whole.bytes().chain(fraction.bytes());
        if all().next().is_none() || !all().all(|it| it.is_ascii_digit()) {
            return None;
        }
        let written = [whole, fraction].concat();
        let digits = written.trim_start_matches('0');
        let leading = i64::try_from(written.len() - digits.len()).ok()?;
        let point = i64::try_from(whole.len()).ok()? - leading + exponent;
        let digits = digits.trim_end_matches('0').to_owned();
        Some(Self { text: text.to_owned(), sign, digits, point })
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// How many digits are in front of the point, and how many behind it.
    pub fn size(&self) -> (u64, u64) {
        let length = i64::try_from(self.digits.len()).unwrap_or(i64::MAX);
        let behind = length.saturating_sub(self.point);
        (self.point.max(0).unsigned_abs(), behind.max(0).unsigned_abs())
    }

    fn magnitude(&self, other: &Self) -> Ordering {
        match (self.digits.is_empty(), other.digits.is_empty()) {
            (true, true) => Ordering::Equal,
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
            // A digit more behind an equal head makes a larger number: zeros at the end are gone.
            (false, false) => {
                self.point.cmp(&other.point).then_with(|| self.digits.cmp(&other.digits))
            }
        }
    }
}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        let is_negative = |it: &Self| it.sign == Sign::Minus && !it.digits.is_empty();
        match (is_negative(self), is_negative(other)) {
            (false, false) => self.magnitude(other),
            (true, true) => other.magnitude(self),
            (false, true) => Ordering::Greater,
            (true, false) => Ordering::Less,
        }
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Decimal {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Decimal {}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Decimal;

    fn decimal(text: &str) -> Decimal {
        Decimal::parse(text).unwrap()
    }

    #[test]
    fn decimals_compare_by_value() {
        let ascending =
            ["-1e3", "-12.5", "-0.001", "0", "1e-7", "0.05", "0.5", "9", "10", "10.01", "1e2"];
        for (index, a) in ascending.iter().enumerate() {
            for (other, b) in ascending.iter().enumerate() {
                assert_eq!(decimal(a).cmp(&decimal(b)), index.cmp(&other), "{a} {b}");
            }
        }
        for (a, b) in
            [("1.50", "+1.5"), ("100", "1E2"), ("-0", "0.000"), ("007", "7"), (".5", "0.5")]
        {
            assert_eq!(decimal(a), decimal(b));
        }
        assert_eq!(decimal("-0120.050").size(), (3, 2));
        assert_eq!(decimal("0.0001").size(), (0, 4));
    }

    #[test]
    fn what_is_no_number_is_none() {
        for text in
            ["", "-", ".", "NaN", "Infinity", "1,5", "1e", "1e99999999999", "0x1", " 1", "--1"]
        {
            assert!(Decimal::parse(text).is_none(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn whole_numbers_compare_as_numbers_do(a: i64, b: i64) {
            prop_assert_eq!(decimal(&a.to_string()).cmp(&decimal(&b.to_string())), a.cmp(&b));
        }
    }
}
