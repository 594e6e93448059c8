//! `linkspan read`: reads a stream once, without a platform.

mod target;
mod writer;

use std::{collections::BTreeMap, path::PathBuf, time::Instant};

use arrow_array::RecordBatch;
use futures_util::TryStreamExt;
use linkspan_domain::{AuthorizationFlow, Cursor, CursorType, StreamSpec};
use linkspan_sdk::{
    CursorSpec, Definition, Discovered, Environment, Failure, Loss, ReadMode, ReadRequest, Unfit,
};
use serde_json::{Map, Value, json};

use super::{
    assign::{Assigned, Assignments},
    exit::{Exit, Failed},
    output::{Output, counted, note},
};
use crate::{
    compose::{self, FileReach},
    registry,
    settings::Settings,
};
use target::{Sending, Target};
use writer::{Encoding, RecordWriter, Written};

/// Read a stream once, without a platform: records go to a file, to standard output or straight into another system
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  linkspan read csv --set path=sales.csv\n  \
    linkspan read postgresql --set-env connection_string=DATABASE_URL --stream public.orders --to orders.parquet\n  \
    linkspan read csv --set path=sales.csv --into postgresql --into-set-env connection_string=WAREHOUSE_URL")]
pub(crate) struct Read {
    /// The connector type; `linkspan types` lists them
    #[arg(value_name = "TYPE")]
    connector_type: String,
    #[command(flatten)]
    settings: Assignments,
    /// Which stream; needed where there are several
    #[arg(long)]
    stream: Option<String>,
    /// The file to write; its suffix (.jsonl, .csv, .parquet, .arrow) says how [default: standard output]
    #[arg(long, value_name = "FILE")]
    to: Option<PathBuf>,
    /// How to write, whatever the file is called
    #[arg(long, value_enum)]
    format: Option<Encoding>,
    #[command(flatten)]
    target: Target,
}

impl Read {
    /// Runs the command.
    pub(crate) async fn run(self, settings: &Settings, output: &Output) -> Result<(), Failed> {
        let began = Instant::now();
        let definition = definition(&self.connector_type)?;
        let Assigned { config, stream } =
            self.settings.read(definition.manifest.config_schema.as_value())?;
        let config = fitting(&definition, config)?;
        let environment = compose::environment(settings, None, FileReach::Operator);
        let environment = environment.map_err(|error| Failed::setup(&error))?;
        let spec = self.spec(&definition, &config, &environment).await?;
        let request =
            ReadRequest { mode: mode(&stream, &spec)?, ..ReadRequest::full(spec.name.clone()) };
        let name = spec.name.clone();
        let mut outlet = if self.target.is_given() {
            let from = definition.place(&config);
            let spec = keyed(spec, &stream);
            let sending = self.target.open(&from, spec, &request.mode, environment.clone())?;
            Outlet::System(sending)
        } else {
            let writer = RecordWriter::open(self.to.as_deref(), self.format, &spec)?;
            Outlet::File(Box::new(writer))
        };
        let mut unfit = LeftOut::default();
        let mut batches = definition.read(config, request, environment);
        while let Some(batch) = batches.try_next().await.map_err(|it| failed(&it))? {
            outlet.write(batch.records).await?;
            for Loss { what, records } in batch.losses {
                note(&format!("{}: {what}", counted(records, "record")));
            }
            unfit.add(batch.unfit);
        }
        unfit.tell();
        let written = outlet.finish().await?;
        let seconds = began.elapsed().as_secs_f64();
        let machine = json!({
            "stream": name,
            "records": written.records,
            "left_out": written.rejected + unfit.records(),
            "seconds": seconds,
        });
        let human = || format!("{name}: {} in {seconds:.2} s", counted(written.records, "record"));
        output.answer_beside_records(human, &machine);
        match (written.rejected, unfit.records()) {
            (0, 0) => Ok(()),
            (0, some) => {
                let some = counted(some, "record");
                Err(Failed::partial(format!("{some} did not fit the columns, and were left out")))
            }
            (some, unfit) => {
                let some = counted(some + unfit, "record");
                Err(Failed::partial(format!("{some} could not be written")))
            }
        }
    }

    /// The stream that is meant.
    async fn spec(
        &self,
        definition: &Definition,
        config: &Value,
        environment: &Environment,
    ) -> Result<StreamSpec, Failed> {
        let found = definition.discover(config.clone(), environment.clone()).await;
        let Discovered { streams: mut found, left_out } = found.map_err(|it| failed(&it))?;
        let position = match &self.stream {
            Some(name) => found.iter().position(|it| it.name.as_str() == name),
            None => (found.len() == 1).then_some(0),
        };
        // Who names a stream that is there need not hear each time of what else there is.
        if !left_out.is_empty() && (self.stream.is_none() || position.is_none()) {
            note(&left_out.to_string());
        }
        position.map(|it| found.swap_remove(it)).ok_or_else(|| {
            let names: Vec<_> = found.iter().map(|it| it.name.as_str()).collect();
            let wrong = match self.stream {
                Some(_) => "there is no such stream",
                None => "name a stream with --stream",
            };
            Failed::usage(format!("{wrong}; there are {}", names.join(", ")))
        })
    }
}

