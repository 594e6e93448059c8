//! Patterns of text: `LIKE`, `SIMILAR TO` and regular expressions, compiled once.

use regex::{Regex, RegexBuilder};

/// A pattern that text is matched with.
#[derive(Clone, Debug)]
pub struct Pattern {
    syntax: Syntax,
    source: String,
    compiled: Regex,
}

/// How a pattern is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Syntax {
    /// SQL `LIKE`: `%` for any text, `_` for one character, `\` takes the next as it is.
    Like,
    /// The same, without regard to case.
    Ilike,
    /// SQL `SIMILAR TO`: `LIKE` with alternatives, groups, classes and repetition; matches the whole text.
    Similar,
    /// A regular expression that may match anywhere.
    Regex,
    /// The same, without regard to case.
    Iregex,
}

/// The most memory one compiled pattern may take, in bytes.
const COMPILED_LIMIT: usize = 1 << 20;

impl Pattern {
    /// Compiles `source`, or nothing if it is not a pattern, or too large a one.
    pub(super) fn new(syntax: Syntax, source: &str) -> Option<Self> {
        let (expression, ignore_case) = match syntax {
            Syntax::Like => (like(source)?, false),
            Syntax::Ilike => (like(source)?, true),
            Syntax::Similar => (similar(source)?, false),
            Syntax::Regex => (source.to_owned(), false),
            Syntax::Iregex => (source.to_owned(), true),
        };
        let compiled = RegexBuilder::new(&expression)
            .case_insensitive(ignore_case)
            .dot_matches_new_line(true)
            .size_limit(COMPILED_LIMIT)
            .build()
            .ok()?;
        Some(Self { syntax, source: source.to_owned(), compiled })
    }

    /// The pattern as it was written.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The pattern of a `LIKE` that minds the case, if it is one.
    pub fn as_like(&self) -> Option<&str> {
        (self.syntax == Syntax::Like).then_some(&*self.source)
    }

    /// Whether `text` matches.
    pub fn matches(&self, text: &str) -> bool {
        self.compiled.is_match(text)
    }

    /// How Hasura calls matching it.
    pub(super) const fn operator(&self) -> &'static str {
        match self.syntax {
            Syntax::Like => "_like",
            Syntax::Ilike => "_ilike",
            Syntax::Similar => "_similar",
            Syntax::Regex => "_regex",
            Syntax::Iregex => "_iregex",
        }
    }

    /// How Hasura calls not matching it. Only `LIKE` has such an operator here.
    pub(super) const fn negated_operator(&self) -> &'static str {
        match self.syntax {
            Syntax::Ilike => "_nilike",
            _ => "_nlike",
        }
    }
}

impl Eq for Pattern {}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        (self.syntax, &self.source) == (other.syntax, &other.source)
    }
}

/// `LIKE` as a regular expression. PostgreSQL refuses a pattern that ends in its escape character; so do we.
fn like(source: &str) -> Option<String> {
    let mut expression = String::from("^");
    let mut characters = source.chars();
    while let Some(character) = characters.next() {
        match character {
            '%' => expression.push_str(".*"),
            '_' => expression.push('.'),
            '\\' => literal(&mut expression, characters.next()?),
            other => literal(&mut expression, other),
        }
    }
    expression.push('$');
    Some(expression)
}

/// `SIMILAR TO` as a regular expression (PostgreSQL documentation §9.7.2): `.`, `^` and `$` mean themselves.
fn similar(source: &str) -> Option<String> {
    let mut expression = String::from("^(?:");
    let mut characters = source.chars();
    let mut in_class = false;
    while let Some(character) = characters.next() {
        match character {
            '\\' => literal(&mut expression, characters.next()?),
            ']' if in_class => {
                in_class = false;
                expression.push(']');
            }
            // Inside brackets only the circumflex and the range keep a meaning.
            '^' | '-' if in_class => expression.push(character),
            other if in_class => literal(&mut expression, other),
            '[' => {
                in_class = true;
                expression.push('[');
            }
            '%' => expression.push_str(".*"),
            '_' => expression.push('.'),
            '|' | '*' | '+' | '?' | '(' | ')' | '{' | '}' => expression.push(character),
            other => literal(&mut expression, other),
        }
    }
    expression.push_str(")$");
    Some(expression)
}

fn literal(expression: &mut String, character: char) {
    expression.push_str(&regex::escape(character.encode_utf8(&mut [0; 4])));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(syntax: Syntax, pattern: &str, text: &str) -> bool {
        Pattern::new(syntax, pattern).unwrap().matches(text)
    }

    /// Each line was answered the same way by PostgreSQL 15.
    #[test]
    fn patterns_match_as_in_postgresql() {
        for (syntax, pattern, text, expected) in [
            (Syntax::Like, "a%", "abc", true),
            (Syntax::Like, "a%", "ABC", false),
            (Syntax::Like, "a_c", "abc", true),
            (Syntax::Like, "a_c", "ac", false),
            (Syntax::Like, "100\\%", "100%", true),
            (Syntax::Like, "100\\%", "1000", false),
            (Syntax::Like, "a.c", "abc", false),
            (Syntax::Like, "%", "", true),
            (Syntax::Like, "a%c", "a\nc", true),
            (Syntax::Ilike, "A%", "abc", true),
            (Syntax::Similar, "(b|c)%", "abc", false),
            (Syntax::Similar, "%(b|d)%", "abc", true),
            (Syntax::Similar, "a.c", "abc", false),
            (Syntax::Similar, "[a-c]+", "abcabc", true),
            (Syntax::Similar, "[^a-c]", "d", true),
            (Syntax::Similar, "a{2}", "aa", true),
            (Syntax::Similar, "a|bc", "bc", true),
            (Syntax::Similar, "a|bc", "abc", false),
            (Syntax::Regex, "b", "abc", true),
            (Syntax::Regex, "^b", "abc", false),
            (Syntax::Regex, "B", "abc", false),
            (Syntax::Iregex, "B", "abc", true),
        ] {
            assert_eq!(matches(syntax, pattern, text), expected, "{syntax:?} {pattern} {text}");
        }
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        assert!(Pattern::new(Syntax::Like, "a\\").is_none());
        assert!(Pattern::new(Syntax::Regex, "(").is_none());
        assert!(
            Pattern::new(Syntax::Regex, "(a{1000}){1000}").is_none(),
            "too large when compiled"
        );
    }
}
