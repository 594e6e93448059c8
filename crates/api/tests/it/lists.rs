//! Lists: pages, filters, order.

use std::collections::BTreeSet;

use serde_json::json;

use crate::platform::{Client, Platform};

async fn connectors(client: &Client<'_>, count: usize) {
    for number in 0..count {
        client.connector(&format!("service-{number:02}")).await;
    }
}

/// All names on the way along `link`, page by page.
async fn walk(client: &Client<'_>, from: &str, link: &str) -> Vec<String> {
    let (mut names, mut next) = (Vec::new(), Some(from.to_owned()));
    while let Some(path) = next {
        let page = client.get(&path).await.expect(200);
        names.push(page.listed("service_id"));
        next = page.body["links"][link].as_str().map(str::to_owned);
    }
    if link == "prev" {
        names.reverse();
    }
    names.concat()
}

#[tokio::test]
async fn pages_follow_each_other_in_both_directions() {
    let platform = Platform::start().await;
    let admin = platform.admin();
    connectors(&admin, 7).await;
    let forward = walk(&admin, "/v1/connectors?sort=service_id&page[size]=3", "next").await;
    assert_eq!(forward, (0..7).map(|it| format!("service-{it:02}")).collect::<Vec<_>>());

    let last = admin.get("/v1/connectors?sort=service_id&page[size]=3").await.body["links"]["next"]
        .clone();
    let last = admin.get(last.as_str().unwrap()).await.body["links"]["next"].clone();
    assert_eq!(walk(&admin, last.as_str().unwrap(), "prev").await, forward);

    let first = admin.get("/v1/connectors?sort=service_id&page[size]=3").await;
    assert_eq!(first.body["meta"]["page"]["total"], 7);
    assert!(first.body["links"]["prev"].is_null());
    // Each thing says where it is, so a page can begin behind any of them.
    let second = first.body["data"][1]["meta"]["page"]["cursor"].as_str().unwrap();
    let page = admin
        .get(&format!("/v1/connectors?sort=service_id&page[size]=2&page[after]={second}"))
        .await;
    assert_eq!(page.listed("service_id"), ["service-02", "service-03"]);
}

#[tokio::test]
async fn what_comes_and_goes_meanwhile_shifts_no_page() {
    let platform = Platform::start().await;
    let admin = platform.admin();
    connectors(&admin, 6).await;
    let first = admin.get("/v1/connectors?page[size]=3").await.expect(200);
    let gone = first.body["data"][0]["id"].as_str().unwrap();
    admin.delete(&format!("/v1/connectors/{gone}")).await.expect(204);
    admin.connector("newer").await;
    let second = admin.get(first.body["links"]["next"].as_str().unwrap()).await.expect(200);
    assert_eq!(second.listed("service_id"), ["service-02", "service-01", "service-00"]);
}

#[tokio::test]
async fn a_list_shows_what_was_written_a_moment_ago() {
    let platform = Platform::start().await;
    let admin = platform.admin();
    connectors(&admin, 2).await;
    let list = "/v1/connectors?sort=service_id";
    let first = admin.get(list).await.expect(200);
    assert_eq!(admin.get(list).await.body, first.body, "the page is sent again");
    let id = first.body["data"][0]["id"].as_str().unwrap();
    let patch =
        json!({ "data": { "type": "connector", "id": id, "attributes": { "service_id": "new" } } });
    admin.patch(&format!("/v1/connectors/{id}"), patch).await.expect(200);
    assert_eq!(admin.get(list).await.listed("service_id"), ["new", "service-01"]);
    // By another process.
    platform.run("UPDATE connectors SET service_id = 'newer' WHERE service_id = 'new'").await;
    assert_eq!(admin.get(list).await.listed("service_id"), ["newer", "service-01"]);
    // The same list, seen by somebody else.
    let stranger = platform.client(crate::platform::STRANGER);
    assert_eq!(admin.get("/v1/workspaces").await.listed("slug"), ["main"]);
    assert_eq!(stranger.get("/v1/workspaces").await.listed("slug"), ["elsewhere"]);
    assert_eq!(admin.get("/v1/workspaces").await.listed("slug"), ["main"]);
}

