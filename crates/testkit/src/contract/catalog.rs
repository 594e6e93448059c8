//! The contract of [`CatalogStore`], beyond that of a store.
#![expect(clippy::unwrap_used, reason = "a broken contract fails the test")]

use linkspan_domain::{
    AuditEvent, Connector, Status, WorkspaceConnector,
    ports::{CatalogStore, Change, Store, StoreError},
};
use time::Duration;

use crate::fixtures::{Place, Specimen, receipt, receipts};

/// Checks a [`CatalogStore`] against its contract, with the stores over the same things.
///
/// # Panics
///
/// When the store breaks its contract.
pub async fn catalog_store(
    catalog: &dyn CatalogStore,
    activations: &dyn Store<WorkspaceConnector>,
    audit: &dyn Store<AuditEvent>,
    place: &Place,
) {
    let connector = Connector::specimen(900, place);
    catalog.write(&[Change::Insert(connector.clone())], &receipt(9_200, None)).await.unwrap();
    let activation = |number| WorkspaceConnector {
        connector_id: connector.id,
        ..WorkspaceConnector::specimen(number, place)
    };
    let [one, two, past] = [901, 902, 903].map(activation);
    let past = WorkspaceConnector { deleted_at: Some(past.created_at), ..past };
    let changes = [one.clone(), two.clone(), past.clone()].map(Change::Insert);
    activations.write(&changes, &receipt(9_201, None)).await.unwrap();

    let refused = catalog.write(&[Change::Purge(connector.clone())], &receipt(9_202, None)).await;
    assert!(matches!(refused, Err(StoreError::Dangling)), "live activations: {refused:?}");

    let now = connector.created_at + Duration::days(1);
    let gone = Connector { deleted_at: Some(now), updated_at: now, ..connector.clone() };
    let kept = receipt(9_203, None);
    assert_eq!(catalog.retire(&gone, &kept).await.unwrap(), 2);
    let seen = WorkspaceConnector::tenancy(place);
    for activation in [one, two] {
        let found = activations.find(&seen, activation.id).await.unwrap().unwrap();
        assert_eq!((found.status, found.deleted_at), (Status::Disabled, Some(now)));
        assert_eq!(found.revision, activation.revision.next());
    }
    assert_eq!(activations.find(&seen, past.id).await.unwrap(), Some(past.clone()));
    let event = audit.find(&receipts(), kept.audit.id).await.unwrap().unwrap();
    assert_eq!(event.details["workspace_connectors"], 2);

    let again = catalog.retire(&gone, &receipt(9_204, None)).await;
    assert!(matches!(again, Err(StoreError::Stale)), "{again:?}");

    let late = activation(904);
    let refused = activations.write(&[Change::Insert(late)], &receipt(9_205, None)).await;
    assert!(matches!(refused, Err(StoreError::Dangling)), "of a retired one: {refused:?}");

    let retired = Connector { revision: connector.revision.next(), ..gone };
    catalog.write(&[Change::Purge(retired)], &receipt(9_206, None)).await.unwrap();
    assert_eq!(activations.find(&seen, past.id).await.unwrap(), None, "its activations go too");
}
