//! The streams that activations name: whether they are there.

use std::collections::{HashMap, hash_map::Entry};

use linkspan_domain::{Call, StreamName, StreamSettings, WorkspaceConnector, WorkspaceConnectorId};
use tokio::time::Instant;

use super::{ActivationError, Activations};
use crate::suitability::LOOKING;

impl Activations {
    /// Refuses streams that are not there, of those that `activation` names and `before` does not. What a system does not
    /// say is not known, and passes.
    pub(super) async fn require_streams(
        &self,
        call: &Call,
        activation: &WorkspaceConnector,
        before: &[StreamSettings],
    ) -> Result<(), ActivationError> {
        let is_new = |it: &StreamSettings| {
            !before.iter().any(|old| (&old.stream, &old.source) == (&it.stream, &it.source))
        };
        let until = Instant::now() + LOOKING;
        // Of each activation its streams, if its system said which they are.
        let mut answers: HashMap<WorkspaceConnectorId, Option<Vec<StreamName>>> = HashMap::new();
        for (at, named) in activation.streams.iter().enumerate().filter(|(_, it)| is_new(it)) {
            let (member, id, stream) = match (&named.source, &named.stream) {
                (Some(source), _) => {
                    ("source/stream", source.workspace_connector_id, &source.stream)
                }
                (None, Some(stream)) => ("stream", activation.id, stream),
                (None, None) => continue,
            };
            let known = match answers.entry(id) {
                Entry::Occupied(it) => it.into_mut(),
                Entry::Vacant(it) if named.source.is_none() => {
                    it.insert(self.sources.names(&call.caller, activation, until).await)
                }
                Entry::Vacant(it) => {
                    let source = self.source(call, activation, id, at).await?;
                    it.insert(self.sources.names(&call.caller, &source, until).await)
                }
            };
            if let Some(known) = known
                && !known.contains(stream)
            {
                let pointer = format!("{STREAMS}/{at}/{member}");
                let (stream, known) = (stream.clone(), known.clone());
                return Err(ActivationError::NoSuchStream { pointer, stream, known });
            }
        }
        Ok(())
    }

    /// The live activation `id` of the workspace of `output`, whose stream `at` takes its records from there.
    async fn source(
        &self,
        call: &Call,
        output: &WorkspaceConnector,
        id: WorkspaceConnectorId,
        at: usize,
    ) -> Result<WorkspaceConnector, ActivationError> {
        let is_beside = |it: &WorkspaceConnector| {
            it.id != output.id && it.workspace_id == output.workspace_id && it.deleted_at.is_none()
        };
        let found = self.records.find(&call.caller, id).await?.filter(is_beside);
        let pointer = || format!("{STREAMS}/{at}/source/workspace_connector_id");
        found.ok_or_else(|| ActivationError::NoSuchSource { pointer: pointer(), id })
    }
}

/// Where streams are in a body.
const STREAMS: &str = "/data/attributes/streams";

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use linkspan_domain::{Problem, Role};
    use serde_json::{Value, json};

    use super::*;
    use crate::{
        ActivationPatch, NewActivation,
        fixtures::{
            PLANTED, activation, call, connector, empty, id, keep, ledger, lower_workspace, object,
            sources, world,
        },
    };

    fn activations(kept: Vec<WorkspaceConnector>) -> Activations {
        let (activations, connectors) = (keep(kept).store, keep(vec![connector(|_| {})]).store);
        let (tests, credentials) = (keep(Vec::new()).store, ledger(Arc::clone(&activations) as _));
        Activations::new(activations, connectors, empty(), tests, credentials, sources(), world())
    }

    fn streams(named: Value) -> Vec<StreamSettings> {
        serde_json::from_value(named).unwrap()
    }

    /// What came of it: nothing, or where and why it was refused.
    fn outcome<T>(done: Result<T, ActivationError>) -> Result<(), (String, String)> {
        let told = |it: ActivationError| {
            assert_eq!(it.code().to_string(), "resource.invalid");
            (it.pointer().unwrap_or_default(), it.to_string())
        };
        done.map(drop).map_err(told)
    }

    async fn create(host: &str, named: Value) -> Result<(), (String, String)> {
        let config = object(json!({ "host": host, "password": PLANTED }));
        let new = NewActivation { streams: streams(named), ..NewActivation::of(id(20), config) };
        outcome(activations(Vec::new()).create(&call(Role::Designer), new).await)
    }

    #[tokio::test]
    async fn a_stream_that_the_system_lacks_is_refused_with_those_that_it_has() {
        let all = json!([{ "lag": 5 }, { "stream": "files" }]);
        assert_eq!(create("shop", all).await, Ok(()));
        let absent = json!([{ "stream": "files" }, { "stream": "nothing" }]);
        let (pointer, says) = create("shop", absent.clone()).await.unwrap_err();
        assert_eq!(pointer, "/data/attributes/streams/1/stream");
        assert_eq!(
            says,
            "there is no stream `nothing`; there are `public.orders`, `audit.logins`, `files`"
        );
        assert_eq!(create("down", absent).await, Ok(()), "nobody knows");
    }

    #[tokio::test]
    async fn only_what_is_named_anew_is_looked_for() {
        let gone = || streams(json!([{ "stream": "gone", "lag": 5 }]));
        let change = async |named: Value| {
            let stage = activations(vec![activation(|it| it.streams = gone())]);
            let patch =
                ActivationPatch { streams: Some(streams(named)), ..ActivationPatch::default() };
            outcome(stage.update(&call(Role::Designer), id(30), None, patch).await)
        };
        assert_eq!(change(json!([{ "stream": "gone", "lag": 7 }])).await, Ok(()));
        let refused = change(json!([{ "stream": "gone" }, { "stream": "absent" }])).await;
        assert_eq!(refused.unwrap_err().0, "/data/attributes/streams/1/stream");
    }

    #[tokio::test]
    async fn an_output_takes_from_a_stream_of_an_activation_beside_it() {
        let push = async |source: u128, stream: &str| {
            let beside = activation(|it| {
                it.id = id(31);
                // What is sealed opens for its own row alone.
                it.secrets = None;
                it.config.insert("password".to_owned(), json!(PLANTED));
            });
            let elsewhere = activation(|it| {
                it.id = id(32);
                it.workspace_id = lower_workspace();
            });
            let stage = activations(vec![activation(|_| {}), beside, elsewhere]);
            let id: WorkspaceConnectorId = id(source);
            let from = json!({ "workspace_connector_id": id, "stream": stream });
            let named = streams(json!([{ "stream": "out", "source": from }]));
            let patch = ActivationPatch { streams: Some(named), ..ActivationPatch::default() };
            let own: WorkspaceConnectorId = crate::fixtures::id(30);
            let done = stage.update(&call(Role::Designer), own, None, patch).await;
            outcome(done).map_err(|(pointer, _)| pointer)
        };
        let at = |member: &str| Err(format!("/data/attributes/streams/0/source/{member}"));
        assert_eq!(push(31, "files").await, Ok(()));
        assert_eq!(push(31, "nothing").await, at("stream"));
        for other in [30, 32, 33] {
            assert_eq!(push(other, "files").await, at("workspace_connector_id"), "{other}");
        }
    }
}
