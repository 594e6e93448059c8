//! What purged activations left behind with providers.

use linkspan_domain::{
    ConnectorId, Issuer, OrganizationId, WorkspaceConnectorId, WorkspaceId,
    ports::{Leftovers, Sealed, StoreError},
};
use sea_orm::Value;

use super::get;
use crate::{Database, session::Session};

/// What is purged, and its activations with it.
#[derive(Clone, Copy)]
pub(crate) enum Purged {
    Activation(WorkspaceConnectorId),
    Connector(ConnectorId),
    Workspace(WorkspaceId),
}

impl Purged {
    /// Holds of an activation `w` that goes.
    const fn condition(self) -> &'static str {
        match self {
            Self::Activation(_) => "w.workspace_connector_id = $1",
            Self::Connector(_) => {
                "w.connector_pk = (SELECT pk FROM connectors WHERE connector_id = $1)"
            }
            Self::Workspace(_) => {
                "w.workspace_pk = (SELECT pk FROM workspaces WHERE workspace_id = $1)"
            }
        }
    }

    fn value(self) -> Value {
        match self {
            Self::Activation(id) => id.uuid().into(),
            Self::Connector(id) => id.uuid().into(),
            Self::Workspace(id) => id.uuid().into(),
        }
    }
}

/// Leaves the grants and clients of the activations that go behind.
pub(crate) async fn leave(session: &Session, purged: Purged) -> Result<(), StoreError> {
    let gone = purged.condition();
    let statements = [
        // As all who write both, the activation first. Whoever is about to refresh a grant is waited for, and changes nothing
        // afterwards.
        format!("UPDATE workspace_connectors AS w SET revision = revision WHERE {gone}"),
        format!(
            "UPDATE oauth_grants SET fence = fence WHERE workspace_connector_id IN \
             (SELECT w.workspace_connector_id FROM workspace_connectors w WHERE {gone})"
        ),
        left("issuer, held", "oauth_grants", gone),
        left("issuer, oauth_client_id, client", "oauth_clients", gone),
    ];
    for statement in statements {
        session.run_of(statement, vec![purged.value()]).await?;
    }
    Ok(())
}

/// Copies `columns` of `table` for the activations that are `gone`.
fn left(columns: &str, table: &str, gone: &str) -> String {
    format!(
        "INSERT INTO oauth_leftovers \
            (workspace_connector_id, workspace_id, organization_id, name, {columns}) \
         SELECT w.workspace_connector_id, k.workspace_id, o.organization_id, w.name, {columns} \
         FROM {table} g \
         JOIN workspace_connectors w ON w.workspace_connector_id = g.workspace_connector_id \
         JOIN workspaces k ON k.pk = w.workspace_pk \
         JOIN organizations o ON o.pk = k.organization_pk \
         WHERE {gone}"
    )
}

const TAKE: &str = "\
    DELETE FROM oauth_leftovers WHERE workspace_connector_id = \
        (SELECT workspace_connector_id FROM oauth_leftovers ORDER BY pk LIMIT 1) \
    RETURNING workspace_connector_id, workspace_id, organization_id, issuer, held, client";

/// What one activation left. Of several who take the same, the others get nothing this time.
pub(super) async fn take(db: &Database) -> Result<Option<Leftovers>, StoreError> {
    let session = db.write().await?;
    let rows = session.rows(TAKE, Vec::new()).await?;
    session.commit().await?;
    let Some(first) = rows.first() else { return Ok(None) };
    let mut left = Leftovers {
        workspace_connector_id: WorkspaceConnectorId::from_uuid(get(
            first,
            "workspace_connector_id",
        )?),
        workspace_id: WorkspaceId::from_uuid(get(first, "workspace_id")?),
        organization_id: OrganizationId::from_uuid(get(first, "organization_id")?),
        grant: None,
        clients: Vec::new(),
    };
    for row in &rows {
        let issuer = Issuer::new(get(row, "issuer")?);
        if let Some(held) = get::<Option<_>>(row, "held")? {
            left.grant = Some((issuer, Sealed::from_bytes(held)));
        } else {
            left.clients.push((issuer, Sealed::from_bytes(get(row, "client")?)));
        }
    }
    Ok(Some(left))
}
