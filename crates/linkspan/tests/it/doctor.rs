//! `linkspan doctor`: what it finds, and that it leaves everything as it is.

use std::fs;

use serde_json::Value;

use crate::program::{ADMIN_KEY, Program, Ran};

/// What the doctor says of `what`, and how bad it is.
fn finding(ran: &Ran, what: &str) -> (String, String) {
    let said = ran.last_line();
    let findings = said["findings"].as_array().unwrap();
    let found = findings.iter().find(|it| it["what"] == what);
    let found = found.unwrap_or_else(|| panic!("nothing of {what}: {said}"));
    let text = |it: &Value| it.as_str().unwrap().to_owned();
    (text(&found["verdict"]), text(&found["says"]))
}

/// A program with an activation that has a secret.
fn with_a_secret() -> Program {
    let program = Program::bare().with("PASSWORD", "hunter2");
    let connect = ["connect", "postgresql", "--name", "crm", "--set", "host=127.0.0.1"];
    let rest = ["--set", "database=x", "--set", "username=u", "--set-env", "password=PASSWORD"];
    program.json(&[&connect[..], &rest].concat());
    program
}

fn examine(program: &Program) -> Ran {
    program.run(&["doctor", "--json"])
}

#[test]
fn a_key_that_the_server_would_refuse_is_found() {
    let ran = examine(&Program::bare().with("LINKSPAN_ADMIN_KEY", "short"));
    let (verdict, says) = finding(&ran, "admin key");
    assert!(verdict == "wrong" && says.contains("at least 8 characters"), "{verdict}: {says}");
}

#[test]
fn the_doctor_makes_nothing() {
    let program = Program::bare();
    let ran = examine(&program);
    assert_eq!(ran.code, 0, "{}", ran.stdout);
    assert_eq!(finding(&ran, "database").0, "note");
    assert_eq!(fs::read_dir(program.path()).unwrap().count(), 0, "nothing was made");
    // A folder that is there stays empty, too.
    fs::create_dir(program.path().join("linkspan-data")).unwrap();
    assert_eq!(examine(&program).code, 0);
    assert_eq!(fs::read_dir(program.path().join("linkspan-data")).unwrap().count(), 0);
}

#[test]
fn the_doctor_leaves_an_installation_as_it_is() {
    let program = with_a_secret();
    let files = || {
        let found = fs::read_dir(program.path().join("linkspan-data")).unwrap();
        let mut names: Vec<_> = found.map(|it| it.unwrap().file_name()).collect();
        names.sort();
        names
    };
    let before = files();
    let ran = examine(&program);
    assert_eq!(ran.code, 0, "{}", ran.stdout);
    assert_eq!(finding(&ran, "secrets").0, "ok");
    assert_eq!(files(), before);
}

#[test]
fn the_doctor_asks_the_server_that_commands_go_to() {
    let program = Program::new();
    let served = program.serve_as("api");
    let at = |url: &str, key: &str| {
        Program::bare().with("LINKSPAN_URL", url).with("LINKSPAN_API_KEY", key)
    };
    let url = format!("http://{}", served.address);
    let ran = examine(&at(&url, ADMIN_KEY));
    assert_eq!((ran.code, finding(&ran, "server").0.as_str()), (0, "ok"), "{}", ran.stdout);
    let wrong = [(url.as_str(), "lsk_of_nobody"), ("http://127.0.0.1:1", ADMIN_KEY)];
    for (url, key) in wrong {
        let ran = examine(&at(url, key));
        let (verdict, says) = finding(&ran, "server");
        assert_eq!((ran.code, verdict.as_str()), (2, "wrong"), "{}", ran.stdout);
        assert!(says.contains("LINKSPAN_URL") && !says.contains("lsk_of"), "{says}");
    }
    assert_eq!(served.stop(), 0);
    let half = examine(&Program::bare().with("LINKSPAN_URL", &url));
    assert_eq!((half.code, finding(&half, "server").0.as_str()), (2, "wrong"));
}

#[test]
fn what_the_doctor_says_fits_a_terminal() {
    let said = with_a_secret().run(&["doctor"]).stdout;
    assert!(said.contains("all open: 1 sealed value"), "{said}");
    assert!(said.lines().all(|it| it.chars().count() <= 100), "{said}");
}

#[test]
fn a_lost_master_key_is_told_and_not_made_anew() {
    let program = with_a_secret();
    let file = program.path().join("linkspan-data/master.key");
    let kept = program.path().join("kept.key");
    fs::rename(&file, &kept).unwrap();
    let ran = examine(&program);
    assert_eq!(ran.code, 2, "{}", ran.stdout);
    let (verdict, says) = finding(&ran, "secrets");
    assert_eq!(verdict, "wrong");
    assert!(says.contains("\"crm\"") && says.contains("master.key back"), "{says}");
    let refused = program.run(&["activations", "list"]);
    assert_eq!(refused.code, 2, "{}", refused.stderr);
    assert!(refused.stderr.contains("master.key"), "{}", refused.stderr);
    assert!(!file.exists(), "a new key would hide that the old one is gone");

    fs::write(&file, "no key").unwrap();
    let ran = examine(&program);
    assert_eq!((ran.code, finding(&ran, "master key").0.as_str()), (2, "wrong"));
    let untold = ran.last_line()["findings"].to_string();
    assert!(!untold.contains("do not open"), "the file comes first: {untold}");

    fs::rename(&kept, &file).unwrap();
    assert_eq!(examine(&program).code, 0);
}

#[test]
fn another_master_key_is_told_with_the_one_that_is_needed() {
    let program = with_a_secret();
    let (_, says) = finding(&examine(&program), "master key");
    let id = says.split(',').next().unwrap().to_owned();
    let key = fs::read_to_string(program.path().join("linkspan-data/master.key")).unwrap();
    fs::remove_file(program.path().join("linkspan-data/master.key")).unwrap();
    let program = program.with("LINKSPAN_MASTER_KEY", &"1".repeat(64));
    let ran = examine(&program);
    assert_eq!(ran.code, 2, "{}", ran.stdout);
    let (verdict, says) = finding(&ran, "secrets");
    assert!(verdict == "wrong" && says.contains(&id), "{id}: {says}");
    assert!(says.contains("Set LINKSPAN_MASTER_KEY_PREVIOUS"), "{says}");

    let program = program.with("LINKSPAN_MASTER_KEY_PREVIOUS", key.trim());
    assert_eq!(examine(&program).code, 0, "the old key opens what it sealed");
}

#[test]
fn what_cannot_be_read_is_told_with_what_to_do() {
    let program = Program::bare().with("LINKSPAN_EGRESS_ALLOW", "nowhere");
    fs::write(program.path().join("linkspan-data"), "no folder").unwrap();
    let ran = examine(&program);
    assert_eq!(ran.code, 2, "{}", ran.stdout);
    let (verdict, says) = finding(&ran, "data directory");
    assert!(verdict == "wrong" && says.contains("--data-dir"), "{says}");
    let (verdict, says) = finding(&ran, "egress and files");
    assert!(verdict == "wrong" && says.contains("LINKSPAN_EGRESS_ALLOW"), "{says}");
}
