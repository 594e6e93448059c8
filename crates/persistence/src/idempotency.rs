//! Idempotency keys.

use async_trait::async_trait;
use linkspan_domain::{
    IdempotencyClaim, ResourceType,
    ports::{CLAIM_LASTS, Claimed, IdempotencyStore, REPLY_LASTS, StoreError},
};
use sea_orm::{
    ActiveModelBehavior,
    ActiveValue::{NotSet, Set},
    ColumnTrait, ConnectionTrait, DeriveEntityModel, DerivePrimaryKey, DeriveRelation, EntityTrait,
    EnumIter, FromQueryResult, PrimaryKeyTrait, QueryFilter, QueryTrait,
    sea_query::{Expr, ExprTrait, LockBehavior, LockType, OnConflict, Query},
};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{
    database::Database,
    error::{corrupt, store_error},
    session::Session,
};

#[derive(Clone, Debug, DeriveEntityModel)]
#[sea_orm(table_name = "idempotency_keys")]
pub(crate) struct Model {
    #[sea_orm(primary_key)]
    pub(crate) pk: i64,
    pub(crate) scope: String,
    pub(crate) idempotency_key: String,
    pub(crate) fingerprint: String,
    pub(crate) token: Uuid,
    pub(crate) resource_type: Option<String>,
    pub(crate) resource_id: Option<Uuid>,
    pub(crate) created_at: OffsetDateTime,
    pub(crate) expires_at: OffsetDateTime,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// Keeps idempotency keys in the database of the effects, so that both are kept, or neither.
pub(crate) struct SqlIdempotencyStore {
    db: Database,
}

impl SqlIdempotencyStore {
    pub(crate) const fn new(db: Database) -> Self {
        Self { db }
    }
}

/// How many forgotten keys a claim sweeps away.
const SWEPT: u64 = 20;

#[async_trait]
impl IdempotencyStore for SqlIdempotencyStore {
    async fn claim(
        &self,
        scope: &str,
        key: &str,
        fingerprint: &str,
        token: Uuid,
        now: OffsetDateTime,
    ) -> Result<Claimed, StoreError> {
        let session = self.db.write().await?;
        let row = ActiveModel {
            pk: NotSet,
            scope: Set(scope.to_owned()),
            idempotency_key: Set(key.to_owned()),
            fingerprint: Set(fingerprint.to_owned()),
            token: Set(token),
            resource_type: Set(None),
            resource_id: Set(None),
            created_at: Set(now),
            expires_at: Set(now + CLAIM_LASTS),
        };
        let claimed = if take(&session, row, now).await? {
            sweep(&session, now).await?;
            let (scope, key) = (scope.to_owned(), key.to_owned());
            Claimed::Fresh(IdempotencyClaim { scope, key, token })
        } else {
            // Nobody takes it away meanwhile: the failed take has locked the row.
            held(&session, scope, key, fingerprint).await?
        };
        session.commit().await?;
        Ok(claimed)
    }

    async fn release(&self, claim: &IdempotencyClaim) -> Result<(), StoreError> {
        let session = self.db.write().await?;
        Entity::delete_many()
            .filter(Column::Scope.eq(claim.scope.as_str()))
            .filter(Column::IdempotencyKey.eq(claim.key.as_str()))
            .filter(Column::Token.eq(claim.token))
            .filter(Column::ResourceType.is_null())
            .exec(&session)
            .await
            .map_err(store_error)?;
        session.commit().await
    }
}

/// Puts `row` in place of nothing, or of a key that ran out.
async fn take(
    session: &Session,
    row: ActiveModel,
    now: OffsetDateTime,
) -> Result<bool, StoreError> {
    let conflict = OnConflict::columns([Column::Scope, Column::IdempotencyKey])
        .update_columns([
            Column::Fingerprint,
            Column::Token,
            Column::ResourceType,
            Column::ResourceId,
            Column::CreatedAt,
            Column::ExpiresAt,
        ])
        .action_and_where(Expr::col((Entity, Column::ExpiresAt)).lte(now))
        .to_owned();
    let insert = Entity::insert(row).on_conflict(conflict).into_query();
    let touched = session.execute(&insert).await.map_err(store_error)?.rows_affected();
    Ok(touched == 1)
}

/// Who holds a key that could not be taken.
async fn held(
    session: &Session,
    scope: &str,
    key: &str,
    fingerprint: &str,
) -> Result<Claimed, StoreError> {
    let query = Entity::find()
        .filter(Column::Scope.eq(scope))
        .filter(Column::IdempotencyKey.eq(key))
        .into_query();
    let row = session.query_one(&query).await.map_err(store_error)?;
    let row = row.ok_or_else(|| corrupt("a key that is taken is not there"))?;
    let row = Model::from_query_result(&row, "").map_err(store_error)?;
    if row.fingerprint != fingerprint {
        return Ok(Claimed::Mismatch);
    }
    match (row.resource_type, row.resource_id) {
        (Some(kind), Some(id)) => {
            Ok(Claimed::Done(kind.parse::<ResourceType>().map_err(corrupt)?, id))
        }
        _ => Ok(Claimed::InFlight),
    }
}

/// Removes some of the keys that are long forgotten. Not those that just ran out: the calls that hold them may still end.
async fn sweep(session: &Session, now: OffsetDateTime) -> Result<(), StoreError> {
    let mut forgotten = Query::select();
    forgotten
        .column(Column::Pk)
        .from(Entity)
        .and_where(Column::ExpiresAt.lte(now - REPLY_LASTS))
        .limit(SWEPT)
        .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked);
    let sweep = Entity::delete_many().filter(Expr::col(Column::Pk).in_subquery(forgotten));
    sweep.exec(session).await.map(drop).map_err(store_error)
}
