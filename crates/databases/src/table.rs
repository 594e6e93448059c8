//! Tables, as the catalogs of databases describe them: the same for every make.

use std::collections::BTreeSet;

use linkspan_domain::{FieldKind, StreamField, StreamSpec};
use linkspan_sdk::{CursorSpec, Discovered, Failure, LeftOut, Omission, Omitted};

use crate::identifier::Identifier;

/// A table, view or foreign table that the credentials may read. `W` says how the values of a column travel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Table<W> {
    pub(crate) schema: String,
    pub(crate) name: String,
    pub(crate) columns: Vec<Column<W>>,
    pub(crate) primary_key: Vec<String>,
}

/// The tables of a database.
pub(crate) struct Found<W> {
    pub(crate) tables: Vec<Table<W>>,
    /// The names of those that the credentials show, but may not read.
    pub(crate) unreadable: Vec<String>,
}

/// One column of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Column<W> {
    pub(crate) name: String,
    pub(crate) kind: FieldKind,
    pub(crate) wire: W,
    pub(crate) nullable: bool,
}

impl<W> Found<W> {
    /// These tables, as far as they can be read. `unreadable` are the schemas and names of those with columns that cannot.
    pub(crate) fn of(tables: Vec<Table<W>>, mut unreadable: BTreeSet<(String, String)>) -> Self {
        // Who may read some columns may read the table.
        for it in &tables {
            unreadable.remove(&(it.schema.clone(), it.name.clone()));
        }
        Self {
            tables: tables.into_iter().map(Table::with_whole_key).collect(),
            unreadable: unreadable
                .iter()
                .map(|(schema, name)| format!("{schema}.{name}"))
                .collect(),
        }
    }
}

impl<W> Table<W> {
    /// A key of which the credentials may not read every column is of no use.
    fn with_whole_key(mut self) -> Self {
        let columns = &self.columns;
        if !self.primary_key.iter().all(|key| columns.iter().any(|it| it.name == *key)) {
            self.primary_key.clear();
        }
        self
    }

    /// The name of its stream.
    pub(crate) fn stream(&self) -> String {
        format!("{}.{}", self.schema, self.name)
    }

    /// Why it is not read: what is said of it comes with the name of the stream.
    pub(crate) fn unread(&self, failure: Failure) -> Failure {
        let stream = self.stream();
        match failure {
            Failure::Refused(why) => {
                Failure::Refused(format!("the stream `{stream}` cannot be read: {why}"))
            }
            Failure::NotFound(what) => {
                Failure::NotFound(format!("{what} of the stream `{stream}`"))
            }
            Failure::Malformed { what, line, reason } => {
                let what = format!("{what} of the stream `{stream}`");
                Failure::Malformed { what, line, reason }
            }
            other => other,
        }
    }

    /// Whether its name can be that of a stream.
    fn is_stream(&self) -> bool {
        Identifier::guard("stream", &self.stream()).is_ok()
    }

    /// What it offers as a stream.
    pub(crate) fn spec(&self) -> Result<StreamSpec, Failure> {
        let name = self.stream().parse();
        let name = name.map_err(|_| {
            Failure::Refused("a table has a name that no stream can have".to_owned())
        })?;
        Ok(StreamSpec {
            name,
            fields: self.columns.iter().map(Column::field).collect(),
            primary_key: self.primary_key.clone(),
            cursor_candidates: self.cursor_candidates(),
            supports_incremental: true,
        })
    }

    /// The column that a read goes by, and its place.
    pub(crate) fn cursor_column(
        &self,
        cursor: &CursorSpec,
    ) -> Result<(usize, &Column<W>), Failure> {
        let mut columns = self.columns.iter().enumerate();
        columns.find(|(_, it)| it.name == cursor.column).ok_or_else(|| {
            Failure::stream(self.stream(), "cursor_column", "is no column of the table")
        })
    }

    /// Columns that often grow with each change, the likeliest first: what is called an update, other instants, then numeric keys.
    fn cursor_candidates(&self) -> Vec<String> {
        let rank = |it: &Column<W>| match it.kind {
            FieldKind::Timestamp if it.name.contains("updat") || it.name.contains("modif") => {
                Some(0)
            }
            FieldKind::Timestamp => Some(1),
            FieldKind::Integer if self.primary_key == [it.name.as_str()] => Some(2),
            _ => None,
        };
        let mut ranked: Vec<_> =
            self.columns.iter().filter_map(|it| Some((rank(it)?, it))).collect();
        ranked.sort_by_key(|(rank, _)| *rank);
        ranked.into_iter().map(|(_, it)| it.name.clone()).collect()
    }
}

/// What `found` offers. Tables that cannot be streams are named.
pub(crate) fn discovered<W>(found: Found<W>) -> Result<Discovered, Failure> {
    let Found { tables, unreadable } = found;
    let (streams, others): (Vec<_>, Vec<_>) = tables.iter().partition(|it| it.is_stream());
    let omitted = |reason| move |name| Omitted { name, reason };
    let odd = others.into_iter().map(Table::stream).map(omitted(Omission::CharactersInName));
    let unreadable = unreadable.into_iter().map(omitted(Omission::MissingPermission));
    Ok(Discovered {
        streams: streams.into_iter().map(Table::spec).collect::<Result<_, _>>()?,
        left_out: LeftOut(odd.chain(unreadable).collect()),
    })
}

/// The only one of the tables found under `name`.
pub(crate) fn only<W>(mut found: Vec<Table<W>>, name: &str) -> Result<Table<W>, Failure> {
    match (found.pop(), found.len()) {
        (Some(only), 0) => Ok(only),
        (None, _) => Err(Failure::NotFound(format!("the table `{name}`"))),
        (Some(_), _) => Err(Failure::Refused(format!(
            "two tables are called `{name}` when written with their schema; rename one of them"
        ))),
    }
}

impl<W> Column<W> {
    fn field(&self) -> StreamField {
        StreamField { name: self.name.clone(), kind: self.kind, nullable: self.nullable }
    }

    /// Says that `stream` cannot be read by cursors of the type that was asked for, as this is the column.
    pub(crate) fn unfit(&self, stream: &str) -> Failure {
        let reason = format!("does not fit the column, which holds {}", self.kind);
        Failure::stream(stream, "cursor_type", reason)
    }
}
