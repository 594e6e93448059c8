//! The log of the process: to standard error, for people or for machines.

use std::io::{self, IsTerminal};

use tracing_subscriber::{EnvFilter, fmt, util::TryInitError};

use crate::settings::{LogFormat, Settings};

/// A log filter that cannot be read, or a log that runs already.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoggingError {
    /// The filter.
    #[error("the log filter cannot be read; write it like `info` or `linkspan_engine=debug`")]
    Filter,
    /// The log.
    #[error("the log runs already")]
    Running(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Starts the log.
pub(crate) fn start(settings: &Settings) -> Result<(), LoggingError> {
    let filter = EnvFilter::try_new(&settings.log).map_err(|_| LoggingError::Filter)?;
    let log = fmt().with_env_filter(filter).with_writer(io::stderr);
    // Colours are for a terminal: in a file they are noise.
    let log = log.with_ansi(io::stderr().is_terminal());
    let started = match settings.log_format {
        LogFormat::Text => log.with_target(true).finish().pipe_init(),
        LogFormat::Json => log.json().finish().pipe_init(),
    };
    started.map_err(|error| LoggingError::Running(Box::new(error)))
}

trait Init {
    fn pipe_init(self) -> Result<(), TryInitError>;
}

impl<S: tracing_subscriber::util::SubscriberInitExt> Init for S {
    fn pipe_init(self) -> Result<(), TryInitError> {
        self.try_init()
    }
}
