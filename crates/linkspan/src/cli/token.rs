//! `linkspan token`: a token that stands for a person.

use std::sync::Arc;

use linkspan_app::{IssuedToken, Tokens};
use linkspan_domain::Email;
use serde_json::json;
use time::{Duration, format_description::well_known::Rfc3339};

use super::{
    exit::Failed,
    output::{Output, note},
};
use crate::{
    bearer_tokens,
    compose::{FileReach, Opening},
    settings::Settings,
    workshop::Workshop,
};

/// Issue a token that stands for a person
///
/// It is signed with LINKSPAN_JWT_SECRET, may be used for all that the person may do, and is printed this once. It needs the
/// database, not a running server. Every server with that secret and that database takes it, whatever its address.
#[derive(Debug, clap::Args)]
pub(crate) struct Token {
    /// The mail address of the person
    #[arg(long, value_name = "EMAIL")]
    person: Email,
    /// How long it is good for: a number of s, m, h or d, at most a day
    #[arg(long = "for", value_name = "TIME", default_value = "1h", value_parser = span)]
    lasts: Duration,
}

impl Token {
    /// Runs the command.
    pub(crate) async fn run(self, settings: &Settings, output: &Output) -> Result<(), Failed> {
        let workshop = Workshop::open(settings, FileReach::Roots, Opening::Existing).await;
        let workshop = workshop.map_err(|error| Failed::setup(&error))?;
        let issued = self.issue(settings, &workshop).await;
        workshop.close().await;
        let issued = issued?;
        let until = issued.expires_at.format(&Rfc3339).unwrap_or_default();
        let machine = json!({
            "token": issued.token.expose(),
            "person_id": issued.person.id,
            "expires_at": until,
        });
        note(&format!("it stands for {} until {until}", issued.person.name));
        output.answer(|| issued.token.expose().clone(), &machine);
        Ok(())
    }

    async fn issue(&self, settings: &Settings, workshop: &Workshop) -> Result<IssuedToken, Failed> {
        let call = workshop.call_everywhere().await.map_err(|error| Failed::internal(&error))?;
        let call = call.ok_or_else(|| {
            Failed::usage("nobody is on the platform yet; start it with `linkspan serve`")
        })?;
        let signer = bearer_tokens::own_keys(settings, call.caller.organization);
        let signer = signer.map_err(|error| Failed::setup(&error))?;
        let signer = signer.ok_or_else(|| {
            Failed::usage("there is no key to sign tokens with; set LINKSPAN_JWT_SECRET as the servers have it, or everywhere to the output of `openssl rand -base64 48`")
        })?;
        let (db, world) = (&workshop.database, Arc::clone(&workshop.world));
        let tokens = Tokens::new(db.access(), db.people(), signer, world);
        let issued = tokens.issue(&call, &self.person, self.lasts).await;
        issued.map_err(|error| Failed::setup(&error))
    }
}

/// A span of time, such as `30m`.
fn span(text: &str) -> Result<Duration, &'static str> {
    let wrong = "write a number of s, m, h or d, such as 30m";
    let unit = text.chars().next_back().ok_or(wrong)?;
    let number: i64 = text[..text.len() - unit.len_utf8()].parse().map_err(|_| wrong)?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        _ => return Err(wrong),
    };
    number.checked_mul(seconds).map(Duration::seconds).ok_or(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_have_a_unit() {
        assert_eq!(span("90s"), Ok(Duration::seconds(90)));
        assert_eq!(span("30m"), Ok(Duration::minutes(30)));
        assert_eq!(span("2h"), Ok(Duration::hours(2)));
        assert_eq!(span("1d"), Ok(Duration::DAY));
        for bad in ["", "5", "h", "1w", "9223372036854775807d", "1é"] {
            assert!(span(bad).is_err(), "{bad}");
        }
    }
}
