//! What becomes of a reply: a new grant, another way to ask, a pause, or the loss of the grant.

use std::sync::Arc;

use linkspan_domain::{
    Act, Action, AuditEventId, Call, ClientOrigin, HeldGrant, JournaledReply, OauthClient,
    ports::{KeptGrant, OauthError, Purpose, PutOff, StoreError},
};
use serde_json::json;
use time::OffsetDateTime;

use super::{Attempt, Read, Refresher, SHELVED, fresh, meanwhile, pause, stored, working};
use crate::grants::{
    TokenError,
    clients::{ClientError, Registration},
};

/// How often the loss of a grant is written before it is left to others, who write the activation all the time.
const WRITINGS: usize = 5;

/// How often a refusal that may pass is waited for: five minutes in all, however long the server was away before.
const DOUBTS: u32 = 6;

impl Refresher {
    /// Reads a reply that was kept, and settles what it says.
    pub(super) async fn read(
        &self,
        kept: &KeptGrant,
        reply: JournaledReply,
    ) -> Result<Read, TokenError> {
        let id = kept.workspace_connector_id;
        let JournaledReply { asked, reply, received_at } = reply;
        let Some(ask) = asked.ask() else {
            return self.without_refresh_token(kept, asked).await.map(Read::Done);
        };
        match self.servers.read(&ask, &reply, received_at) {
            Ok(grant) => {
                let held = HeldGrant { grant, ..asked };
                let new = self.safe.new_grant(id, &held, received_at)?;
                let settled = self.grants.settle(kept.fence, &new).await;
                settled.map_err(|source| stored(id, source))?;
                let kept = KeptGrant { refreshed_at: received_at, ..kept.clone() };
                Ok(Read::Done(Attempt::Token(fresh(&kept, held, self.now()))))
            }
            Err(error @ OauthError::InvalidGrant { .. }) => match self.previous(kept, &asked)? {
                Some(previous) => Ok(Read::AskWith(Box::new(previous))),
                None if self.is_by_another_client(kept, &asked)? => {
                    self.doubt(kept, asked, error).await.map(Read::Done)
                }
                None => self.lose(kept, Some(error)).await.map(Read::Done),
            },
            Err(error @ OauthError::InvalidClient { .. }) => {
                self.with_another_client(kept, asked, error).await
            }
            Err(error) => self.put_off(kept, asked, error).await.map(Read::Done),
        }
    }

    /// The grant before, if `asked` was the one that took its place: it was kept for the case that its successor never worked.
    fn previous(
        &self,
        kept: &KeptGrant,
        asked: &HeldGrant,
    ) -> Result<Option<HeldGrant>, TokenError> {
        let Some(previous) = &kept.previous else { return Ok(None) };
        let current: HeldGrant = self.open(kept.workspace_connector_id, &kept.grant)?;
        let previous: HeldGrant = self.open(kept.workspace_connector_id, previous)?;
        let token = |it: &HeldGrant| it.grant.refresh_token.clone();
        let is_current = token(asked) == token(&current);
        let is_other = token(&previous).is_some() && token(&previous) != token(&current);
        let client = asked.client.clone();
        Ok((is_current && is_other).then(|| HeldGrant { client, ..previous }))
    }

    /// Whether the server was asked by another client than the one that the grant was given to. It may remember the old one
    /// again, or not know the new one everywhere yet.
    fn is_by_another_client(
        &self,
        kept: &KeptGrant,
        asked: &HeldGrant,
    ) -> Result<bool, TokenError> {
        let own: HeldGrant = self.open(kept.workspace_connector_id, &kept.grant)?;
        Ok(!asked.client.looks_like(&own.client))
    }

    /// Waits for a refusal that may pass, and gives the grant up if it does not. What was never said by the server is none.
    pub(super) async fn doubt(
        &self,
        kept: &KeptGrant,
        asked: HeldGrant,
        error: OauthError,
    ) -> Result<Attempt, TokenError> {
        if !error.is_refusal() {
            self.put_off(kept, asked, error).await
        } else if kept.refusals < DOUBTS {
            self.put_off_by(kept, asked, error, PutOff::Refused).await
        } else {
            self.lose(kept, Some(error)).await
        }
    }

