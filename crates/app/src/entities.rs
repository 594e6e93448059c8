//! Entities: what mappings made of records.

use std::sync::Arc;

use linkspan_domain::{
    Caller, Condition, Deleted, Entity, EntityId, EntitySource, ResourceType, TargetModel,
    WorkspaceConnectorId,
    ports::{Store, World},
};
use linkspan_engine::{ModelKind, Models};
use linkspan_sdk::{
    EntityFeedPage, EntityFeedPosition, EntityFeedQuery, EntityPage, EntitySearch, EntityStore,
};

use crate::{RecordError, Records, records::may_read};

/// Entities. Readers of connectors read them; runs write them.
pub struct Entities {
    records: Records<Entity>,
    sources: Arc<dyn EntityStore>,
    models: Arc<Models>,
}

/// Which entities to look for.
#[derive(Clone, Debug, PartialEq)]
pub struct FindEntities {
    /// Of which model.
    pub model: TargetModel,
    /// Only those that this activation brought in. It need not be one that the caller sees: others may have brought in
    /// what the caller's workspaces received.
    pub activation: Option<WorkspaceConnectorId>,
    /// What holds of them.
    pub condition: Condition,
    /// Whether those that are gone are among them.
    pub deleted: Deleted,
    /// Only those behind this place.
    pub after: Option<i64>,
    /// At most so many.
    pub limit: u32,
}

/// Which changes of entities to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FollowEntities {
    /// Only those of this model.
    pub model: Option<TargetModel>,
    /// Only those that this activation brought in, which need not be one that the caller sees.
    pub activation: Option<WorkspaceConnectorId>,
    /// Only those behind this position.
    pub after: EntityFeedPosition,
    /// At most so many.
    pub limit: u32,
}

impl Entities {
    /// The entities of `models` that `store` keeps, and where `sources` says that they come from.
    pub fn new(
        store: Arc<dyn Store<Entity>>,
        sources: Arc<dyn EntityStore>,
        models: Arc<Models>,
        world: Arc<dyn World>,
    ) -> Self {
        Self { records: Records::new(store, world), sources, models }
    }

    /// The entities, for reading.
    pub const fn records(&self) -> &Records<Entity> {
        &self.records
    }

    /// Where an entity comes from, with the record as it is kept. Only activations that the caller
    /// sees may show their records.
    pub async fn sources(
        &self,
        caller: &Caller,
        id: EntityId,
    ) -> Result<Vec<EntitySource>, RecordError> {
        self.records.get(caller, id).await?;
        let sources = self.sources.sources(id, &caller.visible).await;
        sources.map_err(RecordError::reading(ResourceType::Entity))
    }

    /// What changed among the entities of the caller's workspace since `after`. Workspaces below it have feeds of their own.
    pub async fn changes(
        &self,
        caller: &Caller,
        follow: FollowEntities,
    ) -> Result<EntityFeedPage, RecordError> {
        may_read::<Entity>(caller)?;
        let FollowEntities { model, activation, after, limit } = follow;
        let workspace = caller.visible.workspace;
        let query = EntityFeedQuery { workspace, model, activation, after, limit };
        let page = self.sources.feed(&query).await;
        page.map_err(RecordError::reading(ResourceType::Entity))
    }

    /// The entities of all workspaces that the caller sees of which a condition holds.
    pub async fn find(
        &self,
        caller: &Caller,
        find: FindEntities,
    ) -> Result<EntityPage, RecordError> {
        may_read::<Entity>(caller)?;
        let FindEntities { model, activation, condition, deleted, after, limit } = find;
        let visible = caller.visible.clone();
        let schema = self.models.get(model);
        let condition = condition.with_decimals(&|name| {
            let field = schema.and_then(|it| it.fields.get(name));
            field.is_some_and(|it| it.kind == ModelKind::Decimal)
        });
        let search = EntitySearch { visible, model, activation, condition, deleted, after, limit };
        let found = self.sources.search(&search).await;
        found.map_err(RecordError::reading(ResourceType::Entity))
    }
}
