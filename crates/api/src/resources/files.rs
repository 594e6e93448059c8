//! `/v1/files`: uploaded files, for connectors to read.

use linkspan_app::Records;
use linkspan_domain::{Attribute, FileId, FileName, Resource, Revision, UploadedFile, WorkspaceId};
use poem_openapi::OpenApi;
use time::OffsetDateTime;

use super::Tag;
use crate::{
    App,
    answer::{Collection, Document, Gone},
    include::Found,
    problem::Failure,
    request::{Deleting, Listing, Reading, Uploading},
    resource::{Kept, Key, Related, Relationship, Shown, attributes, instant, maybe_instant},
};

/// The operations.
#[derive(Default)]
pub(crate) struct Files;

#[OpenApi(prefix_path = "/v1/files", tag = "Tag::Activations")]
impl Files {
    /// List files
    #[oai(path = "/", method = "get", operation_id = "list_files")]
    async fn list(
        &self,
        request: Listing<UploadedFile>,
    ) -> Result<Collection<UploadedFile>, Failure> {
        request.answer().await
    }

    /// Get a file
    ///
    /// All about it but its bytes.
    #[oai(path = "/:id", method = "get", operation_id = "get_file")]
    async fn get(&self, request: Reading<UploadedFile>) -> Result<Document<UploadedFile>, Failure> {
        request.answer().await
    }

    /// Upload a file
    ///
    /// The body is the file itself, and `name` says what it is called. Connectors of the workspace read it by the
    /// attribute `path` of the answer. It has 200 MB at most, unless the operator sets another limit.
    #[oai(path = "/", method = "post", operation_id = "upload_file")]
    async fn upload(
        &self,
        request: Uploading<Document<UploadedFile, 201>>,
    ) -> Result<Document<UploadedFile, 201>, Failure> {
        let Uploading { call, context, name, received, view, .. } = request;
        let made = context.app.files.create(&call, name, received).await?;
        Document::of(&context, &call.caller, &view, &made).await
    }

    /// Delete a file
    ///
    /// Its bytes are gone for good. What still reads it says that it is not there.
    #[oai(path = "/:id", method = "delete", operation_id = "delete_file")]
    async fn delete(&self, request: Deleting<UploadedFile>) -> Result<Gone, Failure> {
        let Deleting { call, context, id, expected } = request;
        context.app.files.delete(&call, id, expected).await?;
        Ok(Gone)
    }
}

attributes! { UploadedFile, |it| {
    /// The same as `id`.
    file_id: FileId = it.id;
    /// The workspace whose connectors may read it.
    workspace_id: WorkspaceId = it.workspace_id;
    /// What it is called. Several may be called the same.
    name: FileName = &it.name;
    /// What the setting `path` of a connector names it by.
    path: String = it.path();
    /// How many bytes it has.
    bytes: u64 = it.bytes;
    /// The SHA-256 of its bytes, in hexadecimal.
    sha256: String = it.sha256.as_str();
    /// When it was uploaded.
    created_at: OffsetDateTime = instant(it.created_at);
    /// When it was last written.
    updated_at: OffsetDateTime = instant(it.updated_at);
    /// When it was deleted, and its bytes with it.
    deleted_at: Option<OffsetDateTime> = maybe_instant(it.deleted_at);
} }

impl Shown for UploadedFile {
    const TYPE: &'static str = "file";
    const NAME: &'static str = "File";
    const PATH: Option<&'static str> = Some("/v1/files");
    const RELATIONSHIPS: &'static [Relationship] = &[Relationship::one("workspace", "workspace")];
    const LISTED: &'static [Attribute] = <Self as Resource>::ATTRIBUTES;

    fn key(&self) -> Key {
        Key::of(self.id)
    }

    fn revision(&self) -> Revision {
        self.revision
    }

    fn related(&self, _: &str, _: &Found) -> Related {
        Related::one(self.workspace_id)
    }
}

impl Kept for UploadedFile {
    fn records(app: &App) -> &Records<Self> {
        app.files.records()
    }
}
