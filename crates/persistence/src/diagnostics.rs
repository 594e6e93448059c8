//! Noting diagnostics, and forgetting old ones.

use std::collections::BTreeMap;

use async_trait::async_trait;
use linkspan_domain::{
    Diagnostic, WorkspaceConnectorId,
    ports::{DiagnosticStore, StoreError},
};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};
use time::OffsetDateTime;

use crate::{
    error::store_error,
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
            insert(&session, it).await?;
            let newest = newest.entry(it.workspace_connector_id).or_insert(it.created_at);
            *newest = it.created_at.max(*newest);
        }
        for (activation, newest) in newest {
            use workspace_connector::Column::{Pk, WorkspaceConnectorId as Key};
            let pk = reference(&session, Pk, Key, activation.uuid()).await?;
            let old = diagnostic::Entity::delete_many()
                .filter(diagnostic::Column::WorkspaceConnectorPk.eq(pk))
                .filter(diagnostic::Column::CreatedAt.lt(newest - Diagnostic::KEPT));
            old.exec(&session).await.map_err(store_error)?;
        }
        session.commit().await
    }
}
