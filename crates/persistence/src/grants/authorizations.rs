//! Authorizations that people are at.

use async_trait::async_trait;
use linkspan_domain::{
    KeyHash, OrganizationId, Receipt, WorkspaceConnectorId, WorkspaceId,
    ports::{AuthorizationStore, KeptAuthorization, Sealed, StoreError, TakenAuthorization},
};
use sea_orm::QueryResult;
use time::{Duration, OffsetDateTime};

use super::{SqlGrants, get};
use crate::{
    instant::{from_microseconds, microseconds},
    receipt,
};

/// Identifier, hash of the state, activation, content, when begun, when it ends.
const BEGIN: &str = "\
    INSERT INTO authorizations (authorization_id, state_hash, workspace_connector_id, content, \
        created_at, expires_at) \
    VALUES ($1, $2, $3, $4, $5, $6)";

/// Hash of the state, now.
const TAKE: &str = "\
    UPDATE authorizations SET taken_at = $2 \
    WHERE state_hash = $1 AND taken_at IS NULL AND expires_at > $2";

const FIND: &str = "\
    SELECT a.authorization_id, a.workspace_connector_id, k.workspace_id, o.organization_id, \
        a.content, a.created_at, a.expires_at, a.taken_at \
    FROM authorizations a \
    JOIN workspace_connectors w ON w.workspace_connector_id = a.workspace_connector_id \
    JOIN workspaces k ON k.pk = w.workspace_pk \
    JOIN organizations o ON o.pk = k.organization_pk \
    WHERE a.state_hash = $1";

/// Nobody needs what is in one that was taken or has ended.
const EMPTY: &str = "UPDATE authorizations SET content = NULL WHERE state_hash = $1";

/// Those that ended: until when.
const EMPTY_ALL: &str =
    "UPDATE authorizations SET content = NULL WHERE expires_at <= $1 AND content IS NOT NULL";

const SWEEP: &str = "DELETE FROM authorizations WHERE expires_at <= $1";

#[async_trait]
impl AuthorizationStore for SqlGrants {
    async fn begin(
        &self,
        authorization: &KeptAuthorization,
        receipt: &Receipt,
    ) -> Result<(), StoreError> {
        let session = self.db.write().await?;
        let values = vec![
            authorization.id.into(),
            authorization.state.as_str().into(),
            authorization.workspace_connector_id.uuid().into(),
            authorization.content.as_bytes().into(),
            microseconds(authorization.created_at).into(),
            microseconds(authorization.expires_at).into(),
        ];
        session.run(BEGIN, values).await?;
        receipt::keep(&session, receipt).await?;
        session.commit().await
    }

    async fn take(
        &self,
        state: &KeyHash,
        now: OffsetDateTime,
    ) -> Result<TakenAuthorization, StoreError> {
        let session = self.db.write().await?;
        let taken =
            session.run(TAKE, vec![state.as_str().into(), microseconds(now).into()]).await?;
        let Some(row) = session.row(FIND, vec![state.as_str().into()]).await? else {
            return Ok(TakenAuthorization::Unknown);
        };
        session.run(EMPTY, vec![state.as_str().into()]).await?;
        session.commit().await?;
        if taken == 0 {
            let is_taken = get::<Option<i64>>(&row, "taken_at")?.is_some();
            return Ok(if is_taken {
                TakenAuthorization::Used
            } else {
                TakenAuthorization::Expired
            });
        }
        Ok(TakenAuthorization::Taken(kept(&row, state)?))
    }

    async fn look(
        &self,
        state: &KeyHash,
        now: OffsetDateTime,
    ) -> Result<TakenAuthorization, StoreError> {
        let session = self.db.read().await?;
        let Some(row) = session.row(FIND, vec![state.as_str().into()]).await? else {
            return Ok(TakenAuthorization::Unknown);
        };
        if get::<Option<i64>>(&row, "taken_at")?.is_some() {
            return Ok(TakenAuthorization::Used);
        }
        if from_microseconds(get(&row, "expires_at")?)? <= now {
            return Ok(TakenAuthorization::Expired);
        }
        Ok(TakenAuthorization::Taken(kept(&row, state)?))
    }

    async fn sweep(&self, now: OffsetDateTime, after: Duration) -> Result<u64, StoreError> {
        let session = self.db.write().await?;
        session.run(EMPTY_ALL, vec![microseconds(now).into()]).await?;
        let swept = session.run(SWEEP, vec![microseconds(now - after).into()]).await?;
        session.commit().await?;
        Ok(swept)
    }
}

/// The authorization that is kept under `state`, its content still there.
fn kept(row: &QueryResult, state: &KeyHash) -> Result<KeptAuthorization, StoreError> {
    Ok(KeptAuthorization {
        id: get(row, "authorization_id")?,
        state: state.clone(),
        workspace_connector_id: WorkspaceConnectorId::from_uuid(get(
            row,
            "workspace_connector_id",
        )?),
        workspace_id: WorkspaceId::from_uuid(get(row, "workspace_id")?),
        organization_id: OrganizationId::from_uuid(get(row, "organization_id")?),
        content: Sealed::from_bytes(get(row, "content")?),
        created_at: from_microseconds(get(row, "created_at")?)?,
        expires_at: from_microseconds(get(row, "expires_at")?)?,
    })
}
