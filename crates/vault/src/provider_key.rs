//! The public keys of an identity provider (RFC 7517, RFC 7518 §6, RFC 8037).

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, RSA_PSS_2048_8192_SHA256,
    RsaPublicKeyComponents, UnparsedPublicKey,
};
use serde::Deserialize;
use serde_json::Value;

use crate::jwt::{Algorithm, Header};

/// One key of a provider.
pub(crate) struct ProviderKey {
    id: Option<String>,
    /// The only algorithm that it is for, if the provider says so.
    only: Option<Algorithm>,
    material: Material,
}

enum Material {
    Rsa {
        n: Vec<u8>,
        e: Vec<u8>,
    },
    /// An uncompressed point of P-256.
    P256(Vec<u8>),
    Ed25519(Vec<u8>),
}

/// What a provider publishes.
#[derive(Deserialize)]
pub(crate) struct KeySet {
    keys: Vec<Value>,
}

#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    r#use: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

impl KeySet {
    /// The keys that check signatures of the kinds that are taken. Others are passed over, as RFC 7517 §5 wants it.
    pub(crate) fn into_keys(self) -> Vec<ProviderKey> {
        self.keys.into_iter().filter_map(ProviderKey::of).collect()
    }
}

impl ProviderKey {
    fn of(jwk: Value) -> Option<Self> {
        let Jwk { kty, kid, alg, r#use, crv, n, e, x, y } = serde_json::from_value(jwk).ok()?;
        if r#use.is_some_and(|it| it != "sig") {
            return None;
        }
        let only = match alg {
            // An algorithm that is not taken makes a key that is not taken.
            Some(name) => Some(serde_json::from_value(Value::String(name)).ok()?),
            None => None,
        };
        let decode = |part: Option<String>| BASE64_URL_SAFE_NO_PAD.decode(part?).ok();
        let material = match (kty.as_str(), crv.as_deref()) {
            ("RSA", _) => Material::Rsa { n: decode(n)?, e: decode(e)? },
            ("EC", Some("P-256")) => {
                let (across, up) = (decode(x)?, decode(y)?);
                (across.len() == 32 && up.len() == 32)
                    .then(|| Material::P256([&[4][..], &across, &up].concat()))?
            }
            ("OKP", Some("Ed25519")) => Material::Ed25519(decode(x)?),
            _ => return None,
        };
        Some(Self { id: kid, only, material })
    }

    /// Whether a token with `header` may be signed with this key. One that names no key may be with any of its kind.
    pub(crate) fn fits(&self, header: &Header) -> bool {
        let is_named = header.kid.as_ref().is_none_or(|it| self.id.as_ref() == Some(it));
        let is_for_it = self.only.is_none_or(|it| it == header.alg);
        let is_of_its_kind = matches!(
            (&self.material, header.alg),
            (Material::Rsa { .. }, Algorithm::Rs256 | Algorithm::Ps256)
                | (Material::P256(_), Algorithm::Es256)
                | (Material::Ed25519(_), Algorithm::EdDsa)
        );
        is_named && is_for_it && is_of_its_kind
    }

    /// Whether `signature` is of this key, over `signed`.
    pub(crate) fn signed(&self, algorithm: Algorithm, signed: &[u8], signature: &[u8]) -> bool {
        match (&self.material, algorithm) {
            (Material::Rsa { n, e }, Algorithm::Rs256) => RsaPublicKeyComponents { n, e }
                .verify(&RSA_PKCS1_2048_8192_SHA256, signed, signature)
                .is_ok(),
            (Material::Rsa { n, e }, Algorithm::Ps256) => RsaPublicKeyComponents { n, e }
                .verify(&RSA_PSS_2048_8192_SHA256, signed, signature)
                .is_ok(),
            (Material::P256(point), Algorithm::Es256) => {
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point)
                    .verify(signed, signature)
                    .is_ok()
            }
            (Material::Ed25519(key), Algorithm::EdDsa) => {
                UnparsedPublicKey::new(&ED25519, key).verify(signed, signature).is_ok()
            }
            _ => false,
        }
    }
}
