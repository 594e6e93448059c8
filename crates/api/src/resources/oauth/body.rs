//! What callers say about connecting.

use std::collections::BTreeSet;

use linkspan_app::{Authorize, GivenClient};
use linkspan_domain::{Code, Secret};
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

/// Whether `text` can be the name of a client (RFC 6749 appendix A.1).
fn is_client_id(text: &str) -> bool {
    text.len() <= LONGEST && text.chars().all(|it| matches!(it, ' '..='~'))
}

/// Whether `text` can be a scope (RFC 6749 §3.3).
fn is_scope(text: &str) -> bool {
    let fits = |it: char| matches!(it, '!'..='~') && !matches!(it, '"' | '\\');
    !text.is_empty() && text.chars().all(fits)
}

impl AuthorizeBody {
    /// Nothing but where the person ends up, and with what.
    pub(super) fn back_to(redirect_url: Option<Url>, state: Option<String>) -> Self {
        Self { redirect_url, state, ..Self::default() }
    }

    pub(super) fn read(self) -> Result<Authorize, Failure> {
        let Self { client_id, client_secret, scopes, redirect_url: return_to, state } = self;
        let client = match (client_id, client_secret) {
            (Some(id), secret) if !id.is_empty() => Some(GivenClient { id, secret }),
            (None, None) => None,
            (Some(_) | None, _) => {
                let detail = "give the `client_id` that the secret belongs to";
                let failure = Failure::new(Code::Invalid, detail);
                return Err(failure.at("/data/attributes/client_id"));
            }
        };
        let refused =
            |detail: &'static str, at: &str| Err(Failure::new(Code::Invalid, detail).at(at));
        if client.as_ref().is_some_and(|it| !is_client_id(&it.id)) {
            let detail =
                "the name of a client is up to 2,000 characters of ASCII, and none that controls";
            return refused(detail, "/data/attributes/client_id");
        }
        let secret = client.as_ref().and_then(|it| it.secret.as_ref());
        if secret.is_some_and(|it| it.expose().len() > LONGEST) {
            return refused(
                "the secret is longer than 2,000 bytes",
                "/data/attributes/client_secret",
            );
        }
        if scopes.iter().map(|it| it.len() + 1).sum::<usize>() > LONGEST {
            return refused("the scopes are longer than 2,000 bytes", "/data/attributes/scopes");
        }
        if return_to.as_ref().is_some_and(|it| it.as_str().len() > LONGEST) {
            let detail = "the address is longer than 2,000 bytes";
            return refused(detail, "/data/attributes/redirect_url");
        }
        if !scopes.iter().all(|it| is_scope(it)) {
            let detail = "a scope is a word of ASCII without blanks, quotes and backslashes";
            return refused(detail, "/data/attributes/scopes");
        }
        if state.as_ref().is_some_and(|it| it.len() > LONGEST_STATE) {
            let detail = "the state is longer than 2,000 bytes, which not every browser takes back";
            return refused(detail, "/data/attributes/state");
        }
        Ok(Authorize { client, scopes, return_to, state, expected: None })
    }
}
