//! `linkspan doctor`: looks for what could be wrong.

use std::{fs, os::unix::fs::PermissionsExt};

use serde_json::{Value, json};

use super::{
    exit::Failed,
    output::{Output, table},
};
use crate::{
    compose::{FileReach, Platform},
    settings::{self, EgressDatabases, Mode, Settings},
};

/// Look for what could be wrong with this installation
#[derive(Debug, clap::Args)]
pub(crate) struct Doctor {}

/// One thing that was looked at.
struct Finding {
    what: &'static str,
    verdict: Verdict,
    says: String,
}

#[derive(Clone, Copy, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
enum Verdict {
    Ok,
    Note,
    Wrong,
}

impl Finding {
    fn ok(what: &'static str, says: impl Into<String>) -> Self {
        Self { what, verdict: Verdict::Ok, says: says.into() }
    }

    fn note(what: &'static str, says: impl Into<String>) -> Self {
        Self { what, verdict: Verdict::Note, says: says.into() }
    }

    fn wrong(what: &'static str, says: impl Into<String>) -> Self {
        Self { what, verdict: Verdict::Wrong, says: says.into() }
    }
}

impl Doctor {
    /// Runs the command.
    pub(crate) async fn run(self, settings: &Settings, output: &Output) -> Result<(), Failed> {
        let mut findings =
            vec![mode(settings), data_dir(settings), egress(settings), public_url(settings)];
        findings.extend(settings::unknown_variables().into_iter().map(|it| {
            Finding::note("environment", format!("{it} is no setting of Linkspan; misspelled?"))
        }));
        match Platform::open(settings, FileReach::Roots).await {
            Ok(platform) => {
                findings.extend(platform_findings(&platform).await);
                platform.close().await;
            }
            Err(error) => findings.push(Finding::wrong("platform", Failed::setup(&error).message)),
        }
        let row = |it: &Finding| {
            let verdict: &str = it.verdict.into();
            [it.what.to_owned(), verdict.to_owned(), it.says.clone()]
        };
        let machine: Vec<Value> = findings
            .iter()
            .map(|it| {
                let verdict: &str = it.verdict.into();
                json!({ "what": it.what, "verdict": verdict, "says": it.says })
            })
            .collect();
        let wrong = findings.iter().filter(|it| it.verdict == Verdict::Wrong).count();
        output.answer(
            || table(["what", "", "found"], findings.iter().map(row)),
            &json!({ "ok": wrong == 0, "findings": machine }),
        );
        if wrong == 0 {
            Ok(())
        } else {
            Err(Failed::usage(format!("{wrong} of these need to be mended")))
        }
    }
}

fn mode(settings: &Settings) -> Finding {
    match (settings.mode, &settings.master_key) {
        (Mode::Production, None) => {
            Finding::wrong("master key", "production needs LINKSPAN_MASTER_KEY")
        }
        (_, Some(_)) => Finding::ok("master key", "given"),
        (Mode::Development, None) => Finding::note(
            "master key",
            "made and kept in the data directory; set LINKSPAN_MODE=production and LINKSPAN_MASTER_KEY for more than trials",
        ),
    }
}

fn data_dir(settings: &Settings) -> Finding {
    let path = settings.data_dir.display();
    match fs::metadata(&settings.data_dir) {
        Err(_) => Finding::note("data directory", format!("{path} is made at the first start")),
        Ok(found) if found.permissions().mode() & 0o077 != 0 => Finding::note(
            "data directory",
            format!("{path} can be read by others; run chmod 700 {path}"),
        ),
        Ok(_) => Finding::ok("data directory", path.to_string()),
    }
}

fn egress(settings: &Settings) -> Finding {
    let databases = match settings.egress_databases {
        EgressDatabases::Exempt => "database hosts may be anywhere",
        EgressDatabases::Guarded => "database hosts are guarded",
    };
    match settings.egress_allow.as_str() {
        "" => Finding::ok("egress", format!("public addresses only; {databases}")),
        allowed => Finding::note("egress", format!("also {allowed}; {databases}")),
    }
}

fn public_url(settings: &Settings) -> Finding {
    let url = settings.public_url();
    if settings.public_url.is_none() {
        return Finding::note(
            "public URL",
            format!("{url}, as the API listens; others may need LINKSPAN_PUBLIC_URL"),
        );
    }
    Finding::ok("public URL", url)
}

async fn platform_findings(platform: &Platform) -> Vec<Finding> {
    let database = match platform.workshop.database.ping().await {
        Ok(()) => Finding::ok("database", "answers, with the newest schema"),
        Err(error) => Finding::wrong("database", error.to_string()),
    };
    let types = Finding::ok(
        "connector types",
        format!("{} installed", platform.workshop.types.iter().len()),
    );
    vec![database, types]
}
