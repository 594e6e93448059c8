//! What callers say about connecting.

use std::collections::BTreeSet;

use linkspan_app::{Authorize, GivenClient};
use linkspan_domain::{ClientKey, Code, GivenProof, Secret, is_scope};
use poem_openapi::registry::MetaSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use crate::{
    body::PlainBody,
    problem::Failure,
    schema::{object, property},
};

/// What is wanted of a provider.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AuthorizeBody {
    #[serde(default)]
    client_id: Option<String>,
    #[serde(default)]
    client_secret: Option<Secret<String>>,
    #[serde(default)]
    client_private_key: Option<Secret<String>>,
    #[serde(default)]
    client_key_id: Option<String>,
    #[serde(default)]
    scopes: BTreeSet<String>,
    #[serde(default)]
    redirect_url: Option<Url>,
    #[serde(default)]
    state: Option<String>,
}

impl PlainBody for AuthorizeBody {
    const NAME: &'static str = "NewAuthorization";
    const TYPE: &'static str = "authorization";

    fn schema() -> MetaSchema {
        let properties = vec![
            property::<Option<String>>(
                "client_id",
                "The client that was registered with the provider. Without it, the one that is kept, or one is registered.",
            ),
            property::<Option<String>>("client_secret", "The secret of that client. It is sealed."),
            property::<Option<String>>(
                "client_private_key",
                "The private key of that client, in place of a secret (`private_key_jwt`): PKCS#8 in PEM, not encrypted, on the \
                 curve P-256 (ES256) or RSA of 2048 to 4096 bits (RS256). The provider has its public half. It is sealed.",
            ),
            property::<Option<String>>(
                "client_key_id",
                "What the provider calls that key (`kid`), where it has to know which of several it is.",
            ),
            property::<Vec<String>>(
                "scopes",
                "What to ask for beyond what the connector asks for.",
            ),
            property::<Option<String>>(
                "redirect_url",
                "Where the person ends up. An operator allows where that may be.",
            ),
            property::<Option<String>>("state", "What goes with them there."),
        ];
        object(properties, &[])
    }

    fn example() -> Option<Value> {
        Some(json!({ "scopes": ["invoices.read"] }))
    }
}

/// The most bytes that may go with a person: they are part of a URL.
const LONGEST_STATE: usize = 2_000;

/// The most bytes of a client's name or secret, of all scopes, and of an address: they are part of a URL, and of the audit trail.
const LONGEST: usize = 2_000;

/// The most bytes of a private key. One of RSA with 4096 bits has less than a quarter.
const LONGEST_KEY: usize = 16_000;

/// Whether `text` can be the name of a client (RFC 6749 appendix A.1).
fn is_client_id(text: &str) -> bool {
    text.len() <= LONGEST && text.chars().all(|it| matches!(it, ' '..='~'))
}

fn refused(detail: &'static str, attribute: &str) -> Failure {
    Failure::new(Code::Invalid, detail).at(format!("/data/attributes/{attribute}"))
}

/// The client that was given, if one was, and what proves that we are it.
fn client(
    id: Option<String>,
    secret: Option<Secret<String>>,
    key: Option<Secret<String>>,
    key_id: Option<String>,
) -> Result<Option<GivenClient>, Failure> {
    let proof = match (secret, key, key_id) {
        (None, None, None) => GivenProof::None,
        (Some(secret), None, None) => GivenProof::Secret(secret),
        (None, Some(pem), id) => GivenProof::PrivateKey(ClientKey { pem, id }),
        (Some(_), Some(_), _) => {
            let detail = "a client has a secret or a private key: give the one that the provider knows it by";
            return Err(refused(detail, "client_private_key"));
        }
        (_, None, Some(_)) => {
            let detail = "give the `client_private_key` that the provider calls so";
            return Err(refused(detail, "client_key_id"));
        }
    };
    match &proof {
        GivenProof::Secret(secret) if secret.expose().len() > LONGEST => {
            return Err(refused("the secret is longer than 2,000 bytes", "client_secret"));
        }
        GivenProof::PrivateKey(key) if key.pem.expose().len() > LONGEST_KEY => {
            return Err(refused("the key is longer than 16,000 bytes", "client_private_key"));
        }
        GivenProof::PrivateKey(ClientKey { id: Some(id), .. }) if id.len() > LONGEST => {
            return Err(refused("the name of the key is longer than 2,000 bytes", "client_key_id"));
        }
        _ => {}
    }
    match id {
        Some(id) if !is_client_id(&id) => {
            let detail =
                "the name of a client is up to 2,000 characters of ASCII, and none that controls";
            Err(refused(detail, "client_id"))
        }
        Some(id) if !id.is_empty() => Ok(Some(GivenClient { id, proof })),
        None if proof == GivenProof::None => Ok(None),
        Some(_) if proof == GivenProof::None => {
            Err(refused("the name of a client is not empty: give it, or leave it out", "client_id"))
        }
        _ => {
            let detail = "give the `client_id` that the secret or the key belongs to";
            Err(refused(detail, "client_id"))
        }
    }
}

impl AuthorizeBody {
    /// Nothing but where the person ends up, and with what.
    pub(super) fn back_to(redirect_url: Option<Url>, state: Option<String>) -> Self {
        Self { redirect_url, state, ..Self::default() }
    }

    pub(super) fn read(self) -> Result<Authorize, Failure> {
        let Self { scopes, redirect_url: return_to, state, .. } = self;
        let client = client(
            self.client_id,
            self.client_secret,
            self.client_private_key,
            self.client_key_id,
        )?;
        if scopes.iter().map(|it| it.len() + 1).sum::<usize>() > LONGEST {
            return Err(refused("the scopes are longer than 2,000 bytes", "scopes"));
        }
        if return_to.as_ref().is_some_and(|it| it.as_str().len() > LONGEST) {
            return Err(refused("the address is longer than 2,000 bytes", "redirect_url"));
        }
        if !scopes.iter().all(|it| is_scope(it)) {
            let detail = "a scope is a word of ASCII without blanks, quotes and backslashes";
            return Err(refused(detail, "scopes"));
        }
        if state.as_ref().is_some_and(|it| it.len() > LONGEST_STATE) {
            let detail = "the state is longer than 2,000 bytes, which not every browser takes back";
            return Err(refused(detail, "state"));
        }
        Ok(Authorize { client, scopes, return_to, state, expected: None })
    }
}
