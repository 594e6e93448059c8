//! OAuth grants: given by people, refreshed without loss, taken back when they are not needed any more.

mod clients;
mod connecting;
mod disconnecting;
mod error;
#[cfg(test)]
pub(crate) mod fake;
mod insisting;
mod installing;
mod keeping;
mod memory;
mod refreshing;
mod safe;
mod tokens;

pub(crate) use connecting::token_test_url;
pub use connecting::{
    Addresses, Authorize, Authorized, Browser, ConnectError, Connected, Connecting, Declined,
    Departure, GivenClient, GrantStores, Invitation, NotConnected, ReturnError, Returned, Ticket,
    Visiting,
};
pub use disconnecting::Disconnector;
pub use error::TokenError;
pub(crate) use error::{authorize_with, reconnect};
pub use installing::{InstallError, Installing};
pub use keeping::Keeper;
pub use refreshing::{Attempt, Refresher, Token, Urge};
pub use safe::SafeError;
pub use tokens::AccessTokens;
