//! What reading and writing each kind of thing takes: the table of permissions and tenancy.

use linkspan_domain::{
    Action, Actor, ApiKey, Attribute, AuditEvent, Caller, ConnectionTest, Connector,
    ConnectorFilter, ConnectorMapping, CredentialVersion, Diagnostic, Entity, Filter, FilterScope,
    FilterTest, FilterValue, KeyRotation, Permission, Person, Platform, Provider,
    ProviderConnector, Resource, Revision, SyncLog, SyncTarget, UploadedFile, Visible, Within,
    Workspace, WorkspaceConnector, WorkspaceId,
};
use serde_json::{Value, json};
use time::OffsetDateTime;
use uuid::Uuid;

use super::RecordError;

/// A kind of thing that callers read.
pub trait Readable: Resource {
    /// What reading takes. None: everybody who came in may, and sees what [`is_shown`](Self::is_shown) says.
    const READ: Option<Permission>;

    /// What of it the caller's organization and workspace hold.
    fn tenancy(caller: &Caller) -> Self::Tenancy;

    /// Whether it is soft-deleted.
    fn is_deleted(&self) -> bool;

    /// Whether the caller may see this one, of all that their tenancy holds.
    fn is_shown(&self, _: &Caller) -> bool {
        true
    }

    /// The same as a filter for lists.
    fn shown(_: &Caller) -> Option<Filter> {
        None
    }
}

/// A kind of thing that callers write.
pub trait Writable: Readable {
    /// What writing takes at least.
    const WRITE: Permission;
    /// Which attribute is unique among live things, for the caller who chose a taken one.
    const UNIQUE: &'static str;
    /// What the audit trail calls it when one is deleted.
    const DELETED: Action = Action::Deleted;

    /// Passes if the caller may write this one.
    fn guard(&self, _: &Caller) -> Result<(), RecordError> {
        Ok(())
    }

    /// Who may do what by it, if that is what it is about: the audit trail keeps it. Never a secret.
    fn rights(&self) -> Value {
        Value::Null
    }

    /// What each write sets.
    fn stamps(&mut self) -> Stamps<'_>;
}

/// What each write of a thing sets.
#[derive(Debug)]
pub struct Stamps<'a> {
    /// How often it was written.
    pub revision: &'a mut Revision,
    /// When it was last written.
    pub updated_at: &'a mut OffsetDateTime,
    /// When it was deleted.
    pub deleted_at: &'a mut Option<OffsetDateTime>,
}

/// What all writable kinds do the same way.
macro_rules! stamped {
    () => {
        fn stamps(&mut self) -> Stamps<'_> {
            Stamps {
                revision: &mut self.revision,
                updated_at: &mut self.updated_at,
                deleted_at: &mut self.deleted_at,
            }
        }
    };
}

/// What all kinds with a `deleted_at` do the same way.
macro_rules! soft_deleted {
    () => {
        fn is_deleted(&self) -> bool {
            self.deleted_at.is_some()
        }
    };
}

macro_rules! of_the_platform {
    ($($kind:ident, $unique:literal;)+) => {$(
        impl Readable for $kind {
            const READ: Option<Permission> = Some(Permission::ConnectorRead);

            fn tenancy(_: &Caller) -> Platform {
                Platform
            }

            soft_deleted!();
        }

        impl Writable for $kind {
            const WRITE: Permission = Permission::OrgAdmin;
            const UNIQUE: &'static str = $unique;

            stamped!();
        }
    )+};
}

of_the_platform! {
    Connector, "service_id";
    Provider, "slug";
    ProviderConnector, "connector_id";
}

macro_rules! seen_from_a_workspace {
    ($($kind:ident)+) => {$(
        impl Readable for $kind {
            const READ: Option<Permission> = Some(Permission::ConnectorRead);

            fn tenancy(caller: &Caller) -> Visible {
                caller.visible.clone()
            }

            fn is_deleted(&self) -> bool {
                false
            }
        }
    )+};
}

seen_from_a_workspace! { ConnectionTest CredentialVersion Diagnostic SyncLog }

impl Readable for WorkspaceConnector {
    const READ: Option<Permission> = Some(Permission::ConnectorRead);

    fn tenancy(caller: &Caller) -> Visible {
        caller.visible.clone()
    }

    soft_deleted!();
}

impl Writable for WorkspaceConnector {
    const WRITE: Permission = Permission::ConnectorManage;
    const UNIQUE: &'static str = "name";

    fn guard(&self, caller: &Caller) -> Result<(), RecordError> {
        own(self, self.workspace_id, caller)
    }

    stamped!();
}

impl Readable for UploadedFile {
    const READ: Option<Permission> = Some(Permission::ConnectorRead);

    fn tenancy(caller: &Caller) -> Visible {
        caller.visible.clone()
    }

    soft_deleted!();
}

impl Writable for UploadedFile {
    const WRITE: Permission = Permission::ConnectorManage;
    const UNIQUE: &'static str = "path";

    fn guard(&self, caller: &Caller) -> Result<(), RecordError> {
        own(self, self.workspace_id, caller)
    }

    stamped!();
}

impl Readable for ConnectorFilter {
    const READ: Option<Permission> = Some(Permission::ConnectorRead);

