//! `/v1/connector-filters`: which records of connectors pass.

use linkspan_app::{FilterPatch, NewFilter, Patch, Records};
use linkspan_domain::{
    Attribute, Caller, Code, Condition, ConnectorFilter, ConnectorFilterId, ConnectorId,
    FilterScope, Resource, Revision, WorkspaceId,
};
use poem_openapi::OpenApi;
use serde::Deserialize;
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::Tag;
use crate::{
    App,
    answer::{Collection, Document, Gone},
    body::{self, Changed, Link, New, Written, patch, present},
    include::Found,
    problem::Failure,
    request::{Acting, Changing, Creating, Deleting, Listing, Reading},
    resource::{Kept, Key, Related, Relationship, Shown, attributes, instant, maybe_instant},
};

/// The operations.
#[derive(Default)]
pub(crate) struct ConnectorFilters;

#[OpenApi(prefix_path = "/v1/connector-filters", tag = "Tag::Catalog")]
impl ConnectorFilters {
    /// List connector filters
    #[oai(path = "/", method = "get", operation_id = "list_connector_filters")]
    async fn list(
        &self,
        request: Listing<ConnectorFilter>,
    ) -> Result<Collection<ConnectorFilter>, Failure> {
        request.answer().await
    }

    /// Get a connector filter
    #[oai(path = "/:id", method = "get", operation_id = "get_connector_filter")]
    async fn get(
        &self,
        request: Reading<ConnectorFilter>,
    ) -> Result<Document<ConnectorFilter>, Failure> {
        request.answer().await
    }

    /// Create a connector filter
    ///
    /// With `template`, it holds in every workspace that has none of its own; only admins write those.
    #[oai(path = "/", method = "post", operation_id = "create_connector_filter")]
    async fn create(
        &self,
        request: Creating<New<NewFilterBody>, Document<ConnectorFilter, 201>>,
    ) -> Result<Document<ConnectorFilter, 201>, Failure> {
        let Creating { call, context, body: New(new), view, .. } = request;
        let made = context.app.filters.create(&call, new.read(&call.caller)?).await?;
        Document::of(&context, &call.caller, &view, &made).await
    }

    /// Change a connector filter
    #[oai(path = "/:id", method = "patch", operation_id = "update_connector_filter")]
    async fn update(
        &self,
        request: Changing<ConnectorFilter, Changed<FilterPatchBody>>,
    ) -> Result<Document<ConnectorFilter>, Failure> {
        let Changing { call, context, id, expected, body: Changed(patch), view } = request;
        let changed = context.app.filters.update(&call, id, expected, patch.read()?).await?;
        Document::of(&context, &call.caller, &view, &changed).await
    }

    /// Delete a connector filter
    #[oai(path = "/:id", method = "delete", operation_id = "delete_connector_filter")]
    async fn delete(&self, request: Deleting<ConnectorFilter>) -> Result<Gone, Failure> {
        let Deleting { call, context, id, expected } = request;
        context.app.filters.delete(&call, id, expected).await?;
        Ok(Gone)
    }

    /// Restore a connector filter
    ///
    /// Brings it back after it was deleted.
    #[oai(path = "/:id/restore", method = "post", operation_id = "restore_connector_filter")]
    async fn restore(
        &self,
        request: Acting<ConnectorFilter, Document<ConnectorFilter>>,
    ) -> Result<Document<ConnectorFilter>, Failure> {
        let Acting { call, context, id, expected, view, .. } = request;
        let restored = context.app.filters.restore(&call, id, expected).await?;
        Document::of(&context, &call.caller, &view, &restored).await
    }

    /// Purge a connector filter
    ///
    /// Removes it for good after it was deleted.
    #[oai(path = "/:id/purge", method = "post", operation_id = "purge_connector_filter")]
    async fn purge(&self, request: Acting<ConnectorFilter, Gone>) -> Result<Gone, Failure> {
        let Acting { call, context, id, expected, .. } = request;
        context.app.filters.purge(&call, id, expected).await?;
        Ok(Gone)
    }
}

