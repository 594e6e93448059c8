//! `linkspan audit`: whether the audit trail is as it was written.

use linkspan_domain::ChainHash;
use serde_json::{Value, json};

use super::{
    client::{Client, text},
    exit::Failed,
    output::Output,
    session::Session,
};
use crate::settings::Settings;

/// Check the audit trail
#[derive(Debug, clap::Args)]
pub(crate) struct Audit {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Follow the chain of all events, and tell the first that was changed or is missing
    Verify {
        /// A head that was kept elsewhere: the event with this hash has to be there still
        #[arg(long, value_name = "HASH")]
        head: Option<ChainHash>,
    },
}

impl Audit {
    /// Runs the command.
    pub(crate) async fn run(self, settings: &Settings, output: &Output) -> Result<(), Failed> {
        let Action::Verify { head } = self.action;
        let session = Session::open(settings).await?;
        let verified = verify(session.client(), head, output).await;
        session.close().await;
        verified
    }
}

async fn verify(client: &Client, kept: Option<ChainHash>, output: &Output) -> Result<(), Failed> {
    let found = client.get("/v1/audit-chain", &[]).await?["data"]["attributes"].take();
    let anchored = match kept {
        Some(hash) => Some(has(client, hash).await?),
        None => None,
    };
    let broken = fault(&found);
    output.answer(|| story(&found, anchored), &json!({ "chain": found, "head_found": anchored }));
    match (broken, anchored) {
        (Some(broken), _) => Err(Failed::partial(broken)),
        (None, Some(false)) => Err(Failed::partial(
            "no event of the chain has the head that was given: events were cut off or rewritten since it was kept",
        )),
        (None, _) => Ok(()),
    }
}

/// Whether the chain has an event with this hash.
async fn has(client: &Client, hash: ChainHash) -> Result<bool, Failed> {
    let hash = hash.to_string();
    let query = [("filter[hash]", hash.as_str()), ("page[size]", "1")];
    let found = client.get("/v1/audit-events", &query).await?;
    Ok(found["data"][0].is_object())
}

fn story(chain: &Value, anchored: Option<bool>) -> String {
    let count = |name: &str| chain[name].as_i64().unwrap_or_default();
    let mut lines =
        vec![format!("{} events follow each other as they were written.", count("events"))];
    if count("unchained_events") > 0 {
        lines.push(format!(
            "The chain begins behind {} events from before there was one.",
            count("unchained_events")
        ));
    }
    if let Some(head) = chain["head"].as_str() {
        lines.push(format!(
            "The head is {head}; keep it elsewhere, to find out later what was cut off."
        ));
    }
    if anchored == Some(true) {
        lines.push("The head that was given is in the chain.".to_owned());
    }
    lines.join("\n")
}

/// The first place where the chain is broken, if it is.
fn fault(chain: &Value) -> Option<String> {
    let at = chain["fault_sequence"].as_i64().unwrap_or_default();
    let before = chain["unchained_events"].as_i64().unwrap_or_default();
    let event = text(&chain["fault_audit_event_id"]);
    Some(match chain["fault"].as_str()? {
        "changed" if at == 1 && before > 0 => format!(
            "the audit trail is broken: event 1 ({event}), or one of the {before} events before it, is not what it was"
        ),
        "changed" => format!(
            "the audit trail is broken: event {at} ({event}) is not what it was, or not where it was"
        ),
        "missing" => format!("the audit trail is broken: event {at} is missing"),
        "unreadable" => format!("the audit trail is broken: event {at} cannot be read"),
        _ => format!("the audit trail is broken: its head does not stand for event {at}, its last"),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::fault;

    #[test]
    fn a_fault_is_told_with_its_place() {
        let found = |kind: &str, at: i64| {
            let id = "01960000-0000-7000-8000-000000000001";
            fault(
                &json!({ "fault": kind, "fault_sequence": at, "fault_audit_event_id": id, "unchained_events": 3 }),
            )
        };
        assert!(found("changed", 7).unwrap().contains("event 7 (01960000"));
        assert!(found("changed", 1).unwrap().contains("one of the 3 events before it"));
        assert!(found("missing", 7).unwrap().contains("event 7 is missing"));
        assert_eq!(fault(&json!({ "fault": null })), None);
    }
}
