//! Files in the folders that the operator opened.

use std::{
    io,
    path::{Component, Path, PathBuf},
    sync::Arc,
};

use linkspan_domain::WorkspaceId;
use tokio::fs::{self, File};

use crate::Failure;

/// The folders whose files a connector may read: those the operator opened, and the uploads of its workspace. Apart from
/// these, the folders it may write to.
///
/// Until it is [for a workspace](Self::of_workspace), it has no uploads at all.
///
/// Neither `..` nor a symbolic link leads out of them. Only plain files are opened. People who can
/// replace folders below an open folder while a file is being opened are trusted.
#[derive(Clone, Debug)]
pub struct FileAccess {
    roots: Arc<[PathBuf]>,
    /// Where each workspace has a folder of uploads.
    uploads: Option<Arc<Path>>,
    /// What may be written to.
    targets: Arc<[PathBuf]>,
}

/// A file that was opened for reading.
#[derive(Debug)]
pub struct LocalFile {
    /// The file, at its beginning.
    pub file: File,
    /// Where it really is.
    pub path: PathBuf,
    /// How many bytes it has now.
    pub bytes: u64,
}

impl FileAccess {
    /// No folder, so no file.
    pub fn none() -> Self {
        Self { roots: Arc::new([]), uploads: None, targets: Arc::new([]) }
    }

    /// The files below `folders`, which must exist. A relative path is looked up in each, in this order.
    pub fn within(folders: impl IntoIterator<Item = PathBuf>) -> io::Result<Self> {
        Ok(Self { roots: canonical(folders)?, ..Self::none() })
    }

    /// The same files, and `folders` to write to, which must exist. A relative path is looked up in each, in this order.
    pub fn with_targets(self, folders: impl IntoIterator<Item = PathBuf>) -> io::Result<Self> {
        Ok(Self { targets: canonical(folders)?, ..self })
    }

    /// The same files, and for each workspace those in a folder of `folder` that has its identifier for a name.
    pub fn with_uploads(self, folder: &Path) -> io::Result<Self> {
        Ok(Self { uploads: Some(folder.canonicalize()?.into()), ..self })
    }

    /// The same files, and the uploads of `workspace` before them.
    #[must_use]
    pub fn of_workspace(&self, workspace: WorkspaceId) -> Self {
        let own = self.uploads.iter().map(|it| it.join(workspace.to_string()));
        let roots = own.chain(self.roots.iter().cloned()).collect();
        Self { roots, uploads: None, targets: Arc::clone(&self.targets) }
    }

    /// Opens the file at `path`: below one of the folders, or relative to one.
    pub async fn open(&self, path: &str) -> Result<LocalFile, Failure> {
        let file = format!("the file `{path}`");
        let path = resolve(&self.roots, path, &READING).await?;
        let unreadable = |error: io::Error| match error.kind() {
            io::ErrorKind::NotFound => Failure::NotFound(file.clone()),
            _ => Failure::unavailable(file.clone(), error),
        };
        // Looked at before it is opened: opening a pipe would wait for a writer.
        if !fs::metadata(&path).await.map_err(unreadable)?.is_file() {
            return Err(Failure::Refused(format!("{file} is no plain file")));
        }
        let file = File::open(&path).await.map_err(unreadable)?;
        let bytes = file.metadata().await.map_err(unreadable)?.len();
        Ok(LocalFile { file, path, bytes })
    }

    /// The folder at `path`, to write to: one of those that may be, or one below.
    pub async fn folder(&self, path: &str) -> Result<PathBuf, Failure> {
        let found = resolve(&self.targets, path, &WRITING).await?;
        if fs::metadata(&found).await.is_ok_and(|it| it.is_dir()) {
            Ok(found)
        } else {
            Err(Failure::Refused(format!("`{path}` is no folder")))
        }
    }
}

fn canonical(folders: impl IntoIterator<Item = PathBuf>) -> io::Result<Arc<[PathBuf]>> {
    folders.into_iter().map(|it| it.canonicalize()).collect()
}

/// What is said of a path that does not lead where it may.
struct Words {
    /// What it should lead to.
    noun: &'static str,
    /// Why it may not lead where it does, and what to do, continuing a sentence.
    outside: &'static str,
}

const READING: Words = Words {
    noun: "file",
    outside: "is not in a folder that may be read; move it there, or ask an operator to open its folder",
};

const WRITING: Words = Words {
    noun: "folder",
    outside: "may not be written to; choose another, or ask an operator to open it with LINKSPAN_FILE_TARGETS",
};