    /// The server does not know us. If we registered ourselves, we do so once more; a person looks after any other client.
    async fn with_another_client(
        &self,
        kept: &KeptGrant,
        asked: HeldGrant,
        error: OauthError,
    ) -> Result<Read, TokenError> {
        if asked.client.origin != ClientOrigin::Dynamic {
            return self.put_off(kept, asked, error).await.map(Read::Done);
        }
        if self.is_by_another_client(kept, &asked)? {
            return self.doubt(kept, asked, error).await.map(Read::Done);
        }
        match self.another_client(kept, &asked, None).await {
            Ok(client) => Ok(Read::AskWith(Box::new(HeldGrant { client, ..asked }))),
            Err(ClientError::Server(failure)) if failure.is_refusal() => {
                self.doubt(kept, asked, error).await.map(Read::Done)
            }
            Err(failure) => self.without_client(kept, asked, failure).await.map(Read::Done),
        }
    }

    /// `asked`, with a client whose secret has not run out.
    pub(super) async fn with_valid_client(
        &self,
        kept: &KeptGrant,
        asked: HeldGrant,
    ) -> Result<Read, TokenError> {
        if asked.client.is_valid(self.now()) || asked.client.origin != ClientOrigin::Dynamic {
            return Ok(Read::AskWith(Box::new(asked)));
        }
        let renewable = asked.client.registration_uri.as_ref().map(|_| &asked.client);
        match self.another_client(kept, &asked, renewable).await {
            Ok(client) => Ok(Read::AskWith(Box::new(HeldGrant { client, ..asked }))),
            Err(ClientError::Server(error)) => self.doubt(kept, asked, error).await.map(Read::Done),
            Err(failure) => self.without_client(kept, asked, failure).await.map(Read::Done),
        }
    }

    /// Another client than the one that was asked with: the same, as it is kept by now, else `renewable`, renewed (RFC 7592
    /// §2.2), else another that is kept by now and works, else one that is registered anew (RFC 7591 §3.2.1).
    async fn another_client(
        &self,
        kept: &KeptGrant,
        asked: &HeldGrant,
        renewable: Option<&OauthClient>,
    ) -> Result<OauthClient, ClientError> {
        let (of, now) = (kept.workspace_connector_id, self.now());
        let found = self.clients.find(of, &asked.client.issuer).await?;
        let is_other = |it: &OauthClient| it.is_valid(now) && !it.looks_like(&asked.client);
        let other = found.client.clone()?.filter(is_other);
        let is_same = |it: &OauthClient| it.client_id == asked.client.client_id;
        if let Some(same) = other.as_ref().filter(|it| is_same(it)) {
            return Ok(same.clone());
        }
        let nowhere = OauthError::Unconfigured("there is no public address of this platform");
        let redirect_uri = self.redirect_uri.as_ref().ok_or(nowhere)?;
        let call = self.call(kept);
        let scopes = asked.server.with_offline_access(asked.grant.scopes.clone());
        let by = Registration { call: &call, of, redirect_uri, scopes: &scopes };
        if let Some(client) = renewable {
            match self.clients.renew(&by, &found, client).await {
                // There is no renewing it, or the server does not know it any more.
                Err(ClientError::Server(error)) if error.is_refusal() => {}
                done => return done,
            }
        }
        if let Some(other) = other {
            return Ok(other);
        }
        self.clients.register(&by, &found, &asked.server).await
    }

    /// There is no other client for now. One that does not open waits for its key, or for somebody who connects anew.
    async fn without_client(
        &self,
        kept: &KeptGrant,
        asked: HeldGrant,
        failure: ClientError,
    ) -> Result<Attempt, TokenError> {
        let (id, now) = (kept.workspace_connector_id, self.now());
        let error = match failure {
            ClientError::Server(error) => return self.put_off(kept, asked, error).await,
            ClientError::Store(source) => return Err(stored(id, source)),
            ClientError::Safe(error) => error,
        };
        tracing::warn!(
            workspace_connector = %id, error = &error as &dyn std::error::Error,
            "a grant could not be refreshed"
        );
        let released = self.grants.release(id, kept.fence, Some(PutOff::Away(now + SHELVED))).await;
        released.map_err(|source| stored(id, source))?;
        meanwhile(asked, now, error.into())
    }

    /// A call of the platform itself, where the grant is.
    fn call(&self, kept: &KeptGrant) -> Call {
        let trace_id = self.world.uuid().simple().to_string();
        Call::of_system(kept.organization_id, kept.workspace_id, trace_id)
    }

