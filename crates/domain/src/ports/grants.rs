//! Keeping grants, the clients that they were given to, and the authorizations that people are still at.

use async_trait::async_trait;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use super::{Sealed, StoreError};
use crate::{
    Fence, Issuer, OrganizationId, Receipt, WorkspaceConnector, WorkspaceConnectorId, WorkspaceId,
};

/// Keeps the grant of each activation, so that its refresh token is never lost and never used twice.
///
/// # Contract
///
/// - At most one holder has the lease of a grant at a time. Each lease has a higher fence than the one before, also than
///   those of grants that the activation had before this one.
/// - [`journal`](Self::journal), [`settle`](Self::settle), [`release`](Self::release), [`shelve`](Self::shelve) and
///   [`lose`](Self::lose) of a holder whose fence is not the last one are [`StoreError::Stale`], and change nothing.
/// - [`connect`](Self::connect) and [`lose`](Self::lose) of an activation that was written since it was read are
///   [`StoreError::Stale`], and change nothing.
/// - What an activation has with providers is left behind when it is purged, by itself, with its connector or with its
///   workspace, in the same transaction: its grant with all that is kept of it, what exchanges for it brought, and its clients.
/// - [`take_left`](Self::take_left) answers what was left to one caller at a time, and to the next once that one's time has run
///   out, until [`told`](Self::told) forgets it. So a provider may be told twice, and is never forgotten.
/// - Each method is one transaction.
#[async_trait]
pub trait GrantStore: Send + Sync {
    /// The grant of an activation.
    async fn grant(&self, of: WorkspaceConnectorId) -> Result<Option<KeptGrant>, StoreError>;

    /// Keeps a new grant in the place of any other, and takes the lease from whoever has it, with the activation that it
    /// changes the status of. What exchanges for the activation brought is settled by it.
    async fn connect(
        &self,
        grant: &NewGrant,
        activation: &WorkspaceConnector,
        receipt: &Receipt,
    ) -> Result<(), StoreError>;

    /// Takes the lease of a grant that nobody holds at `now`, until `until`. None if somebody does, or there is no grant.
    async fn lease(
        &self,
        of: WorkspaceConnectorId,
        holder: Uuid,
        now: OffsetDateTime,
        until: OffsetDateTime,
    ) -> Result<Option<KeptGrant>, StoreError>;

    /// Keeps what the provider said, before anybody reads it.
    async fn journal(
        &self,
        of: WorkspaceConnectorId,
        fence: Fence,
        reply: &Sealed,
    ) -> Result<(), StoreError>;

    /// Puts the new grant in the place of the old one, which becomes the previous one, forgets the journal and failures, and
    /// gives the lease back.
    async fn settle(&self, fence: Fence, grant: &NewGrant) -> Result<(), StoreError>;

    /// Gives the lease back without a new grant, and forgets the journal. With `put_off`, it failed.
    async fn release(
        &self,
        of: WorkspaceConnectorId,
        fence: Fence,
        put_off: Option<PutOff>,
    ) -> Result<(), StoreError>;

    /// Gives the lease back, and keeps all that is there. It is not to be tried before `again_at`.
    async fn shelve(
        &self,
        of: WorkspaceConnectorId,
        fence: Fence,
        again_at: OffsetDateTime,
    ) -> Result<(), StoreError>;

    /// The grant does not work any more: removes it, and writes the activation that needs a person now.
    async fn lose(
        &self,
        fence: Fence,
        activation: &WorkspaceConnector,
        receipt: &Receipt,
    ) -> Result<(), StoreError>;

    /// Up to `limit` deleted activations that have a grant yet, or what an exchange brought.
    async fn abandoned(&self, limit: u64) -> Result<Vec<WorkspaceConnectorId>, StoreError>;

    /// Leaves behind what an activation that is deleted, and no other, has of these, and forgets what it says that its grant
    /// could do. Its clients stay: it can be restored.
    async fn set_aside(&self, of: WorkspaceConnectorId) -> Result<(), StoreError>;

    /// Leaves a grant behind that its activation is not there for any more. `grant`: a [`HeldGrant`](crate::HeldGrant), sealed
    /// for the activation.
    async fn leave(&self, owner: &Owner, issuer: &Issuer, grant: &Sealed)
    -> Result<(), StoreError>;

    /// Takes what one activation left behind with providers and nobody has at `now`, until `until`: what waits longest first.
    async fn take_left(
        &self,
        now: OffsetDateTime,
        until: OffsetDateTime,
    ) -> Result<Option<Leftovers>, StoreError>;

    /// Forgets one thing that was left, with what the audit trail says of it, if anything. [`StoreError::Stale`] if somebody
    /// else did.
    async fn told(&self, left: LeftoverId, receipt: Option<&Receipt>) -> Result<(), StoreError>;

    /// Puts one thing back that was taken, as if it had never been, to be taken up `from` then on.
    async fn put_back(&self, left: LeftoverId, from: OffsetDateTime) -> Result<(), StoreError>;

