//! Tests of tokens: our own, and those that another implementation signed.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use linkspan_domain::{
    Permission, PersonId, WorkspaceId,
    ports::{Outbound, TokenGrant, TokenSigner, TokenSubject},
};
use linkspan_testkit::{Answer, Answers};
use ring::hmac;
use serde_json::{Value, json};
use time::{Duration, macros::datetime};
use uuid::Uuid;

use super::*;
use crate::{InvalidProvider, InvalidTokenSecret};

const NOW: OffsetDateTime = datetime!(2026-05-01 12:00 UTC);
const SECRET: &str = "correct horse battery staple 32 bytes";
const OLD_SECRET: &str = "an older secret of 32 bytes or so";
const ISSUER: &str = "https://id.example.com";

fn secret(text: &str) -> Secret<String> {
    Secret::new(text.to_owned())
}

fn own(current: &str, previous: Option<&str>) -> BearerTokens {
    let previous = previous.map(secret);
    let keys = TokenKeys::new(&secret(current), previous.as_ref(), "https://linkspan".to_owned());
    BearerTokens { own: Some(Arc::new(keys.unwrap())), provider: None }
}

fn person() -> PersonId {
    PersonId::from_uuid(Uuid::from_u128(7))
}

fn grant(lasts: Duration) -> TokenGrant {
    TokenGrant { id: Uuid::from_u128(1), person: person(), issued_at: NOW, expires_at: NOW + lasts }
}

async fn verify(
    tokens: &BearerTokens,
    token: &str,
    now: OffsetDateTime,
) -> Result<TokenClaims, String> {
    let outcome = tokens.verify(&Secret::new(token.to_owned()), now).await;
    outcome.map_err(|error| {
        let said = format!("{error} {error:?}");
        assert!(token.len() < 20 || !said.contains(&token[..20]), "{said}");
        match error {
            TokenError::Invalid(why) => why.to_owned(),
            TokenError::NoKey => "no key".to_owned(),
            TokenError::Unavailable(_) => "unavailable".to_owned(),
        }
    })
}

/// A token that says `claims` under `header`, signed with `key`.
fn forged(key: &[u8], header: &Value, claims: &Value) -> String {
    let encode = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
    let (header, claims) = (header.to_string(), claims.to_string());
    let signed = format!("{}.{}", encode(header.as_bytes()), encode(claims.as_bytes()));
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    format!("{signed}.{}", encode(hmac::sign(&key, signed.as_bytes()).as_ref()))
}

/// What a token of ours says.
fn claims() -> Value {
    let now = NOW.unix_timestamp();
    json!({
        "iss": "https://linkspan", "aud": "https://linkspan", "sub": person(),
        "iat": now, "exp": now + 3600,
    })
}

#[tokio::test]
async fn what_we_sign_holds_until_it_expires_and_a_minute_more() {
    let tokens = own(SECRET, None);
    let token = tokens.own.as_ref().unwrap().sign(&grant(Duration::HOUR)).unwrap();
    let end = NOW + Duration::HOUR + Duration::MINUTE;
    let expected = TokenClaims {
        subject: TokenSubject::Person(person()),
        expires_at: end,
        permissions: None,
        workspace: None,
    };
    assert_eq!(verify(&tokens, token.expose(), NOW).await, Ok(expected));
    assert!(verify(&tokens, token.expose(), end - Duration::SECOND).await.is_ok());
    assert_eq!(verify(&tokens, token.expose(), end).await.unwrap_err(), "it has expired");
    let early = NOW - Duration::MINUTE;
    assert!(verify(&tokens, token.expose(), early).await.is_ok(), "clocks may differ");
    let too_early = early - Duration::SECOND;
    assert_eq!(
        verify(&tokens, token.expose(), too_early).await.unwrap_err(),
        "it does not hold yet"
    );
}

#[tokio::test]
async fn a_secret_that_was_replaced_checks_as_long_as_it_is_listed() {
    let before = own(OLD_SECRET, None);
    let token = before.own.as_ref().unwrap().sign(&grant(Duration::HOUR)).unwrap();
    let both = format!("some other secret that is long too,{OLD_SECRET}");
    let keys =
        TokenKeys::new(&secret(SECRET), Some(&Secret::new(both)), "https://linkspan".to_owned());
    let rotated = BearerTokens { own: Some(Arc::new(keys.unwrap())), provider: None };
    assert!(verify(&rotated, token.expose(), NOW).await.is_ok());
    let gone = own(SECRET, None);
    assert_eq!(verify(&gone, token.expose(), NOW).await.unwrap_err(), "none of our keys signed it");
    // Others who have the secret need not know what we call it.
    let unnamed = forged(SECRET.as_bytes(), &json!({ "alg": "HS256" }), &claims());
    assert!(verify(&gone, &unnamed, NOW).await.is_ok());
}

