//! What we are to authorization servers.

use async_trait::async_trait;
use linkspan_domain::{
    Issuer, OauthClient, WorkspaceConnectorId,
    ports::{OauthClientStore, Sealed, StoreError},
};

use super::{SqlGrants, get};

const FIND: &str = "SELECT client FROM oauth_clients WHERE oauth_client_id = $1";

/// Identifier, activation, issuer, client.
const KEEP: &str = "\
    INSERT INTO oauth_clients (oauth_client_id, workspace_connector_id, issuer, client) \
    VALUES ($1, $2, $3, $4) \
    ON CONFLICT (oauth_client_id) DO UPDATE SET client = excluded.client";

const FORGET: &str = "DELETE FROM oauth_clients WHERE oauth_client_id = $1";

#[async_trait]
impl OauthClientStore for SqlGrants {
    async fn client(
        &self,
        of: WorkspaceConnectorId,
        issuer: &Issuer,
    ) -> Result<Option<Sealed>, StoreError> {
        let session = self.db.read().await?;
        let row = session.row(FIND, vec![OauthClient::row(of, issuer).into()]).await?;
        row.map(|row| get(&row, "client").map(Sealed::from_bytes)).transpose()
    }

    async fn keep_client(
        &self,
        of: WorkspaceConnectorId,
        issuer: &Issuer,
        client: &Sealed,
    ) -> Result<(), StoreError> {
        let session = self.db.write().await?;
        let values = vec![
            OauthClient::row(of, issuer).into(),
            of.uuid().into(),
            issuer.as_str().into(),
            client.as_bytes().into(),
        ];
        session.run(KEEP, values).await?;
        session.commit().await
    }

    async fn forget_client(
        &self,
        of: WorkspaceConnectorId,
        issuer: &Issuer,
    ) -> Result<(), StoreError> {
        let session = self.db.write().await?;
        session.run(FORGET, vec![OauthClient::row(of, issuer).into()]).await?;
        session.commit().await
    }
}
