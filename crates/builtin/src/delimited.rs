//! Tables in text files: comma-separated values and their kin.
//!
//! A file is gone through twice. The first pass finds the columns, what each of them holds in every
//! row, and where batches begin and end; the second decodes. So types never change half-way, and a
//! file with a broken row fails before any of its records is passed on.

mod dialect;
mod infer;
mod memory;
mod read;
mod scan;

use std::sync::Arc;

use linkspan_domain::{FieldKind, StreamField, StreamName, StreamSpec};
use linkspan_sdk::{BatchLimits, BatchSink, CheckOutcome, Failure, ReadRequest};
use tokio::{fs::File, io::AsyncSeekExt};

use self::scan::{Column, Layout};
pub(crate) use self::{
    dialect::{Dialect, Format},
    infer::Seen,
    memory::{FileState, LastLayout},
    scan::{Row, Rows, names},
};
use crate::format::{found, text::Text};

/// A file with one table in it.
pub(crate) struct Table {
    /// The name of its stream.
    pub(crate) name: StreamName,
    /// The file, compressed or not.
    pub(crate) file: File,
    /// How many bytes of text it may have.
    pub(crate) limit: u64,
    dialect: Dialect,
    primary_key: Vec<String>,
    /// Where its layout is kept as long as it stays in this state.
    memory: Option<(Arc<LastLayout>, FileState)>,
}

/// The batches of a file of which only the columns were asked for: no larger than any reader wants them.
const BATCH: BatchLimits = BatchLimits { rows: 2_500, bytes: 2 * 1024 * 1024 };

impl Table {
    /// The table in `file`, written as `format` says.
    pub(crate) fn new(
        name: StreamName,
        file: File,
        limit: u64,
        format: &Format,
    ) -> Result<Self, Failure> {
        let primary_key = format.primary_key.clone();
        Ok(Self { name, file, limit, dialect: format.dialect()?, primary_key, memory: None })
    }

    /// It, which need not be looked through again as long as the file is in `state`.
    pub(crate) fn remembered_by(mut self, last: Arc<LastLayout>, state: Option<FileState>) -> Self {
        self.memory = state.map(|state| (last, state));
        self
    }

    /// Looks at the names of the columns, at the beginning of the file alone.
    pub(crate) async fn check(&mut self) -> Result<CheckOutcome, Failure> {
        let dialect = self.dialect.clone();
        let columns = scan::header(self.text().await?, &dialect).await?;
        Ok(found(&self.name, columns.len()))
    }

    /// What the table offers as a stream.
    pub(crate) async fn spec(&mut self) -> Result<StreamSpec, Failure> {
        let layout = self.layout(BATCH).await?;
        self.spec_of(&layout.columns)
    }

    /// Reads what `request` asks for into `out`.
    pub(crate) async fn read(
        mut self,
        request: ReadRequest,
        out: &mut BatchSink,
    ) -> Result<(), Failure> {
        if request.stream != self.name {
            return Err(Failure::NotFound(format!("stream `{}`", request.stream)));
        }
        let layout = self.layout(request.batch).await?;
        let spec = self.spec_of(&layout.columns)?;
        read::read(&mut self, &layout, &spec, request.mode, out).await
    }

    async fn layout(&mut self, limits: BatchLimits) -> Result<Arc<Layout>, Failure> {
        let dialect = self.dialect.clone();
        let known = self.memory.as_ref().and_then(|(last, it)| last.of(it, &dialect, limits));
        if let Some(known) = known {
            return Ok(known);
        }
        let layout = Arc::new(scan::layout(self.text().await?, &dialect, limits).await?);
        if let Some((last, state)) = &self.memory {
            last.keep(state.clone(), dialect, Arc::clone(&layout));
        }
        Ok(layout)
    }

    /// The text of the file, from its beginning.
    async fn text(&mut self) -> Result<Text<'_>, Failure> {
        let what = self.what();
        self.file.rewind().await.map_err(|error| Failure::unavailable(what.clone(), error))?;
        Text::open(&mut self.file, what, self.limit).await
    }

    fn spec_of(&self, columns: &[Column]) -> Result<StreamSpec, Failure> {
        let fields: Vec<_> = columns.iter().map(Column::field).collect();
        if self.primary_key.iter().any(|key| fields.iter().all(|it| it.name != *key)) {
            return Err(Failure::setting("primary_key", "names a column that the file lacks"));
        }
        Ok(StreamSpec {
            name: self.name.clone(),
            cursor_candidates: cursor_candidates(&fields),
            primary_key: self.primary_key.clone(),
            supports_incremental: true,
            fields,
        })
    }

    /// What messages call the file.
    fn what(&self) -> String {
        format!("the file `{}`", self.name)
    }
}

impl Column {
    fn field(&self) -> StreamField {
        StreamField { name: self.name.clone(), kind: self.kind, nullable: true }
    }
}

/// Points in time first, those of changes before others; then days; then whole numbers.
fn cursor_candidates(fields: &[StreamField]) -> Vec<String> {
    let rank = |field: &StreamField| {
        let name = field.name.to_lowercase();
        let of_changes = ["updat", "modif", "chang"].iter().any(|it| name.contains(it));
        match field.kind {
            FieldKind::Timestamp if of_changes => Some(0),
            FieldKind::Timestamp => Some(1),
            FieldKind::Date => Some(2),
            FieldKind::Integer => Some(3),
            _ => None,
        }
    };
    let mut ranked: Vec<_> =
        fields.iter().filter_map(|it| Some((rank(it)?, it.name.clone()))).collect();
    ranked.sort_by_key(|(rank, _)| *rank);
    ranked.into_iter().map(|(_, name)| name).collect()
}

/// The name of the stream in a file: what comes before the endings of `file_name`.
pub(crate) fn stream_name(file_name: &str) -> Result<StreamName, Failure> {
    let name = file_name.strip_suffix(".gz").unwrap_or(file_name);
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    let stem = if stem.is_empty() { name } else { stem };
    stem.parse()
        .map_err(|_| Failure::Refused("the name of the file cannot name a stream".to_owned()))
}
