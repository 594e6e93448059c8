//! The client against made-up authorization servers, and against those that others wrote.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod assertions;
mod discovery;
mod foreign;
mod oracle;
mod promises;
mod registration;
mod site;
mod tokens;
