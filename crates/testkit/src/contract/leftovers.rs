//! What purged activations leave behind with providers.
#![expect(clippy::unwrap_used, reason = "a broken contract fails the test")]

use futures_util::future::join_all;
use linkspan_domain::{
    Issuer, OrganizationId, Visible, WorkspaceConnector,
    ports::{Change, GrantStore, Leftovers, NewGrant, OauthClientStore, Sealed, Store},
};

use crate::fixtures::{EPOCH, receipt};

fn sealed(text: &str) -> Sealed {
    Sealed::from_bytes(text.as_bytes().to_vec())
}

fn issuer(name: &str) -> Issuer {
    Issuer::new(format!("https://{name}.example"))
}

/// Gives `activation`, which is kept and live, a grant and two clients, with the receipt of this number. Answers what is left of
/// these once it is purged, the clients by issuer.
///
/// # Panics
///
/// When a store breaks its contract.
pub async fn connected(
    grants: &dyn GrantStore,
    clients: &dyn OauthClientStore,
    activation: &WorkspaceConnector,
    organization_id: OrganizationId,
    number: u32,
) -> Leftovers {
    let of = activation.id;
    for name in ["a", "b"] {
        clients.keep_client(of, &issuer(name), &sealed(name)).await.unwrap();
    }
    let grant = NewGrant {
        workspace_connector_id: of,
        issuer: issuer("a"),
        grant: sealed("grant"),
        expires_at: None,
        due_at: None,
        refreshed_at: EPOCH,
    };
    grants.connect(&grant, activation, &receipt(number, None)).await.unwrap();
    Leftovers {
        workspace_connector_id: of,
        workspace_id: activation.workspace_id,
        organization_id,
        grant: Some((issuer("a"), sealed("grant"))),
        clients: ["a", "b"].map(|name| (issuer(name), sealed(name))).to_vec(),
    }
}

/// Takes what is left, the clients by issuer.
///
/// # Panics
///
/// When the store breaks its contract.
pub async fn taken(grants: &dyn GrantStore) -> Option<Leftovers> {
    let mut left = grants.take_left().await.unwrap()?;
    left.clients.sort_by(|a, b| a.0.cmp(&b.0));
    Some(left)
}

/// Checks that what an activation has with providers is left behind when it is purged. `activations` keeps `like`, live and with
/// nothing to its name.
///
/// # Panics
///
/// When a store breaks its contract.
pub async fn leftovers(
    grants: &dyn GrantStore,
    clients: &dyn OauthClientStore,
    activations: &dyn Store<WorkspaceConnector>,
    like: &WorkspaceConnector,
    organization_id: OrganizationId,
) {
    assert_eq!(taken(grants).await, None);
    let expected = connected(grants, clients, like, organization_id, 5_200).await;
    let visible = Visible::only(like.workspace_id);
    let find = async || activations.find(&visible, like.id).await.unwrap().unwrap();
    let deleted = WorkspaceConnector { deleted_at: Some(EPOCH), ..find().await };
    activations.write(&[Change::Update(deleted)], &receipt(5_201, None)).await.unwrap();
    assert_eq!(taken(grants).await, None, "it can be restored");
    let purge = [Change::Purge(find().await)];
    activations.write(&purge, &receipt(5_202, None)).await.unwrap();
    assert_eq!(grants.grant(like.id).await.unwrap(), None);
    let takers = join_all((0..8).map(|_| taken(grants))).await;
    let all: Vec<_> = takers.into_iter().flatten().collect();
    assert_eq!(all, [expected], "one of eight");
    assert_eq!(taken(grants).await, None, "once");
}
