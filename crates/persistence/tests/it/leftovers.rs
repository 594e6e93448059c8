//! What activations have with providers when they go, whatever takes them along.

use std::sync::Arc;

use linkspan_domain::{
    Connector, Platform, Visible, Within, Workspace, WorkspaceConnector,
    ports::{AuthorizationStore, Change, GrantStore, Left, OauthClientStore},
};
use linkspan_migration::{Migrator, MigratorTrait};
use linkspan_persistence::Database;
use linkspan_testkit::{
    contract::{self, LeftBehind, ProviderStores},
    fixtures::{EPOCH, Place, Specimen, receipt},
};

use crate::{
    migrations::{down_to_before, sea},
    place::{furnished, keep},
    scratch::on_both,
};

on_both! {
    grants_and_what_is_left_survive_later_migrations
    an_activation_that_goes_leaves_what_it_has_with_providers
    what_goes_with_its_connector_is_left
    what_goes_with_its_workspace_is_left_when_that_is_purged_and_no_sooner
    what_is_left_is_found_among_what_is_sealed
}

/// Keeps what activations have with providers.
struct Stores {
    grants: Arc<dyn GrantStore>,
    clients: Arc<dyn OauthClientStore>,
    authorizations: Arc<dyn AuthorizationStore>,
}

impl Stores {
    fn of(db: &Database) -> Self {
        let (grants, clients) = (db.grants(), db.oauth_clients());
        Self { grants, clients, authorizations: db.authorizations() }
    }

    fn all(&self) -> ProviderStores<'_> {
        ProviderStores {
            grants: &*self.grants,
            clients: &*self.clients,
            authorizations: &*self.authorizations,
        }
    }
}

async fn an_activation_that_goes_leaves_what_it_has_with_providers(url: &str) {
    let (db, place) = furnished(url).await;
    let [first, second] = [1, 2].map(|number| WorkspaceConnector::specimen(number, &place));
    let activations = db.workspace_connectors();
    keep(&*activations, [first.clone(), second.clone()]).await;
    let stores = Stores::of(&db);
    contract::replaced_clients_are_left(stores.all(), &first, place.organization).await;
    contract::answers_are_given_up(stores.all(), &first, place.organization).await;
    contract::leftovers(stores.all(), &*activations, &second, place.organization).await;
}

async fn connected(db: &Database, place: &Place, activation: &WorkspaceConnector) -> LeftBehind {
    keep(&*db.workspace_connectors(), [activation.clone()]).await;
    contract::connected(Stores::of(db).all(), activation, place.organization, 20).await
}

async fn deleted(db: &Database, activation: &WorkspaceConnector) -> WorkspaceConnector {
    let (activations, visible) =
        (db.workspace_connectors(), Visible::only(activation.workspace_id));
    let kept = activations.find(&visible, activation.id).await.unwrap().unwrap();
    let gone = [Change::Update(WorkspaceConnector { deleted_at: Some(EPOCH), ..kept })];
    activations.write(&gone, &receipt(11, None)).await.unwrap();
    activations.find(&visible, activation.id).await.unwrap().unwrap()
}

/// All refresh tokens there are go through these.
async fn grants_and_what_is_left_survive_later_migrations(url: &str) {
    let (db, place) = furnished(url).await;
    let [live, gone] = [1, 2].map(|number| WorkspaceConnector::specimen(number, &place));
    connected(&db, &place, &live).await;
    keep(&*db.workspace_connectors(), [gone.clone()]).await;
    let expected = contract::connected(Stores::of(&db).all(), &gone, place.organization, 40).await;
    let gone = deleted(&db, &gone).await;
    let purge = [Change::Purge(gone)];
    db.workspace_connectors().write(&purge, &receipt(60, None)).await.unwrap();
    let before = db.grants().grant(live.id).await.unwrap().unwrap();
    assert!(before.previous.is_some() && before.reply.is_some() && before.fence.0 > 1);

    let schema = sea(url).await;
    down_to_before(&schema, "m0026_oauth_telling").await;
    Migrator::up(&schema, None).await.unwrap();
    assert_eq!(db.grants().grant(live.id).await.unwrap(), Some(before));
    let left = contract::taken(&*db.grants()).await.unwrap();
    // The table had no place for the rest.
    let kept = expected.things.into_iter().filter(|it| !matches!(it, Left::Answer { .. }));
    let kept = kept.map(|it| match it {
        Left::Grant { issuer, held, .. } => {
            Left::Grant { issuer, held, previous: None, reply: None }
        }
        other => other,
    });
    assert_eq!((left.owner, left.things), (expected.owner, kept.collect::<Vec<_>>()));
}

async fn what_goes_with_its_connector_is_left(url: &str) {
    let (db, place) = furnished(url).await;
    let connectors = db.connectors();
    let connector = Connector::specimen(11, &place);
    keep(&*connectors, [connector.clone()]).await;
    let activation = WorkspaceConnector {
        connector_id: connector.id,
        ..WorkspaceConnector::specimen(1, &place)
    };
    let expected = connected(&db, &place, &activation).await;
    let gone = Connector { deleted_at: Some(EPOCH), ..connector.clone() };
    connectors.retire(&gone, &receipt(12, None)).await.unwrap();
    let gone = connectors.find(&Platform, connector.id).await.unwrap().unwrap();
    connectors.write(&[Change::Purge(gone)], &receipt(13, None)).await.unwrap();
    assert_eq!(contract::taken(&*db.grants()).await, Some(expected));
    assert_eq!(contract::taken(&*db.grants()).await, None);
}

async fn what_goes_with_its_workspace_is_left_when_that_is_purged_and_no_sooner(url: &str) {
    let (db, place) = furnished(url).await;
    let workspaces = db.workspaces();
    let workspace = Workspace { parent_id: None, ..Workspace::specimen(11, &place) };
    keep(&*workspaces, [workspace.clone()]).await;
    let activation = WorkspaceConnector {
        workspace_id: workspace.id,
        ..WorkspaceConnector::specimen(1, &place)
    };
    let expected = connected(&db, &place, &activation).await;
    deleted(&db, &activation).await;
    let gone = [Change::Update(Workspace { deleted_at: Some(EPOCH), ..workspace.clone() })];
    workspaces.write(&gone, &receipt(12, None)).await.unwrap();
    assert_eq!(contract::taken(&*db.grants()).await, None, "it can be restored");
    let within = Within(place.organization);
    let gone = workspaces.find(&within, workspace.id).await.unwrap().unwrap();
    workspaces.write(&[Change::Purge(gone)], &receipt(13, None)).await.unwrap();
    assert_eq!(contract::taken(&*db.grants()).await, Some(expected));
}

async fn what_is_left_is_found_among_what_is_sealed(url: &str) {
    let (db, place) = furnished(url).await;
    let activation = WorkspaceConnector::specimen(1, &place);
    connected(&db, &place, &activation).await;
    let before = db.sealed().await.unwrap();
    let gone = deleted(&db, &activation).await;
    let purge = [Change::Purge(gone)];
    db.workspace_connectors().write(&purge, &receipt(12, None)).await.unwrap();
    let mut after = db.sealed().await.unwrap();
    after.retain(|it| it.name == activation.name.as_str());
    assert_eq!(after.len(), 6, "a grant in three parts, what an exchange brought, and two clients");
    assert!(after.iter().all(|it| before.contains(it)), "bound to what they were bound to");
}
