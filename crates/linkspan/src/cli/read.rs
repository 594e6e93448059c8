//! `linkspan read`: reads a stream once, without a platform.

mod writer;

use std::{path::PathBuf, time::Instant};

use futures_util::TryStreamExt;
use linkspan_domain::{Cursor, CursorType, StreamSpec};
use linkspan_sdk::{CursorSpec, Definition, Environment, Failure, ReadMode, ReadRequest};
use serde_json::{Map, Value, json};

use super::{
    assign::{Assigned, Assignments},
    exit::{Exit, Failed},
    output::{Output, thousands},
};
use crate::{
    compose::{self, FileReach},
    registry,
    settings::Settings,
};
use writer::{Encoding, RecordWriter};

/// Read a stream once, without a platform: records go to a file or to standard output
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  linkspan read csv --set path=sales.csv\n  \
    linkspan read postgresql --set-env connection_string=DATABASE_URL --stream public.orders --to orders.parquet")]
pub(crate) struct Read {
    /// The connector type; `linkspan types` lists them
    #[arg(value_name = "TYPE")]
    connector_type: String,
    #[command(flatten)]
    settings: Assignments,
    /// Which stream; needed where there are several
    #[arg(long)]
    stream: Option<String>,
    /// The file to write; its suffix (.jsonl, .csv, .parquet) says how [default: standard output]
    #[arg(long, value_name = "FILE")]
    to: Option<PathBuf>,
    /// How to write, whatever the file is called
    #[arg(long, value_enum)]
    format: Option<Encoding>,
}

impl Read {
    /// Runs the command.
    pub(crate) async fn run(self, settings: &Settings, output: &Output) -> Result<(), Failed> {
        let began = Instant::now();
        let definition = self.definition()?;
        let Assigned { config, stream } =
            self.settings.read(definition.manifest.config_schema.as_value())?;
        let config = Value::Object(config);
        if let Some(fault) = definition.faults(&config).first() {
            return Err(Failed::usage(format!("settings: {} {}", fault.pointer, fault.message)));
        }
        let environment = compose::environment(settings, None, FileReach::Operator);
        let environment = environment.map_err(|error| Failed::setup(&error))?;
        let spec = self.spec(&definition, &config, &environment).await?;
        let request = ReadRequest { mode: mode(&stream)?, ..ReadRequest::full(spec.name.clone()) };
        let mut writer = RecordWriter::open(self.to.as_deref(), self.format, &spec)?;
        let mut batches = definition.read(config, request, environment);
        while let Some(batch) = batches.try_next().await.map_err(|it| failed(&it))? {
            writer.write(&batch.records)?;
        }
        let written = writer.finish()?;
        let seconds = began.elapsed().as_secs_f64();
        let machine =
            json!({ "stream": spec.name, "records": written.records, "seconds": seconds });
        let human =
            || format!("{}: {} records in {seconds:.2} s", spec.name, thousands(written.records));
        output.answer_beside_records(human, &machine);
        match written.rejected {
            0 => Ok(()),
            some => {
                Err(Failed::partial(format!("{} records could not be written", thousands(some))))
            }
        }
    }

    fn definition(&self) -> Result<Definition, Failed> {
        let types = registry::types().map_err(|error| Failed::internal(&error))?;
        let found = self.connector_type.parse().ok().and_then(|key| types.find(&key).cloned());
        found.ok_or_else(|| {
            Failed::usage(format!(
                "there is no connector type `{}`; see `linkspan types`",
                self.connector_type
            ))
        })
    }

    /// The stream that is meant.
    async fn spec(
        &self,
        definition: &Definition,
        config: &Value,
        environment: &Environment,
    ) -> Result<StreamSpec, Failed> {
        let found = definition.discover(config.clone(), environment.clone()).await;
        let mut found = found.map_err(|it| failed(&it))?;
        let names: Vec<_> = found.iter().map(|it| it.name.to_string()).collect();
        let position = match &self.stream {
            Some(name) => names.iter().position(|it| it == name),
            None if found.len() == 1 => Some(0),
            None => {
                let names = names.join(", ");
                return Err(Failed::usage(format!(
                    "name a stream with --stream; there are {names}"
                )));
            }
        };
        match position {
            Some(position) => Ok(found.swap_remove(position)),
            None => Err(Failed::usage(format!(
                "there is no such stream; there are {}",
                names.join(", ")
            ))),
        }
    }
}

/// From the cursor on, where one is set.
fn mode(stream: &Map<String, Value>) -> Result<ReadMode, Failed> {
    let text = |key: &str| stream.get(key).and_then(Value::as_str);
    let Some(column) = text("cursor_column") else { return Ok(ReadMode::Full) };
    let cursor_type: CursorType = text("cursor_type")
        .unwrap_or("timestamp")
        .parse()
        .map_err(|_| Failed::usage("`cursor_type` is int, timestamp or text"))?;
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
        | Failure::Refused(_)
        | Failure::NotFound(_)
        | Failure::Unavailable { .. }
        | Failure::RateLimited { .. }
        | Failure::TooLarge { .. }
        | Failure::Malformed { .. }
        | Failure::Cancelled => Exit::Source,
    };
    Failed { exit, message: failure.to_string(), code: None }
}
