//! Starting rotations of the master key, handing them out and writing how far they are.

use async_trait::async_trait;
use linkspan_domain::{
    IdempotencyReply, KeyRotation, KeyRotationStatus, Receipt,
    ports::{KeyId, KeyRotationStore, Resealed, StoreError},
};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, QueryFilter, QuerySelect, QueryTrait,
    sea_query::{Expr, ExprTrait, LockType},
};
use time::OffsetDateTime;

use crate::{
    error::store_error,
    instant::microseconds,
    keys::reseal,
    receipt,
    session::Session,
    store::{SqlStore, insert, select, update},
    table::key_rotation::{Column, Entity},
};

#[async_trait]
impl KeyRotationStore for SqlStore<KeyRotation> {
    async fn start(
        &self,
        rotation: &KeyRotation,
        receipt: &Receipt,
    ) -> Result<KeyRotation, StoreError> {
        match self.try_start(rotation, receipt).await {
            // Somebody else was faster.
            Err(StoreError::Taken) => self.try_start(rotation, receipt).await,
            started => started,
        }
    }

    async fn claim(
        &self,
        key: KeyId,
        worker: &str,
        now: OffsetDateTime,
        until: OffsetDateTime,
    ) -> Result<Option<KeyRotation>, StoreError> {
        let free = Condition::any()
            .add(Column::LeaseUntil.is_null())
            .add(Column::LeaseUntil.lte(microseconds(now)))
            .add(Column::Worker.eq(worker));
        let free = Condition::all().add(running()).add(Column::ToKey.eq(key.to_string())).add(free);
        // Nearly always there is none, and reading waits for nobody.
        let session = self.db().read().await?;
        if select::<KeyRotation>(&session, Condition::all(), free.clone()).await?.is_empty() {
            return Ok(None);
        }
        drop(session);
        let session = self.db().write().await?;
        let claim = Entity::update_many()
            .col_expr(Column::Worker, Expr::val(worker))
            .col_expr(Column::LeaseUntil, Expr::val(microseconds(until)))
            .col_expr(Column::UpdatedAt, Expr::val(now))
            .col_expr(Column::Revision, Expr::col(Column::Revision).add(1))
            .filter(free);
        claim.exec(&session).await.map_err(store_error)?;
        let held = running().add(Column::Worker.eq(worker));
        let claimed = select(&session, Condition::all(), held).await?.pop();
        session.commit().await?;
        Ok(claimed)
    }

    async fn advance(
        &self,
        mut rotation: KeyRotation,
        worker: &str,
        blobs: &[Resealed],
    ) -> Result<KeyRotation, StoreError> {
        let session = self.db().write().await?;
        let held = Condition::all()
            .add(running())
            .add(Column::Worker.eq(worker))
            .add(Column::KeyRotationId.eq(rotation.id.uuid()));
        let held = Entity::find().select_only().column(Column::Pk).filter(held);
        let held = held.lock(LockType::Update).into_query();
        session.query_one(&held).await.map_err(store_error)?.ok_or(StoreError::Stale)?;
        let written = reseal(&session, blobs).await?;
        rotation.sealed_anew(blobs.len() as u64, written);
        update(&session, &rotation).await?;
        session.commit().await?;
        rotation.revision = rotation.revision.next();
        Ok(rotation)
    }
}

impl SqlStore<KeyRotation> {
    async fn try_start(
        &self,
        rotation: &KeyRotation,
        receipt: &Receipt,
    ) -> Result<KeyRotation, StoreError> {
        let session = self.db().write().await?;
        if let Some(mut other) = the_running_one(&session).await? {
            let now = rotation.created_at;
            let is_held = other.lease.as_ref().is_some_and(|it| it.until > now);
            if is_held || other.to_key == rotation.to_key {
                if let Some(reply) = receipt.reply.clone() {
                    let reply = IdempotencyReply { resource_id: other.id.uuid(), ..reply };
                    receipt::fulfil(&session, &reply, now).await?;
                    session.commit().await?;
                }
                return Ok(other);
            }
            other.give_up(now);
            update(&session, &other).await?;
        }
        insert(&session, rotation).await?;
        receipt::keep(&session, receipt).await?;
        session.commit().await?;
        Ok(rotation.clone())
    }
}

fn running() -> Condition {
    Condition::all().add(Column::Status.eq(KeyRotationStatus::Running.to_string()))
}

async fn the_running_one(session: &Session) -> Result<Option<KeyRotation>, StoreError> {
    Ok(select(session, Condition::all(), running()).await?.pop())
}
