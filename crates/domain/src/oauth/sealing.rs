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
    AuthorizationServer, ClientAuthentication, ClientOrigin, Grant, GrantHolder, HeldGrant, Issuer,
    JournaledReply, OauthClient, PendingAuthorization,
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

#[derive(Serialize, Deserialize)]
#[serde(remote = "OauthClient")]
struct ClientForm {
    issuer: Issuer,
    origin: ClientOrigin,
    client_id: String,
    #[serde(serialize_with = "optional_text")]
    client_secret: Option<Secret<String>>,
    authentication: ClientAuthentication,
    #[serde(with = "time::serde::rfc3339::option")]
    secret_expires_at: Option<OffsetDateTime>,
    #[serde(default)]
    redirect_uri: Option<Url>,
    registration_uri: Option<Url>,
    #[serde(serialize_with = "optional_text")]
    registration_token: Option<Secret<String>>,
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