/// What `path` leads to below one of `roots`.
async fn resolve(roots: &[PathBuf], path: &str, words: &Words) -> Result<PathBuf, Failure> {
    let Words { noun, outside: elsewhere } = words;
    let named = format!("the {noun} `{path}`");
    let path = Path::new(path);
    if path.as_os_str().is_empty() {
        return Err(Failure::Refused(format!("the path of a {noun} must not be empty; give one")));
    }
    if path.components().any(|it| it == Component::ParentDir) {
        return Err(Failure::Refused(format!(
            "the path of a {noun} must not contain `..`, as that of {named}; write it without"
        )));
    }
    let mut outside = path.is_absolute();
    for root in roots {
        // Joining an absolute path gives that path.
        let Ok(found) = fs::canonicalize(root.join(path)).await else {
            outside &= !path.starts_with(root);
            continue;
        };
        if found.starts_with(root) {
            return Ok(found);
        }
        outside = true;
    }
    // Whether something exists outside the folders is not told.
    if outside {
        return Err(Failure::Refused(format!("{named} {elsewhere}")));
    }
    Err(Failure::NotFound(named))
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use tempfile::TempDir;

    use super::{Failure, FileAccess, WorkspaceId};

    fn opened() -> (TempDir, FileAccess) {
        let dir = TempDir::new().unwrap();
        fs::create_dir_all(dir.path().join("open/sub")).unwrap();
        fs::write(dir.path().join("open/sub/a.csv"), "a").unwrap();
        fs::write(dir.path().join("secret.csv"), "s").unwrap();
        let files = FileAccess::within([dir.path().join("open")]).unwrap();
        (dir, files)
    }

    #[tokio::test]
    async fn a_file_below_an_open_folder_is_opened_by_either_path() {
        let (dir, files) = opened();
        assert_eq!(files.open("sub/a.csv").await.unwrap().bytes, 1);
        let absolute = dir.path().canonicalize().unwrap().join("open/sub/a.csv");
        assert_eq!(files.open(absolute.to_str().unwrap()).await.unwrap().path, absolute);
    }

    #[tokio::test]
    async fn nothing_leads_out_of_an_open_folder() {
        let (dir, files) = opened();
        symlink(dir.path().join("secret.csv"), dir.path().join("open/link.csv")).unwrap();
        symlink(dir.path(), dir.path().join("open/up")).unwrap();
        let absolute = dir.path().join("secret.csv");
        let absent = dir.path().join("absent.csv");
        for path in [
            "../secret.csv",
            "sub/../../secret.csv",
            "link.csv",
            "up/secret.csv",
            absolute.to_str().unwrap(),
            absent.to_str().unwrap(),
            "/etc/passwd",
            "",
            "sub",
        ] {
            let answer = files.open(path).await;
            let Err(Failure::Refused(says)) = answer else { panic!("{path}: {answer:?}") };
            let named = format!("`{path}`");
            let expected = if path.is_empty() { "must not be empty" } else { &named };
            assert!(says.contains(expected), "{says}");
        }
    }

    #[tokio::test]
    async fn each_workspace_sees_its_own_uploads_and_what_the_operator_opened() {
        let (dir, files) = opened();
        let [own, other] = [1, 2].map(|it| WorkspaceId::from_uuid(uuid::Uuid::from_u128(it)));
        let folder = dir.path().join("uploads");
        fs::create_dir_all(folder.join(own.to_string())).unwrap();
        fs::write(folder.join(own.to_string()).join("mine.csv"), "mine").unwrap();
        let files = files.with_uploads(&folder).unwrap();
        let absolute = folder.canonicalize().unwrap().join(own.to_string()).join("mine.csv");
        let absolute = absolute.to_str().unwrap();
        let (mine, theirs) = (files.of_workspace(own), files.of_workspace(other));
        for path in ["mine.csv", absolute] {
            assert_eq!(mine.open(path).await.unwrap().bytes, 4);
            for closed in [&theirs, &files] {
                assert!(closed.open(path).await.is_err(), "{path}");
            }
        }
        let between = format!("{own}/mine.csv");
        assert!(theirs.open(&between).await.is_err());
        for files in [mine, theirs] {
            assert_eq!(files.open("sub/a.csv").await.unwrap().bytes, 1);
        }
    }

    #[tokio::test]
    async fn an_absent_file_below_an_open_folder_is_not_found() {
        let (dir, files) = opened();
        let absolute = dir.path().canonicalize().unwrap().join("open/absent.csv");
        for path in ["absent.csv", absolute.to_str().unwrap()] {
            let answer = files.open(path).await;
            let Err(Failure::NotFound(what)) = answer else { panic!("{path}: {answer:?}") };
            assert_eq!(what, format!("the file `{path}`"));
        }
        assert!(matches!(FileAccess::none().open("/etc/passwd").await, Err(Failure::Refused(_))));
    }

    #[tokio::test]
    async fn a_folder_to_write_to_is_not_one_to_read() {
        let (dir, files) = opened();
        let outbox = dir.path().join("outbox");
        fs::create_dir_all(outbox.join("sub")).unwrap();
        symlink(dir.path().join("open"), outbox.join("link")).unwrap();
        let files = files.with_targets([outbox.clone()]).unwrap();
        let files = files.of_workspace(WorkspaceId::from_uuid(uuid::Uuid::nil()));
        assert_eq!(files.folder("sub").await.unwrap(), outbox.canonicalize().unwrap().join("sub"));
        let readable = dir.path().join("open/sub");
        for path in ["..", "link", "", "/etc", readable.to_str().unwrap()] {
            let answer = files.folder(path).await;
            assert!(matches!(answer, Err(Failure::Refused(_))), "{path}: {answer:?}");
        }
        assert!(matches!(files.folder("absent").await, Err(Failure::NotFound(_))));
        fs::write(outbox.join("a.csv"), "a").unwrap();
        assert!(files.open(outbox.join("a.csv").to_str().unwrap()).await.is_err());
    }
}
