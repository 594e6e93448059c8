//! Where operators keep the master key: in the environment, in a file, or behind a command.

use std::{
    io::{self, Read},
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use linkspan_domain::Secret;
use zeroize::Zeroizing;

use crate::{
    KeyFileError,
    key_file::{self, MAX_LEN},
};

/// Gives the text of the master key, from where an operator keeps it.
///
/// # Contract
///
/// - The text holds one key or several, with commas or white space between them. The first seals, the others only open.
/// - What goes wrong is told without any of the text.
pub trait KeySource: Send + Sync {
    /// The setting that names the source, as an operator writes it.
    fn setting(&self) -> &'static str;

    /// The text. May block.
    fn read(&self) -> Result<Secret<String>, KeySourceError>;
}

/// Why a source gave no text.
#[derive(Debug, thiserror::Error)]
pub enum KeySourceError {
    /// The file cannot be used.
    #[error(transparent)]
    File(KeyFileError),
    /// The command names no program.
    #[error("LINKSPAN_MASTER_KEY_COMMAND names no program")]
    NoProgram,
    /// The command cannot be started.
    #[error("`{program}` of LINKSPAN_MASTER_KEY_COMMAND cannot be started")]
    NotStarted {
        /// The program.
        program: String,
        /// What the system said.
        source: io::Error,
    },
    /// The command ended without success.
    #[error(
        "`{program}` of LINKSPAN_MASTER_KEY_COMMAND gave no key: {status}; run it by hand to see why"
    )]
    Refused {
        /// The program.
        program: String,
        /// How it ended.
        status: ExitStatus,
    },
    /// The command took too long.
    #[error("`{program}` of LINKSPAN_MASTER_KEY_COMMAND did not end within {} s", limit.as_secs())]
    TooSlow {
        /// The program.
        program: String,
        /// How long it may take.
        limit: Duration,
    },
    /// What the command wrote is no text, or too much of it.
    #[error("what `{program}` of LINKSPAN_MASTER_KEY_COMMAND writes is not the text of a key")]
    NoText {
        /// The program.
        program: String,
    },
}

/// A key in the environment or the settings, as `LINKSPAN_MASTER_KEY`.
#[derive(Debug)]
pub struct GivenKey(pub Secret<String>);

/// A key in a file, as `LINKSPAN_MASTER_KEY_FILE` names it. Its mode is 0600 or less; below `/run/secrets`, where container
/// engines mount secrets, others may read it, too.
#[derive(Debug)]
pub struct KeyFile(pub PathBuf);

/// A key that a program writes to its standard output, as `LINKSPAN_MASTER_KEY_COMMAND` says: the program, then its arguments.
///
/// No shell is involved. What the program writes elsewhere goes nowhere.
#[derive(Debug)]
pub struct KeyCommand {
    /// The program, then its arguments.
    pub words: Vec<String>,
    /// How long it may take.
    pub limit: Duration,
}

impl KeySource for GivenKey {
    fn setting(&self) -> &'static str {
        "LINKSPAN_MASTER_KEY"
    }

    fn read(&self) -> Result<Secret<String>, KeySourceError> {
        Ok(self.0.clone())
    }
}

impl KeySource for KeyFile {
    fn setting(&self) -> &'static str {
        "LINKSPAN_MASTER_KEY_FILE"
    }

    fn read(&self) -> Result<Secret<String>, KeySourceError> {
        key_file::read_given(&self.0).map_err(KeySourceError::File)
    }
}

/// How often a program is asked whether it has ended.
const AGAIN: Duration = Duration::from_millis(10);

impl KeyCommand {
    /// How long a program may take, unless somebody says otherwise.
    pub const LIMIT: Duration = Duration::from_secs(10);

    fn start(&self) -> Result<(Child, String), KeySourceError> {
        let (program, arguments) = self.words.split_first().ok_or(KeySourceError::NoProgram)?;
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let program = program.clone();
        match command.spawn() {
            Ok(child) => Ok((child, program)),
            Err(source) => Err(KeySourceError::NotStarted { program, source }),
        }
    }
}

