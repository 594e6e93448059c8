//! What stands around the processes: a clock, a vault that hides nothing, and a store whose every call is a place to die.

use std::{
    cell::Cell,
    future::poll_fn,
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    task::Poll,
};

use async_trait::async_trait;
use linkspan_domain::{
    Fence, Issuer, ListQuery, Page, Receipt, Secret, Visible, WorkspaceConnector,
    WorkspaceConnectorId,
    ports::{
        Change, GrantStore, KeptGrant, KeyId, LeftoverId, Leftovers, NewGrant, OauthClientStore,
        Owner, SealContext, Sealed, Store, StoreError, Vault, VaultError, World,
    },
};
use linkspan_testkit::{MemoryGrants, Random, fixtures::EPOCH};
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

thread_local! {
    /// Which task is being polled.
    static CURRENT: Cell<usize> = const { Cell::new(0) };
}

/// Says which task is polled from now on.
pub(crate) fn enter(task: usize) {
    CURRENT.set(task);
}

/// Where a task is.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Whereabouts {
    /// The last step that it came to.
    pub(crate) step: &'static str,
    /// Whether the server has spent a token for it of which nothing is written down.
    pub(crate) is_unsurvivable: bool,
}

/// Where each task is.
#[derive(Clone, Default)]
pub(crate) struct Steps(Arc<Mutex<Vec<Whereabouts>>>);

impl Steps {
    /// A place where the task that is polled waits once, and may die.
    pub(crate) async fn step(&self, name: &'static str) {
        self.change(|it| it.step = name);
        let mut is_over = false;
        poll_fn(|_| {
            if is_over {
                return Poll::Ready(());
            }
            is_over = true;
            Poll::Pending
        })
        .await;
    }

    pub(crate) fn change(&self, change: impl FnOnce(&mut Whereabouts)) {
        let mut all = self.0.lock().unwrap();
        let current = CURRENT.get();
        if all.len() <= current {
            all.resize(current + 1, Whereabouts::default());
        }
        change(&mut all[current]);
    }

    pub(crate) fn of(&self, task: usize) -> Whereabouts {
        self.0.lock().unwrap().get(task).copied().unwrap_or_default()
    }

    pub(crate) fn clear(&self, task: usize) {
        if let Some(it) = self.0.lock().unwrap().get_mut(task) {
            *it = Whereabouts::default();
        }
    }
}

/// A clock that goes when it is told to, and identifiers by chance.
pub(crate) struct Clock {
    microseconds: AtomicI64,
    random: Mutex<Random>,
    ids: AtomicU64,
}

impl Clock {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            microseconds: AtomicI64::new(0),
            random: Mutex::new(Random::from_seed(seed)),
            ids: AtomicU64::new(0),
        }
    }

    pub(crate) fn advance(&self, by: Duration) {
        let by = i64::try_from(by.whole_microseconds()).unwrap();
        self.microseconds.fetch_add(by, Ordering::Relaxed);
    }
}

impl World for Clock {
    fn now(&self) -> OffsetDateTime {
        EPOCH + Duration::microseconds(self.microseconds.load(Ordering::Relaxed))
    }

    fn uuid(&self) -> Uuid {
        let low = self.random.lock().unwrap().below(usize::MAX);
        Uuid::from_u64_pair(self.ids.fetch_add(1, Ordering::Relaxed), low as u64)
    }
}

/// Seals nothing: what is sealed is not what is tried here.
pub(crate) struct Glass;

impl Vault for Glass {
    fn seal(&self, _: SealContext, plain: &[u8]) -> Result<Sealed, VaultError> {
        Ok(Sealed::from_bytes(plain.to_vec()))
    }

    fn open(&self, _: SealContext, sealed: &Sealed) -> Result<Secret<Vec<u8>>, VaultError> {
        Ok(Secret::new(sealed.as_bytes().to_vec()))
    }

    fn current(&self) -> KeyId {
        KeyId::from_bytes([0; KeyId::LEN])
    }

    fn previous(&self) -> Vec<KeyId> {
        Vec::new()
    }
}

/// A store whose callers may die before a call has had its effect, and after.
pub(crate) struct Stepped {
    pub(crate) store: Arc<MemoryGrants>,
    pub(crate) steps: Steps,
}

macro_rules! stepped {
    ($self:ident, $name:literal, $call:expr) => {{
        $self.steps.step(concat!($name, ": before")).await;
        let done = $call.await;
        $self.steps.step(concat!($name, ": after")).await;
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
        self.store.connect(grant, activation, receipt).await
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
        self.steps.step("journal: before").await;
        let done = self.store.journal(of, fence, reply).await;
        if done.is_ok() {
            self.steps.change(|it| it.is_unsurvivable = false);
        }
        self.steps.step("journal: after").await;
        done
    }

    async fn settle(&self, fence: Fence, grant: &NewGrant) -> Result<(), StoreError> {
        stepped!(self, "settle", self.store.settle(fence, grant))
    }

    async fn release(
        &self,
        of: WorkspaceConnectorId,
        fence: Fence,
        again_at: Option<OffsetDateTime>,
    ) -> Result<(), StoreError> {
        stepped!(self, "release", self.store.release(of, fence, again_at))
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
        self.store.abandoned(limit).await
    }

    async fn set_aside(&self, of: WorkspaceConnectorId) -> Result<(), StoreError> {
        self.store.set_aside(of).await
    }

    async fn leave(
        &self,
        owner: &Owner,
        issuer: &Issuer,
        grant: &Sealed,
    ) -> Result<(), StoreError> {
        self.store.leave(owner, issuer, grant).await
    }

    async fn take_left(
        &self,
        now: OffsetDateTime,
        until: OffsetDateTime,
    ) -> Result<Option<Leftovers>, StoreError> {
        self.store.take_left(now, until).await
    }

    async fn told(&self, left: LeftoverId, receipt: Option<&Receipt>) -> Result<(), StoreError> {
        self.store.told(left, receipt).await
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
impl OauthClientStore for Stepped {
    async fn client(
        &self,
        of: WorkspaceConnectorId,
        issuer: &Issuer,
    ) -> Result<Option<Sealed>, StoreError> {
        self.store.client(of, issuer).await
    }

    async fn keep_client(
        &self,
        of: WorkspaceConnectorId,
        issuer: &Issuer,
        client: &Sealed,
        instead_of: Option<&Sealed>,
        receipt: &Receipt,
    ) -> Result<(), StoreError> {
        self.store.keep_client(of, issuer, client, instead_of, receipt).await
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
        self.store.write(changes, receipt).await
    }
}
