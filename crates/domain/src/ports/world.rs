//! Time and chance.

use time::OffsetDateTime;
use uuid::Uuid;

/// Tells the time and makes identifiers.
///
/// # Contract
///
/// - Instants are UTC and whole microseconds: what every store can keep.
/// - Identifiers are UUIDs of version 7 (RFC 9562 §5.7): later ones sort behind earlier ones.
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
pub trait World: Send + Sync {
    /// The time.
    fn now(&self) -> OffsetDateTime;

    /// A new identifier.
    fn uuid(&self) -> Uuid;
}
