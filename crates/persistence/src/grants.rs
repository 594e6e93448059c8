//! Grants, the clients that they were given to, and authorizations that people are at.

mod authorizations;
mod clients;
pub(crate) mod leftovers;

use async_trait::async_trait;
use linkspan_domain::{
    Fence, Issuer, OrganizationId, Receipt, WorkspaceConnector, WorkspaceConnectorId, WorkspaceId,
    ports::{
        GrantStore, KeptGrant, LeftoverId, Leftovers, NewGrant, Owner, PutOff, Sealed, StoreError,
    },
};
use sea_orm::{QueryResult, TryGetable, Value};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{
    Database,
    error::{corrupt, store_error},
    instant::{from_microseconds, microseconds},
    receipt,
    store::{stale_unless, update},
};

/// Keeps grants, and what belongs to them, on either database.
pub(crate) struct SqlGrants {
    db: Database,
}

impl SqlGrants {
    pub(crate) const fn new(db: Database) -> Self {
        Self { db }
    }
}

/// What a [`KeptGrant`] is made of.
macro_rules! kept {
    () => {
        "workspace_connector_id, workspace_id, organization_id, issuer, held, previous, reply, \
         expires_at, fence, leased_until, again_at, failures, refusals, refreshed_at"
    };
}

/// The grant of an activation.
const GRANT: &str =
    concat!("SELECT ", kept!(), " FROM oauth_grants WHERE workspace_connector_id = $1");

/// Activation, issuer, grant, end, when due, when refreshed. The first fence is the time: those of grants that were removed
/// stay below it.
const CONNECT: &str = "\
    INSERT INTO oauth_grants (workspace_connector_id, workspace_id, organization_id, issuer, \
        held, expires_at, next_at, fence, refreshed_at) \
    SELECT w.workspace_connector_id, k.workspace_id, o.organization_id, $2, $3, $4, $5, $6, $6 \
    FROM workspace_connectors w \
    JOIN workspaces k ON k.pk = w.workspace_pk \
    JOIN organizations o ON o.pk = k.organization_pk \
    WHERE w.workspace_connector_id = $1 \
    ON CONFLICT (workspace_connector_id) DO UPDATE SET issuer = excluded.issuer, \
        held = excluded.held, previous = NULL, reply = NULL, expires_at = excluded.expires_at, \
        next_at = excluded.next_at, holder = NULL, leased_until = NULL, again_at = NULL, \
        failures = 0, refusals = 0, refreshed_at = excluded.refreshed_at, \
        fence = CASE WHEN oauth_grants.fence < excluded.fence THEN excluded.fence \
            ELSE oauth_grants.fence + 1 END";

/// Activation, holder, now, until.
const LEASE: &str = concat!(
    "UPDATE oauth_grants SET holder = $2, leased_until = $4, fence = fence + 1 \
     WHERE workspace_connector_id = $1 AND (leased_until IS NULL OR leased_until <= $3) \
     RETURNING ",
    kept!()
);

/// What holds as long as nobody else took the lease: activation, fence.
macro_rules! held {
    ($statement:literal) => {
        concat!(
            $statement,
            " WHERE workspace_connector_id = $1 AND fence = $2 AND leased_until IS NOT NULL"
        )
    };
}

const JOURNAL: &str = held!("UPDATE oauth_grants SET reply = $3");

/// Issuer, grant, end, when due, when refreshed.
const SETTLE: &str = held!(
    "UPDATE oauth_grants SET issuer = $3, previous = held, held = $4, expires_at = $5, \
        next_at = $6, refreshed_at = $7, reply = NULL, holder = NULL, leased_until = NULL, \
        again_at = NULL, failures = 0, refusals = 0"
);

const RELEASE: &str =
    held!("UPDATE oauth_grants SET reply = NULL, holder = NULL, leased_until = NULL");

/// When again, and how many refusals.
const PUT_OFF: &str = held!(
    "UPDATE oauth_grants SET reply = NULL, holder = NULL, leased_until = NULL, again_at = $3, \
        failures = failures + 1, refusals = refusals + $4, \
        next_at = CASE WHEN next_at < $3 THEN $3 ELSE next_at END"
);

