//! The life of an activation, as one function.

use serde::{Deserialize, Serialize};

/// Where an activation is in its life.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    strum::Display,
    strum::EnumString,
    strum::IntoStaticStr,
    strum::EnumIter,
    strum::VariantNames,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Status {
    /// Ready to sync.
    Enabled,
    /// Switched off by a person.
    Disabled,
    /// Credentials are missing.
    ToConfigure,
    /// A run is active.
    Processing,
    /// Failed in a way that trying again does not mend.
    Error,
    /// The grant expired or was revoked, or the system refused the credentials: a person must authorize again, give others, or
    /// see to it that they are accepted again.
    NeedReconnect,
    /// Paused by billing or an administrator.
    Suspended,
    /// The grant is good, but runs lose data or keep failing. The next clean run clears it.
    Degraded,
}

/// What happens to an activation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// Its settings and credentials are complete, as far as can be told.
    Configured,
    /// Something changed about how it is synced: its streams, their settings, or the filter of its connector.
    Adjusted,
    /// A check passed, and showed that much.
    Checked(Proof),
    /// Its credentials were taken away.
    Unconfigured,
    /// A run began.
    RunStarted,
    /// A run ended, which began in that health.
    RunEnded(RunEnd, Health),
    /// The provider refuses the grant.
    GrantRevoked,
    /// Billing or an administrator paused it.
    Suspended,
    /// A person switched it off.
    Disabled,
    /// The pause is over, or a person switched it on again.
    Resumed(Readiness),
}

/// What a check that passed shows. The greater shows more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, strum::EnumIter)]
pub enum Proof {
    /// Something answers, and does not tell whether it takes the credentials.
    Reach,
    /// The settings and the credentials, and the grant where one is needed, are there and work.
    Credentials,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, strum::EnumIter)]
pub enum RunEnd {
    /// Everything arrived.
    Clean,
    /// It succeeded, but too much was lost on the way.
    Lossy,
    /// It failed, as runs do now and then. The next may do better.
    Failed,
    /// It failed once too often, or after too long without a success.
    Unhealthy,
    /// It failed in a way that trying again does not mend.
    Broken,
    /// The system refused the credentials.
    Unauthorized,
    /// A person stopped it.
    Cancelled,
}

/// How an activation was when its run began: a run stands in the way of its status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, strum::EnumIter)]
pub enum Health {
    /// Enabled.
    Good,
    /// Degraded.
    Degraded,
}

/// Whether an activation has all it needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, strum::EnumIter)]
pub enum Readiness {
    /// It has.
    Configured,
    /// Credentials are missing.
    Unconfigured,
}

/// An event that makes no sense in the present status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an activation that is {status} cannot take {event}")]
pub struct UnexpectedEvent {
    /// The present status.
    pub status: Status,
    /// What happened.
    pub event: Event,
}

impl Status {
    /// The status after `event`. This match is the whole life cycle.
    pub const fn after(self, event: Event) -> Result<Self, UnexpectedEvent> {
        use Status as S;
        Ok(match (event, self) {
            (Event::Configured, S::ToConfigure | S::NeedReconnect | S::Error | S::Enabled) => {
                S::Enabled
            }
            // Only a clean run shows that the losses are over; a pause outlives new settings.
            (Event::Configured, S::Degraded | S::Processing | S::Suspended | S::Disabled) => self,
            // What it failed for may be mended, as the next run tells. A grant is not mended so.
            (Event::Adjusted, S::Error) => S::Enabled,
            (Event::Adjusted, _) => self,
            // Whatever was wrong, or refused, when the last run failed is not any more. The rest is not for a check to say.
            (Event::Checked(Proof::Credentials), S::Error | S::NeedReconnect) => S::Enabled,
            (Event::Checked(Proof::Credentials | Proof::Reach), _) => self,
            (
                Event::Unconfigured,
                S::Enabled | S::Degraded | S::Error | S::NeedReconnect | S::ToConfigure,
            ) => S::ToConfigure,
            (Event::Unconfigured, S::Suspended | S::Disabled) => self,
            (Event::RunStarted, S::Enabled | S::Degraded) => S::Processing,
            (Event::RunEnded(end, before), S::Processing) => match (end, before) {
                (RunEnd::Clean, _) => S::Enabled,
                // Neither shows that the losses are over.
                (RunEnd::Failed | RunEnd::Cancelled, Health::Good) => S::Enabled,
                (RunEnd::Failed | RunEnd::Cancelled, Health::Degraded) => S::Degraded,
                (RunEnd::Lossy | RunEnd::Unhealthy, _) => S::Degraded,
                (RunEnd::Broken, _) => S::Error,
                (RunEnd::Unauthorized, _) => S::NeedReconnect,
            },
            // A run that outlives a pause or a lost grant says nothing about either.
            (Event::RunEnded(..), S::Suspended | S::Disabled | S::NeedReconnect) => self,
            (
                Event::GrantRevoked,
                S::Enabled | S::Processing | S::Degraded | S::Error | S::NeedReconnect,
            ) => S::NeedReconnect,
            (Event::Suspended, _) => S::Suspended,
            (Event::Disabled, _) => S::Disabled,
            (Event::Resumed(Readiness::Configured), S::Suspended | S::Disabled) => S::Enabled,
            (Event::Resumed(Readiness::Unconfigured), S::Suspended | S::Disabled) => S::ToConfigure,
            (event, status) => return Err(UnexpectedEvent { status, event }),
        })
    }

