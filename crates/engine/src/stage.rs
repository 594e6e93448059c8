//! What happens to a batch before it is stored: brought into shape, filtered, encoded.

use std::collections::{HashMap, HashSet};

use arrow_array::RecordBatch;
use arrow_schema::ArrowError;
use linkspan_domain::StreamName;

use crate::{
    RowEncoder, SyncError,
    encoder::{MissingColumn, Unencodable},
    filter::{Dropped, RowFilter},
    pipeline::Piece,
    shape::Shape,
};

/// What happens to the batches of one read.
pub(crate) struct Stage {
    pub(crate) stream: StreamName,
    pub(crate) primary_key: Vec<String>,
    /// None: records are kept in the shape they come in.
    pub(crate) shape: Option<Shape>,
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
    pub(crate) const fn new(
        stream: StreamName,
        primary_key: Vec<String>,
        shape: Option<Shape>,
        filter: RowFilter,
        filtered: Filtered,
    ) -> Self {
        Self { stream, primary_key, shape, filter, filtered, encoder: None }
    }

    /// Adds the records of `batch` to `piece`.
    pub(crate) fn take(
        &mut self,
        mut batch: RecordBatch,
        piece: &mut Piece,
    ) -> Result<(), SyncError> {
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
        if let Some(left_out) = left_out.filter(|_| !self.primary_key.is_empty()) {
            let keys = encoder.keys(&left_out).map_err(unencodable)?;
            piece.met.extend(keys.into_iter().flatten());
        }
        let done = encoder.encode(&batch, &mut piece.rows, &mut piece.rejected);
        self.encoder = Some(encoder);
        done.map_err(unencodable)
    }
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
