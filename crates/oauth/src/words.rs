//! What servers say, made fit for people and logs.

use linkspan_domain::OauthClient;

/// The most characters that a text of a server may have.
const LONGEST: usize = 200;

/// What a server said, short and on one line; nothing if it repeats one of `secrets`.
pub(crate) fn said(text: &str, secrets: &[&str]) -> Option<String> {
    if secrets.iter().any(|secret| !secret.is_empty() && text.contains(secret)) {
        return None;
    }
    let words: String = text
        .chars()
        .map(|it| if it.is_whitespace() { ' ' } else { it })
        .filter(|it| !it.is_control() && !is_invisible(*it))
        .take(LONGEST)
        .collect();
    let words = words.trim();
    (!words.is_empty()).then(|| words.to_owned())
}

/// What a server knows of `client`, and nobody else may.
pub(crate) fn secrets_of(client: &OauthClient) -> Vec<&str> {
    let secrets = [&client.client_secret, &client.registration_token];
    secrets.into_iter().flatten().map(|it| it.expose().as_str()).collect()
}

/// Characters that change how the text around them is shown (Unicode Cf, as far as it reorders or hides).
fn is_invisible(it: char) -> bool {
    matches!(it, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_of_a_server_is_short_and_has_no_control_characters() {
        assert_eq!(said("  no\n\tgood\u{1b}[31m \u{202e}", &[]).as_deref(), Some("no  good[31m"));
        assert_eq!(said(&"é".repeat(500), &[]).unwrap().chars().count(), LONGEST);
        assert_eq!(said("\u{7}\u{202e} ", &[]), None);
    }

    #[test]
    fn a_text_that_repeats_a_secret_is_not_repeated() {
        assert_eq!(said("token rt_123 is unknown", &["", "rt_123"]), None);
        assert_eq!(said("token is unknown", &["", "rt_123"]).as_deref(), Some("token is unknown"));
    }
}