    /// Up to `limit` live activations whose grant is due at `now`, not put off and held by nobody, most urgent first.
    async fn due(
        &self,
        now: OffsetDateTime,
        limit: u64,
    ) -> Result<Vec<WorkspaceConnectorId>, StoreError>;
}

/// A grant as it is kept.
#[derive(Clone, Debug, PartialEq)]
pub struct KeptGrant {
    /// Of which activation.
    pub workspace_connector_id: WorkspaceConnectorId,
    /// In which workspace.
    pub workspace_id: WorkspaceId,
    /// In which organization.
    pub organization_id: OrganizationId,
    /// Who granted it.
    pub issuer: Issuer,
    /// The [`HeldGrant`](crate::HeldGrant), sealed.
    pub grant: Sealed,
    /// The grant before, sealed, until this one is proven.
    pub previous: Option<Sealed>,
    /// The [`JournaledReply`](crate::JournaledReply), sealed: what the server said last, if nobody came to read it.
    pub reply: Option<Sealed>,
    /// When the access token ends.
    pub expires_at: Option<OffsetDateTime>,
    /// How often it was leased.
    pub fence: Fence,
    /// Until when somebody holds the lease.
    pub leased_until: Option<OffsetDateTime>,
    /// Before when it is not to be tried again.
    pub again_at: Option<OffsetDateTime>,
    /// How often it could not be refreshed since it last was.
    pub failures: u32,
    /// How often of these the server refused.
    pub refusals: u32,
    /// When it was last refreshed.
    pub refreshed_at: OffsetDateTime,
}

/// Before when a grant is not to be tried again, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PutOff {
    /// Whom it takes could not be had.
    Away(OffsetDateTime),
    /// The server refused, and may think better of it.
    Refused(OffsetDateTime),
}

/// A grant to keep.
#[derive(Clone, Debug, PartialEq)]
pub struct NewGrant {
    /// Of which activation.
    pub workspace_connector_id: WorkspaceConnectorId,
    /// Who granted it.
    pub issuer: Issuer,
    /// The [`HeldGrant`](crate::HeldGrant), sealed.
    pub grant: Sealed,
    /// When the access token ends.
    pub expires_at: Option<OffsetDateTime>,
    /// When to refresh it at the latest, also where nobody uses it.
    pub due_at: Option<OffsetDateTime>,
    /// When it was given. Freshness counts from here.
    pub refreshed_at: OffsetDateTime,
}

/// Whose something is: an activation, which may be gone, and where it is or was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    /// Which activation.
    pub workspace_connector_id: WorkspaceConnectorId,
    /// In which workspace.
    pub workspace_id: WorkspaceId,
    /// In which organization.
    pub organization_id: OrganizationId,
}

/// What an activation left behind with providers.
#[derive(Clone, Debug, PartialEq)]
pub struct Leftovers {
    /// Whose it was.
    pub owner: Owner,
    /// What it is, in the order in which providers are told: what exchanges brought, grants, clients.
    pub things: Vec<Leftover>,
}

/// One thing that was left behind with a provider.
#[derive(Clone, Debug, PartialEq)]
pub struct Leftover {
    /// Names it.
    pub id: LeftoverId,
    /// How often it was taken, this time included.
    pub tries: u32,
    /// What it is.
    pub left: Left,
}

/// Names one thing that was left behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LeftoverId(pub i64);

/// What is left behind with a provider.
#[derive(Clone, Debug, PartialEq)]
pub enum Left {
    /// What the exchange of an authorization brought.
    Answer {
        /// Of which one: it is sealed for that.
        authorization_id: Uuid,
        /// The [`HeldGrant`](crate::HeldGrant), sealed.
        grant: Sealed,
    },
    /// A grant, with all that was kept of it.
    Grant {
        /// Who granted it.
        issuer: Issuer,
        /// The [`HeldGrant`](crate::HeldGrant), sealed.
        held: Sealed,
        /// The grant before, sealed.
        previous: Option<Sealed>,
        /// The [`JournaledReply`](crate::JournaledReply), sealed, that nobody came to read.
        reply: Option<Sealed>,
    },
    /// A client.
    Client {
        /// With whom.
        issuer: Issuer,
        /// The [`OauthClient`](crate::OauthClient), sealed.
        client: Sealed,
    },
}

impl KeptGrant {
    /// Whose it is.
    pub const fn owner(&self) -> Owner {
        Owner {
            workspace_connector_id: self.workspace_connector_id,
            workspace_id: self.workspace_id,
            organization_id: self.organization_id,
        }
    }
}

impl KeptAuthorization {
    /// Whose it is.
    pub const fn owner(&self) -> Owner {
        Owner {
            workspace_connector_id: self.workspace_connector_id,
            workspace_id: self.workspace_id,
            organization_id: self.organization_id,
        }
    }
}

/// Keeps what we are to authorization servers: one client for each activation and issuer.
#[async_trait]
pub trait OauthClientStore: Send + Sync {
    /// The client of an activation with an issuer: an [`OauthClient`](crate::OauthClient), sealed.
    async fn client(
        &self,
        of: WorkspaceConnectorId,
        issuer: &Issuer,
    ) -> Result<Option<Sealed>, StoreError>;

