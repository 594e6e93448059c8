//! Linkspan: the connector platform that a team runs itself.
fn main() {}
