//! The commands, as a person or a script uses them.

use std::{
    fs,
    io::{BufRead, BufReader},
    process::{Command, Stdio},
};

use linkspan_testkit::TestPostgres;
use serde_json::Value;
use tempfile::TempDir;

use crate::program::Program;

const SALES: &str = "id,customer,amount,updated_at\n1,Ada,10.5,2026-01-01T00:00:00Z\n2,Ben,20,2026-01-02T00:00:00Z\n3,Cleo,,2026-01-03T00:00:00Z\n";

fn program() -> Program {
    let program = Program::new();
    fs::write(program.path().join("sales.csv"), SALES).unwrap();
    program
}

#[test]
fn quickstart_shows_a_catalog_activations_and_records_without_any_service() {
    let program = program();
    let said = program.json(&["quickstart", "--exit"]);
    assert!(said["connectors"].as_u64().unwrap() >= 290, "{said}");
    assert_eq!(said["activations"], 3);
    assert_eq!(said["records"], 600);

    let again = program.run(&["quickstart", "--exit"]);
    assert_eq!(again.code, 0, "{}", again.stderr);
    assert!(
        again.stdout.contains("Sample customers") && again.stdout.contains("••••••••"),
        "{}",
        again.stdout
    );
    assert!(!again.stdout.contains("a-token-that-is-sealed"));
}

#[test]
fn what_quickstart_says_to_type_next_works_as_it_stands() {
    let program = Program::bare();
    let mut quickstart = program.command(&["quickstart", "--listen", "127.0.0.1:0"]);
    let mut quickstart = quickstart.stdout(Stdio::piped()).spawn().unwrap();
    let mut commands = Vec::new();
    for line in BufReader::new(quickstart.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        if let Some(command) = line.strip_prefix("  ") {
            commands.push(command.to_owned());
        }
        if line.ends_with("sync mine") {
            break;
        }
    }
    let elsewhere = TempDir::new().unwrap();
    let mut shell = Command::new("sh");
    let shell = shell.args(["-ec", &commands.join("\n")]).current_dir(elsewhere.path());
    let ran = shell.output().unwrap();
    quickstart.kill().unwrap();
    quickstart.wait().unwrap();
    let said = String::from_utf8(ran.stdout).unwrap();
    assert!(ran.status.success(), "{commands:?}: {}", String::from_utf8_lossy(&ran.stderr));
    assert!(commands.len() == 5 && said.contains("success in"), "{commands:?}: {said}");
    assert_eq!(fs::read_dir(elsewhere.path()).unwrap().count(), 0, "the platform is the server's");
}

#[test]
fn a_file_is_connected_checked_synced_and_synced_again() {
    let program = program();
    let made = program.json(&[
        "connect",
        "csv",
        "--name",
        "sales",
        "--set",
        "path=sales.csv",
        "--set",
        "primary_key=id",
    ]);
    assert_eq!((made["name"].as_str(), made["status"].as_str()), (Some("sales"), Some("enabled")));
    assert_eq!(program.json(&["check", "sales"])["ok"], true);
    let discovered = program.json(&["discover", "sales"]);
    assert_eq!(discovered["streams"][0]["name"], "sales");

    let first = program.json(&["sync", "sales"]);
    assert_eq!(
        (&first["status"], &first["read"], &first["written"]),
        (&"success".into(), &3.into(), &3.into())
    );
    let second = program.json(&["sync", "sales", "--full"]);
    assert_eq!((&second["written"], &second["unchanged"]), (&0.into(), &3.into()));

    fs::write(
        program.path().join("sales.csv"),
        SALES.replace("2,Ben,20", "2,Ben,21").replace("1,Ada,10.5,2026-01-01T00:00:00Z\n", ""),
    )
    .unwrap();
    let third = program.json(&["sync", "sales", "--full"]);
    assert_eq!(
        (&third["written"], &third["unchanged"], &third["deleted"]),
        (&1.into(), &1.into(), &1.into())
    );
}

