//! Records of small objects on their way out, together.

use arrow_array::RecordBatch;
use arrow_select::concat::concat_batches;
use linkspan_domain::Cursor;
use linkspan_sdk::{Batch, BatchLimits, BatchSink, Failure};

/// Batches that wait for others, as a thousand small objects should not make a thousand batches.
pub(super) struct Pending<'o> {
    batches: Vec<RecordBatch>,
    cursor: Option<Cursor>,
    rows: usize,
    bytes: usize,
    limits: BatchLimits,
    out: &'o mut BatchSink,
}

impl<'o> Pending<'o> {
    pub(super) const fn new(limits: BatchLimits, out: &'o mut BatchSink) -> Self {
        Self { batches: Vec::new(), cursor: None, rows: 0, bytes: 0, limits, out }
    }

    /// Takes a batch, no record after which has a smaller cursor.
    pub(super) async fn push(
        &mut self,
        batch: RecordBatch,
        cursor: Option<Cursor>,
    ) -> Result<(), Failure> {
        let (rows, bytes) = (batch.num_rows(), batch.get_array_memory_size());
        if self.rows + rows > self.limits.rows || self.bytes + bytes > self.limits.bytes {
            self.flush().await?;
        }
        self.rows += rows;
        self.bytes += bytes;
        self.batches.push(batch);
        self.cursor = cursor;
        Ok(())
    }

    /// Passes on what waits.
    pub(super) async fn flush(&mut self) -> Result<(), Failure> {
        let batches = std::mem::take(&mut self.batches);
        (self.rows, self.bytes) = (0, 0);
        let Some(first) = batches.first() else { return Ok(()) };
        let records = concat_batches(&first.schema(), &batches).map_err(|error| {
            Failure::Defect { doing: "put batches together", source: Some(error.into()) }
        })?;
        self.out.send(Batch { records, cursor: self.cursor.take() }).await
    }
}
