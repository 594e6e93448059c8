//! What happens to a batch before it is stored: brought into shape, filtered, encoded.

mod misfits;

use std::collections::{HashMap, HashSet};

use arrow_array::RecordBatch;
use arrow_schema::ArrowError;
use linkspan_domain::{DiagnosticReason, StreamName};
use linkspan_sdk::{Rejected, Unfit};

pub(crate) use self::misfits::ReadBefore;
use self::misfits::{Misfits, Sorted, mixed};
use crate::{
    RowEncoder, StreamPlan, SyncError,
    encoder::{MissingColumn, Unencodable, excerpt},
    filter::{Dropped, RowFilter},
    notes::Notes,
    pipeline::Piece,
    shape::{Discard, Shape},
};

/// What happens to the batches of one read.
pub(crate) struct Stage {
    pub(crate) stream: StreamName,
    pub(crate) primary_key: Vec<String>,
    /// None: records are kept in the shape they come in.
    pub(crate) shape: Option<Shape>,
    /// What is left out of records that do not fit. None: nothing, they are kept aside.
    pub(crate) discard: Option<Discard>,
    pub(crate) filter: RowFilter,
    pub(crate) filtered: Filtered,
    /// None: nothing counts as read.
    read_before: Option<ReadBefore>,
    encoder: Option<RowEncoder>,
}

/// What becomes of records that are not let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Filtered {
    /// They are passed over: what is not met goes in the end, or nothing was there before.
    PassedOver,
    /// They are named, so that those that are there can go.
    Named,
}

impl Stage {
    /// A stage that does with records as `plan` says, and filters them by `filter`.
    pub(crate) fn new(
        plan: &StreamPlan,
        filter: RowFilter,
        filtered: Filtered,
        read_before: Option<ReadBefore>,
    ) -> Self {
        Self {
            stream: plan.name.clone(),
            primary_key: plan.primary_key.clone(),
            shape: plan.shape.clone(),
            discard: Discard::of(plan.policy),
            filter,
            filtered,
            read_before,
            encoder: None,
        }
    }

    /// Adds the records of `batch` to `piece`, and what is to be said of those that do not fit.
    pub(crate) fn take(
        &mut self,
        mut batch: RecordBatch,
        unfit: Option<Unfit>,
        piece: &mut Piece,
    ) -> Result<(), SyncError> {
        let (mut misfits, mut discarded) = (Misfits::default(), None);
        match (self.discard, unfit) {
            (_, None) => {}
            (Some(Discard::Row), unfit) => discarded = unfit,
            (Some(Discard::Value), Some(unfit)) => {
                note(DiagnosticReason::ValuesDiscarded, &unfit, piece);
                batch = mixed(&batch, &unfit).map_err(defect)?;
            }
            (None, Some(unfit)) => {
                batch = mixed(&batch, &unfit).map_err(defect)?;
                misfits = Misfits::of(unfit.misfits);
            }
        }
        let mut left_out = None;
        if let Some(shape) = &self.shape {
            let shaped = shape.apply(&batch, &mut piece.notes).map_err(defect)?;
            (batch, left_out) = (shaped.kept, shaped.left_out);
        }
        let mut dropped = None;
        if !self.filter.is_empty() {
            let flags = misfits.flags(batch.num_rows());
            let sifted = self.filter.sift(batch, &flags).map_err(defect)?;
            (batch, dropped) = (sifted.kept, sifted.dropped);
            if let Some(dropped) = &dropped {
                misfits = misfits.among(&dropped.is_kept);
            }
        }
        let mut encoder = match self.encoder.take() {
            Some(encoder) => encoder,
            None => RowEncoder::new(batch.schema(), &self.primary_key).map_err(
                |MissingColumn(column)| SyncError::ColumnNotFound {
                    stream: self.stream.clone(),
                    column,
                    setting: "primary_key",
                },
            )?,
        };
        if self.filtered == Filtered::Named && !self.primary_key.is_empty() {
            name(&mut encoder, &batch, dropped.as_ref(), &mut piece.gone).map_err(unencodable)?;
        }
        meet(&mut encoder, left_out, piece)?;
        batch = self.set_aside(&mut encoder, batch, misfits, piece)?;
        let before = piece.rejected.len();
        encoder.encode(&batch, &mut piece.rows, &mut piece.rejected).map_err(unencodable)?;
        for it in &piece.rejected[before..] {
            piece.notes.add(DiagnosticReason::RecordsQuarantined, &it.reason, 1);
        }
        if let Some(unfit) = discarded {
            self.leave_out(&mut encoder, &unfit, piece)?;
        }
        self.encoder = Some(encoder);
        Ok(())
    }