#[test]
fn an_incremental_sync_without_a_cursor_is_refused_and_with_one_reads_on() {
    let program = program();
    program.json(&[
        "connect",
        "csv",
        "--name",
        "sales",
        "--set",
        "path=sales.csv",
        "--set",
        "primary_key=id",
    ]);
    let refused = program.run(&["sync", "sales", "--incremental", "--json"]);
    assert_eq!(refused.code, 2, "{}", refused.stdout);
    assert!(refused.stderr.contains("cursor"), "{}", refused.stderr);

    let set = |it: &'static str| ["--set", it];
    let arguments = [
        &["connect", "csv", "--name", "marked"][..],
        &set("path=sales.csv"),
        &set("primary_key=id"),
        &set("cursor_column=updated_at"),
        &set("cursor_type=timestamp"),
    ]
    .concat();
    program.json(&arguments);
    assert_eq!(program.json(&["sync", "marked"])["written"], 3);
    let again = program.json(&["sync", "marked"]);
    assert_eq!(
        (&again["written"], &again["unchanged"]),
        (&0.into(), &1.into()),
        "the boundary is read again"
    );
}

#[tokio::test]
async fn a_postgresql_table_lands_in_the_record_store_of_postgresql() {
    let (source, store) = (TestPostgres::create().await, TestPostgres::create().await);
    let mut connection = source.connect().await;
    let people = "create table people (id int primary key, name text, updated_at timestamptz);
        insert into people select g, 'Person ' || g, timestamptz '2026-01-01' + g * interval '1 minute' from generate_series(1, 5000) g";
    sqlx::raw_sql(people).execute(&mut connection).await.unwrap();

    let program =
        Program::new().with("LINKSPAN_DATABASE_URL", &store.url()).with("SOURCE", &source.url());
    program.json(&[
        "connect",
        "postgresql",
        "--name",
        "crm",
        "--set-env",
        "connection_string=SOURCE",
        "--set",
        "cursor_column=updated_at",
        "--set",
        "cursor_type=timestamp",
    ]);
    let first = program.json(&["sync", "crm"]);
    assert_eq!((&first["read"], &first["written"]), (&5000.into(), &5000.into()));
    sqlx::raw_sql("update people set name = 'New', updated_at = '2027-01-01' where id <= 7")
        .execute(&mut connection)
        .await
        .unwrap();
    let second = program.json(&["sync", "crm"]);
    assert_eq!(second["written"], 7, "{second}");
    drop(connection);
    source.remove().await;
    store.remove().await;
}

#[test]
fn a_source_that_refuses_has_an_exit_code_of_its_own() {
    let program = program();
    let arguments = ["connect", "csv", "--name", "gone", "--set", "path=nowhere.csv"];
    assert_eq!(program.run(&arguments).code, 0, "a file may come later");
    let checked = program.run(&["check", "gone", "--json"]);
    assert_eq!(checked.code, 3, "{}", checked.stdout);
    assert_eq!(program.run(&["sync", "gone"]).code, 3);
}

#[test]
fn bad_input_is_answered_with_what_to_do() {
    let program = program();
    program.json(&["seed"]);
    for (arguments, says) in [
        (&["sync", "nobody"][..], "no activation called `nobody`"),
        (&["connect", "no_such_type"], "no connector `no_such_type`"),
        (&["connect", "csv", "--set", "hunter2"], "KEY=VALUE"),
        (&["connect", "csv", "--name", "x", "--set", "colour=red"], "colour"),
        (&["connect", "csv", "--name", "x", "--set", "api_key=hunter2"], "/api_key"),
        (&["read", "csv", "--set", "path=sales.csv", "--stream", "other"], "sales"),
    ] {
        let ran = program.run(arguments);
        assert_eq!(ran.code, 2, "{arguments:?}: {}", ran.stderr);
        assert!(ran.stderr.contains(says), "{arguments:?}: {}", ran.stderr);
        assert!(
            !ran.stderr.contains("hunter2") && !ran.stdout.contains("hunter2"),
            "{arguments:?}"
        );
    }
}

