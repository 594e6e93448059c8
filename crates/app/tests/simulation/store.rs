//! A store whose every call is a place to die.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use linkspan_domain::{
    Fence, HeldGrant, Issuer, KeyHash, ListQuery, Page, Receipt, Sealable, Visible,
    WorkspaceConnector, WorkspaceConnectorId,
    ports::{
        AnsweredAuthorization, AuthorizationStore, Change, GrantStore, InPlaceOf,
        KeptAuthorization, KeptGrant, LeftoverId, Leftovers, NewGrant, OauthClientStore, Owner,
        PutOff, Sealed, Store, StoreError, TakenAuthorization, Vault,
    },
};
use linkspan_testkit::MemoryGrants;
use time::{Duration, OffsetDateTime, PrimitiveDateTime};
use uuid::Uuid;

use super::{
    pace::{Pace, step},
    provider::{Book, Fate},
    world::{Glass, context},
};

/// A store whose callers may die before a call has had its effect, and after.
pub(crate) struct Stepped {
    pub(crate) store: Arc<MemoryGrants>,
    pub(crate) pace: Arc<dyn Pace>,
    /// What the server knows, where what became of each grant is noted.
    pub(crate) book: Arc<Mutex<Book>>,
}

impl Stepped {
    fn note(&self, grant: &Sealed, fate: Fate) {
        let held = HeldGrant::from_bytes(&Glass.open(context(), grant).unwrap()).unwrap();
        self.book.lock().unwrap().note(&held.grant, fate);
    }
}

macro_rules! stepped {
    ($self:ident, $name:literal, $call:expr) => {{
        step(&*$self.pace, concat!($name, ": before")).await;
        let done = $call.await;
        step(&*$self.pace, concat!($name, ": after")).await;
        done
    }};
}

#[async_trait]
impl GrantStore for Stepped {
    async fn grant(&self, of: WorkspaceConnectorId) -> Result<Option<KeptGrant>, StoreError> {
        stepped!(self, "grant", self.store.grant(of))
    }

    async fn connect(
        &self,
        grant: &NewGrant,
        activation: &WorkspaceConnector,
        receipt: &Receipt,
    ) -> Result<(), StoreError> {
        step(&*self.pace, "connect: before").await;
        let kept = self.store.grant(activation.id).await?.map(|it| it.grant);
        let answered = self.store.unsettled(PrimitiveDateTime::MAX.assume_utc(), u64::MAX).await?;
        let of_it = answered.into_iter().filter(|it| it.workspace_connector_id == activation.id);
        let replaced: Vec<_> = kept.into_iter().chain(of_it.map(|it| it.grant)).collect();
        let done = self.store.connect(grant, activation, receipt).await;
        if done.is_ok() {
            for it in &replaced {
                self.note(it, Fate::Replaced);
            }
            self.note(&grant.grant, Fate::Connected);
        }
        step(&*self.pace, "connect: after").await;
        done
    }

    async fn lease(
        &self,
        of: WorkspaceConnectorId,
        holder: Uuid,
        now: OffsetDateTime,
        until: OffsetDateTime,
    ) -> Result<Option<KeptGrant>, StoreError> {
        stepped!(self, "lease", self.store.lease(of, holder, now, until))
    }

    async fn journal(
        &self,
        of: WorkspaceConnectorId,
        fence: Fence,
        reply: &Sealed,
    ) -> Result<(), StoreError> {
        step(&*self.pace, "journal: before").await;
        let done = self.store.journal(of, fence, reply).await;
        if done.is_ok() {
            self.pace.at_risk(false);
        }
        step(&*self.pace, "journal: after").await;
        done
    }

    async fn settle(&self, fence: Fence, grant: &NewGrant) -> Result<(), StoreError> {
        stepped!(self, "settle", self.store.settle(fence, grant))
    }

    async fn release(
        &self,
        of: WorkspaceConnectorId,
        fence: Fence,
        put_off: Option<PutOff>,
    ) -> Result<(), StoreError> {
        stepped!(self, "release", self.store.release(of, fence, put_off))
    }

    async fn shelve(
        &self,
        of: WorkspaceConnectorId,
        fence: Fence,
        again_at: OffsetDateTime,
    ) -> Result<(), StoreError> {
        stepped!(self, "shelve", self.store.shelve(of, fence, again_at))
    }

    async fn lose(
        &self,
        fence: Fence,
        activation: &WorkspaceConnector,
        receipt: &Receipt,
    ) -> Result<(), StoreError> {
        stepped!(self, "lose", self.store.lose(fence, activation, receipt))
    }

    async fn abandoned(&self, limit: u64) -> Result<Vec<WorkspaceConnectorId>, StoreError> {
        stepped!(self, "abandoned", self.store.abandoned(limit))
    }

