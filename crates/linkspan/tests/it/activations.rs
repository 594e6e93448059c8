//! `linkspan activations` and `linkspan runs`: looking after what is connected.

use std::{fs, process::Child};

use serde_json::{Value, json};

use crate::program::{ADMIN_KEY, Program, Served};

const SALES: &str =
    "id,customer,updated_at\n1,Ada,2026-01-01T00:00:00Z\n2,Ben,2026-01-02T00:00:00Z\n";

/// A program with the activation `sales` of a CSV file.
fn program() -> Program {
    let program = Program::new();
    fs::write(program.path().join("sales.csv"), SALES).unwrap();
    program.json(&["connect", "csv", "--name", "sales", "--set", "path=sales.csv"]);
    program
}

/// A server without a worker, so that a run of `sales` waits, and the command that waits for the run.
fn with_waiting_run(program: Program) -> (Program, Served, Child) {
    let served = program.serve_as("api");
    let url = format!("http://{}", served.address);
    let remote = program.with("LINKSPAN_URL", &url).with("LINKSPAN_API_KEY", ADMIN_KEY);
    let syncing = remote.command(&["sync", "sales"]).spawn().unwrap();
    let waiting = || remote.json(&["runs", "list", "sales"])["runs"][0]["status"] == "scheduled";
    assert!((0..100).any(|_| waiting()), "the run was never there");
    (remote, served, syncing)
}

fn show(program: &Program, name: &str) -> Value {
    program.json(&["activations", "show", name])
}

#[test]
fn activations_are_listed_with_their_last_runs() {
    let program = program();
    let listed = program.json(&["activations", "list"]);
    assert_eq!(listed["activations"].as_array().unwrap().len(), 1, "{listed}");
    assert_eq!(listed["activations"][0]["last_run"], Value::Null);
    program.json(&["sync", "sales"]);
    let listed = program.json(&["activations", "list"]);
    let it = &listed["activations"][0];
    assert_eq!((&it["name"], &it["connector_type"]), (&json!("sales"), &json!("csv")));
    assert_eq!(it["last_run"]["status"], "success");
    let table = program.run(&["activations", "list"]).stdout;
    assert!(table.contains("sales") && table.contains("success"), "{table}");
    let runs = program.json(&["runs", "list", "sales"]);
    assert_eq!(runs["runs"][0]["activation"], "sales", "{runs}");
    assert_eq!(runs["runs"][0]["counts"]["read"], 2, "{runs}");
}

#[test]
fn a_sync_that_broke_off_goes_on() {
    let program = program();
    let resume = ["sync", "sales", "--resume"];
    let never = program.run(&resume);
    assert!(never.code == 2 && never.stderr.contains("not synced before"), "{}", never.stderr);
    let file = program.path().join("sales.csv");
    fs::remove_file(&file).unwrap();
    assert_ne!(program.run(&["sync", "sales"]).code, 0);
    let code = program.json(&["runs", "list", "sales"])["runs"][0]["error_code"].clone();
    let code = code.as_str().unwrap();
    assert!(code.starts_with("source."), "{code}");
    let table = program.run(&["runs", "list", "sales"]).stdout;
    assert!(table.contains(code), "{table}");
    fs::write(&file, SALES).unwrap();
    program.json(&["check", "sales"]);
    assert_eq!(program.json(&resume)["read"], 2);
    let over = program.run(&resume);
    assert!(over.code != 0 && over.stderr.contains("start a sync instead"), "{}", over.stderr);
}