#[test]
fn an_activation_that_is_not_complete_says_what_it_lacks() {
    let program = program();
    let connect = ["connect", "postgresql", "--name", "crm", "--set", "database=x"];
    let made = program.run(&connect);
    assert!(
        made.stdout.contains("to_configure") && made.stdout.contains("`host`"),
        "{}",
        made.stdout
    );
    assert!(made.stdout.contains("activations set \"crm\""), "{}", made.stdout);
    let set = ["activations", "set", "crm", "--set"];
    let said = program.json(&[&set[..], &["host=127.0.0.1"]].concat());
    assert_eq!(said["status"], "to_configure", "{said}");
    assert!(said["lacks"].as_str().unwrap().contains("`username`"), "{said}");
    let done = program.json(&[&set[..], &["username=u"]].concat());
    assert_eq!((&done["status"], &done["lacks"]), (&"enabled".into(), &Value::Null));

    let connect = ["connect", "postgres_identity", "--name", "people", "--json"];
    let said = program.run(&connect).last_line();
    let lacks = said["lacks"].as_str().unwrap();
    assert!(lacks.contains("`connection_string`") && lacks.contains("`table`"), "{said}");
}

#[test]
fn an_activation_that_waits_for_a_person_says_how_they_agree() {
    let program = program();
    let entry = "name: Wiki\nprovider: well\ncategory_id: file-storage\nservice_id: wiki\nstatus: available\n\
        direction: input\nauthorization_flow: oauth-dcr\ntransport: api\nconnector_type: csv_url\n\
        auth_config:\n  oauth_metadata_url: https://id.example.com/.well-known/oauth-authorization-server\n";
    let folder = program.path().join("entries");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("wiki.yaml"), entry).unwrap();
    program.json(&["seed", "entries"]);

    let connect = ["connect", "wiki", "--name", "notes"];
    let made = program.run(&[&connect[..], &["--set", "url=http://127.0.0.1:1/a.csv"]].concat());
    assert_eq!(made.code, 0, "{}", made.stderr);
    let says = "notes is to_configure: it is not connected to its provider yet. \
        Next: linkspan authorize \"notes\"";
    assert_eq!(made.stdout.trim(), says);
    let set = ["activations", "set", "notes", "--set", "url=http://127.0.0.1:1/b.csv"];
    assert_eq!(program.json(&set)["lacks"], "it is not connected to its provider yet");
}

#[test]
fn a_folder_without_entries_seeds_nothing_and_says_so() {
    let program = program();
    for arguments in [&["seed", "."][..], &["seed", ".", "--check"]] {
        let ran = program.run(arguments);
        assert_eq!(ran.code, 2, "{}", ran.stdout);
        assert!(ran.stderr.contains("nothing to seed"), "{}", ran.stderr);
    }
}

#[test]
fn a_seed_by_which_nobody_could_be_authorized_is_named_and_not_seeded() {
    let program = Program::bare();
    let folder = program.path().join("seeds");
    fs::create_dir(&folder).unwrap();
    let check = ["seed", "seeds", "--check"];
    let seed = |auth_config: &str| {
        let entry = "name: Books\nprovider: well\ncategory_id: finance\nservice_id: books\n\
            authorization_flow: oauth-manual\nconnector_type: webhook\nauth_config:\n  oauth_config:\n";
        fs::write(folder.join("books.yaml"), format!("{entry}{auth_config}")).unwrap();
    };
    let endpoints = |host: &str| {
        format!(
            "    authorization_endpoint: https://{host}/authorize\n    token_endpoint: https://{host}/token\n"
        )
    };
    seed(&endpoints("books.example"));
    assert_eq!(program.json(&check)["connectors"], 1);
    let apart = "name: Apart\nprovider: well\ncategory_id: finance\nservice_id: apart\nconnector_type: webhook\n";
    let no_setting = endpoints("{shop}.books.example");
    for (bad, why) in [("    scopes: [read]\n", "token_endpoint"), (&no_setting, "{shop}")] {
        seed(bad);
        fs::write(folder.join("apart.yaml"), apart).unwrap();
        for arguments in [&check[..], &check[..2]] {
            let refused = program.run(arguments);
            assert_eq!(refused.code, 2, "{}", refused.stdout);
            let named = refused.stderr.contains("auth_config of books of well");
            assert!(named && refused.stderr.contains(why), "{}", refused.stderr);
        }
    }
    seed(&endpoints("books.example"));
    assert_eq!(program.json(&check[..2])["inserted"], 2, "none came before, not even the good one");
    assert_eq!(program.run(&["seed", "--check"]).code, 0, "the catalog of this program");
}

