//! The server as a process.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    time::{Duration, Instant},
};

use crate::program::{ADMIN_KEY, Program};

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
