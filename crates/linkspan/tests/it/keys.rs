//! `linkspan keys` and `linkspan secrets`, and what becomes of secrets whose key is gone.

use std::{fs, os::unix::fs::PermissionsExt};

use linkspan_testkit::TestPostgres;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection, Row, SqliteConnection};

use crate::program::{ADMIN_KEY, Program};

const PLANTED: &str = "hunter2-planted";

fn key(byte: u8) -> String {
    format!("{byte:02x}").repeat(32)
}

/// A program with an activation that has a secret under the key 1.
fn installation() -> Program {
    let program = Program::new().with("LINKSPAN_MASTER_KEY", &key(1)).with("PASSWORD", PLANTED);
    let connect = ["connect", "postgresql", "--name", "crm", "--set", "host=127.0.0.1"];
    let rest = ["--set", "database=x", "--set", "username=u", "--set-env", "password=PASSWORD"];
    program.json(&[&connect[..], &rest].concat());
    program
}

/// What `keys status` says: role, secrets under the key, how often it has sealed.
fn status(program: &Program) -> Vec<(String, u64, u64)> {
    let said = program.json(&["keys", "status"]);
    let row = |it: &Value| {
        let uses = it["encryptions"]["credentials"].as_u64().unwrap_or_default();
        (it["role"].as_str().unwrap().to_owned(), it["sealed"].as_u64().unwrap(), uses)
    };
    said["keys"].as_array().unwrap().iter().map(row).collect()
}

async fn sqlite(program: &Program, sql: &str) -> Vec<String> {
    let url = format!("sqlite://{}", program.path().join("linkspan-data/linkspan.db").display());
    let mut connection = SqliteConnection::connect(&url).await.unwrap();
    let rows = sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).fetch_all(&mut connection).await;
    connection.close().await.unwrap();
    rows.unwrap().iter().map(|it| it.get(0)).collect()
}

#[test]
fn a_key_is_rotated_from_the_command_line() {
    let program = installation();
    assert_eq!(status(&program), [("current".to_owned(), 1, 1)]);
    let program =
        program.with("LINKSPAN_MASTER_KEY", &key(2)).with("LINKSPAN_MASTER_KEY_PREVIOUS", &key(1));
    assert_eq!(status(&program), [("current".to_owned(), 0, 0), ("previous".to_owned(), 1, 1)]);
    let rotated = program.json(&["keys", "rotate"]);
    assert_eq!(rotated, json!({ "total": 1, "rotated": 1, "skipped": 0, "failed": 0 }));
    let again = program.json(&["keys", "rotate"]);
    assert_eq!(again, json!({ "total": 0, "rotated": 0, "skipped": 0, "failed": 0 }));
    let human = program.run(&["keys", "rotate"]).stdout;
    assert!(human.contains("There is nothing to do"), "{human}");
    assert_eq!(status(&program), [("current".to_owned(), 1, 1), ("previous".to_owned(), 0, 1)]);
    let human = program.run(&["keys", "status"]).stdout;
    assert!(human.contains("no longer needed"), "{human}");

    let program = program.with("LINKSPAN_MASTER_KEY_PREVIOUS", "");
    assert_eq!(status(&program), [("current".to_owned(), 1, 1)], "the old key is gone for good");
    let doctor = program.run(&["doctor"]);
    assert_eq!(doctor.code, 0, "{}", doctor.stdout);
}

#[test]
fn secrets_that_are_not_kept_are_not_sealed_once_more() {
    let program = installation();
    let sealed = || status(&program)[0].2;
    assert_eq!(sealed(), 1);
    let force = |password: &str, seconds: &str| {
        let password = format!("password={password}");
        let rotate = ["activations", "rotate", "crm", "--force-save", "--set", &password];
        program.json(&[&rotate[..], &["--overlap-secs", seconds]].concat());
    };
    force("second-planted", "0");
    assert_eq!(sealed(), 2, "the new ones, and not those that are wiped");
    force("third-planted", "60");
    assert_eq!(sealed(), 4, "the new ones, and those that can be gone back to");
}

