//! Tests of looking at keys and of asking for a rotation.

use async_trait::async_trait;
use linkspan_domain::{
    KeyRotationStatus, ListQuery, Page, Receipt, Role, Within,
    ports::{Change, MockKeyStore, Purpose, Resealed, SealedCount, Store},
};
use serde_json::json;
use time::OffsetDateTime;

use super::*;
use crate::fixtures::{KEY, LOST_KEY, OLD_KEY, call, vault, world};

mockall::mock! {
    pub(crate) Rotations {}

    #[async_trait]
    impl Store<KeyRotation> for Rotations {
        async fn find(&self, tenancy: &Within, id: KeyRotationId) -> Result<Option<KeyRotation>, StoreError>;
        async fn find_all(&self, tenancy: &Within, ids: &[KeyRotationId]) -> Result<Vec<KeyRotation>, StoreError>;
        async fn list(&self, tenancy: &Within, query: &ListQuery) -> Result<Page<KeyRotation>, StoreError>;
        async fn write(&self, changes: &[Change<KeyRotation>], receipt: &Receipt) -> Result<(), StoreError>;
    }

    #[async_trait]
    impl KeyRotationStore for Rotations {
        async fn start(&self, rotation: &KeyRotation, receipt: &Receipt) -> Result<KeyRotation, StoreError>;
        async fn claim(&self, key: KeyId, worker: &str, now: OffsetDateTime, until: OffsetDateTime) -> Result<Option<KeyRotation>, StoreError>;
        async fn advance(&self, rotation: KeyRotation, worker: &str, blobs: &[Resealed]) -> Result<KeyRotation, StoreError>;
    }
}

fn counted(key: Option<KeyId>, count: u64) -> SealedCount {
    SealedCount { key, purpose: Purpose::Credentials, count }
}

fn used(key: KeyId, sealed: u64) -> KeyUsage {
    KeyUsage { key, purpose: Purpose::Credentials, sealed }
}

fn keys(rotations: MockRotations, census: Vec<SealedCount>, usage: Vec<KeyUsage>) -> Keys {
    let mut store = MockKeyStore::new();
    store.expect_census().returning(move || Ok(census.clone()));
    store.expect_usage().returning(move || Ok(usage.clone()));
    Keys::new(Arc::new(rotations), Arc::new(store), vault(), world(), Arc::default())
}

#[tokio::test]
async fn keys_are_listed_with_what_they_are_for_and_what_is_under_them() {
    let census = vec![counted(Some(LOST_KEY), 2), counted(Some(KEY), 5), counted(None, 1)];
    let usage = vec![used(KEY, 1 << 31), used(LOST_KEY, 7)];
    let listed = keys(MockRotations::new(), census, usage).list(&call(Role::Admin).caller).await;
    let listed = listed.unwrap();
    let said: Vec<_> = listed.iter().map(|it| (it.key, it.role, it.sealed)).collect();
    assert_eq!(
        said,
        [
            (Some(KEY), KeyRole::Current, 5),
            (Some(OLD_KEY), KeyRole::Previous, 0),
            (None, KeyRole::Unknown, 1),
            (Some(LOST_KEY), KeyRole::Unknown, 2),
        ]
    );
    assert!(listed[0].is_worn() && !listed[3].is_worn());
}

#[tokio::test]
async fn a_rotation_is_of_what_other_keys_sealed_and_leaves_a_trace() {
    let mut rotations = MockRotations::new();
    rotations.expect_start().returning(|it, receipt| {
        assert_eq!(receipt.audit.action, "keys.rotated");
        let details = json!({ "to_key": KEY, "from_keys": [OLD_KEY, LOST_KEY], "total": 5 });
        assert_eq!(receipt.audit.details, details);
        Ok(it.clone())
    });
    let census = vec![counted(Some(KEY), 9), counted(Some(OLD_KEY), 3), counted(Some(LOST_KEY), 2)];
    let rotation = keys(rotations, census, Vec::new()).rotate(&call(Role::Admin)).await.unwrap();
    assert_eq!((rotation.status, rotation.counts.total), (KeyRotationStatus::Running, 5));
}

#[tokio::test]
async fn with_nothing_to_do_a_rotation_is_done_at_once() {
    let mut rotations = MockRotations::new();
    rotations.expect_start().returning(|it, receipt| {
        assert_eq!(receipt.audit.action, "keys.rotation_unneeded");
        assert_eq!(receipt.audit.details, json!({ "to_key": KEY }));
        Ok(it.clone())
    });
    let census = vec![counted(Some(KEY), 9)];
    let rotation = keys(rotations, census, Vec::new()).rotate(&call(Role::Admin)).await.unwrap();
    assert_eq!((rotation.status, rotation.counts.total), (KeyRotationStatus::Done, 0));
}
