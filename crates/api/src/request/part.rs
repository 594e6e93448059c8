//! Wants something of a part of a thing set.

use std::sync::Arc;

use linkspan_domain::{Call, Resource, Revision};
use poem::{Request, RequestBody};
use poem_openapi::{
    ApiExtractor, ApiExtractorType, ExtractParamOptions,
    registry::{MetaParamIn, MetaRequest, MetaSchemaRef, Registry},
};

use super::{Frame, WRITES, id, takes, takes_body};
use crate::{
    body::{self, Input},
    context::Context,
    etag, openapi,
    resource::Kept,
};

/// Wants something of a part of a thing set, in place of what is there.
pub(crate) struct SettingPart<R: Resource, B> {
    pub(crate) call: Call,
    pub(crate) context: Arc<Context>,
    pub(crate) id: R::Id,
    /// What the path calls the part.
    pub(crate) part: String,
    /// The revision of the thing that the client read.
    pub(crate) expected: Option<Revision>,
    pub(crate) body: B,
}

impl<'a, R: Kept, B: Input> ApiExtractor<'a> for SettingPart<R, B> {
    takes_body!(B, openapi::deleting_parameters());

    async fn from_request(
        request: &'a Request,
        body: &mut RequestBody,
        _: ExtractParamOptions<()>,
    ) -> poem::Result<Self> {
        let frame = Frame::of(request).await?;
        frame.query.deny_all()?;
        let (id, expected) = (id::<R>(request)?, etag::expected(request.headers())?);
        let segments = request.path_params::<Vec<String>>().unwrap_or_default();
        let part = segments.into_iter().nth(1).unwrap_or_default();
        let bytes = frame.receive(request, body).await?;
        let body = body::parse::<B>(request, &bytes, None)?;
        let Frame { context, call, .. } = frame;
        Ok(Self { call, context, id, part, expected, body })
    }
}
