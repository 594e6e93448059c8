//! Parquet files in a folder that the operator opened for writing.

use std::{
    fs::Permissions,
    io::{self, ErrorKind},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use futures_util::{FutureExt, future::BoxFuture};
use linkspan_domain::{Category, StreamName, WorkspaceConnectorId};
use linkspan_sdk::{
    CheckOutcome, ConnectorType, Cx, Failure, Intake, Sink, SinkEntry, WriteMode, WriteRequest,
    sink,
};
use parquet::{arrow::async_writer::AsyncFileWriter, errors::ParquetError};
use schemars::JsonSchema;
use semver::Version;
use serde::Deserialize;
use tempfile::{Builder, NamedTempFile};
use tokio::{
    fs::{self, File},
    io::AsyncWriteExt,
};
use uuid::Uuid;

use crate::format::{Journal, Part, write_parquet};

pub(crate) struct Parquet;

impl ConnectorType for Parquet {
    const KEY: &'static str = "parquet";
    const TITLE: &'static str = "Parquet files";
    const VERSION: Version = Version::new(1, 0, 0);
    const CATEGORY: Category = Category::File;
    const TAGS: &'static [&'static str] = &["file", "folder", "destination"];
    const DOCS_URL: Option<&'static str> = Some("https://parquet.apache.org/docs/");
    type Settings = Settings;
    type Shared = ();

    fn sink() -> Option<SinkEntry<Self>> {
        Some(sink::<Self>())
    }

    async fn check(cx: &Cx<Self>) -> Result<CheckOutcome, Failure> {
        let folder = Folder::of(cx).await?;
        drop(folder.draft()?);
        Ok(CheckOutcome::ok("the folder can be written to"))
    }
}

/// Writes streams as Parquet files into a folder.
///
/// Each stream becomes one file that is called after it, and takes the place of what was there when it is complete.
/// Decimals, UUIDs and JSON are columns of text; all else has the type of its column.
///
/// What activations push becomes files of changes, in a folder that is called after the stream: of the rows with one
/// `_linkspan_key`, the greatest `_linkspan_position` counts.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    /// The folder: one that the operator opened for writing, or one below it. It must exist.
    #[schemars(length(min = 1))]
    folder: String,
}

impl Sink for Parquet {
    const MODES: &'static [WriteMode] = &[WriteMode::Replace, WriteMode::Journal];

    fn accepts(stream: &StreamName) -> Result<(), Failure> {
        plain(stream).map(drop)
    }

    async fn write(
        cx: &Cx<Self>,
        request: WriteRequest,
        intake: &mut Intake,
    ) -> Result<(), Failure> {
        let stream = &request.stream;
        let name = plain(&stream.name)?;
        let folder = Folder::of(cx).await?;
        if request.mode == WriteMode::Journal {
            let mut journal = Journal::new(stream, intake)?;
            let folder = folder.below(cx, name).await?;
            let writer = request.push.as_ref().map(|it| it.activation);
            journal.opened(folder.identity(writer).await?);
            while let Some(Part { name, bytes }) = journal.next().await? {
                let mut draft = folder.draft()?;
                draft.add(&bytes).await?;
                draft.keep(&name).await?;
                journal.confirm();
            }
            return Ok(());
        }
        let (draft, written) = write_parquet(stream, intake, folder.draft()?).await?;
        written?;
        draft.keep(&format!("{name}.parquet")).await
    }
}

/// A folder that is written to.
struct Folder<'s> {
    path: PathBuf,
    /// What the settings call it, or the one that it is in.
    called: &'s str,
}

impl<'s> Folder<'s> {
    async fn of(cx: &'s Cx<Parquet>) -> Result<Self, Failure> {
        let called = cx.settings.folder.as_str();
        Ok(Self { path: cx.files.folder(called).await?, called })
    }

    /// The folder of a stream of changes in this one, without what pushes that broke off left in it.
    async fn below(&self, cx: &Cx<Parquet>, name: &str) -> Result<Self, Failure> {
        let unwritable = |it| self.unwritable(it);
        let place = Path::new(self.called).join(name);
        match cx.files.folder(&place.to_string_lossy()).await {
            Err(Failure::NotFound(_)) => {
                fs::create_dir(self.path.join(name)).await.map_err(unwritable)?;
            }
            found => drop(found?),
        }
        let path = cx.files.folder(&place.to_string_lossy()).await?;
        let mut entries = fs::read_dir(&path).await.map_err(unwritable)?;
        while let Some(entry) = entries.next_entry().await.map_err(unwritable)? {
            if entry.file_name().to_string_lossy().starts_with(UNFINISHED) {
                // Who is still at it, if anybody is, finds it gone and begins again as far as the run is theirs.
                fs::remove_file(entry.path()).await.map_err(unwritable)?;
            }
        }
        Ok(Self { path, called: self.called })
    }

