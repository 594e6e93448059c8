//! Rotating credentials and going back to earlier ones. Each answer is searched for the planted secrets.

use linkspan_domain::MASK;
use serde_json::{Value, json};

use crate::{
    platform::{Client, Platform},
    shop::AT_ONCE,
};

const FRESH: &str = "fresh-planted-1";
/// What the shop does not open for.
const WRONG: &str = "wrong-planted";

/// Rotates the password of the activation at `place`, and answers the version.
async fn rotate(client: &Client<'_>, place: &str, password: &str) -> Value {
    let body = json!({ "config": { "password": password }, "reason": "it was time" });
    let rotated = client.post(&format!("{place}/rotate"), body).await.expect(200);
    assert!(!rotated.text.contains(password), "{}", rotated.text);
    rotated.body["data"].clone()
}

async fn history(client: &Client<'_>, place: &str, query: &str) -> Vec<(String, String)> {
    let listed =
        client.get(&format!("{place}/secret-history?sort=number{query}")).await.expect(200);
    for secret in [FRESH, WRONG] {
        assert!(!listed.text.contains(secret), "{}", listed.text);
    }
    listed.listed("state").into_iter().zip(listed.listed("test_status")).collect()
}

fn are(found: &[(String, String)], expected: &[(&str, &str)]) {
    let found: Vec<_> = found.iter().map(|(one, two)| (one.as_str(), two.as_str())).collect();
    assert_eq!(found, expected);
}

#[tokio::test]
async fn secrets_that_work_are_rotated_and_those_before_come_back() {
    let platform = Platform::start().await;
    let admin = platform.admin();
    let id = admin.activation("one").await;
    let place = format!("/v1/workspace-connectors/{id}");
    are(&history(&admin, &place, "").await, &[("active", "skipped")]);

    let current = rotate(&admin, &place, FRESH).await;
    assert_eq!(current["type"], "credential_version");
    let attributes = &current["attributes"];
    assert_eq!((&attributes["number"], &attributes["state"]), (&json!(2), &json!("active")));
    assert_eq!(attributes["test_status"], "passed");
    assert_eq!(attributes["reason"], "it was time");
    assert_eq!(attributes["workspace_connector_id"], *id);
    let shown = admin.get(&place).await.expect(200);
    assert_eq!(shown.attributes()["config"], json!({ "host": "shop", "password": MASK }));
    are(&history(&admin, &place, "").await, &[("inactive", "skipped"), ("active", "passed")]);

    let first = admin.get(&format!("{place}/secret-history?filter[number]=1")).await;
    let first = first.expect(200).body["data"][0].clone();
    assert!(first["attributes"]["expires_at"].is_string(), "{first}");
    let first = first["id"].as_str().unwrap();
    let back = admin.post(&format!("{place}/rollback/{first}"), json!({})).await.expect(200);
    assert_eq!(back.attributes()["test_status"], "rollback");
    let all = [("inactive", "skipped"), ("inactive", "passed"), ("active", "rollback")];
    are(&history(&admin, &place, "").await, &all);
    are(&history(&admin, &place, "&filter[state]=active").await, &all[2..]);
    let page = admin.get(&format!("{place}/secret-history?page[size]=2&sort=-number")).await;
    assert_eq!(page.listed("number"), ["3", "2"]);
    assert_eq!(page.body["meta"]["page"]["total"], 3);

    let revoke = format!("{place}/secret-history/{first}/revoke");
    let revoked = admin.post(&revoke, json!({})).await.expect(200);
    assert_eq!(revoked.attributes()["state"], "revoked");
    admin.post(&revoke, json!({})).await.refused(409, "credential.unexpected_state");
    let again = admin.post(&format!("{place}/rollback/{first}"), json!({})).await;
    again.refused(409, "credential.unexpected_state");
    let events = admin.get("/v1/audit-events?filter[action][starts_with]=credential.").await;
    assert_eq!(
        events.listed("action"),
        ["credential.revoked", "credential.rolled_back", "credential.rotated"]
    );
    assert_eq!(events.body["data"][2]["attributes"]["resource_type"], "credential_version");
    assert_eq!(events.body["data"][2]["attributes"]["details"]["number"], 2);
}

