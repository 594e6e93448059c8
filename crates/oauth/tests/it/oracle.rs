//! Our token requests beside those of the crate `oauth2`, which others use.

use std::{cell::RefCell, sync::Arc};

use linkspan_domain::{
    ClientProof,
    ports::{AuthorizationServers, TokenAsk, TokenRight},
};
use oauth2::{
    AuthType, AuthorizationCode, ClientId, ClientSecret, HttpRequest, HttpResponse,
    PkceCodeVerifier, RedirectUrl, RefreshToken, Scope, TokenUrl, basic::BasicClient,
};

use crate::site::{
    BACK, Page, RESOURCE, Site, authorization, client_on, secret, server, set, with,
};

#[derive(Debug, thiserror::Error)]
#[error("kept")]
struct Kept;

/// Which right is shown.
#[derive(Clone, Copy, Debug)]
enum Right {
    Code,
    Refresh,
    ClientCredentials,
}

/// The request of the crate: its fields, and its `authorization`.
fn theirs(right: Right, proof: &ClientProof) -> (Vec<(String, String)>, Option<String>) {
    let mut client = BasicClient::new(ClientId::new("us".to_owned()))
        .set_token_uri(TokenUrl::new("https://login.test/token".to_owned()).unwrap())
        .set_redirect_uri(RedirectUrl::new(BACK.to_owned()).unwrap());
    if proof.secret().is_some() {
        client = client.set_client_secret(ClientSecret::new("client-s3cret".to_owned()));
    }
    if matches!(proof, ClientProof::SecretPost(_)) {
        client = client.set_auth_type(AuthType::RequestBody);
    }
    let kept = RefCell::new(None);
    let keep = |request: HttpRequest| -> Result<HttpResponse, Kept> {
        *kept.borrow_mut() = Some(request);
        Err(Kept)
    };
    match right {
        Right::Code => {
            let code = AuthorizationCode::new("code-1".to_owned());
            let verifier = PkceCodeVerifier::new("verifier-1".to_owned());
            let request = client.exchange_code(code).set_pkce_verifier(verifier);
            request.add_extra_param("resource", RESOURCE).request(&keep).unwrap_err();
        }
        Right::Refresh => {
            let token = RefreshToken::new("rt-1".to_owned());
            let request = client.exchange_refresh_token(&token);
            request.add_extra_param("resource", RESOURCE).request(&keep).unwrap_err();
        }
        Right::ClientCredentials => {
            let scopes = ["a", "b"].map(|it| Scope::new(it.to_owned()));
            let request = client.exchange_client_credentials().add_scopes(scopes);
            request.add_extra_param("resource", RESOURCE).request(&keep).unwrap_err();
        }
    }
    let request = kept.into_inner().unwrap();
    let mut fields: Vec<_> = url::form_urlencoded::parse(request.body()).into_owned().collect();
    fields.sort();
    let authorization = request.headers().get("authorization");
    (fields, authorization.map(|it| it.to_str().unwrap().to_owned()))
}

async fn ours(right: Right, proof: &ClientProof) -> (Vec<(String, String)>, Option<String>) {
    let site = Arc::new(Site::default());
    site.put("POST https://login.test/token", Page::status(400));
    let oauth = client_on(&site);
    let (_, mut pending) = oauth.begin(authorization(), &secret("state")).unwrap();
    pending.verifier = secret("verifier-1");
    let (server, client, scopes) = (server(), with(proof.clone()), set(&["a", "b"]));
    let (code, token) = (secret("code-1"), secret("rt-1"));
    let by = match right {
        Right::Code => TokenRight::Code { code: &code, pending: &pending },
        Right::Refresh => TokenRight::Refresh(&token),
        Right::ClientCredentials => TokenRight::ClientCredentials,
    };
    let ask = TokenAsk {
        server: &server,
        client: &client,
        by,
        resource: Some(RESOURCE),
        scopes: &scopes,
    };
    oauth.ask(&ask).await.unwrap();
    let seen = site.last();
    (seen.form(), seen.authorization().map(str::to_owned))
}

#[tokio::test]
async fn the_token_endpoint_is_sent_what_another_client_would_send() {
    for right in [Right::Code, Right::Refresh, Right::ClientCredentials] {
        for proof in [
            ClientProof::SecretBasic(secret("client-s3cret")),
            ClientProof::SecretPost(secret("client-s3cret")),
            ClientProof::None,
        ] {
            let theirs = theirs(right, &proof);
            assert_eq!(ours(right, &proof).await, theirs, "{right:?} {proof:?}");
        }
    }
}