#[tokio::test]
async fn tokens_of_an_earlier_name_are_taken_but_not_for_another_audience() {
    let keys = TokenKeys::new(&secret(SECRET), None, "https://linkspan".to_owned()).unwrap();
    let keys = Arc::new(keys.signing_as("urn:uuid:7".to_owned()));
    let tokens = BearerTokens { own: Some(Arc::clone(&keys)), provider: None };
    let signed = keys.sign(&grant(Duration::HOUR)).unwrap();
    assert!(verify(&tokens, signed.expose(), NOW).await.is_ok());
    let elsewhere = verify(&own(SECRET, None), signed.expose(), NOW).await;
    assert_eq!(elsewhere.unwrap_err(), "it is from another issuer");
    let said = async |issuer: &str, audience: &str| {
        let mut claims = claims();
        (claims["iss"], claims["aud"]) = (json!(issuer), json!(audience));
        let token = forged(SECRET.as_bytes(), &json!({ "alg": "HS256" }), &claims);
        verify(&tokens, &token, NOW).await.map(drop)
    };
    assert_eq!(said("https://linkspan", "https://linkspan").await, Ok(()));
    assert_eq!(said("urn:uuid:7", "urn:uuid:7").await, Ok(()));
    let mixed = said("urn:uuid:7", "https://linkspan").await;
    assert_eq!(mixed, Err("it is for another audience".to_owned()));
    let stranger = said("urn:uuid:8", "urn:uuid:8").await;
    assert_eq!(stranger, Err("it is from another issuer".to_owned()));
}

#[tokio::test]
async fn a_token_may_be_for_less_than_its_person_may_do() {
    let mut narrow = claims();
    let workspace = WorkspaceId::from_uuid(Uuid::from_u128(3));
    narrow["permissions"] = json!(["connector.read"]);
    narrow["workspace"] = json!(workspace);
    let token = forged(SECRET.as_bytes(), &json!({ "alg": "HS256" }), &narrow);
    let said = verify(&own(SECRET, None), &token, NOW).await.unwrap();
    assert_eq!(said.permissions, Some([Permission::ConnectorRead].into()));
    assert_eq!(said.workspace, Some(workspace));
}

#[tokio::test]
async fn what_is_not_quite_a_token_of_ours_does_not_hold() {
    let tokens = own(SECRET, None);
    let key = SECRET.as_bytes();
    let plain = json!({ "alg": "HS256" });
    let with = |name: &str, value: Value| {
        let mut changed = claims();
        changed[name] = value;
        forged(key, &plain, &changed)
    };
    let without = |name: &str| {
        let mut changed = claims();
        changed.as_object_mut().unwrap().remove(name);
        forged(key, &plain, &changed)
    };
    assert!(verify(&tokens, &forged(key, &plain, &claims()), NOW).await.is_ok());
    let good = forged(key, &plain, &claims());
    let (signed, _) = good.rsplit_once('.').unwrap();
    let now = NOW.unix_timestamp();
    for (what, token) in [
        ("no signature", format!("{signed}.")),
        ("algorithm none", forged(key, &json!({ "alg": "none" }), &claims())),
        ("algorithm none, unsigned", {
            let none = forged(key, &json!({ "alg": "none" }), &claims());
            format!("{}.", none.rsplit_once('.').unwrap().0)
        }),
        ("another hash", forged(key, &json!({ "alg": "HS512" }), &claims())),
        ("no algorithm", forged(key, &json!({}), &claims())),
        ("another key's name", forged(key, &json!({ "alg": "HS256", "kid": "x" }), &claims())),
        ("an extension", forged(key, &json!({ "alg": "HS256", "crit": ["b64"] }), &claims())),
        ("another secret", forged(b"another secret of 32 bytes or so.", &plain, &claims())),
        ("the empty secret", forged(b"", &plain, &claims())),
        ("another issuer", with("iss", json!("https://elsewhere"))),
        ("another audience", with("aud", json!(["https://elsewhere"]))),
        ("no audience", without("aud")),
        ("no subject", without("sub")),
        ("no expiry", without("exp")),
        ("expired", with("exp", json!(now - 60))),
        ("no beginning", without("iat")),
        ("more than a day", with("exp", json!(now + 86_401))),
        ("not yet", with("nbf", json!(now + 61))),
        ("from the future", with("iat", json!(now + 61))),
        ("somebody's mail address", with("sub", json!("ada@example.com"))),
        ("a permission that is none", with("permissions", json!(["everything"]))),
        ("too long", with("filler", json!("x".repeat(20_000)))),
        ("two parts", signed.to_owned()),
        ("four parts", format!("{good}.x")),
        ("padding", format!("{good}=")),
        ("nothing", "eyJ..".to_owned()),
    ] {
        assert!(verify(&tokens, &token, NOW).await.is_err(), "{what}");
    }
    let none = BearerTokens::default();
    assert!(verify(&none, &good, NOW).await.unwrap_err().contains("LINKSPAN_JWT_SECRET"));
}

