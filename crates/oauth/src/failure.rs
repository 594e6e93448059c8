//! What a refusal of an authorization server means.

use linkspan_domain::{Issuer, ports::OauthError};
use serde_json::Value;

use crate::words::said;

/// Codes of servers that do not keep to RFC 6749 §5.2, and what they mean there.
///
/// Only what is certain stands here: `invalid_grant` sends a person to agree once more.
const DIALECTS: [(&str, &str); 11] = [
    // GitHub
    ("bad_verification_code", "invalid_grant"),
    ("bad_refresh_token", "invalid_grant"),
    ("incorrect_client_credentials", "invalid_client"),
    // Slack
    ("invalid_code", "invalid_grant"),
    ("code_already_used", "invalid_grant"),
    ("invalid_refresh_token", "invalid_grant"),
    ("token_revoked", "invalid_grant"),
    ("bad_client_secret", "invalid_client"),
    ("invalid_client_id", "invalid_client"),
    ("ratelimited", "temporarily_unavailable"),
    ("fatal_error", "server_error"),
];

/// What `issuer` refused, from the JSON of its answer if it had some; none of `secrets` is repeated.
pub(crate) fn refusal(
    issuer: &Issuer,
    status: u16,
    body: Option<&Value>,
    retry_after: Option<u64>,
    secrets: &[&str],
) -> OauthError {
    let issuer = issuer.clone();
    let text = |name: &str| body.and_then(|it| it.get(name)).and_then(Value::as_str);
    let own = text("error").unwrap_or_default();
    let code = DIALECTS.iter().find(|(dialect, _)| *dialect == own).map_or(own, |(_, code)| *code);
    let said = text("error_description").and_then(|it| said(it, secrets));
    match code {
        "invalid_grant" => OauthError::InvalidGrant { issuer, said },
        "invalid_client" => OauthError::InvalidClient { issuer, said },
        "temporarily_unavailable" | "server_error" | "slow_down" => {
            OauthError::Busy { issuer, status, code: Some(code.to_owned()), retry_after }
        }
        code => {
            let code = name(code, secrets).unwrap_or_else(|| format!("HTTP status {status}"));
            OauthError::Refused { issuer, code, said }
        }
    }
}

/// A code as RFC 6749 §5.2 has them, else nothing.
fn name(code: &str, secrets: &[&str]) -> Option<String> {
    let fit =
        code.len() <= 64 && code.chars().all(|it| it.is_ascii_alphanumeric() || "_-.".contains(it));
    if fit { said(code, secrets) } else { None }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(status: u16, body: &Value) -> OauthError {
        refusal(&Issuer::new("https://a.test".to_owned()), status, Some(body), Some(7), &["s3cret"])
    }

    #[test]
    fn a_refusal_is_understood_in_the_words_of_the_rfc_and_in_known_dialects() {
        for code in ["invalid_grant", "bad_refresh_token", "invalid_code", "token_revoked"] {
            let failure = of(400, &json!({ "error": code }));
            assert!(matches!(failure, OauthError::InvalidGrant { .. }), "{code}");
        }
        for code in ["invalid_client", "incorrect_client_credentials", "bad_client_secret"] {
            let failure = of(401, &json!({ "error": code }));
            assert!(matches!(failure, OauthError::InvalidClient { .. }), "{code}");
        }
        for (said, code) in [
            ("temporarily_unavailable", "temporarily_unavailable"),
            ("server_error", "server_error"),
            ("slow_down", "slow_down"),
            ("ratelimited", "temporarily_unavailable"),
        ] {
            let failure = of(400, &json!({ "error": said }));
            assert!(matches!(failure, OauthError::Busy { retry_after: Some(7), .. }), "{said}");
            assert!(failure.is_transient(), "{said}");
            assert_eq!(failure.code(), Some(code));
            let told = format!("https://a.test is not up to it at the moment (HTTP 400: {code})");
            assert_eq!(failure.to_string(), told);
        }
        // Something on the way may answer 401, too: a client is given up for no less than the word itself.
        assert!(matches!(of(401, &json!({})), OauthError::Refused { .. }));
        // And so is a grant.
        for body in [json!({}), json!({ "error": "invalid_request" }), json!({ "error": 7 })] {
            assert!(matches!(of(400, &body), OauthError::Refused { .. }));
        }
    }

    #[test]
    fn a_refusal_repeats_neither_secrets_nor_what_is_no_code() {
        let failure = of(400, &json!({ "error": "s3cret", "error_description": "not s3cret" }));
        assert_eq!(failure.to_string(), "https://a.test refused: HTTP status 400");
        let failure = of(400, &json!({ "error": "<script>", "error_description": "a\u{1b}[1mb" }));
        assert_eq!(failure.to_string(), "https://a.test refused: HTTP status 400: a[1mb");
        let failure = of(400, &json!({ "error": "invalid_scope" }));
        assert_eq!(failure.to_string(), "https://a.test refused: invalid_scope");
    }
}
