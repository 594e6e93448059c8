//! `/healthz`, `/readyz` and `/metrics`: how the platform itself is.

use poem::web::Data;
use poem_openapi::{
    ApiResponse, Object, OpenApi,
    payload::{Json, PlainText},
};

use super::Tag;
use crate::context::Context;

/// The operations.
#[derive(Default)]
pub(crate) struct Platform;

#[expect(clippy::unused_async, reason = "the framework wants it of all operations")]
#[OpenApi(tag = "Tag::Platform")]
impl Platform {
    /// Ask whether the process is up
    #[oai(path = "/healthz", method = "get", operation_id = "get_health")]
    async fn health(&self) -> Healthy {
        Healthy::Up(Json(Health { status: "ok".to_owned() }))
    }

    /// Ask whether the process can work
    ///
    /// It can while its database answers.
    #[oai(path = "/readyz", method = "get", operation_id = "get_readiness")]
    async fn readiness(&self, Data(context): Data<&std::sync::Arc<Context>>) -> Readiness {
        Readiness::of((context.app.probes.is_ready)().await)
    }

    /// Read the metrics
    ///
    /// In the text format that Prometheus reads.
    #[oai(path = "/metrics", method = "get", operation_id = "get_metrics")]
    async fn metrics(&self, Data(context): Data<&std::sync::Arc<Context>>) -> PlainText<String> {
        PlainText((context.app.probes.metrics)())
    }
}

/// How the process is.
#[derive(Object)]
struct Health {
    /// `ok`, or what is wrong.
    status: String,
}

#[derive(ApiResponse)]
enum Healthy {
    /// It is up.
    #[oai(status = 200)]
    Up(Json<Health>),
}

#[derive(ApiResponse)]
enum Readiness {
    /// It can work.
    #[oai(status = 200)]
    Ready(Json<Health>),
    /// It cannot.
    #[oai(status = 503)]
    Waiting(Json<Health>),
}

impl Readiness {
    fn of(is_ready: bool) -> Self {
        let health = |status: &str| Json(Health { status: status.to_owned() });
        if is_ready {
            Self::Ready(health("ok"))
        } else {
            Self::Waiting(health("the database does not answer"))
        }
    }
}
