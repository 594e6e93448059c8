//! What proves who a client is.

use super::{ClientAuthentication, Issuer};
use crate::Secret;

/// What proves to an authorization server that we are the client that we say we are, and how it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientProof {
    /// Nothing: the client is public.
    None,
    /// A secret, in the `Authorization` header.
    SecretBasic(Secret<String>),
    /// A secret, in the body.
    SecretPost(Secret<String>),
    /// A private key. It never leaves: what it signs does.
    PrivateKey(ClientKey),
}

/// The private key of a client. The server has the public half.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientKey {
    /// The key: PKCS#8 in PEM.
    pub pem: Secret<String>,
    /// What the server calls it (`kid`, RFC 7515 §4.1.4), where it has to know which of several it is.
    pub id: Option<String>,
}

/// What somebody who registered a client gives us to prove that we are it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GivenProof {
    /// Nothing: the client is public.
    None,
    /// A secret. The server says how it is shown.
    Secret(Secret<String>),
    /// A private key.
    PrivateKey(ClientKey),
}

/// Why a private key cannot sign for a client. Repeats no part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClientKeyError {
    /// There is none in the text.
    #[error("there is no private key in PEM, which begins with -----BEGIN PRIVATE KEY-----")]
    NoKey,
    /// It takes a pass phrase to read it.
    #[error(
        "the private key is encrypted; give it as `openssl pkcs8 -topk8 -nocrypt -in key.pem` writes it, without a pass phrase"
    )]
    Encrypted,
    /// It is in a form of its kind alone.
    #[error(
        "the private key is not in PKCS#8; give it as `openssl pkcs8 -topk8 -nocrypt -in key.pem` writes it"
    )]
    NotPkcs8,
    /// It is of another kind, too short, or damaged.
    #[error(
        "the private key is not one that can be used: keys on the curve P-256, with their public half, sign ES256, and RSA keys \
         of 2048 to 4096 bits sign RS256"
    )]
    Unusable,
    /// The system's random generator failed.
    #[error("the system gave no randomness to sign with")]
    NoRandomness,
}

/// Why a client that somebody registered is none that we can be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnfitProof {
    /// Its key cannot sign.
    #[error(transparent)]
    Key(#[from] ClientKeyError),
    /// The server takes no such proof.
    #[error("{issuer} {}", taken_instead_of(*way))]
    NotTaken {
        /// Which server.
        issuer: Issuer,
        /// How the proof would have been shown.
        way: ClientAuthentication,
    },
}

const fn taken_instead_of(way: ClientAuthentication) -> &'static str {
    match way {
        ClientAuthentication::PrivateKeyJwt => {
            "takes no client that proves who it is by a private key (private_key_jwt); give one with a secret"
        }
        ClientAuthentication::ClientSecretBasic | ClientAuthentication::ClientSecretPost => {
            "takes no client that proves who it is by a secret; give one that has none, or the private key of one"
        }
        ClientAuthentication::None => {
            "takes only clients that prove who they are by a private key (private_key_jwt); give the key of one"
        }
    }
}

impl ClientProof {
    /// How it is shown.
    pub const fn way(&self) -> ClientAuthentication {
        match self {
            Self::None => ClientAuthentication::None,
            Self::SecretBasic(_) => ClientAuthentication::ClientSecretBasic,
            Self::SecretPost(_) => ClientAuthentication::ClientSecretPost,
            Self::PrivateKey(_) => ClientAuthentication::PrivateKeyJwt,
        }
    }

    /// The secret, if it is one that the server knows as well.
    pub const fn secret(&self) -> Option<&Secret<String>> {
        match self {
            Self::SecretBasic(secret) | Self::SecretPost(secret) => Some(secret),
            Self::None | Self::PrivateKey(_) => None,
        }
    }
}
