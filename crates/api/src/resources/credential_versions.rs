//! The versions of the credentials of an activation: what is known of them, and never what they are.

use linkspan_app::Records;
use linkspan_domain::{
    ActorType, Attribute, CredentialState, CredentialTest, CredentialVersion, CredentialVersionId,
    Resource, Revision, WorkspaceConnectorId, WorkspaceId,
};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{
    App,
    include::Found,
    resource::{Kept, Key, Related, Relationship, Shown, attributes, instant, maybe_instant},
};

attributes! { CredentialVersion, |it| {
    /// The same as `id`.
    credential_version_id: CredentialVersionId = it.id;
    /// Of which activation.
    workspace_connector_id: WorkspaceConnectorId = it.workspace_connector_id;
    /// In which workspace.
    workspace_id: WorkspaceId = it.workspace_id;
    /// Which one of the activation, counted from 1.
    number: i64 = it.number;
    /// `active`: in use. `inactive`: others are in use, and it can be gone back to. `revoked`: nothing is left of its secrets.
    state: CredentialState = it.phase.state();
    /// Whether it was tried before it was put to use. `failed`: it did not work, and was forced.
    test_status: CredentialTest = it.test_status;
    /// Why it was put to use, as somebody said.
    reason: Option<String> = &it.reason;
    /// Which kind of actor put it to use.
    actor_type: ActorType = <&str>::from(it.actor_type);
    /// Which actor. None for the platform itself.
    actor_id: Option<Uuid> = it.actor_id;
    /// When it was put to use.
    created_at: OffsetDateTime = instant(it.created_at);
    /// Since when others are in use.
    superseded_at: Option<OffsetDateTime> = maybe_instant(it.phase.superseded_at());
    /// Until when it can be gone back to.
    expires_at: Option<OffsetDateTime> = maybe_instant(it.phase.expires_at());
    /// Since when nothing is left of its secrets.
    revoked_at: Option<OffsetDateTime> = maybe_instant(it.phase.revoked_at());
} }

impl Shown for CredentialVersion {
    const TYPE: &'static str = "credential_version";
    const NAME: &'static str = "CredentialVersion";
    const PATH: Option<&'static str> = None;
    const RELATIONSHIPS: &'static [Relationship] =
        &[Relationship::one("workspace_connector", "workspace_connector")];
    const LISTED: &'static [Attribute] = <Self as Resource>::ATTRIBUTES;

    fn key(&self) -> Key {
        Key::of(self.id)
    }

    fn revision(&self) -> Revision {
        self.revision
    }

    fn related(&self, _: &str, _: &Found) -> Related {
        Related::one(self.workspace_connector_id)
    }
}

impl Kept for CredentialVersion {
    fn records(app: &App) -> &Records<Self> {
        app.activations.versions()
    }
}
