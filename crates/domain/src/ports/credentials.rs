//! Keeping the credentials of activations, and what they were before.

use async_trait::async_trait;
use time::OffsetDateTime;

use super::{Change, Store, StoreError};
use crate::{CredentialVersion, OrganizationId, Receipt, WorkspaceConnector, WorkspaceConnectorId};

/// Keeps the versions of the credentials of activations.
///
/// # Contract
///
/// - [`commit`](Self::commit) is one transaction: the activation, the versions and the receipt, or nothing. Of several that
///   read the same activation, one is kept; the others are [`StoreError::Stale`].
/// - An activation has at most one active version, and no two of the same number: [`StoreError::Taken`].
/// - A version that is revoked is kept without its secrets.
/// - The versions of an activation go when it is purged.
/// - [`expired`](Self::expired) costs what it answers, however many versions there are.
#[async_trait]
pub trait CredentialStore: Store<CredentialVersion> {
    /// The last version of an activation: the active one, if there is one.
    async fn latest(
        &self,
        activation: WorkspaceConnectorId,
    ) -> Result<Option<CredentialVersion>, StoreError>;

    /// Writes an activation, together with what becomes of the versions of its credentials.
    async fn commit(
        &self,
        activation: &Change<WorkspaceConnector>,
        versions: &[Change<CredentialVersion>],
        receipt: &Receipt,
    ) -> Result<(), StoreError>;

    /// Inactive versions whose overlap is over, the longest overdue first.
    async fn expired(
        &self,
        now: OffsetDateTime,
        limit: u32,
    ) -> Result<Vec<ExpiredCredential>, StoreError>;
}

/// An inactive version whose overlap is over.
#[derive(Clone, Debug, PartialEq)]
pub struct ExpiredCredential {
    /// The version.
    pub version: CredentialVersion,
    /// Whose.
    pub organization_id: OrganizationId,
}
