//! Uploaded files: what of them is kept beside their bytes.

use std::{fmt, fmt::Write};

use time::OffsetDateTime;

use crate::{Attribute, FileId, FileName, Resource, ResourceType, Revision, Visible, WorkspaceId};

/// A file that somebody uploaded into a workspace. Its bytes never change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UploadedFile {
    /// Stable public identifier.
    pub id: FileId,
    /// How often it was written.
    pub revision: Revision,
    /// Whose connectors may read it.
    pub workspace_id: WorkspaceId,
    /// What it is called. Several may be called the same.
    pub name: FileName,
    /// How many bytes it has.
    pub bytes: u64,
    /// What its bytes add up to.
    pub sha256: ContentHash,
    /// When it was uploaded.
    pub created_at: OffsetDateTime,
    /// When it was last written.
    pub updated_at: OffsetDateTime,
    /// When it was deleted, and its bytes with it.
    pub deleted_at: Option<OffsetDateTime>,
}

impl UploadedFile {
    /// Where it lies among the files of its workspace: what a connector's settings name it by.
    pub fn path(&self) -> String {
        format!("{}/{}", self.id, self.name)
    }
}

/// SHA-256 of the bytes of a file, in hexadecimal.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ContentHash(String);

impl ContentHash {
    /// Of bytes with this digest.
    pub fn of_digest(digest: [u8; 32]) -> Self {
        Self(digest.iter().fold(String::with_capacity(64), |mut hex, byte| {
            // Writing to a string cannot fail.
            let _ = write!(hex, "{byte:02x}");
            hex
        }))
    }

    /// Takes a hash back from storage.
    pub const fn from_stored(hash: String) -> Self {
        Self(hash)
    }

    /// The 64 digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Resource for UploadedFile {
    type Id = FileId;
    type Tenancy = Visible;
    const TYPE: ResourceType = ResourceType::File;
    const ATTRIBUTES: &'static [Attribute] = &[
        Attribute::id("file_id"),
        Attribute::id("workspace_id"),
        Attribute::text("name"),
        Attribute::number("bytes"),
        Attribute::text("sha256"),
        Attribute::date("created_at"),
        Attribute::date("updated_at"),
        Attribute::date("deleted_at"),
    ];

    fn id(&self) -> FileId {
        self.id
    }

    fn revision(&self) -> Revision {
        self.revision
    }
}
