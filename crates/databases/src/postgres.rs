//! What the PostgreSQL types share.

mod binary;
mod column;
mod connection;
mod encode;
mod error;
mod filter;
mod numeric;
mod quoting;
mod read;
mod split;
mod table;
mod target;
mod turn;
mod write;

pub(crate) use connection::{Connection, SslMode, check, default_port, pool};
pub(crate) use filter::push_down;
pub(crate) use read::read;
pub(crate) use split::split;
pub(crate) use table::Table;
pub(crate) use target::{place, read_as};
pub(crate) use write::write;
