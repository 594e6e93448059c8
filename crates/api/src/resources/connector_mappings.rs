//! `/v1/connector-mappings`: what the records of streams become.

mod body;
mod shown;

use linkspan_app::{DryRunRows, SuggestedMapping};
use linkspan_domain::{ConnectorMapping, MappingVersion, UnmappedRecord, WorkspaceConnector};
use poem_openapi::OpenApi;

use self::body::{DryRunBody, MappingPatchBody, NewMappingBody, RevertBody, SuggestBody};
use super::Tag;
use crate::{
    answer::{Collection, Document, Gone, Passing},
    body::{Changed, Maybe, New, Plain},
    problem::Failure,
    request::{Acting, Asking, Changing, Creating, Deleting, Listing, Reading},
};

/// The operations.
#[derive(Default)]
pub(crate) struct ConnectorMappings;

/// The operations below activations.
#[derive(Default)]
pub(crate) struct Suggestions;

#[OpenApi(prefix_path = "/v1/connector-mappings", tag = "Tag::Activations")]
impl ConnectorMappings {
    /// List mappings
    #[oai(path = "/", method = "get", operation_id = "list_connector_mappings")]
    async fn list(
        &self,
        request: Listing<ConnectorMapping>,
    ) -> Result<Collection<ConnectorMapping>, Failure> {
        request.answer().await
    }

    /// Get a mapping
    #[oai(path = "/:id", method = "get", operation_id = "get_connector_mapping")]
    async fn get(
        &self,
        request: Reading<ConnectorMapping>,
    ) -> Result<Document<ConnectorMapping>, Failure> {
        request.answer().await
    }

    /// Create a mapping
    ///
    /// The expression is read, and tried on records of the stream when there are some: all that it makes of them has to fit the
    /// schema of the target model. A stream that has none, and that the system says it does not have, is refused. The next run maps
    /// all records of the stream.
    #[oai(path = "/", method = "post", operation_id = "create_connector_mapping")]
    async fn create(
        &self,
        request: Creating<New<NewMappingBody>, Document<ConnectorMapping, 201>>,
    ) -> Result<Document<ConnectorMapping, 201>, Failure> {
        let Creating { call, context, body: New(new), view, .. } = request;
        let made = context.app.mappings.create(&call, new.into()).await?;
        Document::of(&context, &call.caller, &view, &made).await
    }

    /// Change a mapping
    ///
    /// Another expression is another version, with which the next run maps all records of the stream anew. If it persists far
    /// fewer of them than the version before, that one comes back, unless `on_collapse` is `keep`.
    #[oai(path = "/:id", method = "patch", operation_id = "update_connector_mapping")]
    async fn update(
        &self,
        request: Changing<ConnectorMapping, Changed<MappingPatchBody>>,
    ) -> Result<Document<ConnectorMapping>, Failure> {
        let Changing { call, context, id, expected, body: Changed(patch), view } = request;
        let changed = context.app.mappings.update(&call, id, expected, patch.into()).await?;
        Document::of(&context, &call.caller, &view, &changed).await
    }

    /// Delete a mapping
    ///
    /// The entities that it made are withdrawn: soon after, they are deleted in every workspace that received them.
    #[oai(path = "/:id", method = "delete", operation_id = "delete_connector_mapping")]
    async fn delete(&self, request: Deleting<ConnectorMapping>) -> Result<Gone, Failure> {
        let Deleting { call, context, id, expected } = request;
        context.app.mappings.delete(&call, id, expected).await?;
        Ok(Gone)
    }

    /// Restore a mapping
    ///
    /// Brings it back after it was deleted.
    #[oai(path = "/:id/restore", method = "post", operation_id = "restore_connector_mapping")]
    async fn restore(
        &self,
        request: Acting<ConnectorMapping, Document<ConnectorMapping>>,
    ) -> Result<Document<ConnectorMapping>, Failure> {
        let Acting { call, context, id, expected, view, .. } = request;
        let restored = context.app.mappings.restore(&call, id, expected).await?;
        Document::of(&context, &call.caller, &view, &restored).await
    }

