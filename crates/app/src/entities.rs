//! Entities: what mappings made of records.

use std::sync::Arc;

use linkspan_domain::{
    Caller, Entity, EntityId, EntitySource, ResourceType,
    ports::{Store, World},
};
use linkspan_sdk::EntityStore;

use crate::{RecordError, Records};

/// Entities. Readers of connectors read them; runs write them.
pub struct Entities {
    records: Records<Entity>,
    sources: Arc<dyn EntityStore>,
}

impl Entities {
    /// The entities that `store` keeps, and where `sources` says that they come from.
    pub fn new(
        store: Arc<dyn Store<Entity>>,
        sources: Arc<dyn EntityStore>,
        world: Arc<dyn World>,
    ) -> Self {
        Self { records: Records::new(store, world), sources }
    }

    /// The entities, for reading.
    pub const fn records(&self) -> &Records<Entity> {
        &self.records
    }

    /// Where an entity comes from, with the record as it is kept, and where it went to. Only activations that the caller
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
}