#[test]
fn a_stream_is_read_without_a_platform_into_each_format() {
    let program = program();
    let lines = program.run(&["read", "csv", "--set", "path=sales.csv"]);
    let records: Vec<Value> =
        lines.stdout.lines().map(|it| serde_json::from_str(it).unwrap()).collect();
    assert_eq!(records.len(), 3, "{}{}", lines.stdout, lines.stderr);
    assert_eq!((&records[0]["id"], &records[0]["customer"]), (&1.into(), &"Ada".into()));
    for file in ["out.jsonl", "out.csv", "out.parquet"] {
        let said = program.json(&["read", "csv", "--set", "path=sales.csv", "--to", file]);
        assert_eq!((&said["stream"], &said["records"]), (&"sales".into(), &3.into()));
        assert!(fs::metadata(program.path().join(file)).unwrap().len() > 50, "{file}");
    }
    assert!(fs::read(program.path().join("out.parquet")).unwrap().starts_with(b"PAR1"));
    assert!(!program.path().join("linkspan-data").exists(), "no platform was needed");
}

#[test]
fn a_file_is_replaced_only_by_a_complete_one() {
    let program = program();
    let before = fs::read_to_string(program.path().join("sales.csv")).unwrap();
    // What is read may be what is written.
    program.json(&["read", "csv", "--set", "path=sales.csv", "--to", "sales.csv"]);
    let after = fs::read_to_string(program.path().join("sales.csv")).unwrap();
    assert_eq!(after.lines().count(), before.lines().count());
    let absent = program.run(&["read", "csv", "--set", "path=absent.csv", "--to", "sales.csv"]);
    assert_eq!(absent.code, 3, "{}", absent.stderr);
    assert_eq!(fs::read_to_string(program.path().join("sales.csv")).unwrap(), after);
    let unknown = program.run(&["read", "csv", "--set", "path=sales.csv", "--to", "out.xlsx"]);
    assert_eq!(unknown.code, 2, "{}", unknown.stderr);
}

#[test]
fn a_check_that_passes_lets_an_activation_sync_again() {
    let program = program();
    program.json(&["connect", "csv", "--name", "sales", "--set", "path=sales.csv"]);
    let file = program.path().join("sales.csv");
    fs::remove_file(&file).unwrap();
    let failed = program.run(&["--json", "sync", "sales"]);
    assert_eq!(failed.code, 3, "{}", failed.stderr);
    let last: Value = serde_json::from_str(failed.stdout.lines().last().unwrap()).unwrap();
    assert_eq!(last["status"], "error", "the last line is the documented one");
    fs::write(&file, SALES).unwrap();
    assert_eq!(program.json(&["check", "sales"])["ok"], true);
    assert_eq!(program.json(&["sync", "sales"])["written"], 3);
}

#[test]
fn the_other_commands_answer_machines_too() {
    let program = program();
    assert_eq!(program.json(&["migrate"])["ok"], true);
    let seeded = program.json(&["seed"]);
    assert_eq!(
        (&seeded["inserted"], &seeded["updated"]),
        (&0.into(), &0.into()),
        "seeded already at the start: {seeded}"
    );
    assert!(program.json(&["types"])["types"].as_array().unwrap().len() >= 6);
    assert_eq!(program.json(&["doctor"])["ok"], true);
    let document: Value = serde_json::from_str(&program.run(&["openapi"]).stdout).unwrap();
    assert!(document["openapi"].as_str().unwrap().starts_with('3'));
}

