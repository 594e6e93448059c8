//! What made-up things refer to.

use linkspan_domain::{
    Connector, OrganizationId, Person, Provider, Resource, Workspace, WorkspaceConnector,
    ports::{Change, Store},
};
use linkspan_persistence::Database;
use linkspan_testkit::fixtures::{Place, Specimen, id, receipt};

use crate::scratch::{open, run};

/// The numbers of the things of a place: no test uses them.
const NUMBERS: u32 = 7_000_000;

/// A new database at `url` with everything that made-up things refer to.
pub(crate) async fn furnished(url: &str) -> (Database, Place) {
    furnished_with(url, 2).await
}

/// As [`furnished`], with so many connectors.
pub(crate) async fn furnished_with(url: &str, connectors: u32) -> (Database, Place) {
    let db = open(url).await;
    let place = Place {
        organization: id(NUMBERS),
        stranger: id(NUMBERS + 1),
        workspace: id(NUMBERS),
        lower_workspace: id(NUMBERS + 1),
        foreign_workspace: id(NUMBERS + 2),
        person: id(NUMBERS),
        connectors: (NUMBERS..NUMBERS + connectors).map(id).collect(),
        provider: id(NUMBERS),
        activation: id(NUMBERS),
    };
    add_organization(url, place.organization).await;
    add_organization(url, place.stranger).await;
    let workspace = |number| Workspace { parent_id: None, ..Workspace::specimen(number, &place) };
    let lower = Workspace { parent_id: Some(place.workspace), ..workspace(NUMBERS + 1) };
    let foreign = Workspace { organization_id: place.stranger, ..workspace(NUMBERS + 2) };
    keep(&*db.workspaces(), [workspace(NUMBERS), lower, foreign]).await;
    keep(&*db.people(), [Person::specimen(NUMBERS, &place)]).await;
    let connectors = (NUMBERS..NUMBERS + connectors).map(|it| Connector::specimen(it, &place));
    keep(&*db.connectors(), connectors).await;
    keep(&*db.providers(), [Provider::specimen(NUMBERS, &place)]).await;
    keep(&*db.workspace_connectors(), [WorkspaceConnector::specimen(NUMBERS, &place)]).await;
    (db, place)
}

/// Keeps `things` in `store`.
pub(crate) async fn keep<R: Resource, S: Store<R> + ?Sized>(
    store: &S,
    things: impl IntoIterator<Item = R>,
) {
    let things: Vec<_> = things.into_iter().map(Change::Insert).collect();
    let mut receipt = receipt(0, None);
    receipt.audit.id = linkspan_domain::AuditEventId::from_uuid(uuid::Uuid::new_v4());
    store.write(&things, &receipt).await.unwrap();
}

/// There is no port for a second organization: an installation has one.
async fn add_organization(url: &str, id: OrganizationId) {
    let id = if url.starts_with("sqlite") {
        format!("x'{}'", id.uuid().simple())
    } else {
        format!("'{id}'")
    };
    let sql = format!(
        "INSERT INTO organizations (organization_id, name, created_at, updated_at)
         VALUES ({id}, 'Test', '2026-05-01T12:00:00.000000Z', '2026-05-01T12:00:00.000000Z')"
    );
    run(url, &sql).await.unwrap();
}
