//! What an authorization server says of itself (RFC 8414, OpenID Connect Discovery 1.0).

use std::collections::BTreeSet;

use linkspan_domain::{
    AuthorizationServer, ClientAuthentication, Issuer, is_private_transport, ports::OauthError,
};
use serde::Deserialize;
use url::Url;

use crate::wire::{Wire, host, origin};

const OAUTH: &str = "/.well-known/oauth-authorization-server";
const OPENID: &str = "/.well-known/openid-configuration";

const LONGEST_ISSUER: usize = 1024;

/// The endpoints of a server without metadata (MCP 2025-03-26, "Fallbacks for Servers without Metadata Discovery").
const DEFAULTS: [&str; 3] = ["/authorize", "/token", "/register"];

/// The document, as far as we use it (RFC 8414 §2).
#[derive(Deserialize)]
struct Document {
    issuer: String,
    authorization_endpoint: Option<String>,
    token_endpoint: Option<String>,
    registration_endpoint: Option<String>,
    revocation_endpoint: Option<String>,
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
    scopes_supported: Option<BTreeSet<String>>,
    code_challenge_methods_supported: Option<BTreeSet<String>>,
    authorization_response_iss_parameter_supported: Option<bool>,
    client_id_metadata_document_supported: Option<bool>,
}

/// The metadata of `issuer`, from the first of its well-known places that has some.
pub(crate) async fn of_issuer(
    wire: &Wire,
    issuer: &Issuer,
) -> Result<AuthorizationServer, OauthError> {
    let Some(url) = issuer_url(issuer.as_str()) else {
        let what =
            "is no authorization server: an issuer is an https URL without query and fragment";
        return Err(OauthError::Unsound { host: shown(issuer), what });
    };
    match search(wire, &well_known(&url)).await? {
        Some((document, place)) if document.issuer == issuer.as_str() => document.checked(&place),
        Some((_, place)) => Err(another_issuer(&place)),
        None => {
            let what = "authorization server metadata";
            Err(OauthError::Unsupported { host: host(&url), what })
        }
    }
}

/// The metadata at `place`, which an operator named. Its issuer is one whose well-known place that is.
pub(crate) async fn at(wire: &Wire, place: &Url) -> Result<AuthorizationServer, OauthError> {
    let Some(document) = wire.document::<Document>(place).await? else {
        let what = "authorization server metadata at the URL that the connector names";
        return Err(OauthError::Unsupported { host: host(place), what });
    };
    let issuer = issuer_url(&document.issuer);
    if !issuer.is_some_and(|it| well_known(&it).contains(place)) {
        return Err(another_issuer(place));
    }
    document.checked(place)
}

/// The server at the origin of `resource`, which is older than RFC 9728: with its metadata, else at the default endpoints
/// (MCP 2025-03-26, "Authorization Base URL").
pub(crate) async fn of_origin(
    wire: &Wire,
    resource: &Url,
) -> Result<AuthorizationServer, OauthError> {
    let mut base = resource.clone();
    base.set_path("/");
    base.set_query(None);
    base.set_fragment(None);
    let issuer = origin(&base);
    let found = search(wire, &well_known(&base)).await?;
    let mut server = match found {
        // Nobody wrote the issuer down, so both ways to write an origin are the one that was asked.
        Some((document, place))
            if document.issuer == issuer.as_str() || document.issuer == base.as_str() =>
        {
            document.checked(&place)?
        }
        Some((_, place)) => return Err(another_issuer(&place)),
        None => {
            let [authorize, token, register] = DEFAULTS.map(|path| {
                let mut endpoint = base.clone();
                endpoint.set_path(path);
                endpoint
            });
            AuthorizationServer {
                authorization_endpoint: Some(authorize),
                registration_endpoint: Some(register),
                ..bare(issuer, token)
            }
        }
    };
    // That revision has every client and every server use PKCE, and nobody say so.
    server.challenge_methods.get_or_insert_with(|| BTreeSet::from(["S256".to_owned()]));
    Ok(server)
}

/// A server of which nothing is known but where its tokens are.
pub(crate) const fn bare(issuer: Issuer, token_endpoint: Url) -> AuthorizationServer {
    AuthorizationServer {
        issuer,
        names_itself: false,
        authorization_endpoint: None,
        token_endpoint,
        registration_endpoint: None,
        revocation_endpoint: None,
        authentications: Vec::new(),
        scopes: None,
        challenge_methods: None,
        sends_issuer: false,
        reads_client_documents: false,
    }
}

/// An endpoint that `host` names: secrets go there, or people do.
pub(crate) fn endpoint(text: &str, host: &str) -> Result<Url, OauthError> {
    // The parser of URLs takes hosts with braces: placeholders that nobody filled in.
    let is_template = text.contains(['{', '}']);
    let url = text.parse().ok().filter(|it: &Url| {
        !is_template
            && is_private_transport(it)
            && it.fragment().is_none()
            && it.username().is_empty()
            && it.password().is_none()
    });
    let what = "names an endpoint that is no https URL";
    url.ok_or_else(|| OauthError::Unsound { host: host.to_owned(), what })
}

