//! The settings of an activation: whether they fit, and whether they are complete.

use std::collections::HashSet;

use linkspan_domain::{
    AuthorizationFlow, Call, CredentialTest, CredentialVersion, Cursor, Event, Readiness,
    SplitConfig, Status, StreamSettings, WorkspaceConnector, join_config, ports::Change,
};
use linkspan_sdk::{Definition, SettingsFault};
use serde_json::{Map, Value};

use super::{ActivationError, Activations, versions::Occasion};
use crate::{
    RecordError, SettingsError,
    patch::Changes,
    sources::HasGrant::{self, Connected, NotConnected},
};

impl Activations {
    /// Merges `patch` into the settings of `activation`, and moves its status accordingly. Answers what becomes of the
    /// versions of its credentials.
    pub(super) async fn configure(
        &self,
        call: &Call,
        activation: &mut WorkspaceConnector,
        patch: Map<String, Value>,
        changes: &mut Changes,
    ) -> Result<Vec<Change<CredentialVersion>>, ActivationError> {
        let settings = self.sources.settings();
        let definition = settings.definition(&activation.connector_type)?;
        let (stored, closed) = settings.open_if_possible(activation);
        let merged = definition.manifest.config_schema.merge(&stored, patch)?;
        if merged == stored {
            return Ok(Vec::new());
        }
        let occasion = match closed {
            None => Occasion::default(),
            Some(closed) => {
                require_all(&merged, closed)?;
                Occasion::unopened()
            }
        };
        let versions = if merged.secrets == stored.secrets {
            Vec::new()
        } else {
            changes.note("secrets");
            self.turn_over(call, activation, &stored, &merged, &occasion).await?
        };
        self.settle(call, activation, merged, occasion.test_status, changes).await?;
        Ok(versions)
    }

    /// Gives `activation` the settings `after`, and moves its status accordingly. What was tried and does not work mends
    /// nothing.
    pub(super) async fn settle(
        &self,
        call: &Call,
        activation: &mut WorkspaceConnector,
        after: SplitConfig,
        test_status: CredentialTest,
        changes: &mut Changes,
    ) -> Result<(), ActivationError> {
        let settings = self.sources.settings();
        let definition = settings.definition(&activation.connector_type)?;
        let connector = self.connector(call, activation.connector_id).await?;
        let flow = connector.entry.authorization_flow;
        let has_grant = self.sources.grant_of(activation.id, flow).await?;
        let readiness = readiness(definition, flow, has_grant, &after)?;
        activation.secrets = settings.seal(activation.id, &after.secrets)?;
        activation.config = after.public;
        activation.connector_type_version = definition.manifest.version.clone();
        changes.note("config");

        let before = activation.status;
        let is_broken = matches!(before, Status::Error | Status::NeedReconnect);
        match readiness {
            Readiness::Configured if is_broken && test_status == CredentialTest::Failed => {}
            // Whether the grant is good does not depend on the settings; but settings may be all that it waited for.
            Readiness::Configured if flow.needs_grant() && before != Status::ToConfigure => {}
            Readiness::Unconfigured if flow.needs_grant() => {}
            Readiness::Configured => activation.apply(Event::Configured)?,
            Readiness::Unconfigured => activation.apply(Event::Unconfigured)?,
        }
        if activation.status != before {
            changes.note("status");
        }
        Ok(())
    }
}

/// Passes if no secret of `merged` is one of those that do not open, as `closed` says.
fn require_all(merged: &SplitConfig, closed: SettingsError) -> Result<(), SettingsError> {
    let missing = merged.secrets.masks();
    match closed {
        _ if missing.is_empty() => Ok(()),
        SettingsError::KeyUnknown { id, key_id, .. } => {
            Err(SettingsError::KeyUnknown { id, key_id, missing })
        }
        other => Err(other),
    }
}

