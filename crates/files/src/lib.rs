//! The bytes of uploaded files, in a folder.
//!
//! Each workspace has a folder there, each file one in that, under its own name: a file's
//! [path](UploadedFile::path) leads to it from the folder of its workspace. What is still arriving lies in `.incoming`,
//! which belongs to no workspace.

use std::{
    fs::{self, DirBuilder, File},
    io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;
use futures_util::StreamExt;
use linkspan_domain::{
    ContentHash, UploadedFile, WorkspaceId,
    ports::{FileStore, FileStoreError, ReceiveError, ReceivedFile, Upload},
};
use sha2::{Digest, Sha256};
use tempfile::{NamedTempFile, TempPath};
use tokio::{io::AsyncWriteExt, task::spawn_blocking};

/// Keeps uploaded files in a folder.
#[derive(Clone, Debug)]
pub struct FolderStore {
    root: Arc<Path>,
}

/// A file in `.incoming`. It goes when this goes.
struct Arrived {
    root: Arc<Path>,
    place: TempPath,
    bytes: u64,
    sha256: ContentHash,
    /// Locked as long as it is open: whoever tidies up leaves it alone.
    _file: File,
}

/// Where files lie that are still arriving.
const INCOMING: &str = ".incoming";

impl FolderStore {
    /// Keeps files in `root`, which is made if it is missing, and removes what an upload left there that was cut short by a crash.
    pub fn open(root: &Path) -> io::Result<Self> {
        let incoming = root.join(INCOMING);
        make_folder(&incoming)?;
        for entry in fs::read_dir(&incoming)? {
            let path = entry?.path();
            // Another process may be receiving it: then it is locked.
            let Ok(file) = File::open(&path) else { continue };
            if file.try_lock().is_ok()
                && let Err(error) = fs::remove_file(&path)
            {
                tracing::warn!(%error, "what is left of an upload cannot be removed");
            }
        }
        Ok(Self { root: root.into() })
    }

    /// The folder of one file.
    fn folder(root: &Path, file: &UploadedFile) -> PathBuf {
        root.join(file.workspace_id.to_string()).join(file.id.to_string())
    }
}

#[async_trait]
impl FileStore for FolderStore {
    async fn receive(
        &self,
        mut upload: Upload,
        limit: u64,
    ) -> Result<Box<dyn ReceivedFile>, ReceiveError> {
        let incoming = self.root.join(INCOMING);
        let (file, place) = blocking(move || new_file(&incoming)).await?;
        let mut writer = tokio::fs::File::from_std(file.try_clone().map_err(failed)?);
        let (mut bytes, mut hash) = (0, Sha256::new());
        while let Some(piece) = upload.next().await {
            let piece = piece.map_err(ReceiveError::Broken)?;
            bytes += piece.len() as u64;
            if bytes > limit {
                return Err(ReceiveError::TooLarge);
            }
            hash.update(&piece);
            writer.write_all(&piece).await.map_err(failed)?;
        }
        writer.sync_all().await.map_err(failed)?;
        let (root, sha256) =
            (Arc::clone(&self.root), ContentHash::of_digest(hash.finalize().into()));
        Ok(Box::new(Arrived { root, place, bytes, sha256, _file: file }))
    }

    async fn remove(&self, file: &UploadedFile) -> Result<(), FileStoreError> {
        let folder = Self::folder(&self.root, file);
        blocking(move || remove_folder(&folder)).await
    }

    async fn remove_all(&self, workspace: WorkspaceId) -> Result<(), FileStoreError> {
        let folder = self.root.join(workspace.to_string());
        blocking(move || remove_folder(&folder)).await
    }
}

#[async_trait]
impl ReceivedFile for Arrived {
    fn bytes(&self) -> u64 {
        self.bytes
    }

    fn sha256(&self) -> &ContentHash {
        &self.sha256
    }

    async fn keep(self: Box<Self>, file: &UploadedFile) -> Result<(), FileStoreError> {
        let folder = FolderStore::folder(&self.root, file);
        let name = file.name.to_string();
        blocking(move || {
            make_folder(&folder)?;
            self.place.persist(folder.join(name))?;
            // The name is as lasting as the bytes only when the folders that lead to it are.
            let folders = folder.ancestors().take_while(|it| self.root.parent() != Some(it));
            folders.into_iter().try_for_each(|it| File::open(it)?.sync_all())
        })
        .await
    }
}

fn new_file(incoming: &Path) -> io::Result<(File, TempPath)> {
    let (file, place) = NamedTempFile::new_in(incoming)?.into_parts();
    file.lock()?;
    Ok((file, place))
}

/// For the owner alone: what people upload is nobody else's.
fn make_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

fn remove_folder(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, FileStoreError> {
    let done = spawn_blocking(work).await.map_err(io::Error::other);
    done.and_then(|it| it).map_err(failed)
}

fn failed(error: io::Error) -> FileStoreError {
    FileStoreError(error.into())
}

#[cfg(test)]
mod tests {
    use futures_util::stream;
    use linkspan_domain::{FileId, Revision};
    use tempfile::TempDir;
    use time::macros::datetime;
    use uuid::Uuid;

    use super::*;

    type Piece = Result<&'static str, &'static str>;

    fn upload(pieces: &[Piece]) -> Upload {
        let pieces: Vec<_> =
            pieces.iter().map(|it| it.map(Into::into).map_err(Into::into)).collect();
        stream::iter(pieces).boxed()
    }

    fn file(number: u128, received: &dyn ReceivedFile) -> UploadedFile {
        let now = datetime!(2026-05-01 12:00 UTC);
        UploadedFile {
            id: FileId::from_uuid(Uuid::from_u128(number)),
            revision: Revision::FIRST,
            workspace_id: WorkspaceId::from_uuid(Uuid::from_u128(1)),
            name: "people.csv".parse().unwrap(),
            bytes: received.bytes(),
            sha256: received.sha256().clone(),
            created_at: now,
            updated_at: now,
            deleted_at: None,
        }
    }

    /// All files below the folder, with what is in them.
    fn lying(folder: &Path) -> Vec<String> {
        fs::read_dir(folder)
            .unwrap()
            .map(|it| it.unwrap().path())
            .flat_map(|path| match fs::read_to_string(&path) {
                Ok(text) => vec![text],
                Err(_) => lying(&path),
            })
            .collect()
    }

    #[tokio::test]
    async fn a_kept_file_is_where_its_path_leads_until_it_is_removed() {
        let home = TempDir::new().unwrap();
        let store = FolderStore::open(home.path()).unwrap();
        let received = store.receive(upload(&[Ok("ab"), Ok("c")]), 3).await.unwrap();
        let file = file(7, &*received);
        assert_eq!(file.bytes, 3);
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(file.sha256.as_str(), abc);
        received.keep(&file).await.unwrap();
        let place = home.path().join(file.workspace_id.to_string()).join(file.path());
        assert_eq!(fs::read_to_string(place).unwrap(), "abc");
        for _ in 0..2 {
            store.remove(&file).await.unwrap();
            assert_eq!(lying(home.path()), [""; 0]);
        }
    }

    #[tokio::test]
    async fn what_is_too_large_or_broken_or_not_kept_leaves_nothing_behind() {
        let home = TempDir::new().unwrap();
        let store = FolderStore::open(home.path()).unwrap();
        let large = store.receive(upload(&[Ok("ab"), Ok("cd")]), 3).await.err();
        assert!(matches!(large, Some(ReceiveError::TooLarge)), "{large:?}");
        let broken = store.receive(upload(&[Ok("ab"), Err("gone")]), 3).await.err();
        assert!(matches!(broken, Some(ReceiveError::Broken(_))), "{broken:?}");
        drop(store.receive(upload(&[Ok("ab")]), 3).await.unwrap());
        assert_eq!(lying(home.path()), [""; 0]);
    }

    #[tokio::test]
    async fn a_start_removes_what_a_crash_left_and_nothing_that_still_arrives() {
        let home = TempDir::new().unwrap();
        let store = FolderStore::open(home.path()).unwrap();
        let arriving = store.receive(upload(&[Ok("new")]), 3).await.unwrap();
        fs::write(home.path().join(INCOMING).join("left"), "old").unwrap();
        FolderStore::open(home.path()).unwrap();
        assert_eq!(lying(home.path()), ["new"]);
        let file = file(8, &*arriving);
        arriving.keep(&file).await.unwrap();
    }
}
