//! Records of small objects on their way out, together.

use std::mem;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use arrow_select::concat::concat_batches;
use linkspan_domain::Cursor;
use linkspan_sdk::{Batch, BatchLimits, BatchSink, Failure, GroupEnd, Loss, Misfit, Unfit};

/// Batches that wait for others, as a thousand small objects should not make a thousand batches.
pub(super) struct Pending<'o> {
    schema: SchemaRef,
    batches: Vec<RecordBatch>,
    losses: Vec<Loss>,
    unfit: Vec<RecordBatch>,
    misfits: Vec<Misfit>,
    ends: Vec<GroupEnd>,
    cursor: Option<Cursor>,
    /// Of all records, whether they fit or not.
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
            unfit: Vec::new(),
            misfits: Vec::new(),
            ends: Vec::new(),
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

    /// Notes that an object was read whole.
    pub(super) async fn end(&mut self, end: GroupEnd) -> Result<(), Failure> {
        self.ends.push(end);
        if self.ends.len() >= self.limits.rows { self.flush().await } else { Ok(()) }
    }

    /// Takes records, after which none has a smaller cursor, and those beside them that do not fit.
    pub(super) async fn push(
        &mut self,
        records: RecordBatch,
        unfit: Option<Unfit>,
        cursor: Option<Cursor>,
    ) -> Result<(), Failure> {
        let (mut rows, mut bytes) = (records.num_rows(), records.get_array_memory_size());
        if let Some(Unfit { records, misfits }) = &unfit {
            rows += misfits.len();
            bytes += records.get_array_memory_size();
            bytes += misfits.iter().map(|it| it.payload.len()).sum::<usize>();
        }
        if self.rows + rows > self.limits.rows || self.bytes + bytes > self.limits.bytes {
            self.flush().await?;
        }
        let before = self.rows - self.misfits.len();
        if let Some(Unfit { records, misfits }) = unfit {
            self.unfit.push(records);
            let misfits = misfits.into_iter();
            self.misfits.extend(misfits.map(|it| Misfit { before: before + it.before, ..it }));
        }
        self.rows += rows;
        self.bytes += bytes;
        self.batches.push(records);
        self.cursor = cursor;
        Ok(())
    }

    /// Passes on what waits.
    pub(super) async fn flush(&mut self) -> Result<(), Failure> {
        let (batches, unfit) = (mem::take(&mut self.batches), mem::take(&mut self.unfit));
        let (losses, misfits) = (mem::take(&mut self.losses), mem::take(&mut self.misfits));
        let ends = mem::take(&mut self.ends);
        (self.rows, self.bytes) = (0, 0);
        if batches.is_empty() && losses.is_empty() && ends.is_empty() {
            return Ok(());
        }
        let records = self.together(&batches)?;
        let unfit = if misfits.is_empty() {
            None
        } else {
            Some(Unfit { records: self.together(&unfit)?, misfits })
        };
        self.out.send(Batch { records, cursor: self.cursor.take(), losses, unfit, ends }).await
    }

    fn together(&self, batches: &[RecordBatch]) -> Result<RecordBatch, Failure> {
        concat_batches(&self.schema, batches).map_err(|error| Failure::Defect {
            doing: "put batches together",
            source: Some(error.into()),
        })
    }
}