/// Lets an activation try again whose last run failed, where what it failed for may have changed.
pub(super) fn adjust(
    before: &WorkspaceConnector,
    activation: &mut WorkspaceConnector,
    changes: &mut Changes,
) -> Result<(), ActivationError> {
    let status = activation.status;
    if !is_synced_alike(before, activation) {
        activation.apply(Event::Adjusted)?;
    }
    if activation.status != status {
        changes.note("status");
    }
    Ok(())
}

/// Whether two wordings of an activation are synced in the same way.
fn is_synced_alike(one: &WorkspaceConnector, other: &WorkspaceConnector) -> bool {
    one.config == other.config
        && one.secrets == other.secrets
        && one.streams == other.streams
        && one.output_schemas == other.output_schemas
}

/// Whether settings are complete. Settings that do not fit are refused; some that are missing are not.
pub(super) fn readiness(
    definition: &Definition,
    flow: AuthorizationFlow,
    has_grant: HasGrant,
    split: &SplitConfig,
) -> Result<Readiness, ActivationError> {
    let config = join_config(split.public.clone(), &split.secrets);
    // A fault in a place that is not there says that something is missing.
    let (wrong, missing): (Vec<SettingsFault>, Vec<SettingsFault>) = definition
        .faults(&config, flow)
        .into_iter()
        .partition(|it| config.pointer(&it.pointer).is_some());
    if !wrong.is_empty() {
        return Err(invalid(definition, wrong));
    }
    Ok(match has_grant {
        Connected if missing.is_empty() => Readiness::Configured,
        Connected | NotConnected => Readiness::Unconfigured,
    })
}

/// Passes if settings fit and are complete, but for the grant.
pub(super) fn require_fit(
    definition: &Definition,
    flow: AuthorizationFlow,
    split: &SplitConfig,
) -> Result<(), ActivationError> {
    let faults = definition.faults(&join_config(split.public.clone(), &split.secrets), flow);
    if faults.is_empty() { Ok(()) } else { Err(invalid(definition, faults)) }
}

fn invalid(definition: &Definition, faults: Vec<SettingsFault>) -> ActivationError {
    ActivationError::InvalidConfig { connector_type: definition.manifest.key.clone(), faults }
}

/// Whether settings that fit are complete, but for the grant.
pub(crate) fn settings_are_complete(
    definition: &Definition,
    flow: AuthorizationFlow,
    split: &SplitConfig,
) -> bool {
    definition.faults(&join_config(split.public.clone(), &split.secrets), flow).is_empty()
}

/// Refuses stream settings that contradict each other.
pub(super) fn accept_streams(streams: &[StreamSettings]) -> Result<(), RecordError> {
    let invalid = |reason: &str| {
        Err(RecordError::Invalid { attribute: "streams", reason: reason.to_owned() })
    };
    let mut seen = HashSet::new();
    for it in streams {
        if !seen.insert(&it.stream) {
            return invalid("must not speak twice of the same stream");
        }
        if it.source.is_some() && it.stream.is_none() {
            return invalid("must name the stream that the records of a source go to");
        }
        if it.source.is_some() && it.cursor_column.is_some() {
            return invalid("must have either a source or a cursor_column");
        }
        if it.cursor_column.is_none() && (it.cursor_type.is_some() || it.cursor_after.is_some()) {
            return invalid("must name a cursor_column with a cursor_type or cursor_after");
        }
        if it.cursor_column.as_ref().is_some_and(String::is_empty) {
            return invalid("must not have an empty cursor_column");
        }
        let start = it.cursor_type.zip(it.cursor_after.as_deref());
        if start.is_some_and(|(kind, text)| Cursor::parse(kind, text).is_err()) {
            return invalid("must have a cursor_after of the cursor_type");
        }
    }
    let outputs = streams.iter().filter(|it| it.source.is_some()).count();
    if outputs > 0 && outputs < streams.len() {
        return invalid("must have a source for each stream, or for none");
    }
    Ok(())
}

#[cfg(test)]
mod tests;
