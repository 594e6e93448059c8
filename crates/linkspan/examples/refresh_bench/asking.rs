//! Asking for tokens that are good for a while yet.

use std::{
    hint::black_box,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Result;
use linkspan_app::{AccessTokens, Refresher};
use linkspan_domain::ports::{AuthorizationServers, World};
use linkspan_egress::{EgressPolicy, GuardedClient};
use linkspan_oauth::WebAuthorizationServers;
use linkspan_vault::ClientKeys;
use serde_json::{Value, json};

use crate::{installation::Installation, provider::Provider, world::RealWorld};

/// How many grants are asked for in turn.
const GRANTS: usize = 1_000;

/// What asks, put together as in the product.
struct Asking {
    installation: Installation,
    servers: Arc<dyn AuthorizationServers>,
    world: Arc<dyn World>,
}

/// Asks for each kind of `seconds`, in one process, on an SQLite database in `folder`.
pub(crate) async fn measure(folder: &Path, seconds: u64) -> Result<Value> {
    let lasts = Duration::from_secs(seconds);
    let url = format!("sqlite://{}", folder.join("asking.db").display());
    let provider = Provider::start(GRANTS)?;
    let world: Arc<dyn World> = Arc::new(RealWorld);
    let installation = Installation::make(&url, &provider, GRANTS, world.now()).await?;
    let client = GuardedClient::new(EgressPolicy::default())?;
    let signer = Arc::new(ClientKeys::new(Arc::clone(&world)));
    let servers = Arc::new(WebAuthorizationServers::new(Arc::new(client), signer));
    let asking = Asking { installation, servers, world };
    let (remembered, looked_up) = (asking.remembered(lasts).await?, asking.looked_up(lasts).await?);
    asking.installation.database.close().await;
    Ok(json!({ "remembered_microseconds": remembered, "looked_up_microseconds": looked_up }))
}

impl Asking {
    /// Tokens of a process that has seen none.
    fn tokens(&self) -> AccessTokens {
        let Installation { database, vault, .. } = &self.installation;
        AccessTokens::new(Refresher::new(
            database.grants(),
            database.oauth_clients(),
            database.workspace_connectors(),
            Arc::clone(&self.servers),
            Arc::clone(vault),
            Arc::clone(&self.world),
            None,
        ))
    }

    /// How long a token takes that the process has seen lately. It looks again every ten seconds, which is part of it.
    async fn remembered(&self, lasts: Duration) -> Result<f64> {
        let tokens = self.tokens();
        for of in &self.installation.activations {
            tokens.ensure_fresh(*of).await?;
        }
        let (mut asked, began) = (0_u32, Instant::now());
        while began.elapsed() < lasts {
            for of in &self.installation.activations {
                black_box(tokens.ensure_fresh(black_box(*of)).await?);
                asked += 1;
            }
        }
        Ok(began.elapsed().as_secs_f64() * 1e6 / f64::from(asked))
    }

    /// How long a token takes that the process has not seen yet: it is read and opened.
    async fn looked_up(&self, lasts: Duration) -> Result<f64> {
        let (mut asked, mut took) = (0_u32, Duration::ZERO);
        while took < lasts {
            let tokens = self.tokens();
            for of in &self.installation.activations {
                let began = Instant::now();
                black_box(tokens.ensure_fresh(black_box(*of)).await?);
                took += began.elapsed();
                asked += 1;
            }
        }
        Ok(took.as_secs_f64() * 1e6 / f64::from(asked))
    }
}
