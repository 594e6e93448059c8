//! The contract of [`IdempotencyStore`].
#![expect(clippy::unwrap_used, reason = "a broken contract fails the test")]

use linkspan_domain::{
    IdempotencyReply, ResourceType,
    ports::{CLAIM_LASTS, Claimed, IdempotencyStore, REPLY_LASTS, Store},
};
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use crate::fixtures::{EPOCH, receipt};

/// Checks an [`IdempotencyStore`] against its contract. `effects` is any store that keeps receipts with its effects.
///
/// # Panics
///
/// When the store breaks its contract.
pub async fn idempotency_store(
    store: &dyn IdempotencyStore,
    effects: &dyn Store<linkspan_domain::Connector>,
) {
    one_call_at_a_time(store).await;
    what_was_released_is_free(store).await;
    a_claim_runs_out(store).await;
    another_payload_is_a_mismatch(store).await;
    a_reply_is_remembered_for_a_day(store, effects).await;
    keys_of_different_scopes_never_meet(store).await;
}

async fn claim(
    store: &dyn IdempotencyStore,
    key: &str,
    token: u128,
    now: OffsetDateTime,
) -> Claimed {
    store.claim("scope", key, "print", Uuid::from_u128(token), now).await.unwrap()
}

async fn one_call_at_a_time(store: &dyn IdempotencyStore) {
    let claims = (1..=16).map(|token| claim(store, "raced", token, EPOCH));
    let claims = futures_util::future::join_all(claims).await;
    let fresh = claims.iter().filter(|it| matches!(it, Claimed::Fresh(_))).count();
    let in_flight = claims.iter().filter(|it| **it == Claimed::InFlight).count();
    assert_eq!((fresh, in_flight), (1, 15), "{claims:?}");
}

async fn what_was_released_is_free(store: &dyn IdempotencyStore) {
    let Claimed::Fresh(held) = claim(store, "released", 1, EPOCH).await else { panic!("taken") };
    store.release(&held).await.unwrap();
    let again = claim(store, "released", 2, EPOCH).await;
    assert!(matches!(again, Claimed::Fresh(_)), "{again:?}");
    // The first call gives back what it no longer holds: that takes nothing from the second.
    store.release(&held).await.unwrap();
    assert_eq!(claim(store, "released", 3, EPOCH).await, Claimed::InFlight);
}

async fn a_claim_runs_out(store: &dyn IdempotencyStore) {
    let held = claim(store, "slow", 1, EPOCH).await;
    assert!(matches!(held, Claimed::Fresh(_)), "{held:?}");
    let almost = EPOCH + CLAIM_LASTS - Duration::SECOND;
    assert_eq!(claim(store, "slow", 2, almost).await, Claimed::InFlight);
    let Claimed::Fresh(next) = claim(store, "slow", 3, EPOCH + CLAIM_LASTS).await else {
        panic!("a claim that ran out can be claimed again")
    };
    assert_eq!(next.token, Uuid::from_u128(3));
}

async fn another_payload_is_a_mismatch(store: &dyn IdempotencyStore) {
    claim(store, "reused", 1, EPOCH).await;
    let other = store.claim("scope", "reused", "another print", Uuid::from_u128(2), EPOCH).await;
    assert_eq!(other.unwrap(), Claimed::Mismatch);
}

async fn a_reply_is_remembered_for_a_day(
    store: &dyn IdempotencyStore,
    effects: &dyn Store<linkspan_domain::Connector>,
) {
    let Claimed::Fresh(held) = claim(store, "done", 1, EPOCH).await else { panic!("taken") };
    let (resource_type, resource_id) = (ResourceType::Connector, Uuid::from_u128(77));
    let reply = IdempotencyReply { claim: held.clone(), resource_type, resource_id };
    effects.write(&[], &receipt(9_000, Some(reply))).await.unwrap();
    // What is done cannot be given back.
    store.release(&held).await.unwrap();

    let almost = EPOCH + REPLY_LASTS - Duration::SECOND;
    let done = Claimed::Done(resource_type, resource_id);
    assert_eq!(claim(store, "done", 2, almost).await, done);
    let next_day = claim(store, "done", 3, EPOCH + REPLY_LASTS).await;
    assert!(matches!(next_day, Claimed::Fresh(_)), "{next_day:?}");
}

async fn keys_of_different_scopes_never_meet(store: &dyn IdempotencyStore) {
    claim(store, "shared", 1, EPOCH).await;
    let other = store.claim("other scope", "shared", "print", Uuid::from_u128(2), EPOCH).await;
    assert!(matches!(other, Ok(Claimed::Fresh(_))), "{other:?}");
}
