//! Sharing the objects of a stream out, so that its parts can be read side by side.

use linkspan_domain::Condition;
use linkspan_sdk::Failure;
use serde_json::{Value, json};

use super::{OBJECT, bucket::Object};

/// Streams with fewer bytes are read in one go.
const WORTH_IT: u64 = 32 * 1024 * 1024;

/// At most `parts` ranges of keys, which together have all objects, with about as many bytes each.
pub(super) fn split(mut objects: Vec<Object>, parts: usize) -> Vec<Condition> {
    let bytes: u64 = objects.iter().map(|it| it.bytes).sum();
    if bytes < WORTH_IT || parts < 2 {
        return Vec::new();
    }
    objects.sort_unstable_by(|one, other| one.key.cmp(&other.key));
    let share = bytes.div_ceil(parts as u64);
    let mut borders = Vec::new();
    let mut filled = 0;
    for object in objects {
        if filled >= share {
            borders.push(Value::from(object.key.as_str()));
            filled = 0;
        }
        filled += object.bytes;
    }
    linkspan_sdk::ranges(OBJECT, &borders)
}

/// Leaves the objects that conditions of [`split`] name.
pub(super) fn retain(objects: &mut Vec<Object>, filter: &[Condition]) -> Result<(), Failure> {
    let is_about_the_object = |it: &Condition| it.fields().iter().all(|it| it.names() == [OBJECT]);
    if !filter.iter().all(is_about_the_object) {
        return Err(Failure::Unsupported("filter by anything but the object".to_owned()));
    }
    objects.retain(|object| {
        let record = json!({ OBJECT: object.key });
        filter.iter().all(|it| it.holds(&record))
    });
    Ok(())
}
