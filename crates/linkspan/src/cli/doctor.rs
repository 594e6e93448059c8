//! `linkspan doctor`: looks for what could be wrong.

use std::{collections::BTreeMap, fs, io, os::unix::fs::PermissionsExt};

use linkspan_app::ActivationSettings;
use linkspan_domain::ports::{Vault, VaultError};
use linkspan_persistence::{Database, SealedRow};
use linkspan_vault::{Keyring, KeyringError, KeyringVault};
use serde_json::{Value, json};

use super::{
    exit::Failed,
    output::{Output, table},
};
use crate::{
    admin_key::{AdminKey, Origin},
    compose::{self, ComposeError, FileReach},
    registry,
    settings::{self, EgressDatabases, Mode, Settings},
};

/// Look for what could be wrong with this installation
///
/// It only looks: nothing is made or changed, and each finding says what to do.
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
        let findings = examine(settings).await;
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

/// Looks at everything, and leaves it as it is.
async fn examine(settings: &Settings) -> Vec<Finding> {
    let (master_key, vault) = master_key(settings);
    let mut findings = vec![
        data_dir(settings),
        master_key,
        admin_key(settings),
        egress(settings),
        public_url(settings),
        connector_types(),
    ];
    findings.extend(settings::unknown_variables().into_iter().map(|it| {
        Finding::note("environment", format!("{it} is no setting of Linkspan; misspelled?"))
    }));
    findings.extend(database(settings, vault.as_ref()).await);
    findings
}

fn data_dir(settings: &Settings) -> Finding {
    const WHAT: &str = "data directory";
    let path = settings.data_dir.display();
    match fs::metadata(&settings.data_dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Finding::note(WHAT, format!("{path} is made at the first start"))
        }
        Err(error) => Finding::wrong(
            WHAT,
            format!("{path} cannot be read ({error}); choose another with --data-dir"),
        ),
        Ok(found) if !found.is_dir() => {
            Finding::wrong(WHAT, format!("{path} is no folder; choose another with --data-dir"))
        }
        Ok(found) if found.permissions().mode() & 0o077 != 0 => {
            Finding::note(WHAT, format!("{path} can be read by others; run chmod 700 {path}"))
        }
        Ok(_) => Finding::ok(WHAT, path.to_string()),
    }
}

/// What there is to say of the keys, and what they open.
fn master_key(settings: &Settings) -> (Finding, Option<KeyringVault>) {
    const WHAT: &str = "master key";
    let keyring = match (compose::kept_keyring(settings), settings.mode) {
        (Ok(keyring), _) => keyring,
        (Err(ComposeError::Keyring(KeyringError::Missing)), Mode::Development) => {
            let file = settings.data_dir.join(Keyring::FILE);
            let says = format!("made at the first start, and kept in {}", file.display());
            return (Finding::note(WHAT, says), None);
        }
        (Err(error), _) => return (Finding::wrong(WHAT, Failed::setup(&error).message), None),
    };
    let id = keyring.current_id();
    let finding = match settings.master_key {
        Some(_) => Finding::ok(WHAT, format!("{id}, given")),
        None => Finding::note(
            WHAT,
            format!(
                "{id}, kept in the data directory; set LINKSPAN_MODE=production and LINKSPAN_MASTER_KEY for more than trials"
            ),
        ),
    };
    (finding, Some(KeyringVault::new(keyring)))
}

fn admin_key(settings: &Settings) -> Finding {
    const WHAT: &str = "admin key";
    match AdminKey::kept(settings.admin_key.as_ref(), &settings.data_dir) {
        Err(error) => Finding::wrong(WHAT, Failed::setup(&error).message),
        Ok(None) => Finding::note(WHAT, "made at the next start, and shown once"),
        Ok(Some(AdminKey { origin: Origin::Given, .. })) => Finding::ok(WHAT, "given"),
        Ok(Some(AdminKey { origin: Origin::Kept(path) | Origin::Made(path), .. })) => {
            Finding::ok(WHAT, format!("kept in {}", path.display()))
        }
    }
}

fn egress(settings: &Settings) -> Finding {
    if let Err(error) = compose::environment(settings, None, FileReach::Roots) {
        return Finding::wrong("egress and files", Failed::setup(&error).message);
    }
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

fn connector_types() -> Finding {
    match registry::types() {
        Ok(types) => Finding::ok("connector types", format!("{} installed", types.iter().len())),
        Err(error) => Finding::wrong("connector types", error.to_string()),
    }
}

/// The database, and whether `vault` opens what is sealed in it.
async fn database(settings: &Settings, vault: Option<&KeyringVault>) -> Vec<Finding> {
    const WHAT: &str = "database";
    let opened = linkspan_persistence::connect_existing(settings.database_url().expose()).await;
    let database = match opened {
        Ok(Some(database)) => database,
        Ok(None) => {
            return vec![Finding::note(WHAT, "there is none yet; it is made at the first start")];
        }
        Err(error) => return vec![Finding::wrong(WHAT, Failed::setup(&error).message)],
    };
    let findings = match database.steps_behind().await {
        Err(error) => vec![Finding::wrong(WHAT, Failed::setup(&error).message)],
        Ok(0) => {
            let answers = Finding::ok(WHAT, "answers, with the newest schema");
            vec![answers, secrets(settings, &database, vault).await]
        }
        Ok(steps) => vec![Finding::note(
            WHAT,
            format!(
                "its schema is {steps} steps behind; the next start brings it up to date, or run linkspan migrate"
            ),
        )],
    };
    database.close().await;
    findings
}

async fn secrets(
    settings: &Settings,
    database: &Database,
    vault: Option<&KeyringVault>,
) -> Finding {
    const WHAT: &str = "secrets";
    let rows = match database.sealed().await {
        Ok(rows) => rows,
        Err(error) => return Finding::wrong(WHAT, Failed::setup(&error).message),
    };
    let mut closed: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for row in &rows {
        if let Err(refusal) = open(vault, row) {
            closed.entry(refusal.to_string()).or_default().push(&row.name);
        }
    }
    if closed.is_empty() {
        return Finding::ok(WHAT, format!("{} activations have some, and all open", rows.len()));
    }
    let says = closed.iter().map(|(refusal, names)| {
        let some = names.iter().take(NAMED).map(|it| format!("\"{it}\""));
        let (some, count) = (some.collect::<Vec<_>>().join(", "), names.len());
        format!("of {count} activations ({some}): {refusal}")
    });
    let file = settings.data_dir.join(Keyring::FILE);
    Finding::wrong(
        WHAT,
        format!(
            "they do not open. {}. Put {} back from a backup, or set LINKSPAN_MASTER_KEY to the key that sealed them; \
             where it is lost, connect anew: linkspan activations delete NAME, then linkspan connect",
            says.collect::<Vec<_>>().join(". "),
            file.display()
        ),
    )
}

/// So many activations are named.
const NAMED: usize = 5;

/// Whether the secrets of `row` open. Without a vault the key that sealed them is missing.
fn open(vault: Option<&KeyringVault>, row: &SealedRow) -> Result<(), VaultError> {
    match vault {
        Some(vault) => vault.open(ActivationSettings::context(row.activation), &row.blob).map(drop),
        None => {
            Err(VaultError::UnknownKey { key_id: KeyringVault::key_id(&row.blob)?.to_string() })
        }
    }
}
