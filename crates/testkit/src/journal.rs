//! Journals of changes, as their readers read them.

use std::collections::{BTreeMap, btree_map::Entry};

use arrow_array::{RecordBatch, StringArray, cast::AsArray};

/// Of each key the row with the greatest position, unless it says that the record is gone: each as a batch, by key.
pub fn last_of_each(batches: &[RecordBatch]) -> Vec<RecordBatch> {
    let mut last: BTreeMap<&str, (&str, &str, RecordBatch)> = BTreeMap::new();
    for batch in batches {
        let text = |name: &str| -> &StringArray { batch[name].as_string() };
        let (changes, keys) = (text("_linkspan_change"), text("_linkspan_key"));
        let positions = text("_linkspan_position");
        for row in 0..batch.num_rows() {
            let found = (positions.value(row), changes.value(row), batch.slice(row, 1));
            match last.entry(keys.value(row)) {
                Entry::Vacant(entry) => drop(entry.insert(found)),
                Entry::Occupied(mut entry) if entry.get().0 < found.0 => drop(entry.insert(found)),
                Entry::Occupied(_) => {}
            }
        }
    }
    let kept = last.into_values().filter(|it| it.1 != "DELETED");
    kept.map(|it| it.2).collect()
}