    fn tenancy(caller: &Caller) -> Visible {
        caller.visible.clone()
    }

    soft_deleted!();
}

impl Writable for ConnectorFilter {
    const WRITE: Permission = Permission::ConnectorManage;
    const UNIQUE: &'static str = "connector_id";

    fn guard(&self, caller: &Caller) -> Result<(), RecordError> {
        match self.scope {
            FilterScope::Template => Ok(caller.require(Permission::OrgAdmin)?),
            FilterScope::Custom(workspace) => own(self, workspace, caller),
        }
    }

    stamped!();
}

impl Readable for ConnectorMapping {
    const READ: Option<Permission> = Some(Permission::ConnectorRead);

    fn tenancy(caller: &Caller) -> Visible {
        caller.visible.clone()
    }

    soft_deleted!();
}

impl Writable for ConnectorMapping {
    const WRITE: Permission = Permission::ConnectorManage;
    const UNIQUE: &'static str = "stream";

    fn guard(&self, caller: &Caller) -> Result<(), RecordError> {
        own(self, self.workspace_id, caller)
    }

    stamped!();
}

impl Readable for Entity {
    const READ: Option<Permission> = Some(Permission::ConnectorRead);

    fn tenancy(caller: &Caller) -> Visible {
        caller.visible.clone()
    }

    soft_deleted!();
}

impl Readable for SyncTarget {
    const READ: Option<Permission> = Some(Permission::ConnectorRead);

    fn tenancy(caller: &Caller) -> Visible {
        caller.visible.clone()
    }

    soft_deleted!();
}

impl Writable for SyncTarget {
    const WRITE: Permission = Permission::ConnectorManage;
    const UNIQUE: &'static str = "target_workspace_id";

    fn guard(&self, caller: &Caller) -> Result<(), RecordError> {
        own(self, self.workspace_id, caller)
    }

    stamped!();
}

impl Readable for Workspace {
    const READ: Option<Permission> = None;

    fn tenancy(caller: &Caller) -> Within {
        caller.within()
    }

    soft_deleted!();

    fn is_shown(&self, caller: &Caller) -> bool {
        is_admin(caller) || caller.visible.contains(self.id)
    }

    fn shown(caller: &Caller) -> Option<Filter> {
        let seen = caller.visible.workspaces.iter();
        let seen = seen.map(|it| FilterValue::Id(it.uuid())).collect();
        (!is_admin(caller)).then(|| Filter {
            attribute: Attribute::id("workspace_id"),
            test: FilterTest::OneOf(seen),
        })
    }
}

impl Writable for Workspace {
    const WRITE: Permission = Permission::OrgAdmin;
    const UNIQUE: &'static str = "slug";

    stamped!();
}

impl Readable for Person {
    const READ: Option<Permission> = None;

    fn tenancy(caller: &Caller) -> Within {
        caller.within()
    }

    soft_deleted!();

    fn is_shown(&self, caller: &Caller) -> bool {
        is_admin(caller) || caller.actor == Actor::Person(self.id)
    }

    fn shown(caller: &Caller) -> Option<Filter> {
        let themself = match caller.actor {
            Actor::Person(id) => id.uuid(),
            // Nobody has it.
            Actor::ApiKey(_) | Actor::System => Uuid::nil(),
        };
        (!is_admin(caller)).then_some(Filter {
            attribute: Attribute::id("person_id"),
            test: FilterTest::Equals(FilterValue::Id(themself)),
        })
    }
}

impl Writable for Person {
    const WRITE: Permission = Permission::OrgAdmin;
    const UNIQUE: &'static str = "email";

    fn rights(&self) -> Value {
        json!({ "role": self.role, "workspaces": self.workspaces })
    }

    stamped!();
}

impl Readable for ApiKey {
    const READ: Option<Permission> = Some(Permission::OrgAdmin);

    fn tenancy(caller: &Caller) -> Within {
        caller.within()
    }

    soft_deleted!();
}

impl Writable for ApiKey {
    const WRITE: Permission = Permission::OrgAdmin;
    const UNIQUE: &'static str = "name";
    const DELETED: Action = Action::KeyRevoked;

    fn rights(&self) -> Value {
        json!({
            "person_id": self.person_id,
            "permissions": self.permissions,
            "workspaces": self.workspaces,
        })
    }

    stamped!();
}

macro_rules! seen_by_admins {
    ($($kind:ident)+) => {$(
        impl Readable for $kind {
            const READ: Option<Permission> = Some(Permission::OrgAdmin);

            fn tenancy(caller: &Caller) -> Within {
                caller.within()
            }

            fn is_deleted(&self) -> bool {
                false
            }
        }
    )+};
}

seen_by_admins! { AuditEvent KeyRotation }

fn is_admin(caller: &Caller) -> bool {
    caller.require(Permission::OrgAdmin).is_ok()
}

/// A parent reads its descendants; to write, one acts in the workspace itself.
fn own<R: Resource>(thing: &R, workspace: WorkspaceId, caller: &Caller) -> Result<(), RecordError> {
    if workspace == caller.visible.workspace {
        Ok(())
    } else {
        Err(RecordError::Elsewhere { resource: R::TYPE, id: thing.id().to_string() })
    }
}
