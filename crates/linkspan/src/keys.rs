//! Where the master keys come from.

use std::path::PathBuf;

use linkspan_domain::Secret;
use linkspan_persistence::Database;
use linkspan_vault::{GivenKey, KeyCommand, KeyFile, KeyPolicy, KeySource, Keyring, KeyringError};

use crate::{
    compose::{ComposeError, Opening},
    settings::{CommandLine, Mode, Settings},
};

/// The keys that seal secrets. In development one is made for a new platform, unless something is sealed with one that is lost.
pub(crate) async fn keyring(
    settings: &Settings,
    database: &Database,
    opening: Opening,
) -> Result<Keyring, ComposeError> {
    let kept = kept_keyring(settings);
    let is_missing = matches!(kept, Err(ComposeError::Keyring(KeyringError::Missing)));
    if !is_missing || settings.mode == Mode::Production {
        return kept;
    }
    let file = settings.data_dir.join(Keyring::FILE);
    if !database.keys().census().await.map_err(ComposeError::Sealed)?.is_empty() {
        return Err(ComposeError::KeyLost { file });
    }
    match opening {
        Opening::OrNew => open_keyring(settings, KeyPolicy::CreateFile),
        Opening::Existing | Opening::AsItIs => {
            Err(ComposeError::NoKeyFile { file, setting: "LINKSPAN_MASTER_KEY" })
        }
    }
}

/// The keys that are there.
pub(crate) fn kept_keyring(settings: &Settings) -> Result<Keyring, ComposeError> {
    open_keyring(settings, KeyPolicy::ReadFile)
}

/// Where an operator says that the current key is. More than one place is for the keyring to refuse.
pub(crate) fn sources(settings: &Settings) -> Vec<Box<dyn KeySource>> {
    let mut sources: Vec<Box<dyn KeySource>> = Vec::new();
    if let Some(key) = settings.master_key.as_ref().filter(|it| !is_blank(it)) {
        sources.push(Box::new(GivenKey(key.clone())));
    }
    if let Some(path) = settings.master_key_file.as_ref().filter(|it| !it.as_os_str().is_empty()) {
        sources.push(Box::new(KeyFile(path.clone())));
    }
    if let Some(words) = settings.master_key_command.as_ref().map(CommandLine::words) {
        let command = KeyCommand { words, limit: KeyCommand::LIMIT };
        sources.extend((!command.words.is_empty()).then(|| Box::new(command) as _));
    }
    sources
}

fn is_blank(key: &Secret<String>) -> bool {
    key.expose().trim().is_empty()
}

fn open_keyring(
    settings: &Settings,
    in_development: fn(PathBuf) -> KeyPolicy,
) -> Result<Keyring, ComposeError> {
    let policy = match settings.mode {
        Mode::Production => KeyPolicy::Required,
        Mode::Development => in_development(settings.data_dir.clone()),
    };
    let previous: Vec<_> = settings.master_key_previous.iter().cloned().collect();
    Keyring::open(&sources(settings), &previous, &policy).map_err(ComposeError::Keyring)
}