attributes! { ConnectorFilter, |it| {
    /// The same as `id`.
    connector_filter_id: ConnectorFilterId = it.id;
    /// Whose records.
    connector_id: ConnectorId = it.connector_id;
    /// The workspace it holds in. None: it is a template.
    workspace_id: Option<WorkspaceId> = it.scope.workspace();
    /// Whether it holds in every workspace that has none of its own.
    template: bool = it.scope.workspace().is_none();
    /// What must hold of a record, as a Hasura `where` expression.
    config: Condition = &it.config;
    /// The same in words, for people.
    natural_language: Option<String> = &it.natural_language;
    /// When it was made.
    created_at: OffsetDateTime = instant(it.created_at);
    /// When it was last written.
    updated_at: OffsetDateTime = instant(it.updated_at);
    /// When it was deleted.
    deleted_at: Option<OffsetDateTime> = maybe_instant(it.deleted_at);
} }

impl Shown for ConnectorFilter {
    const TYPE: &'static str = "connector_filter";
    const NAME: &'static str = "ConnectorFilter";
    const PATH: Option<&'static str> = Some("/v1/connector-filters");
    const RELATIONSHIPS: &'static [Relationship] =
        &[Relationship::one("connector", "connector"), Relationship::one("workspace", "workspace")];
    const LISTED: &'static [Attribute] = <Self as Resource>::ATTRIBUTES;

    fn key(&self) -> Key {
        Key::of(self.id)
    }

    fn revision(&self) -> Revision {
        self.revision
    }

    fn related(&self, name: &str, _: &Found) -> Related {
        match name {
            "connector" => Related::one(self.connector_id),
            _ => Related::maybe(self.scope.workspace()),
        }
    }
}

impl Kept for ConnectorFilter {
    fn records(app: &App) -> &Records<Self> {
        app.filters.records()
    }
}

/// What a new filter is made of.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewFilterBody {
    connector_id: ConnectorId,
    #[serde(default)]
    workspace_id: Option<WorkspaceId>,
    #[serde(default)]
    template: bool,
    config: Value,
    #[serde(default)]
    natural_language: Option<String>,
}

impl Written for NewFilterBody {
    type Of = ConnectorFilter;
    const NAME: &'static str = "NewConnectorFilter";
    const HAS_CONDITION: bool = true;
    const REQUIRED: &'static [&'static str] = &["config"];
    const LINKS: &'static [Link] = &[
        Link { name: "connector", target: "connector", attribute: "connector_id" },
        Link { name: "workspace", target: "workspace", attribute: "workspace_id" },
    ];

    fn example() -> Option<Value> {
        Some(json!({ "data": { "type": "connector_filter", "attributes": {
            "connector_id": "012c387a-75c8-50c9-b1e3-c573571b4068",
            "config": { "total": { "_gte": 100 }, "status": { "_in": ["open", "paid"] } },
            "natural_language": "Only open and paid invoices of 100 or more",
        } } }))
    }
}

impl NewFilterBody {
    fn read(self, caller: &Caller) -> Result<NewFilter, Failure> {
        let Self { connector_id, workspace_id, template, config, natural_language } = self;
        let scope = match (template, workspace_id) {
            (true, None) => FilterScope::Template,
            (false, workspace) => {
                FilterScope::Custom(workspace.unwrap_or(caller.visible.workspace))
            }
            (true, Some(_)) => {
                let detail = "a template belongs to no workspace; leave one of the two out";
                return Err(Failure::new(Code::Invalid, detail).at("/data/attributes/template"));
            }
        };
        Ok(NewFilter { connector_id, scope, config: condition(&config)?, natural_language })
    }
}

/// What changes about a filter.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FilterPatchBody {
    #[serde(default, deserialize_with = "present")]
    config: Option<Value>,
    #[serde(default, deserialize_with = "patch")]
    natural_language: Patch<String>,
}

impl Written for FilterPatchBody {
    type Of = ConnectorFilter;
    const NAME: &'static str = "ConnectorFilterPatch";
    const HAS_CONDITION: bool = true;
}

impl FilterPatchBody {
    fn read(self) -> Result<FilterPatch, Failure> {
        let config = self.config.as_ref().map(condition).transpose()?;
        Ok(FilterPatch { config, natural_language: self.natural_language })
    }
}

fn condition(value: &Value) -> Result<Condition, Failure> {
    body::condition(value, "/data/attributes/config")
}
