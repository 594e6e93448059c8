//! Batches on their way to a checkpoint: gathered and encoded while the one before is being kept.

use std::time::Duration;

use futures_util::StreamExt;
use linkspan_domain::Cursor;
use linkspan_sdk::{Batch, BatchStream, Failure, Rejected, Rows};
use tokio::{
    sync::mpsc,
    task::spawn_blocking,
    time::{Instant, timeout_at},
};
use tokio_util::task::AbortOnDropHandle;

use crate::encode::Encoder;

/// The records of one checkpoint.
#[derive(Debug, Default)]
pub(crate) struct Chunk {
    pub(crate) rows: Rows,
    pub(crate) rejected: Vec<Rejected>,
    /// How far the reading has come with them.
    pub(crate) mark: Option<Cursor>,
}

/// When a chunk is full. The last batch may carry it beyond.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ChunkLimits {
    /// Records.
    pub(crate) rows: usize,
    /// Bytes of keys and JSON.
    pub(crate) bytes: usize,
    /// How long the first of its batches waits for more.
    pub(crate) wait: Duration,
}

/// The chunks of one read, as they fill. Dropping it ends the reading.
///
/// At most two are in memory: one that is being kept, and one that fills meanwhile.
#[derive(Debug)]
pub(crate) struct Chunks {
    full: mpsc::Receiver<Chunk>,
    used: mpsc::Sender<Rows>,
    filling: Option<AbortOnDropHandle<Result<(), Failure>>>,
}

impl Default for ChunkLimits {
    fn default() -> Self {
        Self { rows: 50_000, bytes: 32 * 1024 * 1024, wait: Duration::from_secs(5) }
    }
}

impl Chunk {
    fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.rejected.is_empty() && self.mark.is_none()
    }

    fn is_full(&self, limits: ChunkLimits) -> bool {
        let rejected: usize = self.rejected.iter().map(|it| it.payload.len()).sum();
        self.rows.len() + self.rejected.len() >= limits.rows
            || self.rows.bytes() + rejected >= limits.bytes
    }
}

impl Chunks {
    /// Begins to gather `batches`.
    pub(crate) fn gather(batches: BatchStream, encoder: Encoder, limits: ChunkLimits) -> Self {
        let (filled, full) = mpsc::channel(1);
        let (used, reusable) = mpsc::channel(1);
        let filler = Filler { batches, encoder: Some(encoder), limits, reusable };
        let filling = AbortOnDropHandle::new(tokio::spawn(filler.fill(filled)));
        Self { full, used, filling: Some(filling) }
    }

    /// The next chunk. A failure is the last item; without one, everything was read.
    pub(crate) async fn next(&mut self) -> Option<Result<Chunk, Failure>> {
        if let Some(chunk) = self.full.recv().await {
            return Some(Ok(chunk));
        }
        let ended = self.filling.take()?.await;
        ended.unwrap_or_else(|error| Err(defect(error))).err().map(Err)
    }

    /// Gives the memory of a chunk back, to be filled again.
    pub(crate) fn reuse(&self, mut rows: Rows) {
        rows.clear();
        // With nobody there to fill it, or something there to fill already, it is not needed.
        let _ = self.used.try_send(rows);
    }
}

struct Filler {
    batches: BatchStream,
    /// Absent only while a batch is being encoded, and after encoding panicked.
    encoder: Option<Encoder>,
    limits: ChunkLimits,
    reusable: mpsc::Receiver<Rows>,
}

/// What came behind a chunk.
enum Behind {
    More,
    End,
    Failed(Failure),
}

impl Filler {
    async fn fill(mut self, filled: mpsc::Sender<Chunk>) -> Result<(), Failure> {
        loop {
            // Room first: nothing fills while a full chunk waits.
            let room = filled.reserve().await.map_err(|_| Failure::Cancelled)?;
            let (chunk, behind) = self.next_chunk().await;
            if !chunk.is_empty() {
                room.send(chunk);
            }
            match behind {
                Behind::More => {}
                Behind::End => return Ok(()),
                Behind::Failed(failure) => return Err(failure),
            }
        }
    }

    async fn next_chunk(&mut self) -> (Chunk, Behind) {
        let rows = self.reusable.try_recv().unwrap_or_default();
        let mut chunk = Chunk { rows, ..Chunk::default() };
        let mut deadline = None;
        loop {
            let next = match deadline {
                None => self.batches.next().await,
                Some(deadline) => match timeout_at(deadline, self.batches.next()).await {
                    Ok(next) => next,
                    Err(_) => return (chunk, Behind::More),
                },
            };
            let batch = match next {
                None => return (chunk, Behind::End),
                Some(Err(failure)) => return (chunk, Behind::Failed(failure)),
                Some(Ok(batch)) => batch,
            };
            deadline.get_or_insert_with(|| Instant::now() + self.limits.wait);
            let encoded;
            (chunk, encoded) = self.add(chunk, batch).await;
            match encoded {
                Err(failure) => return (chunk, Behind::Failed(failure)),
                Ok(()) if chunk.is_full(self.limits) => return (chunk, Behind::More),
                Ok(()) => {}
            }
        }
    }

    /// Encodes a batch where it holds up nothing else.
    async fn add(&mut self, mut chunk: Chunk, batch: Batch) -> (Chunk, Result<(), Failure>) {
        let Some(mut encoder) = self.encoder.take() else {
            return (chunk, Err(Failure::Defect { doing: ENCODE, source: None }));
        };
        let encoding = spawn_blocking(move || {
            let Batch { records, cursor } = batch;
            let encoded = encoder.encode(&records, &mut chunk.rows, &mut chunk.rejected);
            if encoded.is_ok() {
                chunk.mark = latest(chunk.mark.take(), cursor);
            }
            (encoder, chunk, encoded)
        });
        match encoding.await {
            Ok((encoder, chunk, encoded)) => {
                self.encoder = Some(encoder);
                (chunk, encoded)
            }
            Err(error) => (Chunk::default(), Err(defect(error))),
        }
    }
}

const ENCODE: &str = "turn records into JSON";

fn defect(error: tokio::task::JoinError) -> Failure {
    if error.is_cancelled() {
        Failure::Cancelled
    } else {
        Failure::Defect { doing: ENCODE, source: Some(error.into()) }
    }
}

/// The later of two marks.
pub(crate) fn latest(one: Option<Cursor>, other: Option<Cursor>) -> Option<Cursor> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.max(other)),
        (one, other) => one.or(other),
    }
}
