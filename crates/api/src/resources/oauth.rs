//! Connecting by OAuth: links to providers, the page before them and the way back, and the document about us.

mod body;
mod cookie;
mod departure;
mod document;
mod invitation;
mod link;
mod pages;

use std::sync::Arc;

use http::{Method, StatusCode};
use linkspan_app::{Authorize, Authorized, NotConnected, Returned, Ticket};
use linkspan_domain::{Code, Redirected, Secret, WorkspaceConnector, WorkspaceId};
use poem::{Request, web::Data};
use poem_openapi::{
    OpenApi,
    param::{Path, Query},
};
use uuid::Uuid;

use self::{
    body::AuthorizeBody,
    departure::SentOn,
    document::Document,
    invitation::InvitationPage,
    link::{Asking, Link},
    pages::{Forms, Page},
};
use super::Tag;
use crate::{
    body::{Maybe, Plain},
    context::Context,
    problem::Failure,
    request::Acting,
};

/// The operations.
#[derive(Default)]
pub(crate) struct Oauth;

#[OpenApi(prefix_path = "/v1", tag = "Tag::Activations")]
impl Oauth {
    /// Connect an activation
    ///
    /// Answers a link that leads to the provider, where a person agrees, and one to a page that says who asks for what first.
    /// They are two ways to the same: one of them works, once, for ten minutes, in the browser that opened it, whatever the
    /// status of the activation. Asked again, also with the same `Idempotency-Key`, there is another link. Where nobody has to agree, the activation is connected at once, and there is no link.
    #[oai(
        path = "/workspace-connectors/:id/authorize",
        method = "post",
        operation_id = "authorize_workspace_connector"
    )]
    async fn authorize(
        &self,
        request: Acting<WorkspaceConnector, Link, Maybe<Plain<AuthorizeBody>>>,
    ) -> Result<Link, Failure> {
        let Acting { call, context, id, expected, body: Maybe(body), .. } = request;
        let authorize = body.map(|Plain(it)| it.read()).transpose()?.unwrap_or_default();
        let authorize = Authorize { expected, ..authorize };
        let authorized = context.app.connecting.authorize(&call, id, authorize).await?;
        if matches!(authorized, Authorized::Asked { .. }) {
            context.release().await;
        }
        Link::to(authorized)
    }

    /// Connect a connector of the catalog
    ///
    /// As connecting its oldest activation in the workspace, which is made where there is none. The person ends up at
    /// `redirect_url`, with `state`; an operator allows where people may be sent.
    #[oai(
        path = "/workspaces/:id/connectors/:slug/access",
        method = "get",
        operation_id = "access_connector"
    )]
    async fn access(
        &self,
        asking: Asking,
        /// The workspace. It has to be the one that the call acts in.
        Path(id): Path<Uuid>,
        /// What the catalog calls the connector.
        Path(slug): Path<String>,
    ) -> Result<Link, Failure> {
        let Asking { call, context, authorize } = asking;
        let installing = &context.app.installing;
        let asked = installing.access(&call, WorkspaceId::from_uuid(id), &slug, authorize).await;
        Link::to(asked.map_err(|error| Failure::from(error).in_query(&Asking::PARAMETERS))?)
    }

    /// Go to a provider
    ///
    /// Where `url` of a link leads: sends the person on, and gives the browser a cookie that has to come back with it. The link
    /// is not used up by that.
    #[oai(path = "/oauth/start", method = "get", operation_id = "start_authorization")]
    async fn start(
        &self,
        Data(context): Data<&Arc<Context>>,
        request: &Request,
        /// What the link was made with.
        Query(ticket): Query<Option<String>>,
    ) -> SentOn {
        let addresses = context.app.connecting.addresses();
        let browser = cookie::read(request.headers(), addresses);
        match context.app.connecting.depart(&read(ticket), browser).await {
            Ok(departure) => SentOn::to(&departure, addresses),
            Err(error) => SentOn::failed(&error, &context.trace_id),
        }
    }

    /// See who asks
    ///
    /// The page that a person opens who was sent a link. It says who asks for what, leads to the provider, and gives the
    /// browser a cookie that has to come back with it.
    #[oai(path = "/oauth/connect", method = "get", operation_id = "show_authorization")]
    async fn connect(
        &self,
        Data(context): Data<&Arc<Context>>,
        request: &Request,
        /// What the link was made with.
        Query(ticket): Query<Option<String>>,
    ) -> InvitationPage {
        let addresses = context.app.connecting.addresses();
        let browser = cookie::read(request.headers(), addresses);
        match context.app.visiting.visit(&read(ticket), browser).await {
            Ok(invitation) => InvitationPage::of(&invitation, addresses),
            Err(error) => InvitationPage::failed(&error, &context.trace_id),
        }
    }

    /// Decline
    ///
    /// What the page does when the person cancels there: the link is used up, and nothing is connected.
    #[oai(path = "/oauth/connect", method = "post", operation_id = "cancel_authorization")]
    async fn cancel(
        &self,
        Data(context): Data<&Arc<Context>>,
        request: &Request,
        /// What the link was made with.
        Query(ticket): Query<Option<String>>,
    ) -> InvitationPage {
        let ip_address = context.address(request).map(|it| it.to_string());
        let visiting = &context.app.visiting;
        match visiting.decline(&read(ticket), ip_address, context.trace_id.clone()).await {
            Ok(declined) => InvitationPage::declined(&declined),
            Err(error) => InvitationPage::failed(&error, &context.trace_id),
        }
    }

    /// Come back from a provider
    ///
    /// Where providers send people, in the browser that they left in. Answers a page, or sends them on to where they came from.
    #[oai(path = "/oauth/callback", method = "get", operation_id = "complete_authorization")]
    #[expect(clippy::too_many_arguments, reason = "one for each parameter of RFC 6749 §4.1.2")]
    async fn callback(
        &self,
        Data(context): Data<&Arc<Context>>,
        request: &Request,
        /// What the person was sent with.
        Query(state): Query<Option<String>>,
        /// What is exchanged for tokens.
        Query(code): Query<Option<String>>,
        /// Who sends the person (RFC 9207).
        Query(iss): Query<Option<String>>,
        /// Why there is no code.
        Query(error): Query<Option<String>>,
        /// The same, in words.
        Query(error_description): Query<Option<String>>,
    ) -> Page {
        // Programs that look at a link before a person opens it use nothing up.
        if context.method == Method::HEAD {
            return Page::with(StatusCode::OK, "Connecting", "", Forms::Nowhere);
        }
        let redirected = match (code, error) {
            (_, Some(error)) => Some(Redirected::refused(&error, error_description.as_deref())),
            (Some(code), None) => Some(Redirected::Agreed { code: Secret::new(code) }),
            (None, None) => None,
        };
        let state = Secret::new(state.unwrap_or_default());
        let ip_address = context.address(request).map(|it| it.to_string());
        let connecting = &context.app.connecting;
        let browser = cookie::read(request.headers(), connecting.addresses());
        let returned = Returned { state, browser, iss, redirected };
        match connecting.complete(returned, ip_address, context.trace_id.clone()).await {
            Ok(connected) => Page::connected(&connected),
            Err(NotConnected { error, return_to }) => {
                Page::failed(&error, return_to.as_ref(), &context.trace_id)
            }
        }
    }

    /// Read who we are
    ///
    /// The document that is our name with authorization servers that read such (OAuth Client ID Metadata Document). There is
    /// none unless the platform is reached over https.
    #[oai(
        path = "/oauth/client-metadata.json",
        method = "get",
        operation_id = "get_client_metadata"
    )]
    #[expect(clippy::unused_async, reason = "the framework wants it of all operations")]
    async fn client_metadata(
        &self,
        Data(context): Data<&Arc<Context>>,
    ) -> Result<Document, Failure> {
        let metadata = context.app.connecting.addresses().client_metadata().ok_or_else(|| {
            let detail = "this platform is not reached over https, and so has no such document; an operator sets \
                          LINKSPAN_PUBLIC_URL";
            Failure::new(Code::NotFound, detail)
        })?;
        Document::of(&metadata)
    }
}

fn read(ticket: Option<String>) -> Ticket {
    Ticket::new(Secret::new(ticket.unwrap_or_default()))
}
