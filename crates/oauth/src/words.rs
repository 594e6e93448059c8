//! What servers say, made fit for people and logs.

use linkspan_domain::{ClientProof, OauthClient, plain_words};

/// What a server said, as [`plain_words`]; nothing if it repeats one of `secrets`.
pub(crate) fn said(text: &str, secrets: &[&str]) -> Option<String> {
    let repeats =
        |text: &str| secrets.iter().any(|secret| !secret.is_empty() && text.contains(secret));
    // What hides in a text may fall apart to a secret once it is made plain.
    plain_words(text).filter(|words| !repeats(text) && !repeats(words))
}

/// What a server learns from `client`, and nobody else may.
pub(crate) fn secrets_of(client: &OauthClient) -> Vec<&str> {
    let secrets = [client.proof.secret(), client.registration_token.as_ref()];
    let secrets = secrets.into_iter().flatten().map(|it| it.expose().as_str());
    // Assertions are forgotten once they are sent. This is what each of them begins with, in base64: `{"`.
    let assertion = matches!(client.proof, ClientProof::PrivateKey(_)).then_some("eyJ");
    secrets.chain(assertion).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_repeats_a_secret_is_not_repeated() {
        assert_eq!(said("token rt_123 is unknown", &["", "rt_123"]), None);
        assert_eq!(said("token rt\u{0}_123 is unknown", &["rt_123"]), None);
        assert_eq!(said("token is unknown", &["", "rt_123"]).as_deref(), Some("token is unknown"));
    }
}
