//! Wants to hear of a thing as it changes.

use std::sync::Arc;

use linkspan_domain::{Call, Resource};
use poem::{Request, RequestBody};
use poem_openapi::{
    ApiExtractor, ApiExtractorType, ExtractParamOptions,
    registry::{MetaParamIn, MetaSchemaRef, Registry},
};

use super::{Frame, READS, id, takes};
use crate::{context::Context, openapi, resource::Kept};

/// Wants to hear of a thing as it changes.
pub(crate) struct Following<R: Resource> {
    pub(crate) call: Call,
    pub(crate) context: Arc<Context>,
    pub(crate) id: R::Id,
}

impl<'a, R: Kept> ApiExtractor<'a> for Following<R> {
    takes!(READS, openapi::following_parameters());

    fn register(registry: &mut Registry) {
        openapi::register_security(registry);
    }

    async fn from_request(
        request: &'a Request,
        _: &mut RequestBody,
        _: ExtractParamOptions<()>,
    ) -> poem::Result<Self> {
        let Frame { context, call, query } = Frame::of(request).await?;
        query.deny_all()?;
        Ok(Self { call, context, id: id::<R>(request)? })
    }
}
