//! The server as a process.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    time::{Duration, Instant},
};

use linkspan_testkit::TestPostgres;
use serde_json::{Value, json};

use crate::{
    program::{ADMIN_KEY, Program},
    secrecy::Api,
};

#[test]
fn commands_talk_to_a_running_server_and_it_stops_when_asked() {
    let program = Program::new();
    let served = program.serve();
    let remote = Program::new()
        .with("LINKSPAN_URL", &format!("http://{}", served.address))
        .with("LINKSPAN_API_KEY", ADMIN_KEY);
    // The server does not see the folder of its client: the file is uploaded.
    fs::write(remote.path().join("people.csv"), "id,name\n1,Ada\n").unwrap();
    remote.json(&["connect", "csv", "--name", "people", "--set", "path=people.csv"]);
    assert_eq!(remote.json(&["sync", "people"])["written"], 1);
    assert!(!remote.path().join("linkspan-data").exists(), "the platform is the server's");

    let wrong = Program::new()
        .with("LINKSPAN_URL", &format!("http://{}", served.address))
        .with("LINKSPAN_API_KEY", "lsk_wrong_key_that_nobody_has_made");
    assert_eq!(wrong.run(&["check", "people"]).code, 2);
    let began = Instant::now();
    assert_eq!(served.stop(), 0);
    assert!(began.elapsed() < Duration::from_secs(20));
}

#[test]
fn a_server_that_only_serves_leaves_the_work_to_workers() {
    let program = Program::new();
    let served = program.serve_as("api,scheduler");
    let remote = Program::new()
        .with("LINKSPAN_URL", &format!("http://{}", served.address))
        .with("LINKSPAN_API_KEY", ADMIN_KEY);
    fs::write(remote.path().join("people.csv"), "id,name\n1,Ada\n").unwrap();
    remote.json(&["connect", "csv", "--name", "people", "--set", "path=people.csv"]);
    let mut waiting = remote.command(&["sync", "people", "--json"]).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(700));
    assert!(waiting.try_wait().unwrap().is_none(), "there is no worker yet");
    let worker = program.work();
    assert!(waiting.wait().unwrap().success());
    assert_eq!(worker.stop(), 0);
    assert_eq!(served.stop(), 0);
}

#[test]
fn a_sync_is_followed_to_its_end_while_its_server_is_replaced() {
    let program = Program::new();
    let served = program.serve_as("api");
    let address = served.address.clone();
    let remote = Program::new()
        .with("LINKSPAN_URL", &format!("http://{address}"))
        .with("LINKSPAN_API_KEY", ADMIN_KEY);
    fs::write(remote.path().join("people.csv"), "id,name\n1,Ada\n").unwrap();
    remote.json(&["connect", "csv", "--name", "people", "--set", "path=people.csv"]);
    let mut waiting = remote.command(&["sync", "people", "--json"]).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(700));
    served.kill();
    std::thread::sleep(Duration::from_millis(700));
    assert!(waiting.try_wait().unwrap().is_none(), "nobody answers, and it waits");
    let served = program.serve_at(&address);
    assert!(waiting.wait().unwrap().success());
    assert_eq!(served.stop(), 0);
}

#[test]
fn a_port_that_is_taken_is_told_before_anything_is_made_or_shown() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let program = Program::bare();
    let ran = program.run(&["serve", "--listen", &address]);
    assert_eq!(ran.code, 2, "{}", ran.stderr);
    assert!(ran.stderr.contains("--listen"), "{}", ran.stderr);
    assert!(!ran.stdout.contains("lsk_") && !ran.stderr.contains("lsk_"), "{}", ran.stdout);
    assert!(!program.path().join("linkspan-data").exists());
}

#[test]
fn roles_that_there_are_not_are_refused() {
    let ran = Program::new().run(&["serve", "--role", "api,server"]);
    assert_eq!(ran.code, 2);
    assert!(ran.stderr.contains("api, scheduler and worker"), "{}", ran.stderr);
    let program = Program::new().with("LINKSPAN_ROLE", "server");
    assert_eq!(program.run(&["serve", "--listen", "127.0.0.1:0"]).code, 2);
}

