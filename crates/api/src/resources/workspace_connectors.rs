//! `/v1/workspace-connectors`: activations.

mod body;
mod bootstrap;
mod rotation;
mod shown;

use linkspan_app::FilterPlan;
use linkspan_domain::{
    ConnectionTest, CredentialVersion, CredentialVersionId, StreamSpec, SyncLog, WorkspaceConnector,
};
use poem_openapi::OpenApi;
use serde_json::json;

use self::{
    body::{ActivationPatchBody, DraftBody, NewActivationBody, Overrides, SyncBody},
    bootstrap::BootstrapBody,
    rotation::{RotationBody, TurnoverBody},
};
use super::Tag;
use crate::{
    answer::{Collection, Document, Gone, Tested},
    body::{Changed, Maybe, New, Plain},
    problem::Failure,
    request::{Acting, ActingOnPart, Asking, Changing, Creating, Deleting, Listing, Reading},
};

pub(crate) use shown::ActivationCapabilities;

/// The operations.
#[derive(Default)]
pub(crate) struct Operations;

#[OpenApi(prefix_path = "/v1/workspace-connectors", tag = "Tag::Activations")]
impl Operations {
    /// List activations
    #[oai(path = "/", method = "get", operation_id = "list_workspace_connectors")]
    async fn list(
        &self,
        request: Listing<WorkspaceConnector>,
    ) -> Result<Collection<WorkspaceConnector>, Failure> {
        request.answer().await
    }

    /// Get an activation
    #[oai(path = "/:id", method = "get", operation_id = "get_workspace_connector")]
    async fn get(
        &self,
        request: Reading<WorkspaceConnector>,
    ) -> Result<Document<WorkspaceConnector>, Failure> {
        request.answer().await
    }

    /// Activate a connector
    ///
    /// Settings that fit are enough: an activation that still lacks some is made, but `to_configure`. What the type's schema
    /// calls secret is sealed, and shown as `••••••••` from then on. A stream that its system says it does not have is refused;
    /// where the system does not answer, the first run tells.
    #[oai(path = "/", method = "post", operation_id = "create_workspace_connector")]
    async fn create(
        &self,
        request: Creating<New<NewActivationBody>, Document<WorkspaceConnector, 201>>,
    ) -> Result<Document<WorkspaceConnector, 201>, Failure> {
        let Creating { call, context, body: New(new), view, .. } = request;
        let made = context.app.activations.create(&call, new.into()).await?;
        Document::of(&context, &call.caller, &view, &made).await
    }

    /// Change an activation
    ///
    /// `config` is a JSON Merge Patch (RFC 7396) of the settings: what it leaves out stays, `null` clears, and a run of bullets
    /// keeps the secret that is stored there. Streams that are named anew are looked for, as when an activation is made. Another
    /// `cursor_column` or `cursor_type` for a stream that has one is refused while a run is active or the schedule goes on.
    #[oai(path = "/:id", method = "patch", operation_id = "update_workspace_connector")]
    async fn update(
        &self,
        request: Changing<WorkspaceConnector, Changed<ActivationPatchBody>>,
    ) -> Result<Document<WorkspaceConnector>, Failure> {
        let Changing { call, context, id, expected, body: Changed(patch), view } = request;
        let changed = context.app.activations.update(&call, id, expected, patch.into()).await?;
        Document::of(&context, &call.caller, &view, &changed).await
    }

    /// Disconnect an activation
    ///
    /// It is switched off and hidden, until it is restored or purged.
    #[oai(path = "/:id", method = "delete", operation_id = "delete_workspace_connector")]
    async fn delete(&self, request: Deleting<WorkspaceConnector>) -> Result<Gone, Failure> {
        let Deleting { call, context, id, expected } = request;
        context.app.activations.delete(&call, id, expected).await?;
        Ok(Gone)
    }

    /// Restore an activation
    ///
    /// Brings a disconnected activation back, switched off.
    #[oai(path = "/:id/restore", method = "post", operation_id = "restore_workspace_connector")]
    async fn restore(
        &self,
        request: Acting<WorkspaceConnector, Document<WorkspaceConnector>>,
    ) -> Result<Document<WorkspaceConnector>, Failure> {
        let Acting { call, context, id, expected, view, .. } = request;
        let restored = context.app.activations.restore(&call, id, expected).await?;
        Document::of(&context, &call.caller, &view, &restored).await
    }

