//! What operations answer with.

mod events;
mod passing;

use std::marker::PhantomData;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use linkspan_domain::{Call, Caller, ConnectionTest, Id, ListQuery, Page};
use poem::{IntoResponse, Response};
use poem_openapi::{
    ApiResponse,
    registry::{MetaHeader, MetaMediaType, MetaResponse, MetaResponses, MetaSchemaRef, Registry},
};
use uuid::Uuid;

pub(crate) use events::Events;
pub(crate) use passing::Passing;

use crate::{
    context::Context,
    cursor::Scope,
    document::{self, Listed, Meta, Sequel},
    etag, include,
    media_type::{JSON, JSON_API},
    openapi,
    problem::{Failure, internal},
    query::Query,
    resource::{Kept, Shown},
    schema::{Schema, inline, named},
    view::View,
};

/// One thing.
pub(crate) struct Document<R, const STATUS: u16 = 200>(Response, PhantomData<fn() -> R>);

/// A page of things.
pub(crate) struct Collection<R>(Bytes, PhantomData<fn() -> R>);

/// A part of a sequence of things.
pub(crate) struct Sequence<R>(Vec<u8>, PhantomData<fn() -> R>);

/// No content.
pub(crate) struct Gone;

/// What came of testing a connection.
pub(crate) struct Tested(Response);

/// An answer that can be given once more, to a client that sent the same request again.
pub(crate) trait Answer: ApiResponse + IntoResponse + Send {
    /// Reads the query string.
    fn view(query: &Query) -> Result<View, Failure>;

    /// The parameters of the query string, for the OpenAPI document.
    fn parameters() -> Vec<MetaSchemaRef>;

    /// The answer to a request that was answered before.
    fn again(
        context: &Context,
        call: &Call,
        view: &View,
        id: Uuid,
    ) -> impl Future<Output = Result<Self, Failure>> + Send;
}

impl<R: Kept, const STATUS: u16> Document<R, STATUS> {
    /// Shows `thing`.
    pub(crate) async fn of(
        context: &Context,
        caller: &Caller,
        view: &View,
        thing: &R,
    ) -> Result<Self, Failure> {
        Self::with(context, caller, view, thing, None).await
    }

    /// Shows `thing` with an attribute that is shown this once.
    pub(crate) async fn with(
        context: &Context,
        caller: &Caller,
        view: &View,
        thing: &R,
        extra: Option<(&'static str, &str)>,
    ) -> Result<Self, Failure> {
        let found = R::look_up(&context.app, caller, &[thing], view).await?;
        let included = include::fetch(&context.app, caller, &[thing], view, &found).await?;
        let body = document::single(thing, view, &found, &included, extra)?;
        Ok(Self(one::<R>(STATUS, thing, body), PhantomData))
    }
}

impl<R: Shown> Document<R> {
    /// Shows a thing that is not kept in a store.
    pub(crate) fn plain(view: &View, thing: &R) -> Result<Self, Failure> {
        let included = include::Included(None);
        let found = include::Found::default();
        let body = document::single(thing, view, &found, &included, None)?;
        Ok(Self(one::<R>(200, thing, body), PhantomData))
    }

