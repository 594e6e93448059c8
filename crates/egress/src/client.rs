//! The outbound client: one loop of checked requests.

use std::{error::Error, iter::successors, sync::Arc, time::Duration};

use async_trait::async_trait;
use futures_util::{StreamExt, stream};
use http::{Method, StatusCode};
use linkspan_domain::ports::{
    Cause, Limits, Outbound, OutboundError, OutboundRequest, OutboundResponse, Redirects,
};
use reqwest::redirect;
use rustls::crypto::CryptoProvider;

use crate::{
    body::{Bounds, body, broken},
    deadline::Deadline,
    hop::Hop,
    policy::EgressPolicy,
    resolver::{GuardedResolver, LookupError, Resolver, SystemResolver},
};

/// How many redirects one exchange follows.
pub const MAX_REDIRECTS: usize = 5;

/// How long one connection may take to come about, TLS included, before another address is tried.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long an unused connection is kept.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// How many unused connections are kept to one origin.
const IDLE_PER_ORIGIN: usize = 8;
/// How many header fields an HTTP/1.1 answer may have; hyper bounds their bytes at about 400 KiB.
const MAX_HEADERS: usize = 100;
/// How many bytes of header fields an HTTP/2 answer may have.
const MAX_HEADER_BYTES: u32 = 64 * 1024;
const USER_AGENT: &str = concat!("linkspan/", env!("CARGO_PKG_VERSION"));

/// The outbound client of the platform: implements [`Outbound`] under an [`EgressPolicy`].
///
/// Connections are kept per origin and never shared between names, and the policy of a client never changes, so a
/// connection that is used again is one that the policy permitted.
#[derive(Clone)]
pub struct GuardedClient {
    http: reqwest::Client,
    policy: Arc<EgressPolicy>,
}

/// Why the outbound client cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// No cryptography was chosen for TLS.
    #[error(
        "no TLS provider is installed; call rustls::crypto::ring::default_provider().install_default() first"
    )]
    NoCryptoProvider,
    /// TLS could not be set up.
    #[error("the outbound client could not be set up; are CA certificates installed?")]
    Setup(#[source] Cause),
}

impl GuardedClient {
    /// A client that asks the operating system for addresses.
    ///
    /// The process must have installed a rustls `CryptoProvider`.
    pub fn new(policy: EgressPolicy) -> Result<Self, ClientError> {
        Self::with_resolver(policy, Arc::new(SystemResolver))
    }

    /// A client that asks `resolver` for addresses.
    pub fn with_resolver(
        policy: EgressPolicy,
        resolver: Arc<dyn Resolver>,
    ) -> Result<Self, ClientError> {
        // Building the client would panic instead.
        if CryptoProvider::get_default().is_none() {
            return Err(ClientError::NoCryptoProvider);
        }
        let policy = Arc::new(policy);
        let http = reqwest::Client::builder()
            .dns_resolver(GuardedResolver { policy: Arc::clone(&policy), resolver })
            .redirect(redirect::Policy::none())
            .no_proxy()
            // Bodies are decompressed here, counted and with all their members.
            .no_gzip()
            .no_brotli()
            .no_deflate()
            .no_zstd()
            .referer(false)
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(IDLE_PER_ORIGIN)
            .http1_max_headers(MAX_HEADERS)
            .http2_max_header_list_size(MAX_HEADER_BYTES)
            .user_agent(USER_AGENT)
            .build()
            .map_err(|failure| ClientError::Setup(Box::new(failure)))?;
        Ok(Self { http, policy })
    }

    async fn exchange(&self, request: OutboundRequest) -> Result<OutboundResponse, OutboundError> {
        let (limits, redirects) = (request.limits, request.redirects);
        let deadline = Deadline::after(limits.total);
        let mut hop = Hop::first(request)?;
        for _ in 0..=MAX_REDIRECTS {
            self.policy.check_url(&hop.url)?;
            let response = self.send_once(&mut hop, deadline).await?;
            if redirects == Redirects::HandBack {
                return Ok(answer(hop, response, limits, deadline));
            }
            match hop.target(response.status(), response.headers())? {
                Some(target) => hop = hop.redirected(response.status(), target)?,
                None => return Ok(answer(hop, response, limits, deadline)),
            }
        }
        Err(OutboundError::TooManyRedirects { limit: MAX_REDIRECTS })
    }

    async fn send_once(
        &self,
        hop: &mut Hop,
        deadline: Deadline,
    ) -> Result<reqwest::Response, OutboundError> {
        let mut request =
            self.http.request(hop.method.clone(), hop.url.clone()).headers(hop.headers.clone());
        if let Some(body) = hop.body() {
            request = request.body(body);
        }
        deadline
            .hold(hop.host(), request.send())
            .await?
            .map_err(|failure| exchange_error(hop.host(), failure))
    }
}

#[async_trait]
impl Outbound for GuardedClient {
    async fn send(&self, request: OutboundRequest) -> Result<OutboundResponse, OutboundError> {
        let result = self.exchange(request).await;
        if let Err(OutboundError::Refused { host, reason }) = &result {
            tracing::warn!(%host, reason, "egress policy refused a request");
        }
        result
    }
}

fn answer(
    hop: Hop,
    response: reqwest::Response,
    limits: Limits,
    deadline: Deadline,
) -> OutboundResponse {
    let status = response.status();
    let mut headers = response.headers().clone();
    let bodiless = hop.method == Method::HEAD
        || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    let body = if bodiless {
        // The headers may announce a body all the same, even a compressed one.
        stream::empty().boxed()
    } else {
        let bounds = Bounds { host: hop.host().to_owned(), bytes: limits.body_bytes, deadline };
        body(response, &mut headers, bounds)
    };
    OutboundResponse { status, headers, url: hop.url, body }
}

/// What a failed request to `host` means to the caller.
fn exchange_error(host: &str, failure: reqwest::Error) -> OutboundError {
    // The refusal of the resolver comes back wrapped by every layer of the connector.
    let refusal = successors(failure.source(), |&cause| cause.source())
        .find_map(|cause| cause.downcast_ref::<LookupError>());
    if let Some(LookupError::Refused(reason)) = refusal {
        return OutboundError::Refused { host: host.to_owned(), reason };
    }
    if failure.is_connect() {
        let source = Box::new(failure.without_url());
        return OutboundError::Unreachable { host: host.to_owned(), source };
    }
    broken(host, failure)
}
