//! Files that hold keys: the one of single-node use, and those that operators name.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read, Write},
    mem,
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use linkspan_domain::Secret;
use zeroize::Zeroizing;

use crate::{InvalidKey, MasterKey};

/// Why a key file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// Others than the owner may read or write it.
    #[error("the key file {} is open to others (mode {mode:03o}); run `chmod 600 {}`", path.display(), path.display())]
    Exposed {
        /// Which file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// It does not hold a key.
    #[error("the key file {} does not hold a master key; put the right one back, from a backup", path.display())]
    Content {
        /// Which file.
        path: PathBuf,
        /// What is wrong with the key.
        source: InvalidKey,
    },
    /// There is none, though an operator named it.
    #[error("there is no key file {}; put one there, or set LINKSPAN_MASTER_KEY_FILE to where it is", .0.display())]
    Absent(PathBuf),
    /// The system did not let it be read.
    #[error("the key file {} cannot be read", path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The system did not let it be made.
    #[error("the key file {} cannot be made; make its folder writable, or set LINKSPAN_MASTER_KEY", path.display())]
    NotMade {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The system's random generator failed.
    #[error("the system gave no randomness for a new key")]
    NoRandomness,
}

/// Where container engines mount secrets: read-only, readable by every user of a container that has nobody but its service.
/// Its files cannot be given a mode of their own everywhere, so there they need not be the owner's alone.
const MOUNTED: &str = "/run/secrets";

/// The key in the file at `path`, if there is such a file.
pub(crate) fn read(path: &Path) -> Result<Option<MasterKey>, KeyFileError> {
    let Some(text) = read_bytes(path)? else { return Ok(None) };
    let key = str::from_utf8(&text).map_err(|_| InvalidKey::Form).and_then(MasterKey::parse);
    key.map(Some).map_err(|source| KeyFileError::Content { path: path.to_owned(), source })
}

/// The text of the file that an operator named.
pub(crate) fn read_given(path: &Path) -> Result<Secret<String>, KeyFileError> {
    let mut bytes = read_bytes(path)?.ok_or_else(|| KeyFileError::Absent(path.to_owned()))?;
    let text = String::from_utf8(mem::take(&mut *bytes));
    let none = |_| KeyFileError::Content { path: path.to_owned(), source: InvalidKey::Form };
    text.map(Secret::new).map_err(none)
}

/// What the file at `path` holds, if there is such a file and nobody else may read it.
fn read_bytes(path: &Path) -> Result<Option<Zeroizing<Vec<u8>>>, KeyFileError> {
    let unreadable = |source| KeyFileError::Unreadable { path: path.to_owned(), source };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unreadable(error)),
    };
    // Of the open file, so that nobody can exchange it between the look and the reading.
    let mode = file.metadata().map_err(unreadable)?.mode() & 0o7777;
    let forbidden = if path.starts_with(MOUNTED) { 0o022 } else { 0o077 };
    if mode & forbidden != 0 {
        return Err(KeyFileError::Exposed { path: path.to_owned(), mode });
    }
    let mut text = Zeroizing::new(Vec::with_capacity(MAX_LEN));
    file.take(MAX_LEN as u64).read_to_end(&mut text).map_err(unreadable)?;
    Ok(Some(text))
}

/// The key in the file at `path`; a new one if there is none. Of several that try at once, one makes it.
pub(crate) fn read_or_create(path: &Path) -> Result<MasterKey, KeyFileError> {
    if let Some(key) = read(path)? {
        return Ok(key);
    }
    let key = MasterKey::random().map_err(|_| KeyFileError::NoRandomness)?;
    match create(path, &key) {
        Ok(()) => Ok(key),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let gone = || KeyFileError::NotMade { path: path.to_owned(), source: error };
            read(path)?.ok_or_else(gone)
        }
        Err(source) => Err(KeyFileError::NotMade { path: path.to_owned(), source }),
    }
}

/// More than the keys of many years take.
pub(crate) const MAX_LEN: usize = 4096;

/// Puts `key` at `path` in one step: nobody ever reads half a key, and a crash leaves none.
fn create(path: &Path, key: &MasterKey) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    // The identifier is as random as the key.
    let draft = path.with_extension(format!("key.{}", key.id()));
    write_new(&draft, key)?;
    let linked = fs::hard_link(&draft, path);
    fs::remove_file(&draft)?;
    match linked {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            // Some file systems know no links.
            write_new(path, key)?;
        }
        other => other?,
    }
    File::open(folder)?.sync_all()
}

fn write_new(path: &Path, key: &MasterKey) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    let mut line = key.to_hex();
    line.push('\n');
    file.write_all(line.as_bytes())?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use std::{
        fs::{self, Permissions},
        os::unix::fs::{MetadataExt, PermissionsExt},
        thread,
    };

    use super::{KeyFileError, read, read_or_create};
    use crate::InvalidKey;

    #[test]
    fn a_missing_file_is_made_for_the_owner_alone_and_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data/master.key");
        assert!(read(&path).unwrap().is_none());
        let key = read_or_create(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o600);
        assert_eq!(fs::metadata(path.parent().unwrap()).unwrap().mode() & 0o777, 0o700);
        assert_eq!(fs::read_to_string(&path).unwrap().len(), 65);
        assert!(read_or_create(&path).unwrap().is(&key));
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_open_to_others_is_refused_with_the_cure() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("master.key");
        read_or_create(&path).unwrap();
        for mode in [0o640, 0o604, 0o620, 0o602, 0o644, 0o666, 0o601] {
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            let error = read_or_create(&path).unwrap_err();
            assert!(
                matches!(error, KeyFileError::Exposed { mode: it, .. } if it == mode),
                "{mode:o}"
            );
            let cure = format!("(mode {mode:o}); run `chmod 600 {}`", path.display());
            assert!(error.to_string().ends_with(&cure), "{error}");
        }
        fs::set_permissions(&path, Permissions::from_mode(0o400)).unwrap();
        assert!(read(&path).unwrap().is_some());
    }

    #[test]
    fn a_file_without_a_key_is_kept_and_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("master.key");
        for (text, reason) in [
            ("", InvalidKey::Empty),
            ("hunter22hunter22!", InvalidKey::Form),
            ("00ff", InvalidKey::Length),
            (&"0".repeat(5000), InvalidKey::Length),
        ] {
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
            let error = read_or_create(&path).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("hunter22"));
            assert!(
                matches!(error, KeyFileError::Content { source, .. } if source == reason),
                "{error:?}"
            );
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
    }

    #[test]
    fn a_path_that_is_no_file_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), Permissions::from_mode(0o700)).unwrap();
        let error = read_or_create(folder.path()).unwrap_err();
        assert!(matches!(error, KeyFileError::Unreadable { .. }), "{error:?}");
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_named() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("file"), "").unwrap();
        let error = read_or_create(&folder.path().join("file/master.key")).unwrap_err();
        assert!(error.to_string().contains("file/master.key"), "{error}");
    }

    #[test]
    fn of_many_that_start_at_once_all_have_the_same_key() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("master.key");
        let ids = thread::scope(|scope| {
            let starts: Vec<_> =
                (0..16).map(|_| scope.spawn(|| read_or_create(&path).unwrap().id())).collect();
            starts.into_iter().map(|it| it.join().unwrap()).collect::<Vec<_>>()
        });
        assert!(ids.iter().all(|it| *it == ids[0]));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