    /// Purge a mapping
    ///
    /// Removes it for good after it was deleted, with its versions.
    #[oai(path = "/:id/purge", method = "post", operation_id = "purge_connector_mapping")]
    async fn purge(&self, request: Acting<ConnectorMapping, Gone>) -> Result<Gone, Failure> {
        let Acting { call, context, id, expected, .. } = request;
        context.app.mappings.purge(&call, id, expected).await?;
        Ok(Gone)
    }

    /// Revert a mapping
    ///
    /// Gives it the expression of an earlier version back, as a new version.
    #[oai(path = "/:id/revert", method = "post", operation_id = "revert_connector_mapping")]
    async fn revert(
        &self,
        request: Acting<ConnectorMapping, Document<ConnectorMapping>, Plain<RevertBody>>,
    ) -> Result<Document<ConnectorMapping>, Failure> {
        let Acting { call, context, id, expected, body: Plain(body), view, .. } = request;
        let reverted = context.app.mappings.revert(&call, id, expected, body.version).await?;
        Document::of(&context, &call.caller, &view, &reverted).await
    }

    /// List the versions of a mapping
    ///
    /// The newest first, with what each did.
    #[oai(path = "/:id/versions", method = "get", operation_id = "list_connector_mapping_versions")]
    async fn versions(
        &self,
        request: Asking<MappingVersion>,
    ) -> Result<Collection<MappingVersion>, Failure> {
        let mappings = &request.context.app.mappings;
        let versions = mappings.versions(&request.call.caller, request.id()?).await?;
        Collection::whole(&versions, &request.path)
    }

    /// List the records that a mapping failed on
    ///
    /// The oldest 500. They keep the entities that they have, and are gone from here when they can be mapped.
    #[oai(path = "/:id/unmapped-records", method = "get", operation_id = "list_unmapped_records")]
    async fn unmapped(
        &self,
        request: Asking<UnmappedRecord>,
    ) -> Result<Collection<UnmappedRecord>, Failure> {
        let mappings = &request.context.app.mappings;
        let records = mappings.unmapped(&request.call.caller, request.id()?).await?;
        Collection::whole(&records, &request.path)
    }

    /// Try a mapping
    ///
    /// A mapping that is kept, or an expression for a target model, on records that are given or on up to 20 of the stream. Nothing
    /// is kept; that a record cannot be mapped is part of the answer.
    #[oai(path = "/dry-run", method = "post", operation_id = "try_connector_mapping")]
    async fn dry_run(
        &self,
        request: Creating<Plain<DryRunBody>, Passing<Document<DryRunRows>>>,
    ) -> Result<Passing<Document<DryRunRows>>, Failure> {
        let Creating { call, context, body: Plain(body), view, .. } = request;
        let rows = context.app.mappings.dry_run(&call, body.read()?).await?;
        Ok(Passing::of(&context, Document::plain(&view, &rows)?).await)
    }
}

#[OpenApi(prefix_path = "/v1/workspace-connectors", tag = "Tag::Activations")]
impl Suggestions {
    /// Suggest mappings
    ///
    /// For each stream and target model. A proposal with a confidence of 0.85 or more is applied, one of 0.55 or more kept for a
    /// person to look at, any other refused. A mapping that is there already stays.
    #[oai(path = "/:id/suggest-mappings", method = "post", operation_id = "suggest_mappings")]
    async fn suggest(
        &self,
        request: Acting<
            WorkspaceConnector,
            Passing<Collection<SuggestedMapping>>,
            Maybe<Plain<SuggestBody>>,
        >,
    ) -> Result<Passing<Collection<SuggestedMapping>>, Failure> {
        let Acting { call, context, id, body: Maybe(body), .. } = request;
        let wanted = body.map(|Plain(it)| it).unwrap_or_default().into();
        let made = context.app.mappings.suggest(&call, id, wanted).await?;
        let path = format!("/v1/workspace-connectors/{id}/suggest-mappings");
        Ok(Passing::of(&context, Collection::whole(&made, &path)?).await)
    }
}
