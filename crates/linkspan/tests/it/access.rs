//! Who comes in with what, and whether the trail they leave can be changed without a trace.

use linkspan_testkit::TestPostgres;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection, PgConnection, SqliteConnection, raw_sql};

use crate::{
    program::{Program, Ran},
    secrecy::Api,
};

/// Runs statements on the database at `url`, as somebody would who may write to it.
async fn run(url: &str, sql: &str) {
    let sql = raw_sql(AssertSqlSafe(sql.to_owned()));
    if url.starts_with("sqlite") {
        let mut connection = SqliteConnection::connect(url).await.unwrap();
        sql.execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    } else {
        let mut connection = PgConnection::connect(url).await.unwrap();
        sql.execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    }
}

fn verify(program: &Program, more: &[&str]) -> (Ran, Value) {
    let ran = program.run(&[&["audit", "verify", "--json"], more].concat());
    let said = ran.last_line();
    (ran, said)
}

async fn tampering_is_found(program: &Program, url: &str) {
    for name in ["one", "two", "three"] {
        program.json(&["connect", "csv", "--name", name, "--set", "path=none.csv"]);
    }
    let (ran, whole) = verify(program, &[]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let (last, head) = (whole["chain"]["events"].as_i64().unwrap(), &whole["chain"]["head"]);
    assert!(last >= 5, "{whole}");
    let head = head.as_str().unwrap();
    assert_eq!(verify(program, &["--head", head]).1["head_found"], true);

    let (triggers, id) = if url.starts_with("sqlite") {
        (
            "DROP TRIGGER audit_events_no_update; DROP TRIGGER audit_events_no_delete",
            "randomblob(16)",
        )
    } else {
        ("DROP TRIGGER audit_events_append_only ON audit_events", "gen_random_uuid()")
    };
    run(url, triggers).await;
    run(url, "CREATE TABLE kept AS SELECT * FROM audit_events; CREATE TABLE kept_heads AS SELECT * FROM audit_heads").await;
    let slip_in = format!(
        "INSERT INTO audit_events (audit_event_id, organization_id, actor_type, action, resource_type, details, trace_id, created_at)
         SELECT {id}, organization_id, actor_type, 'person.updated', resource_type, details, trace_id, created_at
         FROM audit_events WHERE sequence = 1"
    );
    let cut = format!("DELETE FROM audit_events WHERE sequence = {last}");
    for (tampering, fault, at) in [
        ("UPDATE audit_events SET action = 'person.purged' WHERE sequence = 2", "changed", 2),
        (
            "UPDATE audit_events SET created_at = '2020-01-01T00:00:00.000000Z' WHERE sequence = 2",
            "changed",
            2,
        ),
        ("UPDATE audit_events SET details = '{\"changed\": []}' WHERE sequence = 3", "changed", 3),
        ("UPDATE audit_events SET ip_address = '192.0.2.1' WHERE sequence = 4", "changed", 4),
        ("DELETE FROM audit_events WHERE sequence = 2", "missing", 2),
        (
            "UPDATE audit_events SET sequence = -1 WHERE sequence = 2;
             UPDATE audit_events SET sequence = 2 WHERE sequence = 3;
             UPDATE audit_events SET sequence = 3 WHERE sequence = -1",
            "changed",
            2,
        ),
        ("UPDATE audit_events SET hash = 'x' WHERE sequence = 2", "unreadable", 2),
        (
            "UPDATE audit_heads SET hash = (SELECT hash FROM audit_events WHERE sequence = 1)",
            "head_changed",
            last,
        ),
        (&slip_in, "changed", 1),
        (&cut, "missing", last),
    ] {
        run(url, tampering).await;
        let (ran, found) = verify(program, &[]);
        assert_eq!(ran.code, 4, "{tampering}: {found}");
        let said = (&found["chain"]["fault"], &found["chain"]["fault_sequence"]);
        assert_eq!(said, (&json!(fault), &json!(at)), "{tampering}: {found}");
        assert!(ran.stderr.contains("the audit trail is broken"), "{}", ran.stderr);
        run(url, "DELETE FROM audit_events; INSERT INTO audit_events SELECT * FROM kept").await;
        run(url, "DELETE FROM audit_heads; INSERT INTO audit_heads SELECT * FROM kept_heads").await;
    }
    assert_eq!(verify(program, &[]).0.code, 0);

    // Cut off so that it shows nowhere but in what was kept elsewhere.
    run(url, &cut).await;
    let before = last - 1;
    let rewind = format!(
        "UPDATE audit_heads SET sequence = {before}, hash = (SELECT hash FROM audit_events WHERE sequence = {before})"
    );
    run(url, &rewind).await;
    assert_eq!(verify(program, &[]).0.code, 0);
    let (ran, found) = verify(program, &["--head", head]);
    assert_eq!((ran.code, &found["head_found"]), (4, &json!(false)));
    assert_eq!(program.run(&["audit", "verify", "--head", "x"]).code, 2);
}

#[tokio::test]
async fn tampering_with_the_audit_trail_is_found_on_sqlite() {
    let program = Program::new();
    let url = format!("sqlite://{}/linkspan-data/linkspan.db", program.path().display());
    tampering_is_found(&program, &url).await;
}

#[tokio::test]
async fn tampering_with_the_audit_trail_is_found_on_postgres() {
    let database = TestPostgres::create().await;
    let program = Program::new().with("LINKSPAN_DATABASE_URL", &database.url());
    tampering_is_found(&program, &database.url()).await;
    database.remove().await;
}

#[tokio::test]
async fn a_token_of_the_command_line_opens_the_api_in_the_name_of_its_person() {
    let program = Program::new().with("LINKSPAN_JWT_SECRET", "a secret that only these tests know");
    let served = program.serve();
    // A server has the address that it listens on, or the one that its settings say; a command here knows neither.
    let program = program.with("LINKSPAN_PUBLIC_URL", "https://linkspan.test");
    let mut admin = Api::new(&served.address);
    let new = json!({ "data": { "type": "person", "attributes": {
        "name": "Ada", "email": "ada@example.com", "role": "admin",
    } } });
    let made = admin.send("POST", "/v1/people", Some(new)).await;
    let issued = program.json(&["token", "--person", "Ada@Example.com", "--for", "5m"]);
    assert_eq!(issued["person_id"], made["data"]["id"]);

    let mut ada = Api::with_key(&served.address, issued["token"].as_str().unwrap());
    let me = json!({ "data": { "type": "workspace", "attributes": { "name": "Hers", "slug": "hers" } } });
    let hers = ada.send("POST", "/v1/workspaces", Some(me)).await;
    let filter =
        format!("/v1/audit-events?filter[resource_id]={}", hers["data"]["id"].as_str().unwrap());
    let event = admin.send("GET", &filter, None).await["data"][0]["attributes"].take();
    assert_eq!(
        (&event["action"], &event["actor_id"]),
        (&json!("workspace.created"), &made["data"]["id"])
    );
    assert_eq!(event["ip_address"], "127.0.0.1");
    let filter = "/v1/audit-events?filter[action]=token.issued";
    let event = admin.send("GET", filter, None).await["data"][0]["attributes"].take();
    assert_eq!(event["resource_id"], made["data"]["id"]);

    let forged = format!("{}x", issued["token"].as_str().unwrap());
    let refused = Api::with_key(&served.address, &forged).send("GET", "/v1/people", None).await;
    assert_eq!(refused["errors"][0]["code"], "request.unauthenticated");
    let nobody = program.run(&["token", "--person", "eve@example.com"]);
    assert_eq!(nobody.code, 2, "{}", nobody.stderr);
    let too_long = program.run(&["token", "--person", "ada@example.com", "--for", "2d"]);
    assert_eq!(too_long.code, 2, "{}", too_long.stderr);
    assert_eq!(served.stop(), 0);
}

#[tokio::test]
async fn the_history_of_secrets_says_who_put_them_to_use() {
    let program = Program::new()
        .with("LINKSPAN_JWT_SECRET", "a secret that only these tests know")
        .with("PASSWORD", "hunter2");
    let connect = ["connect", "postgresql", "--name", "crm", "--set", "host=127.0.0.1"];
    let rest = ["--set", "database=x", "--set", "username=u", "--set-env", "password=PASSWORD"];
    program.json(&[&connect[..], &rest].concat());
    let served = program.serve();
    let mut admin = Api::new(&served.address);
    let workspace = admin.send("GET", "/v1/workspaces", None).await["data"][0]["id"].clone();
    let new = json!({ "data": { "type": "person", "attributes": {
        "name": "Ada", "email": "ada@example.com", "role": "designer", "workspaces": [workspace],
    } } });
    let made = admin.send("POST", "/v1/people", Some(new)).await;
    let token = program.json(&["token", "--person", "ada@example.com"])["token"].clone();
    let hers = Program::bare()
        .with("LINKSPAN_URL", &format!("http://{}", served.address))
        .with("LINKSPAN_API_KEY", token.as_str().unwrap())
        .with("PASSWORD", "hunter3");
    hers.json(&["activations", "set", "crm", "--set-env", "password=PASSWORD"]);

    let history = ["activations", "history", "crm"];
    let by = |program: &Program| -> Vec<Value> {
        let said = program.json(&history);
        let versions = said["versions"].as_array().unwrap().iter();
        versions.map(|it| json!([it["number"], it["actor_type"], it["actor_name"]])).collect()
    };
    let both = [json!([2, "person", "Ada"]), json!([1, "api_key", "Platform admin"])];
    assert_eq!(by(&program), both);
    let table = program.run(&history).stdout;
    assert!(table.contains("Ada") && table.contains("key Platform admin"), "{table}");
    // Keys are for admins to see.
    assert_eq!(by(&hers)[1], json!([1, "api_key", null]));
    let actor = hers.json(&history)["versions"][0]["actor_id"].clone();
    assert_eq!(actor, made["data"]["id"]);
    assert_eq!(served.stop(), 0);
}

#[test]
fn settings_for_tokens_that_cannot_work_stop_the_start() {
    for (variables, says) in [
        (vec![("LINKSPAN_JWT_SECRET", "short")], "LINKSPAN_JWT_SECRET"),
        (vec![("LINKSPAN_JWT_SECRET_PREVIOUS", "0123456789abcdef0123456789abcdef")], "set both"),
        (vec![("LINKSPAN_OIDC_ISSUER", "https://id.example.com")], "audience"),
        (vec![("LINKSPAN_OIDC_AUDIENCE", "linkspan")], "LINKSPAN_OIDC_ISSUER"),
        (
            vec![
                ("LINKSPAN_OIDC_ISSUER", "http://id.example.com"),
                ("LINKSPAN_OIDC_AUDIENCE", "x"),
            ],
            "https",
        ),
        (vec![("LINKSPAN_TRUSTED_PROXIES", "proxy.internal")], "LINKSPAN_TRUSTED_PROXIES"),
    ] {
        let program =
            variables.iter().fold(Program::new(), |it, (name, value)| it.with(name, value));
        let ran = program.run(&["serve", "--listen", "127.0.0.1:0"]);
        assert_eq!(ran.code, 2, "{variables:?}: {}", ran.stderr);
        assert!(ran.stderr.contains(says), "{variables:?}: {}", ran.stderr);
        assert!(!ran.stderr.contains("0123456789abcdef"), "{}", ran.stderr);
    }
}
