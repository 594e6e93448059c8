//! Parquet files in a folder that the operator opened for writing.

use std::{
    fs::Permissions,
    io::ErrorKind,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use linkspan_domain::{Category, StreamName, WorkspaceConnectorId};
use linkspan_sdk::{
    CheckOutcome, ConnectorType, Cx, Failure, Intake, Sink, SinkEntry, WriteMode, WriteRequest,
    sink,
};
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
        let folder = cx.files.folder(&cx.settings.folder).await?;
        temporary(&folder).map_err(|it| cx.settings.named(it))?;
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
        let written = write(cx, request, intake).await;
        written.map_err(|it| cx.settings.named(it))
    }
}

impl Settings {
    /// The same failure, which names the folder as the person did.
    fn named(&self, failure: Failure) -> Failure {
        let folder = format!("{FOLDER} `{}`", self.folder);
        match failure {
            Failure::Unavailable { system, source } if system == FOLDER => {
                Failure::Unavailable { system: folder, source }
            }
            Failure::Refused(why) if why == FORBIDDEN => {
                Failure::Refused(why.replacen(FOLDER, &folder, 1))
            }
            other => other,
        }
    }
}

async fn write(
    cx: &Cx<Parquet>,
    request: WriteRequest,
    intake: &mut Intake,
) -> Result<(), Failure> {
    let stream = &request.stream;
    let name = plain(&stream.name)?;
    let folder = cx.files.folder(&cx.settings.folder).await?;
    if request.mode == WriteMode::Journal {
        let mut journal = Journal::new(stream, intake)?;
        let folder = own_folder(cx, name).await?;
        let writer = request.push.as_ref().map(|it| it.activation);
        journal.opened(identity(&folder, writer).await?);
        while let Some(Part { name, bytes }) = journal.next().await? {
            let (temporary, mut file) = temporary(&folder)?;
            file.write_all(&bytes).await.map_err(unwritable)?;
            keep(temporary, &file, &folder.join(name)).await?;
            journal.confirm();
        }
        return Ok(());
    }
    let (temporary, file) = temporary(&folder)?;
    let (file, written) = write_parquet(stream, intake, file).await?;
    written?;
    keep(temporary, &file, &folder.join(format!("{name}.parquet"))).await
}

/// The folder of a stream of changes, without what pushes that broke off left in it.
async fn own_folder(cx: &Cx<Parquet>, name: &str) -> Result<PathBuf, Failure> {
    let path = Path::new(&cx.settings.folder).join(name);
    match cx.files.folder(&path.to_string_lossy()).await {
        Err(Failure::NotFound(_)) => {
            let parent = cx.files.folder(&cx.settings.folder).await?;
            fs::create_dir(parent.join(name)).await.map_err(unwritable)?;
        }
        found => drop(found?),
    }
    let folder = cx.files.folder(&path.to_string_lossy()).await?;
    let mut entries = fs::read_dir(&folder).await.map_err(unwritable)?;
    while let Some(entry) = entries.next_entry().await.map_err(unwritable)? {
        if entry.file_name().to_string_lossy().starts_with(UNFINISHED) {
            // Who is still at it, if anybody is, finds it gone and begins again as far as the run is theirs.
            fs::remove_file(entry.path()).await.map_err(unwritable)?;
        }
    }
    Ok(folder)
}

/// What tells `folder` from one that takes its place: a file in it says so, and who writes there. Changes of two activations
/// would be taken for changes of one stream.
async fn identity(folder: &Path, writer: Option<WorkspaceConnectorId>) -> Result<String, Failure> {
    let place = folder.join(IDENTITY);
    let writer = writer.map(|it| it.to_string()).unwrap_or_default();
    match fs::read_to_string(&place).await {
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(unwritable(error)),
        Ok(identity) if identity.lines().nth(1) == Some(&writer) => return Ok(identity),
        Ok(_) => {
            return Err(Failure::setting(
                "folder",
                "has the changes of another activation below it; choose another folder or another name for the stream",
            ));
        }
    }
    let (temporary, mut file) = temporary(folder)?;
    let identity = format!("{}\n{writer}", Uuid::new_v4());
    file.write_all(identity.as_bytes()).await.map_err(unwritable)?;
    keep(temporary, &file, &place).await?;
    Ok(identity)
}

/// What the file is called that tells a folder from others.
const IDENTITY: &str = ".linkspan";

/// What the names of files begin with that are not complete.
const UNFINISHED: &str = ".linkspan-";

/// A file beside those that are complete. Unless it is kept, it is gone when it is dropped.
fn temporary(folder: &Path) -> Result<(NamedTempFile, File), Failure> {
    // As any file: temporary ones are for their owner alone.
    let mut builder = Builder::new();
    builder.prefix(UNFINISHED).permissions(Permissions::from_mode(0o644));
    let temporary = builder.tempfile_in(folder).map_err(unwritable)?;
    let file = temporary.reopen().map_err(unwritable)?;
    Ok((temporary, File::from_std(file)))
}

/// Puts a complete file to its place, for good.
async fn keep(temporary: NamedTempFile, file: &File, place: &Path) -> Result<(), Failure> {
    file.sync_all().await.map_err(unwritable)?;
    temporary.persist(place).map_err(|error| unwritable(error.error))?;
    let Some(folder) = place.parent() else { return Ok(()) };
    // Where the name is kept.
    let folder = File::open(folder).await.map_err(unwritable)?;
    folder.sync_all().await.map_err(unwritable)
}

fn unwritable(error: std::io::Error) -> Failure {
    match error.kind() {
        ErrorKind::PermissionDenied => Failure::Refused(FORBIDDEN.to_owned()),
        _ => Failure::unavailable(FOLDER, error),
    }
}

/// What failures call the folder until it is [named](Settings::named).
const FOLDER: &str = "the folder";
const FORBIDDEN: &str = "the folder may not be written to; ask an operator for the permission";

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
