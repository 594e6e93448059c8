//! Between a source and the store: batches in, checkpoints' worth of rows out.
//!
//! Reading, encoding and storing go on at the same time. Two pieces of memory go round: while one is stored, the other is
//! filled, and sent ahead where the store takes it; a source that is faster than the store waits.

use std::{collections::HashSet, sync::Arc, time::Duration};

use futures_util::{FutureExt, StreamExt};
use linkspan_domain::{Cursor, DiagnosticReason};
use linkspan_sdk::{
    Batch, BatchStream, Failure, GroupEnd, Load, RecordStore, Rejected, Rows, SentAhead,
};
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
    /// The rows, where the database has them already.
    pub(crate) ahead: Option<Box<dyn SentAhead>>,
    pub(crate) rejected: Vec<Rejected>,
    /// How many of them were read before: they are no news.
    pub(crate) repeated: u64,
    /// The keys of records that are to be kept no longer.
    pub(crate) gone: HashSet<String>,
    /// The keys of records that the source has, and that are to stay as they are.
    pub(crate) met: Vec<String>,
    /// The groups that were read whole.
    pub(crate) ends: Vec<GroupEnd>,
    pub(crate) notes: Notes,
    pub(crate) mark: Option<Cursor>,
}

impl Piece {
    fn is_empty(&self) -> bool {
        self.rows.is_empty()
            && self.rejected.is_empty()
            && self.gone.is_empty()
            && self.met.is_empty()
            && self.ends.is_empty()
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

/// Where the pieces go, as far as is known.
pub(crate) struct Destination {
    pub(crate) records: Arc<dyn RecordStore>,
    pub(crate) load: Load,
}

/// Memory that can be filled again, and the load after what was in it is stored.
struct Emptied {
    rows: Rows,
    load: Load,
}

/// A read whose batches are being encoded. Dropping it ends both.
pub(crate) struct Encoding {
    /// What is ready to be stored.
    full: Receiver<Piece>,
    free: Sender<Emptied>,
    task: AbortOnDropHandle<Result<(), SyncError>>,
}

/// Encodes `batches`, after what `stage` does with them.
pub(crate) fn encode(
    batches: BatchStream,
    stage: Stage,
    limits: PieceLimits,
    stall: Duration,
    to: Destination,
) -> Encoding {
    let (passed_on, full) = mpsc::channel(1);
    let (free, mut returned) = mpsc::channel(2);
    for _ in 0..2 {
        // There is room for both.
        let _ = free.try_send(Emptied { rows: Rows::default(), load: to.load.clone() });
    }
    let mut encoding = Run { stage: Some(stage), limits, stall, to, passed_on };
    let task = tokio::spawn(async move { encoding.all(batches, &mut returned).await });
    Encoding { full, free, task: AbortOnDropHandle::new(task) }
}

impl Encoding {
    /// The next piece, once there is one; none at the end, whatever kind of end it is.
    pub(crate) async fn next(&mut self) -> Option<Piece> {
        self.full.recv().await
    }

    /// Takes the memory of rows back that are stored, which made `load` what it is.
    pub(crate) fn reuse(&self, mut rows: Rows, load: Load) {
        rows.clear();
        // There is room for it, unless nobody fills it any more.
        let _ = self.free.try_send(Emptied { rows, load });
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
    to: Destination,
    passed_on: Sender<Piece>,
}

impl Run {
    async fn all(
        &mut self,
        mut batches: BatchStream,
        returned: &mut Receiver<Emptied>,
    ) -> Result<(), SyncError> {
        let mut piece = self.empty(returned).await?;
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
        let named = piece.gone.len() + piece.met.len() + piece.ends.len();
        piece.rows.len() + piece.rejected.len() + named >= self.limits.rows
            || piece.rows.bytes() + rejected >= self.limits.bytes
    }

    /// Passes a piece on, and gets another.
    async fn exchange(
        &mut self,
        piece: Piece,
        returned: &mut Receiver<Emptied>,
    ) -> Result<Piece, SyncError> {
        self.pass_on(piece).await?;
        self.empty(returned).await
    }

    /// Waits for a piece to fill.
    async fn empty(&mut self, returned: &mut Receiver<Emptied>) -> Result<Piece, SyncError> {
        let Emptied { rows, load } = returned.recv().await.ok_or(SyncError::Cancelled)?;
        self.to.load = load;
        Ok(Piece { rows, ..Piece::default() })
    }

    /// Passes a piece on to be stored, and its rows to the database before it is its turn.
    async fn pass_on(&self, mut piece: Piece) -> Result<(), SyncError> {
        if piece.is_empty() {
            return Ok(());
        }
        if !piece.rows.is_empty() {
            let Destination { records, load } = &self.to;
            let sent = records.send_ahead(load, &piece.rows).await;
            piece.ahead = sent.map_err(SyncError::Store)?;
        }
        self.passed_on.send(piece).await.map_err(|_| SyncError::Cancelled)
    }

    async fn add(&mut self, batch: Batch, mut piece: Piece) -> Result<Piece, SyncError> {
        let Batch { records, cursor, losses, unfit, ends } = batch;
        piece.ends.extend(ends);
        for it in losses {
            piece.notes.add(DiagnosticReason::ValuesDiscarded, &it.what, it.records);
        }
        let Some(mut stage) = self.stage.take() else { return Err(SyncError::Cancelled) };
        let work = move || {
            let done = stage.take(records, unfit, &mut piece);
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
