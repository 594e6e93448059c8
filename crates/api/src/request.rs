//! What operations take: who calls, what they want to see, what they send.
//!
//! Each stands for all the parameters of its operation, so that no handler can forget one, and the OpenAPI document has
//! what is really read.

mod data;
mod following;
mod part;
mod uploading;

use std::{marker::PhantomData, sync::Arc};

use bytes::Bytes;
use http::HeaderMap;
use linkspan_app::Begun;
use linkspan_domain::{Call, Code, Id, ListQuery, Resource, Revision};
use poem::{Request, RequestBody};
use poem_openapi::{
    ApiExtractor, ApiExtractorType, ExtractParamOptions,
    registry::{MetaParamIn, MetaRequest, MetaSchemaRef, Registry},
};
use sha2::{Digest, Sha256};

pub(crate) use data::{Continuing, EntityChoice, Querying};
pub(crate) use following::Following;
pub(crate) use part::{ActingOnPart, SettingPart};
pub(crate) use uploading::Uploading;

use crate::{
    answer::{Answer, Collection, Document, replayed},
    body::{self, Input, Nothing},
    context::Context,
    etag, listing, openapi,
    problem::Failure,
    query::Query,
    resource::{Kept, Shown},
    view::View,
};

/// Wants a list of things.
pub(crate) struct Listing<R> {
    pub(crate) call: Call,
    pub(crate) context: Arc<Context>,
    pub(crate) list: ListQuery,
    parent: Option<String>,
    pub(crate) view: View,
    pub(crate) path: String,
    pub(crate) query: Query,
    /// Path and query string, as they came.
    target: String,
    kind: PhantomData<fn() -> R>,
}

/// Wants one kept thing.
pub(crate) struct Reading<R: Resource> {
    pub(crate) call: Call,
    pub(crate) context: Arc<Context>,
    pub(crate) id: R::Id,
    view: View,
    headers: HeaderMap,
}

/// Wants something that has a path of its own, but is no kept thing.
pub(crate) struct Asking<R> {
    pub(crate) call: Call,
    pub(crate) context: Arc<Context>,
    /// What the path names.
    pub(crate) key: String,
    pub(crate) path: String,
    view: View,
    headers: HeaderMap,
    kind: PhantomData<fn() -> R>,
}

/// Wants something made.
pub(crate) struct Creating<B, A> {
    pub(crate) call: Call,
    pub(crate) context: Arc<Context>,
    pub(crate) body: B,
    pub(crate) view: View,
    answer: PhantomData<fn() -> A>,
}

/// Wants something of a thing set, in place of what is there.
pub(crate) struct Setting<R: Resource, B> {
    pub(crate) call: Call,
    pub(crate) context: Arc<Context>,
    pub(crate) id: R::Id,
    /// The revision of the thing that the client read.
    pub(crate) expected: Option<Revision>,
    pub(crate) body: B,
}

/// Wants a thing changed.
pub(crate) struct Changing<R: Resource, B> {
    pub(crate) call: Call,
    pub(crate) context: Arc<Context>,
    pub(crate) id: R::Id,
    /// The revision that the client read.
    pub(crate) expected: Option<Revision>,
    pub(crate) body: B,
    pub(crate) view: View,
}

/// Wants a thing deleted.
pub(crate) struct Deleting<R: Resource> {
    pub(crate) call: Call,
    pub(crate) context: Arc<Context>,
    pub(crate) id: R::Id,
    /// The revision that the client read.
    pub(crate) expected: Option<Revision>,
}

/// Wants something done with a thing.
pub(crate) struct Acting<R: Resource, A, B = Nothing> {
    pub(crate) call: Call,
    pub(crate) context: Arc<Context>,
    pub(crate) id: R::Id,
    /// The revision that the client read.
    pub(crate) expected: Option<Revision>,
    pub(crate) body: B,
    pub(crate) view: View,
    answer: PhantomData<fn() -> A>,
}

impl<R: Kept> Listing<R> {
    /// The page that is wanted, of all things of the kind.
    pub(crate) async fn answer(self) -> Result<Collection<R>, Failure> {
        let context = Arc::clone(&self.context);
        // Asked before anything is read: what is committed meanwhile makes the page old, never the other way round.
        let Some(now) = context.pages.snapshot().await else { return self.read().await };
        let (caller, target) = (self.call.caller.clone(), self.target.clone());
        if let Some(page) = context.pages.find(&now, &caller, &target) {
            return Ok(Collection::again(page));
        }
        let answer = self.read().await?;
        context.pages.keep(now, &caller, &target, answer.body());
        Ok(answer)
    }

    async fn read(self) -> Result<Collection<R>, Failure> {
        let page = R::records(&self.context.app).list(&self.call.caller, &self.list).await?;
        self.show(&page).await
    }

    /// Shows `page`.
    pub(crate) async fn show(
        self,
        page: &linkspan_domain::Page<R>,
    ) -> Result<Collection<R>, Failure> {
        let Self { call, context, list, view, path, query, .. } = self;
        Collection::of(&context, &call.caller, &view, &list, (&path, &query), page).await
    }
}

