//! Signatures of Standard Webhooks (<https://www.standardwebhooks.com>, "Signature scheme").

use std::fmt;

use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, Mac};
use linkspan_domain::Secret;
use sha2::Sha256;

/// What a secret begins with.
const PREFIX: &str = "whsec_";

/// How many bytes a key may have.
const KEY: std::ops::RangeInclusive<usize> = 24..=64;

/// A key that messages are signed with.
pub(crate) struct SigningKey(Hmac<Sha256>);

/// A text that is no secret for webhooks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct InvalidSecret;

impl fmt::Display for InvalidSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "must be `{PREFIX}` and then {} to {} bytes in base64", KEY.start(), KEY.end())
    }
}

impl SigningKey {
    /// Reads `whsec_…`.
    pub(crate) fn parse(secret: &Secret) -> Result<Self, InvalidSecret> {
        let text = secret.expose().strip_prefix(PREFIX).ok_or(InvalidSecret)?;
        let key = STANDARD.decode(text).map_err(|_| InvalidSecret)?;
        if !KEY.contains(&key.len()) {
            return Err(InvalidSecret);
        }
        Hmac::new_from_slice(&key).map(Self).map_err(|_| InvalidSecret)
    }

    /// The signature of a message, with the version of the scheme before it.
    pub(crate) fn sign(&self, id: &str, timestamp: u64, body: &[u8]) -> String {
        let head = format!("{id}.{timestamp}.");
        let signature = self.0.clone().chain_update(head).chain_update(body).finalize();
        format!("v1,{}", STANDARD.encode(signature.into_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_vector_of_the_standard_is_signed_as_published() {
        let secret = Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_owned());
        let key = SigningKey::parse(&secret).unwrap();
        let signed =
            key.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, b"{\"test\": 2432232314}");
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn what_is_no_secret_is_refused() {
        for text in ["", "whsec_", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_c2hvcnQ=", "whsec_!"]
        {
            assert!(SigningKey::parse(&Secret::new(text.to_owned())).is_err(), "{text}");
        }
    }
}
