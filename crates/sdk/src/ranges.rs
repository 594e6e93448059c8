//! Splitting what is ordered.

use linkspan_domain::Condition;
use serde_json::{Value, json};

/// The conditions that `field` lies below the first of `borders`, between each two neighbours, and from the last on. Of every
/// value exactly one holds, if the borders ascend. None without borders, or where a field called so cannot be asked.
pub fn ranges(field: &str, borders: &[Value]) -> Vec<Condition> {
    let Some((first, last)) = borders.first().zip(borders.last()) else { return Vec::new() };
    let mut ranges = vec![json!({ field: { "_lt": first } })];
    let between = borders.iter().zip(&borders[1..]);
    ranges.extend(between.map(|(from, until)| json!({ field: { "_gte": from, "_lt": until } })));
    ranges.push(json!({ field: { "_gte": last } }));
    // A field can be called like an operator.
    ranges.iter().map(Condition::parse).collect::<Result<_, _>>().unwrap_or_default()
}
