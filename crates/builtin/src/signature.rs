//! Signatures of Standard Webhooks (<https://www.standardwebhooks.com>, "Signature scheme").

use std::fmt;

use base64::{Engine, engine::general_purpose::STANDARD};
use linkspan_domain::Secret;
use sha2::{Digest, Sha256};

/// What a secret begins with.
const PREFIX: &str = "whsec_";

/// How many bytes a key may have.
const KEY: std::ops::RangeInclusive<usize> = 24..=64;

/// A key that messages are signed with.
pub(crate) struct SigningKey(Vec<u8>);

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
        if KEY.contains(&key.len()) { Ok(Self(key)) } else { Err(InvalidSecret) }
    }

    /// The signature of a message, with the version of the scheme before it.
    pub(crate) fn sign(&self, id: &str, timestamp: u64, body: &[u8]) -> String {
        let head = format!("{id}.{timestamp}.");
        format!("v1,{}", STANDARD.encode(hmac(&self.0, &[head.as_bytes(), body])))
    }
}

/// HMAC-SHA-256 (RFC 2104) of the parts in a row.
fn hmac(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    const BLOCK: usize = 64;
    let mut padded = [0; BLOCK];
    if key.len() > BLOCK {
        padded[..32].copy_from_slice(&Sha256::digest(key));
    } else {
        padded[..key.len()].copy_from_slice(key);
    }
    let begin = |pad: u8| Sha256::new_with_prefix(padded.map(|it| it ^ pad));
    let inner = parts.iter().fold(begin(0x36), Sha256::chain_update).finalize();
    begin(0x5c).chain_update(inner).finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        use std::fmt::Write as _;

        bytes.iter().fold(String::new(), |mut hex, byte| {
            write!(hex, "{byte:02x}").unwrap();
            hex
        })
    }

    #[test]
    fn the_vector_of_the_standard_is_signed_as_published() {
        let secret = Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_owned());
        let key = SigningKey::parse(&secret).unwrap();
        let signed =
            key.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, b"{\"test\": 2432232314}");
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    /// RFC 4231, cases 1, 2 and 6.
    #[test]
    fn the_vectors_of_hmac_are_met() {
        for (key, text, expected) in [
            (
                vec![0x0b; 20],
                "Hi There",
                "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
            ),
            (
                b"Jefe".to_vec(),
                "what do ya want for nothing?",
                "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
            ),
            (
                vec![0xaa; 131],
                "Test Using Larger Than Block-Size Key - Hash Key First",
                "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
            ),
        ] {
            let (one, other) = text.split_at(3);
            assert_eq!(hex(&hmac(&key, &[one.as_bytes(), other.as_bytes()])), expected);
        }
    }

    #[test]
    fn what_is_no_secret_is_refused() {
        for text in ["", "whsec_", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_c2hvcnQ=", "whsec_!"]
        {
            assert!(SigningKey::parse(&Secret::new(text.to_owned())).is_err(), "{text}");
        }
    }
}
