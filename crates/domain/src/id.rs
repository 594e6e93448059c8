//! Identifiers: one type for each kind of thing, so that they cannot be mixed.

use std::{fmt, hash::Hash, str::FromStr};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A public identifier: a UUID that says what it names.
pub trait Id:
    Copy + Eq + Ord + Hash + fmt::Debug + fmt::Display + FromStr + Send + Sync + 'static
{
    /// Names a UUID that came from outside: a row, a path, a seed file.
    fn from_uuid(uuid: Uuid) -> Self;

    /// The bare UUID, for an adapter to store or print.
    fn uuid(self) -> Uuid;
}

macro_rules! ids {
    ($($(#[$doc:meta])+ $name:ident)+) => {$(
        $(#[$doc])+
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// Names a UUID that came from outside: a row, a path, a seed file.
            pub const fn from_uuid(uuid: Uuid) -> Self {
                Self(uuid)
            }

            /// The bare UUID, for an adapter to store or print.
            pub const fn uuid(self) -> Uuid {
                self.0
            }
        }

        impl Id for $name {
            fn from_uuid(uuid: Uuid) -> Self {
                Self(uuid)
            }

            fn uuid(self) -> Uuid {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, uuid::Error> {
                text.parse().map(Self)
            }
        }
    )+};
}

ids! {
    /// One API key.
    ApiKeyId
    /// One event of the audit trail.
    AuditEventId
    /// One result of testing a connection.
    ConnectionTestId
    /// One filter over a connector's records.
    ConnectorFilterId
    /// One entry of the catalog.
    ConnectorId
    /// One mapping of a stream to a target model.
    ConnectorMappingId
    /// One set of secrets that an activation has or had.
    CredentialVersionId
    /// One thing that a run noticed.
    DiagnosticId
    /// One object of a target model.
    EntityId
    /// One uploaded file.
    FileId
    /// One pass over all that is sealed, to another master key.
    KeyRotationId
    /// One organization: the account that owns workspaces.
    OrganizationId
    /// One person of an organization.
    PersonId
    /// One pairing of a provider with a connector.
    ProviderConnectorId
    /// One document-capture provider.
    ProviderId
    /// One run of a sync.
    SyncLogId
    /// One workspace that receives what an activation brings in.
    SyncTargetId
    /// One activation of a connector in a workspace.
    WorkspaceConnectorId
    /// One workspace: the tenant boundary.
    WorkspaceId
}
