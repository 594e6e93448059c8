//! The key of the first admin: given, or made at the first start and kept.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use linkspan_domain::{ApiKey, Secret, ports::VaultError};

/// The key, and where it comes from.
pub(crate) struct AdminKey {
    /// The key.
    pub(crate) key: Secret<String>,
    /// Where it comes from.
    pub(crate) origin: Origin,
}

/// Where the admin's key comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The settings.
    Given,
    /// A file of an earlier start.
    Kept(PathBuf),
    /// Made just now, and kept in this file. It is shown this once.
    Made(PathBuf),
}

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AdminKeyError {
    /// The file cannot be read or written.
    #[error("the admin key file {path} cannot be used")]
    File {
        /// Which file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Others may read the file.
    #[error(
        "the admin key file {path} is readable by others; run chmod 600 {path}, or set LINKSPAN_ADMIN_KEY"
    )]
    Exposed {
        /// Which file.
        path: PathBuf,
    },
    /// No key could be made.
    #[error("no admin key could be made")]
    Random(#[source] VaultError),
}

impl AdminKey {
    /// The file in the data directory that keeps it.
    pub(crate) const FILE: &str = "admin.key";

    /// The key that is given, else the one kept in `data_dir`, else a new one.
    pub(crate) fn find(
        given: Option<&Secret<String>>,
        data_dir: &Path,
    ) -> Result<Self, AdminKeyError> {
        match Self::kept(given, data_dir)? {
            Some(found) => Ok(found),
            None => make(data_dir.join(Self::FILE)),
        }
    }

    /// The key that is given, else the one kept in `data_dir`.
    pub(crate) fn kept(
        given: Option<&Secret<String>>,
        data_dir: &Path,
    ) -> Result<Option<Self>, AdminKeyError> {
        if let Some(key) = given {
            return Ok(Some(Self { key: key.clone(), origin: Origin::Given }));
        }
        let path = data_dir.join(Self::FILE);
        Ok(read(&path)?.map(|key| Self { key, origin: Origin::Kept(path) }))
    }
}

fn read(path: &Path) -> Result<Option<Secret<String>>, AdminKeyError> {
    let failed = |source| AdminKeyError::File { path: path.to_owned(), source };
    let mode = match fs::metadata(path) {
        Ok(found) => found.permissions().mode(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    if mode & 0o077 != 0 {
        return Err(AdminKeyError::Exposed { path: path.to_owned() });
    }
    let key = fs::read_to_string(path).map_err(failed)?;
    Ok(Some(Secret::new(key.trim().to_owned())))
}

fn make(path: PathBuf) -> Result<AdminKey, AdminKeyError> {
    let key = linkspan_vault::random_token(ApiKey::PREFIX).map_err(AdminKeyError::Random)?;
    let written = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).and_then(
        |mut file| {
            writeln!(file, "{}", key.expose())?;
            file.sync_all()
        },
    );
    match written {
        Ok(()) => Ok(AdminKey { key, origin: Origin::Made(path) }),
        // Another process was faster: its key is the one.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => match read(&path)? {
            Some(key) => Ok(AdminKey { key, origin: Origin::Kept(path) }),
            None => Err(AdminKeyError::File { path, source: error }),
        },
        Err(source) => Err(AdminKeyError::File { path, source }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_once_and_kept_for_its_owner_alone() {
        let dir = tempfile::tempdir().unwrap();
        let first = AdminKey::find(None, dir.path()).unwrap();
        let kept = AdminKey::find(None, dir.path()).unwrap();
        assert!(matches!(first.origin, Origin::Made(_)));
        assert!(matches!(kept.origin, Origin::Kept(_)));
        assert_eq!(first.key, kept.key);
        let mode = fs::metadata(dir.path().join(AdminKey::FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_key_that_others_can_read_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(AdminKey::FILE);
        fs::write(&path, "lsk_x").unwrap();
        fs::set_permissions(&path, PermissionsExt::from_mode(0o644)).unwrap();
        assert!(matches!(AdminKey::find(None, dir.path()), Err(AdminKeyError::Exposed { .. })));
    }

    #[test]
    fn a_given_key_leaves_no_file() {
        let dir = tempfile::tempdir().unwrap();
        let given = Secret::new("lsk_given".to_owned());
        assert_eq!(AdminKey::find(Some(&given), dir.path()).unwrap().origin, Origin::Given);
        assert!(!dir.path().join(AdminKey::FILE).exists());
    }
}