#[test]
fn an_activation_is_changed_in_what_flags_name_and_nothing_else() {
    let program = program();
    let changed = program.json(&[
        "activations",
        "set",
        "sales",
        "--name",
        "orders",
        "--set",
        "cursor_column=updated_at",
        "--set",
        "delimiter=,",
    ]);
    assert_eq!(changed["name"], "orders");
    let shown = show(&program, "orders");
    assert_eq!(shown["config"]["path"], "sales.csv", "{shown}");
    assert_eq!(shown["config"]["delimiter"], ",");
    assert_eq!(shown["streams"][0]["cursor_column"], "updated_at");
    program.json(&["activations", "set", "orders", "--unset", "cursor_column", "--set", "lag=5"]);
    let shown = show(&program, "orders");
    assert_eq!(shown["streams"][0].get("cursor_column"), None, "{shown}");
    assert_eq!(shown["streams"][0]["lag"], 5);

    let misspelt = ["activations", "set", "orders", "--set", "cursor_column=udpated_at"];
    let misspelt = program.run(&misspelt);
    assert_eq!(misspelt.code, 2);
    let says =
        "the stream `sales` has no column `udpated_at`; there are `id`, `customer`, `updated_at`";
    assert!(misspelt.stderr.contains(says), "{}", misspelt.stderr);

    let stream = ["activations", "set", "orders", "--set", "lag=7", "--stream"];
    let absent = program.run(&[&stream[..], &["nothing"]].concat());
    assert_eq!(absent.code, 2);
    let says =
        "there is no stream `nothing`; there are `sales` (at /data/attributes/streams/1/stream)";
    assert!(absent.stderr.contains(says), "{}", absent.stderr);
    program.json(&[&stream[..], &["sales"]].concat());
    assert_eq!(show(&program, "orders")["streams"][1], json!({ "stream": "sales", "lag": 7 }));
    program.json(&["activations", "set", "orders", "--unset", "streams.sales"]);
    assert_eq!(show(&program, "orders")["streams"], json!([{ "lag": 5 }]));

    let unknown = program.run(&["activations", "set", "orders", "--unset", "frob"]);
    assert_eq!(unknown.code, 2);
    let says = "there is no setting `frob`; there are `";
    assert!(unknown.stderr.contains(says), "{}", unknown.stderr);

    let nothing = program.run(&["activations", "set", "orders"]);
    assert_eq!(nothing.code, 2);
    assert!(nothing.stderr.contains("--set"), "{}", nothing.stderr);
    let unknown = program.run(&["activations", "set", "orders", "--set", "colour=red"]);
    assert_eq!(unknown.code, 2);
    assert!(unknown.stderr.contains("colour"), "{}", unknown.stderr);
}

#[test]
fn a_secret_is_given_as_when_connecting_and_never_shown() {
    let program = program().with("OLD", "hunter2").with("NEW", "hunter3");
    let connect = ["connect", "postgresql", "--name", "crm", "--set", "host=127.0.0.1"];
    let rest = ["--set", "database=x", "--set", "username=u", "--set-env", "password=OLD"];
    program.json(&[&connect[..], &rest].concat());
    program.json(&["activations", "set", "crm", "--set-env", "password=NEW"]);
    for arguments in
        [&["activations", "show", "crm"][..], &["activations", "show", "crm", "--json"]]
    {
        let shown = program.run(arguments).stdout;
        assert!(shown.contains("••••••••") && !shown.contains("hunter"), "{shown}");
    }
}

#[test]
fn an_activation_is_switched_off_and_on_and_taken_away() {
    let program = program();
    assert_eq!(program.json(&["activations", "disable", "sales"])["status"], "disabled");
    assert_eq!(program.run(&["sync", "sales"]).code, 2, "what is off does not sync");
    assert_eq!(program.json(&["activations", "enable", "sales"])["status"], "enabled");
    assert_eq!(program.json(&["activations", "delete", "sales"])["deleted"], true);
    let gone = program.run(&["activations", "show", "sales"]);
    assert_eq!(gone.code, 2);
    assert!(gone.stderr.contains("no activation called `sales`"), "{}", gone.stderr);
}

#[test]
fn switching_off_says_what_becomes_of_the_run() {
    let program = program();
    assert_eq!(program.json(&["activations", "disable", "sales"])["run"], Value::Null);
    program.json(&["activations", "enable", "sales"]);
    let (remote, served, mut syncing) = with_waiting_run(program);
    let said = remote.run(&["activations", "disable", "sales"]).stdout;
    assert!(said.contains("sales is disabled. Its run, which waits"), "{said}");
    let run = remote.json(&["activations", "disable", "sales"])["run"].clone();
    assert_eq!(run, remote.json(&["runs", "list", "sales"])["runs"][0]["id"]);
    // As it says.
    let worker = remote.work();
    assert!(!syncing.wait().unwrap().success());
    assert_eq!(remote.json(&["runs", "list", "sales"])["runs"][0]["counts"]["read"], 0);
    assert_eq!((worker.stop(), served.stop()), (0, 0));
}

#[test]
fn a_run_is_stopped_by_the_name_of_its_activation() {
    let program = program();
    let idle = program.run(&["runs", "cancel", "sales"]);
    assert_eq!(idle.code, 2);
    assert!(idle.stderr.contains("no run of sales is in progress"), "{}", idle.stderr);

    let (remote, served, mut syncing) = with_waiting_run(program);
    let stopped = remote.json(&["runs", "cancel", "sales"]);
    assert_eq!(stopped["status"], "error", "{stopped}");
    assert!(!syncing.wait().unwrap().success(), "the sync that waited for it ends, too");
    assert_eq!(served.stop(), 0);
}
