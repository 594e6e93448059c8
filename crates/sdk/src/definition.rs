//! A connector type with its Rust types erased: what registries, engines and documents hold.

mod runners;

use std::{collections::BTreeMap, fmt, sync::Arc};

use futures_util::{
    FutureExt,
    future::{BoxFuture, ready},
};
use linkspan_domain::{
    AuthorizationFlow, Capability, Condition, ConnectorTypeKey, ConnectorTypeManifest,
    ExecutionModel, Place, Secrets, SplitConfig, StreamName,
};
use serde_json::Value;

use crate::{
    BatchSink, BatchStream, BatchWriter, CheckOutcome, ConnectorType, Discovered, Environment,
    Failure, Intake, Pushed, ReadRequest, SettingsFault, WriteMode, WriteRequest, config_schema,
    schema::description, settings::Checker,
};

/// Checks settings.
pub type CheckRunner = Arc<
    dyn Fn(Value, Environment) -> BoxFuture<'static, Result<CheckOutcome, Failure>> + Send + Sync,
>;
/// Lists the streams behind settings, and what is none.
pub type DiscoverRunner = Arc<
    dyn Fn(Value, Environment) -> BoxFuture<'static, Result<Discovered, Failure>> + Send + Sync,
>;
/// Reads one stream into a sink.
pub type ReadRunner = Arc<
    dyn Fn(Value, ReadRequest, Environment, BatchSink) -> BoxFuture<'static, Result<(), Failure>>
        + Send
        + Sync,
>;
/// Says which parts of a filter a source takes over.
pub type PushDownRunner = Arc<
    dyn Fn(
            Value,
            StreamName,
            Vec<Condition>,
            Environment,
        ) -> BoxFuture<'static, Result<Vec<Pushed>, Failure>>
        + Send
        + Sync,
>;
/// Splits a full read of a stream into so many parts at most.
pub type SplitRunner = Arc<
    dyn Fn(
            Value,
            StreamName,
            usize,
            Environment,
        ) -> BoxFuture<'static, Result<Vec<Condition>, Failure>>
        + Send
        + Sync,
>;
/// Writes one stream out of an intake.
pub type WriteRunner = Arc<
    dyn Fn(Value, WriteRequest, Environment, Intake) -> BoxFuture<'static, Result<(), Failure>>
        + Send
        + Sync,
>;
/// Runs one command: settings, then parameters.
pub type CommandRunner = Arc<
    dyn Fn(Value, Value, Environment) -> BoxFuture<'static, Result<Value, Failure>> + Send + Sync,
>;

/// What makes a manifest move: one function per capability.
#[derive(Clone)]
pub struct Runners {
    /// Checks settings.
    pub check: CheckRunner,
    /// Present when the type has records to read.
    pub source: Option<SourceRunners>,
    /// Present when the type takes records.
    pub sink: Option<SinkRunners>,
    /// By the name of the command.
    pub commands: BTreeMap<String, CommandRunner>,
}

/// The source half of [`Runners`].
#[derive(Clone)]
pub struct SourceRunners {
    /// Lists the streams.
    pub discover: DiscoverRunner,
    /// Reads one.
    pub read: ReadRunner,
    /// Takes over parts of filters. Without it: none.
    pub push_down: Option<PushDownRunner>,
    /// Splits reads. Without it: they are not.
    pub split: Option<SplitRunner>,
}

/// The sink half of [`Runners`].
#[derive(Clone)]
pub struct SinkRunners {
    /// What it can do with records.
    pub modes: Vec<WriteMode>,
    /// Writes one stream.
    pub write: WriteRunner,
    /// What a stream is called when it is read, by what it is called when it is written.
    pub read_as: fn(&StreamName) -> StreamName,
    /// Passes unless no stream can be written under this name.
    pub accepts: fn(&StreamName) -> Result<(), Failure>,
}

/// A connector type as a value. Cheap to clone; clones share connections.
///
/// [`Definition::of`] makes it from a Rust type, [`Definition::new`] from anything else that can
/// state a manifest. Settings are checked against the manifest's schema before anything runs, and
/// everything stops where it waits when [`Environment::cancel`] is cancelled.
#[derive(Clone)]
pub struct Definition {
    /// What it looks like from outside.
    pub manifest: Arc<ConnectorTypeManifest>,
    runners: Arc<Runners>,
    settings: Arc<Checker>,
    parameters: Arc<BTreeMap<String, Checker>>,
    accept: Accept,
    place: PlaceOf,
    /// What kind of system the places are of.
    system: ConnectorTypeKey,
}

type Accept = Arc<dyn Fn(&Value, AuthorizationFlow) -> Result<(), Failure> + Send + Sync>;
type PlaceOf = Arc<dyn Fn(&Value) -> Option<Value> + Send + Sync>;

