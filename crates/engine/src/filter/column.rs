//! The values of a column as tests look into them.

use linkspan_domain::{Cell, FieldPath, Scalar, Test, Truth};
use serde_json::Value;
use time::OffsetDateTime;

use crate::encoder::cell::Cells;

/// Judges the values of one column.
pub(super) struct Judge<'a> {
    path: &'a FieldPath,
    test: &'a Test,
    moments: Moments,
    /// Room for the text of one value.
    text: Vec<u8>,
}

/// How points in time are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Moments {
    /// With points in time alone.
    AsSuch,
    /// Maybe with other text.
    AsText,
}

impl<'a> Judge<'a> {
    /// Judges by `test` what is at `path`, whose first name is that of the column.
    pub(super) fn new(path: &'a FieldPath, test: &'a Test) -> Self {
        Self { path, test, moments: Moments::of(test), text: Vec::new() }
    }

    /// What the test says of the value at `row`. Nothing if no JSON can say the value.
    pub(super) fn judge(&mut self, cells: &mut Cells<'_>, row: usize) -> Option<Truth> {
        if cells.is_null(row) {
            return Some(self.test.evaluate(Cell::Null));
        }
        let cell = match cells {
            Cells::Boolean(values) => Cell::Boolean(values.value(row)),
            Cells::Integer(values) => Cell::Integer(values.value(row)),
            Cells::Number(values) if values.value(row).is_finite() => {
                Cell::Number(values.value(row))
            }
            Cells::Text(values) => Cell::Text(values.value(row)),
            Cells::Json(values) => {
                let value = serde_json::from_str(values.value(row)).ok()?;
                return Some(self.inside(&value));
            }
            Cells::Other(encoder) => {
                self.text.clear();
                encoder.encode(row, &mut self.text);
                let value = serde_json::from_slice(&self.text).ok()?;
                return Some(self.inside(&value));
            }
            Cells::Instant(values) if self.moments == Moments::AsSuch => {
                let nanos = i128::from(values.value(row)) * 1_000;
                let at = OffsetDateTime::from_unix_timestamp_nanos(nanos).ok()?;
                // Texts of other years are no RFC 3339.
                if at.year() < 0 {
                    return self.as_text(cells, row);
                }
                Cell::Instant(at)
            }
            Cells::Number(_)
            | Cells::Date(_)
            | Cells::Time(_)
            | Cells::Instant(_)
            | Cells::Binary(_) => return self.as_text(cells, row),
        };
        Some(self.whole(cell))
    }

    /// The same of a value that is text in JSON.
    fn as_text(&mut self, cells: &Cells<'_>, row: usize) -> Option<Truth> {
        let mut text = std::mem::take(&mut self.text);
        text.clear();
        cells.write_plain(row, &mut text).ok()?;
        let truth = self.whole(Cell::Text(str::from_utf8(&text).ok()?));
        self.text = text;
        Some(truth)
    }

    /// The same of a value that has nothing below it.
    fn whole(&self, cell: Cell<'_>) -> Truth {
        match self.path.names() {
            [_] => self.test.evaluate(cell),
            _ => self.test.evaluate(Cell::Null),
        }
    }

    /// The same of what is below `value`, or of itself.
    fn inside(&self, value: &Value) -> Truth {
        let below = self.path.names().get(1..).unwrap_or_default();
        let found = below.iter().try_fold(value, |inner, name| inner.get(name));
        self.test.evaluate(found.map_or(Cell::Null, Cell::of))
    }
}

impl Moments {
    fn of(test: &Test) -> Self {
        let is_moment = |it: &Scalar| it.as_instant().is_some();
        let all = match test {
            Test::Eq(it)
            | Test::Neq(it)
            | Test::Gt(it)
            | Test::Gte(it)
            | Test::Lt(it)
            | Test::Lte(it) => is_moment(it),
            Test::In(list) | Test::Nin(list) => list.iter().all(is_moment),
            Test::IsNull | Test::IsNotNull => true,
            Test::Matches(_) | Test::Differs(_) | Test::Contains(_) | Test::HasKey(_) => false,
        };
        if all { Self::AsSuch } else { Self::AsText }
    }
}
