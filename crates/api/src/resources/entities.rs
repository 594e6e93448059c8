//! `/v1/entities`: what mappings made of records.

use linkspan_app::Records;
use linkspan_domain::{
    Attribute, Entity, EntityDirection, EntityId, EntitySource, Resource, Revision, Sort,
    StreamName, SyncLogId, TargetModel, WorkspaceConnectorId, WorkspaceId,
};
use poem_openapi::OpenApi;
use serde_json::{Map, Value};
use time::OffsetDateTime;

use super::{
    Tag,
    entity_changes::{self, ShownEntityChange},
    entity_query::{self, EntityQuery},
};
use crate::{
    App,
    answer::{Collection, Document, Sequence},
    body::Plain,
    include::Found,
    problem::Failure,
    request::{Asking, Continuing, EntityChoice, Listing, Querying, Reading},
    resource::{Kept, Key, Related, Relationship, Shown, attributes, instant, maybe_instant},
};

/// The operations.
#[derive(Default)]
pub(crate) struct Entities;

#[OpenApi(prefix_path = "/v1/entities", tag = "Tag::Activations")]
impl Entities {
    /// List entities
    ///
    /// What mappings made of records, of all target models; those of one with `filter[target_model]`.
    #[oai(path = "/", method = "get", operation_id = "list_entities")]
    async fn list(&self, request: Listing<Entity>) -> Result<Collection<Entity>, Failure> {
        request.answer().await
    }

    /// Follow the changes of entities
    ///
    /// All that was added, updated and deleted in the workspace, in the order in which it became visible, without a gap
    /// whoever writes meanwhile. Begin without a cursor; go on with `meta.page.cursor`, at once while `links.next` is there,
    /// later when it is null. Of several changes of an entity the last one is told: apply what was added and what was
    /// updated alike, as an upsert by `entity_id`.
    #[oai(path = "/changes", method = "get", operation_id = "list_entity_changes")]
    async fn changes(
        &self,
        request: Continuing<ShownEntityChange, EntityChoice>,
    ) -> Result<Sequence<ShownEntityChange>, Failure> {
        entity_changes::answer(request).await
    }

    /// Look for entities
    ///
    /// `where` is a condition as Hasura writes them, on the fields of a target model. The database evaluates it as far as it
    /// can. A page may have fewer entities than asked for, or none, and still not be the last: go on while
    /// `meta.page.cursor` is there, by sending it as `after`.
    #[oai(path = "/query", method = "post", operation_id = "query_entities")]
    async fn query(
        &self,
        request: Querying<Plain<EntityQuery>>,
    ) -> Result<Sequence<Entity>, Failure> {
        entity_query::answer(request).await
    }

    /// Get an entity
    #[oai(path = "/:id", method = "get", operation_id = "get_entity")]
    async fn get(&self, request: Reading<Entity>) -> Result<Document<Entity>, Failure> {
        request.answer().await
    }

    /// List the sources of an entity
    ///
    /// Which records of which activations it comes from, as they are kept.
    #[oai(path = "/:id/sources", method = "get", operation_id = "list_entity_sources")]
    async fn sources(
        &self,
        request: Asking<EntitySource>,
    ) -> Result<Collection<EntitySource>, Failure> {
        let entities = &request.context.app.entities;
        let sources = entities.sources(&request.call.caller, request.id()?).await?;
        Collection::whole(&sources, &request.path)
    }
}

attributes! { Entity, |it| {
    /// The same as `id`. The same record becomes the same entity, whenever it is mapped.
    entity_id: EntityId = it.id;
    /// In which workspace.
    workspace_id: WorkspaceId = it.workspace_id;
    /// What it is.
    target_model: TargetModel = it.target_model;
    /// What the source calls it.
    external_id: Option<String> = &it.external_id;
    /// Its fields, as the schema of the target model has them.
    payload: Map<String, Value> = &it.payload;
    /// Changes with the payload.
    hash: String = &it.hash;
    /// The activation that brought it in.
    workspace_connector_id: WorkspaceConnectorId = it.workspace_connector_id;
    /// Of which stream.
    stream: StreamName = &it.stream;
    /// Of which record.
    record_key: String = &it.record_key;
    /// Its place among the objects that the record becomes, from 0, when it was last written.
    item: u64 = it.item;
    /// When it was first mapped.
    first_seen_at: OffsetDateTime = instant(it.first_seen_at);
    /// When it last changed.
    last_seen_at: OffsetDateTime = instant(it.last_seen_at);
    /// When its record was gone from the source or no longer became it, or its target, mapping or activation was deleted.
    deleted_at: Option<OffsetDateTime> = maybe_instant(it.deleted_at);
} }

impl Shown for Entity {
    const TYPE: &'static str = "entity";
    const NAME: &'static str = "Entity";
    const PATH: Option<&'static str> = Some("/v1/entities");
    const RELATIONSHIPS: &'static [Relationship] = &[
        Relationship::one("workspace_connector", "workspace_connector"),
        Relationship::one("workspace", "workspace"),
    ];
    const LISTED: &'static [Attribute] = <Self as Resource>::ATTRIBUTES;
    const ORDER: Sort = Self::NEWEST;

    fn key(&self) -> Key {
        Key::of(self.id)
    }

    fn revision(&self) -> Revision {
        self.revision
    }

    fn related(&self, name: &str, _: &Found) -> Related {
        match name {
            "workspace_connector" => Related::one(self.workspace_connector_id),
            _ => Related::one(self.workspace_id),
        }
    }
}

impl Kept for Entity {
    fn records(app: &App) -> &Records<Self> {
        app.entities.records()
    }
}

attributes! { EntitySource, |it| {
    /// Of which entity.
    entity_id: EntityId = it.entity_id;
    /// By which activation.
    workspace_connector_id: WorkspaceConnectorId = it.workspace_connector_id;
    /// Which way it went: out of the connected system. What is pushed into systems are records.
    direction: EntityDirection = it.direction;
    /// Of which stream.
    stream: StreamName = &it.stream;
    /// Of which record.
    record_key: String = &it.record_key;
    /// The run that last changed it, as long as its log is kept.
    workspace_connector_sync_log_id: Option<SyncLogId> = it.run;
    /// The record as it is kept, if it still is and its activation may be seen from here.
    raw: Option<Value> = &it.raw;
    /// When the activation first brought it in.
    first_seen_at: OffsetDateTime = instant(it.first_seen_at);
    /// When the activation last changed it.
    last_seen_at: OffsetDateTime = instant(it.last_seen_at);
} }

impl Shown for EntitySource {
    const TYPE: &'static str = "entity_source";
    const NAME: &'static str = "EntitySource";
    const PATH: Option<&'static str> = None;
    const RELATIONSHIPS: &'static [Relationship] = &[];
    const LISTED: &'static [Attribute] = &[];
    const HAS_UUID: bool = false;

    fn key(&self) -> Key {
        Key::Text(format!("{}:{}:{}", self.entity_id, self.workspace_connector_id, self.direction))
    }

    fn revision(&self) -> Revision {
        Revision::FIRST
    }

    fn related(&self, _: &str, _: &Found) -> Related {
        Related::One(None)
    }
}