#[test]
fn what_a_lost_key_sealed_is_refused_by_name_and_can_be_given_anew() {
    let program = installation().with("LINKSPAN_MASTER_KEY", &key(2));
    assert_eq!(status(&program)[1], ("unknown".to_owned(), 1, 1));
    let failed = program.run(&["keys", "rotate", "--json"]);
    assert_eq!(failed.code, 4, "{}", failed.stderr);
    assert_eq!(failed.last_line()["failed"], 1);
    assert!(failed.stderr.contains("key_unknown"), "{}", failed.stderr);

    for refused in [&["check", "crm"][..], &["sync", "crm"], &["discover", "crm"]] {
        let ran = program.run(refused);
        assert!(ran.stderr.contains("LINKSPAN_MASTER_KEY_PREVIOUS"), "{refused:?}: {}", ran.stderr);
        assert!(!ran.stderr.contains("platform.internal"), "{refused:?}: {}", ran.stderr);
    }
    program.json(&["activations", "show", "crm"]);
    program.json(&["activations", "set", "crm", "--description", "needs no secrets"]);
    let partly = program.run(&["activations", "set", "crm", "--set", "host=127.0.0.2"]);
    assert_eq!(partly.code, 2);
    assert!(partly.stderr.contains("secrets.key_unknown"), "{}", partly.stderr);
    assert!(partly.stderr.contains("/password"), "{}", partly.stderr);

    program.json(&["activations", "set", "crm", "--set-env", "password=PASSWORD"]);
    let keys = status(&program);
    let [(role, sealed, _)] = &keys[..] else { panic!("{keys:?}") };
    assert_eq!(
        (role.as_str(), *sealed),
        ("current", 1),
        "nothing is left of what cannot be opened"
    );
    assert_eq!(program.run(&["doctor"]).code, 0);
}

#[test]
fn whoever_follows_the_recipe_for_a_lost_key_is_rid_of_all_that_it_sealed() {
    let program = installation();
    let rotate = ["activations", "rotate", "crm", "--force-save", "--set", "password=second"];
    program.json(&rotate);
    let program = program.with("LINKSPAN_MASTER_KEY", &key(2));
    let doctor = program.run(&["doctor", "--json"]).last_line().to_string();
    assert!(doctor.contains("linkspan activations revoke"), "{doctor}");
    program.json(&["activations", "set", "crm", "--set-env", "password=PASSWORD"]);
    assert_eq!(program.run(&["doctor"]).code, 2, "what it could go back to is sealed under it");
    program.json(&["activations", "revoke", "crm", "1"]);
    assert_eq!(program.run(&["doctor"]).code, 0);
}

#[test]
fn what_is_deleted_keeps_its_secrets_until_it_is_purged() {
    let program = installation().with("LINKSPAN_MASTER_KEY", &key(2));
    program.json(&["activations", "delete", "crm"]);
    assert_eq!(program.json(&["activations", "list"])["activations"], json!([]));
    let doctor = program.run(&["doctor"]);
    assert_eq!(doctor.code, 2);
    assert!(doctor.stdout.contains("purge"), "{}", doctor.stdout);
    let deleted = program.json(&["activations", "list", "--deleted"]);
    assert_eq!(deleted["activations"][0]["name"], "crm");
    assert_eq!(program.run(&["activations", "purge", "other"]).code, 2);
    assert_eq!(program.json(&["activations", "purge", "crm"])["purged"], true);
    assert_eq!(program.run(&["doctor"]).code, 0);
}

