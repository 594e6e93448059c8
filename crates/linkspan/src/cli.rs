//! The command line.

mod activation;
mod activations;
mod assign;
mod audit;
mod authorize;
mod check;
mod client;
mod connect;
mod discover;
mod doctor;
mod exit;
mod keys;
mod migrate;
mod openapi;
mod output;
mod patience;
mod progress;
mod quickstart;
mod read;
mod runs;
mod secrets;
mod seed;
mod serve;
mod session;
mod sync;
mod token;
mod types;
mod worker;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::settings::{Flags, Settings};
use output::{Format, Output};

/// Linkspan: connects your product to the systems your customers use.
///
/// Start with `linkspan quickstart`. Commands that need a platform talk to a running server when LINKSPAN_URL and
/// LINKSPAN_API_KEY are set; otherwise they open the embedded database of the data directory.
#[derive(Debug, Parser)]
#[command(name = "linkspan", version, propagate_version = true, max_term_width = 100)]
#[command(
    after_help = "Exit codes: 0 ok, 1 internal error, 2 usage or configuration, 3 the source refused, 4 partial.\n\
    Settings: linkspan.toml, then LINKSPAN_* in the environment, then flags; see docs/settings.md."
)]
pub(crate) struct Cli {
    #[command(flatten)]
    flags: Flags,
    /// Answer for machines: the last line of standard output is one JSON object
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// See it work: an embedded database, a catalog, sample data connected and synced
    Quickstart(quickstart::Quickstart),
    /// Run the server: the API, a scheduler and a worker that syncs, or some of these
    Serve(serve::Serve),
    /// Run a worker: it syncs what others start, on the database it shares with them, and listens nowhere
    Worker(worker::Worker),
    /// Bring the database to the newest schema
    Migrate(migrate::Migrate),
    /// Fill the catalog; what operators edited stays
    Seed(seed::Seed),
    /// List the connector types of this program
    Types(types::Types),
    /// Activate a connector in the workspace
    Connect(connect::Connect),
    /// List activations, show one, change it, switch it on or off, or take it away
    Activations(activations::Activations),
    /// Connect an activation whose provider has a person agree
    Authorize(authorize::Authorize),
    /// Find out whether an activation works
    Check(check::Check),
    /// List the streams of an activation, and what its system has that is none
    Discover(discover::Discover),
    /// Sync an activation, and wait until it is done
    Sync(sync::Sync),
    /// List runs of syncs, or stop one
    Runs(runs::Runs),
    /// Read a stream once, without a platform: records go to a file or to standard output
    Read(read::Read),
    /// Look at the master keys that seal secrets, or rotate them
    Keys(keys::Keys),
    /// Seal secrets that an import past the API left in the clear
    Secrets(secrets::Secrets),
    /// Issue a token that stands for a person
    Token(token::Token),
    /// Check that nobody changed the audit trail
    Audit(audit::Audit),
    /// Print the OpenAPI document of the API
    Openapi(openapi::Openapi),
    /// Look for what could be wrong with this installation
    Doctor(doctor::Doctor),
}

impl Command {
    /// What is logged unless somebody says otherwise: a server tells what it does, a command only what went wrong.
    const fn default_log(&self) -> &'static str {
        match self {
            Self::Serve(_) | Self::Worker(_) => "info,sqlx=warn,sea_orm_migration=warn",
            _ => "error",
        }
    }
}

/// Runs the command line, to its end.
pub(crate) async fn run() -> ExitCode {
    // Clap ends the process by itself where the command line is wrong: with 2, as documented.
    let cli = Cli::parse();
    let output = Output::new(if cli.json { Format::Json } else { Format::Human });
    match execute(cli, &output).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failed) => {
            output.failed(&failed);
            ExitCode::from(failed.exit as u8)
        }
    }
}

async fn execute(cli: Cli, output: &Output) -> Result<(), exit::Failed> {
    let settings =
        Settings::read(&cli.flags, cli.command.default_log()).map_err(exit::Failed::usage)?;
    crate::logging::start(&settings).map_err(exit::Failed::usage)?;
    match cli.command {
        Command::Quickstart(it) => it.run(&settings, output).await,
        Command::Serve(it) => it.run(&settings, output).await,
        Command::Worker(it) => it.run(&settings, output).await,
        Command::Migrate(it) => it.run(&settings, output).await,
        Command::Seed(it) => it.run(&settings, output).await,
        Command::Types(it) => it.run(output),
        Command::Connect(it) => it.run(&settings, output).await,
        Command::Activations(it) => it.run(&settings, output).await,
        Command::Authorize(it) => it.run(&settings, output).await,
        Command::Check(it) => it.run(&settings, output).await,
        Command::Discover(it) => it.run(&settings, output).await,
        Command::Sync(it) => it.run(&settings, output).await,
        Command::Runs(it) => it.run(&settings, output).await,
        Command::Read(it) => it.run(&settings, output).await,
        Command::Keys(it) => it.run(&settings, output).await,
        Command::Secrets(it) => it.run(&settings, output).await,
        Command::Token(it) => it.run(&settings, output).await,
        Command::Audit(it) => it.run(&settings, output).await,
        Command::Openapi(it) => {
            it.run();
            Ok(())
        }
        Command::Doctor(it) => it.run(&settings, output).await,
    }
}
