//! `linkspan activations rotate`: a user of a real database gets another password.

use std::fs;

use linkspan_testkit::TestMysql;
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;
use uuid::Uuid;

use crate::program::{Program, Ran};

const FIRST: &str = "first-planted-0123456789";
const SECOND: &str = "second-planted-0123456789";
const WRONG: &str = "wrong-planted-0123456789";

/// A database with a user of its own, and a program in which that user's activation is `crm`.
///
/// MariaDB, since the PostgreSQL of tests asks for no password.
struct Stage {
    database: TestMysql,
    user: String,
    program: Program,
}

impl Stage {
    async fn new() -> Self {
        let database = TestMysql::create().await;
        let user = format!("linkspan_{}", &Uuid::new_v4().simple().to_string()[..16]);
        let program = Program::new().with("FIRST", FIRST).with("SECOND", SECOND);
        let stage = Self { database, user, program: program.with("WRONG", WRONG) };
        let (user, name) = (&stage.user, stage.database.name());
        stage.run(format!("CREATE USER '{user}'@'%' IDENTIFIED BY '{FIRST}'")).await;
        stage.run(format!("GRANT ALL ON {name}.* TO '{user}'@'%'")).await;
        let server = stage.database.server();
        let settings = [
            format!("host={}", server.host_str().unwrap()),
            format!("port={}", server.port().unwrap_or(3306)),
            format!("database={name}"),
            format!("username={user}"),
        ];
        let mut connect = vec!["connect", "mysql", "--name", "crm", "--set-env", "password=FIRST"];
        connect.extend(settings.iter().flat_map(|it| ["--set", it.as_str()]));
        stage.program.json(&connect);
        stage
    }

    async fn run(&self, sql: String) {
        let mut connection = self.database.connect().await;
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
    }

    /// The server takes this password, and no other, from now on.
    async fn takes(&self, password: &str) {
        self.run(format!("ALTER USER '{}'@'%' IDENTIFIED BY '{password}'", self.user)).await;
    }

    /// Whether the activation works.
    fn works(&self) -> bool {
        self.program.run(&["check", "crm", "--json"]).last_line()["ok"] == true
    }

    /// Runs `activations` with these arguments. No answer has a password in it.
    fn activations(&self, arguments: &[&str]) -> Ran {
        let ran = self.program.run(&[&["activations"][..], arguments, &["--json"]].concat());
        assert!(!format!("{}{}", ran.stdout, ran.stderr).contains("planted"), "{}", ran.stderr);
        ran
    }

    /// The versions, oldest first.
    fn history(&self) -> Vec<Value> {
        let said = self.activations(&["history", "crm"]).last_line();
        let versions = said["versions"].as_array().unwrap().iter().rev();
        versions.map(|it| json!([it["number"], it["state"], it["test_status"]])).collect()
    }

    async fn remove(self) {
        self.run(format!("DROP USER '{}'@'%'", self.user)).await;
        self.database.remove().await;
    }
}

#[tokio::test]
async fn a_password_that_fails_changes_nothing_and_one_that_works_is_put_to_use() {
    let stage = Stage::new().await;
    assert!(stage.works());
    let refused = stage.activations(&["rotate", "crm", "--set-env", "password=WRONG"]);
    assert_eq!(refused.code, 3, "the source refused: {}", refused.stderr);
    assert!(refused.stderr.contains("credential.check_failed"), "{}", refused.stderr);
    assert!(stage.works(), "the old one is still in use");
    assert_eq!(stage.history(), [json!([1, "active", "skipped"])]);

    stage.takes(SECOND).await;
    assert!(!stage.works());
    let why = ["--reason", "quarterly rotation"];
    let rotate = ["rotate", "crm", "--set-env", "password=SECOND"];
    let rotated = stage.activations(&[&rotate[..], &why].concat());
    assert_eq!(rotated.code, 0, "{}", rotated.stderr);
    assert_eq!(rotated.last_line()["test_status"], "passed");
    assert!(stage.works());
    let both = [json!([1, "inactive", "skipped"]), json!([2, "active", "passed"])];
    assert_eq!(stage.history(), both);
    let table = stage.program.run(&["activations", "history", "crm"]).stdout;
    assert!(table.contains("quarterly rotation") && table.contains("inactive"), "{table}");
    stage.remove().await;
}

