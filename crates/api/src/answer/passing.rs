//! Answers that nothing is kept of.

use linkspan_domain::Call;
use poem::{IntoResponse, Response};
use poem_openapi::{
    ApiResponse,
    registry::{MetaResponses, MetaSchemaRef, Registry},
};
use uuid::Uuid;

use super::Answer;
use crate::{
    context::Context,
    problem::{Failure, internal},
    query::Query,
    view::View,
};

/// An answer that nothing is kept of: the same request is worked on once more.
pub(crate) struct Passing<A>(A);

impl<A> Passing<A> {
    /// The answer. The claim of its request is given back, as nothing fulfils it.
    pub(crate) async fn of(context: &Context, answer: A) -> Self {
        context.release().await;
        Self(answer)
    }
}

impl<A: ApiResponse + IntoResponse + Send> Answer for Passing<A> {
    fn view(query: &Query) -> Result<View, Failure> {
        query.deny_all()?;
        Ok(View::default())
    }

    fn parameters() -> Vec<MetaSchemaRef> {
        Vec::new()
    }

    async fn again(_: &Context, _: &Call, _: &View, _: Uuid) -> Result<Self, Failure> {
        // No claim for it is ever fulfilled.
        Err(internal())
    }
}

impl<A: IntoResponse> IntoResponse for Passing<A> {
    fn into_response(self) -> Response {
        self.0.into_response()
    }
}

impl<A: ApiResponse> ApiResponse for Passing<A> {
    fn meta() -> MetaResponses {
        A::meta()
    }

    fn register(registry: &mut Registry) {
        A::register(registry);
    }
}