impl<R> Listing<R> {
    /// The identifier in the path, for lists below another thing.
    pub(crate) fn parent<I: Id>(&self) -> Result<I, Failure> {
        parse_id(self.parent.as_deref().unwrap_or_default())
    }
}

impl<R: Kept> Reading<R> {
    /// The thing that is wanted.
    pub(crate) async fn answer(self) -> Result<Document<R>, Failure> {
        let Self { call, context, id, view, headers } = self;
        let thing = R::records(&context.app).get(&call.caller, id).await?;
        let document = Document::of(&context, &call.caller, &view, &thing).await?;
        Ok(document.unless_known(&headers))
    }
}

impl<R: Shown> Asking<R> {
    /// The identifier in the path.
    pub(crate) fn id<I: Id>(&self) -> Result<I, Failure> {
        parse_id(&self.key)
    }

    /// Shows `thing`.
    pub(crate) fn show(&self, thing: &R) -> Result<Document<R>, Failure> {
        Ok(Document::plain(&self.view, thing)?.unless_known(&self.headers))
    }
}

/// What all requests have.
struct Frame {
    context: Arc<Context>,
    call: Call,
    query: Query,
}

impl Frame {
    async fn of(request: &Request) -> Result<Self, Failure> {
        let context = Context::of(request)?;
        let call = context.call(request).await?;
        let query = Query::parse(request.uri().query())?;
        Ok(Self { context, call, query })
    }

    async fn receive(&self, request: &Request, body: &mut RequestBody) -> Result<Bytes, Failure> {
        body::receive(request, body, self.context.app.limits.body_bytes).await
    }
}

fn id<R: Resource>(request: &Request) -> Result<R::Id, Failure> {
    parse_id(segment(request))
}

fn parse_id<I: Id>(text: &str) -> Result<I, Failure> {
    text.parse::<uuid::Uuid>().map(I::from_uuid).map_err(|_| {
        Failure::new(Code::RequestMalformed, "the identifier in the path is not a UUID")
    })
}

/// The first named segment of the path.
fn segment(request: &Request) -> &str {
    request.raw_path_param("param0").unwrap_or_default()
}

/// Claims the idempotency key, if there is one. What was answered before is answered again.
async fn once<A: Answer>(
    frame: &mut Frame,
    request: &Request,
    view: &View,
    body: &[u8],
) -> poem::Result<()> {
    let Some(key) = request.headers().get("Idempotency-Key") else { return Ok(()) };
    // What is no text is no key: the use case says so.
    let key = key.to_str().unwrap_or_default();
    let route = format!("{} {}", request.method(), request.uri().path());
    let mut fingerprint = Sha256::new();
    fingerprint.update(request.uri().query().unwrap_or_default());
    fingerprint.update([0]);
    fingerprint.update(body);
    let fingerprint =
        fingerprint.finalize().iter().fold(String::new(), |hex, it| format!("{hex}{it:02x}"));
    let begun =
        frame.context.app.idempotency.begin(frame.call.clone(), &route, key, &fingerprint).await;
    let begun = begun.map_err(|error| Failure::from(error).in_header("Idempotency-Key"))?;
    match begun {
        Begun::Fresh(call) => {
            frame.context.hold(call.clone());
            frame.call = call;
            Ok(())
        }
        Begun::Replay(_, id) => {
            let answer = A::again(&frame.context, &frame.call, view, id).await?;
            Err(poem::Error::from_response(replayed(answer.into_response())))
        }
    }
}

const READS: &[ApiExtractorType] = &[ApiExtractorType::SecurityScheme, ApiExtractorType::Parameter];
const WRITES: &[ApiExtractorType] = &[
    ApiExtractorType::SecurityScheme,
    ApiExtractorType::Parameter,
    ApiExtractorType::RequestObject,
];

/// What the extractors have in common: who may use them, and where their parameters stand.
macro_rules! takes {
    ($types:expr, $parameters:expr) => {
        const TYPES: &'static [ApiExtractorType] = $types;
        type ParamType = ();
        type ParamRawType = ();

        fn security_schemes() -> Vec<&'static str> {
            vec![openapi::BEARER]
        }

        fn param_in() -> Option<MetaParamIn> {
            Some(MetaParamIn::Query)
        }

        fn param_schema_ref() -> Option<MetaSchemaRef> {
            Some(openapi::parameters($parameters))
        }
    };
}

use takes;

/// What those have in common that read a body.
macro_rules! takes_body {
    ($body:ty, $parameters:expr) => {
        takes!(WRITES, $parameters);

        fn register(registry: &mut Registry) {
            openapi::register_security(registry);
            body::register::<$body>(registry);
        }

        fn request_meta() -> Option<MetaRequest> {
            Some(body::request_meta::<$body>())
        }
    };
}

use takes_body;

impl<'a, R: Shown> ApiExtractor<'a> for Listing<R> {
    takes!(READS, openapi::list_parameters::<R>());

