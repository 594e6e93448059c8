//! `/v1/providers`: document-capture providers.

use std::collections::HashMap;

use linkspan_app::{NewProvider, Patch, ProviderPatch, Records};
use linkspan_domain::{
    Attribute, Caller, Filter, FilterTest, FilterValue, Name, Provider, ProviderConnector,
    ProviderId, Resource, Revision, Slug,
};
use poem_openapi::OpenApi;
use serde::Deserialize;
use serde_json::Value;
use time::OffsetDateTime;
use url::Url;

use super::Tag;
use crate::{
    App,
    answer::{Collection, Document, Gone},
    body::{Changed, New, Written, patch, present},
    include::Found,
    problem::Failure,
    request::{Acting, Changing, Creating, Deleting, Listing, Reading},
    resource::{Kept, Key, Related, Relationship, Shown, attributes, instant, maybe_instant},
    view::View,
};

/// The operations.
#[derive(Default)]
pub(crate) struct Providers;

#[OpenApi(prefix_path = "/v1/providers", tag = "Tag::Catalog")]
impl Providers {
    /// List providers
    #[oai(path = "/", method = "get", operation_id = "list_providers")]
    async fn list(&self, request: Listing<Provider>) -> Result<Collection<Provider>, Failure> {
        request.answer().await
    }

    /// Get a provider
    #[oai(path = "/:id", method = "get", operation_id = "get_provider")]
    async fn get(&self, request: Reading<Provider>) -> Result<Document<Provider>, Failure> {
        request.answer().await
    }

    /// Create a provider
    #[oai(path = "/", method = "post", operation_id = "create_provider")]
    async fn create(
        &self,
        request: Creating<New<NewProviderBody>, Document<Provider, 201>>,
    ) -> Result<Document<Provider, 201>, Failure> {
        let Creating { call, context, body: New(new), view, .. } = request;
        let made = context.app.providers.create(&call, new.into()).await?;
        Document::of(&context, &call.caller, &view, &made).await
    }

    /// Change a provider
    #[oai(path = "/:id", method = "patch", operation_id = "update_provider")]
    async fn update(
        &self,
        request: Changing<Provider, Changed<ProviderPatchBody>>,
    ) -> Result<Document<Provider>, Failure> {
        let Changing { call, context, id, expected, body: Changed(patch), view } = request;
        let changed = context.app.providers.update(&call, id, expected, patch.into()).await?;
        Document::of(&context, &call.caller, &view, &changed).await
    }

    /// Delete a provider
    #[oai(path = "/:id", method = "delete", operation_id = "delete_provider")]
    async fn delete(&self, request: Deleting<Provider>) -> Result<Gone, Failure> {
        let Deleting { call, context, id, expected } = request;
        context.app.providers.delete(&call, id, expected).await?;
        Ok(Gone)
    }

    /// Restore a provider
    ///
    /// Brings it back after it was deleted.
    #[oai(path = "/:id/restore", method = "post", operation_id = "restore_provider")]
    async fn restore(
        &self,
        request: Acting<Provider, Document<Provider>>,
    ) -> Result<Document<Provider>, Failure> {
        let Acting { call, context, id, expected, view, .. } = request;
        let restored = context.app.providers.restore(&call, id, expected).await?;
        Document::of(&context, &call.caller, &view, &restored).await
    }

    /// Purge a provider
    ///
    /// Removes it for good after it was deleted.
    #[oai(path = "/:id/purge", method = "post", operation_id = "purge_provider")]
    async fn purge(&self, request: Acting<Provider, Gone>) -> Result<Gone, Failure> {
        let Acting { call, context, id, expected, .. } = request;
        context.app.providers.purge(&call, id, expected).await?;
        Ok(Gone)
    }
}

attributes! { Provider, |it| {
    /// The same as `id`.
    provider_id: ProviderId = it.id;
    /// What people call it.
    name: Name = &it.name;
    /// Names it in URLs. Unique among live providers.
    slug: Slug = &it.slug;
    /// Its web site.
    url: Option<Url> = &it.url;
    /// Where its picture is.
    logo_url: Option<Url> = &it.logo_url;
    /// How it is grouped.
    category: Option<Slug> = &it.category;
    /// ISO 3166-1 alpha-2 codes of the countries it serves. Empty: everywhere.
    countries: Vec<String> = &it.countries;
    /// How a browser collects its documents.
    blueprint: Option<Value> = &it.blueprint;
    /// Hints for an agent that drives the browser.
    skill: Option<String> = &it.skill;
    /// When it was made.
    created_at: OffsetDateTime = instant(it.created_at);
    /// When it was last written.
    updated_at: OffsetDateTime = instant(it.updated_at);
    /// When it was deleted.
    deleted_at: Option<OffsetDateTime> = maybe_instant(it.deleted_at);
} }