#[test]
fn a_mistyped_folder_is_told_and_nothing_is_made_there() {
    let program =
        Program::bare().with("LINKSPAN_JWT_SECRET", "a secret that only these tests know");
    for offline in [
        &["activations", "list"][..],
        &["activations", "set", "crm", "--set", "host=db"],
        &["activations", "history", "crm"],
        &["audit", "verify"],
        &["authorize", "crm"],
        &["check", "crm"],
        &["discover", "crm"],
        &["keys", "status"],
        &["keys", "rotate"],
        &["runs", "list"],
        &["runs", "cancel", "crm"],
        &["secrets", "encrypt"],
        &["secrets", "encrypt", "--dry-run"],
        &["sync", "crm"],
        &["token", "--person", "ada@example.com"],
    ] {
        let ran = program.run(&[offline, &["--data-dir", "typo"]].concat());
        assert_eq!(ran.code, 2, "{offline:?}: {}", ran.stdout);
        assert!(
            ran.stderr.contains("there is no platform in typo;"),
            "{offline:?}: {}",
            ran.stderr
        );
    }
    assert_eq!(fs::read_dir(program.path()).unwrap().count(), 0, "nothing was made");

    let program = program.with("LINKSPAN_DATABASE_URL", "sqlite://typo.db");
    let ran = program.run(&["keys", "status"]);
    assert_eq!(ran.code, 2, "{}", ran.stdout);
    assert!(ran.stderr.contains("LINKSPAN_DATABASE_URL"), "{}", ran.stderr);
    assert_eq!(fs::read_dir(program.path()).unwrap().count(), 0, "nothing was made");
}

#[test]
fn a_command_in_another_folder_makes_no_keys_there_and_replaces_none() {
    let program = Program::bare();
    program.json(&["connect", "csv", "--name", "sales", "--set", "path=sales.csv"]);
    let program = program.with("LINKSPAN_DATABASE_URL", "sqlite://linkspan-data/linkspan.db");
    let list = ["activations", "list", "--data-dir", "typo"];
    let ran = program.run(&list);
    assert_eq!(ran.code, 2, "{}", ran.stdout);
    let says = "there is no typo/master.key";
    assert!(ran.stderr.contains(says) && ran.stderr.contains("--data-dir"), "{}", ran.stderr);
    let key = fs::read_to_string(program.path().join("linkspan-data/master.key")).unwrap();
    let program = program.with("LINKSPAN_MASTER_KEY", key.trim());
    let ran = program.run(&list);
    assert!(ran.code == 2 && ran.stderr.contains("there is no typo/admin.key"), "{}", ran.stderr);
    assert!(!program.path().join("typo/admin.key").exists());
    assert_eq!(program.json(&["activations", "list"])["activations"][0]["name"], "sales");
}

#[tokio::test]
async fn a_database_of_others_is_no_platform_and_stays_as_it_is() {
    let database = TestPostgres::create().await;
    let program = Program::new()
        .with("LINKSPAN_MASTER_KEY", &key(1))
        .with("LINKSPAN_DATABASE_URL", &database.url());
    for offline in [&["activations", "list"][..], &["secrets", "encrypt"]] {
        let ran = program.run(offline);
        assert_eq!(ran.code, 2, "{}", ran.stdout);
        let says = "there is no platform in the database of LINKSPAN_DATABASE_URL";
        assert!(ran.stderr.contains(says), "{}", ran.stderr);
    }
    let doctor = program.run(&["doctor", "--json"]).last_line();
    assert!(doctor.to_string().contains("has no platform yet"), "{doctor}");
    let mut connection = database.connect().await;
    let tables = "SELECT count(*) FROM information_schema.tables WHERE table_schema = 'public'";
    let tables: i64 = sqlx::query_scalar(tables).fetch_one(&mut connection).await.unwrap();
    assert_eq!(tables, 0);
    drop(connection);
    database.remove().await;
}

