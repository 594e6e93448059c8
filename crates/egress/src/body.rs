//! Response bodies: decompressed, and cut off by size and time.

use std::io;

use async_compression::tokio::bufread::GzipDecoder;
use bytes::Bytes;
use futures_util::{Stream, StreamExt, TryStreamExt, stream, stream::BoxStream};
use http::{
    HeaderMap, StatusCode,
    header::{CONTENT_ENCODING, CONTENT_LENGTH},
};
use linkspan_domain::ports::OutboundError;
use tokio_util::io::{ReaderStream, StreamReader};

use crate::deadline::Deadline;

/// How much is decompressed at a time.
const CHUNK_BYTES: usize = 64 * 1024;

/// A body as it arrives.
pub(crate) type Body = BoxStream<'static, Result<Bytes, OutboundError>>;

/// What a body may cost.
#[derive(Clone)]
pub(crate) struct Bounds {
    /// Who sends it.
    pub(crate) host: String,
    /// The most bytes of it that are read, counted after decompression.
    pub(crate) bytes: u64,
    /// When it has to be complete.
    pub(crate) deadline: Deadline,
}

/// The body of `response`, decompressed, until it ends, breaks, or crosses one of `bounds`. An error is the last item.
///
/// Takes the headers that describe the compressed form out of `headers`.
pub(crate) fn body(response: reqwest::Response, headers: &mut HeaderMap, bounds: Bounds) -> Body {
    // Part of a compressed body is no compressed body: whoever asked for a range takes it as it is.
    let gzipped = is_gzipped(headers) && response.status() != StatusCode::PARTIAL_CONTENT;
    if !gzipped && response.content_length().is_some_and(|length| length > bounds.bytes) {
        return stream::iter([Err(OutboundError::TooLarge { limit: bounds.bytes })]).boxed();
    }
    let host = bounds.host.clone();
    let raw = response.bytes_stream().map_err(move |failure| broken(&host, failure));
    let most = bounds.bytes;
    if !gzipped {
        return bounded(raw, bounds, most);
    }
    headers.remove(CONTENT_ENCODING);
    headers.remove(CONTENT_LENGTH);
    // Compressed data that makes nothing, such as empty members without end, has to stop somewhere, too.
    let packed = bounded(raw, bounds.clone(), most.saturating_add(most / 64 + 64 * 1024));
    bounded(gunzipped(packed, bounds.host.clone()), bounds, most)
}

/// The exchange with `host` broke off. The URL is taken out of `failure`, for its query may be secret.
pub(crate) fn broken(host: &str, failure: reqwest::Error) -> OutboundError {
    OutboundError::Broken { host: host.to_owned(), source: Box::new(failure.without_url()) }
}

fn is_gzipped(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_ENCODING).is_some_and(|coding| {
        let coding = coding.as_bytes().trim_ascii();
        coding.eq_ignore_ascii_case(b"gzip") || coding.eq_ignore_ascii_case(b"x-gzip")
    })
}

/// `body` until it has more than `most` bytes or the deadline of `bounds` is over.
fn bounded(
    body: impl Stream<Item = Result<Bytes, OutboundError>> + Send + 'static,
    bounds: Bounds,
    most: u64,
) -> Body {
    stream::try_unfold((Box::pin(body), 0, bounds), move |(mut body, read, bounds)| async move {
        let Some(chunk) = bounds.deadline.hold(&bounds.host, body.next()).await? else {
            return Ok(None);
        };
        let chunk = chunk?;
        let read = u64::try_from(chunk.len()).unwrap_or(u64::MAX).saturating_add(read);
        if read > most {
            return Err(OutboundError::TooLarge { limit: bounds.bytes });
        }
        Ok(Some((chunk, (body, read, bounds))))
    })
    .boxed()
}

/// What `packed` holds, as many gzip members as it has (RFC 1952, section 2.2).
///
/// reqwest could do this, but stops after the first member, in part without an error.
fn gunzipped(
    packed: Body,
    host: String,
) -> impl Stream<Item = Result<Bytes, OutboundError>> + Send {
    stream::once(async move {
        let mut packed = Box::pin(packed.peekable());
        if packed.as_mut().peek().await.is_none() {
            // No body at all is no gzip either, but what servers send under this header for nothing.
            return stream::empty().boxed();
        }
        let mut decoder = GzipDecoder::new(StreamReader::new(packed.map_err(io::Error::other)));
        decoder.multiple_members(true);
        let plain = ReaderStream::with_capacity(decoder, CHUNK_BYTES);
        plain.map_err(move |failure| decoding_error(&host, failure)).boxed()
    })
    .flatten()
}

/// Either what went wrong below, on its way through the decoder, or what the decoder says itself.
fn decoding_error(host: &str, failure: io::Error) -> OutboundError {
    failure.downcast().unwrap_or_else(|failure| OutboundError::Broken {
        host: host.to_owned(),
        source: Box::new(failure),
    })
}
