//! The chores of the workspace: `cargo xtask <command>`.

mod bench;
mod codegen;
mod database_server;
mod debian;
mod http;
mod mysql;
mod new;
mod postgres;
mod process;
mod project;
mod server;
mod suite;
mod terminal;
mod test;
mod tidy;
mod tools;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::project::Project;

/// The chores of the workspace.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Xtask {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Checks what the compiler cannot: layers, homes of foreign crates, file shapes, where secrets are exposed
    Tidy,
    /// Checks the seeds and rewrites everything that is derived from other files
    Codegen(codegen::Options),
    /// Runs every check there is, from formatting to foreign clients against a live server
    Test(test::Options),
    /// Measures the release build and prints the figures beside their targets
    Bench(bench::Options),
    /// Runs a conformance suite of others from a folder and prints how many cases pass
    Suite(suite::Options),
    /// Writes the file of a new connector type
    New(new::Options),
}

fn main() -> ExitCode {
    let xtask = Xtask::parse();
    match run(xtask.chore) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(chore: Chore) -> anyhow::Result<()> {
    let project = Project::load()?;
    match chore {
        Chore::Tidy => tidy::run(&project),
        Chore::Codegen(options) => codegen::run(&project, &options),
        Chore::Test(options) => test::run(&project, &options),
        Chore::Bench(options) => bench::run(&project, &options),
        Chore::Suite(options) => suite::run(&project, &options),
        Chore::New(options) => new::run(&project, &options),
    }
}