#[tokio::test]
async fn a_cursor_is_good_for_its_own_list_only() {
    let platform = Platform::start().await;
    let admin = platform.admin();
    connectors(&admin, 3).await;
    let first = admin.get("/v1/connectors?sort=name&page[size]=1").await.expect(200);
    let cursor = first.body["data"][0]["meta"]["page"]["cursor"].as_str().unwrap().to_owned();
    for path in [
        format!("/v1/connectors?sort=-name&page[after]={cursor}"),
        format!("/v1/connectors?sort=name&filter[name]=x&page[after]={cursor}"),
        format!("/v1/connectors?sort=name&include_deleted=true&page[after]={cursor}"),
        format!("/v1/providers?sort=name&page[after]={cursor}"),
        "/v1/connectors?page[before]=nonsense".to_owned(),
    ] {
        let error = admin.get(&path).await.refused(400, "page.invalid_cursor");
        assert!(error["source"]["parameter"].as_str().unwrap().starts_with("page["), "{path}");
    }
}

#[tokio::test]
async fn filters_narrow_by_the_type_of_the_field() {
    let platform = Platform::start().await;
    let admin = platform.admin();
    connectors(&admin, 3).await;
    let kept = admin.get("/v1/connectors?sort=service_id").await;
    let [zero, one] = [0, 1].map(|it| kept.body["data"][it]["id"].as_str().unwrap().to_owned());
    let moment = kept.body["data"][1]["attributes"]["created_at"].as_str().unwrap().to_owned();
    for (filter, expected) in [
        ("filter[service_id]=service-01".to_owned(), vec!["service-01"]),
        ("filter[service_id][neq]=service-01".to_owned(), vec!["service-00", "service-02"]),
        ("filter[name][contains]=E-0".to_owned(), vec!["service-00", "service-01", "service-02"]),
        (
            "filter[name][starts_with]=shop&filter[service_id][ends_with]=2".to_owned(),
            vec!["service-02"],
        ),
        ("filter[name][contains]=%25".to_owned(), vec![]),
        ("filter[slug][is_null]=false".to_owned(), vec![]),
        (
            "filter[status][in]=maintenance,available".to_owned(),
            vec!["service-00", "service-01", "service-02"],
        ),
        ("filter[status]=maintenance".to_owned(), vec![]),
        (format!("filter[connector_id][in]={zero},{one}"), vec!["service-00", "service-01"]),
        (format!("filter[created_at][gt]={moment}"), vec!["service-02"]),
        (format!("filter[created_at][lte]={moment}"), vec!["service-00", "service-01"]),
    ] {
        let found =
            admin.get(&format!("/v1/connectors?sort=service_id&{filter}")).await.expect(200);
        assert_eq!(found.listed("service_id"), expected, "{filter}");
        assert_eq!(found.body["meta"]["page"]["total"], expected.len(), "{filter}");
    }
}

