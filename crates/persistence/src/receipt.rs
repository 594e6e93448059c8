//! What is kept of a write, in its transaction.

use linkspan_domain::{
    IdempotencyReply, Receipt,
    ports::{REPLY_LASTS, StoreError},
};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, sea_query::Expr};
use time::OffsetDateTime;

use crate::{
    audit,
    error::store_error,
    idempotency::{Column, Entity},
    session::Session,
};

/// Keeps `receipt`: see [`answer`] and [`record`].
pub(crate) async fn keep(session: &Session, receipt: &Receipt) -> Result<(), StoreError> {
    answer(session, receipt).await?;
    record(session, receipt).await
}

/// Keeps what the idempotency key is answered with. [`StoreError::ClaimLost`] if the call does not hold the key any more: best
/// first, so that nothing else is said of a call that another took over.
pub(crate) async fn answer(session: &Session, receipt: &Receipt) -> Result<(), StoreError> {
    match &receipt.reply {
        Some(reply) => fulfil(session, reply, receipt.audit.created_at).await,
        None => Ok(()),
    }
}

/// Keeps what the audit trail says. Best last: see [`audit::append`].
pub(crate) async fn record(session: &Session, receipt: &Receipt) -> Result<(), StoreError> {
    audit::append(session, &receipt.audit).await
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
