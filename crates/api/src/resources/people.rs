//! `/v1/people`: the people of an organization.

use std::collections::BTreeSet;

use linkspan_app::{NewPerson, PersonPatch, Records};
use linkspan_domain::{
    Attribute, Email, Name, OrganizationId, Person, PersonId, Resource, Revision, Role, WorkspaceId,
};
use poem_openapi::OpenApi;
use serde::Deserialize;
use time::OffsetDateTime;

use super::Tag;
use crate::{
    App,
    answer::{Collection, Document, Gone},
    body::{Changed, Link, New, Written, present},
    include::Found,
    problem::Failure,
    request::{Acting, Changing, Creating, Deleting, Listing, Reading},
    resource::{Kept, Key, Related, Relationship, Shown, attributes, instant, maybe_instant},
};

/// The operations.
#[derive(Default)]
pub(crate) struct People;

#[OpenApi(prefix_path = "/v1/people", tag = "Tag::Organization")]
impl People {
    /// List people
    #[oai(path = "/", method = "get", operation_id = "list_people")]
    async fn list(&self, request: Listing<Person>) -> Result<Collection<Person>, Failure> {
        request.answer().await
    }

    /// Get a person
    #[oai(path = "/:id", method = "get", operation_id = "get_person")]
    async fn get(&self, request: Reading<Person>) -> Result<Document<Person>, Failure> {
        request.answer().await
    }

    /// Create a person
    #[oai(path = "/", method = "post", operation_id = "create_person")]
    async fn create(
        &self,
        request: Creating<New<NewPersonBody>, Document<Person, 201>>,
    ) -> Result<Document<Person, 201>, Failure> {
        let Creating { call, context, body: New(new), view, .. } = request;
        let made = context.app.people.create(&call, new.into()).await?;
        Document::of(&context, &call.caller, &view, &made).await
    }

    /// Change a person
    #[oai(path = "/:id", method = "patch", operation_id = "update_person")]
    async fn update(
        &self,
        request: Changing<Person, Changed<PersonPatchBody>>,
    ) -> Result<Document<Person>, Failure> {
        let Changing { call, context, id, expected, body: Changed(patch), view } = request;
        let changed = context.app.people.update(&call, id, expected, patch.into()).await?;
        Document::of(&context, &call.caller, &view, &changed).await
    }

    /// Delete a person
    #[oai(path = "/:id", method = "delete", operation_id = "delete_person")]
    async fn delete(&self, request: Deleting<Person>) -> Result<Gone, Failure> {
        let Deleting { call, context, id, expected } = request;
        context.app.people.delete(&call, id, expected).await?;
        Ok(Gone)
    }

    /// Restore a person
    ///
    /// Brings it back after it was deleted.
    #[oai(path = "/:id/restore", method = "post", operation_id = "restore_person")]
    async fn restore(
        &self,
        request: Acting<Person, Document<Person>>,
    ) -> Result<Document<Person>, Failure> {
        let Acting { call, context, id, expected, view, .. } = request;
        let restored = context.app.people.restore(&call, id, expected).await?;
        Document::of(&context, &call.caller, &view, &restored).await
    }

    /// Purge a person
    ///
    /// Removes it for good after it was deleted.
    #[oai(path = "/:id/purge", method = "post", operation_id = "purge_person")]
    async fn purge(&self, request: Acting<Person, Gone>) -> Result<Gone, Failure> {
        let Acting { call, context, id, expected, .. } = request;
        context.app.people.purge(&call, id, expected).await?;
        Ok(Gone)
    }
}

attributes! { Person, |it| {
    /// The same as `id`.
    person_id: PersonId = it.id;
    /// The organization.
    organization_id: OrganizationId = it.organization_id;
    /// What people call them.
    name: Name = &it.name;
    /// Where to write to them. Unique among the live people of the organization, without regard to case.
    email: Email = &it.email;
    /// What they may do.
    role: Role = it.role;
    /// The workspaces they work in. An admin works in all.
    workspaces: BTreeSet<WorkspaceId> = &it.workspaces;
    /// When it was made.
    created_at: OffsetDateTime = instant(it.created_at);
    /// When it was last written.
    updated_at: OffsetDateTime = instant(it.updated_at);
    /// When it was deleted.
    deleted_at: Option<OffsetDateTime> = maybe_instant(it.deleted_at);
} }

impl Shown for Person {
    const TYPE: &'static str = "person";
    const NAME: &'static str = "Person";
    const PATH: Option<&'static str> = Some("/v1/people");
    const RELATIONSHIPS: &'static [Relationship] = &[Relationship::many("workspaces", "workspace")];
    const LISTED: &'static [Attribute] = <Self as Resource>::ATTRIBUTES;

    fn key(&self) -> Key {
        Key::of(self.id)
    }

    fn revision(&self) -> Revision {
        self.revision
    }

    fn related(&self, _: &str, _: &Found) -> Related {
        Related::many(self.workspaces.iter().copied())
    }
}

impl Kept for Person {
    fn records(app: &App) -> &Records<Self> {
        app.people.records()
    }
}

const LINKS: &[Link] = &[Link { name: "workspaces", target: "workspace", attribute: "workspaces" }];

/// What a new person is made of.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewPersonBody {
    name: Name,
    email: Email,
    role: Role,
    #[serde(default)]
    workspaces: BTreeSet<WorkspaceId>,
}

impl Written for NewPersonBody {
    type Of = Person;
    const NAME: &'static str = "NewPerson";
    const REQUIRED: &'static [&'static str] = &["name", "email", "role"];
    const LINKS: &'static [Link] = LINKS;
}

impl From<NewPersonBody> for NewPerson {
    fn from(body: NewPersonBody) -> Self {
        let NewPersonBody { name, email, role, workspaces } = body;
        Self { name, email, role, workspaces }
    }
}

/// What changes about a person.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PersonPatchBody {
    #[serde(default, deserialize_with = "present")]
    name: Option<Name>,
    #[serde(default, deserialize_with = "present")]
    email: Option<Email>,
    #[serde(default, deserialize_with = "present")]
    role: Option<Role>,
    #[serde(default, deserialize_with = "present")]
    workspaces: Option<BTreeSet<WorkspaceId>>,
}

impl Written for PersonPatchBody {
    type Of = Person;
    const NAME: &'static str = "PersonPatch";
    const LINKS: &'static [Link] = LINKS;
}

impl From<PersonPatchBody> for PersonPatch {
    fn from(body: PersonPatchBody) -> Self {
        let PersonPatchBody { name, email, role, workspaces } = body;
        Self { name, email, role, workspaces }
    }
}
