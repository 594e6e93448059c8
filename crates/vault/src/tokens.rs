//! Whose keys check a token: our own, or those of an identity provider.

use std::sync::Arc;

use async_trait::async_trait;
use linkspan_domain::{
    Secret,
    ports::{TokenClaims, TokenError, TokenVerifier},
};
use time::OffsetDateTime;

use crate::{
    IdentityProvider, TokenKeys,
    jwt::{Algorithm, Compact},
};

/// Checks tokens with all keys that there are.
///
/// The algorithm says whose keys count: a secret of ours never checks a token of a provider, and no public key serves as
/// a secret.
#[derive(Default)]
pub struct BearerTokens {
    /// Our own keys, if there are any.
    pub own: Option<Arc<TokenKeys>>,
    /// The identity provider, if there is one.
    pub provider: Option<IdentityProvider>,
}

#[async_trait]
impl TokenVerifier for BearerTokens {
    async fn verify(
        &self,
        token: &Secret<String>,
        now: OffsetDateTime,
    ) -> Result<TokenClaims, TokenError> {
        let token = Compact::parse(token.expose())?;
        match (token.header.alg, &self.own, &self.provider) {
            (Algorithm::Hs256, Some(own), _) => own.check(&token, now),
            (Algorithm::Hs256, None, _) => {
                Err(TokenError::Invalid("there is no LINKSPAN_JWT_SECRET to check it with"))
            }
            (_, _, Some(provider)) => provider.check(&token, now).await,
            (_, _, None) => {
                Err(TokenError::Invalid("there is no LINKSPAN_OIDC_ISSUER to ask for keys"))
            }
        }
    }
}

#[cfg(test)]
mod tests;
