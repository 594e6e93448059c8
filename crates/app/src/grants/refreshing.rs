//! Refreshing a grant so that no refresh token is ever lost and none is ever used twice.
//!
//! Who refreshes holds a lease, which one process at a time has. What the server says is kept, sealed, before anybody reads it;
//! whoever gets the lease next goes on from there, so that a process that dies costs nothing. docs/adr/0018 tells the whole
//! story, and what no client can survive.

mod settling;

use std::{collections::BTreeSet, ops::ControlFlow, sync::Arc};

use linkspan_domain::{
    HeldGrant, JournaledReply, Secret, WorkspaceConnector, WorkspaceConnectorId,
    ports::{
        ASK_LASTS, AuthorizationServers, GrantStore, KeptGrant, OauthClientStore, OauthError,
        Purpose, Sealed, Store, StoreError, Vault, World,
    },
};
use time::{Duration, OffsetDateTime};
use url::Url;

use super::{TokenError, clients::Clients, insisting::insist, safe::Safe};

/// Refreshes grants, one attempt at a time. It waits for nobody: [`AccessTokens`](super::AccessTokens) does.
pub struct Refresher {
    grants: Arc<dyn GrantStore>,
    clients: Clients,
    activations: Arc<dyn Store<WorkspaceConnector>>,
    servers: Arc<dyn AuthorizationServers>,
    safe: Safe,
    world: Arc<dyn World>,
    redirect_uri: Option<Url>,
}

/// What came of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attempt {
    /// A token that works.
    Token(Token),
    /// Somebody else is refreshing it.
    Elsewhere,
}

/// An access token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// The token.
    pub access: Secret<String>,
    /// Until when it may be used without another look.
    pub until: OffsetDateTime,
}

/// Why an attempt is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Urge<'t> {
    /// Somebody uses the token.
    Use,
    /// Somebody used this token, and its system did not take it.
    Refused(&'t Secret<String>),
    /// The grant is not to die of idleness.
    KeepAlive,
}

/// How long a lease lasts: longer than asking, and not so long that whoever comes after one who died comes too late for a server
/// that answers a spent token anew for a minute.
const LEASE: Duration = Duration::seconds(40);

/// How soon a grant that does not open is looked at again.
const SHELVED: Duration = Duration::minutes(5);

/// How long a token is used without a look at what other processes did meanwhile.
const UNSEEN: Duration = Duration::seconds(10);

impl Refresher {
    /// Refreshes the grants that `grants` keeps. `redirect_uri` is ours, to register anew with.
    pub fn new(
        grants: Arc<dyn GrantStore>,
        clients: Arc<dyn OauthClientStore>,
        activations: Arc<dyn Store<WorkspaceConnector>>,
        servers: Arc<dyn AuthorizationServers>,
        vault: Arc<dyn Vault>,
        world: Arc<dyn World>,
        redirect_uri: Option<Url>,
    ) -> Self {
        let safe = Safe::new(vault);
        let (asked, clock) = (Arc::clone(&servers), Arc::clone(&world));
        let clients = Clients::new(clients, asked, safe.clone(), clock);
        Self { grants, clients, activations, servers, safe, world, redirect_uri }
    }

    /// The time.
    pub(super) fn now(&self) -> OffsetDateTime {
        self.world.now()
    }

    /// The store of the grants.
    pub(super) fn grants(&self) -> &dyn GrantStore {
        &*self.grants
    }

    /// The scopes of a grant, if there is one.
    pub(super) async fn granted(
        &self,
        of: WorkspaceConnectorId,
    ) -> Result<BTreeSet<String>, TokenError> {
        let kept = self.grants.grant(of).await.map_err(|source| stored(of, source))?;
        let kept = kept.ok_or(TokenError::NotConnected { id: of })?;
        Ok(self.open::<HeldGrant>(of, &kept.grant)?.grant.scopes)
    }

    /// One attempt to have a token that works. To be carried through: a reply that arrives while nobody waits is lost.
    pub async fn attempt(
        &self,
        of: WorkspaceConnectorId,
        urge: Urge<'_>,
    ) -> Result<Attempt, TokenError> {
        let now = self.now();
        let held = match urge {
            Urge::Use | Urge::Refused(_) => match self.look(of, urge, now).await? {
                ControlFlow::Break(attempt) => return Ok(attempt),
                ControlFlow::Continue(held) => held,
            },
            // Whoever keeps grants alive has just seen that it is due.
            Urge::KeepAlive => None,
        };
        let leased = self.grants.lease(of, self.world.uuid(), now, now + LEASE).await;
        if let Some(kept) = leased.map_err(|source| stored(of, source))? {
            return self.refresh(&kept, urge).await;
        }
        match held.filter(|it| it.grant.works(now)) {
            Some(held) => Ok(Attempt::Token(working(held, now))),
            None => Ok(Attempt::Elsewhere),
        }
    }

