//! What the audit trail calls what was done.

use crate::ResourceType;

/// What was done. The audit trail has it as text, after the noun it was done to: see [`of`](Self::of).
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    strum::Display,
    strum::EnumIter,
    strum::EnumMessage,
    strum::IntoStaticStr,
)]
pub enum Action {
    /// A thing of that kind was made.
    #[strum(to_string = "created")]
    Created,
    /// It was changed; `changed` names the fields.
    #[strum(to_string = "updated")]
    Updated,
    /// It was deleted, and can be restored.
    #[strum(to_string = "deleted")]
    Deleted,
    /// It was brought back.
    #[strum(to_string = "restored")]
    Restored,
    /// It was removed for good.
    #[strum(to_string = "purged")]
    Purged,
    /// An API key was revoked, for good.
    #[strum(to_string = "api_key.revoked")]
    KeyRevoked,
    /// Callers were refused in the last minute: how many times, and from where.
    #[strum(to_string = "authentication.refused")]
    AuthenticationRefused,
    /// A token was issued that stands for a person.
    #[strum(to_string = "token.issued")]
    TokenIssued,
    /// The catalog was brought up to what the program holds.
    #[strum(to_string = "catalog.seeded")]
    CatalogSeeded,
    /// Settings were tried on the connected system.
    #[strum(to_string = "workspace_connector.tested")]
    ConnectionTested,
    /// Mappings were proposed, and kept.
    #[strum(to_string = "workspace_connector.mappings_suggested")]
    MappingsSuggested,
    /// Secrets that stood in the clear were sealed.
    #[strum(to_string = "workspace_connector.secrets_sealed")]
    SecretsSealed,
    /// A person was sent to the provider, to agree.
    #[strum(to_string = "workspace_connector.authorization_begun")]
    AuthorizationBegun,
    /// A person came back from the provider, or cancelled before they went there, or nobody had to agree, and nothing came of it.
    #[strum(to_string = "workspace_connector.authorization_failed")]
    AuthorizationFailed,
    /// A provider granted what was asked for.
    #[strum(to_string = "workspace_connector.connected")]
    Connected,
    /// The provider accepts a grant no more: somebody has to connect again.
    #[strum(to_string = "workspace_connector.grant_lost")]
    GrantLost,
    /// The provider was told that a grant is not needed any more.
    #[strum(to_string = "workspace_connector.grant_revoked")]
    GrantRevoked,
    /// The provider could not be told that a grant is not needed any more.
    #[strum(to_string = "workspace_connector.grant_revocation_failed")]
    GrantRevocationFailed,
    /// Somebody said which client we are to a provider.
    #[strum(to_string = "workspace_connector.client_given")]
    ClientGiven,
    /// We registered with a provider for an activation.
    #[strum(to_string = "workspace_connector.client_registered")]
    ClientRegistered,
    /// What we had registered with a provider for an activation was brought up to date there.
    #[strum(to_string = "workspace_connector.client_renewed")]
    ClientRenewed,
    /// What we had registered with a provider for an activation was removed there.
    #[strum(to_string = "workspace_connector.client_unregistered")]
    ClientUnregistered,
    /// What we had registered with a provider for an activation could not be removed there.
    #[strum(to_string = "workspace_connector.client_unregistration_failed")]
    ClientUnregistrationFailed,
    /// The credentials of an activation were rotated.
    #[strum(to_string = "credential.rotated")]
    CredentialRotated,
    /// An activation went back to earlier credentials.
    #[strum(to_string = "credential.rolled_back")]
    CredentialRolledBack,
    /// Earlier credentials were wiped: nobody can go back to them.
    #[strum(to_string = "credential.revoked")]
    CredentialRevoked,
    /// All secrets began to be sealed under another master key.
    #[strum(to_string = "keys.rotated")]
    KeysRotated,
    /// Somebody asked to rotate the master key, and nothing changed: everything is sealed under it already.
    #[strum(to_string = "keys.rotation_unneeded")]
    KeysRotationUnneeded,
    /// A mapping went back to an earlier wording.
    #[strum(to_string = "connector_mapping.reverted")]
    MappingReverted,
    /// The mark of a stream was set by hand.
    #[strum(to_string = "stream.cursor_set")]
    CursorSet,
    /// The schedule of an activation was set.
    #[strum(to_string = "schedule.set")]
    ScheduleSet,
    /// The schedule of an activation was taken away.
    #[strum(to_string = "schedule.removed")]
    ScheduleRemoved,
    /// A run was started, by a person, a key or a schedule.
    #[strum(to_string = "sync.started")]
    SyncStarted,
    /// A run was started that goes on where another broke off.
    #[strum(to_string = "sync.resumed")]
    SyncResumed,
    /// A run ended; `status` and `error_code` say how.
    #[strum(to_string = "sync.ended")]
    SyncEnded,
    /// Someone stopped a run.
    #[strum(to_string = "sync.cancelled")]
    SyncCancelled,
    /// A schedule could not start its run.
    #[strum(to_string = "sync.skipped")]
    SyncSkipped,
}

impl Action {
    /// What it is called when it is done to a thing of `kind`.
    ///
    /// ```
    /// use linkspan_domain::{Action, ResourceType};
    /// assert_eq!(Action::Created.of(ResourceType::Person), "person.created");
    /// assert_eq!(Action::SyncStarted.of(ResourceType::WorkspaceConnectorSyncLog), "sync.started");
    /// ```
    pub fn of(self, kind: ResourceType) -> String {
        match self {
            Self::Created | Self::Updated | Self::Deleted | Self::Restored | Self::Purged => {
                format!("{kind}.{self}")
            }
            named => named.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use strum::{EnumMessage, IntoEnumIterator};

    use super::Action;

    #[test]
    fn the_page_of_the_audit_trail_lists_every_action() {
        let page = include_str!("../../../../docs/audit.md");
        let (_, listed) = page.split_once("## Actions").unwrap();
        let rows: Vec<_> = listed.lines().filter(|it| it.starts_with("| `")).collect();
        let expected: Vec<_> = Action::iter()
            .map(|it| {
                let (name, what) = (it.to_string(), it.get_documentation().unwrap());
                let name = if name.contains('.') { name } else { format!("….{name}") };
                format!("| `{name}` | {what} |")
            })
            .collect();
        assert_eq!(rows, expected, "docs/audit.md should have\n{}", expected.join("\n"));
    }
}
