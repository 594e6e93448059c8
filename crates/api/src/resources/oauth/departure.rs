//! Sending a person on to a provider.

use http::StatusCode;
use linkspan_app::{Addresses, Departure, ReturnError};
use poem::{IntoResponse, Response};
use poem_openapi::{
    ApiResponse,
    registry::{MetaResponse, MetaResponses, Registry},
};

use super::pages::{Page, cookie_meta, page_meta};

/// The way on, or a page that says why there is none.
pub(super) struct SentOn(Page);

impl SentOn {
    /// To the provider, and known when they come back.
    pub(super) fn to(departure: &Departure, addresses: &Addresses) -> Self {
        Self(Page::sent_on(&departure.url).known(&departure.browser, addresses))
    }

    /// Nowhere, and why.
    pub(super) fn failed(error: &ReturnError, trace_id: &str) -> Self {
        Self(Page::failed(error, None, trace_id))
    }
}

impl IntoResponse for SentOn {
    fn into_response(self) -> Response {
        self.0.into_response()
    }
}

impl ApiResponse for SentOn {
    fn meta() -> MetaResponses {
        let sent_on = MetaResponse {
            description: "To the provider.",
            status: Some(StatusCode::SEE_OTHER.as_u16()),
            status_range: None,
            content: vec![],
            headers: vec![cookie_meta()],
        };
        let failed: [MetaResponse; 3] = [
            page_meta(404, "The link is not known."),
            page_meta(410, "The link was used, or has expired."),
            page_meta(500, "Our fault."),
        ];
        MetaResponses { responses: std::iter::once(sent_on).chain(failed).collect() }
    }

    fn register(_: &mut Registry) {}
}
