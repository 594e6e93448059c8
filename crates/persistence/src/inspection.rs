//! Looking at a database without changing it.

use linkspan_domain::{
    WorkspaceConnectorId,
    ports::{Sealed, StoreError},
};
use linkspan_migration::{Migrator, MigratorTrait};
use uuid::Uuid;

use crate::{Database, MigrateError, error::store_error};

/// Deleted activations as well: they can be restored until they are purged.
const SEALED: &str = "\
    SELECT workspace_connector_id, name, secrets FROM workspace_connectors \
    WHERE secrets IS NOT NULL ORDER BY pk";

/// The sealed secrets of one activation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedRow {
    /// Of which.
    pub activation: WorkspaceConnectorId,
    /// What it is called.
    pub name: String,
    /// Its secrets.
    pub blob: Sealed,
}

impl Database {
    /// How many steps its schema is behind this program. A schema that is ahead is an error.
    pub async fn steps_behind(&self) -> Result<usize, MigrateError> {
        let session = self.read().await.map_err(|error| MigrateError(Box::new(error)))?;
        let pending = Migrator::get_pending_migrations_read_only(&session).await;
        pending.map(|it| it.len()).map_err(|error| MigrateError(Box::new(error)))
    }

    /// All secrets that are sealed, of all workspaces.
    pub async fn sealed(&self) -> Result<Vec<SealedRow>, StoreError> {
        let rows = self.read().await?.rows(SEALED, Vec::new()).await?;
        let sealed = rows.iter().map(|row| {
            let id: Uuid = row.try_get("", "workspace_connector_id")?;
            Ok(SealedRow {
                activation: WorkspaceConnectorId::from_uuid(id),
                name: row.try_get("", "name")?,
                blob: Sealed::from_bytes(row.try_get("", "secrets")?),
            })
        });
        sealed.collect::<Result<_, _>>().map_err(store_error)
    }
}