    /// The health that a run would begin in.
    pub const fn health(self) -> Health {
        if matches!(self, Self::Degraded) { Health::Degraded } else { Health::Good }
    }

    /// Whether a run may start.
    pub const fn may_run(self) -> bool {
        self.after(Event::RunStarted).is_ok()
    }
}

impl std::fmt::Display for Event {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Configured => "new settings",
            Self::Adjusted => "another way to sync",
            Self::Checked(_) => "a check that passed",
            Self::Unconfigured => "the loss of its settings",
            Self::RunStarted => "a run",
            Self::RunEnded(..) => "the end of a run",
            Self::GrantRevoked => "a revoked grant",
            Self::Suspended => "a suspension",
            Self::Disabled => "being disabled",
            Self::Resumed(_) => "being enabled",
        })
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use proptest::prelude::*;
    use strum::IntoEnumIterator;

    use super::*;

    fn events() -> Vec<Event> {
        let mut events = vec![
            Event::Configured,
            Event::Adjusted,
            Event::Unconfigured,
            Event::RunStarted,
            Event::GrantRevoked,
            Event::Suspended,
            Event::Disabled,
        ];
        let ends = RunEnd::iter().flat_map(|end| Health::iter().map(move |it| (end, it)));
        events.extend(ends.map(|(end, before)| Event::RunEnded(end, before)));
        events.extend(Readiness::iter().map(Event::Resumed));
        events.extend(Proof::iter().map(Event::Checked));
        events
    }

    /// Who gets from where to where: every pair that is not listed is refused.
    #[test]
    fn the_life_cycle_is_as_documented() {
        let mut table = String::new();
        for status in Status::iter() {
            for event in events() {
                if let Ok(next) = status.after(event) {
                    writeln!(table, "{status} + {event:?} -> {next}").unwrap();
                }
            }
        }
        insta::assert_snapshot!(table);
    }

    #[test]
    fn runs_start_only_from_enabled_and_degraded() {
        let may: Vec<_> = Status::iter().filter(|it| it.may_run()).collect();
        assert_eq!(may, [Status::Enabled, Status::Degraded]);
    }

    proptest! {
        #[test]
        fn no_history_breaks_the_promises(history in prop::collection::vec(prop::sample::select(events()), 0..60)) {
            let (mut status, mut health) = (Status::ToConfigure, Health::Good);
            for event in history {
                // The end of a run knows how the run began.
                let event = match event {
                    Event::RunEnded(end, _) => Event::RunEnded(end, health),
                    other => other,
                };
                match status.after(event) {
                    Err(refused) => prop_assert_eq!(refused, UnexpectedEvent { status, event }),
                    Ok(next) => {
                        // Only a run makes an activation processing, and only out of rest.
                        if next == Status::Processing && status != Status::Processing {
                            prop_assert_eq!(event, Event::RunStarted);
                            prop_assert!(status.may_run());
                        }
                        // Health is judged at the end of a run, nowhere else.
                        if next == Status::Degraded && status != Status::Degraded {
                            prop_assert!(matches!(event, Event::RunEnded(RunEnd::Lossy | RunEnd::Unhealthy, _)) || health == Health::Degraded);
                        }
                        // A degraded activation is enabled again only by a clean run.
                        if status == Status::Degraded {
                            prop_assert_ne!(next, Status::Enabled);
                        }
                        if status == Status::Processing && health == Health::Degraded && next == Status::Enabled {
                            prop_assert!(matches!(event, Event::RunEnded(RunEnd::Clean, _)));
                        }
                        if event == Event::RunStarted {
                            health = status.health();
                        }
                        // What is changed about syncing says nothing of anything but a failure.
                        if event == Event::Adjusted && status != Status::Error {
                            prop_assert_eq!(next, status);
                        }
                        // A check says nothing of what is off, at work, degraded or not yet configured.
                        if matches!(event, Event::Checked(_)) && !matches!(status, Status::Error | Status::NeedReconnect) {
                            prop_assert_eq!(next, status);
                        }
                        // That something answers mends nothing.
                        if event == Event::Checked(Proof::Reach) {
                            prop_assert_eq!(next, status);
                        }
                        // What was refused is not covered up by a run or a resumption.
                        if status == Status::NeedReconnect && next == Status::Enabled {
                            prop_assert!(matches!(event, Event::Configured | Event::Checked(Proof::Credentials)));
                        }
                        status = next;
                    }
                }
            }
        }

        #[test]
        fn a_person_can_always_stop_it(status in prop::sample::select(Status::iter().collect::<Vec<_>>())) {
            prop_assert_eq!(status.after(Event::Disabled), Ok(Status::Disabled));
            prop_assert_eq!(status.after(Event::Suspended), Ok(Status::Suspended));
        }
    }
}
