//! Looking at a database without changing it.

use linkspan_domain::ports::{Purpose, SealContext, Sealed, StoreError};
use linkspan_migration::{Migrator, MigratorTrait};
use uuid::Uuid;

use crate::{Database, MigrateError, error::store_error};

/// Deleted activations as well: they can be restored until they are purged. And what can be gone back to.
const SEALED: &str = "\
    SELECT workspace_connector_id AS row_id, name, secrets FROM workspace_connectors \
    WHERE secrets IS NOT NULL \
    UNION ALL SELECT c.credential_version_id, w.name, c.secrets FROM credential_versions c \
    JOIN workspace_connectors w ON w.pk = c.workspace_connector_pk WHERE c.secrets IS NOT NULL";

/// Sealed secrets of an activation: those that it has, or those of a version before them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedRow {
    /// What they are bound to.
    pub context: SealContext,
    /// What the activation is called.
    pub name: String,
    /// The secrets.
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
            let row_id: Uuid = row.try_get("", "row_id")?;
            Ok(SealedRow {
                context: SealContext { purpose: Purpose::Credentials, row: row_id },
                name: row.try_get("", "name")?,
                blob: Sealed::from_bytes(row.try_get("", "secrets")?),
            })
        });
        sealed.collect::<Result<_, _>>().map_err(store_error)
    }
}
