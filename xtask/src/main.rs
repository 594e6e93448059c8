//! The chores of the workspace: tidy, codegen, test, bench.
fn main() {}
