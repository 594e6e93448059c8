//! The master keys in use: one that seals, and older ones that still open.

use std::path::PathBuf;

use linkspan_domain::{Secret, ports::KeyId};

use crate::{InvalidKey, KeyFileError, KeySource, KeySourceError, MasterKey, key_file};

/// The master keys in use: the current one, and previous ones for what was sealed before.
#[derive(Debug)]
pub struct Keyring {
    current: MasterKey,
    previous: Vec<MasterKey>,
}

/// What to do where no key is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyPolicy {
    /// Refuse to start. For production, where keys come from outside.
    Required,
    /// Keep a key in the file `master.key` of this data directory, made when first needed, with mode 0600.
    CreateFile(PathBuf),
    /// As [`CreateFile`](Self::CreateFile), but where there is no file there is no key: for looking without a trace.
    ReadFile(PathBuf),
}

/// Why there is no keyring.
#[derive(Debug, thiserror::Error)]
pub enum KeyringError {
    /// No key was given, and none may be made.
    #[error(
        "there is no master key; set LINKSPAN_MASTER_KEY to the output of `openssl rand -hex 32`, and keep it safe; or name \
         where it is with LINKSPAN_MASTER_KEY_FILE or LINKSPAN_MASTER_KEY_COMMAND"
    )]
    Missing,
    /// Several sources are given: nobody can tell which key shall seal.
    #[error("{first} and {second} are both set; keep one of them")]
    Ambiguous {
        /// One setting.
        first: &'static str,
        /// Another one.
        second: &'static str,
    },
    /// A source gave nothing.
    #[error("the master key cannot be had from {setting}")]
    Source {
        /// The setting that names the source.
        setting: &'static str,
        /// What went wrong.
        source: KeySourceError,
    },
    /// The given key is none.
    #[error("{setting} does not give a master key")]
    Current {
        /// The setting that names the source.
        setting: &'static str,
        /// What is wrong with it.
        source: InvalidKey,
    },
    /// A previous key is none.
    #[error("key {position} of LINKSPAN_MASTER_KEY_PREVIOUS is not a master key")]
    Previous {
        /// Which one, counted from 1.
        position: usize,
        /// What is wrong with it.
        source: InvalidKey,
    },
    /// Two different keys have the same identifier, which is to be expected once in four billion keys.
    #[error(
        "two master keys have the same identifier {id}; take a new one in place of the current key"
    )]
    SameId {
        /// The identifier.
        id: KeyId,
    },
    /// The key file cannot be used.
    #[error(transparent)]
    File(KeyFileError),
}

impl Keyring {
    /// The name of the key file in the data directory.
    pub const FILE: &str = "master.key";

    /// A keyring that seals with `current` and opens with any.
    pub fn new(
        current: MasterKey,
        previous: impl IntoIterator<Item = MasterKey>,
    ) -> Result<Self, KeyringError> {
        let mut it = Self { current, previous: Vec::new() };
        for key in previous {
            match it.find(key.id()) {
                Some(known) if known.is(&key) => {}
                Some(_) => return Err(KeyringError::SameId { id: key.id() }),
                None => it.previous.push(key),
            }
        }
        Ok(it)
    }

    /// Finds the keys where operators put them.
    ///
    /// - The current key is the first that the source gives, else the one in the key file, as `policy` allows.
    /// - More keys of the source only open, as do those of `previous`. In either, commas or white space stand between keys.
    /// - Where both a source and a key file are there, the key of the file opens what it once sealed.
    ///
    /// Of `sources` there may be one at most. Blocks on the file system, or on a program.
    pub fn open(
        sources: &[Box<dyn KeySource>],
        previous: &[Secret<String>],
        policy: &KeyPolicy,
    ) -> Result<Self, KeyringError> {
        let mut older = Vec::new();
        let texts = previous.iter().flat_map(|it| keys_in(it.expose()));
        for (index, text) in texts.enumerate() {
            let key = MasterKey::parse(text);
            older.push(
                key.map_err(|source| KeyringError::Previous { position: index + 1, source })?,
            );
        }
        let given = match sources {
            [] => None,
            [only] => Some(given(&**only, &mut older)?),
            [first, second, ..] => {
                let (first, second) = (first.setting(), second.setting());
                return Err(KeyringError::Ambiguous { first, second });
            }
        };
        let current = match (given, policy) {
            (Some(given), KeyPolicy::Required) => given,
            (Some(given), KeyPolicy::CreateFile(folder) | KeyPolicy::ReadFile(folder)) => {
                older.extend(key_file::read(&folder.join(Self::FILE)).map_err(KeyringError::File)?);
                given
            }
            (None, KeyPolicy::Required) => return Err(KeyringError::Missing),
            (None, KeyPolicy::CreateFile(folder)) => {
                key_file::read_or_create(&folder.join(Self::FILE)).map_err(KeyringError::File)?
            }
            (None, KeyPolicy::ReadFile(folder)) => {
                let kept = key_file::read(&folder.join(Self::FILE)).map_err(KeyringError::File)?;
                kept.ok_or(KeyringError::Missing)?
            }
        };
        Self::new(current, older)
    }

