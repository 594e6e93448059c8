//! Authorization servers.

use std::{collections::BTreeSet, fmt};

use serde::{Deserialize, Serialize};
use url::Url;

use super::{ClientAuthentication, ClientProof, GivenProof, UnfitProof};

/// The name of an authorization server. Two are the same only if they are the same text: nothing is normalized (RFC 8414
/// §3.3, RFC 9207 §2.4).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Issuer(String);

impl Issuer {
    /// The issuer that calls itself `text`.
    pub const fn new(text: String) -> Self {
        Self(text)
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// An authorization server: where to ask it for what, and what it can (RFC 8414 §2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthorizationServer {
    /// Its name. For endpoints that an operator wrote down, the origin of the token endpoint.
    pub issuer: Issuer,
    /// Whether that is what it calls itself. Else what it calls itself is not known.
    #[serde(default)]
    pub names_itself: bool,
    /// Where people agree.
    pub authorization_endpoint: Option<Url>,
    /// Where tokens are handed out.
    pub token_endpoint: Url,
    /// Where clients register (RFC 7591).
    pub registration_endpoint: Option<Url>,
    /// Where tokens are revoked (RFC 7009).
    pub revocation_endpoint: Option<Url>,
    /// How a client may say who it is, in the server's order. Empty: the server does not say.
    pub authentications: Vec<ClientAuthentication>,
    /// The scopes that it says it knows. None: it does not say.
    pub scopes: Option<BTreeSet<String>>,
    /// The PKCE methods that it says it knows. None: it does not say.
    pub challenge_methods: Option<BTreeSet<String>>,
    /// Whether its redirects carry `iss` (RFC 9207).
    pub sends_issuer: bool,
    /// Whether the URL of a document serves as a client identifier (Client ID Metadata Document).
    pub reads_client_documents: bool,
}

impl AuthorizationServer {
    /// The scope for refresh tokens (OpenID Connect Core 1.0 §11).
    pub const OFFLINE_ACCESS: &'static str = "offline_access";

    /// `wanted`, with the scope for refresh tokens if the server knows it, and without if it does not. A server that does not say
    /// what it knows gets what is wanted, and where nothing is, its defaults stay.
    #[must_use]
    pub fn with_offline_access(&self, mut wanted: BTreeSet<String>) -> BTreeSet<String> {
        match &self.scopes {
            Some(known) if !known.contains(Self::OFFLINE_ACCESS) => {
                wanted.remove(Self::OFFLINE_ACCESS);
            }
            Some(_) if !wanted.is_empty() => {
                wanted.insert(Self::OFFLINE_ACCESS.to_owned());
            }
            _ => {}
        }
        wanted
    }

    /// What proves here who a client is that somebody gave us with `given`. A secret that cannot be shown here is refused: without
    /// it, the client would be another than the one that was given.
    pub(super) fn proof(&self, given: GivenProof) -> Result<ClientProof, UnfitProof> {
        let proof = match (given, self.secret_authentication()) {
            (GivenProof::PrivateKey(key), _) => ClientProof::PrivateKey(key),
            (GivenProof::Secret(secret), Some(ClientAuthentication::ClientSecretPost)) => {
                ClientProof::SecretPost(secret)
            }
            (GivenProof::Secret(secret), Some(_)) => ClientProof::SecretBasic(secret),
            (GivenProof::Secret(_), None) => {
                let way = ClientAuthentication::ClientSecretBasic;
                return Err(UnfitProof::NotTaken { issuer: self.issuer.clone(), way });
            }
            (GivenProof::None, _) => ClientProof::None,
        };
        self.takes(proof.way())?;
        Ok(proof)
    }

    /// Passes if a client can say here who it is in this `way`. What the server lists is taken at its word as far as keys go:
    /// beyond them, servers take more than they list.
    pub fn takes(&self, way: ClientAuthentication) -> Result<(), UnfitProof> {
        let taken = &self.authentications;
        let by_key = |it: &ClientAuthentication| *it == ClientAuthentication::PrivateKeyJwt;
        let fits =
            taken.is_empty() || taken.contains(&way) || !(by_key(&way) || taken.iter().all(by_key));
        fits.then_some(()).ok_or_else(|| UnfitProof::NotTaken { issuer: self.issuer.clone(), way })
    }

