//! Commands that act in one of several workspaces.

use std::fs;

use serde_json::{Value, json};

use crate::{
    program::{ADMIN_KEY, Program},
    secrecy::Api,
};

/// Makes a workspace below the first one.
async fn below(api: &mut Api, slug: &str) -> String {
    let first = api.send("GET", "/v1/workspaces?filter[slug]=main", None).await;
    let body = json!({ "data": {
        "type": "workspace",
        "attributes": { "name": slug, "slug": slug, "parent_id": first["data"][0]["id"] },
    } });
    let made = api.send("POST", "/v1/workspaces", Some(body)).await;
    made["data"]["id"].as_str().unwrap_or_else(|| panic!("{made}")).to_owned()
}

#[tokio::test]
async fn a_command_acts_in_the_workspace_that_it_names_and_finds_what_is_there_first() {
    let program = Program::new();
    let served = program.serve();
    let mut api = Api::new(&served.address);
    let (shop, hall) = (below(&mut api, "shop").await, below(&mut api, "hall").await);
    let url = format!("http://{}", served.address);
    let remote = Program::new().with("LINKSPAN_URL", &url).with("LINKSPAN_API_KEY", ADMIN_KEY);
    fs::write(remote.path().join("people.csv"), "id,name\n1,Ada\n").unwrap();
    let connect = ["connect", "csv", "--name", "people", "--set", "path=people.csv"];
    let made = |more: &[&str]| remote.json(&[&connect[..], more].concat())["id"].clone();
    let (in_shop, in_hall) = (made(&["--workspace", "shop"]), made(&["--workspace", &hall]));
    let shown = |more: &[&str]| -> Value {
        remote.json(&[&["activations", "show", "people"], more].concat())["id"].clone()
    };
    assert_eq!(shown(&["--workspace", &shop]), in_shop);
    assert_eq!(shown(&["--workspace", "hall"]), in_hall);
    let several = remote.run(&["activations", "show", "people"]);
    assert!(several.code == 2 && several.stderr.contains("--workspace"), "{}", several.stderr);
    let own = made(&[]);
    assert_eq!(shown(&[]), own, "one's own comes before those below");
    assert_eq!(remote.json(&["sync", "people"])["written"], 1);

    let nowhere = remote.with("LINKSPAN_WORKSPACE", "nowhere");
    let refused = nowhere.run(&["activations", "show", "people"]);
    assert_eq!(refused.code, 2, "{}", refused.stdout);
    assert!(refused.stderr.contains("LINKSPAN_WORKSPACE"), "{}", refused.stderr);
    assert_eq!(nowhere.run(&["activations", "list", "--workspace", "hall"]).code, 0);
}

#[tokio::test]
async fn the_embedded_platform_has_workspaces_too() {
    let program = Program::new();
    let served = program.serve();
    below(&mut Api::new(&served.address), "shop").await;
    assert_eq!(served.stop(), 0);
    fs::write(program.path().join("people.csv"), "id,name\n1,Ada\n").unwrap();
    let connect = ["connect", "csv", "--name", "people", "--set", "path=people.csv"];
    program.json(&[&connect[..], &["--workspace", "shop"]].concat());
    let named = |workspace: &str| {
        let listed = program.json(&["activations", "list", "--workspace", workspace]);
        listed["activations"].as_array().unwrap().len()
    };
    assert_eq!((named("main"), named("shop")), (1, 1), "seen from above");
    assert_eq!(program.json(&["sync", "people", "--workspace", "shop"])["written"], 1);
}
