//! What syncs brought in: followed change by change, and looked through.

use linkspan_domain::{
    AuditEventId, Retention, RunCounts, RunEnd, RunOutcome, StreamMemory, SyncLogId, SyncMode,
    ports::Cause,
};
use linkspan_sdk::{Checkpoint, ContentHash, Finish, HeldRun, Opening, Rejected, Rows};
use poem::http::Method;
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};

use crate::platform::{Client, Platform};

/// A full load of the stream `orders` with exactly these records.
async fn load(platform: &Platform, activation: &str, rows: &[(&str, Value)]) -> Result<(), Cause> {
    load_with(platform, activation, rows, Vec::new()).await
}

/// The same, with some that cannot be stored.
async fn load_with(
    platform: &Platform,
    activation: &str,
    rows: &[(&str, Value)],
    rejected: Vec<Rejected>,
) -> Result<(), Cause> {
    load_at(platform, activation, rows, rejected, platform.app.world.now()).await
}

/// The same, at some time. Tombstones are kept for ten days.
async fn load_at(
    platform: &Platform,
    activation: &str,
    rows: &[(&str, Value)],
    rejected: Vec<Rejected>,
    now: OffsetDateTime,
) -> Result<(), Cause> {
    let admin = platform.admin();
    let path = format!("/v1/workspace-connectors/{activation}/syncs");
    let started = admin.post(&path, json!({ "mode": "full" })).await.expect(202);
    let run = SyncLogId::from_uuid(started.body["data"]["id"].as_str().unwrap().parse()?);
    let (syncs, records) = (platform.database.syncs(), platform.database.records());
    let claimed = syncs.claim("test", Some(run), now, now + Duration::MINUTE).await?;
    let claimed = claimed.unwrap();
    let held = HeldRun { id: claimed.id, fence: claimed.fence };
    let opening = Opening {
        basis: linkspan_sdk::ContentHash::of("basis"),
        run: held,
        activation: claimed.workspace_connector_id,
        stream: "orders".parse()?,
        mode: SyncMode::Full,
        cursor_column: None,
        memory: StreamMemory::default(),
        source: None,
        now,
    };
    let load = records.open_stream(&opening).await?;
    let mut packed = Rows::default();
    for (key, payload) in rows {
        let payload = payload.to_string();
        packed.push(key, &payload, ContentHash::of(&payload));
    }
    let checkpoint = Checkpoint {
        load: load.clone(),
        rows: packed,
        rejected,
        released: Vec::new(),
        met: Vec::new(),
        gone: Vec::new(),
        pushed: RunCounts::default(),
        mark: None,
        now,
    };
    records.commit(&checkpoint).await?;
    let memory = StreamMemory::default();
    let retention = Retention { stale: None, tombstones: Some(10_u32.try_into()?) };
    records.finish_stream(&Finish { load, memory, retention, extent: SyncMode::Full, now }).await?;
    let outcome = RunOutcome { end: RunEnd::Clean, counts: RunCounts::default(), error: None };
    let event = AuditEventId::from_uuid(held.id.uuid());
    syncs.finish(held.id, held.fence, &outcome, event, now).await?;
    Ok(())
}

/// Kind and key of all that is told from `path` on, and the cursor behind it.
async fn follow(client: &Client<'_>, path: &str) -> (Vec<String>, String) {
    let mut path = path.to_owned();
    let mut heard = Vec::new();
    loop {
        let page = client.get(&path).await.expect(200);
        for change in page.body["data"].as_array().unwrap() {
            let it = &change["attributes"];
            heard.push(format!("{} {}", it["kind"].as_str().unwrap(), it["key"].as_str().unwrap()));
        }
        match page.body["links"]["next"].as_str() {
            Some(next) => next.clone_into(&mut path),
            None => {
                return (heard, page.body["meta"]["page"]["cursor"].as_str().unwrap().to_owned());
            }
        }
    }
}

