//! What authorization servers are told about us.

use std::collections::BTreeSet;

use serde::Serialize;
use url::{Host, Url};

use super::ClientAuthentication;

/// What an authorization server is told about us (RFC 7591 §2): when we register, and in the document that is our identifier
/// where we do not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ClientMetadata {
    /// Our identifier; in a document only.
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<Url>,
    client_name: &'static str,
    redirect_uris: [Url; 1],
    grant_types: [&'static str; 2],
    response_types: [&'static str; 1],
    token_endpoint_auth_method: ClientAuthentication,
    application_type: ApplicationType,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<String>,
}

/// Where we run, as OpenID Connect Dynamic Client Registration 1.0 §2 has it: it rules which redirect URIs a server accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum ApplicationType {
    /// People come back to a server, over https.
    Web,
    /// People come back to a program on their own machine.
    Native,
}

/// Why no document can be our identifier at this URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidDocumentUrl {
    /// Anybody on the way could change it.
    #[error(
        "the URL of a client metadata document begins with https://; set the public URL of this server so"
    )]
    NotHttps,
    /// It would speak for everything at that host.
    #[error("the URL of a client metadata document has a path")]
    NoPath,
    /// It carries what no identifier may.
    #[error(
        "the URL of a client metadata document has neither query nor fragment, neither user nor password"
    )]
    Excess,
}

impl ClientMetadata {
    /// What we register with.
    pub fn registration(
        redirect_uri: &Url,
        authentication: ClientAuthentication,
        scopes: &BTreeSet<String>,
    ) -> Self {
        let scopes: Vec<&str> = scopes.iter().map(String::as_str).collect();
        Self {
            client_id: None,
            client_name: "Linkspan",
            redirect_uris: [redirect_uri.clone()],
            grant_types: ["authorization_code", "refresh_token"],
            response_types: ["code"],
            token_endpoint_auth_method: authentication,
            application_type: ApplicationType::of(redirect_uri),
            scope: (!scopes.is_empty()).then(|| scopes.join(" ")),
        }
    }

    /// The document at `document`, which is our identifier by being there (draft-ietf-oauth-client-id-metadata-document §3, §4).
    ///
    /// It is public, and so is the client: it holds no secret, and says of none.
    pub fn document(document: &Url, redirect_uri: &Url) -> Result<Self, InvalidDocumentUrl> {
        if document.scheme() != "https" {
            return Err(InvalidDocumentUrl::NotHttps);
        }
        if document.path() == "/" {
            return Err(InvalidDocumentUrl::NoPath);
        }
        let excess = document.query().is_some()
            || document.fragment().is_some()
            || !document.username().is_empty()
            || document.password().is_some();
        if excess {
            return Err(InvalidDocumentUrl::Excess);
        }
        let public = Self::registration(redirect_uri, ClientAuthentication::None, &BTreeSet::new());
        Ok(Self { client_id: Some(document.clone()), ..public })
    }
}

impl ApplicationType {
    fn of(redirect_uri: &Url) -> Self {
        if redirect_uri.scheme() == "https" { Self::Web } else { Self::Native }
    }
}

/// Whether what is sent to `url` is seen by nobody on the way: it is https, or stays on this machine (RFC 8252 §8.3).
pub fn is_private_transport(url: &Url) -> bool {
    match (url.scheme(), url.host()) {
        ("https", _) => true,
        ("http", Some(Host::Domain(name))) => name == "localhost",
        ("http", Some(Host::Ipv4(address))) => address.is_loopback(),
        ("http", Some(Host::Ipv6(address))) => address.is_loopback(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn url(text: &str) -> Url {
        text.parse().unwrap()
    }

    #[test]
    fn the_document_names_its_own_url_and_holds_no_secret() {
        let at = url("https://link.example/v1/oauth/client-metadata.json");
        let back = url("https://link.example/v1/oauth/callback");
        let document = ClientMetadata::document(&at, &back).unwrap();
        assert_eq!(
            serde_json::to_value(document).unwrap(),
            json!({
                "client_id": "https://link.example/v1/oauth/client-metadata.json",
                "client_name": "Linkspan",
                "redirect_uris": ["https://link.example/v1/oauth/callback"],
                "grant_types": ["authorization_code", "refresh_token"],
                "response_types": ["code"],
                "token_endpoint_auth_method": "none",
                "application_type": "web",
            })
        );
    }

    #[test]
    fn a_document_url_is_https_with_a_path_and_nothing_else() {
        let back = url("https://link.example/back");
        let table = [
            ("http://link.example/client.json", InvalidDocumentUrl::NotHttps),
            ("http://127.0.0.1/client.json", InvalidDocumentUrl::NotHttps),
            ("https://link.example", InvalidDocumentUrl::NoPath),
            ("https://link.example/client.json?v=1", InvalidDocumentUrl::Excess),
            ("https://link.example/client.json#a", InvalidDocumentUrl::Excess),
            ("https://me@link.example/client.json", InvalidDocumentUrl::Excess),
            ("https://me:pw@link.example/client.json", InvalidDocumentUrl::Excess),
        ];
        for (at, expected) in table {
            assert_eq!(ClientMetadata::document(&url(at), &back), Err(expected), "{at}");
        }
    }

    #[test]
    fn where_people_come_back_to_says_what_kind_of_application_we_are() {
        for (back, kind) in [
            ("https://link.example/back", "web"),
            ("http://127.0.0.1:8080/back", "native"),
            ("http://localhost/back", "native"),
        ] {
            let scopes = BTreeSet::from(["b".to_owned(), "a".to_owned()]);
            let metadata = ClientMetadata::registration(
                &url(back),
                ClientAuthentication::ClientSecretBasic,
                &scopes,
            );
            let metadata = serde_json::to_value(metadata).unwrap();
            assert_eq!(metadata["application_type"], kind, "{back}");
            assert_eq!(metadata["scope"], "a b");
            assert_eq!(metadata.get("client_id"), None);
        }
    }

    #[test]
    fn only_this_machine_is_spoken_to_in_the_clear() {
        for private in
            ["https://a.test", "http://localhost:1", "http://127.9.9.9", "http://[::1]/x"]
        {
            assert!(is_private_transport(&url(private)), "{private}");
        }
        for open in
            ["http://a.test", "http://10.0.0.1", "http://localhost.a.test", "ftp://localhost"]
        {
            assert!(!is_private_transport(&url(open)), "{open}");
        }
        assert!(!is_private_transport(&url("javascript:alert(1)")));
    }
}
