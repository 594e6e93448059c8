//! Uploaded files: what connectors of a workspace read by their path.

use std::sync::Arc;

use linkspan_domain::{
    Call, Code, FileId, FileName, Problem, Revision, UploadedFile,
    ports::{FileStore, FileStoreError, ReceiveError, ReceivedFile, Store, Upload, World},
};

use crate::{RecordError, Records, Writable};

/// The files of workspaces. Whoever manages connectors uploads and deletes them, in the workspace they act in.
pub struct Files {
    records: Records<UploadedFile>,
    store: Arc<dyn FileStore>,
    limit: u64,
    world: Arc<dyn World>,
}

/// Why a file was not taken in or deleted.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    /// As with every kept thing.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// It has more bytes than files may have.
    #[error(
        "the file is larger than the {limit} bytes that are taken here; an operator can set LINKSPAN_UPLOAD_BYTES"
    )]
    TooLarge {
        /// The limit.
        limit: u64,
    },
    /// The client stopped sending.
    #[error("the file did not arrive as a whole")]
    Broken(#[source] linkspan_domain::ports::Cause),
    /// There is no place to put it.
    #[error("could not keep the file")]
    Store(#[source] FileStoreError),
}

impl Problem for FilesError {
    fn code(&self) -> Code {
        match self {
            Self::Record(error) => error.code(),
            Self::TooLarge { .. } => Code::TooLarge,
            Self::Broken(_) => Code::RequestMalformed,
            Self::Store(_) => Code::Unavailable,
        }
    }

    fn pointer(&self) -> Option<String> {
        match self {
            Self::Record(error) => error.pointer(),
            Self::TooLarge { .. } | Self::Broken(_) | Self::Store(_) => None,
        }
    }
}

impl Files {
    /// The files that `records` keeps, with their bytes in `store`: of each `limit` at most.
    pub fn new(
        records: Arc<dyn Store<UploadedFile>>,
        store: Arc<dyn FileStore>,
        limit: u64,
        world: Arc<dyn World>,
    ) -> Self {
        Self { records: Records::new(records, Arc::clone(&world)), store, limit, world }
    }

    /// The files, for reading: all about them but their bytes.
    pub const fn records(&self) -> &Records<UploadedFile> {
        &self.records
    }

    /// Takes in the bytes of a file to come. `announced` is how many the client means to send, if it says so.
    ///
    /// Nothing is read of what the caller may not upload, or of what is announced as too large.
    #[tracing::instrument(skip_all, err(level = "debug"))]
    pub async fn receive(
        &self,
        call: &Call,
        announced: Option<u64>,
        upload: Upload,
    ) -> Result<Box<dyn ReceivedFile>, FilesError> {
        call.caller.require(UploadedFile::WRITE).map_err(RecordError::from)?;
        let limit = self.limit;
        if announced.is_some_and(|it| it > limit) {
            return Err(FilesError::TooLarge { limit });
        }
        self.store.receive(upload, limit).await.map_err(|error| match error {
            ReceiveError::TooLarge => FilesError::TooLarge { limit },
            ReceiveError::Broken(source) => FilesError::Broken(source),
            ReceiveError::Store(source) => FilesError::Store(source),
        })
    }

    /// Keeps what was received as a file of the caller's workspace.
    #[tracing::instrument(skip_all, err(level = "debug"))]
    pub async fn create(
        &self,
        call: &Call,
        name: FileName,
        received: Box<dyn ReceivedFile>,
    ) -> Result<UploadedFile, FilesError> {
        call.caller.require(UploadedFile::WRITE).map_err(RecordError::from)?;
        let now = self.world.now();
        let file = UploadedFile {
            id: FileId::from_uuid(self.world.uuid()),
            revision: Revision::FIRST,
            workspace_id: call.caller.visible.workspace,
            name,
            bytes: received.bytes(),
            sha256: received.sha256().clone(),
            created_at: now,
            updated_at: now,
            deleted_at: None,
        };
        // Bytes first: a file that can be found can be read.
        received.keep(&file).await.map_err(FilesError::Store)?;
        match self.records.insert(call, file.clone()).await {
            Ok(kept) => Ok(kept),
            Err(error) => {
                self.discard(&file).await;
                Err(error.into())
            }
        }
    }

    /// Deletes a file, and its bytes for good. An activation that reads it says that it is not there, from now on.
    #[tracing::instrument(skip_all, fields(%id), err(level = "debug"))]
    pub async fn delete(
        &self,
        call: &Call,
        id: FileId,
        expected: Option<Revision>,
    ) -> Result<(), RecordError> {
        let file = self.records.live(call, id, expected).await?;
        self.records.delete(call, id, Some(file.revision)).await?;
        self.discard(&file).await;
        Ok(())
    }

    /// Forgets bytes that no file has. Nobody finds them if that fails; they only take space.
    async fn discard(&self, file: &UploadedFile) {
        if let Err(error) = self.store.remove(file).await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                id = %file.id,
                "the bytes of a file are still there, though the file is not"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use futures_util::{StreamExt, stream};
    use linkspan_domain::{ContentHash, Role, ports::StoreError};

    use super::*;
    use crate::fixtures::{Kept, Shelf, call, code, keep, keep_refusing, world};

    fn files(kept: &Kept<UploadedFile>) -> (Files, Arc<Mutex<Vec<String>>>) {
        let shelf = Shelf::default();
        let log = Arc::clone(&shelf.0);
        (Files::new(Arc::clone(&kept.store) as _, Arc::new(shelf), 10, world()), log)
    }

    async fn upload(files: &Files, role: Role) -> Result<UploadedFile, FilesError> {
        let call = call(role);
        let received = files.receive(&call, None, stream::empty().boxed()).await?;
        files.create(&call, "a.csv".parse().unwrap(), received).await
    }

    #[tokio::test]
    async fn what_is_kept_has_its_bytes_and_what_is_deleted_has_none() {
        let (files, log) = files(&keep(Vec::new()));
        let file = upload(&files, Role::Designer).await.unwrap();
        assert_eq!((file.bytes, &file.sha256), (3, &ContentHash::of_digest([7; 32])));
        let kept = keep(vec![file.clone()]);
        let (again, removed) = self::files(&kept);
        again.delete(&call(Role::Designer), file.id, None).await.unwrap();
        assert_eq!(kept.act().0, "file.deleted");
        let path = file.path();
        assert_eq!(*log.lock().unwrap(), [format!("kept {path}")]);
        assert_eq!(*removed.lock().unwrap(), [format!("removed {path}")]);
    }

    #[tokio::test]
    async fn a_file_that_cannot_be_noted_leaves_no_bytes_behind() {
        let kept = keep_refusing(Vec::new(), || StoreError::ClaimLost);
        let (files, log) = files(&kept);
        let refused = upload(&files, Role::Designer).await;
        assert_eq!(code(refused), "idempotency.in_flight");
        let log = log.lock().unwrap();
        let [kept, removed] = &log[..] else { panic!("{log:?}") };
        assert_eq!(kept.strip_prefix("kept "), removed.strip_prefix("removed "));
    }

    #[tokio::test]
    async fn nothing_is_read_of_what_may_not_be_uploaded() {
        let (files, _) = files(&keep(Vec::new()));
        let unread = || stream::once(async { panic!("it was read") }).boxed();
        let denied = files.receive(&call(Role::Analyst), None, unread()).await.map(drop);
        assert_eq!(code(denied), "permission.denied");
        let large = files.receive(&call(Role::Designer), Some(11), unread()).await.map(drop);
        assert_eq!(code(large), "request.too_large");
    }
}
