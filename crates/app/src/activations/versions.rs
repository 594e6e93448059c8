//! What becomes of the versions of an activation's credentials when others take their place.

use linkspan_domain::{
    ActorType, Call, CredentialEvent, CredentialPhase, CredentialTest, CredentialVersion,
    CredentialVersionId, Overlap, ResourceType, Revision, SplitConfig, WorkspaceConnector,
    ports::Change,
};
use time::OffsetDateTime;

use super::{ActivationError, Activations};
use crate::RecordError;

/// On which occasion secrets are put to use.
pub(super) struct Occasion {
    /// Whether they were tried.
    pub(super) test_status: CredentialTest,
    /// Why, as somebody said.
    pub(super) reason: Option<String>,
    /// For how long those before them can be gone back to.
    pub(super) overlap: Overlap,
}

/// They come with other settings, untried.
impl Default for Occasion {
    fn default() -> Self {
        let test_status = CredentialTest::Skipped;
        Self { test_status, reason: None, overlap: Overlap::default() }
    }
}

impl Occasion {
    /// They take the place of secrets whose key is gone, which nobody can go back to.
    pub(super) fn unopened() -> Self {
        Self { overlap: Overlap::NONE, ..Self::default() }
    }
}

impl Activations {
    /// What becomes of the versions of `activation`, whose settings `before` give way to `after`.
    pub(super) async fn turn_over(
        &self,
        call: &Call,
        activation: &WorkspaceConnector,
        before: &SplitConfig,
        after: &SplitConfig,
        occasion: &Occasion,
    ) -> Result<Vec<Change<CredentialVersion>>, ActivationError> {
        let latest = self.credentials.latest(activation.id).await;
        let latest = latest.map_err(RecordError::reading(ResourceType::CredentialVersion))?;
        let now = self.world.now();
        let mut number = latest.as_ref().map_or(0, |it| it.number);
        let active = latest.filter(|it| it.phase == CredentialPhase::Active);
        let mut changes = Vec::new();
        let is_known = active.is_some();
        let superseded = active.or_else(|| {
            // They were there before versions were, and nobody knows through whom.
            (!before.secrets.is_empty()).then(|| {
                number += 1;
                let since = activation.updated_at;
                let it = self.version(call, activation, number, &Occasion::default(), since);
                CredentialVersion { actor_type: ActorType::System, actor_id: None, ..it }
            })
        });
        if let Some(mut version) = superseded {
            let overlap = occasion.overlap;
            let snapshot = match overlap {
                Overlap::NONE => None,
                _ => Some(self.sources.settings().snapshot(&version, before)?),
            };
            version.apply(CredentialEvent::Superseded { at: now, overlap, snapshot })?;
            changes.push(if is_known { Change::Update(version) } else { Change::Insert(version) });
        }
        if !after.secrets.is_empty() {
            let version = self.version(call, activation, number + 1, occasion, now);
            changes.push(Change::Insert(version));
        }
        Ok(changes)
    }

    /// A version that is put to use.
    pub(super) fn version(
        &self,
        call: &Call,
        activation: &WorkspaceConnector,
        number: u32,
        occasion: &Occasion,
        now: OffsetDateTime,
    ) -> CredentialVersion {
        let actor = call.caller.actor;
        CredentialVersion {
            id: CredentialVersionId::from_uuid(self.world.uuid()),
            revision: Revision::FIRST,
            workspace_connector_id: activation.id,
            workspace_id: activation.workspace_id,
            number,
            phase: CredentialPhase::Active,
            test_status: occasion.test_status,
            reason: occasion.reason.clone(),
            actor_type: actor.actor_type(),
            actor_id: actor.id(),
            created_at: now,
        }
    }
}
