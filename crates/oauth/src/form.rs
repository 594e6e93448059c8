//! Forms in which a client says who it is (RFC 6749 §2.3.1).

use base64::{Engine, engine::general_purpose::STANDARD};
use http::{
    HeaderMap, HeaderValue, Method,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE},
};
use linkspan_domain::{ClientAuthentication, OauthClient, Secret};
use url::form_urlencoded::{Serializer, byte_serialize};

use crate::wire::{JSON, Message};

/// `fields` as a POST from `client`, which says who it is in its own way.
pub(crate) fn authenticated<'f>(
    client: &'f OauthClient,
    fields: impl IntoIterator<Item = (&'f str, &'f str)>,
) -> Message {
    let mut form = Serializer::new(String::new());
    form.extend_pairs(fields);
    let form_type = HeaderValue::from_static("application/x-www-form-urlencoded");
    let mut headers = HeaderMap::from_iter([(ACCEPT, JSON), (CONTENT_TYPE, form_type)]);
    match (client.authentication, &client.client_secret) {
        (ClientAuthentication::ClientSecretBasic, Some(secret)) => {
            headers.extend(basic(&client.client_id, secret).map(|it| (AUTHORIZATION, it)));
        }
        (ClientAuthentication::ClientSecretPost, Some(secret)) => {
            form.append_pair("client_id", &client.client_id);
            form.append_pair("client_secret", secret.expose());
        }
        (_, None) | (ClientAuthentication::None, _) => {
            form.append_pair("client_id", &client.client_id);
        }
    }
    Message { method: Method::POST, headers, body: form.finish().into_bytes() }
}

/// Identifier and secret are encoded each by itself, so that a colon in either is none (RFC 6749 §2.3.1).
fn basic(id: &str, secret: &Secret<String>) -> Option<HeaderValue> {
    let id: String = byte_serialize(id.as_bytes()).collect();
    let secret: String = byte_serialize(secret.expose().as_bytes()).collect();
    let value = format!("Basic {}", STANDARD.encode(format!("{id}:{secret}")));
    let mut value = HeaderValue::from_str(&value).ok()?;
    value.set_sensitive(true);
    Some(value)
}