    /// Leaves out what the client has already.
    pub(crate) fn unless_known(mut self, headers: &HeaderMap) -> Self {
        let tag = self.0.headers().get(header::ETAG).and_then(|it| it.to_str().ok());
        if tag.is_some_and(|tag| etag::is_known(headers, tag)) {
            self.0.set_status(StatusCode::NOT_MODIFIED);
            self.0.set_body(());
            self.0.headers_mut().remove(header::CONTENT_TYPE);
        }
        self
    }
}

fn one<R: Shown>(status: u16, thing: &R, body: Vec<u8>) -> Response {
    let tag = etag::tag(thing.revision(), &body);
    let mut response = Response::builder()
        .status(StatusCode::from_u16(status).unwrap_or_default())
        .content_type(JSON_API)
        .header(header::ETAG, tag)
        .body(body);
    let place = document::place::<R>(&thing.key());
    if matches!(status, 201 | 202)
        && let Ok(place) = HeaderValue::from_str(&place)
    {
        response.headers_mut().insert(header::LOCATION, place);
    }
    if status == 202 {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}

impl<R: Kept> Collection<R> {
    /// Shows a page of things.
    pub(crate) async fn of(
        context: &Context,
        caller: &Caller,
        view: &View,
        list: &ListQuery,
        place: (&str, &Query),
        page: &Page<R>,
    ) -> Result<Self, Failure> {
        let things: Vec<&R> = page.items.iter().map(|(thing, _)| thing).collect();
        let found = R::look_up(&context.app, caller, &things, view).await?;
        let included = include::fetch(&context.app, caller, &things, view, &found).await?;
        Self::page(caller, view, list, place, page, (&found, &included))
    }
}

impl<R: Shown> Collection<R> {
    /// Shows a page of things, after all that they refer to was looked up.
    pub(crate) fn page(
        caller: &Caller,
        view: &View,
        list: &ListQuery,
        (path, query): (&str, &Query),
        page: &Page<R>,
        (found, included): (&include::Found, &include::Included),
    ) -> Result<Self, Failure> {
        let scope = Scope::new(R::TYPE, caller, list);
        let listed = Listed { page, path, query, scope: &scope };
        Ok(Self::again(document::collection(&listed, view, found, included)?.into()))
    }

    /// Shows all things there are.
    pub(crate) fn whole(things: &[R], path: &str) -> Result<Self, Failure> {
        Ok(Self::again(document::whole(things, path, None)?.into()))
    }

    /// Shows all things there are, with what stands [beside](Shown::beside) them.
    pub(crate) fn whole_with(things: &[R], path: &str, beside: Meta) -> Result<Self, Failure> {
        Ok(Self::again(document::whole(things, path, Some(beside))?.into()))
    }

    /// Shows a page that was written before.
    pub(crate) const fn again(page: Bytes) -> Self {
        Self(page, PhantomData)
    }

    /// The page, as it is written.
    pub(crate) const fn body(&self) -> &Bytes {
        &self.0
    }
}

impl<R: Shown> Sequence<R> {
    /// Shows a part of a sequence.
    pub(crate) fn of(
        things: &[R],
        cursor: impl Fn(&R) -> String,
        path: &str,
        query: &Query,
        sequel: Sequel,
    ) -> Result<Self, Failure> {
        Ok(Self(document::sequence(things, cursor, (path, query), sequel)?, PhantomData))
    }
}

impl Tested {
    /// Shows what came of testing a connection.
    pub(crate) fn of(test: &ConnectionTest) -> Result<Self, Failure> {
        let ConnectionTest { id, ok, latency_ms, message, error, .. } = test;
        let mut body =
            serde_json::json!({ "id": id, "ok": ok, "latency_ms": latency_ms, "message": message });
        if let Some(error) = error {
            body["error"] = error.as_str().into();
        }
        let body = serde_json::to_vec(&body).map_err(|_| internal())?;
        Ok(Self(Response::builder().content_type(JSON).body(body)))
    }
}

impl<R: Kept, const STATUS: u16> Answer for Document<R, STATUS> {
    fn view(query: &Query) -> Result<View, Failure> {
        View::of::<R>(query)
    }

    fn parameters() -> Vec<MetaSchemaRef> {
        openapi::view_parameters::<R>()
    }

    async fn again(context: &Context, call: &Call, view: &View, id: Uuid) -> Result<Self, Failure> {
        let id = R::Id::from_uuid(id);
        let thing = R::records(&context.app).get(&call.caller, id).await?;
        Self::of(context, &call.caller, view, &thing).await
    }
}

impl Answer for Gone {
    fn view(query: &Query) -> Result<View, Failure> {
        query.deny_all()?;
        Ok(View::default())
    }

    fn parameters() -> Vec<MetaSchemaRef> {
        Vec::new()
    }

    async fn again(_: &Context, _: &Call, _: &View, _: Uuid) -> Result<Self, Failure> {
        Ok(Self)
    }
}

impl Answer for Tested {
    fn view(query: &Query) -> Result<View, Failure> {
        query.deny_all()?;
        Ok(View::default())
    }

    fn parameters() -> Vec<MetaSchemaRef> {
        Vec::new()
    }

    async fn again(context: &Context, call: &Call, _: &View, id: Uuid) -> Result<Self, Failure> {
        let id = linkspan_domain::ConnectionTestId::from_uuid(id);
        Self::of(&context.app.activations.tests().get(&call.caller, id).await?)
    }
}

impl<R, const STATUS: u16> IntoResponse for Document<R, STATUS> {
    fn into_response(self) -> Response {
        self.0
    }
}

impl<R> IntoResponse for Collection<R> {
    fn into_response(self) -> Response {
        Response::builder().content_type(JSON_API).body(self.0)
    }
}

impl<R> IntoResponse for Sequence<R> {
    fn into_response(self) -> Response {
        Response::builder().content_type(JSON_API).body(self.0)
    }
}

impl IntoResponse for Gone {
    fn into_response(self) -> Response {
        StatusCode::NO_CONTENT.into_response()
    }
}

impl IntoResponse for Tested {
    fn into_response(self) -> Response {
        self.0
    }
}

impl<R: Shown, const STATUS: u16> ApiResponse for Document<R, STATUS> {
    fn meta() -> MetaResponses {
        let about = match STATUS {
            201 => "It was made.",
            202 => "It will be done; look at `Location` for how far it is.",
            _ => "Here it is.",
        };
        let mut headers = vec![text_header(
            "ETag",
            "Names this representation, for `If-None-Match` and `If-Match`.",
        )];
        if matches!(STATUS, 201 | 202) {
            headers.push(text_header("Location", "Where it lives."));
        }
        let schema = named(openapi::document_name::<R>());
        meta(STATUS, about, headers, &schema)
    }

    fn register(registry: &mut Registry) {
        openapi::register_document::<R>(registry);
    }
}

impl<R: Shown> ApiResponse for Collection<R> {
    fn meta() -> MetaResponses {
        meta(200, "One page of them.", Vec::new(), &named(openapi::collection_name::<R>()))
    }

    fn register(registry: &mut Registry) {
        openapi::register_collection::<R>(registry);
    }
}

impl<R: Shown> ApiResponse for Sequence<R> {
    fn meta() -> MetaResponses {
        meta(200, "Some of them, in order.", Vec::new(), &named(openapi::sequence_name::<R>()))
    }

    fn register(registry: &mut Registry) {
        openapi::register_sequence::<R>(registry);
    }
}

impl ApiResponse for Gone {
    fn meta() -> MetaResponses {
        let description = "It is done, and there is nothing to show.";
        let response = MetaResponse {
            description,
            status: Some(204),
            status_range: None,
            content: vec![],
            headers: vec![],
        };
        MetaResponses { responses: vec![response] }
    }

    fn register(_: &mut Registry) {}
}

impl ApiResponse for Tested {
    fn meta() -> MetaResponses {
        let content = vec![MetaMediaType { content_type: JSON, schema: named("TestResult") }];
        let description =
            "What came of the test. That settings do not work is an answer, not an error.";
        let response = MetaResponse {
            description,
            status: Some(200),
            status_range: None,
            content,
            headers: vec![],
        };
        MetaResponses { responses: vec![response] }
    }

    fn register(registry: &mut Registry) {
        registry.create_schema::<Self, _>("TestResult".to_owned(), |_| openapi::test_result());
    }
}

impl ApiResponse for Failure {
    // Which failures an operation can end in follows from what it takes: see `openapi`.
    fn meta() -> MetaResponses {
        MetaResponses { responses: vec![] }
    }

    fn register(registry: &mut Registry) {
        openapi::register_failures(registry);
    }
}

fn meta(
    status: u16,
    description: &'static str,
    headers: Vec<MetaHeader>,
    schema: &MetaSchemaRef,
) -> MetaResponses {
    let content =
        [JSON_API, JSON].map(|content_type| MetaMediaType { content_type, schema: schema.clone() });
    let content = content.into();
    let response =
        MetaResponse { description, status: Some(status), status_range: None, content, headers };
    MetaResponses { responses: vec![response] }
}

/// A response header with a text in it.
pub(crate) fn text_header(name: &str, about: &str) -> MetaHeader {
    MetaHeader {
        name: name.to_owned(),
        description: Some(about.to_owned()),
        required: true,
        deprecated: false,
        schema: inline(String::schema()),
    }
}

/// Marks an answer as one that was given before.
pub(crate) fn replayed(mut response: Response) -> Response {
    response.headers_mut().insert("Idempotent-Replayed", HeaderValue::from_static("true"));
    response
}