#[tokio::test]
async fn a_password_comes_back_if_it_works_again_and_not_once_it_is_wiped() {
    let stage = Stage::new().await;
    stage.takes(SECOND).await;
    assert_eq!(stage.activations(&["rotate", "crm", "--set-env", "password=SECOND"]).code, 0);
    let refused = stage.activations(&["rollback", "crm", "1"]);
    assert_eq!(refused.code, 3, "the server has the second: {}", refused.stderr);
    assert!(stage.works());

    stage.takes(FIRST).await;
    let back = stage.activations(&["rollback", "crm", "1"]);
    assert_eq!(back.code, 0, "{}", back.stderr);
    assert_eq!(back.last_line()["test_status"], "rollback");
    assert!(stage.works());

    assert_eq!(stage.activations(&["revoke", "crm", "1"]).last_line()["state"], "revoked");
    let gone = stage.activations(&["rollback", "crm", "1"]);
    assert_eq!(gone.code, 2);
    assert!(gone.stderr.contains("credential.unexpected_state"), "{}", gone.stderr);
    let unknown = stage.activations(&["rollback", "crm", "9"]);
    assert!(unknown.code == 2 && unknown.stderr.contains("history"), "{}", unknown.stderr);
    let expected = [
        json!([1, "revoked", "skipped"]),
        json!([2, "inactive", "passed"]),
        json!([3, "active", "rollback"]),
    ];
    assert_eq!(stage.history(), expected);
    stage.remove().await;
}

#[tokio::test]
async fn a_password_can_be_forced_and_wiped_when_its_overlap_is_over() {
    let stage = Stage::new().await;
    let file = stage.program.path().join("password");
    fs::write(&file, WRONG).unwrap();
    let rotate = ["rotate", "crm", "--set-file", "password=password", "--force-save"];
    let forced = stage.activations(&[&rotate[..], &["--overlap-secs", "1"]].concat());
    assert_eq!(forced.last_line()["test_status"], "failed");
    fs::remove_file(file).unwrap();
    let is_wiped = || stage.history()[0] == json!([1, "revoked", "skipped"]);
    assert!((0..100).any(|_| is_wiped()), "{:?}", stage.history());
    assert!(!stage.works());

    let host = stage.activations(&["rotate", "crm", "--set", "host=elsewhere"]);
    assert_eq!(host.code, 2);
    assert!(host.stderr.contains("(at /config/host) [resource.invalid]"), "{}", host.stderr);
    let nothing = stage.activations(&["rotate", "crm"]);
    assert!(nothing.code == 2 && nothing.stderr.contains("--set-env"), "{}", nothing.stderr);
    stage.remove().await;
}

#[tokio::test]
async fn a_password_that_is_accepted_again_is_found_out_by_a_check() {
    let stage = Stage::new().await;
    let table = format!("CREATE TABLE {}.orders (id int PRIMARY KEY)", stage.database.name());
    stage.run(table).await;
    let status = || stage.program.json(&["activations", "show", "crm"])["status"].clone();
    stage.takes(SECOND).await;
    assert_ne!(stage.program.run(&["sync", "crm"]).code, 0);
    assert_eq!(status(), "need_reconnect");
    let refused = stage.program.run(&["sync", "crm"]);
    assert!(refused.stderr.contains("linkspan check"), "{}", refused.stderr);
    assert!(!stage.works());
    assert_eq!(status(), "need_reconnect");

    stage.takes(FIRST).await;
    assert!(stage.works());
    assert_eq!(status(), "enabled");
    assert_eq!(stage.program.json(&["sync", "crm"])["status"], "success");
    stage.remove().await;
}
