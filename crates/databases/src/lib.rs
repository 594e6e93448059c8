//! The built-in connector types that need a native database driver.

mod columns;
mod filter;
mod identifier;
mod list;
mod mariadb;
mod mysql;
mod mysql_family;
mod mysql_identity;
mod postgres;
mod postgres_identity;
mod postgresql;
mod ranges;
mod server;
mod table;

pub use list::all;
