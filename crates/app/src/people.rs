//! The people of an organization.

use std::{collections::BTreeSet, sync::Arc};

use linkspan_domain::{
    Actor, Call, Email, Name, Person, PersonId, Resource, Revision, Role, Workspace, WorkspaceId,
    ports::{Store, World},
};

use crate::{RecordError, Records, Sessions, Writable, records::require_live};

/// The people of an organization. Everybody reads themself; admins read and write all.
pub struct People {
    records: Records<Person>,
    workspaces: Records<Workspace>,
    sessions: Arc<Sessions>,
    world: Arc<dyn World>,
}

/// What a new person is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct NewPerson {
    pub name: Name,
    pub email: Email,
    pub role: Role,
    pub workspaces: BTreeSet<WorkspaceId>,
}

/// What changes about a person.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct PersonPatch {
    pub name: Option<Name>,
    pub email: Option<Email>,
    pub role: Option<Role>,
    pub workspaces: Option<BTreeSet<WorkspaceId>>,
}

impl People {
    /// The people that `store` keeps.
    pub fn new(
        store: Arc<dyn Store<Person>>,
        workspaces: Arc<dyn Store<Workspace>>,
        sessions: Arc<Sessions>,
        world: Arc<dyn World>,
    ) -> Self {
        Self {
            records: Records::new(store, Arc::clone(&world)),
            workspaces: Records::new(workspaces, Arc::clone(&world)),
            sessions,
            world,
        }
    }

    /// The people, for reading.
    pub const fn records(&self) -> &Records<Person> {
        &self.records
    }

    /// Adds a person.
    #[tracing::instrument(skip_all, err(level = "debug"))]
    pub async fn create(&self, call: &Call, new: NewPerson) -> Result<Person, RecordError> {
        call.caller.require(Person::WRITE)?;
        let NewPerson { name, email, role, workspaces } = new;
        require_workspaces(&self.workspaces, call, &workspaces).await?;
        let now = self.world.now();
        let person = Person {
            id: PersonId::from_uuid(self.world.uuid()),
            revision: Revision::FIRST,
            organization_id: call.caller.organization,
            name,
            email,
            role,
            workspaces,
            created_at: now,
            updated_at: now,
            deleted_at: None,
        };
        self.records.insert(call, person).await
    }

    /// Changes a person. What their keys may do changes with their role and workspaces. Nobody changes their own role.
    #[tracing::instrument(skip_all, fields(%id), err(level = "debug"))]
    pub async fn update(
        &self,
        call: &Call,
        id: PersonId,
        expected: Option<Revision>,
        patch: PersonPatch,
    ) -> Result<Person, RecordError> {
        call.caller.require(Person::WRITE)?;
        let PersonPatch { name, email, role, workspaces } = patch;
        if let Some(workspaces) = &workspaces {
            require_workspaces(&self.workspaces, call, workspaces).await?;
        }
        let is_self = is_self(call, id);
        let updated = self.records.update(call, id, expected, |it, changes| {
            if is_self && role.is_some_and(|role| role != it.role) {
                let reason = "must be changed by another admin than yourself".to_owned();
                return Err(RecordError::Invalid { attribute: "role", reason });
            }
            changes.set("name", &mut it.name, name);
            changes.set("email", &mut it.email, email);
            changes.set("role", &mut it.role, role);
            changes.set("workspaces", &mut it.workspaces, workspaces);
            Ok(())
        });
        self.forgetting(updated.await)
    }

    /// Soft-deletes a person. Their keys stop working, so nobody deletes themself.
    pub async fn delete(
        &self,
        call: &Call,
        id: PersonId,
        expected: Option<Revision>,
    ) -> Result<(), RecordError> {
        if is_self(call, id) {
            self.records.live(call, id, expected).await?;
            let reason = "this call is made in their name; another admin can delete them";
            return Err(RecordError::InUse { resource: Person::TYPE, id: id.to_string(), reason });
        }
        self.forgetting(self.records.delete(call, id, expected).await)
    }

    /// Brings a deleted person back. Their keys work again.
    pub async fn restore(
        &self,
        call: &Call,
        id: PersonId,
        expected: Option<Revision>,
    ) -> Result<Person, RecordError> {
        self.forgetting(self.records.restore(call, id, expected).await)
    }

    /// Removes a deleted person for good.
    pub async fn purge(
        &self,
        call: &Call,
        id: PersonId,
        expected: Option<Revision>,
    ) -> Result<(), RecordError> {
        self.forgetting(self.records.purge(call, id, expected).await)
    }

    /// What a key may do depends on its owner.
    fn forgetting<T>(&self, done: Result<T, RecordError>) -> Result<T, RecordError> {
        self.sessions.clear();
        done
    }
}

/// Whether the call is made in the name of the person that it is about.
fn is_self(call: &Call, id: PersonId) -> bool {
    call.caller.actor == Actor::Person(id)
}

/// All of `ids` are live workspaces of the caller's organization.
pub(crate) async fn require_workspaces(
    workspaces: &Records<Workspace>,
    call: &Call,
    ids: &BTreeSet<WorkspaceId>,
) -> Result<(), RecordError> {
    for id in ids {
        require_live(workspaces, &call.caller, *id, "workspaces").await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::fixtures::{call, code, id, keep, myself, person, workspace, world};

    #[tokio::test]
    async fn people_work_in_workspaces_that_are_there() {
        let workspaces = keep(vec![workspace(1, None)]).store;
        let people = People::new(keep(Vec::new()).store, workspaces, Arc::default(), world());
        let new = |number: u128| NewPerson {
            name: "Ada".parse().unwrap(),
            email: "ada@example.com".parse().unwrap(),
            role: Role::Designer,
            workspaces: [id(number)].into(),
        };
        let call = call(Role::Admin);
        let ada = people.create(&call, new(1)).await.unwrap();
        assert_eq!(ada.organization_id, call.caller.organization);
        assert_eq!(code(people.create(&call, new(2)).await), "resource.dangling");
    }

    #[tokio::test]
    async fn nobody_locks_themself_out() {
        let (own, other) = (myself(), id(11));
        let kept = keep(vec![person(10, Role::Admin, &[]), person(11, Role::Admin, &[])]);
        let people = People::new(
            Arc::clone(&kept.store) as _,
            keep(Vec::new()).store,
            Arc::default(),
            world(),
        );
        let call = call(Role::Admin);
        let become_a = async |who, role| {
            let patch = PersonPatch { role: Some(role), ..PersonPatch::default() };
            code(people.update(&call, who, None, patch).await)
        };
        assert_eq!(become_a(own, Role::Viewer).await, "resource.invalid");
        assert_eq!(become_a(own, Role::Admin).await, "ok");
        assert!(kept.is_untouched());
        assert_eq!(become_a(other, Role::Viewer).await, "ok");
        let (action, details) = kept.act();
        assert_eq!(action, "person.updated");
        let roles = (&details["before"]["role"], &details["after"]["role"]);
        assert_eq!(roles, (&json!("admin"), &json!("viewer")));
        assert_eq!(code(people.delete(&call, own, None).await), "resource.dangling");
        assert_eq!(code(people.delete(&call, other, None).await), "ok");
    }
}
