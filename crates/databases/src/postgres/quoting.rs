//! Names and texts inside statements.

/// `name` as SQL quotes it (PostgreSQL documentation §4.1.1).
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Any text as a literal, byte by byte, for databases in UTF-8. Unlike what a function yields, it takes the collation of what
/// it is compared with.
pub(super) fn bare_literal(text: &str) -> String {
    use std::fmt::Write;

    let bytes = text.bytes().fold(String::new(), |mut bytes, byte| {
        // Writing to a string cannot fail.
        let _ = write!(bytes, "\\x{byte:02x}");
        bytes
    });
    format!("E'{bytes}'")
}

/// Any text as an SQL expression without a single character of it in the statement.
pub(super) fn text_literal(text: &str) -> String {
    use std::fmt::Write;

    let hex = text.bytes().fold(String::new(), |mut hex, byte| {
        // Writing to a string cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    });
    format!("convert_from(decode('{hex}', 'hex'), 'UTF8')")
}

#[cfg(test)]
mod tests {
    use super::{bare_literal, quoted};

    #[test]
    fn a_literal_has_no_character_of_its_text() {
        assert_eq!(bare_literal("a'\\é"), r"E'\x61\x27\x5c\xc3\xa9'");
        assert_eq!(bare_literal(""), "E''");
    }

    #[test]
    fn a_quote_in_a_name_is_doubled() {
        assert_eq!(quoted("a\"b"), "\"a\"\"b\"");
    }
}