#[tokio::test]
async fn a_client_that_follows_hears_of_every_change() {
    let platform = Platform::start().await;
    let admin = platform.admin();
    let (one, other) = (admin.activation("one").await, admin.activation("other").await);
    let (heard, start) = follow(&admin, "/v1/records/changes").await;
    assert_eq!(heard, [""; 0]);

    load(&platform, &one, &[("1", json!({ "n": 1 })), ("2", json!({ "n": 2 }))]).await.unwrap();
    load(&platform, &other, &[("9", json!({ "n": 9 }))]).await.unwrap();
    let (heard, at) = follow(&admin, "/v1/records/changes?page[size]=1").await;
    assert_eq!(heard, ["ADDED 1", "ADDED 2", "ADDED 9"]);
    let (again, _) = follow(&admin, &format!("/v1/records/changes?page[after]={start}")).await;
    assert_eq!(again, heard, "a cursor from before the first change still counts");

    load(&platform, &one, &[("1", json!({ "n": 7 }))]).await.unwrap();
    let behind = format!("/v1/records/changes?page[after]={at}");
    assert_eq!(follow(&admin, &behind).await.0, ["UPDATED 1", "DELETED 2"]);
    let narrow = format!("{behind}&filter[workspace_connector_id]={other}&filter[stream]=orders");
    assert_eq!(follow(&admin, &narrow).await.0, [""; 0]);
    let page = admin.get(&behind).await.expect(200);
    assert_eq!(page.body["data"][0]["attributes"]["payload"], json!({ "n": 7 }));
    assert_eq!(page.body["data"][0]["type"], "record_change");
}

#[tokio::test]
async fn a_client_that_stayed_away_for_too_long_begins_anew() {
    let platform = Platform::start().await;
    let admin = platform.admin();
    let one = admin.activation("one").await;
    let (first, second) = (("1", json!({ "n": 1 })), ("2", json!({ "n": 2 })));
    load(&platform, &one, &[first.clone(), second]).await.unwrap();
    let (_, at) = follow(&admin, "/v1/records/changes").await;
    load(&platform, &one, std::slice::from_ref(&first)).await.unwrap();
    let behind = format!("/v1/records/changes?page[after]={at}");
    assert_eq!(follow(&admin, &behind).await.0, ["DELETED 2"]);

    let later = platform.app.world.now() + Duration::days(11);
    load_at(&platform, &one, &[first], Vec::new(), later).await.unwrap();
    let refused = admin.get(&behind).await.refused(410, "page.cursor_expired");
    assert!(refused["detail"].as_str().unwrap().contains("begin anew"), "{refused}");
    assert_eq!(follow(&admin, "/v1/records/changes").await.0, ["ADDED 1"]);
}

#[tokio::test]
async fn a_feed_takes_what_belongs_to_it_and_nothing_else() {
    let platform = Platform::start().await;
    let admin = platform.admin();
    let (_, cursor) = follow(&admin, "/v1/records/changes").await;
    let path = "/v1/records/changes";
    for bad in ["page[after]=x", "page[before]=x", "sort=key", "filter[key]=1", "page[size]=0"] {
        admin.get(&format!("{path}?{bad}")).await.expect(400);
    }
    let query = json!({ "where": {}, "after": cursor });
    admin.post("/v1/records/query", query).await.refused(400, "page.invalid_cursor");
    let absent = "01960000-0000-7000-8000-ffffffffffff";
    let absent = format!("{path}?filter[workspace_connector_id]={absent}");
    admin.get(&absent).await.refused(404, "resource.not_found");
    let lower = admin
        .make("/v1/workspaces", "workspace", json!({ "name": "Other", "slug": "other" }))
        .await;
    let elsewhere = admin.with("Linkspan-Workspace", &lower);
    elsewhere.get(&format!("{path}?page[after]={cursor}")).await.expect(400);
}

