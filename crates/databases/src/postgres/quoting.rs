//! Names and texts inside statements.

/// `name` as SQL quotes it (PostgreSQL documentation §4.1.1).
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
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
    use super::quoted;

    #[test]
    fn a_quote_in_a_name_is_doubled() {
        assert_eq!(quoted("a\"b"), "\"a\"\"b\"");
    }
}
