//! The named operations of a connector type.

use futures_util::{FutureExt, future::BoxFuture};
use linkspan_domain::{CommandManifest, Deprecation};
use schemars::JsonSchema;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{
    ConnectorType, Cx, Failure, parse,
    schema::{description, schema_of},
};

/// One thing a connector type can do. The fields are the parameters, the doc comments the docs.
pub trait Command: JsonSchema + DeserializeOwned + Send + 'static {
    /// The type it belongs to.
    type Of: ConnectorType;
    /// What it gives back.
    type Output: JsonSchema + Serialize;
    /// Its name within the type.
    const NAME: &'static str;

    /// What to do instead, when it should not be used any more.
    fn deprecation() -> Option<Deprecation> {
        None
    }

    /// Does it.
    fn run(self, cx: &Cx<Self::Of>) -> impl Future<Output = Result<Self::Output, Failure>> + Send;
}

type Run<T> = for<'a> fn(&'a Cx<T>, Value) -> BoxFuture<'a, Result<Value, Failure>>;

/// One command in the list of its type.
pub struct CommandEntry<T: ConnectorType> {
    pub(crate) manifest: CommandManifest,
    pub(crate) run: Run<T>,
}

/// Lists command `C`.
pub fn command<C: Command>() -> CommandEntry<C::Of> {
    let (parameters, output) = (schema_of::<C>(), schema_of::<C::Output>());
    let summary = description(&parameters).split("\n\n").next().unwrap_or_default().to_owned();
    let manifest = CommandManifest {
        name: C::NAME.to_owned(),
        summary,
        parameters,
        output,
        deprecated: C::deprecation(),
    };
    CommandEntry { manifest, run: |cx, parameters| run::<C>(cx, parameters).boxed() }
}

async fn run<C: Command>(cx: &Cx<C::Of>, parameters: Value) -> Result<Value, Failure> {
    let output = parse::<C>("parameters", parameters)?.run(cx).await?;
    serde_json::to_value(output).map_err(|error| Failure::Defect {
        doing: "give back the result of a command",
        source: Some(error.into()),
    })
}
