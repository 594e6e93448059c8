//! The guarded client against hostile hosts, on loopback and with a resolver of its own.

#![allow(clippy::unwrap_used)]

mod bodies;
mod corpus;
mod databases;
mod environment;
mod messages;
mod redirects;
mod resolution;
mod site;
