//! What happens to a batch before it is stored: brought into shape, filtered, encoded.

use std::collections::{HashMap, HashSet};

use arrow_array::RecordBatch;
use arrow_schema::ArrowError;
use arrow_select::interleave::interleave_record_batch;
use linkspan_domain::{DiagnosticReason, StreamName};
use linkspan_sdk::{Rejected, Unfit};

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
    pub(crate) fn new(plan: &StreamPlan, filter: RowFilter, filtered: Filtered) -> Self {
        Self {
            stream: plan.name.clone(),
            primary_key: plan.primary_key.clone(),
            shape: plan.shape.clone(),
            discard: Discard::of(plan.policy),
            filter,
            filtered,
            encoder: None,
        }
    }

    /// Adds the records of `batch` to `piece`, and what is to be said of those that do not fit.
    pub(crate) fn take(
        &mut self,
        mut batch: RecordBatch,
        mut unfit: Option<Unfit>,
        piece: &mut Piece,
    ) -> Result<(), SyncError> {
        if self.discard == Some(Discard::Value)
            && let Some(unfit) = unfit.take()
        {
            note(DiagnosticReason::ValuesDiscarded, &unfit, piece);
            batch = interleaved(&batch, &unfit).map_err(defect)?;
        }
        let mut left_out = None;
        if let Some(shape) = &self.shape {
            let shaped = shape.apply(&batch, &mut piece.notes).map_err(defect)?;
            (batch, left_out) = (shaped.kept, shaped.left_out);
        }
        let mut dropped = None;
        if !self.filter.is_empty() {
            let sifted = self.filter.sift(batch).map_err(defect)?;
            (batch, dropped) = (sifted.kept, sifted.dropped);
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
        let before = piece.rejected.len();
        encoder.encode(&batch, &mut piece.rows, &mut piece.rejected).map_err(unencodable)?;
        for it in &piece.rejected[before..] {
            piece.notes.add(DiagnosticReason::RecordsQuarantined, &it.reason, 1);
        }
        if let Some(unfit) = unfit {
            self.set_aside(&mut encoder, unfit, piece)?;
        }
        self.encoder = Some(encoder);
        Ok(())
    }

    /// Keeps records that do not fit aside, or leaves them out.
    fn set_aside(
        &self,
        encoder: &mut RowEncoder,
        unfit: Unfit,
        piece: &mut Piece,
    ) -> Result<(), SyncError> {
        if self.discard == Some(Discard::Row) {
            note(DiagnosticReason::RowsDiscarded, &unfit, piece);
            let Some(shape) = &self.shape else { return meet(encoder, Some(unfit.records), piece) };
            // What else is wrong with them is nothing new.
            let shaped = shape.apply(&unfit.records, &mut Notes::default()).map_err(defect)?;
            meet(encoder, Some(shaped.kept), piece)?;
            return meet(encoder, shaped.left_out, piece);
        }
        note(DiagnosticReason::RecordsQuarantined, &unfit, piece);
        let keys = encoder.keys(&unfit.records).map_err(unencodable)?;
        for (key, misfit) in keys.into_iter().zip(unfit.misfits) {
            if let Some(key) = &key {
                // The last that the source says of it is not that it does not pass.
                piece.gone.remove(key);
            }
            let (payload, reason) = (excerpt(&misfit.payload), misfit.reason());
            piece.rejected.push(Rejected { key, payload, reason });
        }
        Ok(())
    }
}

fn note(reason: DiagnosticReason, unfit: &Unfit, piece: &mut Piece) {
    for it in &unfit.misfits {
        piece.notes.add(reason, &it.what, 1);
    }
}

/// The records of `batch` and the others, each in its place.
fn interleaved(batch: &RecordBatch, unfit: &Unfit) -> Result<RecordBatch, ArrowError> {
    let mut places = Vec::with_capacity(batch.num_rows() + unfit.misfits.len());
    let mut at = 0;
    for (nth, misfit) in unfit.misfits.iter().enumerate() {
        places.extend((at..misfit.before).map(|row| (0, row)));
        places.push((1, nth));
        at = misfit.before;
    }
    places.extend((at..batch.num_rows()).map(|row| (0, row)));
    interleave_record_batch(&[batch, &unfit.records], &places)
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