#[test]
fn a_server_reads_no_file_outside_its_folders() {
    let program = Program::new();
    let served = program.serve();
    let remote = Program::new()
        .with("LINKSPAN_URL", &format!("http://{}", served.address))
        .with("LINKSPAN_API_KEY", ADMIN_KEY);
    // It is there only afterwards: otherwise it would be uploaded.
    let outside = program.path().join("outside.csv");
    let path = format!("path={}", outside.display());
    remote.json(&["connect", "csv", "--name", "outside", "--set", &path]);
    fs::write(&outside, "id\n1\n").unwrap();
    let checked = remote.run(&["check", "outside"]);
    assert_eq!(checked.code, 3, "{}", checked.stdout);
    assert_eq!(served.stop(), 0);
}

#[test]
fn production_refuses_to_start_without_a_master_key() {
    let program = Program::new().with("LINKSPAN_MODE", "production");
    let ran = program.run(&["serve", "--listen", "127.0.0.1:0"]);
    assert_eq!(ran.code, 2);
    assert!(ran.stderr.contains("LINKSPAN_MASTER_KEY"), "{}", ran.stderr);
}

#[test]
fn the_data_directory_is_for_its_owner_alone() {
    let program = Program::new();
    program.json(&["seed"]);
    let mode =
        |path: &str| fs::metadata(program.path().join(path)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode("linkspan-data"), 0o700);
    assert_eq!(mode("linkspan-data/master.key"), 0o600);
}

#[tokio::test]
async fn a_mark_that_was_moved_is_where_the_next_sync_begins() {
    let source = TestPostgres::create().await;
    let people = "create table people (id int primary key, name text);
        insert into people values (1, 'Ada'), (2, 'Grace'), (3, 'Mary')";
    sqlx::raw_sql(people).execute(&mut source.connect().await).await.unwrap();
    let program = Program::new();
    let served = program.serve();
    let remote = Program::new()
        .with("LINKSPAN_URL", &format!("http://{}", served.address))
        .with("LINKSPAN_API_KEY", ADMIN_KEY)
        .with("SOURCE", &source.url());
    let connect =
        ["connect", "postgresql", "--name", "crm", "--set-env", "connection_string=SOURCE"];
    let made = remote.json(&[&connect[..], &["--set", "cursor_column=id"]].concat());
    let read = || remote.json(&["sync", "crm"])["read"].as_u64().unwrap();
    assert_eq!(read(), 3);
    assert_eq!(read(), 1, "the boundary is read again");

    let mut api = Api::new(&served.address);
    let path = format!("/v1/workspace-connectors/{}", made["id"].as_str().unwrap());
    let streams = api.send("GET", &format!("{path}/streams"), None).await;
    let stream = &streams["data"][0];
    assert_eq!(
        (&stream["id"], &stream["attributes"]["cursor_after"]),
        (&json!("public.people"), &json!("3"))
    );
    let one = format!("{path}/streams/public.people");
    let mut set =
        async |value: Value| api.send("PATCH", &one, Some(json!({ "cursor_after": value }))).await;
    assert_eq!(set(json!("2")).await["data"]["attributes"]["cursor_after"], "2");
    assert_eq!(read(), 2);
    // The column is of whole numbers, as the database says.
    assert_eq!(set(json!("noon")).await["errors"][0]["code"], "resource.invalid");
    assert_eq!(set(Value::Null).await["data"]["attributes"]["cursor_after"], Value::Null);
    assert_eq!(read(), 3);

    let mut api = Api::new(&served.address);
    let hourly = json!({ "interval_secs": 3600, "mode": "full" });
    api.send("PUT", &format!("{path}/schedule"), Some(hourly)).await;
    let refused = api.send("PATCH", &one, Some(json!({ "cursor_after": null }))).await;
    assert_eq!(refused["errors"][0]["code"], "schedule.running");
    assert_eq!(served.stop(), 0);
    source.remove().await;
}

