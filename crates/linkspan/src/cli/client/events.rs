//! Server-sent events, as they arrive.

use bytes::{Buf, BytesMut};
use futures_util::{StreamExt, stream::BoxStream};
use linkspan_domain::ports::OutboundError;
use serde_json::Value;

/// A stream of events.
pub(crate) struct Events {
    body: BoxStream<'static, Result<bytes::Bytes, OutboundError>>,
    buffer: BytesMut,
}

/// Something that happened.
#[derive(Debug, PartialEq)]
pub(crate) struct Event {
    /// What it is.
    pub(crate) name: String,
    /// What there is to say of it.
    pub(crate) data: Value,
}

impl Events {
    pub(super) fn new(body: BoxStream<'static, Result<bytes::Bytes, OutboundError>>) -> Self {
        Self { body, buffer: BytesMut::new() }
    }

    /// The next event. None when there are no more, or the connection broke.
    pub(crate) async fn next(&mut self) -> Option<Event> {
        loop {
            while let Some(end) = self.buffer.windows(2).position(|it| it == b"\n\n") {
                let block = self.buffer.split_to(end);
                self.buffer.advance(2);
                if let Some(event) = read(&String::from_utf8_lossy(&block)) {
                    return Some(event);
                }
            }
            self.buffer.extend_from_slice(&self.body.next().await?.ok()?);
        }
    }
}

/// The event that a block of lines is. Comments are none.
fn read(block: &str) -> Option<Event> {
    let field = |name: &str| {
        let lines = block.lines().filter_map(move |it| it.strip_prefix(name)?.strip_prefix(':'));
        lines.map(|it| it.strip_prefix(' ').unwrap_or(it)).collect::<Vec<_>>().join("\n")
    };
    let data = serde_json::from_str(&field("data")).ok()?;
    Some(Event { name: field("event"), data })
}

#[cfg(test)]
mod tests {
    use futures_util::stream;
    use serde_json::json;

    use super::*;

    #[tokio::test]
    async fn events_are_read_however_they_are_cut() {
        let text = ":\n\nevent: state\ndata: {\"a\":\ndata: 1}\n\n:\n\nevent: ended\ndata: {}\n\nevent: cut";
        for size in [1, 7, 100] {
            let pieces: Vec<_> =
                text.as_bytes().chunks(size).map(|it| Ok(it.to_vec().into())).collect();
            let mut events = Events::new(stream::iter(pieces).boxed());
            let state = Event { name: "state".to_owned(), data: json!({ "a": 1 }) };
            assert_eq!(events.next().await, Some(state));
            assert_eq!(events.next().await.unwrap().name, "ended");
            assert_eq!(events.next().await, None);
        }
    }
}
