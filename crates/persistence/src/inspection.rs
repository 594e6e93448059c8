//! Looking at a database without changing it.

use linkspan_domain::{
    WorkspaceConnectorId,
    ports::{SealContext, Sealed, StoreError},
};
use linkspan_migration::{Migrator, MigratorTrait};
use sea_orm::{DbErr, QueryResult};

use crate::{
    Database, MigrateError,
    error::store_error,
    grants::named,
    keys::{PLACES, Place},
};

/// Something sealed that belongs to an activation: its secrets, those of a version before them, or what a grant is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedRow {
    /// What they are bound to.
    pub context: SealContext,
    /// What the activation is called.
    pub name: String,
    /// The secrets.
    pub blob: Sealed,
}

/// How far the schema of a database is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SchemaState {
    /// There is none: nothing of ours was ever in this database.
    Absent,
    /// It is so many steps behind this program.
    Behind(usize),
    /// It is the newest.
    Newest,
}

impl Database {
    /// How far its schema is. One that is ahead of this program is an error.
    pub async fn schema(&self) -> Result<SchemaState, MigrateError> {
        let session = self.read().await.map_err(|error| MigrateError(Box::new(error)))?;
        let pending = Migrator::get_pending_migrations_read_only(&session).await;
        let pending = pending.map_err(|error| MigrateError(Box::new(error)))?.len();
        Ok(match pending {
            0 => SchemaState::Newest,
            all if all == Migrator::migrations().len() => SchemaState::Absent,
            some => SchemaState::Behind(some),
        })
    }

    /// All activations of all workspaces, deleted ones as well, whether this program can read them or not.
    pub async fn activations(&self) -> Result<Vec<WorkspaceConnectorId>, StoreError> {
        let session = self.read().await?;
        let all = "SELECT workspace_connector_id FROM workspace_connectors ORDER BY pk";
        session.rows(all, Vec::new()).await?.iter().map(named).collect()
    }

    /// All that is sealed, of all workspaces. Of deleted activations as well: they can be restored until they are purged.
    pub async fn sealed(&self) -> Result<Vec<SealedRow>, StoreError> {
        let session = self.read().await?;
        let mut sealed = Vec::new();
        for place in &PLACES {
            for row in session.rows_of(place.all(), Vec::new()).await? {
                sealed.push(of(place, &row).map_err(store_error)?);
            }
        }
        Ok(sealed)
    }
}

fn of(place: &Place, row: &QueryResult) -> Result<SealedRow, DbErr> {
    Ok(SealedRow {
        context: place.context(row.try_get_by_index(0)?),
        name: row.try_get_by_index(1)?,
        blob: Sealed::from_bytes(row.try_get_by_index(2)?),
    })
}
