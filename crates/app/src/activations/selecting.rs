//! The streams that activations name, and columns of them: whether they are there.

use std::collections::{HashMap, HashSet, hash_map::Entry};

use linkspan_domain::{
    Call, CursorType, StreamName, StreamSettings, StreamSource, StreamSpec, WorkspaceConnector,
    WorkspaceConnectorId,
};
use tokio::time::Instant;

use super::{ActivationError, Activations};
use crate::{near::near, suitability::LOOKING};

impl Activations {
    /// Refuses streams and columns that are not there, of those that `activation` names and `before` does not, and names that
    /// nothing can be written under. What a system does not say is not known, and passes.
    pub(super) async fn require_streams(
        &self,
        call: &Call,
        activation: &WorkspaceConnector,
        before: &[StreamSettings],
    ) -> Result<(), ActivationError> {
        let until = Instant::now() + LOOKING;
        let mut sight = Sight { activations: self, call, activation, until, seen: HashMap::new() };
        for (at, named) in activation.streams.iter().enumerate() {
            let same = |old: &&StreamSettings| {
                (&old.stream, &old.source) == (&named.stream, &named.source)
            };
            let known = before.iter().find(same);
            match (&named.stream, &named.source) {
                (Some(stream), Some(source)) if known.is_none() => {
                    sight.require_push(at, stream, source).await?;
                }
                (_, None) => sight.require_own(at, named, known).await?,
                (_, Some(_)) => {}
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

    /// Whether a push of `activation` into `stream` would change the stream of `source` that it takes its records from.
    fn changes_its_source(
        &self,
        activation: &WorkspaceConnector,
        stream: &StreamName,
        source: (&WorkspaceConnector, &StreamName),
    ) -> bool {
        let settings = self.sources.settings();
        let (Ok((into, target)), Ok((from, origin))) =
            (settings.of(activation), settings.of(source.0))
        else {
            return false;
        };
        into.place(&target) == from.place(&origin) && into.read_as(stream) == *source.1
    }
}

/// Where streams are in a body.
const STREAMS: &str = "/data/attributes/streams";

/// What there is, as far as anybody had to look.
struct Sight<'a> {
    activations: &'a Activations,
    call: &'a Call,
    /// Whose streams are named.
    activation: &'a WorkspaceConnector,
    until: Instant,
    /// The activations that records are taken from, and under none what the activation itself has.
    seen: HashMap<Option<WorkspaceConnectorId>, Seen>,
}

/// An activation, and its streams if its system said which they are.
struct Seen {
    activation: WorkspaceConnector,
    streams: Option<Vec<StreamSpec>>,
}

impl Sight<'_> {
    /// The activation `source` that stream `at` takes its records from, or the activation itself.
    async fn of(
        &mut self,
        source: Option<WorkspaceConnectorId>,
        at: usize,
    ) -> Result<&Seen, ActivationError> {
        let Self { activations, call, activation, until, .. } = *self;
        match self.seen.entry(source) {
            Entry::Occupied(it) => Ok(it.into_mut()),
            Entry::Vacant(it) => {
                let activation = match source {
                    None => activation.clone(),
                    Some(id) => activations.source(call, activation, id, at).await?,
                };
                let sources = &activations.sources;
                let streams = sources.streams(&call.caller, &activation, until).await;
                Ok(it.insert(Seen { activation, streams }))
            }
        }
    }

    /// Passes if records of `source` can be pushed as `stream`.
    async fn require_push(
        &mut self,
        at: usize,
        stream: &StreamName,
        source: &StreamSource,
    ) -> Result<(), ActivationError> {
        let (activations, activation) = (self.activations, self.activation);
        let seen = self.of(Some(source.workspace_connector_id), at).await?;
        if let Some(known) = &seen.streams {
            require_stream(known, &source.stream, || format!("{STREAMS}/{at}/source/stream"))?;
        }
        let pointer = format!("{STREAMS}/{at}/stream");
        let settings = activations.sources.settings();
        if let Err(failure) = settings.definition(&activation.connector_type)?.accepts(stream) {
            return Err(ActivationError::Unwritable { pointer, failure });
        }
        if activations.changes_its_source(activation, stream, (&seen.activation, &source.stream)) {
            return Err(ActivationError::PushedIntoItself { pointer, stream: stream.clone() });
        }
        Ok(())
    }

    /// Passes if the stream that `named` speaks of is there, and has the columns that it names, of the type that it says. What
    /// `before` says needs no other look.
    async fn require_own(
        &mut self,
        at: usize,
        named: &StreamSettings,
        before: Option<&StreamSettings>,
    ) -> Result<(), ActivationError> {
        let columns = columns(named);
        let is_same = before
            .is_some_and(|it| self::columns(it) == columns && it.cursor_type == named.cursor_type);
        let stream = named.stream.as_ref().filter(|_| before.is_none());
        if stream.is_none() && (is_same || columns.is_empty()) {
            return Ok(());
        }
        let activation = self.activation;
        let Some(known) = &self.of(None, at).await?.streams else { return Ok(()) };
        if let Some(stream) = stream {
            require_stream(known, stream, || format!("{STREAMS}/{at}/stream"))?;
        }
        let is_meant = |it: &&StreamSpec| {
            let settings = activation.stream_settings(&it.name);
            activation.shows(it.name.as_str()) && settings == Some(named)
        };
        let meant: Vec<_> = known.iter().filter(is_meant).collect();
        for (member, column) in columns {
            require_column(&meant, column, || format!("{STREAMS}/{at}/{member}"))?;
        }
        let Some(column) = named.cursor_column.as_deref() else { return Ok(()) };
        require_fit(&meant, (column, named.cursor_type), |member| {
            format!("{STREAMS}/{at}/{member}")
        })
    }
}

/// The columns that settings name, and where they do.
fn columns(settings: &StreamSettings) -> Vec<(String, &str)> {
    let cursor = settings.cursor_column.iter().map(|it| ("cursor_column".to_owned(), it.as_str()));
    let key = settings.primary_key.iter().enumerate();
    cursor.chain(key.map(|(at, it)| (format!("primary_key/{at}"), it.as_str()))).collect()
}

/// Passes if `stream` is one of `known`.
pub(crate) fn require_stream(
    known: &[StreamSpec],
    stream: &StreamName,
    pointer: impl Fn() -> String,
) -> Result<(), ActivationError> {
    if known.iter().any(|it| it.name == *stream) {
        return Ok(());
    }
    let near = near(stream.as_str(), known.iter().map(|it| it.name.as_str()));
    Err(ActivationError::NoSuchStream { pointer: pointer(), stream: stream.clone(), near })
}

/// Passes if one of the streams that are `meant` has the column: a name that none of them has is a mistake.
fn require_column(
    meant: &[&StreamSpec],
    column: &str,
    pointer: impl Fn() -> String,
) -> Result<(), ActivationError> {
    // Of a stream without a field it is not known what it will have.
    let may_have = |it: &&StreamSpec| it.fields.is_empty() || it.field(column).is_some();
    if meant.is_empty() || meant.iter().any(may_have) {
        return Ok(());
    }
    let stream = match meant {
        [only] => Some(only.name.clone()),
        _ => None,
    };
    let mut told = HashSet::new();
    let fields = meant.iter().flat_map(|it| &it.fields).map(|it| it.name.as_str());
    let near = near(column, fields.filter(|it| told.insert(*it)));
    Err(ActivationError::NoSuchColumn {
        pointer: pointer(),
        stream,
        column: column.to_owned(),
        near,
    })
}

/// Passes if the column of one of the streams that are `meant` may be a cursor of that type, or of the one that a run takes it
/// for without any.
fn require_fit(
    meant: &[&StreamSpec],
    (column, named): (&str, Option<CursorType>),
    pointer: impl Fn(&str) -> String,
) -> Result<(), ActivationError> {
    let meant_type = |kind| named.unwrap_or_else(|| CursorType::likely(kind));
    let mut kinds = meant.iter().filter_map(|it| it.field(column)).map(|it| it.kind);
    let knows_all = meant.iter().all(|it| !it.fields.is_empty());
    match kinds.clone().next() {
        Some(kind) if knows_all && !kinds.any(|it| meant_type(it).may_be(it)) => {
            let member = if named.is_some() { "cursor_type" } else { "cursor_column" };
            let (pointer, column, cursor_type) =
                (pointer(member), column.to_owned(), meant_type(kind));
            Err(ActivationError::UnfitCursor { pointer, column, kind, cursor_type })
        }
        Some(_) | None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use linkspan_domain::{Problem, Role, ports::ChangeAtRest};
    use serde_json::{Value, json};

    use super::*;
    use crate::{
        ActivationPatch, ActivationStores, NewActivation,
        fixtures::{
            MockRuns, PLANTED, activation, call, connector, empty, id, keep, ledger,
            lower_workspace, object, sources, world,
        },
    };

    fn activations(kept: Vec<WorkspaceConnector>) -> Activations {
        let (activations, connectors) = (keep(kept).store, keep(vec![connector(|_| {})]).store);
        let (tests, credentials) = (keep(Vec::new()).store, ledger(Arc::clone(&activations) as _));
        let mut runs = MockRuns::new();
        runs.expect_change_cursors().returning(|_, _, _| Ok(ChangeAtRest::Made));
        let (people, syncs) = (empty(), Arc::new(runs));
        let stores =
            ActivationStores { activations, connectors, people, tests, credentials, syncs };
        Activations::new(stores, sources(), world())
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
    async fn a_column_that_the_stream_lacks_is_refused_with_those_that_it_has() {
        let at = |place: &str, says: &str| {
            Err((format!("/data/attributes/streams/{place}"), says.to_owned()))
        };
        for (named, expected) in [
            (json!([{ "stream": "files", "cursor_column": "at", "primary_key": ["id"] }]), Ok(())),
            (
                json!([{ "lag": 5 }, { "stream": "files", "cursor_column": "ta" }]),
                at(
                    "1/cursor_column",
                    "the stream `files` has no column `ta`; there are `id`, `at`",
                ),
            ),
            (
                json!([{ "stream": "files", "primary_key": ["id", "total"] }]),
                at(
                    "0/primary_key/1",
                    "the stream `files` has no column `total`; there are `id`, `at`",
                ),
            ),
            (json!([{ "stream": "files", "cursor_column": "at", "cursor_type": "text" }]), Ok(())),
            (
                json!([{ "stream": "files", "cursor_column": "at", "cursor_type": "int" }]),
                at(
                    "0/cursor_type",
                    "the column `at` holds text, which does not compare as int; its cursor_type is `text`",
                ),
            ),
            (
                json!([{ "stream": "public.orders", "cursor_column": "paid" }]),
                at(
                    "0/cursor_column",
                    "the column `paid` holds boolean, which does not compare as text; choose another cursor_column",
                ),
            ),
            (
                json!([{ "stream": "public.orders", "cursor_column": "price", "cursor_type": "text" }]),
                at(
                    "0/cursor_type",
                    "the column `price` holds decimal, which does not compare as text; choose another cursor_column, or the cursor_type `int` where the source takes it for whole numbers",
                ),
            ),
            (
                json!([{ "stream": "public.orders", "cursor_column": "price", "cursor_type": "int" }]),
                Ok(()),
            ),
            // What is said of all has to be of use to one of them.
            (json!([{ "cursor_column": "total" }]), Ok(())),
            (
                json!([{ "cursor_column": "total" }, { "stream": "public.orders" }]),
                at(
                    "0/cursor_column",
                    "none of the streams that these settings are for has a column `total`; there are `id`, `at`",
                ),
            ),
        ] {
            assert_eq!(create("wide", named.clone()).await, expected, "{named}");
            assert_eq!(create("down", named.clone()).await, Ok(()), "nobody knows: {named}");
            assert_eq!(create("shop", named.clone()).await, Ok(()), "no columns: {named}");
        }
    }

    #[tokio::test]
    async fn only_columns_that_are_named_anew_are_looked_for() {
        let gone = || json!({ "stream": "files", "cursor_column": "gone" });
        let change = async |named: Value| {
            let stage = activations(vec![activation(|it| {
                it.config.insert("host".to_owned(), json!("wide"));
                it.streams = streams(json!([gone()]));
            })]);
            let patch =
                ActivationPatch { streams: Some(streams(named)), ..ActivationPatch::default() };
            outcome(stage.update(&call(Role::Designer), id(30), None, patch).await)
        };
        assert_eq!(change(json!([gone(), { "lag": 5 }])).await, Ok(()));
        let typed = json!([{ "stream": "files", "cursor_column": "at", "cursor_type": "int" }]);
        assert_eq!(change(typed).await.unwrap_err().0, "/data/attributes/streams/0/cursor_type");
        let changed = json!([{ "stream": "files", "cursor_column": "absent" }]);
        let refused = change(changed).await.unwrap_err();
        assert_eq!(refused.0, "/data/attributes/streams/0/cursor_column");
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
        let push_as = async |source: u128, stream: &str, out: &str, kind: &str| {
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
            let output = activation(|it| it.connector_type = kind.parse().unwrap());
            let stage = activations(vec![output, beside, elsewhere]);
            let id: WorkspaceConnectorId = id(source);
            let from = json!({ "workspace_connector_id": id, "stream": stream });
            let named = streams(json!([{ "stream": out, "source": from }]));
            let patch = ActivationPatch { streams: Some(named), ..ActivationPatch::default() };
            let own: WorkspaceConnectorId = crate::fixtures::id(30);
            let done = stage.update(&call(Role::Designer), own, None, patch).await;
            outcome(done).map_err(|(pointer, _)| pointer)
        };
        let push = async |source, stream| push_as(source, stream, "out", "fake").await;
        let at = |member: &str| Err(format!("/data/attributes/streams/0/{member}"));
        assert_eq!(push(31, "files").await, Ok(()));
        assert_eq!(push(31, "nothing").await, at("source/stream"));
        for other in [30, 32, 33] {
            assert_eq!(push(other, "files").await, at("source/workspace_connector_id"), "{other}");
        }
        assert_eq!(push_as(31, "files", "?", "double").await, at("stream"), "no name there");
        assert_eq!(push_as(31, "files", "files", "double").await, Ok(()));
        assert_eq!(push_as(31, "files", "files", "fake").await, at("stream"), "into itself");
    }
}
