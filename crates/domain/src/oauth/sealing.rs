//! The bytes that are sealed.
//!
//! What holds secrets implements no `Serialize`, so that it is not written anywhere by accident. The forms here are private.

use std::collections::BTreeSet;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use time::OffsetDateTime;
use url::Url;
use zeroize::Zeroizing;

use super::{
    AuthorizationServer, ClientAuthentication, ClientKey, ClientOrigin, ClientProof, Grant,
    GrantHolder, HeldGrant, Issuer, JournaledReply, OauthClient, PendingAuthorization,
};
use crate::{Secret, ports::TokenReply};

/// What has bytes to be sealed.
pub trait Sealable: Sized {
    /// The bytes.
    fn to_bytes(&self) -> Result<Secret<Vec<u8>>, InvalidSealedForm>;

    /// What was made of these bytes.
    fn from_bytes(bytes: &Secret<Vec<u8>>) -> Result<Self, InvalidSealedForm>;
}

/// The bytes are not what was sealed there. Does not repeat them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the sealed bytes are not in the form in which this program seals them")]
pub struct InvalidSealedForm;

macro_rules! sealable {
    ($($name:ident as $form:literal $wrapper:ident)+) => {$(
        #[derive(Serialize, Deserialize)]
        struct $wrapper(#[serde(with = $form)] $name);

        impl Sealable for $name {
            fn to_bytes(&self) -> Result<Secret<Vec<u8>>, InvalidSealedForm> {
                let bytes = serde_json::to_vec(&$wrapper(self.clone()));
                bytes.map(Secret::new).map_err(|_| InvalidSealedForm)
            }

            fn from_bytes(bytes: &Secret<Vec<u8>>) -> Result<Self, InvalidSealedForm> {
                let read = serde_json::from_slice::<$wrapper>(bytes.expose());
                read.map(|it| it.0).map_err(|_| InvalidSealedForm)
            }
        }
    )+};
}

sealable! {
    HeldGrant as "HeldForm" SealedGrant
    JournaledReply as "JournalForm" SealedReply
    OauthClient as "ClientForm" SealedClient
    PendingAuthorization as "PendingForm" SealedPending
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Grant")]
struct GrantForm {
    issuer: Issuer,
    #[serde(serialize_with = "text")]
    access_token: Secret<String>,
    #[serde(serialize_with = "optional_text")]
    refresh_token: Option<Secret<String>>,
    #[serde(with = "time::serde::rfc3339::option")]
    expires_at: Option<OffsetDateTime>,
    scopes: BTreeSet<String>,
    resource: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "HeldGrant")]
struct HeldForm {
    #[serde(with = "GrantForm")]
    grant: Grant,
    server: AuthorizationServer,
    #[serde(with = "ClientForm")]
    client: OauthClient,
    holder: GrantHolder,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "JournaledReply")]
struct JournalForm {
    #[serde(with = "HeldForm")]
    asked: HeldGrant,
    #[serde(with = "ReplyForm")]
    reply: TokenReply,
    #[serde(with = "time::serde::rfc3339")]
    received_at: OffsetDateTime,
}

/// The proof lies flat among the rest, as the first versions sealed a secret and the way to show it.
#[derive(Serialize, Deserialize)]
struct ClientForm {
    issuer: Issuer,
    origin: ClientOrigin,
    client_id: String,
    #[serde(serialize_with = "optional_text")]
    client_secret: Option<Secret<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none", serialize_with = "optional_text")]
    client_private_key: Option<Secret<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    client_key_id: Option<String>,
    authentication: ClientAuthentication,
    #[serde(with = "time::serde::rfc3339::option")]
    secret_expires_at: Option<OffsetDateTime>,
    #[serde(default)]
    redirect_uri: Option<Url>,
    registration_uri: Option<Url>,
    #[serde(serialize_with = "optional_text")]
    registration_token: Option<Secret<String>>,
}

impl ClientForm {
    fn serialize<S: Serializer>(client: &OauthClient, to: S) -> Result<S::Ok, S::Error> {
        Serialize::serialize(&Self::of(client.clone()), to)
    }

    fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<OauthClient, D::Error> {
        let form: Self = Deserialize::deserialize(from)?;
        form.client().ok_or_else(|| D::Error::custom("a client lacks its private key"))
    }

    fn of(client: OauthClient) -> Self {
        let authentication = client.proof.way();
        let (client_secret, key) = match client.proof {
            ClientProof::None => (None, None),
            ClientProof::SecretBasic(secret) | ClientProof::SecretPost(secret) => {
                (Some(secret), None)
            }
            ClientProof::PrivateKey(ClientKey { pem, id }) => (None, Some((pem, id))),
        };
        let (client_private_key, client_key_id) = key.unzip();
        Self {
            issuer: client.issuer,
            origin: client.origin,
            client_id: client.client_id,
            client_secret,
            client_private_key,
            client_key_id: client_key_id.flatten(),
            authentication,
            secret_expires_at: client.secret_expires_at,
            redirect_uri: client.redirect_uri,
            registration_uri: client.registration_uri,
            registration_token: client.registration_token,
        }
    }