/// When again.
const SHELVE: &str = held!(
    "UPDATE oauth_grants SET holder = NULL, leased_until = NULL, again_at = $3, \
        next_at = CASE WHEN next_at < $3 THEN $3 ELSE next_at END"
);

const LOSE: &str = held!("DELETE FROM oauth_grants");

/// Now, how many.
const DUE: &str = "\
    SELECT g.workspace_connector_id FROM oauth_grants g \
    JOIN workspace_connectors w ON w.workspace_connector_id = g.workspace_connector_id \
    WHERE g.next_at <= $1 AND (g.leased_until IS NULL OR g.leased_until <= $1) \
        AND w.deleted_at IS NULL \
    ORDER BY g.next_at, g.workspace_connector_id LIMIT $2";

#[async_trait]
impl GrantStore for SqlGrants {
    async fn grant(&self, of: WorkspaceConnectorId) -> Result<Option<KeptGrant>, StoreError> {
        let found = self.db.select(GRANT, vec![of.uuid().into()]).await?;
        found.first().map(kept).transpose()
    }

    async fn connect(
        &self,
        grant: &NewGrant,
        activation: &WorkspaceConnector,
        receipt: &Receipt,
    ) -> Result<(), StoreError> {
        let session = self.db.write().await?;
        update(&session, activation).await?;
        let of = grant.workspace_connector_id.uuid();
        let values = [of.into()].into_iter().chain(granted(grant)).collect();
        session.run(CONNECT, values).await?;
        session.run(authorizations::FORGET_ANSWERS, vec![of.into()]).await?;
        receipt::keep(&session, receipt).await?;
        session.commit().await
    }

    async fn lease(
        &self,
        of: WorkspaceConnectorId,
        holder: Uuid,
        now: OffsetDateTime,
        until: OffsetDateTime,
    ) -> Result<Option<KeptGrant>, StoreError> {
        let values = vec![
            of.uuid().into(),
            holder.into(),
            microseconds(now).into(),
            microseconds(until).into(),
        ];
        self.db.returned(LEASE, values).await?.first().map(kept).transpose()
    }

    async fn journal(
        &self,
        of: WorkspaceConnectorId,
        fence: Fence,
        reply: &Sealed,
    ) -> Result<(), StoreError> {
        self.under_lease(of, fence, JOURNAL, vec![reply.as_bytes().into()]).await
    }

    async fn settle(&self, fence: Fence, grant: &NewGrant) -> Result<(), StoreError> {
        let values = granted(grant).into();
        self.under_lease(grant.workspace_connector_id, fence, SETTLE, values).await
    }

    async fn release(
        &self,
        of: WorkspaceConnectorId,
        fence: Fence,
        put_off: Option<PutOff>,
    ) -> Result<(), StoreError> {
        let (again_at, refusals) = match put_off {
            None => return self.under_lease(of, fence, RELEASE, Vec::new()).await,
            Some(PutOff::Away(again_at)) => (again_at, 0_i64),
            Some(PutOff::Refused(again_at)) => (again_at, 1),
        };
        let values = vec![microseconds(again_at).into(), refusals.into()];
        self.under_lease(of, fence, PUT_OFF, values).await
    }

    async fn shelve(
        &self,
        of: WorkspaceConnectorId,
        fence: Fence,
        again_at: OffsetDateTime,
    ) -> Result<(), StoreError> {
        self.under_lease(of, fence, SHELVE, vec![microseconds(again_at).into()]).await
    }

    async fn lose(
        &self,
        fence: Fence,
        activation: &WorkspaceConnector,
        receipt: &Receipt,
    ) -> Result<(), StoreError> {
        let session = self.db.write().await?;
        update(&session, activation).await?;
        let values = vec![activation.id.uuid().into(), fence.0.into()];
        stale_unless(session.run(LOSE, values).await?)?;
        receipt::keep(&session, receipt).await?;
        session.commit().await
    }

    async fn abandoned(&self, limit: u64) -> Result<Vec<WorkspaceConnectorId>, StoreError> {
        self.first(limit, leftovers::ABANDONED, Vec::new()).await?.iter().map(named).collect()
    }