#[test]
fn a_secret_that_could_be_guessed_is_refused() {
    for weak in
        ["", "too short", &"x".repeat(31), &format!("{},{}", "x".repeat(32), "y".repeat(32))]
    {
        let made = TokenKeys::new(&Secret::new(weak.to_owned()), None, String::new());
        assert_eq!(made.err(), Some(InvalidTokenSecret), "{weak}");
    }
    let weak = Secret::new("x".repeat(31));
    assert!(TokenKeys::new(&secret(SECRET), Some(&weak), String::new()).is_err());
    let keys = TokenKeys::new(&secret(SECRET), None, String::new()).unwrap();
    assert!(!format!("{keys:?}").contains("horse"));
}

fn vectors() -> Value {
    serde_json::from_str(include_str!("vectors.json")).unwrap()
}

fn jwks() -> Answer {
    Answer::of(200, vectors()["jwks"].to_string())
}

fn discovery(issuer: &str) -> Answer {
    let document =
        json!({ "issuer": issuer, "jwks_uri": "https://id.example.com/keys", "more": [] });
    Answer::of(200, document.to_string())
}

fn provider(answers: impl IntoIterator<Item = Answer>) -> (BearerTokens, Arc<Answers>) {
    let outbound = Arc::new(Answers::sequence(answers));
    let way_out = Arc::clone(&outbound) as Arc<dyn Outbound>;
    let provider = IdentityProvider::new(ISSUER, "linkspan".to_owned(), None, way_out).unwrap();
    (BearerTokens { own: None, provider: Some(provider) }, outbound)
}

