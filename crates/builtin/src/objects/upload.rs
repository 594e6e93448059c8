//! An object while it is written.

use bytes::Bytes;
use futures_util::{FutureExt, future::BoxFuture};
use opendal::Writer;
use parquet::{arrow::async_writer::AsyncFileWriter, errors::ParquetError};

use super::Bucket;

/// An object that is there when it is complete. One that is given up leaves nothing that can be read.
pub(crate) struct Upload {
    bucket: Bucket,
    what: String,
    writer: Writer,
}

impl Upload {
    pub(super) const fn new(bucket: Bucket, what: String, writer: Writer) -> Self {
        Self { bucket, what, writer }
    }

    /// Does away with what was sent.
    pub(crate) async fn abort(mut self) {
        // Parts that stay behind are no object; buckets have rules that clear them away.
        let _ = self.writer.abort().await;
    }

    fn failure(&self, error: &opendal::Error) -> ParquetError {
        ParquetError::External(Box::new(self.bucket.failure(error, &self.what)))
    }
}

impl AsyncFileWriter for Upload {
    fn write(&mut self, bytes: Bytes) -> BoxFuture<'_, Result<(), ParquetError>> {
        async move { self.writer.write(bytes).await.map_err(|error| self.failure(&error)) }.boxed()
    }

    fn complete(&mut self) -> BoxFuture<'_, Result<(), ParquetError>> {
        async move {
            let closed = self.writer.close().await;
            closed.map(drop).map_err(|error| self.failure(&error))
        }
        .boxed()
    }
}
