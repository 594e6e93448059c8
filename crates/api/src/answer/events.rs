//! What happens in a run, as server-sent events.

use std::time::Duration;

use futures_util::{Stream, StreamExt};
use linkspan_app::Seen;
use linkspan_domain::SyncLog;
use poem::{
    IntoResponse, Response,
    web::sse::{Event, SSE},
};
use poem_openapi::{
    ApiResponse,
    registry::{MetaMediaType, MetaResponse, MetaResponses, MetaSchema, Registry},
};

use crate::{
    document,
    include::{Found, Included},
    schema::{inline, object, property},
    view::View,
};

/// What happens in a run, as it happens.
pub(crate) struct Events(Response);

/// How often something is sent when nothing happens, so that nobody between takes the connection for dead.
const HEARTBEAT: Duration = Duration::from_secs(15);

impl Events {
    /// Sends what is `seen`.
    pub(crate) fn of(seen: impl Stream<Item = Seen> + Send + 'static) -> Self {
        let events = seen.filter_map(|it| std::future::ready(event(&it)));
        Self(SSE::new(events).keep_alive(HEARTBEAT).into_response())
    }
}

fn event(seen: &Seen) -> Option<Event> {
    let (name, data) = match seen {
        Seen::State(run) => ("state", state(run)),
        Seen::Event(event) => (event.into(), serde_json::to_string(event).ok()),
    };
    data.map(|data| Event::message(data).event_type(name))
}

/// The document of the run, as it is read.
fn state(run: &SyncLog) -> Option<String> {
    let (view, found) = (View::default(), Found::default());
    let body = document::single(run, &view, &found, &Included(None), None).ok()?;
    String::from_utf8(body).ok()
}

impl IntoResponse for Events {
    fn into_response(self) -> Response {
        self.0
    }
}

/// One event of the stream.
fn event_schema() -> MetaSchema {
    let properties = vec![
        property::<String>("event", "What happened."),
        property::<String>("data", "The same as JSON, with all that belongs to it."),
    ];
    MetaSchema { additional_properties: None, ..object(properties, &["event", "data"]) }
}

impl ApiResponse for Events {
    fn meta() -> MetaResponses {
        let content = vec![MetaMediaType {
            content_type: "text/event-stream",
            schema: inline(event_schema()),
        }];
        let description = "What happens, until the run has ended.";
        let response = MetaResponse {
            description,
            status: Some(200),
            status_range: None,
            content,
            headers: vec![],
        };
        MetaResponses { responses: vec![response] }
    }

    fn register(_: &mut Registry) {}
}
