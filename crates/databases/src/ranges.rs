//! Splitting a table by ranges of its key, so that its parts can be read side by side.
//!
//! Rows move about in a table when they are updated, but they keep their key: each is in one range, whenever it is read.

use linkspan_domain::{Condition, FieldKind};
use serde_json::Value;

use crate::table::Table;

/// Tables with fewer bytes are read in one go.
pub(crate) const WORTH_IT: i64 = 32 * 1024 * 1024;

/// The key by which a table can be split: one column of whole numbers.
pub(crate) fn key<W>(table: &Table<W>) -> Option<&str> {
    let [key] = &*table.primary_key else { return None };
    let column = table.columns.iter().find(|it| it.name == *key)?;
    (column.kind == FieldKind::Integer).then_some(key)
}

/// At most `parts` ranges that together have every key, those between `least` and `greatest` in equal parts.
pub(crate) fn ranges(key: &str, least: i64, greatest: i64, parts: usize) -> Vec<Condition> {
    let (low, high) = (i128::from(least), i128::from(greatest));
    let parts = i128::try_from(parts).unwrap_or(1).min(high - low + 1);
    if parts < 2 {
        return Vec::new();
    }
    let border = |at: i128| i64::try_from(low + (high - low + 1) * at / parts).ok();
    let borders: Vec<Value> = (1..parts).filter_map(border).map(Value::from).collect();
    linkspan_sdk::ranges(key, &borders)
}

#[cfg(test)]
mod tests {
    use linkspan_domain::Condition;
    use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};
    use serde_json::json;

    use super::ranges;

    fn homes(ranges: &[Condition], key: i64) -> usize {
        ranges.iter().filter(|it| it.holds(&json!({ "id": key }))).count()
    }

    #[test]
    fn a_few_keys_make_a_few_ranges() {
        assert_eq!(ranges("id", 1, 1, 8), []);
        assert_eq!(ranges("id", 1, 2, 8).len(), 2);
        assert_eq!(ranges("id", 2, 1, 8), [], "there are none");
        assert_eq!(ranges("id", i64::MIN, i64::MAX, 4).len(), 4);
        assert_eq!(ranges("_and", 1, 100, 4), []);
    }

    proptest! {
        #[test]
        fn every_key_has_one_home(least in any::<i64>(), greatest in any::<i64>(), parts in 1_usize..20, key in any::<i64>()) {
            let ranges = ranges("id", least, greatest, parts);
            prop_assert!(ranges.len() <= parts);
            if !ranges.is_empty() {
                for key in [key, least, greatest, i64::MIN, i64::MAX] {
                    prop_assert_eq!(homes(&ranges, key), 1);
                }
            }
        }
    }
}
