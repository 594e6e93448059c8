//! What a run is going to read, and how.

use linkspan_domain::{
    Condition, Cursor, CursorType, Retention, SchemaPolicy, StreamMemory, StreamName,
    StreamSettings, StreamSpec, StreamState, SyncMode, WorkspaceConnector,
};
use linkspan_sdk::{BatchLimits, CursorSpec, Failure, ReadMode, ReadRequest};

use crate::{SyncError, notes::Notes, prepare::StreamFilter, shape::Shape};

/// One stream that a run is going to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamPlan {
    /// Which.
    pub name: StreamName,
    /// The columns that name a record. Empty: its content does.
    pub primary_key: Vec<String>,
    /// What is new, if it is not read in full.
    pub cursor: Option<CursorPlan>,
    /// What must hold of its records.
    pub filter: StreamFilter,
    /// What becomes of it if its schema is not what it was.
    pub policy: SchemaPolicy,
    /// What becomes of records that a full load does not meet.
    pub retention: Retention,
    /// What to remember of it.
    pub(crate) memory: StreamMemory,
    /// What its records are held to.
    pub(crate) shape: Option<Shape>,
    /// Whether the settings name the key, and not the source: of several records with one key the last counts then.
    pub(crate) has_own_key: bool,
}

/// How to tell what is new.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CursorPlan {
    /// The column to compare, and how.
    pub spec: CursorSpec,
    /// Where the first run begins, as the settings have it.
    pub start: Option<Cursor>,
    /// How far before its mark a run begins.
    pub lag: u64,
}

/// A stream that a run was asked for, and how to read it, if its settings fit it.
pub type Planned = (StreamName, Result<StreamPlan, SyncError>);

/// Plans a run of `activation` in `mode` over the streams called `asked`, or all, of those that it has and may show.
///
/// Settings that do not fit a stream stand in the way of that stream alone.
pub fn plan(
    activation: &WorkspaceConnector,
    mode: SyncMode,
    asked: &[StreamName],
    specs: &[StreamSpec],
) -> Result<Vec<Planned>, SyncError> {
    let specs = specs.iter().filter(|it| activation.shows(it.name.as_str()));
    let missing = |name: &&StreamName| !specs.clone().any(|it| it.name == **name);
    if let Some(name) = asked.iter().find(missing) {
        return Err(SyncError::StreamNotFound(name.clone()));
    }
    let planned = |spec: &StreamSpec| {
        (spec.name.clone(), stream(activation.stream_settings(&spec.name), mode, spec))
    };
    Ok(specs.filter(|it| asked.is_empty() || asked.contains(&it.name)).map(planned).collect())
}

fn stream(
    settings: Option<&StreamSettings>,
    mode: SyncMode,
    spec: &StreamSpec,
) -> Result<StreamPlan, SyncError> {
    let own_key = settings.map(|it| &it.primary_key).filter(|it| !it.is_empty());
    let primary_key = own_key.unwrap_or(&spec.primary_key).clone();
    if let Some(column) = primary_key.iter().find(|it| spec.field(it).is_none()) {
        return Err(SyncError::ColumnNotFound {
            stream: spec.name.clone(),
            column: column.clone(),
            setting: "primary_key",
        });
    }
    let cursor = match mode {
        SyncMode::Full => None,
        SyncMode::Incremental => Some(cursor(settings, spec)?),
    };
    let memory = StreamMemory {
        fields: spec.fields.clone(),
        primary_key: primary_key.clone(),
        filter: None,
        place: None,
    };
    Ok(StreamPlan {
        name: spec.name.clone(),
        primary_key,
        cursor,
        filter: StreamFilter::default(),
        policy: settings.map(|it| it.schema_policy).unwrap_or_default(),
        retention: settings.map(StreamSettings::retention).unwrap_or_default(),
        memory,
        shape: None,
        has_own_key: own_key.is_some(),
    })
}

fn cursor(settings: Option<&StreamSettings>, spec: &StreamSpec) -> Result<CursorPlan, SyncError> {
    let required = || SyncError::CursorRequired(spec.name.clone());
    let settings = settings.ok_or_else(required)?;
    let column = settings.cursor_column.clone().ok_or_else(required)?;
    let Some(field) = spec.field(&column) else {
        return Err(SyncError::ColumnNotFound {
            stream: spec.name.clone(),
            column,
            setting: "cursor_column",
        });
    };
    if !spec.supports_incremental {
        let doing = format!("read the stream `{}` from a cursor on; sync in full", spec.name);
        return Err(SyncError::Source(Failure::Unsupported(doing)));
    }
    let cursor_type = settings.cursor_type.unwrap_or_else(|| CursorType::likely(field.kind));
    let start = settings.cursor_after.as_deref().map(|it| Cursor::parse(cursor_type, it));
    let start = start
        .transpose()
        .map_err(|source| SyncError::InvalidCursor { stream: spec.name.clone(), source })?;
    let lag = settings.lag.unwrap_or_default();
    if lag > 0 && cursor_type == CursorType::Text {
        return Err(SyncError::UselessLag(spec.name.clone()));
    }
    Ok(CursorPlan { spec: CursorSpec { column, cursor_type }, start, lag })
}

impl StreamPlan {
    /// The plan of a full load of the stream of `spec`, of which `filter` holds what it has to, given what is remembered of it.
    pub fn full(
        activation: &WorkspaceConnector,
        spec: &StreamSpec,
        filter: &Condition,
        state: Option<&StreamState>,
    ) -> Result<Self, SyncError> {
        let plan = stream(activation.stream_settings(&spec.name), SyncMode::Full, spec)?;
        let mut plan = plan.filtered_by(filter)?;
        plan.prepare(state, &mut Notes::default())?;
        Ok(plan)
    }

    /// Whether the source may take over parts of the filter in a full load. Not where it may have several records with one
    /// key, all of which have to arrive to tell the last, nor where values are made to fit before they are compared.
    pub const fn leaves_filtering(&self) -> bool {
        !self.has_own_key && self.shape.is_none()
    }

    /// What to load.
    pub(crate) const fn mode(&self) -> SyncMode {
        if self.cursor.is_some() { SyncMode::Incremental } else { SyncMode::Full }
    }

    /// What to ask the source for, given what is remembered of the stream and which parts of the filter it takes over.
    ///
    /// A mark of another column says nothing, nor does one of another type: then the read begins where the settings say.
    pub(crate) fn request(
        &self,
        state: Option<&StreamState>,
        filter: Vec<Condition>,
        batch: BatchLimits,
    ) -> ReadRequest {
        let mode = match &self.cursor {
            None => ReadMode::Full,
            Some(CursorPlan { spec, start, lag }) => {
                let mark = self.mark(state).map(|it| it.back(*lag));
                let after = mark.or_else(|| start.clone());
                ReadMode::Incremental { cursor: spec.clone(), after }
            }
        };
        ReadRequest { stream: self.name.clone(), mode, filter, batch }
    }

    /// How far earlier runs came, if that says anything about this one.
    pub(crate) fn mark(&self, state: Option<&StreamState>) -> Option<Cursor> {
        let spec = &self.cursor.as_ref()?.spec;
        let state = state.filter(|it| it.cursor_column.as_ref() == Some(&spec.column))?;
        Cursor::parse(spec.cursor_type, state.cursor_after.as_deref()?).ok()
    }
}
