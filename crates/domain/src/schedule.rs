//! When an activation syncs by itself.

use std::{fmt, str::FromStr};

use croner::{
    Cron,
    parser::{CronParser, Seconds, Year},
};
use jiff::{Timestamp, tz::TimeZone};
use serde::{Deserialize, Deserializer, Serialize};
use time::{Duration, OffsetDateTime};

use crate::{SyncMode, WorkspaceConnectorId, WorkspaceId, whole::whole};

/// When an activation syncs by itself, and how. An activation has at most one.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    /// Of which activation, whose identifier it goes by.
    pub workspace_connector_id: WorkspaceConnectorId,
    /// In which workspace.
    pub workspace_id: WorkspaceId,
    /// When.
    pub recurrence: Recurrence,
    /// What each run reads.
    pub mode: SyncMode,
    /// When the next run starts. None while it is paused.
    pub next_run_at: Option<OffsetDateTime>,
    /// When it last started a run.
    pub last_started_at: Option<OffsetDateTime>,
    /// When it last passed a turn over, since the activation could not run.
    pub last_skipped_at: Option<OffsetDateTime>,
    /// When it was made.
    pub created_at: OffsetDateTime,
    /// When it was last changed by a person.
    pub updated_at: OffsetDateTime,
}

/// At which instants something recurs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recurrence {
    /// At the local times that a cron expression names.
    Cron {
        /// Which times.
        expression: CronExpression,
        /// Of which clock.
        time_zone: ZoneName,
    },
    /// Again and again after so long.
    Every(Interval),
}

/// A cron expression of five fields, minute to day of the week, or one of `@hourly`, `@daily`, `@weekly`, `@monthly`,
/// `@yearly`. When both days are restricted, either will do, as in POSIX.
///
/// ```
/// use linkspan_domain::CronExpression;
///
/// assert!("*/15 8-18 * * MON-FRI".parse::<CronExpression>().is_ok());
/// assert!("every morning".parse::<CronExpression>().is_err());
/// ```
#[derive(Clone)]
pub struct CronExpression {
    text: String,
    cron: Box<Cron>,
}

/// A text that is no cron expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "must be a cron expression of five fields that some time fits, such as `30 6 * * MON-FRI`, or one like `@daily`"
)]
pub struct InvalidCron;

/// The name of a time zone in the IANA database, such as `Europe/Vienna`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ZoneName(String);

/// A text that names no time zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be a time zone of the IANA database, such as `Europe/Vienna` or `UTC`")]
pub struct InvalidZone;

/// From one minute to a year, in whole seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(into = "u32")]
pub struct Interval(u32);

/// A length that no interval has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be from 60 seconds to 366 days")]
pub struct InvalidInterval;

impl Recurrence {
    /// The first instant after `now`. Turns that were missed before are not made up for.
    ///
    /// A local time that a change of the clocks leaves out is taken at the change; one that comes twice is taken once, the
    /// first time. None: there is no such instant, or it is too far away.
    pub fn next_after(&self, now: OffsetDateTime) -> Option<OffsetDateTime> {
        match self {
            Self::Every(interval) => now.checked_add(interval.duration()),
            Self::Cron { expression, time_zone } => {
                let now = Timestamp::from_second(now.unix_timestamp()).ok()?;
                let local = now.to_zoned(time_zone.zone()?);
                let next = expression.cron.find_next_occurrence(&local, false).ok()?;
                OffsetDateTime::from_unix_timestamp(next.timestamp().as_second()).ok()
            }
        }
    }
}

impl CronExpression {
    /// The expression as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl FromStr for CronExpression {
    type Err = InvalidCron;

    fn from_str(text: &str) -> Result<Self, InvalidCron> {
        // Longer ones say the same thing twice.
        if text.len() > 200 {
            return Err(InvalidCron);
        }
        let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed);
        let cron = parser.build().parse(text).map_err(|_| InvalidCron)?;
        // One that never comes, such as the 30th of February, is a slip.
        let start = Timestamp::UNIX_EPOCH.to_zoned(TimeZone::UTC);
        cron.find_next_occurrence(&start, false).map_err(|_| InvalidCron)?;
        Ok(Self { text: text.to_owned(), cron: Box::new(cron) })
    }
}

impl PartialEq for CronExpression {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for CronExpression {}

impl fmt::Debug for CronExpression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CronExpression({:?})", self.text)
    }
}

impl ZoneName {
    /// UTC.
    pub fn utc() -> Self {
        Self("UTC".to_owned())
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn zone(&self) -> Option<TimeZone> {
        TimeZone::get(&self.0).ok()
    }
}

impl TryFrom<String> for ZoneName {
    type Error = InvalidZone;