/// The first document at `places`. A server that is too busy at one of them may have it at the next.
async fn search(wire: &Wire, places: &[Url]) -> Result<Option<(Document, Url)>, OauthError> {
    let mut busy = None;
    for place in places {
        match wire.document::<Document>(place).await {
            Ok(Some(document)) => return Ok(Some((document, place.clone()))),
            Ok(None) => {}
            Err(failure @ OauthError::Busy { .. }) => busy = Some(failure),
            Err(failure) => return Err(failure),
        }
    }
    busy.map_or(Ok(None), Err)
}

/// The URL that an issuer is. Texts are compared and shown, so it is nothing that a URL parser would have to clean.
fn issuer_url(text: &str) -> Option<Url> {
    let url: Url = text.parse().ok()?;
    let fit = text.len() <= LONGEST_ISSUER
        && text.bytes().all(|it| it.is_ascii_graphic())
        && is_private_transport(&url)
        && url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none();
    fit.then_some(url)
}

/// Where an issuer keeps its metadata, in the order of MCP 2025-11-25, "Authorization Server Metadata Discovery".
fn well_known(issuer: &Url) -> Vec<Url> {
    let path = issuer.path().trim_end_matches('/');
    let mut paths = vec![format!("{OAUTH}{path}"), format!("{OPENID}{path}")];
    if !path.is_empty() {
        paths.push(format!("{path}{OPENID}"));
    }
    let place = |path: &String| {
        let mut place = issuer.clone();
        place.set_path(path);
        place
    };
    paths.iter().map(place).collect()
}

fn another_issuer(place: &Url) -> OauthError {
    OauthError::Unsound { host: host(place), what: "answers with metadata of another issuer" }
}

fn shown(issuer: &Issuer) -> String {
    crate::words::said(issuer.as_str(), &[]).unwrap_or_default()
}

impl Document {
    fn checked(self, place: &Url) -> Result<AuthorizationServer, OauthError> {
        let host = host(place);
        let optional = |it: Option<String>| it.map(|it| endpoint(&it, &host)).transpose();
        let Some(token_endpoint) = optional(self.token_endpoint)? else {
            return Err(OauthError::Unsupported { host, what: "token endpoint" });
        };
        let methods = self.token_endpoint_auth_methods_supported;
        let authentications: Vec<ClientAuthentication> =
            methods.iter().flatten().filter_map(|it| it.parse().ok()).collect();
        if methods.is_some() && authentications.is_empty() {
            let what = "way to say who we are that we know (client_secret_basic, client_secret_post, private_key_jwt, none)";
            return Err(OauthError::Unsupported { host, what });
        }
        Ok(AuthorizationServer {
            names_itself: true,
            authorization_endpoint: optional(self.authorization_endpoint)?,
            registration_endpoint: optional(self.registration_endpoint)?,
            revocation_endpoint: optional(self.revocation_endpoint)?,
            authentications,
            scopes: self.scopes_supported,
            challenge_methods: self.code_challenge_methods_supported,
            sends_issuer: self.authorization_response_iss_parameter_supported == Some(true),
            reads_client_documents: self.client_id_metadata_document_supported == Some(true),
            ..bare(Issuer::new(self.issuer), token_endpoint)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_issuer_with_a_path_has_three_places_and_one_without_has_two() {
        let table: [(&str, &[&str]); 3] = [
            (
                "https://a.test",
                &[
                    "https://a.test/.well-known/oauth-authorization-server",
                    "https://a.test/.well-known/openid-configuration",
                ],
            ),
            (
                "https://a.test/tenant1",
                &[
                    "https://a.test/.well-known/oauth-authorization-server/tenant1",
                    "https://a.test/.well-known/openid-configuration/tenant1",
                    "https://a.test/tenant1/.well-known/openid-configuration",
                ],
            ),
            (
                "https://a.test:8443/x/y/",
                &[
                    "https://a.test:8443/.well-known/oauth-authorization-server/x/y",
                    "https://a.test:8443/.well-known/openid-configuration/x/y",
                    "https://a.test:8443/x/y/.well-known/openid-configuration",
                ],
            ),
        ];
        for (issuer, expected) in table {
            let places = well_known(&issuer.parse().unwrap());
            let places: Vec<String> = places.iter().map(Url::to_string).collect();
            assert_eq!(places, expected, "{issuer}");
        }
    }

    #[test]
    fn an_issuer_is_an_https_url_and_nothing_more() {
        for fit in ["https://a.test", "https://a.test/x", "http://127.0.0.1:4444"] {
            assert!(issuer_url(fit).is_some(), "{fit}");
        }
        for unfit in [
            "a.test",
            "http://a.test",
            "https://a.test?x",
            "https://a.test#x",
            "https://me@a.test",
            "file:///etc/passwd",
            "https://a.te\nst",
            " https://a.test",
            &format!("https://a.test/{}", "x".repeat(LONGEST_ISSUER)),
        ] {
            assert!(issuer_url(unfit).is_none(), "{unfit}");
        }
    }

    #[test]
    fn an_endpoint_is_never_a_script_and_never_in_the_clear() {
        assert!(endpoint("https://a.test/token?tenant=1", "a.test").is_ok());
        for unfit in ["javascript:alert(1)", "http://a.test/token", "/token", "https://a.test/#x"] {
            assert!(
                matches!(endpoint(unfit, "a.test"), Err(OauthError::Unsound { .. })),
                "{unfit}"
            );
        }
    }
}
