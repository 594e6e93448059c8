//! The audit trail, as the chain that its events are.

use async_trait::async_trait;
use linkspan_domain::{
    AuditEvent, AuditEventId, ChainHash, ChainLink, OrganizationId,
    ports::{AuditStore, StoreError},
};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, FromQueryResult, QueryFilter, QueryOrder,
    QueryResult, QuerySelect, QueryTrait,
};
use time::OffsetDateTime;

use crate::{
    database::Database,
    error::{corrupt, store_error},
    session::Session,
    store::{insert, read},
    table::audit_event::{Column, Entity, Model},
};

/// Reads the chain.
pub(crate) struct SqlAuditStore {
    db: Database,
}

impl SqlAuditStore {
    pub(crate) const fn new(db: Database) -> Self {
        Self { db }
    }
}

const HEAD: &str = "SELECT sequence, hash FROM audit_heads WHERE organization_id = $1";

/// On PostgreSQL, whoever appends to the same chain waits here until the transaction ends.
const LOCK: &str = "\
    UPDATE audit_heads SET sequence = sequence + 1 WHERE organization_id = $1 \
    RETURNING sequence - 1 AS sequence, hash";

const BEGIN: &str = "\
    INSERT INTO audit_heads (organization_id, sequence, hash) VALUES ($1, 0, $2) \
    ON CONFLICT (organization_id) DO NOTHING";

const MOVE_ON: &str = "UPDATE audit_heads SET hash = $2 WHERE organization_id = $1";

/// Adds `event` to the chain of its organization. Best last in a transaction: others wait for it.
pub(crate) async fn append(session: &Session, event: &AuditEvent) -> Result<(), StoreError> {
    let organization = event.organization_id;
    let head = if let Some(head) = lock(session, organization).await? {
        head
    } else {
        begin(session, organization).await?;
        let begun = lock(session, organization).await?;
        begun.ok_or_else(|| corrupt("the audit trail has no head"))?
    };
    let link = head.then(event);
    insert(session, &AuditEvent { link: Some(link), ..event.clone() }).await?;
    let values = vec![organization.uuid().into(), link.hash.to_string().into()];
    session.run(MOVE_ON, values).await.map(drop)
}

async fn lock(
    session: &Session,
    organization: OrganizationId,
) -> Result<Option<ChainLink>, StoreError> {
    let row = session.row(LOCK, vec![organization.uuid().into()]).await?;
    row.as_ref().map(link).transpose()
}

/// Begins the chain behind the events that were kept before there was one.
async fn begin(session: &Session, organization: OrganizationId) -> Result<(), StoreError> {
    let mut hash = ChainHash::genesis(organization);
    let mut after = None;
    loop {
        let events = unchained(session, organization, after, PAGE).await?;
        let Some(last) = events.last() else { break };
        after = Some((last.created_at, last.id));
        hash = events.iter().fold(hash, ChainHash::then);
    }
    let values = vec![organization.uuid().into(), hash.to_string().into()];
    session.run(BEGIN, values).await.map(drop)
}

const PAGE: u32 = 1_000;

fn link(row: &QueryResult) -> Result<ChainLink, StoreError> {
    let hash: String = row.try_get("", "hash").map_err(store_error)?;
    let sequence = row.try_get("", "sequence").map_err(store_error)?;
    Ok(ChainLink { sequence, hash: hash.parse().map_err(corrupt)? })
}

async fn unchained(
    session: &Session,
    organization: OrganizationId,
    after: Option<(OffsetDateTime, AuditEventId)>,
    limit: u32,
) -> Result<Vec<AuditEvent>, StoreError> {
    let mut condition = Condition::all()
        .add(Column::OrganizationId.eq(organization.uuid()))
        .add(Column::Sequence.is_null());
    if let Some((at, id)) = after {
        let same =
            Condition::all().add(Column::CreatedAt.eq(at)).add(Column::AuditEventId.gt(id.uuid()));
        condition = condition.add(Condition::any().add(Column::CreatedAt.gt(at)).add(same));
    }
    let query = Entity::find()
        .filter(condition)
        .order_by_asc(Column::CreatedAt)
        .order_by_asc(Column::AuditEventId)
        .limit(u64::from(limit));
    events(session, query).await
}

async fn events(
    session: &Session,
    query: sea_orm::Select<Entity>,
) -> Result<Vec<AuditEvent>, StoreError> {
    let rows = session.query_all(&query.into_query()).await.map_err(store_error)?;
    let rows = rows.iter().map(|row| Model::from_query_result(row, ""));
    read(session, rows.collect::<Result<_, _>>().map_err(store_error)?).await
}

#[async_trait]
impl AuditStore for SqlAuditStore {
    async fn head(&self, organization: OrganizationId) -> Result<Option<ChainLink>, StoreError> {
        let session = self.db.read().await?;
        let row = session.row(HEAD, vec![organization.uuid().into()]).await?;
        row.as_ref().map(link).transpose()
    }

    async fn unchained(
        &self,
        organization: OrganizationId,
        after: Option<(OffsetDateTime, AuditEventId)>,
        limit: u32,
    ) -> Result<Vec<AuditEvent>, StoreError> {
        let session = self.db.read().await?;
        unchained(&session, organization, after, limit).await
    }

    async fn chained(
        &self,
        organization: OrganizationId,
        after: i64,
        limit: u32,
    ) -> Result<Vec<AuditEvent>, StoreError> {
        let session = self.db.read().await?;
        let query = Entity::find()
            .filter(Column::OrganizationId.eq(organization.uuid()))
            .filter(Column::Sequence.gt(after))
            .order_by_asc(Column::Sequence)
            .limit(u64::from(limit));
        events(&session, query).await
    }
}