    fn client(self) -> Option<OauthClient> {
        let proof = match (self.authentication, self.client_secret) {
            (ClientAuthentication::PrivateKeyJwt, _) => ClientProof::PrivateKey(ClientKey {
                pem: self.client_private_key?,
                id: self.client_key_id,
            }),
            (ClientAuthentication::ClientSecretBasic, Some(secret)) => {
                ClientProof::SecretBasic(secret)
            }
            (ClientAuthentication::ClientSecretPost, Some(secret)) => {
                ClientProof::SecretPost(secret)
            }
            // A secret that is never shown was sealed for servers that have no use for one.
            (ClientAuthentication::None, _) | (_, None) => ClientProof::None,
        };
        Some(OauthClient {
            issuer: self.issuer,
            origin: self.origin,
            client_id: self.client_id,
            proof,
            secret_expires_at: self.secret_expires_at,
            redirect_uri: self.redirect_uri,
            registration_uri: self.registration_uri,
            registration_token: self.registration_token,
        })
    }
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "PendingAuthorization")]
struct PendingForm {
    server: AuthorizationServer,
    #[serde(with = "ClientForm")]
    client: OauthClient,
    #[serde(serialize_with = "text")]
    verifier: Secret<String>,
    redirect_uri: Url,
    resource: Option<String>,
    scopes: BTreeSet<String>,
    return_to: Option<Url>,
    #[serde(serialize_with = "text")]
    url: Secret<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "TokenReply")]
struct ReplyForm {
    status: u16,
    #[serde(serialize_with = "bytes", deserialize_with = "read_bytes")]
    body: Secret<Vec<u8>>,
    retry_after: Option<u64>,
}

fn text<S: Serializer>(secret: &Secret<String>, to: S) -> Result<S::Ok, S::Error> {
    secret.expose().serialize(to)
}

#[expect(clippy::ref_option, reason = "serde passes a reference to the field")]
fn optional_text<S: Serializer>(secret: &Option<Secret<String>>, to: S) -> Result<S::Ok, S::Error> {
    secret.as_ref().map(Secret::expose).serialize(to)
}

fn bytes<S: Serializer>(secret: &Secret<Vec<u8>>, to: S) -> Result<S::Ok, S::Error> {
    Zeroizing::new(BASE64_STANDARD.encode(secret.expose())).serialize(to)
}

fn read_bytes<'de, D: Deserializer<'de>>(from: D) -> Result<Secret<Vec<u8>>, D::Error> {
    let text = Zeroizing::new(String::deserialize(from)?);
    BASE64_STANDARD.decode(&*text).map(Secret::new).map_err(D::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(proof: ClientProof) -> OauthClient {
        OauthClient {
            issuer: Issuer::new("https://a.test".to_owned()),
            origin: ClientOrigin::Preregistered,
            client_id: "us".to_owned(),
            proof,
            secret_expires_at: None,
            redirect_uri: None,
            registration_uri: None,
            registration_token: None,
        }
    }

    fn secret(text: &str) -> Secret<String> {
        Secret::new(text.to_owned())
    }

    /// As version 0.1 sealed them before there were private keys.
    fn before(client_secret: &str, authentication: &str) -> Secret<Vec<u8>> {
        let form = format!(
            r#"{{"issuer":"https://a.test","origin":"preregistered","client_id":"us","client_secret":{client_secret},"authentication":"{authentication}","secret_expires_at":null,"registration_uri":null,"registration_token":null}}"#
        );
        Secret::new(form.into_bytes())
    }

    #[test]
    fn a_client_that_was_sealed_before_there_were_keys_opens_as_what_it_was() {
        let table = [
            (r#""s""#, "client_secret_basic", ClientProof::SecretBasic(secret("s"))),
            (r#""s""#, "client_secret_post", ClientProof::SecretPost(secret("s"))),
            (r#""s""#, "none", ClientProof::None),
            ("null", "none", ClientProof::None),
        ];
        for (client_secret, authentication, proof) in table {
            let opened = OauthClient::from_bytes(&before(client_secret, authentication)).unwrap();
            assert_eq!(opened, client(proof), "{authentication}");
        }
    }

    #[test]
    fn every_proof_is_the_same_once_it_was_sealed() {
        for proof in [
            ClientProof::None,
            ClientProof::SecretBasic(secret("s")),
            ClientProof::SecretPost(secret("s")),
            ClientProof::PrivateKey(ClientKey { pem: secret("key"), id: Some("1".to_owned()) }),
            ClientProof::PrivateKey(ClientKey { pem: secret("key"), id: None }),
        ] {
            let client = client(proof);
            let opened = OauthClient::from_bytes(&client.to_bytes().unwrap()).unwrap();
            assert_eq!(opened, client);
        }
    }

    #[test]
    fn a_client_without_the_key_that_it_needs_is_none() {
        let opened = OauthClient::from_bytes(&before("null", "private_key_jwt"));
        assert_eq!(opened, Err(InvalidSealedForm));
    }
}
