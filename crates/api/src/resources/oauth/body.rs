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

impl AuthorizeBody {
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
        Ok(Authorize { client, scopes, return_to, state })
    }
}
