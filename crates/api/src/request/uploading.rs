//! Wants a file taken in: a body of bytes, which goes to its place piece by piece.

use std::{io, marker::PhantomData, sync::Arc};

use futures_util::TryStreamExt;
use http::{HeaderMap, header};
use linkspan_domain::{
    Call, Code, FileName,
    ports::{Cause, ReceivedFile},
};
use poem::{Request, RequestBody};
use poem_openapi::{
    ApiExtractor, ApiExtractorType, ExtractParamOptions,
    registry::{MetaMediaType, MetaParamIn, MetaRequest, MetaSchema, MetaSchemaRef, Registry},
};

use super::{Frame, WRITES, once, takes};
use crate::{
    answer::Answer, body, context::Context, openapi, problem::Failure, query, schema::inline,
    view::View,
};

/// Wants a file taken in. Its bytes have arrived, and are gone unless they are kept.
pub(crate) struct Uploading<A> {
    pub(crate) call: Call,
    pub(crate) context: Arc<Context>,
    pub(crate) name: FileName,
    pub(crate) received: Box<dyn ReceivedFile>,
    pub(crate) view: View,
    answer: PhantomData<fn() -> A>,
}

/// What files may be sent as. What is in them says whether they are compressed.
const MEDIA_TYPES: [&str; 3] = ["text/csv", "application/octet-stream", "application/gzip"];

impl<'a, A: Answer> ApiExtractor<'a> for Uploading<A> {
    takes!(WRITES, openapi::uploading_parameters::<A>());

    fn register(registry: &mut Registry) {
        openapi::register_security(registry);
    }

    fn request_meta() -> Option<MetaRequest> {
        let content = MEDIA_TYPES.map(|content_type| MetaMediaType {
            content_type,
            schema: inline(MetaSchema::new_with_format("string", "binary")),
        });
        Some(MetaRequest {
            description: Some("The bytes of the file, compressed with gzip or not."),
            content: content.into(),
            required: true,
        })
    }

    async fn from_request(
        request: &'a Request,
        body: &mut RequestBody,
        _: ExtractParamOptions<()>,
    ) -> poem::Result<Self> {
        let mut frame = Frame::of(request).await?;
        let name = name(frame.query.take("name"))?;
        let view = A::view(&frame.query)?;
        check_media_type(request.headers())?;
        let upload = body.take().map_err(|_| body::broken())?.into_bytes_stream();
        let upload = Box::pin(upload.map_err(|error: io::Error| Cause::from(error)));
        let files = &frame.context.app.files;
        let received = files.receive(&frame.call, body::announced(request), upload).await;
        let received = received.map_err(Failure::from)?;
        once::<A>(&mut frame, request, &view, received.sha256().as_str().as_bytes()).await?;
        let Frame { context, call, .. } = frame;
        Ok(Self { call, context, name, received, view, answer: PhantomData })
    }
}

fn name(given: Option<String>) -> Result<FileName, Failure> {
    let given = given.ok_or_else(|| query::invalid("name", "say what the file is called"))?;
    given.parse().map_err(|error| query::invalid("name", format!("{error}")))
}

fn check_media_type(headers: &HeaderMap) -> Result<(), Failure> {
    let value = headers.get(header::CONTENT_TYPE).and_then(|it| it.to_str().ok());
    let name = value.unwrap_or_default().split(';').next().unwrap_or_default().trim();
    if MEDIA_TYPES.iter().any(|it| it.eq_ignore_ascii_case(name)) {
        return Ok(());
    }
    let detail = format!("send the file itself as one of {}", MEDIA_TYPES.join(", "));
    Err(Failure::new(Code::UnsupportedMediaType, detail).in_header("Content-Type"))
}
