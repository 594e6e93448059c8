//! Where settings differ.

use std::collections::BTreeSet;

use serde_json::Value;

use super::pointer::child;

/// The first place below `at` where `before` and `after` differ. Nothing, and an object with nothing in it, are the same.
pub(super) fn difference(at: &str, before: &Value, after: &Value) -> Option<String> {
    let is_open = |it: &Value| it.is_object() || it.is_null();
    if before == after {
        return None;
    }
    if !(is_open(before) && is_open(after)) {
        return Some(at.to_owned());
    }
    let members = [before, after].into_iter().filter_map(Value::as_object);
    let keys: BTreeSet<&String> = members.flat_map(serde_json::Map::keys).collect();
    keys.into_iter().find_map(|key| difference(&child(at, key), &before[key], &after[key]))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::difference;

    #[test]
    fn the_first_place_that_differs_is_named() {
        let before =
            json!({ "host": "db", "tls": { "mode": "full" }, "headers": [{ "name": "a" }] });
        let with = |change: fn(&mut Value)| {
            let mut after = before.clone();
            change(&mut after);
            difference("", &before, &after)
        };
        assert_eq!(with(|_| {}), None);
        assert_eq!(with(|it| it["host"] = json!("other")).as_deref(), Some("/host"));
        assert_eq!(with(|it| it["host"] = json!(null)).as_deref(), Some("/host"));
        assert_eq!(with(|it| it["tls"]["mode"] = json!("off")).as_deref(), Some("/tls/mode"));
        assert_eq!(with(|it| it["tls"] = json!("off")).as_deref(), Some("/tls"));
        assert_eq!(with(|it| it["headers"][0]["name"] = json!("b")).as_deref(), Some("/headers"));
        assert_eq!(with(|it| it["a/b"] = json!({ "c": 1 })).as_deref(), Some("/a~1b/c"));
    }

    #[test]
    fn an_object_with_nothing_in_it_says_nothing() {
        assert_eq!(difference("", &json!({}), &json!({ "auth": {}, "port": null })), None);
    }
}