    /// Purge an activation
    ///
    /// Removes a disconnected activation for good, with its runs, tests and secrets.
    #[oai(path = "/:id/purge", method = "post", operation_id = "purge_workspace_connector")]
    async fn purge(&self, request: Acting<WorkspaceConnector, Gone>) -> Result<Gone, Failure> {
        let Acting { call, context, id, expected, .. } = request;
        context.app.activations.purge(&call, id, expected).await?;
        Ok(Gone)
    }

    /// Activate a connector and schedule it
    ///
    /// As creating an activation and setting its schedule, which stands among the attributes: both, or nothing.
    #[oai(path = "/bootstrap", method = "post", operation_id = "bootstrap_workspace_connector")]
    async fn bootstrap(
        &self,
        request: Creating<BootstrapBody, Document<WorkspaceConnector, 201>>,
    ) -> Result<Document<WorkspaceConnector, 201>, Failure> {
        let Creating { call, context, body: BootstrapBody { new, schedule }, view, .. } = request;
        let made = context.app.bootstrap.create(&call, new.into(), schedule).await?;
        Document::of(&context, &call.caller, &view, &made).await
    }

    /// Test settings before they are kept
    ///
    /// That they do not work is an answer, not an error.
    #[oai(path = "/test", method = "post", operation_id = "test_draft")]
    async fn test_draft(
        &self,
        request: Creating<Plain<DraftBody>, Tested>,
    ) -> Result<Tested, Failure> {
        let Creating { call, context, body: Plain(draft), .. } = request;
        Tested::of(&context.app.activations.test_draft(&call, draft.read()?).await?)
    }

    /// Test an activation
    ///
    /// With its settings, and whatever `config` changes about them for this test. That they do not work is an answer, not an
    /// error. An activation in `error` or `need_reconnect` is `enabled` again once they work as they are kept, and the system
    /// shows that it takes the credentials.
    #[oai(path = "/:id/test", method = "post", operation_id = "test_workspace_connector")]
    async fn test(
        &self,
        request: Acting<WorkspaceConnector, Tested, Maybe<Plain<Overrides>>>,
    ) -> Result<Tested, Failure> {
        let Acting { call, context, id, body: Maybe(overrides), .. } = request;
        let config = overrides.map(|Plain(it)| it.config).unwrap_or_default();
        Tested::of(&context.app.activations.test(&call, id, config).await?)
    }

    /// List the tests of an activation
    #[oai(path = "/:id/tests", method = "get", operation_id = "list_connection_tests")]
    async fn tests(
        &self,
        request: Listing<ConnectionTest>,
    ) -> Result<Collection<ConnectionTest>, Failure> {
        let id = request.parent()?;
        let activations = &request.context.app.activations;
        let page = activations.list_tests(&request.call.caller, id, &request.list).await?;
        request.show(&page).await
    }

    /// Rotate the credentials of an activation
    ///
    /// `config` holds new secrets, and nothing but secrets, where they belong in the settings; a run of bullets keeps the one
    /// that is stored. They are tried together with the settings that are there, and put to use if they work; otherwise nothing
    /// changes, unless `force_save` says so. Those before them are kept for `overlap_secs`, and can be gone back to. Of several
    /// that rotate at once, one wins; the others get 409.
    #[oai(path = "/:id/rotate", method = "post", operation_id = "rotate_credentials")]
    async fn rotate(
        &self,
        request: Acting<WorkspaceConnector, Document<CredentialVersion>, Plain<RotationBody>>,
    ) -> Result<Document<CredentialVersion>, Failure> {
        let Acting { call, context, id, expected, body: Plain(rotation), view, .. } = request;
        let activations = &context.app.activations;
        let version = activations.rotate(&call, id, expected, rotation.into()).await?;
        Document::of(&context, &call.caller, &view, &version).await
    }

    /// List the versions of the credentials of an activation
    ///
    /// What was in use when, and what can be gone back to. Never a secret.
    #[oai(path = "/:id/secret-history", method = "get", operation_id = "list_credential_versions")]
    async fn secret_history(
        &self,
        request: Listing<CredentialVersion>,
    ) -> Result<Collection<CredentialVersion>, Failure> {
        let id = request.parent()?;
        let activations = &request.context.app.activations;
        let page = activations.list_versions(&request.call.caller, id, &request.list).await?;
        request.show(&page).await
    }

