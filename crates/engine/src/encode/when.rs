//! Days, times of day and points in time as text.

use arrow_schema::TimeUnit;

/// The span of one day, in seconds.
const DAY: i64 = 86_400;

/// Writes a day that is counted from 1970-01-01: `2026-01-31`. Years that do not have four digits get a sign, as in ISO 8601.
pub(super) fn push_date(out: &mut String, days: i64) {
    let (year, month, day) = civil(days);
    if (0..=9_999).contains(&year) {
        push_digits(out, year, 4);
    } else {
        out.push(if year < 0 { '-' } else { '+' });
        push_digits(out, year.abs(), 6);
    }
    out.push('-');
    push_digits(out, month, 2);
    out.push('-');
    push_digits(out, day, 2);
}

/// Writes a time of day that is counted in `unit` from midnight: `12:30:00`, `12:30:00.250000`, and `24:00:00` for its end.
pub(super) fn push_time(out: &mut String, ticks: i64, unit: TimeUnit) {
    let (seconds, nanos) = split(ticks, unit);
    push_clock(out, seconds.clamp(0, DAY), nanos);
}

/// Writes a point in time that is counted in `unit` from 1970: `2026-01-31T12:30:00`, and a `Z` if it is known to be UTC.
pub(super) fn push_timestamp(out: &mut String, ticks: i64, unit: TimeUnit, zone: Zone) {
    let (seconds, nanos) = split(ticks, unit);
    push_date(out, seconds.div_euclid(DAY));
    out.push('T');
    push_clock(out, seconds.rem_euclid(DAY), nanos);
    match zone {
        Zone::Utc => out.push('Z'),
        Zone::Unknown => {}
    }
}

/// What is known of the clock that a point in time was read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Zone {
    Utc,
    Unknown,
}

fn split(ticks: i64, unit: TimeUnit) -> (i64, i64) {
    let per_second = match unit {
        TimeUnit::Second => 1,
        TimeUnit::Millisecond => 1_000,
        TimeUnit::Microsecond => 1_000_000,
        TimeUnit::Nanosecond => 1_000_000_000,
    };
    (ticks.div_euclid(per_second), ticks.rem_euclid(per_second) * (1_000_000_000 / per_second))
}

fn push_clock(out: &mut String, seconds: i64, nanos: i64) {
    push_digits(out, seconds / 3_600, 2);
    out.push(':');
    push_digits(out, seconds / 60 % 60, 2);
    out.push(':');
    push_digits(out, seconds % 60, 2);
    if nanos == 0 {
        return;
    }
    out.push('.');
    if nanos % 1_000 == 0 {
        push_digits(out, nanos / 1_000, 6);
    } else {
        push_digits(out, nanos, 9);
    }
}

/// Writes `number`, which is not below zero, with at least `digits` digits.
fn push_digits(out: &mut String, number: i64, digits: usize) {
    let mut buffer = itoa::Buffer::new();
    let written = buffer.format(number);
    for _ in written.len()..digits {
        out.push('0');
    }
    out.push_str(written);
}

/// Year, month and day: Howard Hinnant, "chrono-compatible low-level date algorithms", `civil_from_days`.
const fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400;
    (if month <= 2 { year + 1 } else { year }, month, day)
}

#[cfg(test)]
mod tests {
    use arrow_schema::TimeUnit;
    use linkspan_domain::Cursor;
    use proptest::prelude::{prop_assert_eq, proptest};
    use time::{Date, Duration, OffsetDateTime};

    use super::{Zone, push_date, push_time, push_timestamp};

    fn written(write: impl FnOnce(&mut String)) -> String {
        let mut out = String::new();
        write(&mut out);
        out
    }

    #[test]
    fn years_beyond_the_usual_get_a_sign() {
        assert_eq!(written(|out| push_date(out, 0)), "1970-01-01");
        assert_eq!(written(|out| push_date(out, 2_932_897)), "+010000-01-01");
        assert_eq!(written(|out| push_date(out, -719_529)), "-000001-12-31");
        // The ends of the range do not overflow.
        written(|out| push_timestamp(out, i64::MIN, TimeUnit::Second, Zone::Utc));
        written(|out| push_timestamp(out, i64::MAX, TimeUnit::Second, Zone::Utc));
    }

    #[test]
    fn a_day_ends_at_24() {
        let micros = TimeUnit::Microsecond;
        assert_eq!(written(|out| push_time(out, 86_400_000_000, micros)), "24:00:00");
        assert_eq!(written(|out| push_time(out, 45_000_250_000, micros)), "12:30:00.250000");
        assert_eq!(written(|out| push_time(out, 1, TimeUnit::Nanosecond)), "00:00:00.000000001");
    }

    proptest! {
        #[test]
        fn days_are_those_of_the_calendar(days in -719_528_i32..2_932_896) {
            let day = Date::from_julian_day(2_440_588 + days).unwrap();
            let (year, month) = (day.year(), u8::from(day.month()));
            let expected = format!("{year:04}-{month:02}-{:02}", day.day());
            prop_assert_eq!(written(|out| push_date(out, days.into())), expected);
        }

        #[test]
        fn instants_are_spelt_like_cursors(micros in -62_135_596_800_000_000_i64..253_402_300_800_000_000) {
            let at = OffsetDateTime::UNIX_EPOCH + Duration::microseconds(micros);
            let text = written(|out| push_timestamp(out, micros, TimeUnit::Microsecond, Zone::Utc));
            prop_assert_eq!(text, Cursor::Timestamp(at).to_string());
        }
    }
}
