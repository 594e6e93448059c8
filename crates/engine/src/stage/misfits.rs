//! Records that do not fit the columns of their stream, among those that do.

use std::collections::HashMap;

use arrow_array::{
    Array, ArrayRef, RecordBatch,
    cast::AsArray,
    types::{Int64Type, TimestampMicrosecondType},
};
use arrow_schema::ArrowError;
use arrow_select::{filter::filter_record_batch, interleave::interleave_record_batch};
use linkspan_domain::Cursor;
use linkspan_sdk::{Misfit, Unfit};

/// Which rows of a batch do not fit, in order, and what is wrong with each.
#[derive(Default)]
pub(super) struct Misfits(Vec<(usize, Misfit)>);

/// What comes of looking at a batch record by record, where of several with one key the last counts.
pub(super) struct Sorted {
    /// The records that fit.
    pub(super) fitting: RecordBatch,
    /// The others, each with its row in the batch and its key.
    pub(super) aside: Vec<(usize, Option<String>, Misfit)>,
}

/// How far a stream was read before.
pub(crate) struct ReadBefore {
    /// The cursor column.
    pub(crate) column: String,
    pub(crate) mark: Cursor,
}

/// The records of `batch` and those that do not fit, each in its place.
pub(super) fn mixed(batch: &RecordBatch, unfit: &Unfit) -> Result<RecordBatch, ArrowError> {
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

impl Misfits {
    /// Those of a batch in which they have their places.
    pub(super) fn of(misfits: Vec<Misfit>) -> Self {
        Self(misfits.into_iter().enumerate().map(|(nth, it)| (it.before + nth, it)).collect())
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// By row of so many, whether it does not fit.
    pub(super) fn flags(&self, rows: usize) -> Vec<bool> {
        let mut flags = vec![false; rows];
        for (row, _) in &self.0 {
            flags[*row] = true;
        }
        flags
    }

    /// Those of the rows that are kept.
    pub(super) fn among(self, is_kept: &[bool]) -> Self {
        let mut kept = 0;
        let places: Vec<_> = is_kept
            .iter()
            .map(|is_kept| {
                let place = is_kept.then_some(kept);
                kept += usize::from(*is_kept);
                place
            })
            .collect();
        Self(self.0.into_iter().filter_map(|(row, it)| Some((places[row]?, it))).collect())
    }

    /// Tells the records of `batch` apart, which have these `keys`.
    pub(super) fn sort(
        self,
        batch: &RecordBatch,
        mut keys: Vec<Option<String>>,
    ) -> Result<Sorted, ArrowError> {
        let is_misfit = self.flags(batch.num_rows());
        let mut fits = Vec::with_capacity(keys.len());
        let mut counts = vec![true; keys.len()];
        {
            let named = keys.iter().enumerate();
            let last: HashMap<_, _> =
                named.filter_map(|(row, key)| Some((key.as_deref()?, row))).collect();
            for (row, key) in keys.iter().enumerate() {
                let last = key.as_deref().map_or(row, |it| last[it]);
                fits.push(!is_misfit[last]);
                counts[row] = last == row;
            }
        }
        let fits = fits.into_iter().zip(&is_misfit).map(|(fits, is_misfit)| fits && !is_misfit);
        let fitting = filter_record_batch(batch, &fits.collect::<Vec<_>>().into())?;
        let aside = self.0.into_iter().filter(|(row, _)| counts[*row]);
        let aside = aside.map(|(row, it)| (row, keys[row].take(), it)).collect();
        Ok(Sorted { fitting, aside })
    }
}

impl ReadBefore {
    /// Whether a row of `batch` is one that was read before, as its cursor says.
    pub(super) fn has(&self, batch: &RecordBatch, row: usize) -> bool {
        batch.column_by_name(&self.column).is_some_and(|it| is_up_to(it, row, &self.mark))
    }
}

fn is_up_to(column: &ArrayRef, row: usize, mark: &Cursor) -> bool {
    if column.is_null(row) {
        return false;
    }
    match mark {
        Cursor::Int(mark) => {
            let column = column.as_primitive_opt::<Int64Type>();
            column.is_some_and(|it| it.value(row) <= *mark)
        }
        Cursor::Timestamp(mark) => {
            let column = column.as_primitive_opt::<TimestampMicrosecondType>();
            column.is_some_and(|it| i128::from(it.value(row)) <= mark.unix_timestamp_nanos() / 1000)
        }
        Cursor::Text(mark) => {
            let column = column.as_string_opt::<i32>();
            column.is_some_and(|it| it.value(row) <= mark.as_str())
        }
    }
}
