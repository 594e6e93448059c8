//! What becomes of a reply: a new grant, another way to ask, a pause, or the loss of the grant.

use std::sync::Arc;

use linkspan_domain::{
    Act, Action, AuditEventId, Call, ClientOrigin, Event, HeldGrant, JournaledReply, OauthClient,
    ports::{KeptGrant, OauthError, Purpose, StoreError},
};
use serde_json::json;

use super::{Attempt, Read, Refresher, fresh, meanwhile, pause, stored, working};
use crate::grants::TokenError;

/// How often the loss of a grant is written before it is left to others, who write the activation all the time.
const WRITINGS: usize = 5;

/// How often a refusal that may pass is waited for: five minutes in all.
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
        Ok(asked.client != own.client)
    }

    /// Waits for a refusal that may pass, and gives the grant up if it does not.
    pub(super) async fn doubt(
        &self,
        kept: &KeptGrant,
        asked: HeldGrant,
        error: OauthError,
    ) -> Result<Attempt, TokenError> {
        if error.is_transient() || kept.failures < DOUBTS {
            self.put_off(kept, asked, error).await
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
        match self.registered_anew(kept, &asked).await? {
            Ok(client) => Ok(Read::AskWith(Box::new(HeldGrant { client, ..asked }))),
            Err(error) if error.is_transient() => {
                self.put_off(kept, asked, error).await.map(Read::Done)
            }
            Err(_) => self.lose(kept, Some(error)).await.map(Read::Done),
        }
    }

    /// `asked`, with a client whose secret has not run out: renewed (RFC 7592 §2.2), else registered anew (RFC 7591 §3.2.1).
    pub(super) async fn with_valid_client(
        &self,
        kept: &KeptGrant,
        asked: HeldGrant,
    ) -> Result<Result<HeldGrant, Box<(HeldGrant, OauthError)>>, TokenError> {
        if asked.client.is_valid(self.now()) || asked.client.origin != ClientOrigin::Dynamic {
            return Ok(Ok(asked));
        }
        let renewed = match self.kept_client(kept, &asked).await? {
            Some(client) => Ok(client),
            None => match self.renewed(&asked).await {
                Some(Ok(client)) => {
                    self.keep_client(kept, &client).await?;
                    Ok(client)
                }
                Some(Err(error)) if error.is_transient() => Err(error),
                // There is no renewing it, or the server does not know it any more.
                Some(Err(_)) | None => self.registered_anew(kept, &asked).await?,
            },
        };
        Ok(match renewed {
            Ok(client) => Ok(HeldGrant { client, ..asked }),
            Err(error) => Err(Box::new((asked, error))),
        })
    }

    /// What came of renewing the client of `asked`. None: it was not registered in such a way.
    async fn renewed(&self, asked: &HeldGrant) -> Option<Result<OauthClient, OauthError>> {
        let client = &asked.client;
        let redirect_uri = client.registration_uri.as_ref().and(self.redirect_uri.as_ref())?;
        let scopes = asked.server.with_offline_access(asked.grant.scopes.clone());
        Some(self.servers.renew(client, redirect_uri, &scopes).await)
    }

    async fn registered_anew(
        &self,
        kept: &KeptGrant,
        asked: &HeldGrant,
    ) -> Result<Result<OauthClient, OauthError>, TokenError> {
        if let Some(client) = self.kept_client(kept, asked).await? {
            return Ok(Ok(client));
        }
        let Some(redirect_uri) = &self.redirect_uri else {
            return Ok(Err(OauthError::Unconfigured(
                "there is no public address of this platform",
            )));
        };
        let scopes = asked.server.with_offline_access(asked.grant.scopes.clone());
        let registered = self.servers.register(&asked.server, redirect_uri, &scopes).await;
        if let Ok(client) = &registered {
            self.keep_client(kept, client).await?;
        }
        Ok(registered)
    }

    /// The client that is kept, if it is another than the one that was asked with, and works.
    async fn kept_client(
        &self,
        kept: &KeptGrant,
        asked: &HeldGrant,
    ) -> Result<Option<OauthClient>, TokenError> {
        let id = kept.workspace_connector_id;
        let found = self.clients.client(id, &asked.client.issuer).await;
        let Some(sealed) = found.map_err(|source| stored(id, source))? else { return Ok(None) };
        let row = OauthClient::row(id, &asked.client.issuer);
        let client: OauthClient = self.safe.open(Purpose::ClientRegistration, row, &sealed)?;
        let is_other = client != asked.client && client.issuer == asked.client.issuer;
        Ok(Some(client).filter(|it| is_other && it.is_valid(self.now())))
    }

    async fn keep_client(&self, kept: &KeptGrant, client: &OauthClient) -> Result<(), TokenError> {
        let id = kept.workspace_connector_id;
        let row = OauthClient::row(id, &client.issuer);
        let sealed = self.safe.seal(Purpose::ClientRegistration, row, client)?;
        let done = self.clients.keep_client(id, &client.issuer, &sealed).await;
        done.map_err(|source| stored(id, source))
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
        let (id, now) = (kept.workspace_connector_id, self.now());
        let again_at = now + pause(kept.failures, &error, self.world.uuid().as_u128());
        tracing::warn!(
            workspace_connector = %id, %again_at, error = &error as &dyn std::error::Error,
            "a token could not be refreshed"
        );
        let released = self.grants.release(id, kept.fence, Some(again_at)).await;
        released.map_err(|source| stored(id, source))?;
        let source = Arc::new(error);
        let error = match &*source {
            OauthError::InvalidClient { .. } => TokenError::ClientRefused { id, source },
            _ => TokenError::Server { id, again_at, source: Some(source) },
        };
        meanwhile(asked, now, error)
    }

    /// The grant is gone: the activation needs a person now, and the audit trail says why.
    async fn lose(
        &self,
        kept: &KeptGrant,
        error: Option<OauthError>,
    ) -> Result<Attempt, TokenError> {
        let id = kept.workspace_connector_id;
        let error = error.map(Arc::new);
        let call = Call::of_system(
            kept.organization_id,
            kept.workspace_id,
            self.world.uuid().simple().to_string(),
        );
        for _ in 0..WRITINGS {
            let found = self.activations.find(&call.caller.visible, id).await;
            let found = found.map_err(|source| stored(id, source))?;
            let mut activation = found.ok_or(TokenError::NotConnected { id })?;
            // One that is switched off or deleted stays so: it is asked for its grant when it is switched on.
            let _ = activation.apply(Event::GrantRevoked);
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
