//! What people see around a provider. No script, nothing from elsewhere, and every text is escaped.

use std::{fmt::Write, sync::LazyLock};

use base64::{Engine, prelude::BASE64_STANDARD};
use http::{HeaderValue, StatusCode, header};
use linkspan_app::{Addresses, Browser, Connected, ReturnError};
use linkspan_domain::ports::OauthError;
use poem::{IntoResponse, Response};
use poem_openapi::{
    ApiResponse,
    registry::{MetaHeader, MetaMediaType, MetaResponse, MetaResponses, Registry},
};
use sha2::{Digest, Sha256};
use url::Url;

use super::cookie;
use crate::{
    answer::text_header,
    schema::{Schema, inline},
};

/// A page.
pub(super) struct Page(pub(super) Response);

/// Where the forms of a page may send something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Forms {
    /// There are none.
    Nowhere,
    /// To where the page is from.
    Here,
}

/// What the platform offers, as pages two levels down find it: the platform may be anywhere below its host.
const DOCS: &str = "../../docs";

const HTML: &str = "text/html; charset=utf-8";

/// Contrast of text and links on the background is 7:1 at least, in the light and in the dark.
const STYLE: &str = "\
:root{color-scheme:light dark}\
body{margin:0;font:1.125rem/1.6 system-ui,sans-serif;color:#1b1b1f;background:#fff}\
main{max-width:34rem;margin:0 auto;padding:12vh 1.5rem}\
h1{font-size:1.75rem;line-height:1.25;margin:0 0 1rem}\
p{margin:0 0 1rem;overflow-wrap:anywhere}\
small{color:#4a4a52}\
a{color:#0b4fa8}\
a:focus-visible,button:focus-visible{outline:3px solid #0b4fa8;outline-offset:3px}\
dl{margin:0 0 1.5rem;padding:1rem 1.25rem;border:1px solid #8a8a94;border-radius:.5rem}\
dt{color:#4a4a52;font-size:.9375rem}\
dd{margin:0 0 .75rem;overflow-wrap:anywhere}\
dd:last-child{margin:0}\
ul{margin:0;padding:0 0 0 1.25rem}\
code{font-size:1rem}\
.ways{display:flex;flex-wrap:wrap;gap:.75rem;margin:0 0 1.5rem}\
.go,button{box-sizing:border-box;min-height:2.75rem;padding:.5rem 1.25rem;border:1px solid #0b4fa8;border-radius:.5rem;\
font:inherit;line-height:1.6;overflow-wrap:anywhere;cursor:pointer}\
.go{color:#fff;background:#0b4fa8;text-align:center;text-decoration:none}\
button{color:#0b4fa8;background:none}\
@media(max-width:30rem){.ways{flex-direction:column}button{width:100%}}\
@media(prefers-color-scheme:dark){\
body{color:#ececf1;background:#16161a}small,dt{color:#b9b9c3}a{color:#9cc4ff}\
a:focus-visible,button:focus-visible{outline-color:#9cc4ff}\
.go,button{border-color:#9cc4ff}.go{color:#101014;background:#9cc4ff}button{color:#9cc4ff}}";

/// Nothing but the style above is loaded or run, and nobody frames the page. Where forms go comes behind it.
static POLICY: LazyLock<String> = LazyLock::new(|| {
    let style = BASE64_STANDARD.encode(Sha256::digest(STYLE));
    format!(
        "default-src 'none'; style-src 'sha256-{style}'; base-uri 'none'; frame-ancestors 'none'; form-action"
    )
});

impl Page {
    /// The activation is connected. Whoever sent the person gets them back.
    pub(super) fn connected(connected: &Connected) -> Self {
        if let Some(return_to) = &connected.return_to {
            return Self::sent_on(return_to);
        }
        let name = connected.name.as_str();
        let text = format!("{name} is connected. You can close this page.");
        Self::of(StatusCode::OK, "Connected", &text, "")
    }

    /// The person goes on to `url`.
    pub(super) fn sent_on(url: &Url) -> Self {
        let response = Response::builder()
            .status(StatusCode::SEE_OTHER)
            .header(header::LOCATION, url.as_str())
            .header(header::CACHE_CONTROL, "no-store")
            .header(header::REFERRER_POLICY, "no-referrer");
        Self(response.finish())
    }

    /// Has `browser` known when it comes back.
    pub(super) fn known(mut self, browser: &Browser, addresses: &Addresses) -> Self {
        if let Ok(value) = HeaderValue::from_str(&cookie::set(browser, addresses)) {
            self.0.headers_mut().insert(header::SET_COOKIE, value);
        }
        self
    }