impl Definition {
    /// Erases `T`.
    pub fn of<T: ConnectorType>() -> Self {
        let key = const { ConnectorTypeKey::of(T::KEY) };
        let config_schema = config_schema::<T::Settings>();
        let commands = T::commands();
        let (source, sink) = (T::source(), T::sink());
        let manifest = ConnectorTypeManifest {
            key,
            aliases: T::ALIASES.iter().map(|&it| ConnectorTypeKey::of(it)).collect(),
            version: T::VERSION,
            title: T::TITLE.to_owned(),
            description: description(config_schema.as_value()).to_owned(),
            category: T::CATEGORY,
            tags: T::TAGS.iter().map(|&it| it.to_owned()).collect(),
            icon: T::ICON.map(str::to_owned),
            docs_url: T::DOCS_URL.map(str::to_owned),
            config_schema,
            capabilities: capabilities(source.is_some(), sink.is_some(), !commands.is_empty()),
            commands: commands.iter().map(|it| it.manifest.clone()).collect(),
            is_queryable: T::IS_QUERYABLE,
            is_mock: T::IS_MOCK,
            execution_model: ExecutionModel::BuiltIn,
        };
        let accept = |settings: &Value, flow| {
            let settings = accepted::<T>(settings.clone())?;
            T::accept_flow(&settings, flow)
        };
        let place = |settings: &Value| T::place(&accepted::<T>(settings.clone()).ok()?);
        Self {
            accept: Arc::new(accept),
            place: Arc::new(place),
            system: const { ConnectorTypeKey::of(T::SYSTEM) },
            ..Self::new(manifest, runners::of::<T>(source, sink))
        }
    }

    /// Joins a manifest with what makes it move.
    pub fn new(manifest: ConnectorTypeManifest, runners: Runners) -> Self {
        let commands = manifest.commands.iter();
        let parameters = commands.map(|it| (it.name.clone(), Checker::new(&it.parameters)));
        Self {
            settings: Arc::new(Checker::new(manifest.config_schema.as_value())),
            system: manifest.key.clone(),
            parameters: Arc::new(parameters.collect()),
            manifest: Arc::new(manifest),
            runners: Arc::new(runners),
            accept: Arc::new(|_, _| Ok(())),
            place: Arc::new(|_| None),
        }
    }

    /// Which system `settings` point at, and which part of it. Activations of types for the same systems that point at the same
    /// one have equal places, whoever logs in.
    pub fn place(&self, settings: &Value) -> Place {
        let parts =
            (self.place)(settings).unwrap_or_else(|| self.taken_apart(settings).public.into());
        Place::of(&self.system, parts)
    }

    /// What is wrong with `settings` of a connector that authorizes by `flow`, without trying them. Empty when they fit.
    pub fn faults(&self, settings: &Value, flow: AuthorizationFlow) -> Vec<SettingsFault> {
        let faults = self.settings.faults(settings);
        if faults.is_empty() {
            (self.accept)(settings, flow).err().map(SettingsFault::from).into_iter().collect()
        } else {
            faults
        }
    }

    /// Finds out whether `settings` work.
    pub async fn check(
        &self,
        settings: Value,
        environment: Environment,
    ) -> Result<CheckOutcome, Failure> {
        let secrets = self.secrets(&settings);
        let checked = self.work(settings, environment, &*self.runners.check).await;
        checked.map(|it| CheckOutcome { message: secrets.mask_in(it.message), ..it })
    }

    /// Lists the streams behind `settings`, and names what is none though they may read it.
    pub async fn discover(
        &self,
        settings: Value,
        environment: Environment,
    ) -> Result<Discovered, Failure> {
        let source = self.source("list streams")?;
        self.work(settings, environment, &*source.discover).await
    }

    /// Reads one stream. The reading runs as a task of its own, at most two batches ahead of whoever
    /// takes them, and ends when the answer is dropped.
    ///
    /// Must be called within a Tokio runtime.
    pub fn read(
        &self,
        settings: Value,
        request: ReadRequest,
        mut environment: Environment,
    ) -> BatchStream {
        let cancel = environment.cancel.child_token();
        environment.cancel = cancel.clone();
        let (sink, batches) = BatchSink::channel();
        let this = self.clone();
        let reading = tokio::spawn(async move {
            let source = this.source("read streams")?;
            let read = |settings, environment| (source.read)(settings, request, environment, sink);
            this.work(settings, environment, read).await
        });
        BatchStream::new(batches, reading, cancel.drop_guard())
    }

    /// Writes one stream, as its changes are sent to the answer. The writing runs as a task of its own, at most two
    /// changes behind whoever sends them, and breaks off when the answer is dropped.
    ///
    /// Must be called within a Tokio runtime.
    pub fn write(
        &self,
        settings: Value,
        request: WriteRequest,
        mut environment: Environment,
    ) -> BatchWriter {
        let cancel = environment.cancel.child_token();
        environment.cancel = cancel.clone();
        let this = self.clone();
        let (push, secrets) = (request.push, self.secrets(&settings));
        BatchWriter::spawn(cancel.drop_guard(), push.as_ref(), secrets, move |intake| async move {
            let sink = this.runners.sink.as_ref();
            let sink = sink.ok_or_else(|| Failure::Unsupported("write records".to_owned()))?;
            request.pass(&sink.modes)?;
            (sink.accepts)(&request.stream.name)?;
            let write =
                |settings, environment| (sink.write)(settings, request, environment, intake);
            this.work(settings, environment, write).await
        })
    }

