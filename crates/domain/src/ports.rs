//! What Linkspan asks of the outside world, one small trait each.

mod outbound;
mod vault;

use std::error::Error;

pub use outbound::{
    Limits, Outbound, OutboundBody, OutboundError, OutboundRequest, OutboundResponse,
};
#[cfg(any(test, feature = "mock"))]
pub use vault::MockVault;
pub use vault::{Purpose, SealContext, Sealed, Vault, VaultError};

/// What went wrong underneath: kept for the log, never shown to a caller.
pub type Cause = Box<dyn Error + Send + Sync>;
