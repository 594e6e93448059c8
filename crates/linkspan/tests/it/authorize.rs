//! `linkspan authorize`: waiting until a person has agreed.

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    process::{Child, Stdio},
    time::Duration,
};

use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection, SqliteConnection};

use crate::program::{ADMIN_KEY, Program};

const ENTRY: &str = "name: Wiki\nprovider: well\ncategory_id: file-storage\nservice_id: wiki\nstatus: available\n\
    direction: input\nauthorization_flow: oauth-manual\ntransport: api\nconnector_type: csv_url\n\
    auth_config:\n  oauth_config:\n    authorization_endpoint: https://id.example.com/authorize\n    \
    token_endpoint: https://id.example.com/token\n";

/// A program with the activation `notes` that waits for a person.
fn program() -> Program {
    furnished(Program::new().with("LINKSPAN_PUBLIC_URL", "http://127.0.0.1:8787"))
}

fn furnished(program: Program) -> Program {
    let folder = program.path().join("entries");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("wiki.yaml"), ENTRY).unwrap();
    program.json(&["seed", "entries"]);
    let connect = ["connect", "wiki", "--name", "notes", "--set", "url=http://127.0.0.1:1/a.csv"];
    program.json(&connect);
    program
}

/// The command that waits, once it has said where to agree.
fn waiting(remote: &Program) -> Child {
    let authorize = ["authorize", "notes", "--client-id", "ours", "--wait", "--json"];
    let mut command = remote.command(&authorize);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap()).lines();
    assert!(said.any(|it| it.unwrap().contains("/v1/oauth/connect?ticket=")), "there is no link");
    child
}

/// As if somebody had agreed just now.
async fn agree(program: &Program) {
    let url = format!("sqlite://{}", program.path().join("linkspan-data/linkspan.db").display());
    let mut connection = SqliteConnection::connect(&url).await.unwrap();
    let granted = "UPDATE workspace_connectors \
        SET installed_capabilities = '{\"captured_at\": \"2026-05-01T12:00:00Z\"}' WHERE name = 'notes'";
    let granted = sqlx::raw_sql(AssertSqlSafe(granted.to_owned())).execute(&mut connection).await;
    assert_eq!(granted.unwrap().rows_affected(), 1);
    connection.close().await.unwrap();
}

#[test]
fn nobody_is_sent_to_a_provider_who_could_not_come_back() {
    let program = furnished(Program::new().with("LINKSPAN_LISTEN", "0.0.0.0:8787"));
    let refused = program.run(&["authorize", "notes", "--client-id", "ours"]);
    assert!(
        refused.code != 0 && refused.stderr.contains("LINKSPAN_PUBLIC_URL"),
        "{}",
        refused.stderr
    );
}

#[tokio::test]
async fn who_waits_for_a_person_goes_on_while_the_server_is_replaced() {
    let program = program();
    let served = program.serve();
    let address = served.address.clone();
    let program = program
        .with("LINKSPAN_URL", &format!("http://{address}"))
        .with("LINKSPAN_API_KEY", ADMIN_KEY);
    let mut child = waiting(&program);
    served.kill();
    std::thread::sleep(Duration::from_millis(2_500));
    assert!(child.try_wait().unwrap().is_none(), "it waits, though nobody answers");
    let served = program.serve_at(&address);
    agree(&program).await;
    let mut said = String::new();
    child.stdout.take().unwrap().read_to_string(&mut said).unwrap();
    assert!(child.wait().unwrap().success(), "{said}");
    let last: Value = serde_json::from_str(said.lines().last().unwrap()).unwrap();
    assert_eq!(last["connected"], true);
    assert_eq!(served.stop(), 0);
}