#[tokio::test]
async fn tables_that_are_no_streams_are_named() {
    let source = TestPostgres::create().await;
    let tables = "create table people (id int primary key); insert into people values (1);
        create table \"a;b\" (id int); create table \"Sales (2026)\" (id int)";
    sqlx::raw_sql(tables).execute(&mut source.connect().await).await.unwrap();
    let program = Program::new();
    let served = program.serve();
    let remote = Program::new()
        .with("LINKSPAN_URL", &format!("http://{}", served.address))
        .with("LINKSPAN_API_KEY", ADMIN_KEY)
        .with("SOURCE", &source.url());
    let setting = ["--set-env", "connection_string=SOURCE"];
    let read = remote.run(&[&["read", "postgresql"][..], &setting].concat());
    assert_eq!((read.code, read.stdout.trim()), (0, "{\"id\":1}"), "{}", read.stderr);
    let says = "2 tables were left out for characters in the name that no stream has: \"public.Sales (2026)\", \"public.a;b\"";
    assert!(read.stderr.contains(says), "{}", read.stderr);
    let named = [&["read", "postgresql", "--stream"][..], &["public.people"], &setting].concat();
    let read = remote.run(&named);
    assert!(read.code == 0 && !read.stderr.contains("left out"), "{}", read.stderr);

    remote.json(&[&["connect", "postgresql", "--name", "crm"][..], &setting].concat());
    let discovered = remote.json(&["discover", "crm"]);
    assert_eq!(discovered["streams"].as_array().unwrap().len(), 1, "{discovered}");
    let odd = |name: &str| json!({ "name": name, "reason": "characters_in_name" });
    let left_out = json!([odd("public.Sales (2026)"), odd("public.a;b")]);
    assert_eq!(discovered["left_out"], left_out);
    let told = remote.run(&["discover", "crm"]).stdout;
    assert!(told.contains("public.a;b") && told.contains("characters in name"), "{told}");
    assert_eq!(remote.json(&["sync", "crm"])["written"], 1);
    let mut api = Api::new(&served.address);
    let noted = "/v1/connector-sync-diagnostics?filter[reason]=streams_left_out";
    let noted = api.send("GET", noted, None).await;
    let attributes = &noted["data"][0]["attributes"];
    assert!(attributes["detail"].as_str().unwrap().starts_with(says), "{noted}");
    assert_eq!(attributes["class"], "informational");
    assert_eq!(served.stop(), 0);
    source.remove().await;
}

#[tokio::test]
async fn a_filter_plan_says_what_keeps_a_part_from_the_source() {
    let source = TestPostgres::create().await;
    let tables = "create table people (id int primary key, name text, note text);
        create table pets (id int primary key)";
    sqlx::raw_sql(tables).execute(&mut source.connect().await).await.unwrap();
    let program = Program::new();
    let served = program.serve();
    let remote = Program::new()
        .with("LINKSPAN_URL", &format!("http://{}", served.address))
        .with("LINKSPAN_API_KEY", ADMIN_KEY)
        .with("SOURCE", &source.url());
    let connect =
        ["connect", "postgresql", "--name", "crm", "--set-env", "connection_string=SOURCE"];
    let made = remote.json(&connect);
    let path = format!("/v1/workspace-connectors/{}", made["id"].as_str().unwrap());
    let mut api = Api::new(&served.address);
    let connector = api.send("GET", &path, None).await["data"]["relationships"]["connector"].take();
    let (ada, noted) =
        (json!({ "name": { "_eq": "Ada" } }), json!({ "note": { "_iregex": "vip" } }));
    let filter = json!({ "data": { "type": "connector_filter", "attributes": {
        "connector_id": connector["data"]["id"], "template": false,
        "config": { "_or": [ada, noted], "id": { "_gte": 1 } },
    } } });
    let filter = api.send("POST", "/v1/connector-filters", Some(filter)).await;
    assert!(filter["data"]["id"].is_string(), "{filter}");

    let mut places = async |stream: usize| {
        let plan = api.send("GET", &format!("{path}/filter-plan"), None).await;
        let its = plan["data"][stream]["attributes"].clone();
        assert_eq!(its["error"], Value::Null, "{plan}");
        let parts = its["parts"].as_array().unwrap().iter();
        let told = parts.map(|it| (it["place"].clone(), it["held_back_by"].clone()));
        told.collect::<Vec<_>>()
    };
    let none = json!([]);
    let at_source = (json!("source"), none.clone());
    assert_eq!(places(0).await, [(json!("here"), json!([noted])), at_source.clone()]);
    assert_eq!(places(1).await, [at_source, (json!("nowhere"), none.clone())]);

    // Of several records with one key all have to arrive.
    let key = ["--stream", "public.people", "--set", "primary_key=name"];
    remote.json(&[&["activations", "set", "crm"][..], &key].concat());
    assert_eq!(places(0).await, [(json!("here"), none.clone()), (json!("here"), none)]);
    assert_eq!(served.stop(), 0);
    source.remove().await;
}
