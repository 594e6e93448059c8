//! `linkspan doctor`: looks for what could be wrong.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    os::unix::fs::PermissionsExt,
};

use linkspan_app::Access;
use linkspan_domain::{
    OrganizationId,
    ports::{KeyUsage, Vault, VaultError},
};
use linkspan_persistence::{SchemaState, SealedRow};
use linkspan_vault::{Keyring, KeyringError, KeyringVault};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    exit::Failed,
    output::{Output, counted, prose, thousands},
    session::Session,
};
use crate::{
    admin_key::{AdminKey, Origin},
    compose::{self, ComposeError, FileReach},
    keys, registry,
    settings::{self, EgressDatabases, Mode, Settings},
};

/// Look for what could be wrong with this installation
///
/// It only looks: nothing is made or changed, and each finding says what to do. The server at LINKSPAN_URL is asked whether
/// it answers; all else is about the settings and the data directory here.
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
            || prose(["what", "", "found"], findings.iter().map(row)),
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
    let (master_key, keys) = master_key(settings);
    let mut findings: Vec<_> = server(settings).await.into_iter().collect();
    findings.extend([
        data_dir(settings),
        master_key,
        admin_key(settings),
        callers(settings),
        egress(settings),
        public_url(settings),
        connector_types(),
    ]);
    findings.extend(settings::unknown_variables().into_iter().map(|it| {
        Finding::note("environment", format!("{it} is no setting of Linkspan; misspelled?"))
    }));
    findings.extend(database(settings, &keys).await);
    findings
}