    /// The identifier of the key that seals.
    pub const fn current_id(&self) -> KeyId {
        self.current.id()
    }

    /// The identifiers of the keys that only open.
    pub fn previous_ids(&self) -> impl Iterator<Item = KeyId> {
        self.previous.iter().map(MasterKey::id)
    }

    pub(crate) const fn current(&self) -> &MasterKey {
        &self.current
    }

    pub(crate) fn find(&self, id: KeyId) -> Option<&MasterKey> {
        std::iter::once(&self.current).chain(&self.previous).find(|it| it.id() == id)
    }
}

/// The texts of the keys in `text`.
fn keys_in(text: &str) -> impl Iterator<Item = &str> {
    text.split([',', ' ', '\t', '\r', '\n']).filter(|it| !it.is_empty())
}

/// The first key of `from`. The others are `older`.
fn given(from: &dyn KeySource, older: &mut Vec<MasterKey>) -> Result<MasterKey, KeyringError> {
    let setting = from.setting();
    let text = from.read().map_err(|source| KeyringError::Source { setting, source })?;
    let keys = keys_in(text.expose()).map(MasterKey::parse).collect::<Result<Vec<_>, _>>();
    let mut keys = keys.map_err(|source| KeyringError::Current { setting, source })?.into_iter();
    let first = keys.next();
    older.extend(keys);
    first.ok_or(KeyringError::Current { setting, source: InvalidKey::Empty })
}

#[cfg(test)]
mod tests {
    use std::{
        error::Error,
        fs::{self, Permissions},
        os::unix::fs::PermissionsExt,
    };

    use linkspan_domain::{Secret, ports::KeyId};

    use super::{KeyPolicy, Keyring, KeyringError};
    use crate::{GivenKey, InvalidKey, KeyFile, KeySource, MasterKey};

    fn text(byte: u8) -> String {
        format!("{byte:02x}").repeat(32)
    }

    fn secret(text: &str) -> Secret<String> {
        Secret::new(text.to_owned())
    }

    fn given(text: &str) -> Vec<Box<dyn KeySource>> {
        vec![Box::new(GivenKey(secret(text)))]
    }

    fn id(byte: u8) -> KeyId {
        MasterKey::from_bytes([byte; 32]).id()
    }

    #[test]
    fn production_refuses_to_start_without_a_key() {
        let error = Keyring::open(&[], &[secret(&text(1))], &KeyPolicy::Required).unwrap_err();
        assert!(matches!(error, KeyringError::Missing));
        let error = Keyring::open(&given(" \n"), &[], &KeyPolicy::Required).unwrap_err();
        let empty =
            KeyringError::Current { setting: "LINKSPAN_MASTER_KEY", source: InvalidKey::Empty };
        assert_eq!(error.to_string(), empty.to_string());
    }

    #[test]
    fn two_sources_of_the_key_are_refused_by_their_names() {
        let mut sources = given(&text(1));
        sources.push(Box::new(KeyFile("/nowhere".into())));
        let error = Keyring::open(&sources, &[], &KeyPolicy::Required).unwrap_err().to_string();
        let named = ["LINKSPAN_MASTER_KEY ", "LINKSPAN_MASTER_KEY_FILE "];
        assert!(named.iter().all(|it| error.contains(it)), "{error}");
    }

