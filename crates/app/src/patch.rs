//! Changes to single fields.

use serde_json::{Value, json};

/// What a change says about a field that may be empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Patch<T> {
    /// Nothing: it stays.
    #[default]
    Keep,
    /// It becomes empty.
    Clear,
    /// It becomes this.
    Set(T),
}

impl<T> Patch<T> {
    /// The new value that is set, if any.
    pub const fn set(&self) -> Option<&T> {
        match self {
            Self::Set(value) => Some(value),
            Self::Keep | Self::Clear => None,
        }
    }
}

/// Absent keeps, `null` clears, a value sets.
impl<T> From<Option<Option<T>>> for Patch<T> {
    fn from(nested: Option<Option<T>>) -> Self {
        match nested {
            None => Self::Keep,
            Some(None) => Self::Clear,
            Some(Some(value)) => Self::Set(value),
        }
    }
}

/// What the audit trail keeps of a change: the names of the fields that it really changed, and what it did to rights.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    names: Vec<&'static str>,
    rights: Option<[Value; 2]>,
}

impl Changes {
    /// Sets a field that always has a value.
    pub(crate) fn set<T: PartialEq>(&mut self, name: &'static str, field: &mut T, to: Option<T>) {
        if let Some(value) = to.filter(|value| value != field) {
            *field = value;
            self.note(name);
        }
    }

    /// Sets or empties a field that may be empty.
    pub(crate) fn patch<T: PartialEq>(
        &mut self,
        name: &'static str,
        field: &mut Option<T>,
        to: Patch<T>,
    ) {
        let to = match to {
            Patch::Keep => None,
            Patch::Clear => Some(None),
            Patch::Set(value) => Some(Some(value)),
        };
        self.set(name, field, to);
    }

    /// Notes that `name` changed.
    pub(crate) fn note(&mut self, name: &'static str) {
        self.names.push(name);
    }

    /// Tells who may do what before and after, if that is not the same.
    pub(crate) fn compare(&mut self, before: Value, after: Value) {
        self.rights = (before != after).then_some([before, after]);
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// For the audit trail: of rights what they were and are, of all else the names alone, never a value.
    pub(crate) fn details(&self) -> Value {
        let mut details = json!({ "changed": self.names });
        if let Some([before, after]) = &self.rights {
            details["before"] = before.clone();
            details["after"] = after.clone();
        }
        details
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_really_changes_is_noted() {
        let (mut name, mut note) = ("a", Some("x"));
        let mut changes = Changes::default();
        changes.set("name", &mut name, Some("a"));
        changes.patch("note", &mut note, Patch::Keep);
        assert!(changes.is_empty());
        changes.set("name", &mut name, Some("b"));
        changes.patch("note", &mut note, Patch::Clear);
        assert_eq!((name, note), ("b", None));
        assert_eq!(changes.details(), json!({ "changed": ["name", "note"] }));
    }

    #[test]
    fn rights_are_told_when_they_change() {
        let mut changes = Changes::default();
        changes.note("role");
        changes.compare(Value::Null, Value::Null);
        assert_eq!(changes.details(), json!({ "changed": ["role"] }));
        changes.compare(json!({ "role": "viewer" }), json!({ "role": "admin" }));
        let expected = json!({
            "changed": ["role"], "before": { "role": "viewer" }, "after": { "role": "admin" },
        });
        assert_eq!(changes.details(), expected);
    }

    #[test]
    fn absent_keeps_and_null_clears() {
        assert_eq!(Patch::<u8>::from(None), Patch::Keep);
        assert_eq!(Patch::<u8>::from(Some(None)), Patch::Clear);
        assert_eq!(Patch::from(Some(Some(1))), Patch::Set(1));
    }
}
