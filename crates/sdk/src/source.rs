//! Reading records out of a system.

use std::future::ready;

use futures_util::{FutureExt, future::BoxFuture};
use linkspan_domain::{Condition, Cursor, CursorType, StreamName};

use crate::{BatchSink, ConnectorType, Cx, Discovered, Failure, Pushed};

/// A connector type that has records to read.
///
/// # Contract
///
/// - [`read`](Self::read) yields the fields that [`discover`](Self::discover) names, in that order
///   and of those kinds.
/// - In incremental mode it yields every record whose cursor is at or after
///   [`after`](ReadMode::Incremental::after) — the boundary is included, so a record that came late with the
///   same value is not lost — and every record whose cursor is null.
/// - A batch's [`cursor`](crate::Batch::cursor) promises that no record below it is still to come in
///   this read. Records come in ascending order of the cursor, nulls first or last; a source
///   that cannot order them sets the cursor on its last batch alone.
/// - It yields only records of which every part of [`filter`](ReadRequest::filter) may hold. Whoever asks takes those parts
///   from [`push_down`](Self::push_down).
/// - Memory is bounded by [`BatchLimits`], whatever the size of the stream.
/// - Dropping the future of any function stops the work; nothing runs on in the background.
pub trait Source: ConnectorType {
    /// Lists the streams, and names what is none though the credentials may read it.
    fn discover(cx: &Cx<Self>) -> impl Future<Output = Result<Discovered, Failure>> + Send;

    /// Reads one stream into `out`, and returns when all of it was sent.
    fn read(
        cx: &Cx<Self>,
        request: ReadRequest,
        out: &mut BatchSink,
    ) -> impl Future<Output = Result<(), Failure>> + Send;

    /// Says which of these parts of a filter it can take over in a read of `stream`, in the same order.
    ///
    /// What a part means is said by [`Condition::evaluate`]: a source that cannot say exactly the same takes it
    /// [roughly](Pushed::Roughly) or not at all.
    fn push_down(
        _cx: &Cx<Self>,
        _stream: &StreamName,
        parts: &[Condition],
    ) -> impl Future<Output = Result<Vec<Pushed>, Failure>> + Send {
        ready(Ok(vec![Pushed::Not; parts.len()]))
    }

    /// Splits a full read of `stream` into at most `parts` reads that can go on side by side. Empty where it cannot be split, or is
    /// too small to be worth it.
    ///
    /// Of each record exactly one of the conditions holds, whatever happens in the system meanwhile: they are about something that
    /// a record never loses, such as its key. The source takes each of them over exactly.
    fn split(
        _cx: &Cx<Self>,
        _stream: &StreamName,
        _parts: usize,
    ) -> impl Future<Output = Result<Vec<Condition>, Failure>> + Send {
        ready(Ok(Vec::new()))
    }
}

/// What to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadRequest {
    /// Which stream.
    pub stream: StreamName,
    /// All of it, or what is new.
    pub mode: ReadMode,
    /// What must hold of each record: those parts of a filter that the source has taken over. Empty: nothing.
    pub filter: Vec<Condition>,
    /// How much at a time.
    pub batch: BatchLimits,
}

/// All of a stream, or what is new.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReadMode {
    /// Every record.
    Full,
    /// The records at or after a cursor, and those without one.
    Incremental {
        /// What to compare.
        cursor: CursorSpec,
        /// Where to begin, included; `None` begins with the first record.
        after: Option<Cursor>,
    },
}

/// The field that says what is new.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CursorSpec {
    /// Its name.
    pub column: String,
    /// How its values compare.
    pub cursor_type: CursorType,
}

/// The most that one batch holds. A batch ends with whichever limit is reached first; one record that is larger than
/// `bytes` is a batch of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchLimits {
    /// Records.
    pub rows: usize,
    /// Bytes of values, roughly.
    pub bytes: usize,
}

impl Default for BatchLimits {
    fn default() -> Self {
        Self { rows: 10_000, bytes: 8 * 1024 * 1024 }
    }
}

impl ReadRequest {
    /// Every record of `stream`, in batches of the default size.
    pub fn full(stream: StreamName) -> Self {
        Self { stream, mode: ReadMode::Full, filter: Vec::new(), batch: BatchLimits::default() }
    }

    /// The records of `stream` from `after` on, in batches of the default size.
    pub fn incremental(stream: StreamName, cursor: CursorSpec, after: Option<Cursor>) -> Self {
        let mode = ReadMode::Incremental { cursor, after };
        Self { stream, mode, filter: Vec::new(), batch: BatchLimits::default() }
    }
}

type Discover<T> = for<'a> fn(&'a Cx<T>) -> BoxFuture<'a, Result<Discovered, Failure>>;
type Read<T> =
    for<'a> fn(&'a Cx<T>, ReadRequest, &'a mut BatchSink) -> BoxFuture<'a, Result<(), Failure>>;

type PushDown<T> = for<'a> fn(
    &'a Cx<T>,
    &'a StreamName,
    &'a [Condition],
) -> BoxFuture<'a, Result<Vec<Pushed>, Failure>>;

type Split<T> =
    for<'a> fn(&'a Cx<T>, &'a StreamName, usize) -> BoxFuture<'a, Result<Vec<Condition>, Failure>>;

/// The source half of a connector type.
pub struct SourceEntry<T: ConnectorType> {
    pub(crate) discover: Discover<T>,
    pub(crate) read: Read<T>,
    pub(crate) push_down: PushDown<T>,
    pub(crate) split: Split<T>,
}

/// States that `S` is a source.
pub fn source<S: Source>() -> SourceEntry<S> {
    SourceEntry {
        discover: |cx| S::discover(cx).boxed(),
        read: |cx, request, out| S::read(cx, request, out).boxed(),
        push_down: |cx, stream, parts| S::push_down(cx, stream, parts).boxed(),
        split: |cx, stream, parts| S::split(cx, stream, parts).boxed(),
    }
}
