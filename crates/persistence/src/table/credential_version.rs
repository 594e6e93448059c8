//! The versions of the credentials of activations.

use async_trait::async_trait;
use linkspan_domain::{
    CredentialPhase, CredentialSnapshot, CredentialState, CredentialVersion, CredentialVersionId,
    Revision, SealedSecrets, Visible, WorkspaceConnectorId, WorkspaceId,
    ports::{Sealed, StoreError},
};
use sea_orm::{
    ActiveModelBehavior,
    ActiveValue::{NotSet, Set},
    Condition, DeriveEntityModel, DerivePrimaryKey, DeriveRelation, EntityTrait, EnumIter,
    FromQueryResult, JoinType, PrimaryKeyTrait, QuerySelect, Select,
    entity::prelude::Json,
};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{
    column::{NativeEnum, from_json, to_optional_json},
    error::corrupt,
    field::Field,
    session::Session,
    store::{ActiveModelOf, ColumnOf, Table, reference},
    table::{workspace, workspace_connector},
};

#[derive(Clone, Debug, DeriveEntityModel)]
#[sea_orm(table_name = "credential_versions")]
pub(crate) struct Model {
    #[sea_orm(primary_key)]
    pub(crate) pk: i64,
    pub(crate) credential_version_id: Uuid,
    pub(crate) workspace_connector_pk: i64,
    pub(crate) number: i64,
    #[sea_orm(column_type = "native(\"credential_state_enum\")")]
    pub(crate) state: String,
    #[sea_orm(column_type = "native(\"credential_test_enum\")")]
    pub(crate) test_status: String,
    pub(crate) reason: Option<String>,
    pub(crate) actor_type: String,
    pub(crate) actor_id: Option<Uuid>,
    pub(crate) config: Option<Json>,
    pub(crate) secrets: Option<Vec<u8>>,
    pub(crate) secret_pointers: Option<Json>,
    pub(crate) revision: i64,
    pub(crate) created_at: OffsetDateTime,
    pub(crate) superseded_at: Option<OffsetDateTime>,
    pub(crate) expires_at: Option<OffsetDateTime>,
    pub(crate) revoked_at: Option<OffsetDateTime>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// A row, with the identifiers of what it refers to.
#[derive(Debug, FromQueryResult)]
pub(crate) struct Row {
    #[sea_orm(nested)]
    model: Model,
    workspace_connector_id: Uuid,
    workspace_id: Uuid,
}

#[async_trait]
impl Table for CredentialVersion {
    type Entity = Entity;
    type Row = Row;

    const KEY: ColumnOf<Self> = Column::CredentialVersionId;
    const REVISION: Option<ColumnOf<Self>> = Some(Column::Revision);
    const DELETED_AT: Option<ColumnOf<Self>> = None;
    const FIXED: &'static [ColumnOf<Self>] = &[Column::WorkspaceConnectorPk];

    fn select() -> Select<Entity> {
        let to_activation = Entity::belongs_to(workspace_connector::Entity)
            .from(Column::WorkspaceConnectorPk)
            .to(workspace_connector::Column::Pk);
        let to_workspace = workspace_connector::Entity::belongs_to(workspace::Entity)
            .from(workspace_connector::Column::WorkspacePk)
            .to(workspace::Column::Pk);
        Entity::find()
            .join(JoinType::InnerJoin, to_activation.into())
            .join(JoinType::InnerJoin, to_workspace.into())
            .column(workspace_connector::Column::WorkspaceConnectorId)
            .column(workspace::Column::WorkspaceId)
    }

    fn scope(visible: &Visible) -> Condition {
        Condition::all().add(workspace::named(&visible.workspaces))
    }

    fn joined(attribute: &str) -> Option<Field> {
        (attribute == "workspace_connector_id")
            .then(|| Field::of(workspace_connector::Column::WorkspaceConnectorId))
    }

    async fn to_row(&self, session: &Session) -> Result<ActiveModelOf<Self>, StoreError> {
        let Self {
            id,
            revision,
            workspace_connector_id,
            // That of the activation.
            workspace_id: _,
            number,
            phase,
            test_status,
            reason,
            actor_type,
            actor_id,
            created_at,
        } = self;
        let (pk, key) =
            (workspace_connector::Column::Pk, workspace_connector::Column::WorkspaceConnectorId);
        let activation = reference(session, pk, key, workspace_connector_id.uuid()).await?;
        let snapshot = match phase {
            CredentialPhase::Inactive { snapshot, .. } => Some(snapshot),
            CredentialPhase::Active | CredentialPhase::Revoked { .. } => None,
        };
        let secrets = snapshot.map(|it| &it.secrets);
        Ok(ActiveModel {
            pk: NotSet,
            credential_version_id: Set(id.uuid()),
            workspace_connector_pk: Set(activation),
            number: Set((*number).into()),
            state: Set(phase.state().to_string()),
            test_status: Set(test_status.to_string()),
            reason: Set(reason.clone()),
            actor_type: Set(actor_type.to_string()),
            actor_id: Set(*actor_id),
            config: Set(to_optional_json(snapshot.map(|it| &it.config))?),
            secrets: Set(secrets.map(|it| it.blob.as_bytes().to_vec())),
            secret_pointers: Set(to_optional_json(secrets.map(|it| &it.pointers))?),
            revision: Set(revision.number()),
            created_at: Set(*created_at),
            superseded_at: Set(phase.superseded_at()),
            expires_at: Set(phase.expires_at()),
            revoked_at: Set(phase.revoked_at()),
        })
    }
}

impl TryFrom<Row> for CredentialVersion {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let Row { model: row, workspace_connector_id, workspace_id } = row;
        Ok(Self {
            id: CredentialVersionId::from_uuid(row.credential_version_id),
            revision: Revision::from_number(row.revision),
            workspace_connector_id: WorkspaceConnectorId::from_uuid(workspace_connector_id),
            workspace_id: WorkspaceId::from_uuid(workspace_id),
            number: u32::try_from(row.number).map_err(corrupt)?,
            test_status: row.test_status.parse().map_err(corrupt)?,
            reason: row.reason.clone(),
            actor_type: row.actor_type.parse().map_err(corrupt)?,
            actor_id: row.actor_id,
            created_at: row.created_at,
            phase: phase(row)?,
        })
    }
}

fn phase(row: Model) -> Result<CredentialPhase, StoreError> {
    let incomplete = || corrupt("a version of credentials lacks what its state has");
    let superseded_at = row.superseded_at.ok_or_else(incomplete);
    Ok(match row.state.parse().map_err(corrupt)? {
        CredentialState::Active => CredentialPhase::Active,
        CredentialState::Inactive => {
            let (Some(config), Some(blob), Some(pointers), Some(expires_at)) =
                (row.config, row.secrets, row.secret_pointers, row.expires_at)
            else {
                return Err(incomplete());
            };
            let secrets = SealedSecrets {
                blob: Sealed::from_bytes(blob),
                pointers: from_json("secret_pointers", pointers)?,
            };
            let snapshot = CredentialSnapshot { config: from_json("config", config)?, secrets };
            CredentialPhase::Inactive { superseded_at: superseded_at?, expires_at, snapshot }
        }
        CredentialState::Revoked => CredentialPhase::Revoked {
            superseded_at: superseded_at?,
            revoked_at: row.revoked_at.ok_or_else(incomplete)?,
        },
    })
}
