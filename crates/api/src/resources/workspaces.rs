//! `/v1/workspaces`: the tree that tenancy follows.

use linkspan_app::{NewWorkspace, Patch, Records, WorkspacePatch};
use linkspan_domain::{
    Attribute, Name, OrganizationId, Resource, Revision, Slug, Workspace, WorkspaceId,
};
use poem_openapi::OpenApi;
use serde::Deserialize;
use time::OffsetDateTime;

use super::Tag;
use crate::{
    App,
    answer::{Collection, Document, Gone},
    body::{Changed, Link, New, Written, patch, present},
    include::Found,
    problem::Failure,
    request::{Acting, Changing, Creating, Deleting, Listing, Reading},
    resource::{Kept, Key, Related, Relationship, Shown, attributes, instant, maybe_instant},
};

/// The operations.
#[derive(Default)]
pub(crate) struct Workspaces;

#[OpenApi(prefix_path = "/v1/workspaces", tag = "Tag::Organization")]
impl Workspaces {
    /// List workspaces
    #[oai(path = "/", method = "get", operation_id = "list_workspaces")]
    async fn list(&self, request: Listing<Workspace>) -> Result<Collection<Workspace>, Failure> {
        request.answer().await
    }

    /// Get a workspace
    #[oai(path = "/:id", method = "get", operation_id = "get_workspace")]
    async fn get(&self, request: Reading<Workspace>) -> Result<Document<Workspace>, Failure> {
        request.answer().await
    }

    /// Create a workspace
    #[oai(path = "/", method = "post", operation_id = "create_workspace")]
    async fn create(
        &self,
        request: Creating<New<NewWorkspaceBody>, Document<Workspace, 201>>,
    ) -> Result<Document<Workspace, 201>, Failure> {
        let Creating { call, context, body: New(new), view, .. } = request;
        let made = context.app.workspaces.create(&call, new.into()).await?;
        Document::of(&context, &call.caller, &view, &made).await
    }

    /// Change a workspace
    #[oai(path = "/:id", method = "patch", operation_id = "update_workspace")]
    async fn update(
        &self,
        request: Changing<Workspace, Changed<WorkspacePatchBody>>,
    ) -> Result<Document<Workspace>, Failure> {
        let Changing { call, context, id, expected, body: Changed(patch), view } = request;
        let changed = context.app.workspaces.update(&call, id, expected, patch.into()).await?;
        Document::of(&context, &call.caller, &view, &changed).await
    }

    /// Delete a workspace
    ///
    /// It has to be empty: nothing below it, nothing connected in it.
    #[oai(path = "/:id", method = "delete", operation_id = "delete_workspace")]
    async fn delete(&self, request: Deleting<Workspace>) -> Result<Gone, Failure> {
        let Deleting { call, context, id, expected } = request;
        context.app.workspaces.delete(&call, id, expected).await?;
        Ok(Gone)
    }

    /// Restore a workspace
    ///
    /// Brings it back after it was deleted.
    #[oai(path = "/:id/restore", method = "post", operation_id = "restore_workspace")]
    async fn restore(
        &self,
        request: Acting<Workspace, Document<Workspace>>,
    ) -> Result<Document<Workspace>, Failure> {
        let Acting { call, context, id, expected, view, .. } = request;
        let restored = context.app.workspaces.restore(&call, id, expected).await?;
        Document::of(&context, &call.caller, &view, &restored).await
    }

    /// Purge a workspace
    ///
    /// Removes it for good after it was deleted.
    #[oai(path = "/:id/purge", method = "post", operation_id = "purge_workspace")]
    async fn purge(&self, request: Acting<Workspace, Gone>) -> Result<Gone, Failure> {
        let Acting { call, context, id, expected, .. } = request;
        context.app.workspaces.purge(&call, id, expected).await?;
        Ok(Gone)
    }
}

attributes! { Workspace, |it| {
    /// The same as `id`.
    workspace_id: WorkspaceId = it.id;
    /// The organization that owns it.
    organization_id: OrganizationId = it.organization_id;
    /// The workspace above it, which reads all that is in it.
    parent_id: Option<WorkspaceId> = it.parent_id;
    /// What people call it.
    name: Name = &it.name;
    /// Names it in URLs. Unique among the live workspaces of the organization.
    slug: Slug = &it.slug;
    /// The operator's own identifier of it.
    external_workspace_id: Option<String> = &it.external_workspace_id;
    /// When it was made.
    created_at: OffsetDateTime = instant(it.created_at);
    /// When it was last written.
    updated_at: OffsetDateTime = instant(it.updated_at);
    /// When it was deleted.
    deleted_at: Option<OffsetDateTime> = maybe_instant(it.deleted_at);
} }

impl Shown for Workspace {
    const TYPE: &'static str = "workspace";
    const NAME: &'static str = "Workspace";
    const PATH: Option<&'static str> = Some("/v1/workspaces");
    const RELATIONSHIPS: &'static [Relationship] = &[Relationship::one("parent", "workspace")];
    const LISTED: &'static [Attribute] = <Self as Resource>::ATTRIBUTES;

    fn key(&self) -> Key {
        Key::of(self.id)
    }

    fn revision(&self) -> Revision {
        self.revision
    }

    fn related(&self, _: &str, _: &Found) -> Related {
        Related::maybe(self.parent_id)
    }
}

impl Kept for Workspace {
    fn records(app: &App) -> &Records<Self> {
        app.workspaces.records()
    }
}

const LINKS: &[Link] = &[Link { name: "parent", target: "workspace", attribute: "parent_id" }];

/// What a new workspace is made of.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewWorkspaceBody {
    name: Name,
    slug: Slug,
    #[serde(default)]
    parent_id: Option<WorkspaceId>,
    #[serde(default)]
    external_workspace_id: Option<String>,
}

impl Written for NewWorkspaceBody {
    type Of = Workspace;
    const NAME: &'static str = "NewWorkspace";
    const REQUIRED: &'static [&'static str] = &["name", "slug"];
    const LINKS: &'static [Link] = LINKS;
}

impl From<NewWorkspaceBody> for NewWorkspace {
    fn from(body: NewWorkspaceBody) -> Self {
        let NewWorkspaceBody { name, slug, parent_id, external_workspace_id } = body;
        Self { name, slug, parent_id, external_workspace_id }
    }
}

/// What changes about a workspace.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WorkspacePatchBody {
    #[serde(default, deserialize_with = "present")]
    name: Option<Name>,
    #[serde(default, deserialize_with = "present")]
    slug: Option<Slug>,
    #[serde(default, deserialize_with = "patch")]
    parent_id: Patch<WorkspaceId>,
    #[serde(default, deserialize_with = "patch")]
    external_workspace_id: Patch<String>,
}

impl Written for WorkspacePatchBody {
    type Of = Workspace;
    const NAME: &'static str = "WorkspacePatch";
    const LINKS: &'static [Link] = LINKS;
}

impl From<WorkspacePatchBody> for WorkspacePatch {
    fn from(body: WorkspacePatchBody) -> Self {
        let WorkspacePatchBody { name, slug, parent_id, external_workspace_id } = body;
        Self { name, slug, parent_id, external_workspace_id }
    }
}