    async fn set_aside(&self, of: WorkspaceConnectorId) -> Result<(), StoreError> {
        leftovers::set_aside(&self.db, of).await
    }

    async fn leave(
        &self,
        owner: &Owner,
        issuer: &Issuer,
        grant: &Sealed,
    ) -> Result<(), StoreError> {
        leftovers::keep(&self.db, owner, issuer, grant).await
    }

    async fn take_left(
        &self,
        now: OffsetDateTime,
        until: OffsetDateTime,
    ) -> Result<Option<Leftovers>, StoreError> {
        leftovers::take(&self.db, now, until).await
    }

    async fn told(&self, left: LeftoverId, receipt: Option<&Receipt>) -> Result<(), StoreError> {
        leftovers::forget(&self.db, left, receipt).await
    }

    async fn put_back(&self, left: LeftoverId, from: OffsetDateTime) -> Result<(), StoreError> {
        leftovers::put_back(&self.db, left, from).await
    }

    async fn due(
        &self,
        now: OffsetDateTime,
        limit: u64,
    ) -> Result<Vec<WorkspaceConnectorId>, StoreError> {
        self.first(limit, DUE, vec![microseconds(now).into()]).await?.iter().map(named).collect()
    }
}

impl SqlGrants {
    /// Up to `limit` rows that `statement` finds, whose last value that is.
    async fn first(
        &self,
        limit: u64,
        statement: &'static str,
        mut values: Vec<Value>,
    ) -> Result<Vec<QueryResult>, StoreError> {
        values.push(i64::try_from(limit).unwrap_or(i64::MAX).into());
        self.db.select(statement, values).await
    }

    /// Runs `statement`, which touches nothing if somebody else has the lease.
    async fn under_lease(
        &self,
        of: WorkspaceConnectorId,
        fence: Fence,
        statement: &'static str,
        mut values: Vec<Value>,
    ) -> Result<(), StoreError> {
        values.splice(0..0, [of.uuid().into(), fence.0.into()]);
        stale_unless(self.db.apply(statement, values).await?)
    }
}

/// Issuer, grant, end, when due, when refreshed.
fn granted(grant: &NewGrant) -> [Value; 5] {
    [
        grant.issuer.as_str().into(),
        grant.grant.as_bytes().into(),
        grant.expires_at.map(microseconds).into(),
        grant.due_at.map(microseconds).into(),
        microseconds(grant.refreshed_at).into(),
    ]
}

fn kept(row: &QueryResult) -> Result<KeptGrant, StoreError> {
    let count = |name| u32::try_from(get::<i64>(row, name)?).map_err(corrupt);
    Ok(KeptGrant {
        workspace_connector_id: WorkspaceConnectorId::from_uuid(get(
            row,
            "workspace_connector_id",
        )?),
        workspace_id: WorkspaceId::from_uuid(get(row, "workspace_id")?),
        organization_id: OrganizationId::from_uuid(get(row, "organization_id")?),
        issuer: Issuer::new(get(row, "issuer")?),
        grant: Sealed::from_bytes(get(row, "held")?),
        previous: get::<Option<_>>(row, "previous")?.map(Sealed::from_bytes),
        reply: get::<Option<_>>(row, "reply")?.map(Sealed::from_bytes),
        expires_at: maybe_instant(row, "expires_at")?,
        fence: Fence(get(row, "fence")?),
        leased_until: maybe_instant(row, "leased_until")?,
        again_at: maybe_instant(row, "again_at")?,
        failures: count("failures")?,
        refusals: count("refusals")?,
        refreshed_at: from_microseconds(get(row, "refreshed_at")?)?,
    })
}

/// The activation that a row begins with.
pub(crate) fn named(row: &QueryResult) -> Result<WorkspaceConnectorId, StoreError> {
    row.try_get_by_index(0).map(WorkspaceConnectorId::from_uuid).map_err(store_error)
}

fn get<T: TryGetable>(row: &QueryResult, name: &str) -> Result<T, StoreError> {
    row.try_get("", name).map_err(store_error)
}

fn maybe_instant(row: &QueryResult, name: &str) -> Result<Option<OffsetDateTime>, StoreError> {
    get::<Option<i64>>(row, name)?.map(from_microseconds).transpose()
}
