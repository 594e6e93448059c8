//! `/v1/api-keys`: keys to the API.

use std::collections::BTreeSet;

use linkspan_app::{NewApiKey, Records};
use linkspan_domain::{
    ApiKey, ApiKeyId, Attribute, Name, OrganizationId, Permission, PersonId, Resource, Revision,
    WorkspaceId,
};
use poem_openapi::OpenApi;
use serde::Deserialize;
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::Tag;
use crate::{
    App,
    answer::{Collection, Document, Gone},
    body::{Link, New, Written, written_instant},
    include::Found,
    problem::Failure,
    request::{Creating, Deleting, Listing, Reading},
    resource::{Kept, Key, Related, Relationship, Shown, attributes, instant, maybe_instant},
};

/// The operations.
#[derive(Default)]
pub(crate) struct ApiKeys;

#[OpenApi(prefix_path = "/v1/api-keys", tag = "Tag::Organization")]
impl ApiKeys {
    /// List API keys
    #[oai(path = "/", method = "get", operation_id = "list_api_keys")]
    async fn list(&self, request: Listing<ApiKey>) -> Result<Collection<ApiKey>, Failure> {
        request.answer().await
    }

    /// Get an API key
    #[oai(path = "/:id", method = "get", operation_id = "get_api_key")]
    async fn get(&self, request: Reading<ApiKey>) -> Result<Document<ApiKey>, Failure> {
        request.answer().await
    }

    /// Create an API key
    ///
    /// The key itself is in this answer, as the attribute `key`, and never shown again: an answer that is given once
    /// more for an `Idempotency-Key` does not have it.
    #[oai(path = "/", method = "post", operation_id = "create_api_key")]
    async fn create(
        &self,
        request: Creating<New<NewKey>, Document<ApiKey, 201>>,
    ) -> Result<Document<ApiKey, 201>, Failure> {
        let Creating { call, context, body: New(new), view, .. } = request;
        let (made, key) = context.app.api_keys.create(&call, new.into()).await?;
        let key = Some(("key", key.expose().as_str()));
        Document::with(&context, &call.caller, &view, &made, key).await
    }

    /// Revoke an API key
    ///
    /// It works no longer, from now on.
    #[oai(path = "/:id", method = "delete", operation_id = "revoke_api_key")]
    async fn revoke(&self, request: Deleting<ApiKey>) -> Result<Gone, Failure> {
        let Deleting { call, context, id, expected } = request;
        context.app.api_keys.revoke(&call, id, expected).await?;
        Ok(Gone)
    }
}

attributes! { ApiKey, |it| {
    /// The same as `id`.
    api_key_id: ApiKeyId = it.id;
    /// The organization it belongs to.
    organization_id: OrganizationId = it.organization_id;
    /// Whose rights bound it. None: a service key, bounded by its permissions alone.
    person_id: Option<PersonId> = it.person_id;
    /// What people call it.
    name: Name = &it.name;
    /// The first characters of the key, to recognize it by.
    prefix: String = &it.prefix;
    /// What it may do.
    permissions: BTreeSet<Permission> = &it.permissions;
    /// Where it works. Empty: in every workspace of the organization.
    workspaces: BTreeSet<WorkspaceId> = &it.workspaces;
    /// When it stops working.
    expires_at: Option<OffsetDateTime> = maybe_instant(it.expires_at);
    /// When it was last used, to the minute.
    last_used_at: Option<OffsetDateTime> = maybe_instant(it.last_used_at);
    /// When it was made.
    created_at: OffsetDateTime = instant(it.created_at);
    /// When it was last written.
    updated_at: OffsetDateTime = instant(it.updated_at);
    /// When it was revoked.
    deleted_at: Option<OffsetDateTime> = maybe_instant(it.deleted_at);
} }

impl Shown for ApiKey {
    const TYPE: &'static str = "api_key";
    const NAME: &'static str = "ApiKey";
    const PATH: Option<&'static str> = Some("/v1/api-keys");
    const RELATIONSHIPS: &'static [Relationship] =
        &[Relationship::one("person", "person"), Relationship::many("workspaces", "workspace")];
    const LISTED: &'static [Attribute] = <Self as Resource>::ATTRIBUTES;
    const EXTRA: Option<(&'static str, &'static str)> =
        Some(("key", "The key itself. Only in the answer that makes it."));

    fn key(&self) -> Key {
        Key::of(self.id)
    }

    fn revision(&self) -> Revision {
        self.revision
    }

    fn related(&self, name: &str, _: &Found) -> Related {
        match name {
            "person" => Related::maybe(self.person_id),
            _ => Related::many(self.workspaces.iter().copied()),
        }
    }
}

impl Kept for ApiKey {
    fn records(app: &App) -> &Records<Self> {
        app.api_keys.records()
    }
}

/// What a new key is made of.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewKey {
    name: Name,
    #[serde(default)]
    person_id: Option<PersonId>,
    permissions: BTreeSet<Permission>,
    #[serde(default)]
    workspaces: BTreeSet<WorkspaceId>,
    #[serde(default, deserialize_with = "written_instant")]
    expires_at: Option<OffsetDateTime>,
}

impl Written for NewKey {
    type Of = ApiKey;
    const NAME: &'static str = "NewApiKey";
    const REQUIRED: &'static [&'static str] = &["name", "permissions"];
    const LINKS: &'static [Link] = &[
        Link { name: "person", target: "person", attribute: "person_id" },
        Link { name: "workspaces", target: "workspace", attribute: "workspaces" },
    ];

    fn example() -> Option<Value> {
        Some(json!({ "data": { "type": "api_key", "attributes": {
            "name": "Nightly import",
            "permissions": ["connector:read", "connector:manage"],
            "expires_at": "2030-01-01T00:00:00Z",
        } } }))
    }
}

impl From<NewKey> for NewApiKey {
    fn from(NewKey { name, person_id, permissions, workspaces, expires_at }: NewKey) -> Self {
        Self { name, person_id, permissions, workspaces, expires_at }
    }
}
