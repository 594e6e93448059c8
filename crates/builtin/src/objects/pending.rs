//! Records of small objects on their way out, together.

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use arrow_select::concat::concat_batches;
use linkspan_domain::Cursor;
use linkspan_sdk::{Batch, BatchLimits, BatchSink, Failure, Loss};

/// Batches that wait for others, as a thousand small objects should not make a thousand batches.
pub(super) struct Pending<'o> {
    schema: SchemaRef,
    batches: Vec<RecordBatch>,
    losses: Vec<Loss>,
    cursor: Option<Cursor>,
    rows: usize,
    bytes: usize,
    limits: BatchLimits,
    out: &'o mut BatchSink,
}

impl<'o> Pending<'o> {
    pub(super) const fn new(
        schema: SchemaRef,
        limits: BatchLimits,
        out: &'o mut BatchSink,
    ) -> Self {
        Self {
            schema,
            batches: Vec::new(),
            losses: Vec::new(),
            cursor: None,
            rows: 0,
            bytes: 0,
            limits,
            out,
        }
    }

    /// Notes what was lost of the records at hand, or of some before.
    pub(super) fn lose(&mut self, losses: impl Iterator<Item = Loss>) {
        for loss in losses {
            match self.losses.iter_mut().find(|it| it.what == loss.what) {
                Some(same) => same.records += loss.records,
                None => self.losses.push(loss),
            }
        }
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
        let losses = std::mem::take(&mut self.losses);
        if batches.is_empty() && losses.is_empty() {
            return Ok(());
        }
        let records = concat_batches(&self.schema, &batches).map_err(|error| Failure::Defect {
            doing: "put batches together",
            source: Some(error.into()),
        })?;
        self.out.send(Batch { records, cursor: self.cursor.take(), losses }).await
    }
}
