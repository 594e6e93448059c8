//! What a run reads of each stream, and how.

use linkspan_domain::{
    Cursor, CursorType, FieldKind, StreamName, StreamSettings, StreamSpec, SyncLog, SyncMode,
    WorkspaceConnector,
};
use linkspan_sdk::CursorSpec;

use crate::failure::RunFailure;

/// How one stream is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StreamPlan {
    pub(crate) stream: StreamName,
    /// The columns that name a record. Empty: its content does.
    pub(crate) primary_key: Vec<String>,
    pub(crate) reading: Reading,
}

/// All of a stream, or what is new.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    Full,
    Incremental {
        cursor: CursorSpec,
        /// Where the first read begins.
        first: Option<Cursor>,
    },
}

impl StreamPlan {
    pub(crate) const fn mode(&self) -> SyncMode {
        match self.reading {
            Reading::Full => SyncMode::Full,
            Reading::Incremental { .. } => SyncMode::Incremental,
        }
    }
}

/// The streams that `run` is about, out of those that the system has: a plan for each, or the reason why there is none.
pub(crate) fn plans(
    run: &SyncLog,
    activation: &WorkspaceConnector,
    specs: &[StreamSpec],
) -> Vec<Result<StreamPlan, RunFailure>> {
    let schemas = &activation.output_schemas;
    let shown = |it: &&StreamSpec| schemas.is_empty() || is_in(schemas, it.name.as_str());
    let shown: Vec<&StreamSpec> = specs.iter().filter(shown).collect();
    if run.streams.is_empty() {
        return shown.iter().map(|it| plan(run, activation, it)).collect();
    }
    let mut names: Vec<&StreamName> = Vec::new();
    for name in &run.streams {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let named = names.into_iter().map(|name| {
        let spec = shown.iter().find(|it| it.name == *name);
        let spec = spec.ok_or_else(|| RunFailure::NoStream(name.clone()))?;
        plan(run, activation, spec)
    });
    named.collect()
}

/// Streams of a database are called `schema.table`.
fn is_in(schemas: &[String], stream: &str) -> bool {
    stream.split_once('.').is_none_or(|(schema, _)| schemas.iter().any(|it| it == schema))
}

fn plan(
    run: &SyncLog,
    activation: &WorkspaceConnector,
    spec: &StreamSpec,
) -> Result<StreamPlan, RunFailure> {
    let settings = activation.stream_settings(&spec.name);
    let own_key = settings.map(|it| &it.primary_key).filter(|it| !it.is_empty());
    let primary_key = own_key.unwrap_or(&spec.primary_key).clone();
    if let Some(absent) = primary_key.iter().find(|it| spec.field(it).is_none()) {
        return Err(unfit(spec, "primary_key", format!("names {absent}, which is no column of it")));
    }
    let reading = match run.mode {
        SyncMode::Full => Reading::Full,
        SyncMode::Incremental => reading(run, settings, spec)?,
    };
    Ok(StreamPlan { stream: spec.name.clone(), primary_key, reading })
}

/// An incremental run reads what is new where that can be told. Elsewhere it reads all, unless the stream was named.
fn reading(
    run: &SyncLog,
    settings: Option<&StreamSettings>,
    spec: &StreamSpec,
) -> Result<Reading, RunFailure> {
    let is_named = !run.streams.is_empty() || settings.is_some_and(|it| it.stream.is_some());
    let cursor = settings.and_then(|it| Some((it, it.cursor_column.as_ref()?)));
    let Some((settings, column)) = cursor else {
        return if run.streams.is_empty() {
            Ok(Reading::Full)
        } else {
            Err(RunFailure::NoCursor(spec.name.clone()))
        };
    };
    let Some(field) = spec.field(column).filter(|_| spec.supports_incremental) else {
        let reason = if spec.supports_incremental {
            format!("names {column}, which is no column of it")
        } else {
            "is of no use: the system cannot tell what is new; sync in full".to_owned()
        };
        return if is_named {
            Err(unfit(spec, "cursor_column", reason))
        } else {
            Ok(Reading::Full)
        };
    };
    let Some(cursor_type) = settings.cursor_type.or_else(|| natural(field.kind)) else {
        let reason = format!("is needed: the column holds {}", field.kind);
        return Err(unfit(spec, "cursor_type", reason));
    };
    let first = settings.cursor_after.as_ref().map(|it| Cursor::parse(cursor_type, it));
    let first = first.transpose();
    let first = first.map_err(|error| unfit(spec, "cursor_after", format!("does not fit: {error}")))?;
    let cursor = CursorSpec { column: column.clone(), cursor_type };
    Ok(Reading::Incremental { cursor, first })
}

/// How the values of a column compare when nobody says.
const fn natural(kind: FieldKind) -> Option<CursorType> {
    match kind {
        FieldKind::Integer => Some(CursorType::Int),
        FieldKind::Timestamp | FieldKind::Date => Some(CursorType::Timestamp),
        FieldKind::Text | FieldKind::Uuid => Some(CursorType::Text),
        FieldKind::Boolean
        | FieldKind::Number
        | FieldKind::Decimal
        | FieldKind::Time
        | FieldKind::Binary
        | FieldKind::Json => None,
    }
}

fn unfit(spec: &StreamSpec, field: &'static str, reason: String) -> RunFailure {
    RunFailure::Settings { stream: spec.name.clone(), field, reason }
}
