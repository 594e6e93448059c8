//! How a command ends.

use std::fmt;

/// Why a command ended without success: what to say, and the exit code that machines read.
#[derive(Debug)]
pub(crate) struct Failed {
    /// The exit code.
    pub(crate) exit: Exit,
    /// What to say.
    pub(crate) message: String,
    /// The problem code, if a server said so.
    pub(crate) code: Option<String>,
}

/// The exit codes. Success is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Something went wrong that is not the person's doing.
    Internal = 1,
    /// The command line, the settings or the input are wrong.
    Usage = 2,
    /// The connected system refused, or did not answer.
    Source = 3,
    /// It worked, but not for every record.
    Partial = 4,
    /// Somebody interrupted it: what a shell says of a program that Ctrl-C ended.
    Interrupted = 130,
}

impl Failed {
    /// The command line, the settings or the input are wrong.
    pub(crate) fn usage(message: impl fmt::Display) -> Self {
        Self { exit: Exit::Usage, message: message.to_string(), code: None }
    }

    /// The connected system refused, or did not answer.
    pub(crate) fn source(message: impl fmt::Display) -> Self {
        Self { exit: Exit::Source, message: message.to_string(), code: None }
    }

    /// Somebody interrupted it.
    pub(crate) fn interrupted(message: impl fmt::Display) -> Self {
        Self { exit: Exit::Interrupted, message: message.to_string(), code: None }
    }

    /// It worked, but not for every record.
    pub(crate) fn partial(message: impl fmt::Display) -> Self {
        Self { exit: Exit::Partial, message: message.to_string(), code: None }
    }

    /// Something went wrong that is not the person's doing. The whole chain of causes is told.
    pub(crate) fn internal(error: &(dyn std::error::Error + 'static)) -> Self {
        Self { exit: Exit::Internal, message: chain(error), code: None }
    }

    /// The settings or the place the program runs in are wrong. The whole chain of causes is told.
    pub(crate) fn setup(error: &(dyn std::error::Error + 'static)) -> Self {
        Self { exit: Exit::Usage, message: chain(error), code: None }
    }
}

fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut message = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        message = format!("{message}: {cause}");
        source = cause.source();
    }
    message
}
