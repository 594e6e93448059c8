//! The built-in connector types that need a native database driver.

mod list;
mod postgres;
mod postgres_identity;
mod postgresql;

pub use list::all;
