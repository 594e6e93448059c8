//! Noting diagnostics, and forgetting old ones.

use std::collections::BTreeMap;

use async_trait::async_trait;
use linkspan_domain::{
    Diagnostic, DiagnosticClass, WorkspaceConnectorId,
    ports::{DiagnosticStore, StoreError},
};
use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter};
use time::OffsetDateTime;

use crate::{
    error::store_error,
    session::Session,
    store::{SqlStore, insert, reference},
    table::{diagnostic, workspace_connector},
};

#[async_trait]
impl DiagnosticStore for SqlStore<Diagnostic> {
    async fn note(&self, diagnostics: &[Diagnostic]) -> Result<(), StoreError> {
        if diagnostics.is_empty() {
            return Ok(());
        }
        let session = self.db().write().await?;
        let mut newest = BTreeMap::<WorkspaceConnectorId, OffsetDateTime>::new();
        for it in diagnostics {
            forget_like(&session, it).await?;
            insert(&session, it).await?;
            let newest = newest.entry(it.workspace_connector_id).or_insert(it.created_at);
            *newest = it.created_at.max(*newest);
        }
        for (activation, newest) in newest {
            let pk = pk(&session, activation).await?;
            let old = diagnostic::Entity::delete_many()
                .filter(diagnostic::Column::WorkspaceConnectorPk.eq(pk))
                .filter(diagnostic::Column::CreatedAt.lt(newest - Diagnostic::KEPT));
            old.exec(&session).await.map_err(store_error)?;
        }
        session.commit().await
    }
}

/// Forgets what says the same as `new`, if that is nothing but good to know.
async fn forget_like(session: &Session, new: &Diagnostic) -> Result<(), StoreError> {
    use diagnostic::Column;
    if new.reason.class() == DiagnosticClass::DataLoss {
        return Ok(());
    }
    let or_none = |column: Column, value: Option<String>| match value {
        Some(value) => column.eq(value),
        None => column.is_null(),
    };
    let same = Condition::all()
        .add(Column::WorkspaceConnectorPk.eq(pk(session, new.workspace_connector_id).await?))
        .add(Column::Reason.eq(new.reason.to_string()))
        .add(Column::Detail.eq(new.detail.as_str()))
        .add(or_none(Column::Stream, new.stream.as_ref().map(ToString::to_string)))
        .add(or_none(Column::TargetModel, new.target_model.map(|it| it.to_string())));
    let forgotten = diagnostic::Entity::delete_many().filter(same).exec(session).await;
    forgotten.map(drop).map_err(store_error)
}

async fn pk(session: &Session, activation: WorkspaceConnectorId) -> Result<i64, StoreError> {
    use workspace_connector::Column::{Pk, WorkspaceConnectorId as Key};
    reference(session, Pk, Key, activation.uuid()).await
}
