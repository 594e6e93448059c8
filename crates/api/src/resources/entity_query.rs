//! Looking for entities by what they say.

use std::collections::HashMap;

use linkspan_app::FindEntities;
use linkspan_domain::{
    Condition, Deleted, Entity, EntityId, PageSize, TargetModel, WorkspaceConnectorId,
};
use poem_openapi::registry::MetaSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::records::{condition, limit_schema};
use crate::{
    answer::Sequence,
    body::{Plain, PlainBody},
    cursor::Scope,
    document::Sequel,
    problem::Failure,
    request::Querying,
    schema::{inline, object, property},
};

/// What a client looks for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EntityQuery {
    model: TargetModel,
    #[serde(default, rename = "where")]
    condition: Map<String, Value>,
    #[serde(default)]
    workspace_connector_id: Option<WorkspaceConnectorId>,
    #[serde(default)]
    include_deleted: bool,
    #[serde(default)]
    limit: Option<PageSize>,
    #[serde(default)]
    after: Option<String>,
}

/// Answers a page of what was found.
pub(super) async fn answer(
    request: Querying<Plain<EntityQuery>>,
) -> Result<Sequence<Entity>, Failure> {
    let Querying { call, context, body: Plain(body), path, query } = request;
    // Lists of entities have cursors of another kind.
    let scope = Scope::of_workspace(EntityQuery::TYPE, &call.caller);
    let page = context.app.entities.find(&call.caller, body.into_find(&scope)?).await?;
    let sequel = page.next.map_or(Sequel::Never, |it| Sequel::Later(scope.seal(&it)));
    let cursors: HashMap<EntityId, String> =
        page.entities.iter().map(|it| (it.entity.id, scope.seal(&it.position))).collect();
    let entities: Vec<_> = page.entities.into_iter().map(|it| it.entity).collect();
    let cursor = |it: &Entity| cursors.get(&it.id).cloned().unwrap_or_default();
    Sequence::of(&entities, cursor, &path, &query, sequel)
}

impl EntityQuery {
    fn into_find(self, scope: &Scope) -> Result<FindEntities, Failure> {
        let resume =
            |cursor: String| scope.resume(&cursor).map_err(|it| it.at("/data/attributes/after"));
        let after = self.after.map(resume);
        Ok(FindEntities {
            model: self.model,
            activation: self.workspace_connector_id,
            condition: condition(self.condition)?,
            deleted: if self.include_deleted { Deleted::Shown } else { Deleted::Hidden },
            after: after.transpose()?,
            limit: self.limit.unwrap_or_default().get().into(),
        })
    }
}

impl PlainBody for EntityQuery {
    const NAME: &'static str = "EntityQuery";
    const TYPE: &'static str = "entity_query";
    const HAS_CONDITION: bool = true;

    fn schema() -> MetaSchema {
        let properties = vec![
            property::<TargetModel>("model", "Which target model."),
            property::<Condition>("where", "What holds of the entities. Empty: anything."),
            property::<Option<WorkspaceConnectorId>>(
                "workspace_connector_id",
                "Only entities that this activation brought in.",
            ),
            property::<bool>("include_deleted", "Whether entities that are gone are found, too."),
            ("limit", inline(limit_schema())),
            property::<Option<String>>("after", "Only entities behind this cursor."),
        ];
        object(properties, &["model"])
    }

    fn example() -> Option<Value> {
        let condition = serde_json::json!({ "currency": { "_eq": "EUR" } });
        Some(serde_json::json!({ "model": "invoice", "where": condition, "limit": 100 }))
    }
}
