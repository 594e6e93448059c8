//! What a resource answers to whoever may not enter: `WWW-Authenticate` (RFC 9110 §11.6.1).

use std::{iter::Peekable, str::Chars};

use http::{HeaderMap, header::WWW_AUTHENTICATE};

/// One challenge of the header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    /// The scheme, as it was written; case does not matter.
    pub scheme: String,
    /// The token that stands in the place of parameters, with some schemes.
    pub token: Option<String>,
    /// The parameters, names in lower case.
    pub parameters: Vec<(String, String)>,
}

/// The header breaks its grammar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the WWW-Authenticate header breaks the grammar of RFC 9110 §11.6.1")]
pub struct InvalidChallenge;

impl Challenge {
    /// The header of a response, if there is one. Several lines are one, joined by commas (RFC 9110 §5.3).
    pub fn header(headers: &HeaderMap) -> Option<String> {
        let lines = headers.get_all(WWW_AUTHENTICATE).iter();
        let lines: Vec<&str> = lines.filter_map(|it| it.to_str().ok()).collect();
        (!lines.is_empty()).then(|| lines.join(", "))
    }

    /// All challenges of `header`.
    pub fn all(header: &str) -> Result<Vec<Self>, InvalidChallenge> {
        Reader { rest: header.chars().peekable() }.challenges()
    }

    /// The value of a parameter.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(it, _)| it == name).map(|(_, value)| value.as_str())
    }

    /// Whether it asks for the scheme `name`.
    pub fn is(&self, name: &str) -> bool {
        self.scheme.eq_ignore_ascii_case(name)
    }
}

struct Reader<'h> {
    rest: Peekable<Chars<'h>>,
}

/// What may follow the first word of a list element.
enum Element {
    /// `word = value`, which belongs to the challenge before.
    Parameter(String, String),
    /// `word`, maybe with a token, maybe with a first parameter.
    Challenge(Challenge),
}

impl Reader<'_> {
    fn challenges(mut self) -> Result<Vec<Challenge>, InvalidChallenge> {
        let mut found: Vec<Challenge> = Vec::new();
        loop {
            // Empty elements of a list count for nothing (RFC 9110 §5.6.1.2).
            while self.blanks() > 0 || self.skip(',') {}
            if self.rest.peek().is_none() {
                return Ok(found);
            }
            match self.element()? {
                Element::Challenge(challenge) => found.push(challenge),
                Element::Parameter(name, value) => {
                    found.last_mut().ok_or(InvalidChallenge)?.add(&name, value)?;
                }
            }
            self.blanks();
            if self.rest.peek().is_some() && !self.skip(',') {
                return Err(InvalidChallenge);
            }
        }
    }

    fn element(&mut self) -> Result<Element, InvalidChallenge> {
        let word = self.token()?;
        let blanks = self.blanks();
        if self.skip('=') {
            self.blanks();
            return Ok(Element::Parameter(word, self.value()?));
        }
        let mut challenge = Challenge { scheme: word, token: None, parameters: Vec::new() };
        if matches!(self.rest.peek(), None | Some(',')) {
            return Ok(Element::Challenge(challenge));
        }
        if blanks == 0 {
            return Err(InvalidChallenge);
        }
        self.inside(&mut challenge)?;
        Ok(Element::Challenge(challenge))
    }

    /// What stands behind a scheme: a token such as `YWJj==`, or the first parameter.
    fn inside(&mut self, challenge: &mut Challenge) -> Result<(), InvalidChallenge> {
        let mut word = self.run(|it| is_token_char(it) || it == '/');
        let before = self.rest.clone();
        self.blanks();
        if self.skip('=') {
            self.blanks();
            // Behind padding, nothing of this challenge follows.
            if !matches!(self.rest.peek(), None | Some('=' | ',')) {
                if word.is_empty() || word.contains('/') {
                    return Err(InvalidChallenge);
                }
                let value = self.value()?;
                return challenge.add(&word, value);
            }
        }
        self.rest = before;
        word.push_str(&self.run(|it| it == '='));
        let content = word.trim_end_matches('=');
        if content.is_empty() || !content.chars().all(is_token68_char) {
            return Err(InvalidChallenge);
        }
        challenge.token = Some(word);
        Ok(())
    }

    fn value(&mut self) -> Result<String, InvalidChallenge> {
        if !self.skip('"') {
            return self.token();
        }
        let mut text = String::new();
        loop {
            match self.rest.next().ok_or(InvalidChallenge)? {
                '"' => return Ok(text),
                '\\' => text
                    .push(self.rest.next().filter(|it| is_quotable(*it)).ok_or(InvalidChallenge)?),
                other if is_quotable(other) => text.push(other),
                _ => return Err(InvalidChallenge),
            }
        }
    }

    fn token(&mut self) -> Result<String, InvalidChallenge> {
        let token = self.run(is_token_char);
        if token.is_empty() { Err(InvalidChallenge) } else { Ok(token) }
    }

    fn blanks(&mut self) -> usize {
        self.run(|it| matches!(it, ' ' | '\t')).len()
    }

    fn run(&mut self, belongs: impl Fn(char) -> bool) -> String {
        let mut run = String::new();
        while let Some(next) = self.rest.next_if(|it| belongs(*it)) {
            run.push(next);
        }
        run
    }

    fn skip(&mut self, wanted: char) -> bool {
        self.rest.next_if_eq(&wanted).is_some()
    }
}

