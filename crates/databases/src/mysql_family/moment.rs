//! Dates as MySQL keeps them, some of which no calendar has.

use time::{Date, Month};

const DAY: i64 = 86_400_000_000;
/// The julian day of 1970-01-01.
const EPOCH: i32 = 2_440_588;

/// A day, since 1970-01-01.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Day {
    /// One of the calendar.
    Of(i32),
    /// None of the calendar, such as 31 February; the last one before it.
    Behind(i32),
}

/// What the bytes of a value say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Moment<T> {
    At(T),
    /// Before year 1, as `0000-00-00` is.
    Zero,
}

/// A date: length, then year, month and day. Nothing if the bytes are no such thing.
///
/// What no calendar has becomes the last day before it: so the order stays, and a read can resume from it.
pub(super) fn date(field: &[u8]) -> Option<Moment<i32>> {
    let (day, _) = day(field)?;
    Some(match day {
        Some(Day::Of(days) | Day::Behind(days)) => Moment::At(days),
        None => Moment::Zero,
    })
}

/// A date and time, in microseconds since 1970-01-01: length, date, hours, minutes, seconds, microseconds; from the
/// right, what is zero is left out.
pub(super) fn instant(field: &[u8]) -> Option<Moment<i64>> {
    let (day, rest) = day(field)?;
    let within = match rest {
        [] => 0,
        [hour, minute, second, micros @ ..] => {
            let micros = match *micros {
                [] => 0,
                [a, b, c, d] => u32::from_le_bytes([a, b, c, d]),
                _ => return None,
            };
            seconds(*hour, *minute, *second) * 1_000_000 + i64::from(micros)
        }
        _ => return None,
    };
    Some(match day {
        Some(Day::Of(days)) => Moment::At(i64::from(days) * DAY + within),
        Some(Day::Behind(days)) => Moment::At(i64::from(days) * DAY + DAY - 1),
        None => Moment::Zero,
    })
}

fn seconds(hours: u8, minutes: u8, seconds: u8) -> i64 {
    (i64::from(hours) * 60 + i64::from(minutes)) * 60 + i64::from(seconds)
}

/// The day, if there is one, and what follows it.
fn day(field: &[u8]) -> Option<(Option<Day>, &[u8])> {
    let (&length, field) = field.split_first()?;
    if usize::from(length) != field.len() {
        return None;
    }
    let Some((&[low, high, month, day], rest)) = field.split_first_chunk::<4>() else {
        return field.is_empty().then_some((None, field));
    };
    Some((on(i32::from(u16::from_le_bytes([low, high])), month, day)?, rest))
}

#[expect(
    clippy::option_option,
    reason = "the outer says whether it reads, the inner whether there is such a day"
)]
fn on(year: i32, month: u8, day: u8) -> Option<Option<Day>> {
    if year == 0 {
        return Some(None);
    }
    let first =
        |month| Some(Date::from_calendar_date(year, month, 1).ok()?.to_julian_day() - EPOCH);
    let day = i32::from(day);
    let found = if month == 0 {
        Day::Behind(first(Month::January)? - 1)
    } else {
        let month = Month::try_from(month).ok()?;
        let first = first(month)?;
        let length = i32::from(month.length(year));
        if (1..=length).contains(&day) {
            Day::Of(first + day - 1)
        } else {
            Day::Behind(first - 1 + day.min(length))
        }
    };
    let (Day::Of(days) | Day::Behind(days)) = found;
    Some((days >= crate::columns::DAYS.0).then_some(found))
}

#[cfg(test)]
mod tests {
    use super::{DAY, Moment, date, instant};

    fn sent(year: u16, rest: &[u8]) -> Vec<u8> {
        let mut bytes = vec![u8::try_from(rest.len() + 2).unwrap()];
        bytes.extend(year.to_le_bytes());
        bytes.extend(rest);
        bytes
    }

    #[test]
    fn days_count_from_1970() {
        for (year, rest, days) in [
            (1970, [1, 1], 0),
            (1969, [12, 31], -1),
            (2000, [3, 1], 11_017),
            (1, [1, 1], -719_162),
            (9999, [12, 31], 2_932_896),
        ] {
            assert_eq!(date(&sent(year, &rest)), Some(Moment::At(days)), "{year}");
        }
    }

    #[test]
    fn instants_count_microseconds() {
        assert_eq!(instant(&sent(1970, &[1, 2])), Some(Moment::At(DAY)));
        let at = sent(1970, &[1, 1, 1, 2, 3]);
        assert_eq!(instant(&at), Some(Moment::At(3_723_000_000)));
        let at = sent(1970, &[1, 1, 1, 2, 3, 4, 1, 0, 0]);
        assert_eq!(instant(&at), Some(Moment::At(3_723_000_260)));
    }

    #[test]
    fn what_no_calendar_has_becomes_the_last_moment_before_it() {
        let end = |days: i64| Some(Moment::At(days * DAY + DAY - 1));
        assert_eq!(instant(&sent(1970, &[0, 0])), end(-1));
        assert_eq!(instant(&sent(1970, &[2, 0, 5, 0, 0])), end(30));
        assert_eq!(instant(&sent(1970, &[2, 31, 5, 0, 0])), end(58));
        assert_eq!(date(&sent(1970, &[2, 31])), Some(Moment::At(58)));
    }

    #[test]
    fn zero_dates_are_none() {
        for zero in [&[0][..], &sent(0, &[0, 0]), &sent(0, &[5, 6]), &sent(1, &[0, 0])] {
            assert_eq!(date(zero), Some(Moment::Zero));
            assert_eq!(instant(zero), Some(Moment::Zero));
        }
    }

    #[test]
    fn garbage_is_no_date() {
        for garbage in [&[][..], &[4, 1], &[4, 1, 0, 13, 1], &[5, 1, 0, 1, 1, 1]] {
            assert_eq!(instant(garbage), None, "{garbage:?}");
        }
    }
}