    /// Keeps the records that do not fit aside, and answers the others. Of several with one key the last counts.
    fn set_aside(
        &self,
        encoder: &mut RowEncoder,
        batch: RecordBatch,
        misfits: Misfits,
        piece: &mut Piece,
    ) -> Result<RecordBatch, SyncError> {
        if misfits.is_empty() && piece.rejected.is_empty() {
            return Ok(batch);
        }
        let keys = encoder.keys(&batch).map_err(unencodable)?;
        let come: HashSet<_> = keys.iter().flatten().map(String::as_str).collect();
        let gone = &piece.gone;
        let is_last = |key: &str| !come.contains(key) && !gone.contains(key);
        piece.rejected.retain(|it| it.key.as_deref().is_none_or(is_last));
        let Sorted { fitting, aside } = misfits.sort(&batch, keys).map_err(defect)?;
        for (row, key, misfit) in aside {
            if key.as_ref().is_some_and(|it| piece.gone.contains(it)) {
                continue;
            }
            piece.notes.add(DiagnosticReason::RecordsQuarantined, &misfit.what, 1);
            if self.read_before.as_ref().is_some_and(|it| it.has(&batch, row)) {
                piece.repeated += 1;
            }
            let (payload, reason) = (excerpt(&misfit.payload), misfit.reason());
            piece.rejected.push(Rejected { key, payload, reason });
        }
        Ok(fitting)
    }

    /// Leaves records out that do not fit: what is there of them stays as it is.
    fn leave_out(
        &self,
        encoder: &mut RowEncoder,
        unfit: &Unfit,
        piece: &mut Piece,
    ) -> Result<(), SyncError> {
        note(DiagnosticReason::RowsDiscarded, unfit, piece);
        let Some(shape) = &self.shape else {
            return meet(encoder, Some(unfit.records.clone()), piece);
        };
        // What else is wrong with them is nothing new.
        let shaped = shape.apply(&unfit.records, &mut Notes::default()).map_err(defect)?;
        meet(encoder, Some(shaped.kept), piece)?;
        meet(encoder, shaped.left_out, piece)
    }
}

fn note(reason: DiagnosticReason, unfit: &Unfit, piece: &mut Piece) {
    for it in &unfit.misfits {
        piece.notes.add(reason, &it.what, 1);
    }
}

/// Notes that the source has these `records`, which stay as they are.
fn meet(
    encoder: &mut RowEncoder,
    records: Option<RecordBatch>,
    piece: &mut Piece,
) -> Result<(), SyncError> {
    let Some(records) = records else { return Ok(()) };
    let keys = encoder.keys(&records).map_err(unencodable)?;
    piece.met.extend(keys.into_iter().flatten());
    Ok(())
}

/// Names the records that were dropped in `gone`, but for those of which a later one is kept.
fn name(
    encoder: &mut RowEncoder,
    kept: &RecordBatch,
    dropped: Option<&Dropped>,
    gone: &mut HashSet<String>,
) -> Result<(), Unencodable> {
    if dropped.is_none() && gone.is_empty() {
        return Ok(());
    }
    let keys = encoder.keys(kept)?;
    for key in keys.iter().flatten() {
        gone.remove(key);
    }
    let Some(dropped) = dropped else { return Ok(()) };
    let places = |is_kept: bool| {
        let all = dropped.is_kept.iter().enumerate();
        all.filter(move |(_, it)| **it == is_kept).map(|(place, _)| place)
    };
    let last: HashMap<_, _> = keys.into_iter().zip(places(true)).collect();
    for (key, place) in encoder.keys(&dropped.records)?.into_iter().zip(places(false)) {
        if last.get(&key).is_none_or(|kept| *kept < place) {
            gone.extend(key);
        }
    }
    Ok(())
}

fn defect(error: ArrowError) -> SyncError {
    SyncError::Defect { doing: "look through the columns of a source", source: error.into() }
}

fn unencodable(error: Unencodable) -> SyncError {
    SyncError::Defect { doing: "encode the columns of a source", source: error.into() }
}