/// Records that do not fit their columns.
#[derive(Default)]
struct LeftOut {
    /// The first of them, as places to look at.
    first: Vec<String>,
    /// How many there are for each reason.
    reasons: BTreeMap<String, u64>,
}

impl LeftOut {
    /// So many of them are told one by one.
    const TOLD: usize = 5;

    fn add(&mut self, unfit: Option<Unfit>) {
        for misfit in unfit.into_iter().flat_map(|it| it.misfits) {
            if self.first.len() < Self::TOLD {
                self.first.push(misfit.place);
            }
            *self.reasons.entry(misfit.what).or_default() += 1;
        }
    }

    fn records(&self) -> u64 {
        self.reasons.values().sum()
    }

    fn tell(&self) {
        for (what, records) in &self.reasons {
            note(&format!("{}: {what}", counted(*records, "record")));
        }
        for place in &self.first {
            note(&format!("left out: {place}"));
        }
        let more = self.records() - self.first.len() as u64;
        if more > 0 {
            note(&format!("and {} more", counted(more, "record")));
        }
    }
}

/// Where records go.
enum Outlet {
    File(Box<RecordWriter>),
    System(Sending),
}

impl Outlet {
    async fn write(&mut self, records: RecordBatch) -> Result<(), Failed> {
        match self {
            Self::File(writer) => writer.write(&records),
            Self::System(sending) => sending.send(records).await,
        }
    }

    async fn finish(self) -> Result<Written, Failed> {
        match self {
            Self::File(writer) => writer.finish(),
            Self::System(sending) => sending.finish().await,
        }
    }
}

/// The type called `key`.
fn definition(key: &str) -> Result<Definition, Failed> {
    let types = registry::types().map_err(|error| Failed::internal(&error))?;
    let found = key.parse().ok().and_then(|key| types.find(&key).cloned());
    found.ok_or_else(|| {
        Failed::usage(format!("there is no connector type `{key}`; see `linkspan types`"))
    })
}

/// `config`, if it fits the type.
fn fitting(definition: &Definition, config: Map<String, Value>) -> Result<Value, Failed> {
    let config = Value::Object(config);
    match definition.faults(&config, AuthorizationFlow::None).first() {
        None => Ok(config),
        Some(fault) => Err(Failed::usage(format!("settings: {} {}", fault.pointer, fault.message))),
    }
}

/// The stream with the primary key that flags give it.
fn keyed(spec: StreamSpec, stream: &Map<String, Value>) -> StreamSpec {
    let key = stream.get("primary_key").and_then(Value::as_array);
    let key = key.map(|it| it.iter().filter_map(Value::as_str).map(str::to_owned).collect());
    StreamSpec { primary_key: key.unwrap_or(spec.primary_key), ..spec }
}

/// The settings of streams that mean something to one read.
const OF_STREAM: [&str; 4] = ["cursor_column", "cursor_type", "cursor_after", "primary_key"];

/// From the cursor on, where one is set.
fn mode(stream: &Map<String, Value>, spec: &StreamSpec) -> Result<ReadMode, Failed> {
    if let Some(key) = stream.keys().find(|it| !OF_STREAM.contains(&it.as_str())) {
        let known = OF_STREAM.join(", ");
        let says =
            format!("`{key}` is for syncs; of the settings of streams, {known} are for read");
        return Err(Failed::usage(says));
    }
    let text = |key: &str| stream.get(key).and_then(Value::as_str);
    let Some(column) = text("cursor_column") else { return Ok(ReadMode::Full) };
    let likely = spec.field(column).map_or(CursorType::Timestamp, |it| CursorType::likely(it.kind));
    let cursor_type = text("cursor_type").map_or(Ok(likely), str::parse);
    let cursor_type =
        cursor_type.map_err(|_| Failed::usage("`cursor_type` is int, timestamp or text"))?;
    let after = text("cursor_after").map(|it| Cursor::parse(cursor_type, it)).transpose();
    let after = after.map_err(|error| Failed::usage(format!("`cursor_after`: {error}")))?;
    Ok(ReadMode::Incremental {
        cursor: CursorSpec { column: column.to_owned(), cursor_type },
        after,
    })
}

/// What the source said, under the exit code for it.
fn failed(failure: &Failure) -> Failed {
    let exit = match failure {
        Failure::Invalid { .. } | Failure::Unsupported(_) => Exit::Usage,
        Failure::Defect { .. } => Exit::Internal,
        Failure::Unauthorized
        | Failure::NeedReconnect(_)
        | Failure::Refused(_)
        | Failure::NotFound(_)
        | Failure::Unavailable { .. }
        | Failure::NotNow(_)
        | Failure::RateLimited { .. }
        | Failure::TooLarge { .. }
        | Failure::Malformed { .. }
        | Failure::Cancelled
        | Failure::TakenOver => Exit::Source,
    };
    Failed { exit, ..Failed::usage(failure) }
}
