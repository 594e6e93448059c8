//! Rotating the credentials of activations, going back to earlier ones, and their history.

use linkspan_domain::{
    Act, Action, Attribute, Call, Caller, CredentialEvent, CredentialTest, CredentialVersion,
    CredentialVersionId, Filter, FilterTest, FilterValue, ListQuery, Page, Proof, Revision,
    SplitConfig, WorkspaceConnector, WorkspaceConnectorId,
    ports::{Change, StoreError},
};
use serde_json::json;

use super::{
    ActivationError, Activations, OnFailure, Rotation, Turnover, configuring::require_fit,
    versions::Occasion,
};
use crate::{
    RecordError,
    patch::Changes,
    records::{not_found, refused},
    sources::may_run,
};

/// How often what was tried is put to use anew, where a run began or ended in the same moment.
const TRIES: usize = 10;

impl Activations {
    /// Gives an activation new secrets, if they work. Answers the version that they are from now on.
    ///
    /// Those before them are kept for as long as both overlap.
    #[tracing::instrument(skip_all, fields(%id), err(level = "debug"))]
    pub async fn rotate(
        &self,
        call: &Call,
        id: WorkspaceConnectorId,
        expected: Option<Revision>,
        rotation: Rotation,
    ) -> Result<CredentialVersion, ActivationError> {
        let Rotation { config, on_failure, turnover } = rotation;
        let activation = self.records.live(call, id, expected).await?;
        let settings = self.sources.settings();
        let definition = settings.definition(&activation.connector_type)?;
        let stored = settings.open(&activation)?;
        let merged = definition.manifest.config_schema.merge(&stored, config)?;
        if let Some(pointer) = stored.public_difference(&merged) {
            return Err(ActivationError::NotSecret { pointer });
        }
        if merged.secrets == stored.secrets {
            return Err(ActivationError::SameSecrets);
        }
        let connector = self.connector(call, activation.connector_id).await?;
        require_fit(definition, connector.entry.authorization_flow, &merged)?;
        let test_status = match (self.try_out(call, &activation, &merged).await, on_failure) {
            (Ok(Proof::Credentials), _) => CredentialTest::Passed,
            (Ok(Proof::Reach), _) => CredentialTest::Skipped,
            (Err(ActivationError::CheckFailed(_)), OnFailure::Keep) => CredentialTest::Failed,
            (Err(error), _) => return Err(error),
        };
        let occasion = occasion(turnover, test_status, [&stored, &merged]);
        self.replace(call, Action::CredentialRotated, id, &stored, &merged, &occasion).await
    }

    /// Gives an activation the settings back that it had with an earlier version of its credentials, unless they are
    /// known not to work any more. Answers the version that they are from now on.
    #[tracing::instrument(skip_all, fields(%id, %version), err(level = "debug"))]
    pub async fn roll_back(
        &self,
        call: &Call,
        id: WorkspaceConnectorId,
        version: CredentialVersionId,
        expected: Option<Revision>,
        turnover: Turnover,
    ) -> Result<CredentialVersion, ActivationError> {
        let activation = self.records.live(call, id, expected).await?;
        let version = self.version_of(&call.caller, id, version).await?;
        let settings = self.sources.settings();
        let stored = settings.open(&activation)?;
        let earlier = version.snapshot(self.world.now())?;
        let earlier = settings.open_snapshot(&version, earlier)?;
        let test_status = match self.try_out(call, &activation, &earlier).await? {
            Proof::Credentials => CredentialTest::Rollback,
            Proof::Reach => CredentialTest::Skipped,
        };
        let occasion = occasion(turnover, test_status, [&stored, &earlier]);
        self.replace(call, Action::CredentialRolledBack, id, &stored, &earlier, &occasion).await
    }

    /// Ends the overlap of a version that is not in use any more: nothing is left of its secrets.
    #[tracing::instrument(skip_all, fields(%id, %version), err(level = "debug"))]
    pub async fn revoke_version(
        &self,
        call: &Call,
        id: WorkspaceConnectorId,
        version: CredentialVersionId,
        expected: Option<Revision>,
    ) -> Result<CredentialVersion, ActivationError> {
        self.records.live(call, id, expected).await?;
        let mut version = self.version_of(&call.caller, id, version).await?;
        version.apply(CredentialEvent::Revoked { at: self.world.now() })?;
        let receipt =
            self.versions.receipt(call, act(Action::CredentialRevoked, &version), &version);
        let revoked = self.credentials.write(&[Change::Update(version.clone())], &receipt).await;
        revoked.map_err(|source| refuse(id, source))?;
        version.revision = version.revision.next();
        Ok(version)
    }