    /// Nothing was connected, why, and the way back to where the person came from.
    pub(super) fn failed(error: &ReturnError, return_to: Option<&Url>, trace_id: &str) -> Self {
        if let ReturnError::Ours(source) = error {
            tracing::error!(error = source as &dyn std::error::Error, "an authorization failed");
        }
        let (status, title, what_to_do) = told(error);
        let text = match error {
            ReturnError::Refused { .. } | ReturnError::Issuer(_) => {
                format!("{}. {what_to_do}", sentence(&error.to_string()))
            }
            _ => what_to_do.to_owned(),
        };
        let back = way_back(return_to);
        let rest = format!("{back}<p><small>Request {}</small></p>", escape(trace_id));
        Self::of(status, title, &text, &rest)
    }

    /// A page that says `text` and then `rest`, which is HTML.
    fn of(status: StatusCode, title: &str, text: &str, rest: &str) -> Self {
        let text = escape(text);
        let body = format!(
            "<p role=\"status\">{text}</p>{rest}<p><a href=\"{DOCS}\">What this platform offers</a></p>"
        );
        Self::with(status, title, &body, Forms::Nowhere)
    }

    /// A page that shows `body`, which is HTML, below its title.
    pub(super) fn with(status: StatusCode, title: &str, body: &str, forms: Forms) -> Self {
        let title = escape(title);
        let html = format!(
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
             <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
             <title>{title} – Linkspan</title><style>{STYLE}</style></head>\
             <body><main><h1>{title}</h1>{body}</main></body></html>\n"
        );
        let target = match forms {
            Forms::Nowhere => "'none'",
            Forms::Here => "'self'",
        };
        let response = Response::builder()
            .status(status)
            .content_type(HTML)
            .header(header::CACHE_CONTROL, "no-store")
            .header(header::REFERRER_POLICY, "no-referrer")
            .header(header::X_FRAME_OPTIONS, "DENY")
            .header(header::CONTENT_SECURITY_POLICY, format!("{} {target}", *POLICY));
        Self(response.body(html))
    }
}

/// What a person is told: a status for machines, a title, and what they can do.
fn told(error: &ReturnError) -> (StatusCode, &'static str, &'static str) {
    match error {
        ReturnError::Unknown => {
            (StatusCode::NOT_FOUND, "This link is not known", "Ask for a new link.")
        }
        ReturnError::Used => (
            StatusCode::GONE,
            "This link was used already",
            "If the connection does not work, ask for a new link.",
        ),
        ReturnError::Expired => (
            StatusCode::GONE,
            "This link has expired",
            "A link works for ten minutes. Ask for a new one.",
        ),
        ReturnError::OtherBrowser => (
            StatusCode::FORBIDDEN,
            "This is another browser",
            "Go on in the browser in which you opened the link. If this is the one, allow cookies, and open the link again.",
        ),
        ReturnError::Issuer(_) => (
            StatusCode::BAD_REQUEST,
            "The answer came from somewhere else",
            "Nothing was connected. Tell whoever runs this platform, and ask for a new link.",
        ),
        ReturnError::Refused { .. } if error.is_by_the_person() => (
            StatusCode::FORBIDDEN,
            "Not connected",
            "If that was not what you wanted, ask for a new link and agree at the provider.",
        ),
        ReturnError::Refused { .. } => (
            StatusCode::FORBIDDEN,
            "Not connected",
            "Ask for a new link, and tell whoever runs this platform if it happens again.",
        ),
        ReturnError::Malformed => (
            StatusCode::BAD_REQUEST,
            "The answer cannot be read",
            "Ask for a new link, and tell whoever runs this platform if it happens again.",
        ),
        ReturnError::Server(OauthError::InvalidClient { .. }) => (
            StatusCode::FAILED_DEPENDENCY,
            "The provider does not accept this platform",
            "Tell whoever runs it: the provider does not know its client, or not by this secret or key.",
        ),
        ReturnError::Server(_) => (
            StatusCode::FAILED_DEPENDENCY,
            "The provider did not finish",
            "Ask for a new link in a few minutes.",
        ),
        ReturnError::Gone => {
            (StatusCode::GONE, "There is nothing to connect any more", "It was deleted meanwhile.")
        }
        ReturnError::Ours(_) => (
            StatusCode::INTERNAL_SERVER_ERROR,
            "Something went wrong",
            "It is our fault. Whoever runs this platform finds it in the log.",
        ),
    }
}

/// A link to where the person came from, if that is known.
pub(super) fn way_back(return_to: Option<&Url>) -> String {
    return_to.map_or_else(String::new, |url| {
        let host = url.host_str().unwrap_or_default();
        format!("<p><a href=\"{}\">Back to {}</a></p>", escape(url.as_str()), escape(host))
    })
}

