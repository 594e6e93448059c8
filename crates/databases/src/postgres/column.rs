//! What a column holds, and how it travels.

use linkspan_domain::FieldKind;

use super::quoting::quoted;

/// One column of a table.
pub(crate) type Column = crate::table::Column<Wire>;

/// The binary form in which a value arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wire {
    Bool,
    Int2,
    Int4,
    Int8,
    Oid,
    Float4,
    Float8,
    Numeric,
    Text,
    /// Text that blanks fill up, which do not count when it is compared.
    Padded,
    Date,
    Time,
    Timestamp,
    Timestamptz,
    Uuid,
    Bytes,
    /// A version byte, then text.
    Jsonb,
    /// Whatever it is, the server turns it into text: ranges, intervals, enums, addresses, ….
    AsText,
    /// Whatever it is, the server turns it into JSON: lists.
    AsJson,
}

/// What a column of the type with this OID holds. OIDs of built-in types never change (`pg_type.dat`).
pub(super) const fn of(oid: i64, is_list: bool) -> (FieldKind, Wire) {
    match oid {
        16 => (FieldKind::Boolean, Wire::Bool),
        21 => (FieldKind::Integer, Wire::Int2),
        23 => (FieldKind::Integer, Wire::Int4),
        20 => (FieldKind::Integer, Wire::Int8),
        26 => (FieldKind::Integer, Wire::Oid),
        700 => (FieldKind::Number, Wire::Float4),
        701 => (FieldKind::Number, Wire::Float8),
        1700 => (FieldKind::Decimal, Wire::Numeric),
        // text, varchar; `name` is a list of characters to the catalog, but text to people.
        25 | 1043 | 19 => (FieldKind::Text, Wire::Text),
        1042 => (FieldKind::Text, Wire::Padded),
        1082 => (FieldKind::Date, Wire::Date),
        1083 => (FieldKind::Time, Wire::Time),
        1114 => (FieldKind::Timestamp, Wire::Timestamp),
        1184 => (FieldKind::Timestamp, Wire::Timestamptz),
        2950 => (FieldKind::Uuid, Wire::Uuid),
        17 => (FieldKind::Binary, Wire::Bytes),
        114 => (FieldKind::Json, Wire::Text),
        3802 => (FieldKind::Json, Wire::Jsonb),
        _ if is_list => (FieldKind::Json, Wire::AsJson),
        _ => (FieldKind::Text, Wire::AsText),
    }
}

impl Column {
    /// The column as a statement selects it.
    pub(crate) fn selected(&self) -> String {
        let name = quoted(&self.name);
        match self.wire {
            Wire::AsText => format!("{name}::text"),
            Wire::AsJson => format!("to_json({name})::text"),
            _ => name,
        }
    }
}
