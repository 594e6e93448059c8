//! Following the changes of entities.

use linkspan_app::FollowEntities;
use linkspan_domain::{
    Attribute, EntityId, Revision, StreamName, TargetModel, WorkspaceConnectorId, WorkspaceId,
};
use linkspan_sdk::{EntityChange, EntityFeedPosition};
use serde_json::{Map, Value};
use time::OffsetDateTime;

use super::records::KindWord;
use crate::{
    answer::Sequence,
    cursor::Scope,
    document::Sequel,
    include::Found,
    problem::Failure,
    request::{Continuing, EntityChoice},
    resource::{Key, Related, Relationship, Shown, attributes, instant, maybe_instant},
};

/// A change of an entity, and the cursor behind it.
pub(crate) struct ShownEntityChange {
    change: EntityChange,
    cursor: String,
}

/// Answers what comes next.
pub(super) async fn answer(
    request: Continuing<ShownEntityChange, EntityChoice>,
) -> Result<Sequence<ShownEntityChange>, Failure> {
    let Continuing { call, context, choice, size, after, path, query, .. } = request;
    let scope = Scope::of_workspace(ShownEntityChange::TYPE, &call.caller);
    let after = after.map(|it| position(&scope, &it)).transpose()?.unwrap_or_default();
    let EntityChoice { model, activation } = choice;
    let follow = FollowEntities { model, activation, after, limit: size.get().into() };
    let page = context.app.entities.changes(&call.caller, follow).await?;
    let cursor = |at: &EntityFeedPosition| scope.seal(&(at.entry, &at.place));
    let sequel = Sequel::of(page.more, cursor(&page.next));
    let changes: Vec<_> = page
        .changes
        .into_iter()
        .map(|change| ShownEntityChange { cursor: cursor(&change.position), change })
        .collect();
    Sequence::of(&changes, |it| it.cursor.clone(), &path, &query, sequel)
}

fn position(scope: &Scope, cursor: &str) -> Result<EntityFeedPosition, Failure> {
    let position = scope.resume(cursor).map_err(|it| it.in_parameter("page[after]"));
    position.map(|(entry, place)| EntityFeedPosition { entry, place })
}

attributes! { ShownEntityChange, |it| {
    /// What happened to the entity.
    kind: KindWord = it.change.kind.word();
    /// Which entity.
    entity_id: EntityId = it.change.entity.id;
    /// In which workspace.
    workspace_id: WorkspaceId = it.change.entity.workspace_id;
    /// What it is.
    target_model: TargetModel = it.change.entity.target_model;
    /// What the source calls it.
    external_id: Option<String> = &it.change.entity.external_id;
    /// What its fields are now, or were at last.
    payload: Map<String, Value> = &it.change.entity.payload;
    /// Changes with the payload.
    hash: String = &it.change.entity.hash;
    /// The activation that brought it in.
    workspace_connector_id: WorkspaceConnectorId = it.change.entity.workspace_connector_id;
    /// Of which stream.
    stream: StreamName = &it.change.entity.stream;
    /// Of which record.
    record_key: String = &it.change.entity.record_key;
    /// When it was first mapped.
    first_seen_at: OffsetDateTime = instant(it.change.entity.first_seen_at);
    /// When it last changed.
    last_seen_at: OffsetDateTime = instant(it.change.entity.last_seen_at);
    /// When its record was gone from the source or no longer became it, or its target, mapping or activation was deleted.
    deleted_at: Option<OffsetDateTime> = maybe_instant(it.change.entity.deleted_at);
} }

impl Shown for ShownEntityChange {
    const TYPE: &'static str = "entity_change";
    const NAME: &'static str = "EntityChange";
    const PATH: Option<&'static str> = None;
    const RELATIONSHIPS: &'static [Relationship] =
        &[Relationship::one("workspace_connector", "workspace_connector")];
    const LISTED: &'static [Attribute] = &[];
    const HAS_UUID: bool = false;

    fn key(&self) -> Key {
        Key::Text(self.cursor.clone())
    }

    fn revision(&self) -> Revision {
        Revision::FIRST
    }

    fn related(&self, _: &str, _: &Found) -> Related {
        Related::one(self.change.entity.workspace_connector_id)
    }
}