#[tokio::test]
async fn records_are_found_by_what_they_say() {
    let platform = Platform::start().await;
    let admin = platform.admin();
    let one = admin.activation("one").await;
    let rows: Vec<(String, Value)> = (0..30)
        .map(|it| {
            (
                format!("{it:02}"),
                json!({ "n": it, "city": if it % 2 == 1 { "Rome" } else { "Oslo" } }),
            )
        })
        .collect();
    let rows: Vec<(&str, Value)> = rows.iter().map(|(key, it)| (&**key, it.clone())).collect();
    load(&platform, &one, &rows).await.unwrap();
    load(&platform, &one, &rows[..29]).await.unwrap();

    let find = async |body: Value| admin.post("/v1/records/query", body).await.expect(200);
    let condition = json!({ "city": { "_eq": "Rome" }, "_not": { "n": { "_lt": 20 } } });
    let page = find(json!({ "where": condition, "limit": 3, "workspace_connector_id": one })).await;
    assert_eq!(page.listed("key"), ["21", "23", "25"]);
    assert_eq!(page.body["data"][0]["id"], format!("{one}/orders/21"));
    assert_eq!(page.body["data"][0]["attributes"]["payload"]["city"], "Rome");
    let after = &page.body["meta"]["page"]["cursor"];
    let rest = find(json!({ "where": condition, "after": after })).await;
    assert_eq!(rest.listed("key"), ["27"]);
    assert_eq!(rest.body["meta"]["page"]["cursor"], Value::Null);
    let gone = find(json!({ "where": condition, "after": after, "include_deleted": true })).await;
    assert_eq!(gone.listed("key"), ["27", "29"]);
    assert_eq!(find(json!({})).await.listed("key").len(), 20, "the default size");
    assert_eq!(find(json!({ "stream": "none" })).await.listed("key"), [""; 0]);

    let long = r#"{"n": {"_gt": 12345678901234567890.12}}"#;
    let filter = format!(
        r#"{{"data": {{"type": "connector_filter", "attributes": {{"config": {long}}}}}}}"#
    );
    for (path, body) in [
        ("/v1/records/query", format!(r#"{{"where": {long}}}"#)),
        ("/v1/entities/query", format!(r#"{{"model": "people", "where": {long}}}"#)),
        ("/v1/connector-filters", filter),
    ] {
        let json = admin.with("Content-Type", "application/json");
        let refused = json.send(Method::POST, path, Some(body)).await;
        let problem = refused.refused(400, "request.malformed");
        assert!(problem["detail"].as_str().unwrap().contains("write it as a text"), "{problem}");
    }
    let wrong = json!({ "where": { "city": { "_equals": "Rome" } } });
    let problem = admin
        .post("/v1/records/query", wrong)
        .await
        .refused(422, "connector_filter.invalid_condition");
    assert_eq!(problem["source"]["pointer"], "/where/city/_equals");
    for limit in [json!(0), json!(501), json!(-1), json!(70_000), json!("many")] {
        let query = json!({ "limit": limit });
        let refused = admin.post("/v1/records/query", query.clone()).await;
        let refused = refused.refused(422, "resource.invalid");
        assert_eq!(refused["source"]["pointer"], "/limit");
        assert_eq!(refused["detail"], "must be a whole number from 1 to 500", "{limit}");
        let query = json!({ "data": { "type": "record_query", "attributes": query } });
        let refused = admin.post("/v1/records/query", query).await;
        let refused = refused.refused(422, "resource.invalid");
        assert_eq!(refused["source"]["pointer"], "/data/attributes/limit");
    }
}

#[tokio::test]
async fn records_that_were_kept_aside_are_listed_stream_by_stream() {
    let platform = Platform::start().await;
    let admin = platform.admin();
    let activation = admin.activation("shop").await;
    let rejected = (0..5).map(|number| Rejected {
        key: (number > 0).then(|| number.to_string()),
        payload: format!("{{\"number\":{number}}}"),
        reason: "the key column `id` is null".to_owned(),
    });
    load_with(&platform, &activation, &[], rejected.collect()).await.unwrap();

    let list = "/v1/records/quarantined";
    let mut path = format!(
        "{list}?filter[workspace_connector_id]={activation}&filter[stream]=orders&page[size]=2"
    );
    let mut keys = Vec::new();
    loop {
        let page = admin.get(&path).await.expect(200);
        keys.extend(
            page.body["data"].as_array().unwrap().iter().map(|it| it["attributes"]["key"].clone()),
        );
        match page.body["links"]["next"].as_str() {
            Some(next) => next.clone_into(&mut path),
            None => break,
        }
    }
    assert_eq!(keys, [json!(null), json!("1"), json!("2"), json!("3"), json!("4")]);
    for missing in ["", "?filter[stream]=orders"] {
        let refused = admin.get(&format!("{list}{missing}")).await.expect(400);
        assert_eq!(refused.body["errors"][0]["code"], "request.invalid_parameter");
    }
}

#[tokio::test]
async fn a_stream_that_marks_what_is_missing_shows_since_when() {
    let platform = Platform::start().await;
    let admin = platform.admin();
    let activation = admin.activation("one").await;
    let path = format!("/v1/workspace-connectors/{activation}");
    let streams = |days: u32| json!([{ "missing": "mark_stale", "retention_days": days }]);
    let change = |days: u32| json!({ "data": { "type": "workspace_connector", "id": activation, "attributes": { "streams": streams(days) } } });
    admin.patch(&path, change(3_651)).await.expect(422);
    let kept = admin.patch(&path, change(7)).await.expect(200);
    assert_eq!(kept.body["data"]["attributes"]["streams"], streams(7));

    load(&platform, &activation, &[("1", json!({ "n": 1 }))]).await.unwrap();
    let found = admin.post("/v1/records/query", json!({})).await.expect(200);
    let record = &found.body["data"][0]["attributes"];
    assert_eq!((&record["key"], &record["stale_since"]), (&json!("1"), &Value::Null));
    let heard = admin.get("/v1/records/changes").await.expect(200);
    assert_eq!(heard.body["data"][0]["attributes"]["stale_since"], Value::Null);
}