    /// Keeps it in the place of what was found there. [`StoreError::Stale`] if something else is there by now: of several who
    /// register at once, the first is kept. A client that another takes the place of is left behind: see
    /// [`take_left`](GrantStore::take_left).
    async fn keep_client(
        &self,
        of: WorkspaceConnectorId,
        issuer: &Issuer,
        client: &Sealed,
        in_place_of: InPlaceOf<'_>,
        receipt: &Receipt,
    ) -> Result<(), StoreError>;
}

/// In whose place a client is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InPlaceOf<'s> {
    /// Nobody's: there is none.
    Nobody,
    /// Its own, as it was known before.
    Itself(&'s Sealed),
    /// Another's, which nobody takes up before this time: somebody may be at the provider with it.
    Another(&'s Sealed, OffsetDateTime),
}

impl<'s> InPlaceOf<'s> {
    /// What was found there.
    pub const fn found(self) -> Option<&'s Sealed> {
        match self {
            Self::Nobody => None,
            Self::Itself(found) | Self::Another(found, _) => Some(found),
        }
    }
}

/// Keeps the authorizations that people are still at.
///
/// # Contract
///
/// - [`take`](Self::take) answers the content to one caller only, ever, and only before it ends.
/// - [`look`](Self::look) answers what `take` would, and takes nothing.
/// - What was taken or has ended keeps its row, without the content, for a day, so that a person can be told what happened.
/// - What an exchange brought is there until [`connect`](GrantStore::connect) keeps a grant of the activation, or it is left
///   behind: by [`give_up`](Self::give_up), or because the activation goes.
#[async_trait]
pub trait AuthorizationStore: Send + Sync {
    /// Keeps one.
    async fn begin(
        &self,
        authorization: &KeptAuthorization,
        receipt: &Receipt,
    ) -> Result<(), StoreError>;

    /// Takes the one whose `state` has this hash.
    async fn take(
        &self,
        state: &crate::KeyHash,
        now: OffsetDateTime,
    ) -> Result<TakenAuthorization, StoreError>;

    /// Shows the one whose `state` has this hash, and leaves it.
    async fn look(
        &self,
        state: &crate::KeyHash,
        now: OffsetDateTime,
    ) -> Result<TakenAuthorization, StoreError>;

    /// Keeps what the exchange of the taken one `id` brought, until the activation is connected.
    async fn answered(&self, id: Uuid, grant: &Sealed) -> Result<(), StoreError>;

    /// Up to `limit` of live activations that were taken by `until` and brought a grant that these were not connected with,
    /// oldest first.
    async fn unsettled(
        &self,
        until: OffsetDateTime,
        limit: u64,
    ) -> Result<Vec<AnsweredAuthorization>, StoreError>;

    /// Whether what the exchange of `id` brought is still there.
    async fn is_unsettled(&self, id: Uuid) -> Result<bool, StoreError>;

    /// Leaves behind what the exchange of `id` brought, if that is there yet: nobody could connect the activation with it.
    async fn give_up(&self, id: Uuid) -> Result<(), StoreError>;

    /// Forgets those that ended more than `after` ago and hold nothing that an exchange brought. Answers how many.
    async fn sweep(&self, now: OffsetDateTime, after: Duration) -> Result<u64, StoreError>;
}

/// An authorization as it is kept.
#[derive(Clone, Debug, PartialEq)]
pub struct KeptAuthorization {
    /// Its public identifier, which the content is sealed for.
    pub id: Uuid,
    /// The hash of its `state`.
    pub state: crate::KeyHash,
    /// For which activation.
    pub workspace_connector_id: WorkspaceConnectorId,
    /// In which workspace.
    pub workspace_id: WorkspaceId,
    /// In which organization.
    pub organization_id: OrganizationId,
    /// The [`PendingAuthorization`](crate::PendingAuthorization), sealed.
    pub content: Sealed,
    /// When it was begun.
    pub created_at: OffsetDateTime,
    /// When it ends.
    pub expires_at: OffsetDateTime,
}

/// An authorization whose exchange brought a grant that nobody got to connect the activation with.
#[derive(Clone, Debug, PartialEq)]
pub struct AnsweredAuthorization {
    /// Its public identifier, which the grant is sealed for.
    pub id: Uuid,
    /// For which activation.
    pub workspace_connector_id: WorkspaceConnectorId,
    /// In which workspace.
    pub workspace_id: WorkspaceId,
    /// In which organization.
    pub organization_id: OrganizationId,
    /// The [`HeldGrant`](crate::HeldGrant), sealed.
    pub grant: Sealed,
    /// When it was taken.
    pub taken_at: OffsetDateTime,
}

/// What became of looking for an authorization.
#[derive(Clone, Debug, PartialEq)]
pub enum TakenAuthorization {
    /// Here it is. Once taken, it will not be given again.
    Taken(KeptAuthorization),
    /// Somebody took it before.
    Used,
    /// It ended before anybody came.
    Expired,
    /// There never was one, or it is long forgotten.
    Unknown,
}
