//! The contract of [`DiagnosticStore`], beyond that of a store.
#![expect(clippy::unwrap_used, reason = "a broken contract fails the test")]

use std::slice;

use linkspan_domain::{
    Diagnostic, DiagnosticReason, WorkspaceConnector,
    ports::{Change, DiagnosticStore, Store, StoreError},
};
use time::Duration;

use crate::fixtures::{Place, Specimen, id, receipt};

/// Checks a [`DiagnosticStore`] against its contract, with the store of the activations that are noted about.
///
/// # Panics
///
/// When the store breaks its contract.
pub async fn diagnostic_store(
    store: &dyn DiagnosticStore,
    activations: &dyn Store<WorkspaceConnector>,
    place: &Place,
) {
    let other = WorkspaceConnector::specimen(950, place);
    activations.write(&[Change::Insert(other.clone())], &receipt(9_300, None)).await.unwrap();
    let seen = Diagnostic::tenancy(place);
    let noted = |number| Diagnostic {
        workspace_connector_id: place.activation,
        ..Diagnostic::specimen(number, place)
    };
    let found =
        async |it: &Diagnostic| store.find(&seen, it.id).await.unwrap().as_ref() == Some(it);

    for (reason, both) in
        [(DiagnosticReason::SchemaDrift, false), (DiagnosticReason::RowsDiscarded, true)]
    {
        let number = 10 + u32::from(both);
        let first = Diagnostic { reason, ..noted(number) };
        let again = Diagnostic { id: id(4_000_011 + number), ..first.clone() };
        store.note(slice::from_ref(&first)).await.unwrap();
        store.note(slice::from_ref(&again)).await.unwrap();
        assert!(found(&again).await, "{reason}");
        assert_eq!(found(&first).await, both, "{reason}: only losses are said twice");
    }

    store.note(&[]).await.unwrap();
    let [old, young] = [noted(1), noted(2)];
    let young = Diagnostic { created_at: old.created_at + Duration::SECOND, ..young };
    let elsewhere = Diagnostic { workspace_connector_id: other.id, ..noted(3) };
    store.note(&[young.clone(), old.clone(), elsewhere.clone()]).await.unwrap();
    for it in [&old, &young, &elsewhere] {
        assert!(found(it).await, "{it:?}");
    }

    let late = Diagnostic { created_at: young.created_at + Diagnostic::KEPT, ..noted(4) };
    let lost = Diagnostic { workspace_connector_id: id(4_000_002), ..noted(5) };
    let refused = store.note(&[late.clone(), lost]).await;
    assert!(matches!(refused, Err(StoreError::Dangling)), "{refused:?}");
    assert!(found(&old).await && !found(&late).await, "all or none");

    store.note(slice::from_ref(&late)).await.unwrap();
    assert!(found(&late).await && found(&young).await, "kept to the last second");
    assert!(!found(&old).await, "forgotten");
    assert!(found(&elsewhere).await, "what is noted of others is left alone");
}
