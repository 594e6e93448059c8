//! What a protected resource says of itself (RFC 9728).

use std::collections::BTreeSet;

use linkspan_domain::{Challenge, Issuer, ports::OauthError};
use serde::Deserialize;
use url::Url;

use crate::wire::{Wire, host};

const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";

/// What a resource says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ProtectedResource {
    /// Its name, as it writes it.
    pub(crate) name: String,
    /// Who guards it.
    pub(crate) issuer: Issuer,
    /// The scopes that it knows.
    pub(crate) scopes: BTreeSet<String>,
}

/// What a challenge says to whoever wants to enter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Hint {
    /// Where the metadata is (RFC 9728 §5.1).
    metadata: Option<Url>,
    /// The scopes that it takes (RFC 6750 §3).
    pub(crate) scopes: BTreeSet<String>,
}

#[derive(Deserialize)]
struct Document {
    resource: String,
    #[serde(default)]
    authorization_servers: Vec<String>,
    #[serde(default)]
    scopes_supported: Vec<String>,
}

impl Hint {
    /// What `header` says. A header that breaks its grammar says nothing.
    pub(crate) fn of(header: &str) -> Self {
        let challenges = Challenge::all(header).unwrap_or_default();
        // DPoP-bound tokens are asked for with a challenge of their own, which says the same (RFC 9449 §7.1).
        let mut challenges = challenges.iter().filter(|it| it.is("Bearer") || it.is("DPoP"));
        let named = |name: &'static str| move |it: &&Challenge| it.parameter(name).is_some();
        let metadata = challenges.clone().find(named("resource_metadata"));
        let scopes = challenges.find(named("scope")).and_then(|it| it.parameter("scope"));
        Self {
            metadata: metadata
                .and_then(|it| it.parameter("resource_metadata"))
                .and_then(|it| it.parse().ok()),
            scopes: scopes.unwrap_or_default().split_whitespace().map(str::to_owned).collect(),
        }
    }
}

impl ProtectedResource {
    /// What the resource at `url` says of itself: where `hint` points, else at the well-known places. None if it says nothing.
    pub(crate) async fn find(
        wire: &Wire,
        url: &Url,
        hint: &Hint,
    ) -> Result<Option<Self>, OauthError> {
        let places = match &hint.metadata {
            Some(named) => vec![named.clone()],
            None => well_known(url),
        };
        for place in places {
            if let Some(document) = wire.document::<Document>(&place).await? {
                return Self::checked(document, url, &place).map(Some);
            }
        }
        if hint.metadata.is_some() {
            let what = "has no metadata where its challenge says that it is";
            return Err(OauthError::Unsound { host: host(url), what });
        }
        Ok(None)
    }

    fn checked(document: Document, url: &Url, place: &Url) -> Result<Self, OauthError> {
        // Whoever names another resource would get tokens for it (RFC 9728 §7.3).
        if !is_named(&document.resource, url, place) {
            let what = "has metadata of another resource than the one that was asked";
            return Err(OauthError::Unsound { host: host(url), what });
        }
        let Some(issuer) = document.authorization_servers.into_iter().next() else {
            let what = "authorization server for its resource";
            return Err(OauthError::Unsupported { host: host(url), what });
        };
        Ok(Self {
            name: document.resource,
            issuer: Issuer::new(issuer),
            scopes: document.scopes_supported.into_iter().collect(),
        })
    }
}

/// Whether `name` is that of the resource at `url`, or of its whole origin if the metadata is that of the origin (RFC 9728 §3.3).
fn is_named(name: &str, url: &Url, place: &Url) -> bool {
    let Ok(name) = name.parse::<Url>() else { return false };
    let of_the_origin = {
        let mut root = url.clone();
        root.set_path("/");
        root.set_query(None);
        name == root && place.origin() == url.origin() && place.path() == WELL_KNOWN
    };
    name == *url || of_the_origin
}

/// The places of the metadata of `url`: with its path inserted, then that of its origin (RFC 9728 §3.1).
fn well_known(url: &Url) -> Vec<Url> {
    let mut root = url.clone();
    root.set_fragment(None);
    root.set_query(None);
    root.set_path(WELL_KNOWN);
    let path = url.path().trim_end_matches('/');
    if path.is_empty() && url.query().is_none() {
        return vec![root];
    }
    let mut inserted = root.clone();
    inserted.set_path(&format!("{WELL_KNOWN}{path}"));
    inserted.set_query(url.query());
    vec![inserted, root]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        text.parse().unwrap()
    }

    #[test]
    fn the_path_of_the_resource_is_inserted_before_the_root_is_tried() {
        let table: [(&str, &[&str]); 4] = [
            ("https://a.test", &["https://a.test/.well-known/oauth-protected-resource"]),
            (
                "https://a.test/x/mcp",
                &[
                    "https://a.test/.well-known/oauth-protected-resource/x/mcp",
                    "https://a.test/.well-known/oauth-protected-resource",
                ],
            ),
            (
                "https://a.test/mcp/",
                &[
                    "https://a.test/.well-known/oauth-protected-resource/mcp",
                    "https://a.test/.well-known/oauth-protected-resource",
                ],
            ),
            (
                "https://a.test:8443/mcp?tenant=1",
                &[
                    "https://a.test:8443/.well-known/oauth-protected-resource/mcp?tenant=1",
                    "https://a.test:8443/.well-known/oauth-protected-resource",
                ],
            ),
        ];
        for (resource, expected) in table {
            let places: Vec<String> =
                well_known(&url(resource)).iter().map(Url::to_string).collect();
            assert_eq!(places, expected, "{resource}");
        }
    }

    #[test]
    fn metadata_names_the_resource_that_was_asked() {
        let inserted = "https://a.test/.well-known/oauth-protected-resource/mcp";
        let root = "https://a.test/.well-known/oauth-protected-resource";
        let table = [
            ("https://a.test/mcp", inserted, true),
            ("https://A.test:443/mcp", inserted, true),
            ("https://a.test/mcp", "https://a.test/elsewhere.json", true),
            ("https://a.test", root, true),
            ("https://a.test/", root, true),
            ("https://a.test/mcp", root, true),
            ("https://a.test", inserted, false),
            ("https://a.test", "https://evil.test/.well-known/oauth-protected-resource", false),
            ("https://a.test/mcp/", inserted, false),
            ("https://a.test/other", inserted, false),
            ("https://a.test/mcp?x=1", inserted, false),
            ("http://a.test/mcp", inserted, false),
            ("https://evil.test/mcp", inserted, false),
            ("mcp", inserted, false),
        ];
        for (name, place, expected) in table {
            let named = is_named(name, &url("https://a.test/mcp"), &url(place));
            assert_eq!(named, expected, "{name} at {place}");
        }
    }

    #[test]
    fn a_hint_comes_from_the_bearer_challenge_alone() {
        let header = r#"Basic realm="resource_metadata=\"https://evil.test\"", scope="no",
            Bearer error="invalid_token", Bearer resource_metadata="https://a.test/meta", scope="a  b""#
            .replace('\n', " ");
        let hint = Hint::of(&header);
        assert_eq!(hint.metadata, Some(url("https://a.test/meta")));
        assert_eq!(hint.scopes, BTreeSet::from(["a".to_owned(), "b".to_owned()]));
        assert_eq!(Hint::of("Bearer realm=\"open"), Hint::default());
        assert_eq!(Hint::of("Basic realm=x"), Hint::default());
    }
}
