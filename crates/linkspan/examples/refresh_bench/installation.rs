//! A database with activations that have grants.

use std::{collections::BTreeSet, sync::Arc};

use anyhow::Result;
use futures_util::{StreamExt, TryStreamExt, stream};
use linkspan_app::Seeding;
use linkspan_domain::{
    AuthorizationServer, Connector, GivenProof, Grant, GrantHolder, HeldGrant, OauthClient,
    Resource, Sealable, Secret, Status, WorkspaceConnector, WorkspaceConnectorId,
    ports::{Change, GrantStore, NewGrant, Purpose, SealContext, Store, Vault},
};
use linkspan_persistence::Database;
use linkspan_testkit::fixtures::{Place, Specimen, id, receipt};
use time::{Duration, OffsetDateTime};

use crate::{
    provider::{Provider, access_token, refresh_token},
    world::{RealWorld, vault},
};

/// An installation whose activations have grants.
pub(crate) struct Installation {
    pub(crate) database: Database,
    pub(crate) vault: Arc<dyn Vault>,
    /// Those that have a grant, in the order of the server's.
    pub(crate) activations: Vec<WorkspaceConnectorId>,
}

/// How long an access token lives.
const LIFE: Duration = Duration::HOUR;

/// How many activations are written at once.
const BATCH: usize = 500;

/// How many grants are written at a time.
const AT_A_TIME: usize = 8;

impl Installation {
    /// Makes one in the empty database at `url`, whose `count` grants `provider` gave at `given`.
    pub(crate) async fn make(
        url: &str,
        provider: &Provider,
        count: usize,
        given: OffsetDateTime,
    ) -> Result<Self> {
        let (database, vault) = (linkspan_persistence::connect(url).await?, vault()?);
        database.migrate().await?;
        let activations = activations(&database, count).await?;
        let (server, grants) = (provider.as_known()?, database.grants());
        stream::iter(activations.iter().enumerate())
            .map(Ok)
            .try_for_each_concurrent(AT_A_TIME, async |(number, activation)| {
                let held = held(number, &server, given)?;
                connect(&*grants, &*vault, number, activation, (held, given)).await
            })
            .await?;
        let activations = activations.iter().map(|it| it.id).collect();
        Ok(Self { database, vault, activations })
    }

    /// Whether the grant of an activation is there, and has this refresh token.
    pub(crate) async fn keeps(&self, of: WorkspaceConnectorId, token: &str) -> Result<bool> {
        let Some(kept) = self.database.grants().grant(of).await? else { return Ok(false) };
        let held = HeldGrant::from_bytes(&self.vault.open(context(of), &kept.grant)?)?;
        Ok(held.grant.refresh_token.is_some_and(|it| it.expose() == token))
    }
}

/// Makes `count` activations of one connector in the first workspace.
async fn activations(database: &Database, count: usize) -> Result<Vec<WorkspaceConnector>> {
    let seeding = Seeding::new(database.connectors(), database.access(), Arc::new(RealWorld));
    let workspace = seeding.bootstrap().await?;
    let place = Place {
        organization: workspace.organization_id,
        stranger: id(1),
        workspace: workspace.id,
        lower_workspace: workspace.id,
        foreign_workspace: id(2),
        person: id(1),
        connectors: vec![id(1)],
        provider: id(1),
        activation: id(1),
    };
    keep(&*database.connectors(), u32::MAX, &[Connector::specimen(1, &place)]).await?;
    let numbers = 0..u32::try_from(count)?;
    let made: Vec<_> = numbers.map(|number| activation(number, &place)).collect();
    for (number, batch) in (0..).zip(made.chunks(BATCH)) {
        keep(&*database.workspace_connectors(), u32::MAX - 1 - number, batch).await?;
    }
    Ok(made)
}

/// An activation that refers to nothing but its connector, and has no secrets but those of its grant.
fn activation(number: u32, place: &Place) -> WorkspaceConnector {
    WorkspaceConnector {
        person_id: None,
        status: Status::Enabled,
        secrets: None,
        streams: Vec::new(),
        ..WorkspaceConnector::specimen(number, place)
    }
}

async fn keep<R: Resource>(
    store: &(impl Store<R> + ?Sized),
    number: u32,
    things: &[R],
) -> Result<()> {
    let changes: Vec<_> = things.iter().cloned().map(Change::Insert).collect();
    Ok(store.write(&changes, &receipt(number, None)).await?)
}

/// The grant with this number, as the server gave it at `given`.
fn held(number: usize, server: &AuthorizationServer, given: OffsetDateTime) -> Result<HeldGrant> {
    let secret = Secret::new("a secret that nobody checks".to_owned());
    Ok(HeldGrant {
        grant: Grant {
            issuer: server.issuer.clone(),
            access_token: Secret::new(access_token(number, 0)),
            refresh_token: Some(Secret::new(refresh_token(number, 0))),
            expires_at: Some(given + LIFE),
            scopes: BTreeSet::from(["read".to_owned(), "write".to_owned()]),
            resource: None,
        },
        server: server.clone(),
        client: OauthClient::preregistered(
            server,
            "linkspan".to_owned(),
            GivenProof::Secret(secret),
        )?,
        holder: GrantHolder::Person,
    })
}

/// Has `activation` connected with the grant with this number, as it was given.
async fn connect(
    grants: &dyn GrantStore,
    vault: &dyn Vault,
    number: usize,
    activation: &WorkspaceConnector,
    (held, given): (HeldGrant, OffsetDateTime),
) -> Result<()> {
    let of = activation.id;
    let grant = NewGrant {
        workspace_connector_id: of,
        issuer: held.grant.issuer.clone(),
        grant: vault.seal(context(of), held.to_bytes()?.expose())?,
        expires_at: held.grant.expires_at,
        due_at: held.due_at(given),
        refreshed_at: given,
    };
    Ok(grants.connect(&grant, activation, &receipt(u32::try_from(number)?, None)).await?)
}

fn context(of: WorkspaceConnectorId) -> SealContext {
    SealContext { purpose: Purpose::Grant, row: of.uuid() }
}