    /// Roll an activation back to earlier credentials
    ///
    /// To the settings that it had when the version was superseded, secrets and all, if they still work: there is no forcing it.
    /// What is in use until then becomes inactive, and a new version begins.
    #[oai(
        path = "/:id/rollback/:history_id",
        method = "post",
        operation_id = "roll_back_credentials"
    )]
    async fn roll_back(
        &self,
        request: ActingOnPart<
            WorkspaceConnector,
            CredentialVersionId,
            Document<CredentialVersion>,
            Maybe<Plain<TurnoverBody>>,
        >,
    ) -> Result<Document<CredentialVersion>, Failure> {
        let ActingOnPart { call, context, id, part, expected, body: Maybe(body), view, .. } =
            request;
        let turnover = body.map(|Plain(it)| it.into()).unwrap_or_default();
        let activations = &context.app.activations;
        let version = activations.roll_back(&call, id, part, expected, turnover).await?;
        Document::of(&context, &call.caller, &view, &version).await
    }

    /// Revoke earlier credentials of an activation
    ///
    /// Ends the overlap of an inactive version now: its secrets are wiped, and only that it was there stays.
    #[oai(
        path = "/:id/secret-history/:history_id/revoke",
        method = "post",
        operation_id = "revoke_credential_version"
    )]
    async fn revoke_version(
        &self,
        request: ActingOnPart<WorkspaceConnector, CredentialVersionId, Document<CredentialVersion>>,
    ) -> Result<Document<CredentialVersion>, Failure> {
        let ActingOnPart { call, context, id, part, expected, view, .. } = request;
        let activations = &context.app.activations;
        let version = activations.revoke_version(&call, id, part, expected).await?;
        Document::of(&context, &call.caller, &view, &version).await
    }

    /// List the streams of an activation
    ///
    /// As its system has them now. `meta.left_out` names what the credentials show, but is no stream.
    #[oai(path = "/:id/models", method = "get", operation_id = "list_streams")]
    async fn models(&self, request: Asking<StreamSpec>) -> Result<Collection<StreamSpec>, Failure> {
        let activations = &request.context.app.activations;
        let found = activations.models(&request.call.caller, request.id()?).await?;
        let left_out = ("left_out", json!(found.left_out.0));
        Collection::whole_with(&found.streams, &request.path, left_out)
    }

    /// Explain how an activation filters
    ///
    /// Stream by stream: what of the filter that holds for the activation the source evaluates, and what is evaluated here.
    /// Empty without a filter.
    #[oai(path = "/:id/filter-plan", method = "get", operation_id = "explain_filter")]
    async fn filter_plan(
        &self,
        request: Asking<FilterPlan>,
    ) -> Result<Collection<FilterPlan>, Failure> {
        let plans = &request.context.app.filter_plans;
        let plans = plans.of(&request.call.caller, request.id()?).await?;
        Collection::whole(&plans, &request.path)
    }

    /// Start a sync
    ///
    /// A worker takes it from there: follow the sync log that is answered. Without `mode`, it reads what is new where a
    /// cursor is known, else everything.
    #[oai(path = "/:id/syncs", method = "post", operation_id = "start_sync")]
    async fn sync(
        &self,
        request: Acting<WorkspaceConnector, Document<SyncLog, 202>, Maybe<Plain<SyncBody>>>,
    ) -> Result<Document<SyncLog, 202>, Failure> {
        let Acting { call, context, id, body: Maybe(sync), view, .. } = request;
        let sync = sync.map(|Plain(it)| it).unwrap_or_default().into();
        let run = context.app.syncs.start(&call, id, sync).await?;
        Document::of(&context, &call.caller, &view, &run).await
    }

    /// Get what an activation can do
    #[oai(
        path = "/:id/capabilities",
        method = "get",
        operation_id = "get_workspace_connector_capabilities"
    )]
    async fn capabilities(
        &self,
        request: Asking<ActivationCapabilities>,
    ) -> Result<Document<ActivationCapabilities>, Failure> {
        let caller = &request.call.caller;
        let activation =
            request.context.app.activations.records().get(caller, request.id()?).await?;
        request.show(&ActivationCapabilities::of(&request.context.app, caller, activation)?)
    }
}