#[test]
fn every_format_holds_the_same_records() {
    let program = program();
    let read = |to: &str| {
        let said = program.json(&["read", "csv", "--set", "path=sales.csv", "--to", to]);
        assert_eq!((&said["stream"], &said["records"]), (&"sales".into(), &3.into()), "{to}");
        program.path().join(to)
    };
    let lines = fs::read_to_string(read("out.jsonl")).unwrap();
    assert_eq!(
        lines.lines().next().unwrap(),
        "{\"id\":1,\"customer\":\"Ada\",\"amount\":10.5,\"updated_at\":\"2026-01-01T00:00:00Z\"}"
    );
    let table = fs::read_to_string(read("out.csv")).unwrap();
    assert_eq!(table, SALES.replace("20,", "20.0,"));
    assert!(fs::read(read("out.parquet")).unwrap().starts_with(b"PAR1"));
    assert_eq!(fs::read(read("out.arrow")).unwrap()[..4], [0xff; 4]);
    let odd = program.run(&["read", "csv", "--set", "path=sales.csv", "--to", "out.xlsx"]);
    assert_eq!(odd.code, 2);
    let said =
        program.run(&["read", "csv", "--set", "path=sales.csv", "--format", "csv", "--json"]);
    assert_eq!(said.stdout.lines().count(), 5, "{}", said.stdout);
    assert_eq!(said.last_line()["records"], 3);
}

#[tokio::test]
async fn a_stream_is_read_straight_into_a_table_and_kept_up_to_date() {
    let store = TestPostgres::create().await;
    let program = program().with("TARGET", &store.url());
    let into = |more: &[&str]| {
        let arguments = [
            "read",
            "csv",
            "--set",
            "path=sales.csv",
            "--set",
            "primary_key=id",
            "--into",
            "postgresql",
            "--into-set-env",
            "connection_string=TARGET",
            "--into-stream",
            "shop.sales",
        ];
        program.json(&[&arguments, more].concat())
    };
    assert_eq!(into(&[])["records"], 3);
    let cursor =
        ["--set", "cursor_column=updated_at", "--set", "cursor_after=2026-01-03T00:00:00Z"];
    fs::write(program.path().join("sales.csv"), SALES.replace("Cleo,,", "Cleo,7.25,")).unwrap();
    assert_eq!(into(&cursor)["records"], 1);
    let mut connection = store.connect().await;
    let rows = "select string_agg(t::text, ' ' order by id) from (select id, customer, amount from shop.sales) t";
    let rows: String = sqlx::query_scalar(rows).fetch_one(&mut connection).await.unwrap();
    assert_eq!(rows, "(1,Ada,10.5) (2,Ben,20) (3,Cleo,7.25)");
    drop(connection);

    let refused = program.run(&[
        "read",
        "csv",
        "--set",
        "path=sales.csv",
        "--into",
        "csv",
        "--into-set",
        "path=x",
    ]);
    assert_eq!(refused.code, 2, "{}", refused.stderr);
    assert!(refused.stderr.contains("takes no records"), "{}", refused.stderr);
    let folder = program.json(&[
        "read",
        "csv",
        "--set",
        "path=sales.csv",
        "--into",
        "parquet",
        "--into-set",
        "folder=.",
    ]);
    assert_eq!(folder["records"], 3);
    assert!(fs::read(program.path().join("sales.parquet")).unwrap().starts_with(b"PAR1"));
    store.remove().await;
}

#[tokio::test]
async fn a_table_is_not_read_into_itself() {
    let store = TestPostgres::create().await;
    let people = "create table people (id int primary key); insert into people values (1), (2)";
    sqlx::raw_sql(people).execute(&mut store.connect().await).await.unwrap();
    let program = Program::new().with("PLACE", &store.url());
    let arguments = ["read", "postgresql", "--set-env", "connection_string=PLACE", "--stream"];
    let into = ["public.people", "--into", "postgresql", "--into-set-env"];
    let itself = [&arguments[..], &into, &["connection_string=PLACE"]].concat();
    for more in [&[][..], &["--mode", "append"]] {
        let refused = program.run(&[&itself, more].concat());
        assert_eq!(refused.code, 2, "{}", refused.stderr);
        assert!(refused.stderr.contains("into itself"), "{}", refused.stderr);
    }
    // The same table, in other words.
    let refused = program.run(&[&itself[..], &["--into-stream", "people"]].concat());
    assert_eq!(refused.code, 2, "{}", refused.stderr);
    assert!(refused.stderr.contains("into itself"), "{}", refused.stderr);
    let copied = program.json(&[&itself[..], &["--into-stream", "public.copy"]].concat());
    assert_eq!(copied["records"], 2);
    store.remove().await;
}
