//! What the audit trail says of the end of a run.

use linkspan_domain::{
    ActorType, AuditEvent, AuditEventId, OrganizationId, Resource, RunOutcome, SyncLog, SyncLogId,
    WorkspaceConnectorId, WorkspaceId, ports::StoreError,
};
use sea_orm::QueryResult;
use time::OffsetDateTime;

use crate::{audit, error::store_error, session::Session};

/// Where an activation is: its key.
const PLACE: &str = "\
    SELECT w.workspace_connector_id, k.workspace_id, o.organization_id \
    FROM workspace_connectors w \
    JOIN workspaces k ON k.pk = w.workspace_pk \
    JOIN organizations o ON o.pk = k.organization_pk \
    WHERE w.pk = $1";

/// Keeps that `run` of the activation with the key `activation` ended. Best last: see [`audit::append`].
pub(super) async fn record(
    session: &Session,
    event: AuditEventId,
    run: SyncLogId,
    activation: i64,
    outcome: &RunOutcome,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    let place = session.row(PLACE, vec![activation.into()]).await?.ok_or(StoreError::Dangling)?;
    let act = outcome.ended(WorkspaceConnectorId::from_uuid(uuid(&place, 0)?));
    let event = AuditEvent {
        id: event,
        organization_id: OrganizationId::from_uuid(uuid(&place, 2)?),
        workspace_id: Some(WorkspaceId::from_uuid(uuid(&place, 1)?)),
        actor_type: ActorType::System,
        actor_id: None,
        action: act.action.of(SyncLog::TYPE),
        resource_type: SyncLog::TYPE,
        resource_id: Some(run.uuid()),
        details: act.details,
        ip_address: None,
        trace_id: run.uuid().simple().to_string(),
        created_at: now,
        link: None,
    };
    audit::append(session, &event).await
}

fn uuid(row: &QueryResult, index: usize) -> Result<uuid::Uuid, StoreError> {
    row.try_get_by_index(index).map_err(store_error)
}
