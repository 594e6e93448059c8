//! Wants something of a part of a thing set, or done with it.

use std::{marker::PhantomData, sync::Arc};

use linkspan_domain::{Call, Id, Resource, Revision};
use poem::{Request, RequestBody};
use poem_openapi::{
    ApiExtractor, ApiExtractorType, ExtractParamOptions,
    registry::{MetaParamIn, MetaRequest, MetaSchemaRef, Registry},
};

use super::{Acting, Frame, WRITES, id, parse_id, takes, takes_body};
use crate::{
    answer::Answer,
    body::{self, Input, Nothing},
    context::Context,
    etag, openapi,
    resource::Kept,
    view::View,
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

/// Wants something done with a part of a thing.
pub(crate) struct ActingOnPart<R: Resource, P, A, B = Nothing> {
    pub(crate) call: Call,
    pub(crate) context: Arc<Context>,
    pub(crate) id: R::Id,
    /// The part, which the path names.
    pub(crate) part: P,
    /// The revision of the thing that the client read.
    pub(crate) expected: Option<Revision>,
    pub(crate) body: B,
    pub(crate) view: View,
    answer: PhantomData<fn() -> A>,
}

impl<'a, R: Kept, P: Id, A: Answer, B: Input> ApiExtractor<'a> for ActingOnPart<R, P, A, B> {
    takes_body!(B, openapi::acting_parameters::<A>());

    async fn from_request(
        request: &'a Request,
        body: &mut RequestBody,
        options: ExtractParamOptions<()>,
    ) -> poem::Result<Self> {
        let part = parse_id(&part(request))?;
        let acting = Acting::<R, A, B>::from_request(request, body, options).await?;
        let Acting { call, context, id, expected, body, view, .. } = acting;
        Ok(Self { call, context, id, part, expected, body, view, answer: PhantomData })
    }
}

/// The second named segment of the path.
fn part(request: &Request) -> String {
    let segments = request.path_params::<Vec<String>>().unwrap_or_default();
    segments.into_iter().nth(1).unwrap_or_default()
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
        let part = part(request);
        let bytes = frame.receive(request, body).await?;
        let body = body::parse::<B>(request, &bytes, None)?;
        let Frame { context, call, .. } = frame;
        Ok(Self { call, context, id, part, expected, body })
    }
}
