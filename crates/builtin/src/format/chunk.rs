//! Some records of a file, and those among them that do not fit the columns.

use arrow_array::RecordBatch;
use serde_json::value::RawValue;

/// Records of a file, in its order.
pub(crate) struct Chunk {
    /// All of them. Null stands for a value that does not fit its column.
    pub(crate) records: RecordBatch,
    /// Those with such a value, in order.
    pub(crate) odd: Vec<Odd>,
}

/// A record with a value that does not fit its column.
pub(crate) struct Odd {
    /// Its place among the records.
    pub(crate) row: usize,
    /// Where it begins, in files with lines.
    pub(crate) line: Option<u64>,
    /// The first column that does not take its value.
    pub(crate) column: usize,
    /// What it says.
    pub(crate) members: Members,
}

/// The fields of a record and their values, as they stand in the file.
pub(crate) type Members = Vec<(String, Box<RawValue>)>;

impl Chunk {
    /// Its first `rows` records, and the rest if there are more.
    pub(super) fn split(self, rows: usize) -> (Self, Option<Self>) {
        let all = self.records.num_rows();
        if all <= rows {
            return (self, None);
        }
        let Self { records, odd } = self;
        let (first, rest): (Vec<_>, Vec<_>) = odd.into_iter().partition(|it| it.row < rows);
        let rest = rest.into_iter().map(|it| Odd { row: it.row - rows, ..it }).collect();
        let begin = Self { records: records.slice(0, rows), odd: first };
        (begin, Some(Self { records: records.slice(rows, all - rows), odd: rest }))
    }
}
