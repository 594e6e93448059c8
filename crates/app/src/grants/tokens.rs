//! Access tokens for those who use them: one flight for each activation, whoever asks.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::{
    FutureExt,
    future::{BoxFuture, Shared},
};
use linkspan_domain::{Secret, WorkspaceConnectorId};
use tokio::{
    task::JoinHandle,
    time::{Instant, sleep},
};
use tokio_util::task::TaskTracker;

use super::{Attempt, Refresher, TokenError, Urge, memory::Memory};

/// Hands out tokens that work, and refreshes them in time. Cheap to clone.
///
/// A refresh goes on to its end though nobody waits for it any more: what the provider said would be lost.
#[derive(Clone)]
pub struct AccessTokens(Arc<Inner>);

struct Inner {
    refresher: Refresher,
    memory: Memory,
    flights: Mutex<HashMap<(WorkspaceConnectorId, Wanted), Flight>>,
    tasks: TaskTracker,
}

/// A refresh under way, for all who wait for it.
type Flight = Shared<BoxFuture<'static, Result<Secret<String>, TokenError>>>;

/// What a flight brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Wanted {
    /// A token that works.
    Any,
    /// Another token than the one that its system refused.
    Another,
}

/// How long somebody waits for another process: a lease runs out before.
const PATIENCE: Duration = Duration::from_mins(2);

/// How long until the first look at what another process did, and at most until the next.
const PAUSES: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(1));

impl AccessTokens {
    /// The tokens that `refresher` refreshes.
    pub fn new(refresher: Refresher) -> Self {
        Self(Arc::new(Inner {
            refresher,
            memory: Memory::default(),
            flights: Mutex::default(),
            tasks: TaskTracker::new(),
        }))
    }

    /// A token of an activation that works for a while yet.
    pub async fn ensure_fresh(
        &self,
        of: WorkspaceConnectorId,
    ) -> Result<Secret<String>, TokenError> {
        match self.0.memory.find(of, self.0.refresher.now()) {
            Some(token) => Ok(token),
            None => self.flight(of, None).await,
        }
    }

    /// A token of an activation in the place of `refused`, which its system does not take though its time is not over. It is the
    /// same if there is no way to another.
    pub async fn another(
        &self,
        of: WorkspaceConnectorId,
        refused: &Secret<String>,
    ) -> Result<Secret<String>, TokenError> {
        self.0.memory.forget(of);
        self.flight(of, Some(refused)).await
    }

    /// Refreshes the grant of an activation if it is due, and waits for nobody else who does.
    pub async fn keep_alive(&self, of: WorkspaceConnectorId) -> Result<(), TokenError> {
        let inner = Arc::clone(&self.0);
        let kept = self.0.tasks.spawn(async move {
            match inner.refresher.attempt(of, Urge::KeepAlive).await {
                Ok(Attempt::Token(token)) => inner.memory.keep(of, token),
                Ok(Attempt::Elsewhere) => {}
                Err(error) => return Err(error),
            }
            Ok(())
        });
        kept.await.unwrap_or(Err(TokenError::Interrupted))
    }

    /// Whether an activation has a grant.
    pub(crate) async fn is_connected(&self, of: WorkspaceConnectorId) -> Result<bool, TokenError> {
        let found = self.0.refresher.grants().grant(of).await;
        let found = found.map_err(|source| TokenError::Store { id: of, source: Arc::new(source) });
        Ok(found?.is_some())
    }

    /// The scopes that were granted to an activation, as far as that can be read.
    pub(crate) async fn granted(&self, of: WorkspaceConnectorId) -> BTreeSet<String> {
        self.0.refresher.granted(of).await.unwrap_or_default()
    }

    /// The activation has another grant, or none: what is remembered of it is of no use.
    pub(super) fn forget(&self, of: WorkspaceConnectorId) {
        self.0.memory.forget(of);
    }

    /// Has `work` go on to its end, whoever waits for it, and [`close`](Self::close) wait for it.
    pub(super) fn carry_through<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> JoinHandle<T> {
        self.0.tasks.spawn(work)
    }

    /// Returns when all refreshes under way are done. Those that begin later are not waited for by anybody.
    pub async fn close(&self) {
        self.0.tasks.close();
        self.0.tasks.wait().await;
    }

    fn flight(&self, of: WorkspaceConnectorId, refused: Option<&Secret<String>>) -> Flight {
        let of = (of, refused.map_or(Wanted::Any, |_| Wanted::Another));
        let mut flights = self.0.flights.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(flight) = flights.get(&of) {
            return flight.clone();
        }
        let (inner, refused) = (Arc::clone(&self.0), refused.cloned());
        let task = self.0.tasks.spawn(async move {
            let landing = Landing { inner, of };
            landing.inner.fly(of.0, refused.as_ref()).await
        });
        let flight = task.map(|it| it.unwrap_or(Err(TokenError::Interrupted))).boxed().shared();
        flights.insert(of, flight.clone());
        flight
    }
}

/// Takes a flight off the list when it ends, however it ends.
struct Landing {
    inner: Arc<Inner>,
    of: (WorkspaceConnectorId, Wanted),
}

impl Drop for Landing {
    fn drop(&mut self) {
        let mut flights = self.inner.flights.lock().unwrap_or_else(PoisonError::into_inner);
        flights.remove(&self.of);
    }
}

impl Inner {
    /// Tries until there is a token, or a reason why there is none.
    async fn fly(
        &self,
        of: WorkspaceConnectorId,
        refused: Option<&Secret<String>>,
    ) -> Result<Secret<String>, TokenError> {
        let urge = refused.map_or(Urge::Use, Urge::Refused);
        let (until, (mut pause, longest)) = (Instant::now() + PATIENCE, PAUSES);
        loop {
            match self.refresher.attempt(of, urge).await {
                Ok(Attempt::Token(token)) => {
                    let access = token.access.clone();
                    self.memory.keep(of, token);
                    return Ok(access);
                }
                // The lease ran out while it was at work: somebody else has it.
                Ok(Attempt::Elsewhere) | Err(TokenError::Elsewhere { .. }) => {}
                Err(error) => {
                    self.memory.forget(of);
                    return Err(error);
                }
            }
            if Instant::now() >= until {
                return Err(TokenError::Elsewhere { id: of });
            }
            sleep(pause).await;
            pause = (pause * 2).min(longest);
        }
    }
}

#[cfg(test)]
mod tests;
