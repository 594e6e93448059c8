//! What we are to authorization servers.

use async_trait::async_trait;
use linkspan_domain::{
    Issuer, OauthClient, Receipt, WorkspaceConnectorId,
    ports::{InPlaceOf, OauthClientStore, Sealed, StoreError},
};
use sea_orm::Value;

use super::{SqlGrants, get, leftovers};
use crate::{receipt, store::stale_unless};

const FIND: &str = "SELECT client FROM oauth_clients WHERE oauth_client_id = $1";

/// Identifier, client, activation, issuer.
const KEEP: &str = "\
    INSERT INTO oauth_clients (oauth_client_id, client, workspace_connector_id, issuer) \
    VALUES ($1, $2, $3, $4) ON CONFLICT (oauth_client_id) DO NOTHING";

/// Identifier, client, what it takes the place of.
const REPLACE: &str =
    "UPDATE oauth_clients SET client = $2 WHERE oauth_client_id = $1 AND client = $3";

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
        in_place_of: InPlaceOf<'_>,
        receipt: &Receipt,
    ) -> Result<(), StoreError> {
        let session = self.db.write().await?;
        let mut values: Vec<Value> =
            vec![OauthClient::row(of, issuer).into(), client.as_bytes().into()];
        if let InPlaceOf::Another(before, from) = in_place_of {
            leftovers::leave_client(&session, OauthClient::row(of, issuer), before, from).await?;
        }
        let statement = if let Some(before) = in_place_of.found() {
            values.push(before.as_bytes().into());
            REPLACE
        } else {
            values.extend([of.uuid().into(), issuer.as_str().into()]);
            KEEP
        };
        stale_unless(session.run(statement, values).await?)?;
        receipt::keep(&session, receipt).await?;
        session.commit().await
    }
}
