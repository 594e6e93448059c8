//! JSON pointers (RFC 6901), as far as settings need them.

use serde_json::{Map, Value};

/// The pointer to `key` below `parent`.
pub(super) fn child(parent: &str, key: &str) -> String {
    format!("{parent}/{}", key.replace('~', "~0").replace('/', "~1"))
}

/// Puts `value` where `pointer` says, making objects on the way where there is nothing or `null`.
///
/// Does nothing where the way leads through a text or past the end of an array.
pub(super) fn place(root: &mut Value, pointer: &str, value: Value) {
    let mut at = root;
    for token in pointer.split('/').skip(1) {
        let key = token.replace("~1", "/").replace("~0", "~");
        if at.is_null() {
            *at = Value::Object(Map::new());
        }
        let next = match at {
            Value::Object(map) => Some(map.entry(key).or_insert(Value::Null)),
            Value::Array(items) => key.parse::<usize>().ok().and_then(|index| items.get_mut(index)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
        };
        let Some(next) = next else { return };
        at = next;
    }
    *at = value;
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{child, place};

    #[test]
    fn keys_are_escaped_as_the_rfc_says() {
        assert_eq!(child("/a", "b~/c"), "/a/b~0~1c");
        assert_eq!(child("", ""), "/");
    }

    #[test]
    fn a_value_lands_where_the_pointer_says() {
        let mut it = json!({ "a": [null, { "b~/c": 1 }], "d": "text" });
        place(&mut it, "/a/0", json!("x"));
        place(&mut it, "/a/1/b~0~1c", json!("y"));
        place(&mut it, "/e/f", json!("z"));
        assert_eq!(it, json!({ "a": ["x", { "b~/c": "y" }], "d": "text", "e": { "f": "z" } }));
    }

    #[test]
    fn where_there_is_no_room_nothing_happens() {
        let mut it = json!({ "a": [null], "d": "text" });
        place(&mut it, "/a/1", json!("x"));
        place(&mut it, "/a/b", json!("x"));
        place(&mut it, "/d/e", json!("x"));
        assert_eq!(it, json!({ "a": [null], "d": "text" }));
    }
}