fn good(algorithm: &str) -> String {
    vectors()["good"][algorithm].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn every_algorithm_that_is_taken_works_with_keys_that_are_fetched_once() {
    let (tokens, outbound) = provider([discovery(ISSUER), jwks()]);
    for (algorithm, token) in vectors()["good"].as_object().unwrap() {
        let said = verify(&tokens, token.as_str().unwrap(), NOW).await;
        let said = said.unwrap_or_else(|why| panic!("{algorithm}: {why}"));
        assert_eq!(said.subject, TokenSubject::Email("Ada@example.com".parse().unwrap()));
        assert_eq!(said.expires_at, datetime!(2026-05-01 13:01:00.5 UTC));
    }
    let asked: Vec<_> = outbound.seen().iter().map(|it| it.url.to_string()).collect();
    assert_eq!(
        asked,
        ["https://id.example.com/.well-known/openid-configuration", "https://id.example.com/keys"]
    );
}

#[tokio::test]
async fn what_a_provider_did_not_sign_for_us_does_not_hold() {
    let (tokens, _) = provider([discovery(ISSUER), jwks()]);
    for (what, token) in vectors()["bad"].as_object().unwrap() {
        let outcome = verify(&tokens, token.as_str().unwrap(), NOW).await;
        assert!(outcome.is_err(), "{what}");
    }
    for algorithm in ["RS256", "PS256", "ES256", "EdDSA"] {
        let token = good(algorithm);
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let (header, _) = signed.split_once('.').unwrap();
        let other = BASE64_URL_SAFE_NO_PAD.encode(json!({ "iss": ISSUER }).to_string());
        let moved = format!("{header}.{other}.{signature}");
        assert!(verify(&tokens, &moved, NOW).await.is_err(), "{algorithm}");
    }
    // A public key is no secret: whoever signs with it as if it were one is not taken in.
    let vectors = vectors();
    let public = vectors["jwks"]["keys"][0]["n"].as_str().unwrap();
    let both = BearerTokens { own: own(SECRET, None).own, ..tokens };
    let confused = forged(public.as_bytes(), &json!({ "alg": "HS256", "kid": "rsa" }), &claims());
    assert!(verify(&both, &confused, NOW).await.is_err());
    assert!(verify(&both, &good("RS256"), NOW).await.is_ok());
}

#[tokio::test]
async fn an_unknown_key_is_looked_for_once_a_minute() {
    let without_rsa = {
        let mut set = vectors()["jwks"].take();
        set["keys"].as_array_mut().unwrap().remove(0);
        Answer::of(200, set.to_string())
    };
    let (tokens, outbound) = provider([discovery(ISSUER), without_rsa, discovery(ISSUER), jwks()]);
    let token = good("RS256");
    for seconds in [0, 1, 59] {
        let now = NOW + Duration::seconds(seconds);
        assert_eq!(verify(&tokens, &token, now).await.unwrap_err(), "its issuer has no such key");
    }
    assert_eq!(outbound.seen().len(), 2);
    assert!(verify(&tokens, &token, NOW + Duration::MINUTE).await.is_ok(), "keys are rotated");
    assert_eq!(outbound.seen().len(), 4);
}

#[tokio::test]
async fn a_provider_that_does_not_answer_is_spared_and_known_keys_go_on() {
    let (silent, outbound) = provider([Answer::Unreachable]);
    for (seconds, asked) in [(0, 1), (9, 1), (10, 2)] {
        let now = NOW + Duration::seconds(seconds);
        assert_eq!(verify(&silent, &good("ES256"), now).await.unwrap_err(), "unavailable");
        assert_eq!(outbound.seen().len(), asked);
    }
    let known = IdentityProvider::new(
        ISSUER,
        "linkspan".to_owned(),
        Some("https://id.example.com/keys".parse().unwrap()),
        Arc::new(Answers::sequence([jwks(), Answer::of(500, "")])),
    );
    let tokens = BearerTokens { own: None, provider: Some(known.unwrap()) };
    let token = good("ES256");
    assert!(verify(&tokens, &token, NOW).await.is_ok());
    // The token is long expired, but it is its keys that are looked at first.
    let later = |hours| NOW + Duration::hours(hours);
    assert_eq!(verify(&tokens, &token, later(23)).await.unwrap_err(), "it has expired");
    assert_eq!(verify(&tokens, &token, later(25)).await.unwrap_err(), "unavailable");
}

#[tokio::test]
async fn a_document_of_another_issuer_and_keys_in_clear_are_not_taken() {
    let insecure = json!({ "issuer": ISSUER, "jwks_uri": "http://id.example.com/keys" });
    for first in [
        discovery("https://elsewhere.example.com"),
        Answer::of(200, insecure.to_string()),
        Answer::of(200, "no JSON"),
        Answer::of(404, discovery_text()),
        Answer::Refused,
    ] {
        let (tokens, _) = provider([first, jwks()]);
        assert_eq!(verify(&tokens, &good("ES256"), NOW).await.unwrap_err(), "unavailable");
    }
    let made = |issuer: &str, audience: &str| {
        let outbound = Arc::new(Answers::always(jwks()));
        IdentityProvider::new(issuer, audience.to_owned(), None, outbound).err()
    };
    for bad in ["http://id.example.com", "id.example.com", "https://a:b@id.example.com", ""] {
        assert_eq!(made(bad, "linkspan"), Some(InvalidProvider::Insecure), "{bad}");
    }
    assert_eq!(made(ISSUER, ""), Some(InvalidProvider::NoAudience));
    for fine in
        [ISSUER, "https://id.example.com/tenant/", "http://127.0.0.1:8080", "http://localhost"]
    {
        assert_eq!(made(fine, "linkspan"), None, "{fine}");
    }
}

fn discovery_text() -> String {
    json!({ "issuer": ISSUER, "jwks_uri": "https://id.example.com/keys" }).to_string()
}
