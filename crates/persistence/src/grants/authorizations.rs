//! Authorizations that people are at.

use async_trait::async_trait;
use linkspan_domain::{
    KeyHash, OrganizationId, Receipt, WorkspaceConnectorId, WorkspaceId,
    ports::{
        AnsweredAuthorization, AuthorizationStore, KeptAuthorization, Sealed, StoreError,
        TakenAuthorization,
    },
};
use sea_orm::QueryResult;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use super::{SqlGrants, get, leftovers};
use crate::{
    instant::{from_microseconds, microseconds},
    receipt,
    store::stale_unless,
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

/// Nobody needs what is in one that was just taken, or has ended. One that somebody else took meanwhile may hold what it
/// brought. Hash of the state, now.
const EMPTY: &str = "\
    UPDATE authorizations SET content = NULL \
    WHERE state_hash = $1 AND (taken_at IS NULL OR taken_at = $2)";

/// Those that ended before anybody took them: until when.
const EMPTY_ALL: &str = "\
    UPDATE authorizations SET content = NULL \
    WHERE expires_at <= $1 AND content IS NOT NULL AND taken_at IS NULL";

/// Identifier, what it brought.
const ANSWER: &str = "\
    UPDATE authorizations SET content = $2 WHERE authorization_id = $1 AND taken_at IS NOT NULL";

/// Taken by when, how many, of live activations. A partial index has them.
const UNSETTLED: &str = "\
    SELECT a.authorization_id, a.workspace_connector_id, k.workspace_id, o.organization_id, \
        a.content, a.taken_at \
    FROM authorizations a \
    JOIN workspace_connectors w ON w.workspace_connector_id = a.workspace_connector_id \
    JOIN workspaces k ON k.pk = w.workspace_pk \
    JOIN organizations o ON o.pk = k.organization_pk \
    WHERE a.taken_at <= $1 AND a.content IS NOT NULL AND w.deleted_at IS NULL \
    ORDER BY a.taken_at, a.authorization_id LIMIT $2";

const IS_UNSETTLED: &str = "\
    SELECT 1 FROM authorizations \
    WHERE authorization_id = $1 AND taken_at IS NOT NULL AND content IS NOT NULL";

/// Has others wait until the session ends.
const LOCK: &str = "UPDATE authorizations SET taken_at = taken_at WHERE authorization_id = $1";

const FORGET_ANSWER: &str = "\
    UPDATE authorizations SET content = NULL WHERE authorization_id = $1 AND taken_at IS NOT NULL";

/// What exchanges for an activation brought.
pub(super) const FORGET_ANSWERS: &str = "\
    UPDATE authorizations SET content = NULL \
    WHERE workspace_connector_id = $1 AND taken_at IS NOT NULL AND content IS NOT NULL";

const SWEEP: &str = "DELETE FROM authorizations WHERE expires_at <= $1 AND content IS NULL";

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
        // What was taken before may have something there that was brought meanwhile.
        if taken == 0 && get::<Option<i64>>(&row, "taken_at")?.is_some() {
            return Ok(TakenAuthorization::Used);
        }
        session.run(EMPTY, vec![state.as_str().into(), microseconds(now).into()]).await?;
        session.commit().await?;
        if taken == 0 {
            return Ok(TakenAuthorization::Expired);
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

    async fn answered(&self, id: Uuid, grant: &Sealed) -> Result<(), StoreError> {
        let session = self.db.write().await?;
        let answered = session.run(ANSWER, vec![id.into(), grant.as_bytes().into()]).await?;
        stale_unless(answered)?;
        session.commit().await
    }

    async fn unsettled(
        &self,
        until: OffsetDateTime,
        limit: u64,
    ) -> Result<Vec<AnsweredAuthorization>, StoreError> {
        let until = microseconds(until);
        self.first(limit, UNSETTLED, vec![until.into()]).await?.iter().map(answer).collect()
    }

    async fn is_unsettled(&self, id: Uuid) -> Result<bool, StoreError> {
        let session = self.db.read().await?;
        Ok(session.row(IS_UNSETTLED, vec![id.into()]).await?.is_some())
    }

    async fn give_up(&self, id: Uuid) -> Result<(), StoreError> {
        let session = self.db.write().await?;
        // Of several who do so, the others find nothing.
        session.run(LOCK, vec![id.into()]).await?;
        leftovers::leave_answer(&session, id).await?;
        session.run(FORGET_ANSWER, vec![id.into()]).await?;
        session.commit().await
    }

    async fn sweep(&self, now: OffsetDateTime, after: Duration) -> Result<u64, StoreError> {
        let session = self.db.write().await?;
        session.run(EMPTY_ALL, vec![microseconds(now).into()]).await?;
        let swept = session.run(SWEEP, vec![microseconds(now - after).into()]).await?;
        session.commit().await?;
        Ok(swept)
    }
}

fn answer(row: &QueryResult) -> Result<AnsweredAuthorization, StoreError> {
    let of = get(row, "workspace_connector_id")?;
    Ok(AnsweredAuthorization {
        id: get(row, "authorization_id")?,
        workspace_connector_id: WorkspaceConnectorId::from_uuid(of),
        workspace_id: WorkspaceId::from_uuid(get(row, "workspace_id")?),
        organization_id: OrganizationId::from_uuid(get(row, "organization_id")?),
        grant: Sealed::from_bytes(get(row, "content")?),
        taken_at: from_microseconds(get(row, "taken_at")?)?,
    })
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
