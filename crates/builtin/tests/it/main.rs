//! Connector types against servers that others wrote.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod s3;
mod s3_faults;
mod s3_misfits;
mod s3_sink;
mod site;