/// Of a text from elsewhere, as much as is read.
fn sentence(text: &str) -> String {
    let text: String = text.chars().filter(|it| !it.is_control()).take(300).collect();
    let text = text.trim().trim_end_matches('.');
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// `text` where HTML has text or the value of an attribute.
pub(super) fn escape(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut escaped, it| {
        match it {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            it if it.is_control() => {
                // Writing to a string cannot fail.
                let _ = write!(escaped, "&#xfffd;");
            }
            it => escaped.push(it),
        }
        escaped
    })
}

impl IntoResponse for Page {
    fn into_response(self) -> Response {
        self.0
    }
}

/// What the document says of a page.
pub(super) fn page_meta(status: u16, description: &'static str) -> MetaResponse {
    MetaResponse {
        description,
        status: Some(status),
        status_range: None,
        content: vec![MetaMediaType { content_type: HTML, schema: inline(String::schema()) }],
        headers: vec![],
    }
}

/// What the document says of the cookie that makes a browser known.
pub(super) fn cookie_meta() -> MetaHeader {
    let mut set = text_header("Set-Cookie", "Tells this browser from others when it comes back.");
    set.required = false;
    set
}

impl ApiResponse for Page {
    fn meta() -> MetaResponses {
        let sent_on = MetaResponse {
            description: "It is connected, and the person is sent on.",
            status: Some(303),
            status_range: None,
            content: vec![],
            headers: vec![],
        };
        MetaResponses {
            responses: vec![
                page_meta(200, "It is connected."),
                sent_on,
                page_meta(400, "What came back is not what was asked for."),
                page_meta(
                    403,
                    "The provider, or the person, said no, or this is not the browser that they left in.",
                ),
                page_meta(404, "The link is not known."),
                page_meta(410, "The link was used, has expired, or has nothing to connect."),
                page_meta(424, "The provider did not finish."),
                page_meta(500, "Our fault."),
            ],
        }
    }

    fn register(_: &mut Registry) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn shown(error: ReturnError) -> (StatusCode, String, String) {
        let there = "https://app.example/done?a=%22&error=access_denied".parse().unwrap();
        let response = Page::failed(&error, Some(&there), "trace-1").0;
        let policy =
            response.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap().to_owned();
        let status = response.status();
        (status, policy, response.into_body().into_string().await.unwrap())
    }

    #[tokio::test]
    async fn what_a_provider_says_is_shown_and_never_run() {
        let description = Some("<script>alert(1)</script> \"&' \u{7}".to_owned());
        let error = ReturnError::Refused { error: "access_denied".to_owned(), description };
        let (status, policy, body) = shown(error).await;
        assert_eq!(status, StatusCode::FORBIDDEN);
        assert!(body.contains("&lt;script&gt;alert(1)&lt;/script&gt; &quot;&amp;&#39;"), "{body}");
        assert!(!body.contains("<script") && !policy.contains("script-src"), "{body}");
        assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
        assert!(body.contains("<html lang=\"en\">") && body.contains("<title>Not connected"));
        let back =
            "href=\"https://app.example/done?a=%22&amp;error=access_denied\">Back to app.example";
        assert!(body.contains(back), "{body}");
    }

    #[test]
    fn the_way_to_the_documentation_is_right_wherever_the_platform_is() {
        for root in ["https://linkspan.example/", "https://linkspan.example/base/"] {
            let root: Url = root.parse().unwrap();
            let page = root.join("v1/oauth/callback?state=x").unwrap();
            assert_eq!(page.join(DOCS).unwrap(), root.join("docs").unwrap());
        }
    }

    #[tokio::test]
    async fn every_failure_has_a_page_of_its_own() {
        let errors = [
            ReturnError::Unknown,
            ReturnError::Used,
            ReturnError::Expired,
            ReturnError::OtherBrowser,
            ReturnError::Issuer(linkspan_domain::IssuerCheck::Mismatch),
            ReturnError::Malformed,
            ReturnError::Gone,
        ];
        let mut titles = std::collections::BTreeSet::new();
        let count = errors.len();
        for error in errors {
            let (status, _, body) = shown(error).await;
            assert!(status.is_client_error());
            assert!(body.contains("trace-1") && body.contains("<a href=\"../../docs\">"));
            titles.insert(
                body.split("<h1>").nth(1).unwrap().split("</h1>").next().unwrap().to_owned(),
            );
        }
        assert_eq!(titles.len(), count);
    }
}
