//! Which tokens are taken: those that our own keys sign, and those of an identity provider.

use std::sync::Arc;

use linkspan_domain::{OrganizationId, ports::Outbound};
use linkspan_vault::{
    BearerTokens, IdentityProvider, InvalidProvider, InvalidTokenSecret, TokenKeys,
};

use crate::settings::Settings;

/// Why tokens cannot be taken. Each names the settings to mend.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BearerTokensError {
    #[error("LINKSPAN_JWT_SECRET or LINKSPAN_JWT_SECRET_PREVIOUS cannot be used")]
    Secret(#[source] InvalidTokenSecret),
    #[error(
        "LINKSPAN_JWT_SECRET_PREVIOUS is of no use without LINKSPAN_JWT_SECRET; set both, or neither"
    )]
    PreviousAlone,
    #[error(
        "LINKSPAN_OIDC_ISSUER, LINKSPAN_OIDC_AUDIENCE or LINKSPAN_OIDC_JWKS_URL cannot be used"
    )]
    Provider(#[source] InvalidProvider),
    #[error(
        "LINKSPAN_OIDC_AUDIENCE and LINKSPAN_OIDC_JWKS_URL are of no use without LINKSPAN_OIDC_ISSUER"
    )]
    NoIssuer,
}

/// Our own keys, if the operator gave a secret.
///
/// They sign in the name of the installation, which all who share its database know, whatever address each of them has.
pub(crate) fn own_keys(
    settings: &Settings,
    installation: OrganizationId,
) -> Result<Option<Arc<TokenKeys>>, BearerTokensError> {
    match (&settings.jwt_secret, &settings.jwt_secret_previous) {
        (Some(secret), previous) => {
            let keys = TokenKeys::new(secret, previous.as_ref(), settings.public_url());
            let keys = keys.map_err(BearerTokensError::Secret)?;
            Ok(Some(Arc::new(keys.signing_as(format!("urn:uuid:{installation}")))))
        }
        (None, Some(_)) => Err(BearerTokensError::PreviousAlone),
        (None, None) => Ok(None),
    }
}

/// Everything that checks tokens of `installation`. The keys of a provider come by way of `outbound`.
pub(crate) fn open(
    settings: &Settings,
    installation: OrganizationId,
    outbound: Arc<dyn Outbound>,
) -> Result<BearerTokens, BearerTokensError> {
    let audience = settings.oidc_audience.clone();
    let provider = match &settings.oidc_issuer {
        Some(issuer) => {
            let (audience, keys) = (audience.unwrap_or_default(), settings.oidc_jwks_url.clone());
            let provider = IdentityProvider::new(issuer, audience, keys, outbound);
            Some(provider.map_err(BearerTokensError::Provider)?)
        }
        None if audience.is_some() || settings.oidc_jwks_url.is_some() => {
            return Err(BearerTokensError::NoIssuer);
        }
        None => None,
    };
    Ok(BearerTokens { own: own_keys(settings, installation)?, provider })
}