    async fn set_aside(&self, of: WorkspaceConnectorId) -> Result<(), StoreError> {
        stepped!(self, "set aside", self.store.set_aside(of))
    }

    async fn leave(
        &self,
        owner: &Owner,
        issuer: &Issuer,
        grant: &Sealed,
    ) -> Result<(), StoreError> {
        stepped!(self, "leave", self.store.leave(owner, issuer, grant))
    }

    async fn take_left(
        &self,
        now: OffsetDateTime,
        until: OffsetDateTime,
    ) -> Result<Option<Leftovers>, StoreError> {
        stepped!(self, "take left", self.store.take_left(now, until))
    }

    async fn told(&self, left: LeftoverId, receipt: Option<&Receipt>) -> Result<(), StoreError> {
        stepped!(self, "told", self.store.told(left, receipt))
    }

    async fn put_back(&self, left: LeftoverId, from: OffsetDateTime) -> Result<(), StoreError> {
        stepped!(self, "put back", self.store.put_back(left, from))
    }

    async fn due(
        &self,
        now: OffsetDateTime,
        limit: u64,
    ) -> Result<Vec<WorkspaceConnectorId>, StoreError> {
        self.store.due(now, limit).await
    }
}

#[async_trait]
impl AuthorizationStore for Stepped {
    async fn begin(&self, it: &KeptAuthorization, receipt: &Receipt) -> Result<(), StoreError> {
        stepped!(self, "begin", self.store.begin(it, receipt))
    }

    async fn take(
        &self,
        state: &KeyHash,
        now: OffsetDateTime,
    ) -> Result<TakenAuthorization, StoreError> {
        stepped!(self, "take", self.store.take(state, now))
    }

    async fn look(
        &self,
        state: &KeyHash,
        now: OffsetDateTime,
    ) -> Result<TakenAuthorization, StoreError> {
        self.store.look(state, now).await
    }

    async fn answered(&self, id: Uuid, grant: &Sealed) -> Result<(), StoreError> {
        step(&*self.pace, "answered: before").await;
        let done = self.store.answered(id, grant).await;
        if done.is_ok() {
            self.note(grant, Fate::Answered);
        }
        step(&*self.pace, "answered: after").await;
        done
    }

    async fn unsettled(
        &self,
        until: OffsetDateTime,
        limit: u64,
    ) -> Result<Vec<AnsweredAuthorization>, StoreError> {
        stepped!(self, "unsettled", self.store.unsettled(until, limit))
    }

    async fn is_unsettled(&self, id: Uuid) -> Result<bool, StoreError> {
        stepped!(self, "is unsettled", self.store.is_unsettled(id))
    }

    async fn give_up(&self, id: Uuid) -> Result<(), StoreError> {
        stepped!(self, "give up", self.store.give_up(id))
    }

    async fn sweep(&self, now: OffsetDateTime, after: Duration) -> Result<u64, StoreError> {
        stepped!(self, "sweep", self.store.sweep(now, after))
    }
}

#[async_trait]
impl OauthClientStore for Stepped {
    async fn client(
        &self,
        of: WorkspaceConnectorId,
        issuer: &Issuer,
    ) -> Result<Option<Sealed>, StoreError> {
        stepped!(self, "client", self.store.client(of, issuer))
    }

    async fn keep_client(
        &self,
        of: WorkspaceConnectorId,
        issuer: &Issuer,
        client: &Sealed,
        in_place_of: InPlaceOf<'_>,
        receipt: &Receipt,
    ) -> Result<(), StoreError> {
        let keeping = self.store.keep_client(of, issuer, client, in_place_of, receipt);
        stepped!(self, "keep client", keeping)
    }
}

#[async_trait]
impl Store<WorkspaceConnector> for Stepped {
    async fn find(
        &self,
        tenancy: &Visible,
        id: WorkspaceConnectorId,
    ) -> Result<Option<WorkspaceConnector>, StoreError> {
        stepped!(self, "activation", self.store.find(tenancy, id))
    }

    async fn find_all(
        &self,
        tenancy: &Visible,
        ids: &[WorkspaceConnectorId],
    ) -> Result<Vec<WorkspaceConnector>, StoreError> {
        self.store.find_all(tenancy, ids).await
    }

    async fn list(
        &self,
        tenancy: &Visible,
        query: &ListQuery,
    ) -> Result<Page<WorkspaceConnector>, StoreError> {
        self.store.list(tenancy, query).await
    }

    async fn write(
        &self,
        changes: &[Change<WorkspaceConnector>],
        receipt: &Receipt,
    ) -> Result<(), StoreError> {
        stepped!(self, "write", self.store.write(changes, receipt))
    }
}
