//! What strangers say, made fit for people, logs and databases.

/// The most characters that a text from elsewhere may have.
const LONGEST: usize = 200;

/// `text` from elsewhere, short and on one line, without the characters that hide or reorder what is around them, or that no
/// database has a place for. None: nothing is left of it.
///
/// ```
/// use linkspan_domain::plain_words;
/// assert_eq!(plain_words(" no\n\u{0}access ").as_deref(), Some("no access"));
/// ```
pub fn plain_words(text: &str) -> Option<String> {
    let words: String = text
        .chars()
        .map(|it| if it.is_whitespace() { ' ' } else { it })
        .filter(|it| !it.is_control() && !is_invisible(*it))
        .take(LONGEST)
        .collect();
    let words = words.trim();
    (!words.is_empty()).then(|| words.to_owned())
}

/// Characters that change how the text around them is shown (Unicode Cf, as far as it reorders or hides).
fn is_invisible(it: char) -> bool {
    matches!(it, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::{LONGEST, plain_words};

    #[test]
    fn words_from_elsewhere_are_short_and_have_no_control_characters() {
        let said = plain_words("  no\n\tgood\u{1b}[31m \u{202e}");
        assert_eq!(said.as_deref(), Some("no  good[31m"));
        assert_eq!(plain_words(&"é".repeat(500)).unwrap().chars().count(), LONGEST);
        assert_eq!(plain_words("\u{7}\u{202e} "), None);
    }
}