impl KeySource for KeyCommand {
    fn setting(&self) -> &'static str {
        "LINKSPAN_MASTER_KEY_COMMAND"
    }

    fn read(&self) -> Result<Secret<String>, KeySourceError> {
        let until = Instant::now() + self.limit;
        let (mut child, program) = self.start()?;
        let (send, written) = mpsc::channel();
        if let Some(stdout) = child.stdout.take() {
            // By a thread that nobody waits for: what the program started may keep the pipe open.
            thread::spawn(move || send.send(read_all(stdout)));
        }
        let Some(status) = wait(&mut child, until) else {
            let _ = child.kill().and_then(|()| child.wait());
            return Err(KeySourceError::TooSlow { program, limit: self.limit });
        };
        if !status.success() {
            return Err(KeySourceError::Refused { program, status });
        }
        let left = until.saturating_duration_since(Instant::now());
        match written.recv_timeout(left) {
            Ok(Some(text)) => Ok(text),
            Ok(None) => Err(KeySourceError::NoText { program }),
            Err(_) => Err(KeySourceError::TooSlow { program, limit: self.limit }),
        }
    }
}

fn read_all(stdout: impl Read) -> Option<Secret<String>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_LEN + 1));
    stdout.take(MAX_LEN as u64 + 1).read_to_end(&mut bytes).ok()?;
    let fits = bytes.len() <= MAX_LEN;
    let text = String::from_utf8(std::mem::take(&mut *bytes)).ok()?;
    Some(Secret::new(text)).filter(|_| fits)
}

/// How a program ended, if it did so in time.
fn wait(child: &mut Child, until: Instant) -> Option<ExitStatus> {
    loop {
        // What cannot be waited for counts as not ended.
        match child.try_wait() {
            Ok(Some(status)) => return Some(status),
            Ok(None) if Instant::now() < until => thread::sleep(AGAIN),
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs::{self, Permissions},
        os::unix::fs::PermissionsExt,
        time::{Duration, Instant},
    };

    use super::{KeyCommand, KeyFile, KeySource, KeySourceError};

    fn command(words: &[&str]) -> KeyCommand {
        let words = words.iter().map(|&it| it.to_owned()).collect();
        KeyCommand { words, limit: KeyCommand::LIMIT }
    }

    #[test]
    fn a_command_gives_what_it_writes_and_no_shell_reads_its_words() {
        let text = command(&["printf", "%s", "$HOME; exit 1"]).read().unwrap();
        assert_eq!(text.expose(), "$HOME; exit 1");
    }

    #[test]
    fn a_command_that_fails_is_named_and_its_output_is_not_repeated() {
        let error = command(&["sh", "-c", "echo hunter22; echo hunter22 >&2; exit 7"]);
        let error = error.read().unwrap_err();
        let said = format!("{error} {error:?}");
        assert!(
            said.contains("`sh`") && said.contains('7') && !said.contains("hunter22"),
            "{said}"
        );
        let absent = command(&["/nowhere/at/all"]).read().unwrap_err();
        assert!(matches!(absent, KeySourceError::NotStarted { .. }), "{absent}");
        assert!(matches!(command(&[]).read().unwrap_err(), KeySourceError::NoProgram));
    }

    #[test]
    fn a_command_that_hangs_is_ended() {
        let begun = Instant::now();
        let limit = Duration::from_millis(100);
        for words in [&["sleep", "60"][..], &["sh", "-c", "sleep 60 & exit 0"]] {
            let error = KeyCommand { limit, ..command(words) }.read().unwrap_err();
            assert!(matches!(error, KeySourceError::TooSlow { .. }), "{error}");
        }
        assert!(begun.elapsed() < Duration::from_secs(30));
    }

    #[test]
    fn a_command_that_writes_no_text_or_too_much_is_refused() {
        for words in [&["printf", "\\377"][..], &["head", "-c", "5000", "/dev/zero"]] {
            let error = command(words).read().unwrap_err();
            assert!(matches!(error, KeySourceError::NoText { .. }), "{error}");
        }
    }

    #[test]
    fn a_file_that_others_can_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let read = || KeyFile(path.clone()).read();
        assert!(read().unwrap_err().to_string().contains("there is no key file"));
        fs::write(&path, "hunter22").unwrap();
        for (mode, is_read) in [(0o600, true), (0o400, true), (0o640, false), (0o604, false)] {
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            let text = read();
            assert_eq!(text.is_ok(), is_read, "{mode:o}");
            let refused = text.err().map(|it| it.to_string()).unwrap_or_default();
            assert!(!refused.contains("hunter22"), "{refused}");
        }
    }
}
