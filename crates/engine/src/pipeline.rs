//! Between a source and the store: batches in, checkpoints' worth of rows out.
//!
//! Reading, encoding and storing go on at the same time. Two pieces of memory go round: while one is stored, the other is
//! filled; a source that is faster than the store waits.

use std::{collections::HashSet, time::Duration};

use futures_util::{FutureExt, StreamExt};
use linkspan_domain::Cursor;
use linkspan_sdk::{Batch, BatchStream, Failure, Rejected, Rows};
use tokio::{
    sync::mpsc::{self, Receiver, Sender},
    task::spawn_blocking,
    time::{Instant, timeout, timeout_at},
};
use tokio_util::task::AbortOnDropHandle;

use crate::{SyncError, notes::Notes, stage::Stage};

/// What goes into one checkpoint.
#[derive(Debug, Default)]
pub(crate) struct Piece {
    pub(crate) rows: Rows,
    pub(crate) rejected: Vec<Rejected>,
    /// The keys of records that are to be kept no longer.
    pub(crate) gone: HashSet<String>,
    pub(crate) notes: Notes,
    pub(crate) mark: Option<Cursor>,
}

impl Piece {
    fn is_empty(&self) -> bool {
        self.rows.is_empty()
            && self.rejected.is_empty()
            && self.gone.is_empty()
            && self.notes.is_empty()
            && self.mark.is_none()
    }
}

/// When a checkpoint is due: whichever comes first.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PieceLimits {
    pub(crate) rows: usize,
    pub(crate) bytes: usize,
    pub(crate) age: Duration,
}

/// A source that has kept silent for too long.
pub(crate) fn silent() -> Failure {
    Failure::Unavailable { system: "the system".to_owned(), source: None }
}

/// A read whose batches are being encoded. Dropping it ends both.
pub(crate) struct Encoding {
    /// What is ready to be stored.
    full: Receiver<Piece>,
    /// Memory that can be filled again.
    free: Sender<Piece>,
    task: AbortOnDropHandle<Result<(), SyncError>>,
}

/// Encodes `batches`, after what `stage` does with them.
pub(crate) fn encode(
    batches: BatchStream,
    stage: Stage,
    limits: PieceLimits,
    stall: Duration,
) -> Encoding {
    let (passed_on, full) = mpsc::channel(1);
    let (free, mut returned) = mpsc::channel(2);
    let mut encoding = Run { stage: Some(stage), limits, stall, passed_on };
    let task = tokio::spawn(async move { encoding.all(batches, &mut returned).await });
    for _ in 0..2 {
        // There is room for both.
        let _ = free.try_send(Piece::default());
    }
    Encoding { full, free, task: AbortOnDropHandle::new(task) }
}

impl Encoding {
    /// The next piece, once there is one; none at the end, whatever kind of end it is.
    pub(crate) async fn next(&mut self) -> Option<Piece> {
        self.full.recv().await
    }

    /// Takes a piece back whose rows are stored.
    pub(crate) fn reuse(&self, mut rows: Rows) {
        rows.clear();
        // There is room for it, unless nobody fills it any more.
        let _ = self.free.try_send(Piece { rows, ..Piece::default() });
    }

    /// Whether everything was read. To be asked after the last piece.
    pub(crate) async fn end(self) -> Result<(), SyncError> {
        drop(self.full);
        self.task.await.unwrap_or_else(|error| {
            Err(SyncError::Defect { doing: "encode records", source: error.into() })
        })
    }
}

struct Run {
    /// Not there while it is at work.
    stage: Option<Stage>,
    limits: PieceLimits,
    stall: Duration,
    passed_on: Sender<Piece>,
}

impl Run {
    async fn all(
        &mut self,
        mut batches: BatchStream,
        returned: &mut Receiver<Piece>,
    ) -> Result<(), SyncError> {
        let mut piece = returned.recv().await.ok_or(SyncError::Cancelled)?;
        let mut due = None;
        loop {
            let next = timeout(self.stall, batches.next());
            let next = next.map(|it| it.unwrap_or_else(|_| Some(Err(silent()))));
            let batch = match due {
                None => next.await,
                Some(at) => {
                    let Ok(batch) = timeout_at(at, next).await else {
                        piece = self.exchange(piece, returned).await?;
                        due = None;
                        continue;
                    };
                    batch
                }
            };
            match batch {
                Some(Ok(batch)) => {
                    piece = self.add(batch, piece).await?;
                    if self.is_full(&piece) {
                        piece = self.exchange(piece, returned).await?;
                        due = None;
                    } else {
                        due.get_or_insert_with(|| Instant::now() + self.limits.age);
                    }
                }
                Some(Err(failure)) => {
                    self.pass_on(piece).await?;
                    return Err(SyncError::Source(failure));
                }
                None => return self.pass_on(piece).await,
            }
        }
    }

    fn is_full(&self, piece: &Piece) -> bool {
        let rejected = piece.rejected.iter().map(|it| it.payload.len()).sum::<usize>();
        piece.rows.len() + piece.rejected.len() + piece.gone.len() >= self.limits.rows
            || piece.rows.bytes() + rejected >= self.limits.bytes
    }

    /// Passes a piece on, and gets another.
    async fn exchange(
        &self,
        piece: Piece,
        returned: &mut Receiver<Piece>,
    ) -> Result<Piece, SyncError> {
        self.pass_on(piece).await?;
        returned.recv().await.ok_or(SyncError::Cancelled)
    }

    async fn pass_on(&self, piece: Piece) -> Result<(), SyncError> {
        if piece.is_empty() {
            return Ok(());
        }
        self.passed_on.send(piece).await.map_err(|_| SyncError::Cancelled)
    }

    async fn add(&mut self, batch: Batch, mut piece: Piece) -> Result<Piece, SyncError> {
        let Batch { records, cursor } = batch;
        let Some(mut stage) = self.stage.take() else { return Err(SyncError::Cancelled) };
        let work = move || {
            let done = stage.take(records, &mut piece);
            (stage, done.map(|()| piece))
        };
        let (stage, done) = spawn_blocking(work)
            .await
            .map_err(|error| SyncError::Defect { doing: "encode records", source: error.into() })?;
        self.stage = Some(stage);
        let piece = done?;
        let mark = cursor.or(piece.mark);
        Ok(Piece { mark, ..piece })
    }
}
