//! What a column holds, and how it travels.

use linkspan_domain::FieldKind;

/// One column of a table.
pub(crate) type Column = crate::table::Column<Wire>;

/// The binary form in which a value arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wire {
    /// A whole number with a sign, of 1 to 8 bytes.
    Signed,
    /// A whole number without a sign, of 1 to 4 bytes.
    Unsigned,
    /// A whole number without a sign, of 8 bytes: more than a signed one can hold.
    Unsigned8,
    /// A floating-point number of 4 or 8 bytes.
    Float,
    /// One bit.
    Bit,
    /// Up to 63 bits.
    Bits,
    /// 64 bits.
    Bits64,
    Text,
    Bytes,
    Date,
    DateTime,
    /// Whatever it is, the server turns it into text.
    AsText,
}

/// What a column holds, by its type without and with its details: `bigint`, `bigint(20) unsigned`.
pub(super) fn of(data_type: &str, column_type: &str) -> (FieldKind, Wire) {
    let unsigned = column_type.contains("unsigned");
    match data_type {
        "bigint" if unsigned => (FieldKind::Decimal, Wire::Unsigned8),
        "tinyint" | "smallint" | "mediumint" | "int" | "bigint" if !unsigned => {
            (FieldKind::Integer, Wire::Signed)
        }
        "tinyint" | "smallint" | "mediumint" | "int" | "year" => {
            (FieldKind::Integer, Wire::Unsigned)
        }
        "bit" if column_type == "bit(1)" => (FieldKind::Boolean, Wire::Bit),
        "bit" if column_type == "bit(64)" => (FieldKind::Decimal, Wire::Bits64),
        "bit" => (FieldKind::Integer, Wire::Bits),
        "float" | "double" => (FieldKind::Number, Wire::Float),
        "decimal" => (FieldKind::Decimal, Wire::Text),
        "char" | "varchar" | "tinytext" | "text" | "mediumtext" | "longtext" | "enum" | "set"
        | "inet4" | "inet6" => (FieldKind::Text, Wire::Text),
        "json" => (FieldKind::Json, Wire::Text),
        "uuid" => (FieldKind::Uuid, Wire::Text),
        "date" => (FieldKind::Date, Wire::Date),
        "datetime" | "timestamp" => (FieldKind::Timestamp, Wire::DateTime),
        "binary" | "varbinary" | "tinyblob" | "blob" | "mediumblob" | "longblob" | "geometry"
        | "point" | "linestring" | "polygon" | "multipoint" | "multilinestring"
        | "multipolygon" | "geometrycollection" | "geomcollection" => {
            (FieldKind::Binary, Wire::Bytes)
        }
        // `time` among them: it is a span of up to 838 hours, which no time of day can say.
        _ => (FieldKind::Text, Wire::AsText),
    }
}

impl Wire {
    /// Whether a value may stand for none although the column takes no null: days that are none, `0000-00-00`.
    pub(super) const fn has_zero_dates(self) -> bool {
        matches!(self, Self::Date | Self::DateTime)
    }
}

impl Column {
    /// The column as a statement selects it.
    pub(crate) fn selected(&self) -> String {
        let name = quoted(&self.name);
        match self.wire {
            Wire::AsText => format!("cast({name} as char)"),
            _ => name,
        }
    }
}

/// `name` as SQL quotes it in every mode of the server.
pub(crate) fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn a_backtick_in_a_name_is_doubled() {
        assert_eq!(quoted("a`b"), "`a``b`");
        assert_eq!(quoted("x`; drop table `y"), "`x``; drop table ``y`");
    }
}
