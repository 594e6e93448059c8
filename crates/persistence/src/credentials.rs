//! Keeping the credentials of activations together with their versions.

use async_trait::async_trait;
use linkspan_domain::{
    CredentialVersion, OrganizationId, Receipt, WorkspaceConnector, WorkspaceConnectorId,
    ports::{Change, CredentialStore, ExpiredCredential, StoreError},
};
use sea_orm::{ColumnTrait, Condition};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{
    error::store_error,
    receipt,
    store::{SqlStore, apply, select},
    table::credential_version::Column,
};

/// The last version of an activation.
const LATEST: &str = "\
    SELECT c.pk FROM credential_versions c \
    JOIN workspace_connectors w ON w.pk = c.workspace_connector_pk \
    WHERE w.workspace_connector_id = $1 ORDER BY c.number DESC LIMIT 1";

/// Versions whose overlap is over, and whose they are: until when, and how many.
const EXPIRED: &str = "\
    SELECT c.pk, o.organization_id FROM credential_versions c \
    JOIN workspace_connectors w ON w.pk = c.workspace_connector_pk \
    JOIN workspaces k ON k.pk = w.workspace_pk \
    JOIN organizations o ON o.pk = k.organization_pk \
    WHERE c.state = 'inactive' AND c.expires_at <= $1 ORDER BY c.expires_at LIMIT $2";

#[async_trait]
impl CredentialStore for SqlStore<CredentialVersion> {
    async fn latest(
        &self,
        activation: WorkspaceConnectorId,
    ) -> Result<Option<CredentialVersion>, StoreError> {
        let session = self.db().read().await?;
        let Some(row) = session.row(LATEST, vec![activation.uuid().into()]).await? else {
            return Ok(None);
        };
        let pk: i64 = row.try_get_by_index(0).map_err(store_error)?;
        Ok(select(&session, Condition::all(), Column::Pk.eq(pk)).await?.pop())
    }

    async fn commit(
        &self,
        activation: &Change<WorkspaceConnector>,
        versions: &[Change<CredentialVersion>],
        receipt: &Receipt,
    ) -> Result<(), StoreError> {
        let session = self.db().write().await?;
        receipt::answer(&session, receipt).await?;
        // Before its versions: of several who write it, the others wait here.
        apply(&session, activation).await?;
        for change in versions {
            apply(&session, change).await?;
        }
        receipt::record(&session, receipt).await?;
        session.commit().await
    }

    async fn expired(
        &self,
        now: OffsetDateTime,
        limit: u32,
    ) -> Result<Vec<ExpiredCredential>, StoreError> {
        let session = self.db().read().await?;
        let rows = session.rows(EXPIRED, vec![now.into(), i64::from(limit).into()]).await?;
        let mut expired = Vec::with_capacity(rows.len());
        for row in rows {
            let pk: i64 = row.try_get_by_index(0).map_err(store_error)?;
            let organization: Uuid = row.try_get_by_index(1).map_err(store_error)?;
            let version = select(&session, Condition::all(), Column::Pk.eq(pk)).await?.pop();
            expired.extend(version.map(|version| ExpiredCredential {
                version,
                organization_id: OrganizationId::from_uuid(organization),
            }));
        }
        Ok(expired)
    }
}
