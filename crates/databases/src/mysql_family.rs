//! What the types for MySQL and MariaDB share: both speak one protocol.

mod column;
mod connection;
mod decode;
mod error;
mod filter;
mod moment;
mod read;
mod split;
mod table;
pub(crate) mod whole;

pub(crate) use connection::{Connection, check, pool};
pub(crate) use filter::push_down;
pub(crate) use read::read;
pub(crate) use split::split;
pub(crate) use table::{Scope, Table};
pub(crate) use whole::Settings;
