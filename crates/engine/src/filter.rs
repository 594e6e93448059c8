//! Filters on columns: which records of a batch are let through.
//!
//! A record is judged by what would be stored of it: the same as the reference evaluator says of its JSON.

mod column;
#[cfg(test)]
mod tests;

use arrow_array::{Array, BooleanArray, RecordBatch};
use arrow_schema::{ArrowError, Schema};
use arrow_select::filter::filter_record_batch;
use linkspan_domain::{Cell, Condition, FieldPath, Test, Truth};

use self::column::Judge;
use crate::encoder::cell::{Cells, canonical};

/// Lets through the records of which all of its parts hold.
#[derive(Clone, Debug, Default)]
pub(crate) struct RowFilter {
    parts: Vec<Condition>,
}

/// A batch, taken apart.
#[derive(Debug)]
pub(crate) struct Sifted {
    /// The records that are let through.
    pub(crate) kept: RecordBatch,
    /// The others, if there are any, and which of the batch each kind is.
    pub(crate) dropped: Option<Dropped>,
}

/// The records of a batch that are not let through.
#[derive(Debug)]
pub(crate) struct Dropped {
    pub(crate) records: RecordBatch,
    /// By record of the whole batch: whether it is let through.
    pub(crate) is_kept: Vec<bool>,
}

impl RowFilter {
    /// Lets through the records of which all `parts` hold.
    pub(crate) const fn new(parts: Vec<Condition>) -> Self {
        Self { parts }
    }

    /// Whether it lets everything through, unseen.
    pub(crate) const fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// Takes `batch` apart. `misfits` says by record whether null may stand for a value that does not fit its column.
    pub(crate) fn sift(&self, batch: RecordBatch, misfits: &[bool]) -> Result<Sifted, ArrowError> {
        let is_kept = self.holds(&batch, misfits)?;
        if is_kept.iter().all(|it| *it) {
            return Ok(Sifted { kept: batch, dropped: None });
        }
        let kept = filter_record_batch(&batch, &BooleanArray::from(is_kept.clone()))?;
        let others: Vec<_> = is_kept.iter().map(|it| !it).collect();
        let records = filter_record_batch(&batch, &BooleanArray::from(others))?;
        Ok(Sifted { kept, dropped: Some(Dropped { records, is_kept }) })
    }

    /// By record, whether it is let through. A part that asks for a value that cannot be judged keeps no record back: it is to be
    /// kept aside, not to vanish.
    fn holds(&self, batch: &RecordBatch, misfits: &[bool]) -> Result<Vec<bool>, ArrowError> {
        let mut holds = vec![true; batch.num_rows()];
        for part in &self.parts {
            let mut look = Look { batch, misfits, faulty: vec![false; batch.num_rows()] };
            let truths = look.evaluate(part)?;
            for ((holds, truth), is_faulty) in holds.iter_mut().zip(truths).zip(look.faulty) {
                *holds &= truth == Truth::True || is_faulty;
            }
        }
        Ok(holds)
    }
}

/// One look at a batch.
struct Look<'a> {
    batch: &'a RecordBatch,
    /// By record: whether null may stand for a value.
    misfits: &'a [bool],
    /// By record: whether a value cannot be judged.
    faulty: Vec<bool>,
}

impl Look<'_> {
    fn evaluate(&mut self, condition: &Condition) -> Result<Vec<Truth>, ArrowError> {
        match condition {
            Condition::And(parts) => self.all(parts, Truth::True, Truth::min),
            Condition::Or(parts) => self.all(parts, Truth::False, Truth::max),
            Condition::Not(part) => {
                Ok(self.evaluate(part)?.into_iter().map(Truth::negated).collect())
            }
            Condition::Field(path, test) => self.test(path, test),
        }
    }

    fn all(
        &mut self,
        parts: &[Condition],
        of_none: Truth,
        join: fn(Truth, Truth) -> Truth,
    ) -> Result<Vec<Truth>, ArrowError> {
        let mut truths = vec![of_none; self.batch.num_rows()];
        for part in parts {
            for (truth, other) in truths.iter_mut().zip(self.evaluate(part)?) {
                *truth = join(*truth, other);
            }
        }
        Ok(truths)
    }

    fn test(&mut self, path: &FieldPath, test: &Test) -> Result<Vec<Truth>, ArrowError> {
        let rows = self.batch.num_rows();
        let schema: &Schema = self.batch.schema_ref();
        let found = path.names().first().and_then(|it| schema.index_of(it).ok());
        let Some(index) = found else { return Ok(vec![test.evaluate(Cell::Null); rows]) };
        let field = &schema.fields()[index];
        let array = canonical(field, self.batch.column(index))?;
        let mut cells = Cells::of(field, &array)?;
        let mut judge = Judge::new(path, test);
        let judged = self.faulty.iter_mut().zip(self.misfits).enumerate().map(|(row, it)| {
            let (faulty, is_misfit) = it;
            let is_known = !is_misfit || array.is_valid(row);
            let judged = is_known.then(|| judge.judge(&mut cells, row)).flatten();
            *faulty |= judged.is_none();
            judged.unwrap_or(Truth::Unknown)
        });
        Ok(judged.collect())
    }
}
