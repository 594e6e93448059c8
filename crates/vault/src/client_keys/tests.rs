//! Tests of the keys of clients, with those of RFC 7515 and RFC 7517.

use std::collections::HashSet;

use linkspan_testkit::client_keys::{P256, P256_OTHER, RSA};
use time::{OffsetDateTime, macros::datetime};
use uuid::Uuid;

use super::*;
use crate::{
    jwt::Compact,
    provider_key::{KeySet, ProviderKey},
};

/// A clock that stands.
struct Noon;

const NOON: OffsetDateTime = datetime!(2026-05-01 12:00:00.9 UTC);

impl World for Noon {
    fn now(&self) -> OffsetDateTime {
        NOON
    }

    fn uuid(&self) -> Uuid {
        Uuid::nil()
    }
}

fn keys() -> ClientKeys {
    ClientKeys::new(Arc::new(Noon))
}

fn key(pem: &str, id: Option<&str>) -> ClientKey {
    ClientKey { pem: Secret::new(pem.to_owned()), id: id.map(str::to_owned) }
}

fn assertion(pem: &str, id: Option<&str>) -> Secret<String> {
    keys().assertion(&key(pem, id), "us", "https://login.test").unwrap()
}

/// The header and the claims of a token.
fn said(token: &Secret<String>) -> (Value, Value) {
    let mut parts = token.expose().split('.').map(|part| {
        serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(part).unwrap_or_default())
    });
    (parts.next().unwrap().unwrap(), parts.next().unwrap().unwrap())
}

/// The public halves, as RFC 7515 §A.2.1, §A.3.1 and RFC 7517 §A.2 print them.
fn publics() -> Vec<ProviderKey> {
    let set = json!({ "keys": [
        {
            "kty": "RSA", "kid": "rsa", "e": "AQAB",
            "n": "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMs\
                  D1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdV\
                  MTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ",
        },
        {
            "kty": "EC", "crv": "P-256", "kid": "p256",
            "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
            "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
        },
        {
            "kty": "EC", "crv": "P-256", "kid": "other",
            "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
            "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM",
        },
    ] });
    serde_json::from_value::<KeySet>(set).unwrap().into_keys()
}

#[test]
fn an_assertion_says_who_asks_whom_for_a_minute_and_nothing_more() {
    let (header, claims) = said(&assertion(P256, None));
    assert_eq!(header, json!({ "alg": "ES256", "typ": "client-authentication+jwt" }));
    let now = NOON.unix_timestamp();
    let expected = json!({
        "iss": "us", "sub": "us", "aud": "https://login.test", "jti": claims["jti"],
        "iat": now, "exp": now + 60,
    });
    assert_eq!(claims, expected);
    let (header, _) = said(&assertion(RSA, Some("key \"1\"")));
    assert_eq!((&header["alg"], &header["kid"]), (&json!("RS256"), &json!("key \"1\"")));
}

#[test]
fn no_two_assertions_have_the_same_name() {
    let name = |_| said(&assertion(P256, None)).1["jti"].as_str().unwrap().to_owned();
    let names: HashSet<String> = (0..100).map(name).collect();
    assert_eq!(names.len(), 100);
    let bits = |it: &String| BASE64_URL_SAFE_NO_PAD.decode(it).unwrap().len() * 8;
    assert!(names.iter().all(|it| bits(it) >= 128));
}

#[test]
fn what_a_key_signs_is_checked_by_its_public_half_and_by_no_other() {
    for (pem, id) in [(RSA, "rsa"), (P256, "p256"), (P256_OTHER, "other")] {
        let token = assertion(pem, Some(id));
        let token = Compact::parse(token.expose()).unwrap();
        for public in publics() {
            let signed = public.signed(token.header.alg, token.signed, &token.signature);
            assert_eq!(signed, public.fits(&token.header), "{id}");
        }
    }
}

/// RSASSA-PKCS1-v1_5 has one signature for each text, so ours is the one that RFC 7515 §A.2.1 prints.
#[test]
fn the_signature_of_rfc_7515_is_made_again() {
    let text = "eyJhbGciOiJSUzI1NiJ9.\
                eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
    let expected = "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZ\
                    cAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-e\
                    OkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";
    let random = SystemRandom::new();
    let pair = Pair::read(&Secret::new(RSA.to_owned()), &random).unwrap();
    let signature = pair.sign(text.as_bytes(), &random).unwrap();
    assert_eq!(BASE64_URL_SAFE_NO_PAD.encode(signature), expected);
}

#[test]
fn a_key_that_cannot_sign_says_why_and_repeats_nothing() {
    let table = [
        ("", ClientKeyError::NoKey),
        ("a secret", ClientKeyError::NoKey),
        ("-----BEGIN PRIVATE KEY-----", ClientKeyError::NoKey),
        ("-----BEGIN PRIVATE KEY-----\n!\n-----END PRIVATE KEY-----\n", ClientKeyError::NoKey),
        (
            "-----BEGIN PRIVATE KEY-----\nYQ==\n-----END PRIVATE KEY-----\n",
            ClientKeyError::Unusable,
        ),
        (include_str!("unfit/public.pem"), ClientKeyError::NoKey),
        (include_str!("unfit/encrypted.pem"), ClientKeyError::Encrypted),
        (include_str!("unfit/pkcs1_encrypted.pem"), ClientKeyError::Encrypted),
        (include_str!("unfit/pkcs1.pem"), ClientKeyError::NotPkcs8),
        (include_str!("unfit/sec1.pem"), ClientKeyError::NotPkcs8),
        (include_str!("unfit/ed25519.pem"), ClientKeyError::Unusable),
        (include_str!("unfit/p384.pem"), ClientKeyError::Unusable),
        (include_str!("unfit/rsa1024.pem"), ClientKeyError::Unusable),
    ];
    for (pem, expected) in table {
        let key = key(pem, None);
        assert_eq!(keys().check(&key), Err(expected), "{pem}");
        assert_eq!(keys().assertion(&key, "us", "https://login.test"), Err(expected), "{pem}");
        assert!(!format!("{key:?}").contains("BEGIN"));
    }
    for pem in [P256, P256_OTHER, RSA, &P256.replace('\n', "\r\n"), &format!("\n\n{RSA}\n\n")] {
        assert_eq!(keys().check(&key(pem, None)), Ok(()));
    }
}
