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
    /// Whether the same may work in a while.
    pub(crate) outlook: Outlook,
}

/// Whether what did not work may work in a while, with nothing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outlook {
    /// It will not.
    Lasting,
    /// It may: the server is away or busy.
    Passing,
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
    const fn of(exit: Exit, message: String) -> Self {
        Self { exit, message, code: None, outlook: Outlook::Lasting }
    }

    /// The server is away or busy.
    pub(crate) fn away(message: impl fmt::Display) -> Self {
        Self { outlook: Outlook::Passing, ..Self::usage(message) }
    }

    /// The command line, the settings or the input are wrong.
    pub(crate) fn usage(message: impl fmt::Display) -> Self {
        Self::of(Exit::Usage, message.to_string())
    }

    /// The connected system refused, or did not answer.
    pub(crate) fn source(message: impl fmt::Display) -> Self {
        Self::of(Exit::Source, message.to_string())
    }

    /// Somebody interrupted it.
    pub(crate) fn interrupted(message: impl fmt::Display) -> Self {
        Self::of(Exit::Interrupted, message.to_string())
    }

    /// It worked, but not for every record.
    pub(crate) fn partial(message: impl fmt::Display) -> Self {
        Self::of(Exit::Partial, message.to_string())
    }

    /// Something went wrong that is not the person's doing. The whole chain of causes is told.
    pub(crate) fn internal(error: &(dyn std::error::Error + 'static)) -> Self {
        Self::of(Exit::Internal, chain(error))
    }

    /// The settings or the place the program runs in are wrong. The whole chain of causes is told.
    pub(crate) fn setup(error: &(dyn std::error::Error + 'static)) -> Self {
        Self::of(Exit::Usage, chain(error))
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
