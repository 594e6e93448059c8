//! `linkspan keys`: the master keys, and sealing everything anew under another.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use super::{
    client::{Client, text},
    exit::Failed,
    output::{Output, note, table, thousands},
    patience::{given_up, patiently},
    session::Session,
};
use crate::{server::stop_signal, settings::Settings};

/// Look at the master keys that seal secrets, or rotate them
#[derive(Debug, clap::Args)]
#[command(
    after_help = "To rotate: everywhere, set the new key as LINKSPAN_MASTER_KEY and the old one as LINKSPAN_MASTER_KEY_PREVIOUS,\n\
    and restart; run `linkspan keys rotate`; once `linkspan keys status` has no secrets under the old key, take it away."
)]
pub(crate) struct Keys {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// List the keys: how many secrets each has sealed, and which are missing
    Status,
    /// Seal everything anew under the current key, while syncs and requests go on; safe to run again
    Rotate,
}

const KEYS: &str = "/v1/keys";
const ROTATIONS: &str = "/v1/key-rotations";

/// How often it is asked how far a rotation is.
const AGAIN: Duration = Duration::from_millis(250);

/// What becomes of a rotation whose server stays away.
const GOES_ON: &str = "Once a server is back, it goes on with the rotation, and linkspan keys rotate follows it again";

/// So many failures are named.
const NAMED: usize = 10;

impl Keys {
    /// Runs the command.
    pub(crate) async fn run(self, settings: &Settings, output: &Output) -> Result<(), Failed> {
        let session = Session::open(settings).await?;
        let done = match self.action {
            Action::Status => status(session.client(), output).await,
            Action::Rotate => rotate(session.client(), output).await,
        };
        session.close().await;
        done
    }
}

async fn status(client: &Client, output: &Output) -> Result<(), Failed> {
    let keys = client.list(KEYS, &[]).await?;
    let attributes = || keys.iter().map(|it| &it["attributes"]);
    let rows = attributes().map(|it| {
        let count = |it: &Value| thousands(it.as_u64().unwrap_or_default());
        let uses = it["encryptions"].as_object().into_iter().flatten();
        let uses: Vec<_> = uses.map(|(what, it)| format!("{} {what}", count(it))).collect();
        [key_name(it), text(&it["role"]), count(&it["sealed"]), uses.join(", "), advice(it)]
    });
    let machine: Vec<_> = attributes().cloned().collect();
    let header = ["key", "", "secrets", "has sealed at most", "what to do"];
    output.answer(|| table(header, rows), &json!({ "keys": machine }));
    Ok(())
}

fn key_name(key: &Value) -> String {
    key["key_id"].as_str().unwrap_or("unreadable").to_owned()
}

/// What is to be done about a key, if anything.
fn advice(key: &Value) -> String {
    let has_secrets = key["sealed"].as_u64().is_some_and(|it| it > 0);
    let advice = match (key["role"].as_str(), has_secrets) {
        (Some("current"), _) if key["is_worn"] == true => {
            "it has sealed half as often as it may: set a new key, and rotate"
        }
        (Some("current"), _) => "",
        (Some("previous"), true) => "linkspan keys rotate",
        (Some("previous"), false) => "no longer needed",
        _ => {
            "missing: set it in LINKSPAN_MASTER_KEY_PREVIOUS or, where it is lost, give the secrets anew"
        }
    };
    advice.to_owned()
}

async fn rotate(client: &Client, output: &Output) -> Result<(), Failed> {
    let started = client.post(&format!("{KEYS}/rotate"), &json!({})).await?["data"].take();
    let ended = tokio::select! {
        ended = follow(client, started, output) => ended?,
        () = stop_signal() => {
            return Err(Failed::interrupted(
                "not waiting any longer; a server goes on with the rotation, and linkspan keys rotate follows it again",
            ));
        }
    };
    let attributes = &ended["attributes"];
    let counts = &attributes["counts"];
    let count = |kind: &str| thousands(counts[kind].as_u64().unwrap_or_default());
    let human = || {
        let (rotated, key) = (count("rotated"), text(&attributes["to_key"]));
        if counts["total"] == 0 {
            return format!("There is nothing to do: all secrets are sealed under {key}.");
        }
        let (skipped, failed) = (count("skipped"), count("failed"));
        format!(
            "{rotated} secrets are sealed anew under {key}; {skipped} were written by others meanwhile; {failed} failed."
        )
    };
    let failures = attributes["failures"].as_array().into_iter().flatten();
    for it in failures.take(NAMED) {
        note(&format!(
            "{} {} stays as it is: {} ({})",
            text(&it["place"]),
            text(&it["id"]),
            text(&it["reason"]),
            key_name(it)
        ));
    }
    output.answer(human, counts);
    if attributes["status"] == "done" {
        return Ok(());
    }
    Err(Failed::partial(format!(
        "{} of {} secrets could not be sealed anew; {ROTATIONS}/{} says which, and linkspan keys status which keys are missing",
        count("failed"),
        count("total"),
        text(&ended["id"]),
    )))
}

/// Waits until a rotation is over.
async fn follow(client: &Client, mut rotation: Value, output: &Output) -> Result<Value, Failed> {
    let bar = if output.shows_progress() { ProgressBar::new(0) } else { ProgressBar::hidden() };
    if let Ok(style) =
        ProgressStyle::with_template("{bar:40} {human_pos} of {human_len} ({elapsed})")
    {
        bar.set_style(style);
    }
    let path = format!("{ROTATIONS}/{}", text(&rotation["id"]));
    while rotation["attributes"]["status"] == "running" {
        let count =
            |kind: &str| rotation["attributes"]["counts"][kind].as_u64().unwrap_or_default();
        bar.set_length(count("total"));
        bar.set_position(count("rotated") + count("skipped") + count("failed"));
        tokio::time::sleep(AGAIN).await;
        let asked = patiently(|| client.get(&path, &[])).await;
        rotation = asked.map_err(|it| given_up(it, GOES_ON))?["data"].take();
    }
    bar.finish_and_clear();
    Ok(rotation)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_said_when_a_key_may_go() {
        let said = |role: &str, sealed: u64, is_worn: bool| {
            advice(&json!({ "role": role, "sealed": sealed, "is_worn": is_worn }))
        };
        assert_eq!(said("current", 5, false), "");
        assert!(said("current", 5, true).contains("set a new key"));
        assert_eq!(said("previous", 5, false), "linkspan keys rotate");
        assert_eq!(said("previous", 0, true), "no longer needed");
        assert!(said("unknown", 5, false).contains("missing"));
    }
}
