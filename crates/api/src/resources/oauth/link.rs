//! Links to providers.

use std::sync::Arc;

use linkspan_app::{Authorize, Authorized};
use linkspan_domain::Call;
use poem::{IntoResponse, Request, RequestBody, Response};
use poem_openapi::{
    ApiExtractor, ApiExtractorType, ApiResponse, ExtractParamOptions,
    registry::{MetaMediaType, MetaParamIn, MetaResponse, MetaResponses, MetaSchemaRef, Registry},
};
use serde_json::json;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use uuid::Uuid;

use super::body::AuthorizeBody;
use crate::{
    answer::Answer,
    context::Context,
    media_type::JSON,
    openapi,
    problem::{Failure, internal},
    query::{Query, invalid},
    schema::{named, object, property},
    view::View,
};

/// Where a person agrees.
pub(super) struct Link(Response);

impl Link {
    /// Shows where a person agrees, if somebody has to.
    pub(super) fn to(authorized: Authorized) -> Result<Self, Failure> {
        let body = match authorized {
            Authorized::Asked { url, connect_url, expires_at } => json!({
                "url": url,
                "connect_url": connect_url,
                "expires_at": expires_at.format(&Rfc3339).map_err(|_| internal())?,
                "connected": false,
            }),
            Authorized::Connected => {
                json!({ "url": null, "connect_url": null, "expires_at": null, "connected": true })
            }
        };
        let body = serde_json::to_vec(&body).map_err(|_| internal())?;
        let response = Response::builder().content_type(JSON).header("Cache-Control", "no-store");
        Ok(Self(response.body(body)))
    }
}

impl IntoResponse for Link {
    fn into_response(self) -> Response {
        self.0
    }
}

impl ApiResponse for Link {
    fn meta() -> MetaResponses {
        let content =
            vec![MetaMediaType { content_type: JSON, schema: named("AuthorizationLink") }];
        let response = MetaResponse {
            description: "Where a person agrees.",
            status: Some(200),
            status_range: None,
            content,
            headers: vec![],
        };
        MetaResponses { responses: vec![response] }
    }

    fn register(registry: &mut Registry) {
        registry.create_schema::<Self, _>("AuthorizationLink".to_owned(), |_| {
            let properties = vec![
                property::<Option<String>>(
                    "url",
                    "Where a person goes to agree: it leads to the provider. It works once, in the browser that opened it. None: nobody has to.",
                ),
                property::<Option<String>>(
                    "connect_url",
                    "The same by way of a page that says who asks for what.",
                ),
                property::<Option<OffsetDateTime>>("expires_at", "Until when it works."),
                property::<bool>("connected", "Whether the activation is connected already."),
            ];
            object(properties, &["url", "connect_url", "expires_at", "connected"])
        });
    }
}

impl Answer for Link {
    fn view(query: &Query) -> Result<View, Failure> {
        query.deny_all()?;
        Ok(View::default())
    }

    fn parameters() -> Vec<MetaSchemaRef> {
        Vec::new()
    }

    async fn again(_: &Context, _: &Call, _: &View, _: Uuid) -> Result<Self, Failure> {
        // Only what nobody had to agree to fulfils a claim.
        Self::to(Authorized::Connected)
    }
}

/// Somebody wants access to a connector of the catalog.
pub(super) struct Asking {
    pub(super) call: Call,
    pub(super) context: Arc<Context>,
    pub(super) authorize: Authorize,
}

impl Asking {
    pub(super) const PARAMETERS: [&str; 2] = ["redirect_url", "state"];
}

impl<'a> ApiExtractor<'a> for Asking {
    const TYPES: &'static [ApiExtractorType] =
        &[ApiExtractorType::SecurityScheme, ApiExtractorType::Parameter];
    type ParamType = ();
    type ParamRawType = ();

    fn security_schemes() -> Vec<&'static str> {
        vec![openapi::BEARER]
    }

    fn param_in() -> Option<MetaParamIn> {
        Some(MetaParamIn::Query)
    }

    fn param_schema_ref() -> Option<MetaSchemaRef> {
        Some(openapi::parameters(openapi::access_parameters()))
    }

    fn register(registry: &mut Registry) {
        openapi::register_security(registry);
    }

    async fn from_request(
        request: &'a Request,
        _: &mut RequestBody,
        _: ExtractParamOptions<()>,
    ) -> poem::Result<Self> {
        let context = Context::of(request)?;
        let call = context.call(request).await?;
        let mut query = Query::parse(request.uri().query())?;
        let [redirect_url, state] = Self::PARAMETERS.map(|it| query.take(it));
        query.deny_all()?;
        let return_to = redirect_url.map(|it| it.parse()).transpose();
        let return_to = return_to.map_err(|_| invalid("redirect_url", "is not a URL"))?;
        let asked = AuthorizeBody::back_to(return_to, state).read();
        let authorize = asked.map_err(|error| error.in_query(&Self::PARAMETERS))?;
        Ok(Self { call, context, authorize })
    }
}