    fn register(registry: &mut Registry) {
        openapi::register_security(registry);
    }

    async fn from_request(
        request: &'a Request,
        _: &mut RequestBody,
        _: ExtractParamOptions<()>,
    ) -> poem::Result<Self> {
        let Frame { context, call, query } = Frame::of(request).await?;
        let (list, view) = listing::parse::<R>(&query, &call.caller)?;
        let parent = request.raw_path_param("param0").map(str::to_owned);
        let path = request.uri().path().to_owned();
        let target = request.uri().path_and_query().map_or("", |it| it.as_str()).to_owned();
        Ok(Self { call, context, list, parent, view, path, query, target, kind: PhantomData })
    }
}

impl<'a, R: Resource + Shown> ApiExtractor<'a> for Reading<R> {
    takes!(READS, openapi::reading_parameters::<R>());

    fn register(registry: &mut Registry) {
        openapi::register_security(registry);
    }

    async fn from_request(
        request: &'a Request,
        _: &mut RequestBody,
        _: ExtractParamOptions<()>,
    ) -> poem::Result<Self> {
        let Frame { context, call, query } = Frame::of(request).await?;
        let (id, view) = (id::<R>(request)?, View::of::<R>(&query)?);
        Ok(Self { call, context, id, view, headers: request.headers().clone() })
    }
}

impl<'a, R: Shown> ApiExtractor<'a> for Asking<R> {
    takes!(READS, openapi::asking_parameters());

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
        let key = request.path_params::<Vec<String>>().ok().and_then(|it| it.into_iter().next());
        let path = request.uri().path().to_owned();
        let headers = request.headers().clone();
        let key = key.unwrap_or_default();
        Ok(Self { call, context, key, path, view: View::default(), headers, kind: PhantomData })
    }
}

impl<'a, B: Input, A: Answer> ApiExtractor<'a> for Creating<B, A> {
    takes_body!(B, openapi::creating_parameters::<A>());

    async fn from_request(
        request: &'a Request,
        body: &mut RequestBody,
        _: ExtractParamOptions<()>,
    ) -> poem::Result<Self> {
        let mut frame = Frame::of(request).await?;
        let view = A::view(&frame.query)?;
        let bytes = frame.receive(request, body).await?;
        let body = body::parse::<B>(request, &bytes, None)?;
        once::<A>(&mut frame, request, &view, &bytes).await?;
        let Frame { context, call, .. } = frame;
        Ok(Self { call, context, body, view, answer: PhantomData })
    }
}

impl<'a, R: Kept, B: Input> ApiExtractor<'a> for Changing<R, B> {
    takes_body!(B, openapi::changing_parameters::<R>());

    async fn from_request(
        request: &'a Request,
        body: &mut RequestBody,
        _: ExtractParamOptions<()>,
    ) -> poem::Result<Self> {
        let frame = Frame::of(request).await?;
        let (id, view) = (id::<R>(request)?, View::of::<R>(&frame.query)?);
        let expected = etag::expected(request.headers())?;
        let bytes = frame.receive(request, body).await?;
        let body = body::parse::<B>(request, &bytes, Some(segment(request)))?;
        let Frame { context, call, .. } = frame;
        Ok(Self { call, context, id, expected, body, view })
    }
}

impl<'a, R: Kept, B: Input> ApiExtractor<'a> for Setting<R, B> {
    takes_body!(B, openapi::deleting_parameters());

    async fn from_request(
        request: &'a Request,
        body: &mut RequestBody,
        _: ExtractParamOptions<()>,
    ) -> poem::Result<Self> {
        let frame = Frame::of(request).await?;
        frame.query.deny_all()?;
        let (id, expected) = (id::<R>(request)?, etag::expected(request.headers())?);
        let bytes = frame.receive(request, body).await?;
        let body = body::parse::<B>(request, &bytes, None)?;
        let Frame { context, call, .. } = frame;
        Ok(Self { call, context, id, expected, body })
    }
}

impl<'a, R: Kept> ApiExtractor<'a> for Deleting<R> {
    takes!(READS, openapi::deleting_parameters());

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
        let (id, expected) = (id::<R>(request)?, etag::expected(request.headers())?);
        Ok(Self { call, context, id, expected })
    }
}

impl<'a, R: Kept, A: Answer, B: Input> ApiExtractor<'a> for Acting<R, A, B> {
    takes_body!(B, openapi::acting_parameters::<A>());

    async fn from_request(
        request: &'a Request,
        body: &mut RequestBody,
        _: ExtractParamOptions<()>,
    ) -> poem::Result<Self> {
        let mut frame = Frame::of(request).await?;
        let (id, view) = (id::<R>(request)?, A::view(&frame.query)?);
        let expected = etag::expected(request.headers())?;
        let bytes = frame.receive(request, body).await?;
        let body = body::parse::<B>(request, &bytes, None)?;
        once::<A>(&mut frame, request, &view, &bytes).await?;
        let Frame { context, call, .. } = frame;
        Ok(Self { call, context, id, expected, body, view, answer: PhantomData })
    }
}
