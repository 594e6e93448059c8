//! `linkspan secrets`: sealing what an import left in the clear.

use linkspan_app::{Encrypting, Fate, InTheClear};
use serde_json::{Value, json};

use super::{
    exit::Failed,
    output::{Output, table},
};
use crate::{
    compose::{FileReach, Platform},
    settings::Settings,
};

/// Seal secrets that an import past the API left in the clear
#[derive(Debug, clap::Args)]
pub(crate) struct Secrets {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Seal what the connector types call secret; safe to run again
    ///
    /// It works on the database itself, so give it the settings that the server has.
    Encrypt {
        /// Only say what would be sealed
        #[arg(long)]
        dry_run: bool,
    },
}

impl Secrets {
    /// Runs the command.
    pub(crate) async fn run(self, settings: &Settings, output: &Output) -> Result<(), Failed> {
        let Action::Encrypt { dry_run } = self.action;
        let encrypting = if dry_run { Encrypting::DryRun } else { Encrypting::Now };
        if settings.url.is_some() {
            return Err(Failed::usage(
                "this works on the database itself; unset LINKSPAN_URL, and run it with the settings of the server",
            ));
        }
        let platform = Platform::open(settings, FileReach::Operator).await;
        let platform = platform.map_err(|error| Failed::setup(&error))?;
        let found = encrypt(&platform, encrypting).await;
        platform.close().await;
        tell(&found?, encrypting, output)
    }
}

async fn encrypt(platform: &Platform, encrypting: Encrypting) -> Result<Vec<InTheClear>, Failed> {
    let call = platform.call_everywhere().await.map_err(|error| Failed::setup(&error))?;
    let found = platform.activations().encrypt(&call, encrypting).await;
    found.map_err(|error| Failed::internal(&error))
}

fn tell(found: &[InTheClear], encrypting: Encrypting, output: &Output) -> Result<(), Failed> {
    let fate = |it: &InTheClear| match &it.fate {
        Fate::Sealed => "sealed".to_owned(),
        Fate::WouldBeSealed => "would be sealed".to_owned(),
        Fate::Left(reason) => format!("left in the clear: {reason}"),
    };
    let rows = found.iter().map(|it| [it.name.to_string(), it.fields.join(", "), fate(it)]);
    let left = found.iter().filter(|it| matches!(it.fate, Fate::Left(_))).count();
    let machine: Vec<_> = found.iter().map(machine).collect();
    let human = || match found {
        [] => "Nothing is in the clear that should be sealed.".to_owned(),
        _ => table(["activation", "fields", "what became of them"], rows),
    };
    output.answer(
        human,
        &json!({
            "dry_run": encrypting == Encrypting::DryRun,
            "found": found.len() - left, "left": left, "activations": machine,
        }),
    );
    if left == 0 {
        return Ok(());
    }
    Err(Failed::partial(format!("the secrets of {left} activations stay in the clear")))
}

fn machine(it: &InTheClear) -> Value {
    let (fate, reason) = match &it.fate {
        Fate::Sealed => ("sealed", None),
        Fate::WouldBeSealed => ("would_be_sealed", None),
        Fate::Left(reason) => ("left", Some(reason)),
    };
    json!({ "id": it.id, "name": it.name, "fields": it.fields, "fate": fate, "reason": reason })
}
