//! What belongs to one request, and who makes it.

use std::{
    net::{IpAddr, SocketAddr},
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use http::{Method, header};
use linkspan_app::AccessError;
use linkspan_domain::{Call, Code, Secret, WorkspaceId};
use metrics::counter;
use poem::Request;

use crate::{
    App,
    media_type::Accepted,
    pages::Pages,
    problem::{Failure, internal},
};

/// What belongs to one request, from the door on.
pub(crate) struct Context {
    pub(crate) app: Arc<App>,
    /// What was written before.
    pub(crate) pages: Arc<Pages>,
    /// Names the request in logs, errors and the audit trail.
    pub(crate) trace_id: String,
    /// What the client takes.
    pub(crate) accepted: Accepted,
    /// As the client asked: operations see `GET` where it was `HEAD`.
    pub(crate) method: Method,
    /// The call that holds a claim on an idempotency key. It is given back if the request fails.
    claim: Mutex<Option<Call>>,
    /// Whether the attributes in the body stand there without an envelope.
    has_flat_body: AtomicBool,
    /// Where its caller acts, once that is known.
    workspace: OnceLock<WorkspaceId>,
}

/// The header with the workspace to act in, as a caller names it, and the one that the call acted in, as the answer does.
pub const WORKSPACE_HEADER: &str = "linkspan-workspace";

impl Context {
    pub(crate) fn new(
        app: Arc<App>,
        pages: Arc<Pages>,
        trace_id: String,
        accepted: Accepted,
        method: Method,
    ) -> Self {
        Self {
            app,
            pages,
            trace_id,
            accepted,
            method,
            claim: Mutex::new(None),
            has_flat_body: AtomicBool::new(false),
            workspace: OnceLock::new(),
        }
    }

    /// That of a request that came through the door.
    pub(crate) fn of(request: &Request) -> Result<Arc<Self>, Failure> {
        request.data::<Arc<Self>>().cloned().ok_or_else(internal)
    }

    /// Remembers that the body has no envelope.
    pub(crate) fn takes_flat_body(&self) {
        self.has_flat_body.store(true, Ordering::Relaxed);
    }

    /// `failure`, about the place in the body as the client sent it.
    pub(crate) fn located(&self, failure: Failure) -> Failure {
        if self.has_flat_body.load(Ordering::Relaxed) {
            failure.without_envelope()
        } else {
            failure
        }
    }

    /// Remembers that `call` holds a claim.
    pub(crate) fn hold(&self, call: Call) {
        *self.claim.lock().unwrap_or_else(PoisonError::into_inner) = Some(call);
    }

    /// Where its caller acts, once that is known.
    pub(crate) fn workspace(&self) -> Option<WorkspaceId> {
        self.workspace.get().copied()
    }

    /// Gives a claim back whose call failed.
    pub(crate) async fn release(&self) {
        let held = self.claim.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(call) = held {
            self.app.idempotency.release(&call).await;
        }
    }

    /// Where the request comes from, as far as proxies that are trusted say.
    pub(crate) fn address(&self, request: &Request) -> Option<IpAddr> {
        let peer = request.remote_addr().as_socket_addr().map(SocketAddr::ip);
        self.app.proxies.client(peer, request.headers())
    }

    /// Who makes the request.
    pub(crate) async fn call(&self, request: &Request) -> Result<Call, Failure> {
        let bearer = bearer(request).ok_or_else(|| {
            let detail = "send an API key or a token: `Authorization: Bearer …`";
            Failure::new(Code::Unauthenticated, detail).in_header("Authorization")
        })?;
        let workspace = request.header(WORKSPACE_HEADER);
        let address = self.address(request);
        let caller = self.app.access.authenticate(&bearer, workspace, address).await;
        let caller = caller.map_err(refused)?;
        // A request has one caller.
        self.workspace.get_or_init(|| caller.visible.workspace);
        Ok(Call {
            caller,
            ip_address: address.map(|it| it.to_string()),
            trace_id: self.trace_id.clone(),
            claim: None,
        })
    }
}

/// Of all that can be wrong with a caller, only the workspace can be not found.
fn refused(error: AccessError) -> Failure {
    let wait = match error {
        AccessError::TooManyAttempts { seconds } => Some(seconds),
        _ => None,
    };
    let failure = Failure::from(error);
    match (failure.code, wait) {
        (Code::NotFound, _) => failure.in_header("Linkspan-Workspace"),
        (Code::Unauthenticated, _) => {
            counter!("linkspan_authentication_failures_total", "kind" => "refused").increment(1);
            failure.in_header("Authorization")
        }
        (_, Some(seconds)) => {
            counter!("linkspan_authentication_failures_total", "kind" => "limited").increment(1);
            failure.in_header("Authorization").retry_after(seconds)
        }
        _ => failure,
    }
}

fn bearer(request: &Request) -> Option<Secret<String>> {
    let value = request.headers().get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty())
        .then(|| Secret::new(token.to_owned()))
}