    #[test]
    fn the_first_key_of_a_source_seals_and_the_others_open() {
        let keys = format!("{}\n{}\n", text(1), text(2));
        let it = Keyring::open(&given(&keys), &[], &KeyPolicy::Required).unwrap();
        assert_eq!((it.current_id(), it.previous_ids().collect()), (id(1), vec![id(2)]));
    }

    #[test]
    fn a_given_key_seals_and_previous_ones_open() {
        let previous =
            [secret(&format!("{},{}\n", text(2), text(3))), secret(""), secret(&text(1))];
        let it = Keyring::open(&given(&text(1)), &previous, &KeyPolicy::Required).unwrap();
        assert_eq!(it.current_id(), id(1));
        assert_eq!(it.previous_ids().collect::<Vec<_>>(), [id(2), id(3)]);
        assert!(it.find(id(3)).is_some() && it.find(id(4)).is_none());
    }

    #[test]
    fn without_a_given_key_the_file_holds_one() {
        let folder = tempfile::tempdir().unwrap();
        let policy = KeyPolicy::CreateFile(folder.path().to_owned());
        let first = Keyring::open(&[], &[], &policy).unwrap().current_id();
        assert!(folder.path().join(Keyring::FILE).is_file());
        assert_eq!(Keyring::open(&[], &[], &policy).unwrap().current_id(), first);
    }

    #[test]
    fn a_look_for_the_key_file_makes_none() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let look = || Keyring::open(&[], &[], &KeyPolicy::ReadFile(data.clone()));
        assert!(matches!(look().unwrap_err(), KeyringError::Missing));
        assert!(!data.exists());
        let made = Keyring::open(&[], &[], &KeyPolicy::CreateFile(data.clone())).unwrap();
        assert_eq!(look().unwrap().current_id(), made.current_id());
    }

    #[test]
    fn a_given_key_comes_before_the_file_whose_key_still_opens() {
        let folder = tempfile::tempdir().unwrap();
        let policy = KeyPolicy::CreateFile(folder.path().to_owned());
        let given = given(&text(1));
        let it = Keyring::open(&given, &[], &policy).unwrap();
        assert_eq!(it.previous_ids().count(), 0);
        assert!(!folder.path().join(Keyring::FILE).exists());

        let in_file = Keyring::open(&[], &[], &policy).unwrap().current_id();
        let it = Keyring::open(&given, &[], &policy).unwrap();
        assert_eq!((it.current_id(), it.previous_ids().collect()), (id(1), vec![in_file]));
    }

    #[test]
    fn an_exposed_key_file_stops_the_start() {
        let folder = tempfile::tempdir().unwrap();
        let policy = KeyPolicy::CreateFile(folder.path().to_owned());
        Keyring::open(&[], &[], &policy).unwrap();
        let open = Permissions::from_mode(0o644);
        fs::set_permissions(folder.path().join(Keyring::FILE), open).unwrap();
        for given in [Vec::new(), given(&text(1))] {
            let error = Keyring::open(&given, &[], &policy).unwrap_err();
            assert!(error.to_string().contains("chmod 600"), "{error}");
        }
    }

    #[test]
    fn a_wrong_key_is_named_but_not_repeated() {
        let wrong = given("hunter22!");
        let error = Keyring::open(&wrong, &[], &KeyPolicy::Required).unwrap_err();
        assert!(matches!(error, KeyringError::Current { source: InvalidKey::Form, .. }));
        let previous = [secret(&text(1)), secret("hunter22!")];
        let other = Keyring::open(&given(&text(1)), &previous, &KeyPolicy::Required).unwrap_err();
        assert!(matches!(other, KeyringError::Previous { position: 2, source: InvalidKey::Form }));
        for error in [error, other] {
            let shown = format!("{error} {error:?} {}", error.source().unwrap());
            assert!(!shown.contains("hunter22"), "{shown}");
        }
    }

    #[test]
    fn debug_shows_identifiers_only() {
        let it =
            Keyring::new(MasterKey::from_bytes([1; 32]), [MasterKey::from_bytes([2; 32])]).unwrap();
        let expected = format!(
            "Keyring {{ current: MasterKey({}), previous: [MasterKey({})] }}",
            id(1),
            id(2)
        );
        assert_eq!(format!("{it:?}"), expected);
    }
}