    /// The versions of the credentials of one activation: one page of them.
    pub async fn list_versions(
        &self,
        caller: &Caller,
        id: WorkspaceConnectorId,
        query: &ListQuery,
    ) -> Result<Page<CredentialVersion>, RecordError> {
        self.records.get(caller, id).await?;
        let mut query = query.clone();
        query.filters.push(Filter {
            attribute: Attribute::id("workspace_connector_id"),
            test: FilterTest::Equals(FilterValue::Id(id.uuid())),
        });
        self.versions.list(caller, &query).await
    }

    /// A version of the credentials of the activation `id`.
    async fn version_of(
        &self,
        caller: &Caller,
        id: WorkspaceConnectorId,
        version: CredentialVersionId,
    ) -> Result<CredentialVersion, RecordError> {
        let found = self.versions.get(caller, version).await?;
        if found.workspace_connector_id == id {
            Ok(found)
        } else {
            Err(not_found::<CredentialVersion>(version))
        }
    }

    /// Passes if `activation` works with `settings`. Answers what that showed.
    async fn try_out(
        &self,
        call: &Call,
        activation: &WorkspaceConnector,
        settings: &SplitConfig,
    ) -> Result<Proof, ActivationError> {
        let definition = self.sources.settings().definition(&activation.connector_type)?;
        may_run(&call.caller, definition)?;
        let environment = self.sources.lend_for_trial(activation).await?;
        let checked = self.check(definition, Ok(settings.clone()), environment).await;
        checked.proof.ok_or(ActivationError::CheckFailed(checked.message))
    }

    /// Puts `tried` in place of the settings `stored` of the activation `id`, unless those are others by now. That a run
    /// began or ended meanwhile makes no difference.
    async fn replace(
        &self,
        call: &Call,
        action: Action,
        id: WorkspaceConnectorId,
        stored: &SplitConfig,
        tried: &SplitConfig,
        occasion: &Occasion,
    ) -> Result<CredentialVersion, ActivationError> {
        for _ in 0..TRIES {
            let mut now = self.records.live(call, id, None).await?;
            if self.sources.settings().open(&now)? != *stored {
                break;
            }
            let versions = self.turn_over(call, &now, stored, tried, occasion).await?;
            self.settle(
                call,
                &mut now,
                tried.clone(),
                occasion.test_status,
                &mut Changes::default(),
            )
            .await?;
            now.updated_at = self.world.now();
            let Some(Change::Insert(current)) = versions.last() else {
                // Whoever has no secrets rotates none.
                return Err(ActivationError::SameSecrets);
            };
            let receipt = self.versions.receipt(call, act(action, current), current);
            match self.credentials.commit(&Change::Update(now), &versions, &receipt).await {
                Ok(()) => return Ok(current.clone()),
                Err(StoreError::Stale) => {}
                Err(source) => return Err(refuse(id, source)),
            }
        }
        Err(ActivationError::RotationConflict)
    }
}

/// What the store says of a write, in product words.
fn refuse(id: WorkspaceConnectorId, source: StoreError) -> ActivationError {
    match source {
        StoreError::Stale => ActivationError::RotationConflict,
        other => refused::<WorkspaceConnector>(id)(other).into(),
    }
}

/// On which occasion settings are put to use, those from `[before, after]`. Nobody's reason repeats their secrets.
fn occasion(
    turnover: Turnover,
    test_status: CredentialTest,
    [before, after]: [&SplitConfig; 2],
) -> Occasion {
    let Turnover { reason, overlap } = turnover;
    let reason = reason.map(|it| before.secrets.mask_in(after.secrets.mask_in(it)));
    Occasion { test_status, reason, overlap }
}

/// What the audit trail says of doing `action` to `version`.
fn act(action: Action, version: &CredentialVersion) -> Act {
    let details = json!({
        "workspace_connector_id": version.workspace_connector_id,
        "number": version.number,
        "test_status": version.test_status,
    });
    Act { action, details }
}

#[cfg(test)]
mod tests;
