//! Keeping things.

use async_trait::async_trait;
use time::OffsetDateTime;

use super::Cause;
use crate::{
    ApiKey, AuditEvent, AuditEventId, ChainLink, Connector, Email, KeyHash, ListQuery,
    OrganizationId, Page, Person, PersonId, Receipt, Resource, Workspace,
};

/// Keeps things of one kind.
///
/// # Contract
///
/// - Things outside the tenancy do not exist: they are not found, listed, changed or purged.
/// - Every field of a thing survives.
/// - [`find`](Self::find) answers soft-deleted things too, with their `deleted_at`: they can be restored and purged.
///   [`list`](Self::list) hides them unless the query says otherwise.
/// - A list is ordered by the sort keys, then by the identifier ascending. Nulls come last. Pages neither
///   repeat nor skip what was there all along, whatever is inserted or deleted meanwhile.
/// - [`write`](Self::write) is one transaction: all changes and the receipt, or nothing.
/// - An [`Change::Update`] of a thing that was written since it was read is [`StoreError::Stale`]; it stores the revision
///   after the one it was given.
/// - A unique name that a live thing holds already is [`StoreError::Taken`].
/// - A receipt whose idempotency claim is no longer held is [`StoreError::ClaimLost`].
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
#[async_trait]
pub trait Store<R: Resource>: Send + Sync {
    /// The thing with this identifier.
    async fn find(&self, tenancy: &R::Tenancy, id: R::Id) -> Result<Option<R>, StoreError>;

    /// The things with these identifiers, in no particular order. What does not exist is left out.
    async fn find_all(&self, tenancy: &R::Tenancy, ids: &[R::Id]) -> Result<Vec<R>, StoreError>;

    /// One page of things.
    async fn list(&self, tenancy: &R::Tenancy, query: &ListQuery) -> Result<Page<R>, StoreError>;

    /// Makes `changes`, and keeps `receipt` with them. Answers the revisions' things as they are stored now.
    async fn write(&self, changes: &[Change<R>], receipt: &Receipt) -> Result<(), StoreError>;
}

/// One change to a kept thing.
#[derive(Clone, Debug, PartialEq)]
pub enum Change<R> {
    /// Adds it.
    Insert(R),
    /// Writes it anew. It carries the revision at which it was read.
    Update(R),
    /// Removes it and all that hangs on it for good. It carries the revision at which it was read.
    Purge(R),
}

/// What happens to the catalog and its activations together.
#[async_trait]
pub trait CatalogStore: Store<Connector> {
    /// Soft-deletes `connector`, which says when in `deleted_at`, and every live activation of it, in one transaction.
    /// Answers how many activations went with it. [`StoreError::Stale`] as in [`Store::write`].
    async fn retire(&self, connector: &Connector, receipt: &Receipt) -> Result<u64, StoreError>;
}

/// The audit trail, as the chain that its events are.
///
/// # Contract
///
/// - Every receipt that is kept adds one event to the chain of its organization: the next number, and the hash after it.
/// - The events of an organization that were kept before there was a chain come first, by instant and identifier: the chain
///   begins with the hash after them.
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
#[async_trait]
pub trait AuditStore: Send + Sync {
    /// Where the chain ends. None: it did not begin.
    async fn head(&self, organization: OrganizationId) -> Result<Option<ChainLink>, StoreError>;

    /// At most `limit` events from before there was a chain, in its order, behind the one that `after` names.
    async fn unchained(
        &self,
        organization: OrganizationId,
        after: Option<(OffsetDateTime, AuditEventId)>,
        limit: u32,
    ) -> Result<Vec<AuditEvent>, StoreError>;

    /// At most `limit` events of the chain, by number, behind the number `after`.
    async fn chained(
        &self,
        organization: OrganizationId,
        after: i64,
        limit: u32,
    ) -> Result<Vec<AuditEvent>, StoreError>;
}

/// Who may come in.
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
#[async_trait]
pub trait AccessStore: Send + Sync {
    /// The key with this hash, live or not, of whatever organization: the key says which.
    async fn key(&self, hash: &KeyHash) -> Result<Option<ApiKey>, StoreError>;

    /// Notes that `key` was used. Once a minute is enough; a failure is not worth refusing a call.
    async fn touch(&self, key: &ApiKey) -> Result<(), StoreError>;

    /// A live person.
    async fn person(
        &self,
        organization: OrganizationId,
        id: PersonId,
    ) -> Result<Option<Person>, StoreError>;

    /// A live person, by their mail address, without regard to case.
    async fn person_by_email(
        &self,
        organization: OrganizationId,
        email: &Email,
    ) -> Result<Option<Person>, StoreError>;

    /// The organization of this installation, if there is one yet.
    async fn organization(&self) -> Result<Option<OrganizationId>, StoreError>;

    /// All live workspaces of an organization, oldest first.
    async fn workspaces(&self, organization: OrganizationId) -> Result<Vec<Workspace>, StoreError>;

    /// The organization of this installation, with its first workspace. Makes both of `first` if there is none yet.
    async fn bootstrap(&self, first: &Workspace) -> Result<Workspace, StoreError>;
}

/// Why a store could not do as asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A live thing already holds that name.
    #[error("a live record already holds that name")]
    Taken,
    /// Another thing that this one needs is not there, or still needs this one.
    #[error("a record it refers to does not exist, or still refers to it")]
    Dangling,
    /// It was written since it was read.
    #[error("the record was changed meanwhile; read it again and retry")]
    Stale,
    /// The idempotency claim ran out while the call was at work, and another call has it now.
    #[error("another call took over the idempotency key")]
    ClaimLost,
    /// It took too long to look for something.
    #[error("the query takes too long; narrow it by activation or stream")]
    TooSlow,
    /// Deletions behind the reader's position were forgotten before they were read.
    #[error("deletions behind this position are not known any more")]
    Expired,
    /// The store did not answer; the same call may succeed later.
    #[error("the store did not answer")]
    Unavailable(#[source] Cause),
    /// The store holds something this program cannot read.
    #[error("the store holds a record this program cannot read")]
    Corrupt(#[source] Cause),
}