#[tokio::test]
async fn what_is_unknown_is_refused_and_named() {
    let platform = Platform::start().await;
    let admin = platform.admin();
    let id = admin.connector("one").await;
    for (query, parameter) in [
        ("colour=red", "colour"),
        ("filter[colour]=red", "filter[colour]"),
        ("filter[name][gt]=a", "filter[name][gt]"),
        ("filter[status]=broken", "filter[status]"),
        ("filter[created_at][gt]=yesterday", "filter[created_at][gt]"),
        ("filter[slug][is_null]=perhaps", "filter[slug][is_null]"),
        ("filter=x", "filter"),
        ("filter[name]=a&filter[name]=b", "filter[name]"),
        ("sort=colour", "sort"),
        ("sort=", "sort"),
        ("include=colour", "include"),
        ("include=provider_connector.provider", "include"),
        ("fields[connector]=colour", "fields[connector]"),
        ("fields[person]=name", "fields[person]"),
        ("page[size]=0", "page[size]"),
        ("page[size]=501", "page[size]"),
        ("page[number]=2", "page[number]"),
        ("include_deleted=maybe", "include_deleted"),
        ("name=%ff", "name"),
        ("name=%00", "name"),
    ] {
        let answer = admin.get(&format!("/v1/connectors?{query}")).await.expect(400);
        assert_eq!(answer.body["errors"][0]["source"]["parameter"], parameter, "{query}");
    }
    for query in ["sort=name", "page[size]=1", "filter[name]=x", "colour=red"] {
        admin
            .get(&format!("/v1/connectors/{id}?{query}"))
            .await
            .refused(400, "request.invalid_parameter");
    }
    admin
        .get("/v1/audit-events?include_deleted=true")
        .await
        .refused(400, "request.invalid_parameter");
}

#[tokio::test]
async fn deleted_things_are_listed_when_asked_for() {
    let platform = Platform::start().await;
    let admin = platform.admin();
    connectors(&admin, 2).await;
    let kept = admin.get("/v1/connectors?sort=service_id").await;
    let gone = kept.body["data"][0]["id"].as_str().unwrap();
    admin.delete(&format!("/v1/connectors/{gone}")).await.expect(204);
    assert_eq!(admin.get("/v1/connectors").await.listed("service_id"), ["service-01"]);
    let all = admin.get("/v1/connectors?sort=service_id&include_deleted=true").await;
    assert_eq!(all.listed("service_id"), ["service-00", "service-01"]);
    assert!(all.body["data"][0]["attributes"]["deleted_at"].is_string());
}

#[tokio::test]
async fn connector_types_are_listed_as_everything_else() {
    let platform = Platform::start().await;
    let admin = platform.admin();
    let types = admin
        .get("/v1/connector-types?filter[title][contains]=sho&sort=-key&page[size]=1")
        .await
        .expect(200);
    assert_eq!(types.listed("key"), ["shop"]);
    assert_eq!(
        admin.get("/v1/connector-types?filter[is_mock]=true").await.expect(200).listed("key"),
        [""; 0]
    );
    admin
        .get("/v1/connector-types?filter[colour]=red")
        .await
        .refused(400, "request.invalid_parameter");
    let by_alias = admin.get("/v1/connector-types/store").await.expect(200);
    assert_eq!(by_alias.body["data"]["id"], "shop");
    assert_eq!(by_alias.attributes()["config_schema"]["properties"]["password"]["secret"], true);
    admin.get("/v1/connector-types/nothing").await.refused(404, "resource.not_found");
    let can = admin.get("/v1/connector-types/shop/capabilities").await.expect(200);
    assert_eq!(can.attributes()["capabilities"], json!(["check", "discover", "read"]));
}

#[tokio::test]
async fn every_list_can_be_ordered_by_all_it_lists() {
    let platform = Platform::start().await;
    let admin = platform.admin();
    let activation = admin.activation("one").await;
    let paths = crate::contract::DOCUMENT["paths"].as_object().unwrap();
    let mut seen = BTreeSet::new();
    for (path, item) in paths {
        for parameter in item["get"]["parameters"].as_array().into_iter().flatten() {
            let parameter = crate::contract::resolved(parameter);
            if parameter["name"] != "sort" {
                continue;
            }
            let pattern = parameter["schema"]["pattern"].as_str().unwrap();
            let keys = pattern.split(['(', ')']).nth(1).unwrap().split('|');
            let path = path.replace("{id}", &activation);
            for key in keys {
                admin.get(&format!("{path}?sort={key},-{key}")).await.expect(200);
                admin.get(&format!("{path}?sort=-{key}&page[size]=1")).await.expect(200);
            }
            seen.insert(path);
        }
    }
    assert_eq!(seen.len(), 20, "{seen:?}");
}