    /// What tells it from one that takes its place: a file in it says so, and who writes there. Changes of two activations
    /// would be taken for changes of one stream.
    async fn identity(&self, writer: Option<WorkspaceConnectorId>) -> Result<String, Failure> {
        let writer = writer.map(|it| it.to_string()).unwrap_or_default();
        match fs::read_to_string(self.path.join(IDENTITY)).await {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(self.unwritable(error)),
            Ok(identity) if identity.lines().nth(1) == Some(&writer) => return Ok(identity),
            Ok(_) => {
                return Err(Failure::setting(
                    "folder",
                    "has the changes of another activation below it; choose another folder or another name for the stream",
                ));
            }
        }
        let mut draft = self.draft()?;
        let identity = format!("{}\n{writer}", Uuid::new_v4());
        draft.add(identity.as_bytes()).await?;
        draft.keep(IDENTITY).await?;
        Ok(identity)
    }

    /// A new file beside those that are complete.
    fn draft(&self) -> Result<Draft<'_>, Failure> {
        let unwritable = |it| self.unwritable(it);
        // As any file: temporary ones are for their owner alone.
        let mut builder = Builder::new();
        builder.prefix(UNFINISHED).permissions(Permissions::from_mode(0o644));
        let temporary = builder.tempfile_in(&self.path).map_err(unwritable)?;
        let file = File::from_std(temporary.reopen().map_err(unwritable)?);
        Ok(Draft { folder: self, temporary, file })
    }

    fn unwritable(&self, error: io::Error) -> Failure {
        let folder = format!("the folder `{}`", self.called);
        match error.kind() {
            ErrorKind::PermissionDenied => Failure::Refused(format!(
                "{folder} may not be written to; ask an operator for the permission"
            )),
            _ => Failure::unavailable(folder, error),
        }
    }
}

/// What the file is called that tells a folder from others.
const IDENTITY: &str = ".linkspan";

/// What the names of files begin with that are not complete.
const UNFINISHED: &str = ".linkspan-";

/// A file that is not complete. Unless it is kept, it is gone when it is dropped.
struct Draft<'f> {
    folder: &'f Folder<'f>,
    temporary: NamedTempFile,
    file: File,
}

impl Draft<'_> {
    async fn add(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.file.write_all(bytes).await.map_err(|it| self.folder.unwritable(it))
    }

    /// Puts it to its place when it is complete, for good.
    async fn keep(self, name: &str) -> Result<(), Failure> {
        let Self { folder, temporary, file } = self;
        let unwritable = |it| folder.unwritable(it);
        file.sync_all().await.map_err(unwritable)?;
        temporary.persist(folder.path.join(name)).map_err(|error| unwritable(error.error))?;
        // Where the name is kept.
        let names = File::open(&folder.path).await.map_err(unwritable)?;
        names.sync_all().await.map_err(unwritable)
    }
}

/// Unlike a file alone, it says in its failures where it is.
impl AsyncFileWriter for Draft<'_> {
    fn write(&mut self, bytes: Bytes) -> BoxFuture<'_, Result<(), ParquetError>> {
        async move { self.add(&bytes).await.map_err(outside) }.boxed()
    }

    fn complete(&mut self) -> BoxFuture<'_, Result<(), ParquetError>> {
        async move {
            let flushed = self.file.flush().await;
            flushed.map_err(|it| outside(self.folder.unwritable(it)))
        }
        .boxed()
    }
}

fn outside(failure: Failure) -> ParquetError {
    ParquetError::External(Box::new(failure))
}

/// The longest name that file systems take, less what is added to it.
const LENGTH: usize = 240;

/// The name of the stream, if it is one for a file too, and leads to no other folder.
fn plain(stream: &StreamName) -> Result<&str, Failure> {
    let name = stream.as_str();
    if name.contains(['/', '\\']) || name.starts_with('.') || name.len() > LENGTH {
        let reason = "cannot name a file; write it under another name";
        return Err(Failure::stream(stream, "name", reason));
    }
    Ok(name)
}

#[cfg(test)]
mod tests;