impl Challenge {
    fn add(&mut self, name: &str, value: String) -> Result<(), InvalidChallenge> {
        let name = name.to_ascii_lowercase();
        // Each name occurs once (RFC 9110 §11.2), and beside a token there are no parameters.
        if self.token.is_some() || self.parameter(&name).is_some() {
            return Err(InvalidChallenge);
        }
        self.parameters.push((name, value));
        Ok(())
    }
}

/// RFC 9110 §5.6.2.
fn is_token_char(it: char) -> bool {
    it.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(it)
}

/// RFC 9110 §11.2, without the padding.
fn is_token68_char(it: char) -> bool {
    it.is_ascii_alphanumeric() || "-._~+/".contains(it)
}

/// RFC 9110 §5.6.4: everything that is seen, blanks and what is beyond ASCII.
fn is_quotable(it: char) -> bool {
    it == '\t' || !it.is_ascii_control()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn challenge(scheme: &str, parameters: &[(&str, &str)]) -> Challenge {
        let parameters =
            parameters.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
        Challenge { scheme: scheme.to_owned(), token: None, parameters }
    }

    fn with_token(scheme: &str, token: &str) -> Challenge {
        Challenge { token: Some(token.to_owned()), ..challenge(scheme, &[]) }
    }

    /// Checklist 21.
    #[test]
    fn challenges_are_read_by_grammar_and_not_by_pattern() {
        let table = [
            ("", vec![]),
            (" , ,", vec![]),
            ("Bearer", vec![challenge("Bearer", &[])]),
            ("Basic, Bearer", vec![challenge("Basic", &[]), challenge("Bearer", &[])]),
            (
                r#"Bearer realm="a, b=\"c\", Bearer resource_metadata=\"https://evil.test\"", scope=x"#,
                vec![challenge(
                    "Bearer",
                    &[
                        ("realm", r#"a, b="c", Bearer resource_metadata="https://evil.test""#),
                        ("scope", "x"),
                    ],
                )],
            ),
            (
                r#"Negotiate YWJj==,Bearer  error = "invalid_token" ,,SCOPE="a b", Basic realm=x"#,
                vec![
                    with_token("Negotiate", "YWJj=="),
                    challenge("Bearer", &[("error", "invalid_token"), ("scope", "a b")]),
                    challenge("Basic", &[("realm", "x")]),
                ],
            ),
            ("NTLM a/b+c=", vec![with_token("NTLM", "a/b+c=")]),
            ("NTLM abc", vec![with_token("NTLM", "abc")]),
            (r#"Bearer realm="""#, vec![challenge("Bearer", &[("realm", "")])]),
            ("Bearer realm=\"é\"", vec![challenge("Bearer", &[("realm", "é")])]),
        ];
        for (header, expected) in table {
            assert_eq!(Challenge::all(header), Ok(expected), "{header}");
        }
    }

    #[test]
    fn what_breaks_the_grammar_is_no_challenge_at_all() {
        for header in [
            "realm=\"x\"",
            "Bearer realm=\"x",
            "Bearer realm=\"x\\",
            "Bearer realm=\"x\" scope=y",
            "Bearer realm=a b",
            "Bearer realm=x, realm=y",
            "Bearer realm=x, REALM=y",
            "Bearer abc==, realm=x",
            "Bearer \"x\"",
            "Bearer a/b=\"c\"",
            "=x",
            "\u{1}",
            "Bearer realm=\"\u{7}\"",
        ] {
            assert_eq!(Challenge::all(header), Err(InvalidChallenge), "{header}");
        }
    }

    fn written(challenges: &[Challenge], blank: &str) -> String {
        let mut elements = Vec::new();
        for challenge in challenges {
            let mut element = challenge.scheme.clone();
            if let Some(token) = &challenge.token {
                element = format!("{element} {token}");
            }
            for (index, (name, value)) in challenge.parameters.iter().enumerate() {
                let value = value.replace('\\', r"\\").replace('"', "\\\"");
                let parameter = format!("{name}{blank}={blank}\"{value}\"");
                if index == 0 {
                    element = format!("{element} {parameter}");
                } else {
                    elements.push(std::mem::replace(&mut element, parameter));
                }
            }
            elements.push(element);
        }
        elements.join(&format!("{blank},,{blank}"))
    }

    fn any_challenge() -> impl Strategy<Value = Challenge> {
        let parameters = prop::collection::btree_map("[a-z_]{1,8}", "[ -~\té]{0,20}", 0..4);
        let token = prop::option::of("[A-Za-z0-9/+._~-]{1,12}={0,2}");
        ("[A-Za-z][A-Za-z0-9-]{0,8}", token, parameters).prop_map(|(scheme, token, parameters)| {
            let parameters =
                if token.is_some() { Vec::new() } else { parameters.into_iter().collect() };
            Challenge { scheme, token, parameters }
        })
    }

    proptest! {
        #[test]
        fn what_was_written_by_the_grammar_is_read_back(
            challenges in prop::collection::vec(any_challenge(), 0..4),
            blank in "[ \t]{0,2}",
        ) {
            prop_assert_eq!(Challenge::all(&written(&challenges, &blank)), Ok(challenges));
        }

        #[test]
        fn nothing_that_a_server_sends_makes_the_reader_fail(header in "\\PC*") {
            let _ = Challenge::all(&header);
        }
    }
}
