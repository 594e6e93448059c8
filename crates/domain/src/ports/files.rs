//! Keeping the bytes of uploaded files.

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;

use super::Cause;
use crate::{ContentHash, UploadedFile, WorkspaceId};

/// The bytes of a file, as they arrive.
pub type Upload = BoxStream<'static, Result<Bytes, Cause>>;

/// Keeps the bytes of uploaded files.
///
/// # Contract
///
/// - What is received is not there for anybody until it is [kept](ReceivedFile::keep), and gone when it is dropped before.
/// - Bytes are never held in memory as a whole.
/// - What was kept survives a crash of the machine.
/// - Files of one workspace and of another never meet.
#[async_trait]
pub trait FileStore: Send + Sync {
    /// Takes in what `upload` brings, of `limit` bytes at most.
    async fn receive(
        &self,
        upload: Upload,
        limit: u64,
    ) -> Result<Box<dyn ReceivedFile>, ReceiveError>;

    /// Forgets the bytes of `file`. That they are not there is no error.
    async fn remove(&self, file: &UploadedFile) -> Result<(), FileStoreError>;

    /// Forgets the bytes of all files of `workspace`. That there are none is no error.
    async fn remove_all(&self, workspace: WorkspaceId) -> Result<(), FileStoreError>;
}

/// Bytes that have arrived, and are not kept yet.
#[async_trait]
pub trait ReceivedFile: Send + Sync {
    /// How many.
    fn bytes(&self) -> u64;

    /// What they add up to.
    fn sha256(&self) -> &ContentHash;

    /// Keeps them as those of `file`.
    async fn keep(self: Box<Self>, file: &UploadedFile) -> Result<(), FileStoreError>;
}

/// Why an upload was not taken in.
#[derive(Debug, thiserror::Error)]
pub enum ReceiveError {
    /// It has more bytes than it may have.
    #[error("the upload is too large")]
    TooLarge,
    /// It broke off.
    #[error("the upload broke off")]
    Broken(#[source] Cause),
    /// There is no place to put it.
    #[error(transparent)]
    Store(#[from] FileStoreError),
}

/// The place where files are kept failed.
#[derive(Debug, thiserror::Error)]
#[error("the place of uploaded files cannot be used")]
pub struct FileStoreError(#[source] pub Cause);
