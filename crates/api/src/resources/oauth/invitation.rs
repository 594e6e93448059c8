//! The page that a person sees before they go to a provider. It works without script, and its form sends nothing.

use http::StatusCode;
use linkspan_app::{Addresses, Declined, Invitation, ReturnError};
use poem::{IntoResponse, Response};
use poem_openapi::{
    ApiResponse,
    registry::{MetaResponse, MetaResponses, Registry},
};
use time::macros::format_description;

use super::pages::{Forms, Page, cookie_meta, escape, page_meta, way_back};

/// The page.
pub(super) struct InvitationPage(Page);

impl InvitationPage {
    /// Who asks for what, and the way to the provider.
    pub(super) fn of(invitation: &Invitation, addresses: &Addresses) -> Self {
        let title = format!("Connect {}", invitation.name.as_str());
        let page = Page::with(StatusCode::OK, &title, &asked(invitation), Forms::Here);
        Self(page.known(&invitation.departure.browser, addresses))
    }

    /// Nothing was connected, as the person wanted.
    pub(super) fn declined(declined: &Declined) -> Self {
        let name = escape(declined.name.as_str());
        let back = way_back(declined.return_to.as_ref());
        let body = format!(
            "<p role=\"status\">You cancelled. Nothing was connected, and the link does not work any more. \
             To connect {name} after all, ask for a new one.</p>{back}"
        );
        Self(Page::with(StatusCode::OK, "Cancelled", &body, Forms::Nowhere))
    }

    /// There is nothing to see, and why.
    pub(super) fn failed(error: &ReturnError, trace_id: &str) -> Self {
        Self(Page::failed(error, None, trace_id))
    }
}

/// What the page says of an invitation.
fn asked(invitation: &Invitation) -> String {
    let provider = escape(invitation.departure.url.host_str().unwrap_or("the provider"));
    let scopes =
        invitation.scopes.iter().map(|it| format!("<li><code>{}</code></li>", breaking(it)));
    let scopes: String = scopes.collect();
    let wanted = if scopes.is_empty() {
        "What the provider gives when nothing else is said".to_owned()
    } else {
        format!("<ul>{scopes}</ul>")
    };
    let until = invitation.expires_at.format(format_description!("[hour]:[minute]"));
    format!(
        "<p><strong>{workspace}</strong> asks for access to your account at <strong>{provider}</strong>. \
         You sign in and decide there.</p>\
         <dl><dt>Connector</dt><dd>{connector}</dd><dt>Workspace</dt><dd>{workspace}</dd>\
         <dt>What it asks for</dt><dd>{wanted}</dd></dl>\
         <div class=\"ways\"><a class=\"go\" href=\"{url}\">Continue to {provider}</a>\
         <form method=\"post\"><button>Cancel</button></form></div>\
         <p><small>The link works once, until {until} UTC. If you do not know who sent it, cancel.</small></p>",
        workspace = escape(invitation.workspace.as_str()),
        connector = escape(invitation.connector.as_str()),
        url = escape(invitation.departure.url.as_str()),
        until = until.unwrap_or_default(),
    )
}

/// `text`, which may be a URL, with places where a line may end.
fn breaking(text: &str) -> String {
    escape(text).replace('/', "/<wbr>").replace('.', ".<wbr>")
}

impl IntoResponse for InvitationPage {
    fn into_response(self) -> Response {
        self.0.into_response()
    }
}

impl ApiResponse for InvitationPage {
    fn meta() -> MetaResponses {
        let mut shown = page_meta(200, "The page, or that the person cancelled.");
        shown.headers.push(cookie_meta());
        let failed: [MetaResponse; 3] = [
            page_meta(404, "The link is not known."),
            page_meta(410, "The link was used, has expired, or has nothing to connect."),
            page_meta(500, "Our fault."),
        ];
        MetaResponses { responses: std::iter::once(shown).chain(failed).collect() }
    }

    fn register(_: &mut Registry) {}
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use http::header;
    use linkspan_app::{Browser, Departure};
    use time::macros::datetime;

    use super::*;

    fn invitation(scopes: &[&str]) -> Invitation {
        Invitation {
            name: "Books <b>".parse().unwrap(),
            connector: "Accounting & more".parse().unwrap(),
            workspace: "\"Main\"".parse().unwrap(),
            scopes: scopes.iter().map(|it| (*it).to_owned()).collect::<BTreeSet<_>>(),
            departure: Departure {
                url: "https://login.example/agree?a=1&state=x".parse().unwrap(),
                browser: Browser::read(&"b".repeat(43)).unwrap(),
            },
            expires_at: datetime!(2026-05-01 12:10 UTC),
        }
    }

    async fn shown(page: InvitationPage) -> (Response, String) {
        let mut response = page.into_response();
        let body = response.take_body().into_string().await.unwrap();
        (response, body)
    }

    #[tokio::test]
    async fn whoever_is_asked_sees_who_asks_for_what() {
        let addresses = Addresses::default();
        let (response, body) =
            shown(InvitationPage::of(&invitation(&["<all.read>"]), &addresses)).await;
        for said in [
            "<h1>Connect Books &lt;b&gt;</h1>",
            "<dd>Accounting &amp; more</dd>",
            "<dd>&quot;Main&quot;</dd>",
            "<code>&lt;all.<wbr>read&gt;</code>",
            "href=\"https://login.example/agree?a=1&amp;state=x\">Continue to login.example</a>",
            "<form method=\"post\"><button>Cancel</button></form>",
            "until 12:10 UTC",
        ] {
            assert!(body.contains(said), "{said}: {body}");
        }
        assert!(!body.contains("<script"), "{body}");
        let policy = response.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(policy.contains("form-action 'self'") && !policy.contains("script"), "{policy}");
        assert_eq!(response.headers()[header::X_FRAME_OPTIONS], "DENY");
        let (_, body) = shown(InvitationPage::of(&invitation(&[]), &addresses)).await;
        assert!(body.contains("when nothing else is said"), "{body}");
    }

    #[tokio::test]
    async fn whoever_cancels_has_a_way_back() {
        let declined = |return_to: Option<&str>| Declined {
            name: "Books".parse().unwrap(),
            return_to: return_to.map(|it| it.parse().unwrap()),
        };
        let back = "https://app.example/done?state=a&error=access_denied";
        let (_, body) = shown(InvitationPage::declined(&declined(Some(back)))).await;
        assert!(
            body.contains("state=a&amp;error=access_denied\">Back to app.example</a>"),
            "{body}"
        );
        let (_, body) = shown(InvitationPage::declined(&declined(None))).await;
        assert!(!body.contains("Back to"), "{body}");
    }
}