    fn try_from(text: String) -> Result<Self, InvalidZone> {
        let name = Self(text);
        if name.zone().is_some() { Ok(name) } else { Err(InvalidZone) }
    }
}

impl FromStr for ZoneName {
    type Err = InvalidZone;

    fn from_str(text: &str) -> Result<Self, InvalidZone> {
        text.to_owned().try_into()
    }
}

impl From<ZoneName> for String {
    fn from(name: ZoneName) -> Self {
        name.0
    }
}

impl Interval {
    const SHORTEST: u32 = 60;
    const LONGEST: u32 = 366 * 24 * 60 * 60;

    /// Its length in seconds.
    pub const fn seconds(self) -> u32 {
        self.0
    }

    fn duration(self) -> Duration {
        Duration::seconds(i64::from(self.0))
    }
}

impl TryFrom<u32> for Interval {
    type Error = InvalidInterval;

    fn try_from(seconds: u32) -> Result<Self, InvalidInterval> {
        if (Self::SHORTEST..=Self::LONGEST).contains(&seconds) {
            Ok(Self(seconds))
        } else {
            Err(InvalidInterval)
        }
    }
}

impl<'de> Deserialize<'de> for Interval {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        whole(deserializer, Self::SHORTEST..=Self::LONGEST).map(Self)
    }
}

impl From<Interval> for u32 {
    fn from(interval: Interval) -> Self {
        interval.0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use time::{
        format_description::well_known::Rfc3339,
        macros::{datetime, utc_datetime},
    };

    use super::*;

    fn cron(expression: &str, zone: &str) -> Recurrence {
        let (expression, time_zone) = (expression.parse().unwrap(), zone.parse().unwrap());
        Recurrence::Cron { expression, time_zone }
    }

    /// The next instants of `recurrence` after `now`.
    fn check(recurrence: &Recurrence, now: &str, expected: &[&str]) {
        let mut now = OffsetDateTime::parse(now, &Rfc3339).unwrap();
        for expected in expected {
            now = recurrence.next_after(now).unwrap();
            assert_eq!(now.format(&Rfc3339).unwrap(), *expected);
        }
    }

    #[test]
    fn a_cron_expression_names_local_times() {
        check(
            &cron("30 6 * * MON-FRI", "Europe/Vienna"),
            "2026-11-27T05:30:00Z",
            &["2026-11-30T05:30:00Z", "2026-12-01T05:30:00Z"],
        );
        check(&cron("@daily", "UTC"), "2026-11-27T05:30:00.5Z", &["2026-11-28T00:00:00Z"]);
    }

    #[test]
    fn a_local_time_that_is_left_out_is_taken_at_the_change_of_the_clocks() {
        // In Vienna 02:00 to 03:00 does not exist on 2026-03-29.
        check(
            &cron("30 2 * * *", "Europe/Vienna"),
            "2026-03-28T00:00:00Z",
            &["2026-03-28T01:30:00Z", "2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"],
        );
    }

    #[test]
    fn a_local_time_that_comes_twice_is_taken_once() {
        // In Vienna 02:00 to 03:00 comes twice on 2026-10-25.
        check(
            &cron("30 2 * * *", "Europe/Vienna"),
            "2026-10-24T12:00:00Z",
            &["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"],
        );
    }

    #[test]
    fn an_interval_counts_from_now() {
        let now = datetime!(2026-05-01 12:00 UTC);
        let next = Recurrence::Every(Interval(90)).next_after(now);
        assert_eq!(next, Some(datetime!(2026-05-01 12:01:30 UTC)));
        assert!(Interval::try_from(59).is_err() && Interval::try_from(60).is_ok());
        assert!(Interval::try_from(u32::MAX).is_err());
    }

    #[test]
    fn what_can_never_come_is_refused() {
        for bad in ["", "* * * *", "61 * * * *", "0 0 30 2 *", "never", &"* ".repeat(300)] {
            assert!(bad.parse::<CronExpression>().is_err(), "{bad}");
        }
        for bad in ["", "Vienna", "Mars/Olympus"] {
            assert!(bad.parse::<ZoneName>().is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn time_goes_on(seconds in 0_i64..4_000_000_000, minute in 0_u8..60, hour in 0_u8..24) {
            let start = utc_datetime!(1970-01-01 0:00).unix_timestamp();
            let now = OffsetDateTime::from_unix_timestamp(start + seconds).unwrap();
            let next = cron(&format!("{minute} {hour} * * *"), "America/New_York").next_after(now).unwrap();
            prop_assert!(next > now && next - now <= Duration::hours(26), "{now} {next}");
        }
    }
}
