//! Files that lie elsewhere.

use std::{io, ops::Range, sync::Arc};

use bytes::Bytes;
use futures_util::{future::BoxFuture, stream};
use linkspan_sdk::Failure;
use tokio::io::AsyncRead;
use tokio_util::io::StreamReader;

/// A file of which any range can be had.
pub(crate) trait Ranges: Send + Sync {
    /// What messages call it.
    fn what(&self) -> String;

    /// How many bytes it has.
    fn bytes(&self) -> u64;

    /// The bytes of `range`, all of them.
    fn read(&self, range: Range<u64>) -> BoxFuture<'_, Result<Bytes, Failure>>;
}

/// All of `file`, `piece` bytes at a time. A failure comes inside the error.
pub(super) fn input(file: Arc<dyn Ranges>, piece: u64) -> impl AsyncRead + Send + Unpin {
    let pieces = stream::try_unfold((file, 0), move |(file, at)| async move {
        let end = file.bytes().min(at + piece);
        if at == end {
            return Ok(None);
        }
        match file.read(at..end).await {
            Ok(bytes) => Ok(Some((bytes, (file, end)))),
            Err(failure) => Err(io::Error::other(failure)),
        }
    });
    StreamReader::new(Box::pin(pieces))
}