#[tokio::test]
async fn what_does_not_work_changes_nothing_unless_it_is_forced() {
    let platform = Platform::start().await;
    let admin = platform.admin();
    let id = admin.activation("one").await;
    let place = format!("/v1/workspace-connectors/{id}");
    let before = admin.get(&place).await.body;
    let wrong = |force: bool| json!({ "config": { "password": WRONG }, "force_save": force });
    let refused = admin.post(&format!("{place}/rotate"), wrong(false)).await;
    assert!(!refused.text.contains(WRONG), "{}", refused.text);
    let error = refused.refused(422, "credential.check_failed");
    assert!(error["detail"].as_str().unwrap().contains("no to ••••••••"), "{error}");
    assert_eq!(admin.get(&place).await.body, before);
    are(&history(&admin, &place, "").await, &[("active", "skipped")]);

    let forced = admin.post(&format!("{place}/rotate"), wrong(true)).await.expect(200);
    assert_eq!(forced.attributes()["test_status"], "failed");
    // There is no forcing one back to what does not work.
    rotate(&admin, &place, FRESH).await;
    let failed = forced.body["data"]["id"].as_str().unwrap();
    let back = admin.post(&format!("{place}/rollback/{failed}"), json!({})).await;
    back.refused(422, "credential.check_failed");
    let all = [("inactive", "skipped"), ("inactive", "failed"), ("active", "passed")];
    are(&history(&admin, &place, "").await, &all);
}

#[tokio::test]
async fn only_new_secrets_are_rotated() {
    let platform = Platform::start().await;
    let admin = platform.admin();
    let id = admin.activation("one").await;
    let rotate = format!("/v1/workspace-connectors/{id}/rotate");
    for (config, place) in [
        (json!({ "password": MASK }), ""),
        (json!({}), ""),
        (json!({ "password": FRESH, "host": "other" }), "/host"),
    ] {
        let flat = admin.post(&rotate, json!({ "config": config })).await;
        let error = flat.refused(422, "resource.invalid");
        assert_eq!(error["source"]["pointer"], format!("/config{place}"));
        let attributes = json!({ "config": config });
        let body = json!({ "data": { "type": "credential_version", "attributes": attributes } });
        let error = admin.post(&rotate, body).await.refused(422, "resource.invalid");
        assert_eq!(error["source"]["pointer"], format!("/data/attributes/config{place}"));
    }
    let long = json!({ "config": { "password": FRESH }, "overlap_secs": 7_776_001 });
    admin.post(&rotate, long).await.refused(422, "resource.invalid");
    let stale = admin.with("If-Match", "\"stale\"");
    let body = json!({ "config": { "password": FRESH } });
    stale.post(&rotate, body).await.refused(412, "resource.stale");
}

#[tokio::test]
async fn a_repeated_rotation_happens_once() {
    let platform = Platform::start().await;
    let admin = platform.admin();
    let id = admin.activation("one").await;
    let place = format!("/v1/workspace-connectors/{id}");
    let again = admin.with("Idempotency-Key", "once");
    let first = rotate(&again, &place, FRESH).await;
    assert_eq!(rotate(&again, &place, FRESH).await["id"], first["id"]);
    are(&history(&admin, &place, "").await, &[("inactive", "skipped"), ("active", "passed")]);
}

#[tokio::test]
async fn of_many_rotations_at_once_one_wins_and_the_others_change_nothing() {
    let platform = Platform::start().await;
    let admin = platform.admin();
    let connector = admin.connector("one").await;
    let attributes = json!({
        "connector_id": connector, "config": { "host": "crowd", "password": "first-planted" },
    });
    let id = admin.make("/v1/workspace-connectors", "workspace_connector", attributes).await;
    let place = format!("/v1/workspace-connectors/{id}");
    let rotations = (0..AT_ONCE).map(|number| {
        let (admin, path) = (admin.clone(), format!("{place}/rotate"));
        async move {
            let body = json!({ "config": { "password": format!("fresh-planted-{number}") } });
            admin.post(&path, body).await
        }
    });
    let answers = futures_util::future::join_all(rotations).await;
    let (won, lost): (Vec<_>, Vec<_>) = answers.into_iter().partition(|it| it.status == 200);
    assert_eq!(won.len(), 1, "{won:?}");
    assert_eq!(lost.len(), AT_ONCE - 1);
    for it in lost {
        it.refused(409, "credential.rotation_conflict");
    }
    are(&history(&admin, &place, "").await, &[("inactive", "skipped"), ("active", "passed")]);
}

#[tokio::test]
async fn the_history_goes_with_its_activation() {
    let platform = Platform::start().await;
    let admin = platform.admin();
    let (id, other) = (admin.activation("one").await, admin.activation("two").await);
    let place = format!("/v1/workspace-connectors/{id}");
    let version = rotate(&admin, &place, FRESH).await["id"].as_str().unwrap().to_owned();
    let elsewhere = format!("/v1/workspace-connectors/{other}/rollback/{version}");
    admin.post(&elsewhere, json!({})).await.refused(404, "resource.not_found");
    admin.delete(&place).await.expect(204);
    admin.get(&format!("{place}/secret-history")).await.refused(404, "resource.not_found");
    admin.post(&format!("{place}/purge"), json!({})).await.expect(204);
    let left = platform.count("SELECT count(*) FROM credential_versions").await;
    assert_eq!(left, 1, "only that of the other");
}
