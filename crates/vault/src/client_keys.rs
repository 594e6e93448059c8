//! The private keys of OAuth clients, and what they sign (RFC 7523, RFC 7518 §3.3, §3.4).

use std::sync::Arc;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use linkspan_domain::{
    ClientKey, ClientKeyError, Secret,
    ports::{ClientSigner, World},
};
use ring::{
    rand::{SecureRandom, SystemRandom},
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, RSA_PKCS1_SHA256, RsaKeyPair},
};
use rustls_pki_types::{PrivateKeyDer, pem::PemObject};
use serde_json::{Value, json};
use time::Duration;
use zeroize::Zeroizing;

use crate::jwt::{self, Algorithm};

/// Signs with keys that clients bring along: EC P-256 and RSA, as PKCS#8 in PEM. It keeps none.
pub struct ClientKeys {
    world: Arc<dyn World>,
    random: SystemRandom,
}

/// A key that can sign.
enum Pair {
    P256(EcdsaKeyPair),
    Rsa(RsaKeyPair),
}

/// How long an assertion is good for. It is made for one request and sent at once.
const LASTS: Duration = Duration::MINUTE;

impl ClientKeys {
    /// Keys that sign by the clock of `world`.
    pub fn new(world: Arc<dyn World>) -> Self {
        Self { world, random: SystemRandom::new() }
    }

    /// What names an assertion, and nobody can guess.
    fn name(&self) -> Result<String, ClientKeyError> {
        let mut bytes = [0; 16];
        self.random.fill(&mut bytes).map_err(|_| ClientKeyError::NoRandomness)?;
        Ok(BASE64_URL_SAFE_NO_PAD.encode(bytes))
    }
}

impl ClientSigner for ClientKeys {
    fn check(&self, key: &ClientKey) -> Result<(), ClientKeyError> {
        // Some of what makes a key sound is only seen when it signs.
        Pair::read(&key.pem, &self.random)?.sign(b"", &self.random).map(drop)
    }

    fn assertion(
        &self,
        key: &ClientKey,
        client_id: &str,
        audience: &str,
    ) -> Result<Secret<String>, ClientKeyError> {
        let pair = Pair::read(&key.pem, &self.random)?;
        // The type keeps it from being taken for another token under the same key (draft-ietf-oauth-rfc7523bis, RFC 8725 §3.11).
        let mut header = json!({ "alg": pair.algorithm(), "typ": "client-authentication+jwt" });
        if let Some(id) = &key.id {
            header["kid"] = Value::from(id.as_str());
        }
        let now = self.world.now();
        let claims = json!({
            "iss": client_id,
            "sub": client_id,
            "aud": audience,
            "jti": self.name()?,
            "iat": now.unix_timestamp(),
            "exp": now.saturating_add(LASTS).unix_timestamp(),
        });
        jwt::signed(&header, &claims, |signed| pair.sign(signed, &self.random))
    }
}

impl Pair {
    fn read(pem: &Secret<String>, random: &SystemRandom) -> Result<Self, ClientKeyError> {
        let pem = pem.expose();
        // Both ways of PEM to say so; no base64 has such a word by chance.
        if pem.contains("ENCRYPTED") {
            return Err(ClientKeyError::Encrypted);
        }
        let found = PrivateKeyDer::from_pem_slice(pem.as_bytes());
        let found = Zeroizing::new(found.map_err(|_| ClientKeyError::NoKey)?);
        let PrivateKeyDer::Pkcs8(der) = &*found else { return Err(ClientKeyError::NotPkcs8) };
        let der = der.secret_pkcs8_der();
        EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der, random)
            .map(Self::P256)
            .or_else(|_| RsaKeyPair::from_pkcs8(der).map(Self::Rsa))
            .map_err(|_| ClientKeyError::Unusable)
    }

    const fn algorithm(&self) -> Algorithm {
        match self {
            Self::P256(_) => Algorithm::Es256,
            Self::Rsa(_) => Algorithm::Rs256,
        }
    }

    fn sign(&self, bytes: &[u8], random: &SystemRandom) -> Result<Vec<u8>, ClientKeyError> {
        match self {
            Self::P256(pair) => {
                let signature = pair.sign(random, bytes);
                signature.map(|it| it.as_ref().to_vec()).map_err(|_| ClientKeyError::NoRandomness)
            }
            Self::Rsa(pair) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                let signed = pair.sign(&RSA_PKCS1_SHA256, random, bytes, &mut signature);
                signed.map(|()| signature).map_err(|_| ClientKeyError::Unusable)
            }
        }
    }
}

#[cfg(test)]
mod tests;
