//! The database types against real servers.
#![allow(clippy::unwrap_used)]

mod filters;
mod mysql;
mod postgres;
mod postgres_sink;

use std::sync::Arc;

use arrow_array::{cast::AsArray, types};
use linkspan_sdk::{Batch, Definition, Environment, OpenHosts};
use linkspan_testkit::{Answer, Answers};

fn definition(key: &str) -> Definition {
    linkspan_databases::all().into_iter().find(|it| it.manifest.key.to_string() == key).unwrap()
}

fn environment() -> Environment {
    Environment::new(Arc::new(Answers::always(Answer::Unreachable)), Arc::new(OpenHosts))
}

fn ids(batches: &[Batch]) -> Vec<i64> {
    let columns = batches.iter().map(|it| it.records.column_by_name("id").unwrap());
    columns.flat_map(|it| it.as_primitive::<types::Int64Type>().values().to_vec()).collect()
}
