//! Who comes in: keys, tokens, and who guesses.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use linkspan_domain::{
    PersonId,
    ports::{TokenGrant, TokenSigner},
};
use serde_json::json;
use time::{Duration, macros::datetime};
use uuid::Uuid;

use crate::{composition::token_keys, platform::Platform};

fn token(person: &str) -> String {
    let issued_at = datetime!(2026-05-01 12:00 UTC);
    let grant = TokenGrant {
        id: Uuid::from_u128(1),
        person: person.parse::<PersonId>().unwrap(),
        issued_at,
        expires_at: issued_at + Duration::HOUR,
    };
    token_keys().sign(&grant).unwrap().expose().clone()
}

#[tokio::test]
async fn a_token_does_what_its_person_may_and_stands_in_the_audit_trail_under_their_name() {
    let platform = Platform::start().await;
    let admin = platform.admin();
    let person = json!({
        "name": "Ada", "email": "ada@example.com", "role": "designer", "workspaces": [platform.workspace.id],
    });
    let ada = admin.make("/v1/people", "person", person).await;
    let token = token(&ada);
    let client = platform.client(&token);
    client.get("/v1/api-keys").await.refused(403, "permission.denied");
    let connector = admin.connector("one").await;
    let activation = client.activate(&connector, "hers").await;
    let path = format!("/v1/audit-events?filter[resource_id]={activation}");
    let event = admin.get(&path).await.expect(200).body["data"][0]["attributes"].clone();
    assert_eq!((&event["actor_type"], &event["actor_id"]), (&json!("person"), &json!(ada)));

    // What is not signed, or not by us, is like any key that does not work.
    let (signed, _) = token.rsplit_once('.').unwrap();
    let none = BASE64_URL_SAFE_NO_PAD.encode(json!({ "alg": "none" }).to_string());
    let payload = signed.split_once('.').unwrap().1;
    for bad in
        [format!("{signed}."), format!("{none}.{payload}."), self::token(&Uuid::nil().to_string())]
    {
        platform.client(&bad).get("/v1/connectors").await.refused(401, "request.unauthenticated");
    }
    admin.delete(&format!("/v1/people/{ada}")).await.expect(204);
    client.get("/v1/connectors").await.refused(401, "request.unauthenticated");
}

#[tokio::test]
async fn who_guesses_keys_is_told_to_wait_and_who_is_known_is_not() {
    let platform = Platform::start().await;
    let admin = platform.admin();
    let new = json!({ "data": { "type": "api_key", "attributes": {
        "name": "Unused", "permissions": ["connector:read"],
    } } });
    let made = admin.post("/v1/api-keys", new).await.expect(201);
    let unused = made.attributes()["key"].as_str().unwrap().to_owned();
    for number in 0..20 {
        let guess = platform.client(&format!("lsk_guess-number-{number}"));
        guess.get("/v1/connectors").await.refused(401, "request.unauthenticated");
    }
    for late in ["lsk_guess-number-20", &unused] {
        let answer = platform.client(late).get("/v1/connectors").await.expect(429);
        let wait: u64 = answer.header("retry-after").parse().unwrap();
        assert!((1..=60).contains(&wait), "{wait}");
        let error = answer.refused(429, "request.too_many_attempts");
        assert_eq!(error["meta"]["retryable"], true);
    }
    admin.get("/v1/connectors").await.expect(200);
    // Nothing is no guess.
    platform.anybody().get("/v1/connectors").await.refused(401, "request.unauthenticated");
}

#[tokio::test]
async fn the_audit_trail_is_checked_and_its_head_can_be_found_again() {
    let platform = Platform::start().await;
    let admin = platform.admin();
    admin.connector("one").await;
    let chain = admin.get("/v1/audit-chain").await.expect(200);
    let (whole, head) = (chain.attributes().clone(), chain.attributes()["head"].clone());
    assert_eq!((&whole["is_intact"], &whole["fault"]), (&json!(true), &json!(null)));
    let path = format!("/v1/audit-events?filter[hash]={}", head.as_str().unwrap());
    let last = admin.get(&path).await.expect(200).body["data"][0]["attributes"].clone();
    assert_eq!(last["sequence"], whole["events"]);
    assert_eq!(last["action"], "connector.created");

    platform.run("DROP TRIGGER audit_events_no_update").await;
    platform.run("UPDATE audit_events SET trace_id = 'x' WHERE action = 'connector.created'").await;
    let broken = admin.get("/v1/audit-chain").await.expect(200);
    let broken = broken.attributes();
    assert_eq!((&broken["is_intact"], &broken["fault"]), (&json!(false), &json!("changed")));
    assert_eq!(broken["fault_sequence"], whole["events"]);
    assert_eq!(broken["fault_audit_event_id"], last["audit_event_id"]);
}
