//! `/v1/workspace-connectors/{id}/streams`: how far the streams of activations are.

use linkspan_domain::{
    Attribute, Code, Revision, StreamName, StreamState, WorkspaceConnector, WorkspaceConnectorId,
};
use poem_openapi::{OpenApi, registry::MetaSchema};
use serde::Deserialize;
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::Tag;
use crate::{
    answer::{Collection, Document},
    body::{Plain, PlainBody},
    include::Found,
    problem::Failure,
    request::{Asking, SettingPart},
    resource::{Key, Related, Relationship, Shown, attributes, maybe_instant},
    schema::{object, property},
    view::View,
};

/// The operations.
#[derive(Default)]
pub(crate) struct StreamStates;

#[OpenApi(prefix_path = "/v1/workspace-connectors", tag = "Tag::Activations")]
impl StreamStates {
    /// List how far the streams of an activation are
    ///
    /// Those that were synced.
    #[oai(path = "/:id/streams", method = "get", operation_id = "list_stream_states")]
    async fn list(&self, request: Asking<StreamState>) -> Result<Collection<StreamState>, Failure> {
        let streams = &request.context.app.streams;
        let states = streams.list(&request.call.caller, request.id()?).await?;
        Collection::whole(&states, &request.path)
    }

    /// Move the mark of a stream
    ///
    /// The next incremental sync reads from there on. No run may be active, and the schedule has to be paused or absent.
    #[oai(path = "/:id/streams/:stream", method = "patch", operation_id = "set_stream_cursor")]
    async fn set_cursor(
        &self,
        request: SettingPart<WorkspaceConnector, Plain<CursorBody>>,
    ) -> Result<Document<StreamState>, Failure> {
        let SettingPart { call, context, id, part, expected, body: Plain(body) } = request;
        let stream: StreamName = part.parse().map_err(|_| {
            Failure::new(
                Code::RequestMalformed,
                "the name of the stream in the path is too long or empty",
            )
        })?;
        let after = body.cursor_after.as_deref();
        let state = context.app.streams.set_cursor(&call, id, expected, &stream, after).await?;
        Document::plain(&View::default(), &state)
    }
}

attributes! { StreamState, |it| {
    /// Of which activation.
    workspace_connector_id: WorkspaceConnectorId = it.workspace_connector_id;
    /// Which stream.
    stream: StreamName = &it.stream;
    /// The column that the mark is of. Under another it means nothing.
    cursor_column: Option<String> = &it.cursor_column;
    /// The mark: everything below it is stored.
    cursor_after: Option<String> = &it.cursor_after;
    /// The generation of a full load that readers see. 0: none yet.
    generation: i64 = it.generation;
    /// How many live records it has.
    records: u64 = it.records;
    /// When a run last finished it.
    synced_at: Option<OffsetDateTime> = maybe_instant(it.synced_at);
} }

impl Shown for StreamState {
    const TYPE: &'static str = "stream_state";
    const NAME: &'static str = "StreamState";
    const PATH: Option<&'static str> = None;
    const RELATIONSHIPS: &'static [Relationship] =
        &[Relationship::one("workspace_connector", "workspace_connector")];
    const LISTED: &'static [Attribute] = &[];
    const HAS_UUID: bool = false;

    fn key(&self) -> Key {
        Key::Text(self.stream.to_string())
    }

    fn revision(&self) -> Revision {
        Revision::FIRST
    }

    fn related(&self, _: &str, _: &Found) -> Related {
        Related::one(self.workspace_connector_id)
    }
}

/// Where a mark shall be.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CursorBody {
    // Null says something here, so that it has to be said.
    #[serde(deserialize_with = "Option::deserialize")]
    cursor_after: Option<String>,
}

impl PlainBody for CursorBody {
    const NAME: &'static str = "SetCursor";
    const TYPE: &'static str = StreamState::TYPE;

    fn schema() -> MetaSchema {
        let about = "A value of the cursor column, as text: what is above it is new. Null: whatever the settings begin with.";
        object(vec![property::<Option<String>>("cursor_after", about)], &["cursor_after"])
    }

    fn example() -> Option<Value> {
        Some(json!({ "cursor_after": "2026-01-01T00:00:00Z" }))
    }
}
