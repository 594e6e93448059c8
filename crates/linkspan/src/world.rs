//! The clock and the identifiers of a running process.

use linkspan_domain::ports::World;
use time::OffsetDateTime;
use uuid::Uuid;

/// The real time, and identifiers made from it.
pub(crate) struct SystemWorld;

impl World for SystemWorld {
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the clock")]
    fn now(&self) -> OffsetDateTime {
        let now = OffsetDateTime::now_utc();
        // Whole microseconds: what every store keeps.
        now.replace_nanosecond(now.microsecond() * 1_000).unwrap_or(now)
    }

    #[expect(clippy::disallowed_methods, reason = "this is the one place that makes identifiers")]
    fn uuid(&self) -> Uuid {
        Uuid::now_v7()
    }
}