impl Shown for Provider {
    const TYPE: &'static str = "provider";
    const NAME: &'static str = "Provider";
    const PATH: Option<&'static str> = Some("/v1/providers");
    const RELATIONSHIPS: &'static [Relationship] =
        &[Relationship::many("provider_connectors", "provider_connector")];
    const LISTED: &'static [Attribute] = <Self as Resource>::ATTRIBUTES;

    fn key(&self) -> Key {
        Key::of(self.id)
    }

    fn revision(&self) -> Revision {
        self.revision
    }

    fn related(&self, _: &str, found: &Found) -> Related {
        match &found.pairings_of_provider {
            Some(pairings) => Related::many(pairings.get(&self.id).into_iter().flatten().copied()),
            None => {
                Related::At(format!("/v1/provider-connectors?filter%5Bprovider_id%5D={}", self.id))
            }
        }
    }
}

impl Kept for Provider {
    fn records(app: &App) -> &Records<Self> {
        app.providers.records()
    }

    async fn look_up(
        app: &App,
        caller: &Caller,
        things: &[&Self],
        view: &View,
    ) -> Result<Found, Failure> {
        if !view.includes("provider_connectors") || things.is_empty() {
            return Ok(Found::default());
        }
        let ids = things.iter().map(|it| FilterValue::Id(it.id.uuid())).collect();
        let filter =
            Filter { attribute: Attribute::id("provider_id"), test: FilterTest::OneOf(ids) };
        let pairings = app.provider_connectors.records().list_all(caller, vec![filter]).await?;
        let mut of_provider = HashMap::<_, Vec<_>>::new();
        for ProviderConnector { id, provider_id, .. } in pairings {
            of_provider.entry(provider_id).or_default().push(id);
        }
        Ok(Found { pairings_of_provider: Some(of_provider), ..Found::default() })
    }
}

/// What a new provider is made of.
#[derive(Deserialize)]
#[serde(remote = "NewProvider", deny_unknown_fields)]
struct NewProviderFields {
    name: Name,
    slug: Slug,
    #[serde(default)]
    url: Option<Url>,
    #[serde(default)]
    logo_url: Option<Url>,
    #[serde(default)]
    category: Option<Slug>,
    #[serde(default)]
    countries: Vec<String>,
    #[serde(default)]
    blueprint: Option<Value>,
    #[serde(default)]
    skill: Option<String>,
}

/// The same, as the body has it.
struct NewProviderBody(NewProvider);

impl<'de> Deserialize<'de> for NewProviderBody {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        NewProviderFields::deserialize(deserializer).map(Self)
    }
}

impl From<NewProviderBody> for NewProvider {
    fn from(body: NewProviderBody) -> Self {
        body.0
    }
}

impl Written for NewProviderBody {
    type Of = Provider;
    const NAME: &'static str = "NewProvider";
    const REQUIRED: &'static [&'static str] = &["name", "slug"];
}

/// What changes about a provider.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ProviderPatchBody {
    #[serde(default, deserialize_with = "present")]
    name: Option<Name>,
    #[serde(default, deserialize_with = "present")]
    slug: Option<Slug>,
    #[serde(default, deserialize_with = "patch")]
    url: Patch<Url>,
    #[serde(default, deserialize_with = "patch")]
    logo_url: Patch<Url>,
    #[serde(default, deserialize_with = "patch")]
    category: Patch<Slug>,
    #[serde(default, deserialize_with = "present")]
    countries: Option<Vec<String>>,
    #[serde(default, deserialize_with = "patch")]
    blueprint: Patch<Value>,
    #[serde(default, deserialize_with = "patch")]
    skill: Patch<String>,
}

impl Written for ProviderPatchBody {
    type Of = Provider;
    const NAME: &'static str = "ProviderPatch";
}

impl From<ProviderPatchBody> for ProviderPatch {
    fn from(body: ProviderPatchBody) -> Self {
        let ProviderPatchBody { name, slug, url, logo_url, category, countries, blueprint, skill } =
            body;
        Self { name, slug, url, logo_url, category, countries, blueprint, skill }
    }
}