#[test]
fn the_key_may_come_from_a_file_or_a_command_but_not_from_two_places() {
    let program = installation();
    let file = program.path().join("key");
    fs::write(&file, key(1)).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let file = file.display().to_string();
    let program = program.with("LINKSPAN_MASTER_KEY_FILE", &file);
    let refused = program.run(&["keys", "status"]);
    assert_eq!(refused.code, 2);
    assert!(refused.stderr.contains("LINKSPAN_MASTER_KEY and LINKSPAN_MASTER_KEY_FILE"));

    let program = program.with("LINKSPAN_MASTER_KEY", "");
    assert_eq!(status(&program)[0], ("current".to_owned(), 1, 1));
    let program = program
        .with("LINKSPAN_MASTER_KEY_FILE", "")
        .with("LINKSPAN_MASTER_KEY_COMMAND", &format!("/bin/cat {file}"));
    assert_eq!(status(&program)[0], ("current".to_owned(), 1, 1));
    let program =
        program.with("LINKSPAN_MASTER_KEY_COMMAND", r#"["/bin/sh", "-c", "echo planted; exit 3"]"#);
    let refused = program.run(&["keys", "status"]);
    assert_eq!(refused.code, 2);
    assert!(refused.stderr.contains("LINKSPAN_MASTER_KEY_COMMAND"), "{}", refused.stderr);
    assert!(!refused.stderr.contains("planted"), "{}", refused.stderr);
}

#[tokio::test]
async fn secrets_that_an_import_left_in_the_clear_are_sealed() {
    let program = installation();
    let config = json!({ "host": "h", "database": "x", "username": "u", "password": PLANTED });
    let import = format!(
        "UPDATE workspace_connectors SET config = '{config}', secrets = NULL, secret_pointers = NULL \
         WHERE name = 'crm' RETURNING name"
    );
    sqlite(&program, &import).await;
    let dry = program.run(&["secrets", "encrypt", "--dry-run", "--json"]);
    let said = dry.last_line();
    assert_eq!((dry.code, &said["found"], &said["dry_run"]), (0, &json!(1), &json!(true)));
    assert_eq!(said["activations"][0]["fields"], json!(["/password"]));
    assert!(!format!("{}{}", dry.stdout, dry.stderr).contains(PLANTED));
    let kept = "SELECT config || coalesce(secret_pointers, '') FROM workspace_connectors";
    assert!(sqlite(&program, kept).await[0].contains(PLANTED), "a dry run changes nothing");

    let sealed = program.json(&["secrets", "encrypt"]);
    assert_eq!(sealed["activations"][0]["fate"], "sealed");
    let kept = sqlite(&program, kept).await;
    assert!(!kept[0].contains(PLANTED) && kept[0].contains("/password"), "{kept:?}");
    assert_eq!(program.json(&["secrets", "encrypt"])["found"], 0);
    assert_eq!(status(&program)[0].1, 1);

    let import = format!(
        "UPDATE workspace_connectors SET secrets = CAST('{PLANTED}' AS BLOB) WHERE name = 'crm' \
         RETURNING name"
    );
    sqlite(&program, &import).await;
    let odd = program.run(&["secrets", "encrypt", "--json"]);
    let said = odd.last_line();
    assert_eq!((odd.code, &said["left"]), (4, &json!(0)), "{}", odd.stderr);
    assert_eq!(said["unsealed"], json!([{ "name": "crm", "purpose": "credentials" }]));
    assert!(!format!("{}{}", odd.stdout, odd.stderr).contains(PLANTED));
    let remote =
        program.with("LINKSPAN_URL", "http://127.0.0.1:1").with("LINKSPAN_API_KEY", ADMIN_KEY);
    assert_eq!(remote.run(&["secrets", "encrypt"]).code, 2);
}

#[tokio::test]
async fn settings_of_a_type_that_is_not_installed_are_not_said_to_have_nothing_in_the_clear() {
    let program = installation();
    let import = format!(
        "UPDATE workspace_connectors SET config = '{{\"odd\":\"{PLANTED}\"}}', connector_type = 'absent' \
         WHERE name = 'crm' RETURNING name"
    );
    sqlite(&program, &import).await;
    for arguments in [&["secrets", "encrypt"][..], &["secrets", "encrypt", "--dry-run"]] {
        let left = program.run(arguments);
        assert_eq!(left.code, 4, "{}", left.stdout);
        assert!(left.stdout.contains("absent is not installed"), "{}", left.stdout);
        assert!(left.stderr.contains("settings of 1 activations"), "{}", left.stderr);
        assert!(!format!("{}{}", left.stdout, left.stderr).contains(PLANTED));
    }
    let machine = program.run(&["secrets", "encrypt", "--json"]).last_line();
    assert_eq!((&machine["left"], &machine["found"]), (&json!(1), &json!(0)));
}

#[tokio::test]
async fn an_activation_that_cannot_be_read_is_named_and_the_others_are_sealed() {
    let program = installation();
    program.json(&["connect", "csv", "--name", "sales", "--set", "path=sales.csv"]);
    let import = format!(
        "UPDATE workspace_connectors SET config = json_set(config, '$.connection_string', '{PLANTED}') \
         WHERE name = 'crm' RETURNING name"
    );
    sqlite(&program, &import).await;
    let torn = "UPDATE workspace_connectors SET connector_type_version = '?', created_at = \
        '2000-01-01T00:00:00.000000Z' WHERE name = 'sales' RETURNING lower(hex(workspace_connector_id))";
    let id = sqlite(&program, torn).await.remove(0);
    let sealed = program.run(&["secrets", "encrypt", "--json"]);
    let said = sealed.last_line();
    assert_eq!((sealed.code, &said["found"]), (4, &json!(1)), "{}", sealed.stderr);
    let unreadable = said["unreadable"].as_array().unwrap();
    let named = unreadable[0]["id"].as_str().unwrap().replace('-', "");
    assert_eq!((unreadable.len(), &named), (1, &id));
    assert_eq!(unreadable[0]["type"], "workspace_connector");
    assert!(sealed.stderr.contains("1 activations cannot be read"), "{}", sealed.stderr);
    let human = program.run(&["secrets", "encrypt"]);
    assert!(human.code == 4 && human.stdout.replace('-', "").contains(&id), "{}", human.stdout);

    let states = "SELECT group_concat(number || state, ' ') FROM credential_versions";
    assert_eq!(sqlite(&program, states).await, ["1inactive 2active"], "another set of secrets");
}

#[tokio::test]
async fn a_dry_run_writes_nothing_and_leaves_an_older_schema_as_it_is() {
    let program = installation();
    let config = json!({ "host": "h", "database": "x", "username": "u", "password": PLANTED });
    let import = format!(
        "UPDATE workspace_connectors SET config = '{config}', secrets = NULL, secret_pointers = NULL \
         WHERE name = 'crm' RETURNING name"
    );
    sqlite(&program, &import).await;
    let data = program.path().join("linkspan-data");
    let bytes = || fs::read(data.join("linkspan.db")).unwrap();
    let dry = ["secrets", "encrypt", "--dry-run"];
    let before = bytes();
    assert_eq!(program.json(&dry)["found"], 1);
    assert!(bytes() == before, "not a byte of the database is another");

    // It can be done again.
    let older =
        "DELETE FROM seaql_migrations WHERE version = 'm0027_oauth_owners' RETURNING version";
    assert_eq!(sqlite(&program, older).await.len(), 1);
    let before = bytes();
    let refused = program.run(&dry);
    assert_eq!(refused.code, 2, "{}", refused.stdout);
    let says = "1 steps behind this program, and a dry run changes nothing";
    assert!(refused.stderr.contains(says), "{}", refused.stderr);
    assert!(refused.stderr.contains("linkspan migrate"), "{}", refused.stderr);
    assert!(bytes() == before, "not a byte of the database is another");
    assert_eq!(program.json(&["secrets", "encrypt"])["found"], 1);
    assert_eq!(program.json(&dry)["found"], 0);
}