    /// What the type can do with records that are written into it; nothing if it takes none.
    pub fn write_modes(&self) -> &[WriteMode] {
        self.runners.sink.as_ref().map_or(&[], |it| &it.modes)
    }

    /// What a stream that is written as `stream` is called when it is read.
    pub fn read_as(&self, stream: &StreamName) -> StreamName {
        self.runners.sink.as_ref().map_or_else(|| stream.clone(), |it| (it.read_as)(stream))
    }

    /// Passes unless the type can write no stream under this name, whatever its system holds.
    pub fn accepts(&self, stream: &StreamName) -> Result<(), Failure> {
        self.runners.sink.as_ref().map_or(Ok(()), |it| (it.accepts)(stream))
    }

    /// How the type takes what changed, if it does.
    pub fn push_mode(&self) -> Option<WriteMode> {
        let modes = self.write_modes();
        [WriteMode::Upsert, WriteMode::Journal].into_iter().find(|it| modes.contains(it))
    }

    /// Asks which of these parts of a filter the source takes over in a read of `stream`, in the same order.
    pub async fn push_down(
        &self,
        settings: Value,
        stream: StreamName,
        parts: Vec<Condition>,
        environment: Environment,
    ) -> Result<Vec<Pushed>, Failure> {
        let count = parts.len();
        let Some(push_down) = &self.source("filter records")?.push_down else {
            return Ok(vec![Pushed::Not; count]);
        };
        let ask = |settings, environment| push_down(settings, stream, parts, environment);
        let mut pushed = self.work(settings, environment, ask).await?;
        pushed.resize(count, Pushed::Not);
        Ok(pushed)
    }

    /// Splits a full read of `stream` into at most `parts` reads that can go on side by side; see [`Source::split`](crate::Source::split).
    pub async fn split(
        &self,
        settings: Value,
        stream: StreamName,
        parts: usize,
        environment: Environment,
    ) -> Result<Vec<Condition>, Failure> {
        let Some(split) = &self.source("read streams")?.split else { return Ok(Vec::new()) };
        let ask = |settings, environment| split(settings, stream, parts, environment);
        self.work(settings, environment, ask).await
    }

    /// Runs the command called `name`.
    pub async fn run_command(
        &self,
        name: &str,
        settings: Value,
        parameters: Value,
        environment: Environment,
    ) -> Result<Value, Failure> {
        let Some(run) = self.runners.commands.get(name) else {
            return Err(Failure::NotFound("the command".to_owned()));
        };
        let checker = self.parameters.get(name);
        let run = |settings, environment| match checker
            .map_or(Ok(()), |it| it.pass("parameters", &parameters))
        {
            Ok(()) => run(settings, parameters, environment),
            Err(unfit) => ready(Err(unfit)).boxed(),
        };
        self.work(settings, environment, run).await
    }

    /// Does `work` with `settings` that fit, until it is cancelled. Its failure repeats none of their secrets.
    async fn work<R>(
        &self,
        settings: Value,
        mut environment: Environment,
        work: impl FnOnce(Value, Environment) -> BoxFuture<'static, Result<R, Failure>>,
    ) -> Result<R, Failure> {
        let (cancel, secrets) = (environment.cancel.clone(), self.secrets(&settings));
        if let Some(activation) = environment.activation {
            environment.paces = environment.paces.of(activation, &secrets);
        }
        let done = match self.settings.pass("settings", &settings) {
            Ok(()) => {
                let work = work(settings, environment);
                cancel.run_until_cancelled(work).await.unwrap_or(Err(Failure::Cancelled))
            }
            Err(unfit) => Err(unfit),
        };
        done.map_err(|it| it.without(&secrets))
    }

    /// The secrets among `settings`, which no failure may repeat.
    fn secrets(&self, settings: &Value) -> Secrets {
        self.taken_apart(settings).secrets
    }

    /// `settings` with the secrets taken out; nothing if they hold what looks like a secret of no setting.
    fn taken_apart(&self, settings: &Value) -> SplitConfig {
        let settings = settings.as_object().cloned().unwrap_or_default();
        self.manifest.config_schema.split(settings).unwrap_or_default()
    }

    fn source(&self, what: &str) -> Result<&SourceRunners, Failure> {
        self.runners.source.as_ref().ok_or_else(|| Failure::Unsupported(what.to_owned()))
    }
}

impl fmt::Debug for Definition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Definition({} {})", self.manifest.key, self.manifest.version)
    }
}

fn capabilities(is_source: bool, is_sink: bool, has_commands: bool) -> Vec<Capability> {
    let mut all = vec![Capability::Check];
    if is_source {
        all.extend([Capability::Discover, Capability::Read]);
    }
    if is_sink {
        all.push(Capability::Write);
    }
    if has_commands {
        all.push(Capability::Command);
    }
    all
}

fn accepted<T: ConnectorType>(settings: Value) -> Result<T::Settings, Failure> {
    let settings = crate::parse("settings", settings)?;
    T::accept(&settings)?;
    Ok(settings)
}

#[cfg(test)]
mod tests;
