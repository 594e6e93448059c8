//! The contracts of the ports, on both databases.

use linkspan_domain::{
    OrganizationId, Status, Workspace, WorkspaceConnector,
    ports::{Change, Purpose, StoreError},
};
use linkspan_testkit::{
    contract::{self, SealedStores, Subject},
    fixtures::{EPOCH, Specimen, id, receipt},
};

use crate::{
    place::{furnished, furnished_with, keep},
    scratch::{on_both, open},
};

on_both! {
    connectors
    workspace_connectors
    connector_filters
    connector_mappings
    entities
    files
    providers
    provider_connectors
    workspaces
    people
    api_keys
    audit_events
    connection_tests
    credential_versions
    keeping_credentials
    diagnostics
    idempotency
    access
    keys
    key_rotations
    noting_diagnostics
    grants
    what_belongs_to_grants_is_sealed_anew
    the_first_workspace_is_made_once
    retiring
    an_activation_and_the_end_of_its_workspace_exclude_each_other
}

/// Checks the store of one kind of thing.
macro_rules! stores {
    ($($kind:ident)+) => {$(
        async fn $kind(url: &str) {
            let (db, place) = furnished(url).await;
            let (audit, idempotency) = (db.audit_events(), db.idempotency());
            contract::store(&Subject::new(&*db.$kind(), &*audit, &*idempotency, &place)).await;
        }
    )+};
}

stores! {
    workspace_connectors
    connector_mappings
    entities
    files
    providers
    workspaces
    people
    api_keys
    audit_events
    connection_tests
    credential_versions
    diagnostics
}

async fn connectors(url: &str) {
    let (db, place) = furnished(url).await;
    let (store, audit, idempotency) = (db.connectors(), db.audit_events(), db.idempotency());
    contract::store(&Subject::new(&*store, &*audit, &*idempotency, &place)).await;
}

async fn connector_filters(url: &str) {
    // A workspace has one filter of a connector at most, so there is a connector for each.
    let (db, place) = furnished_with(url, 192).await;
    let (audit, idempotency) = (db.audit_events(), db.idempotency());
    let store = db.connector_filters();
    contract::store(&Subject::new(&*store, &*audit, &*idempotency, &place)).await;
}

async fn provider_connectors(url: &str) {
    // A connector has one provider at most, so it takes many.
    let (db, place) = furnished_with(url, 48).await;
    let (audit, idempotency) = (db.audit_events(), db.idempotency());
    let store = db.provider_connectors();
    contract::store(&Subject::new(&*store, &*audit, &*idempotency, &place)).await;
}

async fn idempotency(url: &str) {
    let db = open(url).await;
    contract::idempotency_store(&*db.idempotency(), &*db.connectors()).await;
}

async fn keys(url: &str) {
    let (db, place) = furnished(url).await;
    contract::key_store(&*db.keys(), &*db.workspace_connectors(), &place).await;
}

async fn key_rotations(url: &str) {
    let (db, place) = furnished(url).await;
    let (rotations, keys, activations) = (db.key_rotations(), db.keys(), db.workspace_connectors());
    contract::key_rotation_store(&*rotations, &*keys, &*activations, &place).await;
}

async fn access(url: &str) {
    let (db, place) = furnished(url).await;
    let (keys, people, workspaces) = (db.api_keys(), db.people(), db.workspaces());
    contract::access_store(&*db.access(), &*keys, &*people, &*workspaces, &place).await;
}

async fn the_first_workspace_is_made_once(url: &str) {
    let (full, place) = furnished(url).await;
    let first = |number: u32, organization_id: OrganizationId| Workspace {
        organization_id,
        parent_id: None,
        ..Workspace::specimen(number, &place)
    };
    contract::bootstrap(&*full.access(), &first(1, id(91)), &first(2, id(92))).await;
}

async fn retiring(url: &str) {
    let (db, place) = furnished(url).await;
    let (activations, audit) = (db.workspace_connectors(), db.audit_events());
    contract::catalog_store(&*db.connectors(), &*activations, &*audit, &place).await;
}

async fn an_activation_and_the_end_of_its_workspace_exclude_each_other(url: &str) {
    let (db, place) = furnished(url).await;
    let (workspaces, activations) = (db.workspaces(), db.workspace_connectors());
    for number in 1..20 {
        let workspace = Workspace { parent_id: None, ..Workspace::specimen(number, &place) };
        keep(&*workspaces, [workspace.clone()]).await;
        let activation = WorkspaceConnector {
            workspace_id: workspace.id,
            ..WorkspaceConnector::specimen(number, &place)
        };
        let gone = Workspace { deleted_at: Some(EPOCH), ..workspace };
        let (connect, delete) = ([Change::Insert(activation)], [Change::Update(gone)]);
        let (one, other) = (receipt(2 * number, None), receipt(2 * number + 1, None));
        let done =
            tokio::join!(activations.write(&connect, &one), workspaces.write(&delete, &other));
        assert!(
            matches!(
                done,
                (Ok(()), Err(StoreError::Dangling)) | (Err(StoreError::Dangling), Ok(()))
            ),
            "{done:?}"
        );
    }
}

async fn keeping_credentials(url: &str) {
    let (db, place) = furnished(url).await;
    let (credentials, activations) = (db.credential_versions(), db.workspace_connectors());
    contract::credential_store(credentials, &*activations, &place).await;
}

async fn noting_diagnostics(url: &str) {
    let (db, place) = furnished(url).await;
    contract::diagnostic_store(&*db.diagnostics(), &*db.workspace_connectors(), &place).await;
}

async fn grants(url: &str) {
    let (db, place) = furnished(url).await;
    let activations = [1, 2].map(|number| WorkspaceConnector {
        status: Status::ToConfigure,
        ..WorkspaceConnector::specimen(number, &place)
    });
    keep(&*db.workspace_connectors(), activations.clone()).await;
    let ids = [activations[0].id, activations[1].id];
    contract::oauth_client_store(&*db.oauth_clients(), ids).await;
    let authorizations = db.authorizations();
    contract::authorization_store(&*authorizations, &activations[0], place.organization).await;
    contract::grant_store(&*db.grants(), &*db.workspace_connectors(), &activations).await;
    let third = WorkspaceConnector { deleted_at: None, ..WorkspaceConnector::specimen(3, &place) };
    keep(&*db.workspace_connectors(), [third.clone()]).await;
    let grants = db.grants();
    contract::answers_are_settled(&*authorizations, &*grants, &third, place.organization).await;
}

async fn what_belongs_to_grants_is_sealed_anew(url: &str) {
    let (db, place) = furnished(url).await;
    let activation = WorkspaceConnector::specimen(1, &place);
    keep(&*db.workspace_connectors(), [activation.clone()]).await;
    let (keys, rotations) = (db.keys(), db.key_rotations());
    let (grants, clients, authorizations) = (db.grants(), db.oauth_clients(), db.authorizations());
    let stores = SealedStores {
        keys: &*keys,
        rotations: &*rotations,
        grants: &*grants,
        clients: &*clients,
        authorizations: &*authorizations,
    };
    contract::sealed_grants(&stores, &activation, &place).await;
    let mut listed = db.sealed().await.unwrap();
    listed.retain(|it| it.context.purpose != Purpose::Credentials);
    assert_eq!(listed.len(), 3, "grant, the one before, client");
    assert!(listed.iter().all(|it| it.name == activation.name.as_str()), "{listed:?}");
}
