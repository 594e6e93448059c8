//! The contracts of the ports, on both databases.

use linkspan_domain::{OrganizationId, Workspace};
use linkspan_testkit::{
    contract::{self, Subject},
    fixtures::{Specimen, id},
};

use crate::{
    place::{furnished, furnished_with},
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
    diagnostics
    idempotency
    access
    noting_diagnostics
    the_first_workspace_is_made_once
    retiring
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

async fn noting_diagnostics(url: &str) {
    let (db, place) = furnished(url).await;
    contract::diagnostic_store(&*db.diagnostics(), &*db.workspace_connectors(), &place).await;
}
