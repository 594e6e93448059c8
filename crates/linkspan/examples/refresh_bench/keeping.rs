//! A worker of the product that finds many grants due.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use linkspan_domain::ports::World;
use serde_json::{Value, json};
use tokio::{
    process::{Child, Command},
    time::sleep,
};

use crate::{
    installation::Installation,
    provider::{Provider, refresh_token},
    world::{RealWorld, master_key},
};

/// What to measure.
pub(crate) struct Keeping {
    /// The product.
    pub(crate) binary: PathBuf,
    /// Where its worker may keep files.
    pub(crate) folder: PathBuf,
    /// An empty database.
    pub(crate) database: String,
    /// How many grants are due.
    pub(crate) grants: usize,
}

/// When the grants were given: their access tokens live for an hour, and are to be exchanged five minutes before they end.
const AGO: time::Duration = time::Duration::minutes(56);

/// How long the worker has: longer than it should take, so that there is a figure also where it misses.
const PATIENCE: Duration = Duration::from_mins(5);

/// How often it is looked whether all is done.
const LOOK: Duration = Duration::from_millis(5);

impl Keeping {
    /// Starts a worker on grants that are all due, waits until the server has refreshed each, stops it, and looks at what is kept.
    pub(crate) async fn measure(&self) -> Result<Value> {
        let provider = Provider::start(self.grants)?;
        let given = RealWorld.now() - AGO;
        let made = Installation::make(&self.database, &provider, self.grants, given).await?;
        let began = Instant::now();
        let mut worker = self.worker()?;
        while provider.waiting() > 0 && began.elapsed() < PATIENCE {
            let ended = worker.try_wait()?;
            ensure!(ended.is_none(), "the worker ended before its work was done");
            sleep(LOOK).await;
        }
        stop(worker).await?;
        let book = provider.book();
        let lost = lost(&made, &book.refreshed).await?;
        made.database.close().await;
        let (first, latest) = book.answered.context("the worker refreshed nothing")?;
        Ok(json!({
            "refreshed": book.refreshed.iter().sum::<u64>(),
            "missed": book.waiting,
            "lost": lost,
            "spent_twice": book.spent_twice,
            "seconds": (latest - began).as_secs_f64(),
            "refreshing_seconds": (latest - first).as_secs_f64(),
        }))
    }

    fn worker(&self) -> Result<Child> {
        let worker = Command::new(&self.binary)
            .args([Path::new("worker"), Path::new("--data-dir"), &self.folder])
            .env("LINKSPAN_DATABASE_URL", &self.database)
            .env("LINKSPAN_MASTER_KEY", master_key())
            // Where the provider is.
            .env("LINKSPAN_EGRESS_ALLOW", "127.0.0.0/8")
            .env("LINKSPAN_LOG", "warn")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn();
        worker.with_context(|| format!("cannot start {}", self.binary.display()))
    }
}

/// How many grants are not kept with the refresh token that the server handed out last.
async fn lost(made: &Installation, refreshed: &[u64]) -> Result<usize> {
    let mut lost = 0;
    for (number, (of, refreshed)) in made.activations.iter().zip(refreshed).enumerate() {
        let token = refresh_token(number, *refreshed);
        lost += usize::from(!made.keeps(*of, &token).await?);
    }
    Ok(lost)
}

/// Stops the worker as an operator would: it finishes what it is at.
async fn stop(mut worker: Child) -> Result<()> {
    let id = worker.id().context("the worker ended")?;
    let told = Command::new("sh").args(["-c", &format!("kill -TERM {id}")]).status().await?;
    ensure!(told.success(), "the worker could not be told to stop");
    let ended = worker.wait().await?;
    ensure!(ended.success(), "on SIGTERM the worker ended with {ended}");
    Ok(())
}
