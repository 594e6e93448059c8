//! The connector types that ship with the platform and need no driver of their own.

mod auth;
mod core;
mod delimited;
mod file;
mod fingerprint;
mod format;
mod list;
mod notify;
mod objects;
mod signature;

pub use list::all;