    /// How a client that has a secret says who it is: the safest way that the server takes, if it takes any. One that does not
    /// say takes the header (RFC 8414 §2).
    pub fn secret_authentication(&self) -> Option<ClientAuthentication> {
        let ways =
            [ClientAuthentication::ClientSecretBasic, ClientAuthentication::ClientSecretPost];
        let taken = &self.authentications;
        ways.into_iter().find(|way| taken.is_empty() || taken.contains(way))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Secret;

    fn server() -> AuthorizationServer {
        AuthorizationServer {
            issuer: Issuer::new("https://a.test".to_owned()),
            names_itself: true,
            authorization_endpoint: None,
            token_endpoint: "https://a.test/token".parse().unwrap(),
            registration_endpoint: None,
            revocation_endpoint: None,
            authentications: Vec::new(),
            scopes: None,
            challenge_methods: None,
            sends_issuer: false,
            reads_client_documents: false,
        }
    }

    #[test]
    fn a_server_that_was_kept_before_its_name_mattered_has_none() {
        let mut kept = serde_json::to_value(server()).unwrap();
        assert_eq!(kept.as_object_mut().unwrap().remove("names_itself"), Some(true.into()));
        let opened: AuthorizationServer = serde_json::from_value(kept).unwrap();
        assert_eq!(opened, AuthorizationServer { names_itself: false, ..server() });
    }

    #[test]
    fn a_secret_is_shown_in_the_safest_way_that_the_server_takes() {
        use ClientAuthentication::{ClientSecretBasic, ClientSecretPost, None as Nothing};
        let table = [
            (vec![], Some(ClientSecretBasic)),
            (vec![Nothing, ClientSecretPost, ClientSecretBasic], Some(ClientSecretBasic)),
            (vec![Nothing, ClientSecretPost], Some(ClientSecretPost)),
            (vec![Nothing], None),
        ];
        for (authentications, expected) in table {
            let server = AuthorizationServer { authentications, ..server() };
            assert_eq!(server.secret_authentication(), expected);
        }
    }

    #[test]
    fn a_secret_that_cannot_be_shown_is_refused_and_not_dropped() {
        use ClientAuthentication::{ClientSecretBasic, None as Nothing, PrivateKeyJwt};
        let given = || GivenProof::Secret(Secret::new("s3cret".to_owned()));
        for authentications in [vec![Nothing], vec![PrivateKeyJwt], vec![Nothing, PrivateKeyJwt]] {
            let server = AuthorizationServer { authentications, ..server() };
            let refused = server.proof(given()).unwrap_err();
            let way = ClientSecretBasic;
            assert_eq!(refused, UnfitProof::NotTaken { issuer: server.issuer, way });
            let told = refused.to_string();
            assert!(told.contains("by a secret") && !told.contains("s3cret"), "{told}");
        }
        assert!(matches!(server().proof(given()), Ok(ClientProof::SecretBasic(_))));
    }

    #[test]
    fn a_key_is_shown_only_where_it_is_taken_and_nothing_else_where_only_keys_are() {
        use ClientAuthentication::{ClientSecretPost, None as Nothing, PrivateKeyJwt};
        let table = [
            (vec![], true, true),
            (vec![PrivateKeyJwt], true, false),
            (vec![ClientSecretPost], false, true),
            (vec![ClientSecretPost, PrivateKeyJwt], true, true),
        ];
        for (authentications, by_key, otherwise) in table {
            let server = AuthorizationServer { authentications, ..server() };
            assert_eq!(server.takes(PrivateKeyJwt).is_ok(), by_key, "{server:?}");
            assert_eq!(server.takes(Nothing).is_ok(), otherwise, "{server:?}");
        }
    }

    #[test]
    fn offline_access_is_asked_for_only_if_it_is_advertised() {
        let set = |scopes: &str| -> BTreeSet<String> {
            scopes.split_whitespace().map(str::to_owned).collect()
        };
        let table = [
            ("read", Some("read offline_access"), "read offline_access"),
            ("read offline_access", Some("read"), "read"),
            ("read", Some("read"), "read"),
            ("read offline_access", None, "read offline_access"),
            ("read", None, "read"),
            ("", Some("read offline_access"), ""),
        ];
        for (wanted, known, expected) in table {
            let server = AuthorizationServer { scopes: known.map(set), ..server() };
            assert_eq!(server.with_offline_access(set(wanted)), set(expected), "{wanted}");
        }
    }
}
