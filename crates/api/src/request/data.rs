//! What operations on records take.

use std::{marker::PhantomData, sync::Arc};

use linkspan_app::{Choice, Idempotency};
use linkspan_domain::{Call, PageSize, TargetModel, WorkspaceConnectorId};
use poem::{Request, RequestBody};
use poem_openapi::{
    ApiExtractor, ApiExtractorType, ExtractParamOptions,
    registry::{MetaParamIn, MetaRequest, MetaSchemaRef, Registry},
};

use super::{Frame, READS, WRITES, takes, takes_body};
use crate::{
    body::{self, Input},
    context::Context,
    listing, openapi,
    problem::Failure,
    query::{Query, invalid, unknown},
};

/// Wants what comes next in a sequence.
pub(crate) struct Continuing<R, C = Choice> {
    pub(crate) call: Call,
    pub(crate) context: Arc<Context>,
    /// To which.
    pub(crate) choice: C,
    pub(crate) size: PageSize,
    /// The cursor behind what the client knows.
    pub(crate) after: Option<String>,
    pub(crate) path: String,
    pub(crate) query: Query,
    kind: PhantomData<fn() -> R>,
}

/// Narrows a sequence down.
pub(crate) trait Narrowing: Default + Send {
    /// The parameters that say how.
    fn parameters() -> Vec<MetaSchemaRef>;

    /// Takes a parameter. Answers whether it is one.
    fn take(&mut self, name: &str, value: &str) -> Result<bool, Failure>;
}

/// Which entities are meant.
#[derive(Default)]
pub(crate) struct EntityChoice {
    /// Only those of this model.
    pub(crate) model: Option<TargetModel>,
    /// Only those that this activation brought in.
    pub(crate) activation: Option<WorkspaceConnectorId>,
}

impl Narrowing for Choice {
    fn parameters() -> Vec<MetaSchemaRef> {
        openapi::record_choice_parameters()
    }

    fn take(&mut self, name: &str, value: &str) -> Result<bool, Failure> {
        match name {
            "filter[workspace_connector_id]" => self.activation = Some(id(name, value)?),
            "filter[stream]" => {
                let stream = value.parse();
                self.stream = Some(stream.map_err(|_| invalid(name, "no stream is called so"))?);
            }
            _ => return Ok(false),
        }
        Ok(true)
    }
}

impl Narrowing for EntityChoice {
    fn parameters() -> Vec<MetaSchemaRef> {
        openapi::entity_choice_parameters()
    }

    fn take(&mut self, name: &str, value: &str) -> Result<bool, Failure> {
        match name {
            "filter[workspace_connector_id]" => self.activation = Some(id(name, value)?),
            "filter[target_model]" => {
                let model = value.parse();
                self.model =
                    Some(model.map_err(|_| invalid(name, "no target model is called so"))?);
            }
            _ => return Ok(false),
        }
        Ok(true)
    }
}

/// Asks a question that is too long for a query string.
pub(crate) struct Querying<B> {
    pub(crate) call: Call,
    pub(crate) context: Arc<Context>,
    pub(crate) body: B,
    pub(crate) path: String,
    pub(crate) query: Query,
}

impl<'a, R, C: Narrowing> ApiExtractor<'a> for Continuing<R, C> {
    takes!(READS, openapi::continuing_parameters(C::parameters()));

    fn register(registry: &mut Registry) {
        openapi::register_security(registry);
    }

    async fn from_request(
        request: &'a Request,
        _: &mut RequestBody,
        _: ExtractParamOptions<()>,
    ) -> poem::Result<Self> {
        let Frame { context, call, query } = Frame::of(request).await?;
        let (mut choice, mut size, mut after) = (C::default(), PageSize::default(), None);
        for (name, value) in query.iter() {
            match name {
                "page[size]" => size = listing::size(value)?,
                "page[after]" => after = Some(value.to_owned()),
                _ if choice.take(name, value)? => {}
                _ => return Err(unknown(name).into()),
            }
        }
        let path = request.uri().path().to_owned();
        Ok(Self { call, context, choice, size, after, path, query, kind: PhantomData })
    }
}

fn id(name: &str, value: &str) -> Result<WorkspaceConnectorId, Failure> {
    let id = value.parse().map(WorkspaceConnectorId::from_uuid);
    id.map_err(|_| invalid(name, "takes the identifier of a workspace connector, a UUID"))
}

impl<'a, B: Input> ApiExtractor<'a> for Querying<B> {
    takes_body!(B, openapi::querying_parameters());

    async fn from_request(
        request: &'a Request,
        body: &mut RequestBody,
        _: ExtractParamOptions<()>,
    ) -> poem::Result<Self> {
        let frame = Frame::of(request).await?;
        frame.query.deny_all()?;
        if let Some(key) = request.headers().get("Idempotency-Key") {
            // Nothing is done that could be done twice; what is no key is refused as everywhere.
            let key = Idempotency::accept(key.to_str().unwrap_or_default());
            key.map_err(|error| Failure::from(error).in_header("Idempotency-Key"))?;
        }
        let bytes = frame.receive(request, body).await?;
        let body = body::parse::<B>(request, &bytes, None)?;
        let path = request.uri().path().to_owned();
        let Frame { context, call, query } = frame;
        Ok(Self { call, context, body, path, query })
    }
}
