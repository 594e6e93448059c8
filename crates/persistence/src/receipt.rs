//! What is kept of a write, in its transaction.

use linkspan_domain::{
    IdempotencyReply, Receipt,
    ports::{REPLY_LASTS, StoreError},
};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, sea_query::Expr};
use time::OffsetDateTime;

use crate::{
    error::store_error,
    idempotency::{Column, Entity},
    session::Session,
    store::insert,
};

/// Keeps `receipt`. [`StoreError::ClaimLost`] if the call does not hold its idempotency key any more.
pub(crate) async fn keep(session: &Session, receipt: &Receipt) -> Result<(), StoreError> {
    let Receipt { audit, reply } = receipt;
    if let Some(reply) = reply {
        fulfil(session, reply, audit.created_at).await?;
    }
    insert(session, audit).await
}

/// Keeps what an idempotency key is answered with from `now` on. [`StoreError::ClaimLost`] as in [`keep`].
pub(crate) async fn fulfil(
    session: &Session,
    reply: &IdempotencyReply,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    let IdempotencyReply { claim, resource_type, resource_id } = reply;
    let resource_type: &'static str = resource_type.into();
    let update = Entity::update_many()
        .col_expr(Column::ResourceType, Expr::val(resource_type))
        .col_expr(Column::ResourceId, Expr::val(*resource_id))
        .col_expr(Column::ExpiresAt, Expr::val(now + REPLY_LASTS))
        .filter(Column::Scope.eq(claim.scope.as_str()))
        .filter(Column::IdempotencyKey.eq(claim.key.as_str()))
        .filter(Column::Token.eq(claim.token))
        .filter(Column::ResourceType.is_null());
    let touched = update.exec(session).await.map_err(store_error)?.rows_affected;
    if touched == 0 { Err(StoreError::ClaimLost) } else { Ok(()) }
}
