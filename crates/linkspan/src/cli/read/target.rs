//! Records straight into another system.

use arrow_array::RecordBatch;
use linkspan_domain::{Place, StreamName, StreamSpec};
use linkspan_sdk::{
    BatchWriter, Change, Definition, Environment, ReadMode, WriteMode, WriteRequest,
};

use super::{definition, failed, fitting, writer::Written};
use crate::cli::{
    assign::{Assigned, Assignments, IntoAssignments},
    exit::Failed,
};

/// What records are written into.
#[derive(Debug, clap::Args)]
pub(super) struct Target {
    /// The connector type to write the records into, instead of a file
    #[arg(long, value_name = "TYPE", conflicts_with_all = ["to", "format"])]
    into: Option<String>,
    #[command(flatten)]
    settings: IntoAssignments,
    /// What the stream is called there, such as `sales.orders` [default: as it is called here]
    #[arg(long, value_name = "NAME", requires = "into")]
    into_stream: Option<StreamName>,
    /// What happens to the records that are there [default: replace, or upsert when reading from a cursor on]
    #[arg(long, value_enum, requires = "into")]
    mode: Option<Mode>,
}

/// What happens to the records that are there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Mode {
    /// They give way to those that were read
    Replace,
    /// They stay, and the others are added
    Append,
    /// They stay, unless one with the same primary key was read
    Upsert,
}

impl From<Mode> for WriteMode {
    fn from(mode: Mode) -> Self {
        match mode {
            Mode::Replace => Self::Replace,
            Mode::Append => Self::Append,
            Mode::Upsert => Self::Upsert,
        }
    }
}

impl Target {
    /// Whether there is one.
    pub(super) const fn is_given(&self) -> bool {
        self.into.is_some()
    }

    /// Begins to write the stream `spec` of the place `from`, which is read as `reading` says.
    pub(super) fn open(
        self,
        from: &Place,
        spec: StreamSpec,
        reading: &ReadMode,
        environment: Environment,
    ) -> Result<Sending, Failed> {
        let Self { into, settings, into_stream, mode } = self;
        let definition = definition(&into.unwrap_or_default())?;
        let schema = definition.manifest.config_schema.as_value();
        let Assigned { config, .. } = Assignments::from(settings).read(schema)?;
        let config = fitting(&definition, config)?;
        let mode = match mode {
            Some(mode) => mode.into(),
            None => usual(&definition, reading)?,
        };
        let is_there = definition.place(&config) == *from;
        let name = into_stream.unwrap_or_else(|| spec.name.clone());
        if is_there && definition.read_as(&name) == definition.read_as(&spec.name) {
            // The write would wait for the read to let go of it, and the read for the write to take more.
            return Err(Failed::usage(format!(
                "{name} cannot be read into itself; name another stream with --into-stream"
            )));
        }
        let stream = StreamSpec { name, ..spec };
        let request = WriteRequest { stream, mode, push: None };
        Ok(Sending { writer: definition.write(config, request, environment), records: 0 })
    }
}

/// The mode that suits how the stream is read best, of those that the type has.
fn usual(definition: &Definition, reading: &ReadMode) -> Result<WriteMode, Failed> {
    let wanted = match reading {
        ReadMode::Full => [WriteMode::Replace, WriteMode::Upsert, WriteMode::Append],
        ReadMode::Incremental { .. } => [WriteMode::Upsert, WriteMode::Append, WriteMode::Replace],
    };
    let modes = definition.write_modes();
    wanted.into_iter().find(|it| modes.contains(it)).ok_or_else(|| {
        let key = &definition.manifest.key;
        Failed::usage(format!("the connector type `{key}` takes no records; see `linkspan types`"))
    })
}

/// Records on their way.
pub(super) struct Sending {
    writer: BatchWriter,
    records: u64,
}

impl Sending {
    /// Adds some.
    pub(super) async fn send(&mut self, records: RecordBatch) -> Result<(), Failed> {
        self.records += u64::try_from(records.num_rows()).unwrap_or(u64::MAX);
        self.writer.send(Change::Put(records)).await.map_err(|it| failed(&it))
    }

    /// Waits until all are durable.
    pub(super) async fn finish(self) -> Result<Written, Failed> {
        self.writer.finish().await.map_err(|it| failed(&it))?;
        Ok(Written { records: self.records, rejected: 0 })
    }
}