/// The server that commands talk to, where they do not open the data directory.
async fn server(settings: &Settings) -> Option<Finding> {
    const WHAT: &str = "server";
    let client = match Session::remote(settings) {
        Ok(client) => client?,
        Err(failed) => return Some(Finding::wrong(WHAT, failed.message)),
    };
    let asked = client.get("/v1/workspace-connectors", &[("page[size]", "1")]).await;
    Some(match asked {
        Ok(_) => Finding::ok(
            WHAT,
            "the one at LINKSPAN_URL answers and takes LINKSPAN_API_KEY; commands go there, and all below is about this machine",
        ),
        Err(failed) => Finding::wrong(
            WHAT,
            format!(
                "{}; commands go there: check LINKSPAN_URL and LINKSPAN_API_KEY",
                failed.message
            ),
        ),
    })
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

/// The keys that open what is sealed.
enum Keys {
    /// They are here.
    Here(KeyringVault),
    /// There is none.
    Missing,
    /// Nobody can tell before they are mended.
    Unreadable,
}

/// What there is to say of the keys.
fn master_key(settings: &Settings) -> (Finding, Keys) {
    const WHAT: &str = "master key";
    let keyring = match (keys::kept_keyring(settings), settings.mode) {
        (Ok(keyring), _) => keyring,
        (Err(ComposeError::Keyring(KeyringError::Missing)), Mode::Development) => {
            let file = settings.data_dir.join(Keyring::FILE);
            let says = format!("there is none; the next start makes one in {}", file.display());
            return (Finding::note(WHAT, says), Keys::Missing);
        }
        (Err(error), _) => {
            let is_missing = matches!(error, ComposeError::Keyring(KeyringError::Missing));
            let keys = if is_missing { Keys::Missing } else { Keys::Unreadable };
            return (Finding::wrong(WHAT, Failed::setup(&error).message), keys);
        }
    };
    let id = keyring.current_id();
    let finding = match keys::sources(settings).first() {
        Some(source) => Finding::ok(WHAT, format!("{id}, from {}", source.setting())),
        None => Finding::note(
            WHAT,
            format!(
                "{id}, kept in the data directory; set LINKSPAN_MODE=production and LINKSPAN_MASTER_KEY for more than trials"
            ),
        ),
    };
    (finding, Keys::Here(KeyringVault::new(keyring)))
}

fn admin_key(settings: &Settings) -> Finding {
    const WHAT: &str = "admin key";
    match AdminKey::kept(settings.admin_key.as_ref(), &settings.data_dir) {
        Err(error) => Finding::wrong(WHAT, Failed::setup(&error).message),
        Ok(None) => Finding::note(WHAT, "made at the next start, and shown once"),
        Ok(Some(AdminKey { origin: Origin::Given, key })) => match Access::accept_admin_key(&key) {
            Ok(()) => Finding::ok(WHAT, "given"),
            Err(error) => Finding::wrong(WHAT, error.to_string()),
        },
        Ok(Some(AdminKey { origin: Origin::Kept(path) | Origin::Made(path), .. })) => {
            Finding::ok(WHAT, format!("kept in {}", path.display()))
        }
    }
}

/// Who else comes in, and whether their addresses are known.
fn callers(settings: &Settings) -> Finding {
    const WHAT: &str = "callers";
    // Whether they can be used is the same for all installations.
    let any = OrganizationId::from_uuid(Uuid::nil());
    let tokens = compose::proxies(settings).and_then(|_| compose::tokens(settings, any));
    match tokens.map(|it| (it.own.is_some(), it.provider.is_some())) {
        Err(error) => Finding::wrong(WHAT, Failed::setup(&error).message),
        Ok((false, false)) => Finding::ok(WHAT, "API keys"),
        Ok((true, false)) => Finding::ok(WHAT, "API keys, and tokens of our own"),
        Ok((false, true)) => Finding::ok(WHAT, "API keys, and tokens of an identity provider"),
        Ok((true, true)) => {
            Finding::ok(WHAT, "API keys, and tokens of our own and of an identity provider")
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

/// The database, and whether `keys` open what is sealed in it.
async fn database(settings: &Settings, keys: &Keys) -> Vec<Finding> {
    const WHAT: &str = "database";
    let opened = linkspan_persistence::connect_existing(settings.database_url().expose()).await;
    let database = match opened {
        Ok(Some(database)) => database,
        Ok(None) => {
            return vec![Finding::note(WHAT, "there is none yet; it is made at the first start")];
        }
        Err(error) => return vec![Finding::wrong(WHAT, Failed::setup(&error).message)],
    };
    let (schema, sealed) = (database.schema().await, database.sealed().await);
    let usage = database.keys().usage().await;
    database.close().await;
    match (schema, sealed) {
        (Err(error), _) => {
            let says = Failed::setup(&error).message;
            vec![Finding::wrong(WHAT, format!("{says}; run the newest Linkspan that was here"))]
        }
        (Ok(SchemaState::Absent), _) => {
            let says = "answers, and has no platform yet; one is made at the first start";
            vec![Finding::note(WHAT, says)]
        }
        (Ok(SchemaState::Newest), Err(error)) => {
            vec![Finding::wrong(WHAT, Failed::setup(&error).message)]
        }
        (Ok(SchemaState::Newest), Ok(sealed)) => {
            let answers = Finding::ok(WHAT, "answers, with the newest schema");
            let worn = usage.ok().and_then(|it| worn(&it, keys));
            [answers].into_iter().chain(secrets(settings, &sealed, keys)).chain(worn).collect()
        }
        (Ok(SchemaState::Behind(steps)), sealed) => {
            let behind = format!(
                "its schema is {steps} steps behind; the next start brings it up to date, or run linkspan migrate"
            );
            // A schema of long ago may have nothing sealed.
            let secrets = sealed.ok().and_then(|it| secrets(settings, &it, keys));
            [Finding::note(WHAT, behind)].into_iter().chain(secrets).collect()
        }
    }
}

fn activations(number: usize) -> String {
    counted(number.try_into().unwrap_or(u64::MAX), "activation")
}

/// Whether it is time for another master key.
fn worn(usage: &[KeyUsage], keys: &Keys) -> Option<Finding> {
    let Keys::Here(vault) = keys else { return None };
    let most = usage.iter().filter(|it| it.key == vault.current()).max_by_key(|it| it.sealed)?;
    most.is_worn().then(|| {
        let (sealed, bound) = (thousands(most.sealed), thousands(KeyUsage::BOUND));
        Finding::note(
            "master key",
            format!(
                "{} has sealed {sealed} times, of the {bound} that are safe; make a new one, keep this one as a previous key, \
                 and run linkspan keys rotate",
                most.key
            ),
        )
    })
}

/// So many activations are named.
const NAMED: usize = 5;

fn secrets(settings: &Settings, sealed: &[SealedRow], keys: &Keys) -> Option<Finding> {
    const WHAT: &str = "secrets";
    let mut closed: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    for row in sealed {
        let opened = match keys {
            Keys::Here(vault) => vault.open(row.context, &row.blob).map(drop),
            Keys::Missing => {
                row.blob.key_id().and_then(|key_id| Err(VaultError::UnknownKey { key_id }))
            }
            Keys::Unreadable => return None,
        };
        if let Err(refusal) = opened {
            closed.entry(refusal.to_string()).or_default().insert(&row.name);
        }
    }
    if closed.is_empty() {
        let number = sealed.len().try_into().unwrap_or(u64::MAX);
        let says = format!("all open: {}", counted(number, "sealed value"));
        return Some(Finding::ok(WHAT, says));
    }
    let says = closed.iter().map(|(refusal, names)| {
        let some = names.iter().take(NAMED).map(|it| format!("\"{it}\""));
        let (some, count) = (some.collect::<Vec<_>>().join(", "), names.len());
        format!("of {} ({some}): {refusal}", activations(count))
    });
    let mend = match (keys, settings.mode) {
        // What was sealed since then needs the key that is here.
        (Keys::Here(_), _) => {
            "Set LINKSPAN_MASTER_KEY_PREVIOUS to the key that sealed them".to_owned()
        }
        (_, Mode::Production) => "Set LINKSPAN_MASTER_KEY to the key that sealed them".to_owned(),
        (_, Mode::Development) => {
            let file = settings.data_dir.join(Keyring::FILE);
            format!("Put {} back from a backup", file.display())
        }
    };
    Some(Finding::wrong(
        WHAT,
        format!(
            "they do not open, {}. {mend}; where it is lost, give the secrets anew with linkspan activations set, all of an \
             activation at once, take away what is inactive in its linkspan activations history with linkspan activations \
             revoke, connect anew with linkspan authorize, and take deleted activations away with linkspan \
             activations purge",
            says.collect::<Vec<_>>().join(". ")
        ),
    ))
}
