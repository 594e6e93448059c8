//! What the records of a stream were read with, and how that differs from what the source offers now.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Condition, FieldKind, Place, StreamField};

/// What the records of a stream were read with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamMemory {
    /// The fields of the stream.
    pub fields: Vec<StreamField>,
    /// The fields that name a record. Empty: its content does.
    pub primary_key: Vec<String>,
    /// What held of each record. None: nothing had to.
    pub filter: Option<Condition>,
    /// Where they were read. None: not remembered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
}

/// One way in which a stream is not what it was.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum SchemaChange {
    /// There is a field more.
    FieldAdded { field: String, kind: FieldKind },
    /// A field is gone.
    FieldRemoved { field: String },
    /// A field holds more than it did: every value that it had still fits.
    Widened { field: String, from: FieldKind, to: FieldKind },
    /// A field holds something else, so that values that it had may not fit.
    Changed { field: String, from: FieldKind, to: FieldKind },
    /// A field may be null that never was.
    BecameNullable { field: String },
    /// A field is never null any more.
    BecameRequired { field: String },
    /// Other fields name a record.
    KeyChanged { from: Vec<String>, to: Vec<String> },
    /// The whole stream is gone.
    StreamRemoved,
}

impl SchemaChange {
    /// Whether records of the new kind are of another shape: not if only nulls come or go.
    pub const fn is_of_shape(&self) -> bool {
        !matches!(self, Self::BecameNullable { .. } | Self::BecameRequired { .. })
    }

    /// Whether values that were read under it are of another kind than those before.
    pub const fn is_of_kind(&self) -> bool {
        matches!(self, Self::Widened { .. } | Self::Changed { .. })
    }
}

impl StreamMemory {
    /// Whether the records were surely read somewhere else than `place`.
    pub fn is_of_another(&self, place: Option<&Place>) -> bool {
        self.place.as_ref().zip(place).is_some_and(|(before, now)| before != now)
    }

    /// How a stream with these `fields` and this `primary_key` differs from what is remembered.
    pub fn changes(&self, fields: &[StreamField], primary_key: &[String]) -> Vec<SchemaChange> {
        let mut changes = Vec::new();
        for it in &self.fields {
            let field = it.name.clone();
            match fields.iter().find(|new| new.name == it.name) {
                None => changes.push(SchemaChange::FieldRemoved { field }),
                Some(new) => changes.extend(changes_of(it, new)),
            }
        }
        let is_known = |it: &&StreamField| self.fields.iter().any(|known| known.name == it.name);
        changes.extend(
            fields
                .iter()
                .filter(|it| !is_known(it))
                .map(|it| SchemaChange::FieldAdded { field: it.name.clone(), kind: it.kind }),
        );
        if self.primary_key != primary_key {
            let (from, to) = (self.primary_key.clone(), primary_key.to_vec());
            changes.push(SchemaChange::KeyChanged { from, to });
        }
        changes
    }
}

fn changes_of(old: &StreamField, new: &StreamField) -> Vec<SchemaChange> {
    let mut changes = Vec::new();
    let (field, from, to) = (old.name.clone(), old.kind, new.kind);
    if from != to {
        let change = if widens(from, to) {
            SchemaChange::Widened { field: field.clone(), from, to }
        } else {
            SchemaChange::Changed { field: field.clone(), from, to }
        };
        changes.push(change);
    }
    match (old.nullable, new.nullable) {
        (false, true) => changes.push(SchemaChange::BecameNullable { field }),
        (true, false) => changes.push(SchemaChange::BecameRequired { field }),
        _ => {}
    }
    changes
}

/// Whether every value of one kind is also one of the other.
const fn widens(from: FieldKind, to: FieldKind) -> bool {
    match (from, to) {
        (FieldKind::Integer, FieldKind::Decimal) | (FieldKind::Date, FieldKind::Timestamp) => true,
        // Bytes are no text until they are encoded.
        (FieldKind::Binary, FieldKind::Text) => false,
        (_, FieldKind::Text) => true,
        _ => false,
    }
}

impl fmt::Display for SchemaChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = |key: &[String]| {
            if key.is_empty() {
                "its content".to_owned()
            } else {
                format!("`{}`", key.join("`, `"))
            }
        };
        match self {
            Self::FieldAdded { field, kind } => {
                write!(f, "the field `{field}` was added; it holds {kind}")
            }
            Self::FieldRemoved { field } => write!(f, "the field `{field}` was removed"),
            Self::Widened { field, from, to } => {
                write!(f, "the field `{field}` was widened from {from} to {to}")
            }
            Self::Changed { field, from, to } => {
                write!(f, "the field `{field}` was changed from {from} to {to}")
            }
            Self::BecameNullable { field } => write!(f, "the field `{field}` may be null now"),
            Self::BecameRequired { field } => {
                write!(f, "the field `{field}` may not be null any more")
            }
            Self::KeyChanged { from, to } => {
                write!(f, "a record is named by {} now, not by {}", named(to), named(from))
            }
            Self::StreamRemoved => f.write_str("the stream was removed"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{FieldKind, Place, StreamField, StreamMemory};
    use crate::ConnectorTypeKey;

    fn field(name: &str, kind: FieldKind, nullable: bool) -> StreamField {
        StreamField { name: name.to_owned(), kind, nullable }
    }

    #[test]
    fn every_change_is_told_in_words() {
        let memory = StreamMemory {
            fields: vec![
                field("id", FieldKind::Integer, false),
                field("gone", FieldKind::Text, true),
                field("day", FieldKind::Date, true),
                field("n", FieldKind::Text, false),
            ],
            primary_key: vec!["id".to_owned()],
            filter: None,
            place: None,
        };
        assert_eq!(memory.changes(&memory.fields, &memory.primary_key), []);
        let now = [
            field("id", FieldKind::Integer, true),
            field("day", FieldKind::Timestamp, false),
            field("n", FieldKind::Integer, false),
            field("new", FieldKind::Json, true),
        ];
        let changes = memory.changes(&now, &[]);
        let told: Vec<_> = changes.iter().map(ToString::to_string).collect();
        assert_eq!(
            told,
            [
                "the field `id` may be null now",
                "the field `gone` was removed",
                "the field `day` was widened from date to timestamp",
                "the field `day` may not be null any more",
                "the field `n` was changed from text to integer",
                "the field `new` was added; it holds json",
                "a record is named by its content now, not by `id`",
            ]
        );
        assert_eq!(changes.iter().filter(|it| it.is_of_shape()).count(), 5);
    }

    #[test]
    fn records_of_an_unknown_place_are_taken_for_those_of_any() {
        const CRM: ConnectorTypeKey = ConnectorTypeKey::of("crm");
        let (one, two) = (Place::of(&CRM, "one".into()), Place::of(&CRM, "two".into()));
        let known = StreamMemory { place: Some(one.clone()), ..StreamMemory::default() };
        assert!(known.is_of_another(Some(&two)));
        assert!(!known.is_of_another(Some(&one)));
        assert!(!StreamMemory::default().is_of_another(Some(&two)));
        let old: StreamMemory =
            serde_json::from_str(r#"{"fields":[],"primary_key":[],"filter":null}"#).unwrap();
        assert_eq!(old, StreamMemory::default());
    }
}
