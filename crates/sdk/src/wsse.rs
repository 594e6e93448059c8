//! WS-Security UsernameToken, for systems that take a digest of the secret with each request.

use base64::{Engine, engine::general_purpose::STANDARD};
use http::HeaderValue;
use linkspan_domain::Secret;
use sha1::{Digest, Sha1};
use time::{OffsetDateTime, UtcOffset};

/// The value of an `X-WSSE` header: `PasswordDigest` is the SHA-1 of nonce, creation time and secret (OASIS WSS UsernameToken
/// Profile 1.1.1 §3.1).
///
/// `nonce` is new for each request, at least 32 hexadecimal digits. Servers take a token for some minutes only, and once.
///
/// ```
/// use linkspan_domain::Secret;
/// use linkspan_sdk::wsse;
/// use time::macros::datetime;
///
/// let secret = Secret::new("s3cret".to_owned());
/// let value = wsse(
///     "customer001",
///     &secret,
///     "d36e3162829ed4c89851497a717f0001",
///     datetime!(2026-05-12 10:30 UTC),
/// )?;
/// assert!(value.to_str()?.starts_with(r#"UsernameToken Username="customer001", PasswordDigest=""#));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn wsse(
    username: &str,
    secret: &Secret<String>,
    nonce: &str,
    created: OffsetDateTime,
) -> Result<HeaderValue, InvalidUsername> {
    let created = created.to_offset(UtcOffset::UTC);
    let created = format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z",
        created.year(),
        u8::from(created.month()),
        created.day(),
        created.hour(),
        created.minute(),
        created.second()
    );
    let digest = Sha1::new()
        .chain_update(nonce)
        .chain_update(&created)
        .chain_update(secret.expose())
        .finalize();
    let username = username.replace('\\', r"\\").replace('"', "\\\"");
    let (digest, nonce) = (STANDARD.encode(digest), STANDARD.encode(nonce));
    let token = format!(
        r#"UsernameToken Username="{username}", PasswordDigest="{digest}", Nonce="{nonce}", Created="{created}""#
    );
    let mut value = HeaderValue::from_str(&token).map_err(|_unfit| InvalidUsername)?;
    value.set_sensitive(true);
    Ok(value)
}

/// A header cannot hold the user name. Does not repeat it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the user name for X-WSSE holds a control character; enter it without")]
pub struct InvalidUsername;

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    const NONCE: &str = "d36e3162829ed4c89851497a717f0001";

    fn token(username: &str, created: OffsetDateTime) -> Result<HeaderValue, InvalidUsername> {
        wsse(username, &Secret::new("s3cret".to_owned()), NONCE, created)
    }

    #[test]
    fn the_digest_is_that_of_the_standard() {
        let expected = concat!(
            r#"UsernameToken Username="customer001", PasswordDigest="1ZJqRV/laMylCqBbwMCRhai00N8=", "#,
            r#"Nonce="ZDM2ZTMxNjI4MjllZDRjODk4NTE0OTdhNzE3ZjAwMDE=", Created="2026-05-12T10:30:00Z""#
        );
        assert_eq!(token("customer001", datetime!(2026-05-12 10:30 UTC)).unwrap(), expected);
        // The same moment elsewhere, and a part of a second.
        let elsewhere = datetime!(2026-05-12 12:30:00.9 +2);
        assert_eq!(token("customer001", elsewhere).unwrap(), expected);
    }

    #[test]
    fn the_header_is_hidden_from_logs_and_a_user_name_cannot_break_out_of_it() {
        let value = token(r#"a"b\c"#, datetime!(2026-05-12 10:30 UTC)).unwrap();
        assert!(value.to_str().unwrap().starts_with(r#"UsernameToken Username="a\"b\\c", "#));
        assert_eq!(format!("{value:?}"), "Sensitive");
        assert_eq!(token("a\nb", datetime!(2026-05-12 10:30 UTC)), Err(InvalidUsername));
    }
}
