//! Instants as both databases keep them: microseconds, and on SQLite text that sorts.

use linkspan_domain::ports::StoreError;
use time::{OffsetDateTime, UtcOffset, macros::datetime};

use crate::error::corrupt;

/// The first and the last instant that both databases can keep.
const FIRST: OffsetDateTime = datetime!(0000-01-01 00:00 UTC);
const LAST: OffsetDateTime = datetime!(9999-12-31 23:59:59.999_999 UTC);

/// `instant` in UTC, and no earlier or later than can be kept.
pub(crate) fn storable(instant: OffsetDateTime) -> OffsetDateTime {
    instant.clamp(FIRST, LAST).checked_to_offset(UtcOffset::UTC).unwrap_or(LAST)
}

/// `instant` as SQLite keeps it: `2026-05-01T12:00:00.000000Z`. The width is fixed, so the texts sort as the instants do.
pub(crate) fn sqlite_text(instant: OffsetDateTime) -> String {
    let at = storable(instant);
    let (year, month, day) = (at.year(), u8::from(at.month()), at.day());
    let (hour, minute, second, micros) = (at.hour(), at.minute(), at.second(), at.microsecond());
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}Z")
}

/// The part of a microsecond that neither database keeps, rounded down.
pub(crate) fn whole_microseconds(instant: OffsetDateTime) -> OffsetDateTime {
    let rest = instant.nanosecond() % 1_000;
    instant - time::Duration::nanoseconds(i64::from(rest))
}

/// An instant in microseconds since 1970, for columns that are compared and never shown.
pub(crate) fn microseconds(instant: OffsetDateTime) -> i64 {
    i64::try_from(instant.unix_timestamp_nanos().div_euclid(1_000)).unwrap_or(i64::MAX)
}

/// An instant out of microseconds since 1970.
pub(crate) fn from_microseconds(microseconds: i64) -> Result<OffsetDateTime, StoreError> {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(microseconds) * 1_000).map_err(corrupt)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_texts_sort_as_the_instants_do() {
        let sorted = [
            datetime!(0000-01-01 00:00 +23:59),
            datetime!(2026-05-01 12:00 UTC),
            datetime!(2026-05-01 12:00:00.000_001 UTC),
            datetime!(2026-05-01 12:00:00.5 UTC),
            datetime!(2026-05-01 14:00:00.75 +02:00),
            datetime!(2026-05-01 12:00:01 UTC),
            datetime!(9999-12-31 23:59:59.999_999 -23:59),
        ];
        let texts: Vec<_> = sorted.map(sqlite_text).into();
        assert!(texts.is_sorted(), "{texts:?}");
        assert_eq!(texts[1], "2026-05-01T12:00:00.000000Z");
        assert!(texts.iter().all(|it| it.len() == texts[1].len()), "{texts:?}");
    }
}
