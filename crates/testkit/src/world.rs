//! The real time, for tests that speak with programs of others.

use std::time::SystemTime;

use linkspan_domain::ports::World;
use time::OffsetDateTime;
use uuid::Uuid;

/// The clock of the machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealTime;

impl World for RealTime {
    fn now(&self) -> OffsetDateTime {
        SystemTime::now().into()
    }

    #[expect(clippy::disallowed_methods, reason = "here is the world")]
    fn uuid(&self) -> Uuid {
        Uuid::now_v7()
    }
}
