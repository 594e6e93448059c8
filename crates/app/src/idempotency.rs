//! Idempotency keys: a call that is made twice has its effect once.

use std::sync::Arc;

use linkspan_domain::{
    Call, Code, Problem, ResourceType,
    ports::{Claimed, IdempotencyStore, StoreError, World},
};
use uuid::Uuid;

use crate::records::store_code;

/// Sees to it that a call that is made twice under one key has its effect once.
///
/// The effect itself fulfils the claim, in its own transaction: services write the claim of their [`Call`] with it.
pub struct Idempotency {
    store: Arc<dyn IdempotencyStore>,
    world: Arc<dyn World>,
}

/// What to do about a call under a key.
#[derive(Clone, Debug, PartialEq)]
pub enum Begun {
    /// Make it: this is the call, with its claim. [`Idempotency::release`] it if it fails.
    Fresh(Call),
    /// Answer with what came of it the first time.
    Replay(ResourceType, Uuid),
}

/// Why a call under a key is not made.
#[derive(Debug, thiserror::Error)]
pub enum IdempotencyError {
    /// The key cannot be one.
    #[error("an idempotency key has 1 to 255 printable ASCII characters")]
    InvalidKey,
    /// The first call with it has not ended.
    #[error("a call with this idempotency key is still at work; retry in a moment")]
    InFlight,
    /// It belongs to another call.
    #[error("this idempotency key was used for another request; take a new key")]
    Mismatch,
    /// The store failed.
    #[error("could not claim an idempotency key")]
    Store(#[source] StoreError),
}

impl Problem for IdempotencyError {
    fn code(&self) -> Code {
        match self {
            Self::InvalidKey => Code::InvalidHeader,
            Self::InFlight => Code::IdempotencyInFlight,
            Self::Mismatch => Code::IdempotencyMismatch,
            Self::Store(source) => store_code(source),
        }
    }
}

impl Idempotency {
    /// The keys that `store` keeps.
    pub fn new(store: Arc<dyn IdempotencyStore>, world: Arc<dyn World>) -> Self {
        Self { store, world }
    }

    /// Claims `key` for `call`. `route` names what is called, such as `POST /v1/connectors`; `fingerprint` the payload.
    ///
    /// Keys of different callers, workspaces and routes never meet.
    pub async fn begin(
        &self,
        call: Call,
        route: &str,
        key: &str,
        fingerprint: &str,
    ) -> Result<Begun, IdempotencyError> {
        Self::accept(key)?;
        let scope = scope(&call, route);
        let (token, now) = (self.world.uuid(), self.world.now());
        let claimed = self.store.claim(&scope, key, fingerprint, token, now).await;
        match claimed.map_err(IdempotencyError::Store)? {
            Claimed::Fresh(claim) => Ok(Begun::Fresh(Call { claim: Some(claim), ..call })),
            Claimed::InFlight => Err(IdempotencyError::InFlight),
            Claimed::Mismatch => Err(IdempotencyError::Mismatch),
            Claimed::Done(resource_type, id) => Ok(Begun::Replay(resource_type, id)),
        }
    }

    /// Passes if `key` can be a key.
    pub fn accept(key: &str) -> Result<(), IdempotencyError> {
        let is_key =
            (1..=255).contains(&key.len()) && key.bytes().all(|it| (b' '..=b'~').contains(&it));
        if is_key { Ok(()) } else { Err(IdempotencyError::InvalidKey) }
    }

    /// Gives the claim of a call back that failed, so that it can be made again at once.
    ///
    /// Nothing is lost if that fails too: claims end by themselves.
    pub async fn release(&self, call: &Call) {
        let Some(claim) = &call.claim else { return };
        if let Err(error) = self.store.release(claim).await {
            tracing::debug!(error = &error as &dyn std::error::Error, "kept an idempotency claim");
        }
    }
}

/// Tenant, principal, workspace and route.
fn scope(call: &Call, route: &str) -> String {
    let caller = &call.caller;
    let actor = caller.actor.id().map_or_else(String::new, |it| it.to_string());
    let (kind, workspace) = (caller.actor.actor_type(), caller.visible.workspace);
    format!("{} {kind} {actor} {workspace} {route}", caller.organization)
}

#[cfg(test)]
mod tests {
    use linkspan_domain::{IdempotencyClaim, Role, ports::MockIdempotencyStore};

    use super::*;
    use crate::fixtures::{call, code, world};

    fn claim() -> IdempotencyClaim {
        IdempotencyClaim { scope: "s".to_owned(), key: "k".to_owned(), token: Uuid::nil() }
    }

    async fn begin(key: &str, claimed: Claimed) -> Result<Begun, IdempotencyError> {
        let mut store = MockIdempotencyStore::new();
        store.expect_claim().returning(move |_, _, _, _, _| Ok(claimed.clone()));
        let idempotency = Idempotency::new(Arc::new(store), world());
        idempotency.begin(call(Role::Designer), "POST /v1/connectors", key, "print").await
    }

    #[tokio::test]
    async fn a_key_lets_one_call_through_and_answers_the_others() {
        let begun = begin("k", Claimed::Fresh(claim())).await.unwrap();
        let Begun::Fresh(call) = begun else { panic!() };
        assert_eq!(call.claim, Some(claim()));
        let done = begin("k", Claimed::Done(ResourceType::Connector, Uuid::nil())).await.unwrap();
        assert_eq!(done, Begun::Replay(ResourceType::Connector, Uuid::nil()));
        assert_eq!(code(begin("k", Claimed::InFlight).await), "idempotency.in_flight");
        assert_eq!(code(begin("k", Claimed::Mismatch).await), "idempotency.mismatch");
    }

    #[tokio::test]
    async fn what_is_no_key_is_refused() {
        for bad in ["", "é", "a\nb", &"k".repeat(256)] {
            let begun = begin(bad, Claimed::Fresh(claim())).await;
            assert_eq!(code(begun), "request.invalid_header", "{bad}");
        }
    }

    #[test]
    fn keys_of_others_and_of_other_routes_never_meet() {
        let mine = call(Role::Designer);
        let mut other = mine.clone();
        other.caller.actor = linkspan_domain::Actor::System;
        let mut elsewhere = mine.clone();
        elsewhere.caller.visible = linkspan_domain::Visible::only(crate::fixtures::id(3));
        let scopes =
            [scope(&mine, "a"), scope(&mine, "b"), scope(&other, "a"), scope(&elsewhere, "a")];
        let distinct: std::collections::HashSet<_> = scopes.iter().collect();
        assert_eq!(distinct.len(), scopes.len());
    }

    #[tokio::test]
    async fn a_call_that_failed_gives_its_claim_back() {
        let mut store = MockIdempotencyStore::new();
        store.expect_release().times(1).withf(|it| *it == claim()).returning(|_| Ok(()));
        let idempotency = Idempotency::new(Arc::new(store), world());
        let unclaimed = call(Role::Designer);
        idempotency.release(&unclaimed).await;
        idempotency.release(&Call { claim: Some(claim()), ..unclaimed }).await;
    }
}
