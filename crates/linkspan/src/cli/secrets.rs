//! `linkspan secrets`: sealing what an import left in the clear.

use std::collections::BTreeSet;

use linkspan_app::{Encrypted, Encrypting, Fate, InTheClear};
use linkspan_domain::{Resource, WorkspaceConnector, WorkspaceConnectorId};
use linkspan_persistence::SealedRow;
use serde_json::{Value, json};

use super::{
    exit::Failed,
    output::{Output, table},
    session::require_no_server,
};
use crate::{
    compose::{FileReach, Opening},
    settings::Settings,
    workshop::Workshop,
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
    /// Only the settings of activations can hold secrets in the clear. Wherever else something is sealed, nothing that is not opens;
    /// such values are named, and left as they are.
    ///
    /// It works on the database itself, so give it the settings that the server has.
    Encrypt {
        /// Only say what would be sealed: nothing is written, not even a newer schema
        #[arg(long)]
        dry_run: bool,
    },
}

impl Secrets {
    /// Runs the command.
    pub(crate) async fn run(self, settings: &Settings, output: &Output) -> Result<(), Failed> {
        let Action::Encrypt { dry_run } = self.action;
        let encrypting = if dry_run { Encrypting::DryRun } else { Encrypting::Now };
        require_no_server(settings)?;
        let opening = if dry_run { Opening::AsItIs } else { Opening::Existing };
        let workshop = Workshop::open(settings, FileReach::Operator, opening).await;
        let workshop = workshop.map_err(|error| Failed::setup(&error))?;
        let found = encrypt(&workshop, encrypting).await;
        workshop.close().await;
        tell(&found?, encrypting, output)
    }
}

/// What was found.
struct Found {
    /// Secrets in the clear among settings.
    activations: Vec<InTheClear>,
    /// Activations that nobody can read.
    unreadable: Vec<WorkspaceConnectorId>,
    /// What stands where something sealed belongs, and is in no form in which this program seals.
    unsealed: Vec<SealedRow>,
}

async fn encrypt(workshop: &Workshop, encrypting: Encrypting) -> Result<Found, Failed> {
    let database = &workshop.database;
    let call = workshop.call_everywhere().await.map_err(|error| Failed::internal(&error))?;
    let Encrypted { found, unreadable } = match call {
        Some(call) => {
            let all = database.activations().await.map_err(|error| Failed::internal(&error))?;
            let found = workshop.activations().encrypt(&call, &all, encrypting).await;
            found.map_err(|error| Failed::internal(&error))?
        }
        None => Encrypted::default(),
    };
    let mut unsealed = database.sealed().await.map_err(|error| Failed::internal(&error))?;
    unsealed.retain(|it| it.blob.key_id().is_err());
    Ok(Found { activations: found, unreadable, unsealed })
}

/// Why what is not sealed, and should be, stays.
const NOT_SEALED: &str =
    "is not sealed, and nothing opens it: give the secrets anew, or connect anew";

/// Why nobody knows what is in the clear.
const UNREADABLE: &str = "this program cannot read the row: mend it, as the import should have \
    written it, and run this again";

fn tell(found: &Found, encrypting: Encrypting, output: &Output) -> Result<(), Failed> {
    let Found { activations, unreadable, unsealed } = found;
    let is_left = |it: &&InTheClear| matches!(it.fate, Fate::Left(_));
    // Some of an activation may stay while the rest is sealed.
    let ids = |it: &[&InTheClear]| it.iter().map(|it| it.id).collect::<BTreeSet<_>>().len();
    let (left, sealed): (Vec<_>, Vec<_>) = activations.iter().partition(is_left);
    let (untold, named): (Vec<_>, Vec<_>) = left.iter().partition(|it| it.fields.is_empty());
    let machine: Vec<_> = activations.iter().map(machine).collect();
    let unknown: Vec<_> = unreadable
        .iter()
        .map(|id| json!({ "type": WorkspaceConnector::TYPE.to_string(), "id": id }))
        .collect();
    let odd: Vec<_> = unsealed
        .iter()
        .map(|it| json!({ "name": it.name, "purpose": it.context.purpose.to_string() }))
        .collect();
    output.answer(
        || human(found),
        &json!({
            "dry_run": encrypting == Encrypting::DryRun, "found": sealed.len(),
            "left": ids(&left), "activations": machine, "unreadable": unknown, "unsealed": odd,
        }),
    );
    let trouble = [
        (ids(&named), "secrets of {} activations stay in the clear"),
        (ids(&untold), "nobody can tell what is secret in the settings of {} activations"),
        (unreadable.len(), "{} activations cannot be read"),
        (unsealed.len(), "{} values that should be sealed are not"),
    ];
    let trouble = trouble.into_iter().filter(|(count, _)| *count > 0);
    let said: Vec<_> =
        trouble.map(|(count, says)| says.replace("{}", &count.to_string())).collect();
    if said.is_empty() { Ok(()) } else { Err(Failed::partial(said.join("; "))) }
}

fn human(found: &Found) -> String {
    let Found { activations, unreadable, unsealed } = found;
    let fate = |it: &InTheClear| match &it.fate {
        Fate::Sealed => "sealed".to_owned(),
        Fate::WouldBeSealed => "would be sealed".to_owned(),
        Fate::Left(reason) if it.fields.is_empty() => format!("left as it is: {reason}"),
        Fate::Left(reason) => format!("left in the clear: {reason}"),
    };
    let rows = activations.iter().map(|it| [it.name.to_string(), it.fields.join(", "), fate(it)]);
    let unknown = unreadable.iter().map(|id| {
        let row = format!("{} {id}", WorkspaceConnector::TYPE);
        [row, String::new(), format!("left as it is: {UNREADABLE}")]
    });
    let others = unsealed.iter().map(|it| {
        [it.name.clone(), it.context.purpose.to_string(), format!("left as it is: {NOT_SEALED}")]
    });
    let rows: Vec<_> = rows.chain(unknown).chain(others).collect();
    if rows.is_empty() {
        return "Nothing is in the clear that should be sealed.".to_owned();
    }
    table(["activation", "fields", "what became of them"], rows)
}

fn machine(it: &InTheClear) -> Value {
    let (fate, reason) = match &it.fate {
        Fate::Sealed => ("sealed", None),
        Fate::WouldBeSealed => ("would_be_sealed", None),
        Fate::Left(reason) => ("left", Some(reason)),
    };
    json!({ "id": it.id, "name": it.name, "fields": it.fields, "fate": fate, "reason": reason })
}
