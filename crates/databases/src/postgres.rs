//! What the PostgreSQL types share.

mod binary;
mod column;
mod connection;
mod error;
mod identifier;
mod numeric;
mod read;
mod table;

pub(crate) use connection::{
    Connection, PoolLimits, SslMode, check, default_max_overflow, default_pool_recycle,
    default_pool_size, default_port, pool, required,
};
pub(crate) use identifier::Identifier;
pub(crate) use read::read;
pub(crate) use table::Table;