    /// Whether the grant as it is kept will do. If it does not, what it is; none, where it does not open.
    async fn look(
        &self,
        of: WorkspaceConnectorId,
        urge: Urge<'_>,
        now: OffsetDateTime,
    ) -> Result<ControlFlow<Attempt, Option<HeldGrant>>, TokenError> {
        let found = self.grants.grant(of).await.map_err(|source| stored(of, source))?;
        let kept = found.ok_or(TokenError::NotConnected { id: of })?;
        let again_at = kept.again_at.filter(|it| now < *it);
        let held: HeldGrant = match self.open(of, &kept.grant) {
            Ok(held) => seen(held, urge, now),
            Err(error) if again_at.is_some() => return Err(error),
            Err(_) => return Ok(ControlFlow::Continue(None)),
        };
        if kept.reply.is_none() && !is_wanted(&kept, &held, urge, now) {
            return Ok(ControlFlow::Break(Attempt::Token(fresh(&kept, held, now))));
        }
        match again_at {
            Some(again_at) => {
                let source = None;
                meanwhile(held, now, TokenError::Server { id: of, again_at, source })
                    .map(ControlFlow::Break)
            }
            None => Ok(ControlFlow::Continue(Some(held))),
        }
    }

    /// Refreshes a grant under a lease. What does not open is looked at again later, with all that is kept of it: among those
    /// that are due, it would be before the others.
    async fn refresh(&self, kept: &KeptGrant, urge: Urge<'_>) -> Result<Attempt, TokenError> {
        let error = match Box::pin(self.refresh_opened(kept, urge)).await {
            Err(TokenError::Safe(error)) => error,
            done => return done,
        };
        let (id, now) = (kept.workspace_connector_id, self.now());
        tracing::warn!(
            workspace_connector = %id, error = &error as &dyn std::error::Error,
            "a token could not be refreshed"
        );
        match self.grants.shelve(id, kept.fence, now + SHELVED).await {
            // Stale: the lease was given back before.
            Ok(()) | Err(StoreError::Stale) => {}
            Err(source) => return Err(stored(id, source)),
        }
        match self.open(id, &kept.grant) {
            Ok(held) => meanwhile(held, now, error.into()),
            Err(_) => Err(error.into()),
        }
    }

    /// Others may have been at it since it was looked at.
    async fn refresh_opened(
        &self,
        kept: &KeptGrant,
        urge: Urge<'_>,
    ) -> Result<Attempt, TokenError> {
        let id = kept.workspace_connector_id;
        let held: HeldGrant = self.open(id, &kept.grant)?;
        if let Some(reply) = &kept.reply {
            // Whoever asked died before they read it: it is all there, and not asked for again.
            return self.settle(kept, self.open(id, reply)?).await;
        }
        let now = self.now();
        let held = seen(held, urge, now);
        let again_at = kept.again_at.filter(|it| now < *it);
        let is_wanted = is_wanted(kept, &held, urge, now);
        if is_wanted && again_at.is_none() {
            return self.ask(kept, held).await;
        }
        let released = self.grants.release(id, kept.fence, None).await;
        released.map_err(|source| stored(id, source))?;
        match again_at {
            // Whoever had the lease before was told to wait, and so is this one.
            Some(again_at) if is_wanted => {
                meanwhile(held, now, TokenError::Server { id, again_at, source: None })
            }
            _ => Ok(Attempt::Token(fresh(kept, held, now))),
        }
    }

    /// Asks the server once with `asked`, under the lease of `kept`, and goes on from what it says.
    async fn ask(&self, kept: &KeptGrant, asked: HeldGrant) -> Result<Attempt, TokenError> {
        let mut asked = match self.with_valid_client(kept, asked).await? {
            Read::AskWith(asked) => *asked,
            Read::Done(attempt) => return Ok(attempt),
        };
        let mut is_journaled = kept.reply.is_some();
        loop {
            let Some(ask) = asked.ask() else {
                return self.without_refresh_token(kept, asked).await;
            };
            if kept.leased_until.is_none_or(|until| until < self.now() + ASK_LASTS) {
                // It took too long to get here: another may have the lease before there is an answer.
                if is_journaled {
                    // Whoever has it next goes on from what was said.
                    return Ok(Attempt::Elsewhere);
                }
                let released = self.grants.release(kept.workspace_connector_id, kept.fence, None);
                return match released.await {
                    Ok(()) | Err(StoreError::Stale) => Ok(Attempt::Elsewhere),
                    Err(source) => Err(stored(kept.workspace_connector_id, source)),
                };
            }
            let reply = match self.servers.ask(&ask).await {
                Ok(reply) => reply,
                Err(error) => return self.put_off(kept, asked, error).await,
            };
            let received_at = self.now();
            let reply = JournaledReply { asked, reply, received_at };
            if let Err(error) = self.journal(kept, &reply).await {
                return self.overtaken(kept, reply, error).await;
            }
            is_journaled = true;
            match self.read(kept, reply).await? {
                Read::Done(attempt) => return Ok(attempt),
                Read::AskWith(next) => asked = *next,
            }
        }
    }

