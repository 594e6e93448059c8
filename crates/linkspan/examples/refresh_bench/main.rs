//! Refreshes tokens as the product does, against a token endpoint of its own, and prints one JSON object with what came of it:
//! `cargo xtask bench refresh`.

mod asking;
mod installation;
mod keeping;
mod provider;
mod world;

use std::path::PathBuf;

use anyhow::Result;
use clap::Parser;

use keeping::Keeping;

/// What to measure
#[derive(Parser)]
enum Measure {
    /// How long a worker of the product takes to refresh grants that are all due
    Keeping {
        /// The product
        binary: PathBuf,
        /// Where its worker may keep files
        folder: PathBuf,
        /// The URL of an empty database
        database: String,
        /// How many grants are due
        grants: usize,
    },
    /// How long a token takes that is good for a while yet, in memory and through SQLite
    Asking {
        /// Where the database may be
        folder: PathBuf,
        /// How long to ask for each
        seconds: u64,
    },
}

#[tokio::main]
#[expect(clippy::print_stdout, reason = "its output is what it is for")]
async fn main() -> Result<()> {
    // As in the product: one TLS stack for the whole process.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let measured = match Measure::parse() {
        Measure::Keeping { binary, folder, database, grants } => {
            Keeping { binary, folder, database, grants }.measure().await?
        }
        Measure::Asking { folder, seconds } => asking::measure(&folder, seconds).await?,
    };
    println!("{measured}");
    Ok(())
}