    /// Nothing can be asked for with this grant: it is used to its end, and then gone.
    pub(super) async fn without_refresh_token(
        &self,
        kept: &KeptGrant,
        asked: HeldGrant,
    ) -> Result<Attempt, TokenError> {
        let (id, now) = (kept.workspace_connector_id, self.now());
        if !asked.grant.works(now) {
            return self.lose(kept, None).await;
        }
        let released = self.grants.release(id, kept.fence, None).await;
        released.map_err(|source| stored(id, source))?;
        Ok(Attempt::Token(working(asked, now)))
    }

    /// The server does not do it now: it is asked again later. That says nothing about the grant, and changes no status.
    pub(super) async fn put_off(
        &self,
        kept: &KeptGrant,
        asked: HeldGrant,
        error: OauthError,
    ) -> Result<Attempt, TokenError> {
        self.put_off_by(kept, asked, error, PutOff::Away).await
    }

    async fn put_off_by(
        &self,
        kept: &KeptGrant,
        asked: HeldGrant,
        error: OauthError,
        put_off: fn(OffsetDateTime) -> PutOff,
    ) -> Result<Attempt, TokenError> {
        let (id, now) = (kept.workspace_connector_id, self.now());
        let again_at = now + pause(kept.failures, &error, self.world.uuid().as_u128());
        tracing::warn!(
            workspace_connector = %id, %again_at, error = &error as &dyn std::error::Error,
            "a token could not be refreshed"
        );
        let released = self.grants.release(id, kept.fence, Some(put_off(again_at))).await;
        released.map_err(|source| stored(id, source))?;
        let source = Arc::new(error);
        let error = match &*source {
            // We register anew where we registered; a person looks after any other client.
            OauthError::InvalidClient { .. } if asked.client.origin != ClientOrigin::Dynamic => {
                TokenError::ClientRefused { id, source }
            }
            _ => TokenError::Server { id, again_at, source: Some(source) },
        };
        meanwhile(asked, now, error)
    }

    /// What the server said was not kept. If that is because the grant was taken away meanwhile, it is left to be taken back. If
    /// there is another grant by now, it is not: that one might fall with it, see docs/adr/0018.
    pub(super) async fn overtaken(
        &self,
        kept: &KeptGrant,
        reply: JournaledReply,
        error: TokenError,
    ) -> Result<Attempt, TokenError> {
        let id = kept.workspace_connector_id;
        if matches!(error, TokenError::Elsewhere { .. })
            && self.grants.grant(id).await.map_err(|source| stored(id, source))?.is_none()
            && let Some(held) = reply.granted(&*self.servers)
        {
            let sealed = self.safe.seal(Purpose::Grant, id.uuid(), &held)?;
            let left = self.grants.leave(&kept.owner(), &held.grant.issuer, &sealed).await;
            left.map_err(|source| stored(id, source))?;
        }
        Err(error)
    }

    /// The grant is gone: the activation needs a person now, and the audit trail says why.
    async fn lose(
        &self,
        kept: &KeptGrant,
        error: Option<OauthError>,
    ) -> Result<Attempt, TokenError> {
        let id = kept.workspace_connector_id;
        let error = error.map(Arc::new);
        let call = self.call(kept);
        for _ in 0..WRITINGS {
            let found = self.activations.find(&call.caller.visible, id).await;
            let found = found.map_err(|source| stored(id, source))?;
            let mut activation = found.ok_or(TokenError::NotConnected { id })?;
            activation.lose_grant();
            let now = self.now();
            activation.updated_at = now;
            self.safe.refresh(&mut activation)?;
            let details = json!({
                "issuer": kept.issuer,
                "reason": error.as_ref().map_or_else(
                    || "the access token ended, and there is no refresh token".to_owned(),
                    ToString::to_string,
                ),
            });
            let act = Act { action: Action::GrantLost, details };
            let event = AuditEventId::from_uuid(self.world.uuid());
            let receipt = call.receipt(act, &activation, event, now);
            match self.grants.lose(kept.fence, &activation, &receipt).await {
                // Somebody wrote the activation, or has the lease.
                Err(StoreError::Stale) => {}
                Err(source) => return Err(stored(id, source)),
                Ok(()) => return Err(TokenError::Lost { id, source: error }),
            }
        }
        Ok(Attempt::Elsewhere)
    }
}