    /// Goes on from what the server said to somebody who died.
    async fn settle(&self, kept: &KeptGrant, reply: JournaledReply) -> Result<Attempt, TokenError> {
        match self.read(kept, reply).await? {
            Read::Done(attempt) => Ok(attempt),
            Read::AskWith(next) => self.ask(kept, *next).await,
        }
    }

    /// Keeps what the server said. Nothing goes before this once it was said. A store that is away is waited for, also when the
    /// lease is over: as long as it is away, nobody else has one.
    async fn journal(&self, kept: &KeptGrant, reply: &JournaledReply) -> Result<(), TokenError> {
        let id = kept.workspace_connector_id;
        let sealed = self.safe.seal(Purpose::Grant, id.uuid(), reply)?;
        let journaled = insist(|| self.grants.journal(id, kept.fence, &sealed)).await;
        journaled.map_err(|source| stored(id, source))
    }

    fn open<T: linkspan_domain::Sealable>(
        &self,
        of: WorkspaceConnectorId,
        sealed: &Sealed,
    ) -> Result<T, TokenError> {
        Ok(self.safe.open(Purpose::Grant, of.uuid(), sealed)?)
    }
}

/// What reading a reply comes to.
enum Read {
    /// It is settled.
    Done(Attempt),
    /// There is something else to ask with.
    AskWith(Box<HeldGrant>),
}

/// `held` as `urge` has it: the time of a token that its system refuses is over, whatever the server said. That holds only where
/// there is a way to another: one system may refuse what others take.
fn seen(mut held: HeldGrant, urge: Urge<'_>, now: OffsetDateTime) -> HeldGrant {
    let is_refused = matches!(urge, Urge::Refused(it) if *it == held.grant.access_token);
    if is_refused && held.ask().is_some() {
        held.grant.expires_at = Some(now);
    }
    held
}

fn is_wanted(kept: &KeptGrant, held: &HeldGrant, urge: Urge<'_>, now: OffsetDateTime) -> bool {
    match urge {
        Urge::Use | Urge::Refused(_) => !held.grant.is_fresh(kept.refreshed_at, now),
        Urge::KeepAlive => held.due_at(kept.refreshed_at).is_some_and(|it| it <= now),
    }
}

/// The token of a grant that needs no refreshing yet.
fn fresh(kept: &KeptGrant, held: HeldGrant, now: OffsetDateTime) -> Token {
    let until = held.grant.exchanged_from(kept.refreshed_at);
    let until = until.map_or(now + UNSEEN, |it| it.min(now + UNSEEN));
    Token { access: held.grant.access_token, until }
}

/// The token of a grant that works yet, for this one use.
fn working(held: HeldGrant, now: OffsetDateTime) -> Token {
    Token { access: held.grant.access_token, until: now }
}

/// The token that works yet, else `error`.
fn meanwhile(
    held: HeldGrant,
    now: OffsetDateTime,
    error: TokenError,
) -> Result<Attempt, TokenError> {
    if held.grant.works(now) { Ok(Attempt::Token(working(held, now))) } else { Err(error) }
}

fn stored(id: WorkspaceConnectorId, source: StoreError) -> TokenError {
    match source {
        // Somebody else has the lease by now, or the grant is another one.
        StoreError::Stale => TokenError::Elsewhere { id },
        source => TokenError::Store { id, source: Arc::new(source) },
    }
}

/// How long to wait after so many failures in a row: 5 s, twice as long each time, up to a quarter of an hour, and up to half
/// as long again by `chance`, so that not all come back at once. Not before the server wants to be asked.
fn pause(failures: u32, error: &OauthError, chance: u128) -> Duration {
    const FIRST: Duration = Duration::seconds(5);
    const LONGEST: Duration = Duration::minutes(15);
    let pause = (FIRST * 2_i32.pow(failures.min(10))).min(LONGEST);
    let share = u32::try_from(chance % 1_000).unwrap_or_default();
    let asked = match error {
        OauthError::Busy { retry_after: Some(seconds), .. } => {
            Duration::seconds((*seconds).min(86_400).cast_signed())
        }
        _ => Duration::ZERO,
    };
    let spread: Duration = pause * share / 2_000_u32;
    Ord::max(pause + spread, asked)
}

#[cfg(test)]
mod tests;
