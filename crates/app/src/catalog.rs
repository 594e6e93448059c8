//! The catalog of connectors.

use std::sync::Arc;

use linkspan_domain::{
    Act, Action, Call, CatalogEntry, Connector, ConnectorId, Direction, InvalidAuthConfig,
    Revision,
    ports::{CatalogStore, World},
};
use serde_json::{Value, json};

use crate::{ConnectorTypes, RecordError, Records, Writable, patch::Changes, records::refused};

/// The catalog: entries that workspaces activate. Readers of connectors read it, admins write it.
pub struct Catalog {
    store: Arc<dyn CatalogStore>,
    records: Records<Connector>,
    types: Arc<ConnectorTypes>,
    world: Arc<dyn World>,
}

impl Catalog {
    /// The catalog that `store` keeps, of connectors that are of `types` or of others.
    pub fn new(
        store: Arc<dyn CatalogStore>,
        types: Arc<ConnectorTypes>,
        world: Arc<dyn World>,
    ) -> Self {
        let records = Records::new(Arc::clone(&store) as _, Arc::clone(&world));
        Self { store, records, types, world }
    }

    /// Its entries, for reading.
    pub const fn records(&self) -> &Records<Connector> {
        &self.records
    }

    /// Adds an entry.
    #[tracing::instrument(skip_all, err(level = "debug"))]
    pub async fn create(&self, call: &Call, entry: CatalogEntry) -> Result<Connector, RecordError> {
        call.caller.require(Connector::WRITE)?;
        accept(&entry)?;
        accept_auth_config(&self.types, &entry).map_err(|it| refused_auth_config(&it))?;
        let id = ConnectorId::from_uuid(self.world.uuid());
        self.records.insert(call, Connector::new(id, entry, self.world.now())).await
    }

    /// Changes an entry with `edit`.
    #[tracing::instrument(skip_all, fields(%id), err(level = "debug"))]
    pub async fn update(
        &self,
        call: &Call,
        id: ConnectorId,
        expected: Option<Revision>,
        edit: impl FnOnce(&mut CatalogEntry) + Send,
    ) -> Result<Connector, RecordError> {
        let edit = |connector: &mut Connector, changes: &mut Changes| {
            let before = connector.entry.clone();
            edit(&mut connector.entry);
            note_changes(&before, &connector.entry, changes);
            accept(&connector.entry)?;
            // What was written before there was a rule can be changed elsewhere.
            if authorizes_alike(&before, &connector.entry) {
                return Ok(());
            }
            accept_auth_config(&self.types, &connector.entry).map_err(|it| refused_auth_config(&it))
        };
        self.records.update(call, id, expected, edit).await
    }

    /// Takes an entry out of the catalog, and disconnects its activations with it.
    #[tracing::instrument(skip_all, fields(%id), err(level = "debug"))]
    pub async fn delete(
        &self,
        call: &Call,
        id: ConnectorId,
        expected: Option<Revision>,
    ) -> Result<(), RecordError> {
        let mut connector = self.records.live(call, id, expected).await?;
        let now = self.world.now();
        (connector.updated_at, connector.deleted_at) = (now, Some(now));
        let receipt = self.records.receipt(call, Act::new(Action::Deleted), &connector);
        let retired = self.store.retire(&connector, &receipt).await;
        let activations = retired.map_err(refused::<Connector>(id))?;
        tracing::info!(%id, activations, "retired a connector");
        Ok(())
    }

    /// Brings a deleted entry back. The activations that went with it stay deleted.
    pub async fn restore(
        &self,
        call: &Call,
        id: ConnectorId,
        expected: Option<Revision>,
    ) -> Result<Connector, RecordError> {
        self.records.restore(call, id, expected).await
    }

    /// Removes a deleted entry for good.
    pub async fn purge(
        &self,
        call: &Call,
        id: ConnectorId,
        expected: Option<Revision>,
    ) -> Result<(), RecordError> {
        self.records.purge(call, id, expected).await
    }
}

/// Refuses entries whose fields fit one by one but not together.
fn accept(entry: &CatalogEntry) -> Result<(), RecordError> {
    if entry.direction == Direction::Output && !entry.supported_target_models.is_empty() {
        return Err(RecordError::Invalid {
            attribute: "supported_target_models",
            reason: "must be empty for an output, which fills no models".to_owned(),
        });
    }
    Ok(())
}

/// Passes if activations of an entry can be authorized by what it says, as far as that can be told without asking anybody.
/// What the settings of a type that is not among `types` are called nobody knows.
pub fn accept_auth_config(
    types: &ConnectorTypes,
    entry: &CatalogEntry,
) -> Result<(), InvalidAuthConfig> {
    let definition = types.find(&entry.connector_type);
    entry.accept_auth_config(|name| {
        definition.is_none_or(|it| it.manifest.config_schema.is_public(name))
    })
}

fn refused_auth_config(error: &InvalidAuthConfig) -> RecordError {
    RecordError::Invalid { attribute: "auth_config", reason: error.to_string() }
}

/// Whether both say the same of authorizing.
fn authorizes_alike(one: &CatalogEntry, other: &CatalogEntry) -> bool {
    one.auth_config == other.auth_config
        && one.authorization_flow == other.authorization_flow
        && one.connector_type == other.connector_type
        && one.provider == other.provider
}

/// The fields of an entry, as lists of attributes name them.
const FIELDS: [&str; 20] = [
    "name",
    "provider",
    "category_id",
    "service_id",
    "external_connector_id",
    "slug",
    "status",
    "direction",
    "authorization_flow",
    "transport",
    "auth_config",
    "supported_target_models",
    "connector_type",
    "description",
    "tags",
    "logo_url",
    "docs_url",
    "data_domains",
    "version",
    "notes",
];

fn note_changes(before: &CatalogEntry, after: &CatalogEntry, changes: &mut Changes) {
    let (before, after) = (json!(before), json!(after));
    let differs = |field: &str| {
        before.get(field).unwrap_or(&Value::Null) != after.get(field).unwrap_or(&Value::Null)
    };
    FIELDS.into_iter().filter(|it| differs(it)).for_each(|it| changes.note(it));
}

#[cfg(test)]
mod tests {
    use linkspan_domain::{Availability, Role, TargetModel, ports::StoreError};

    use super::*;
    use crate::fixtures::{MockCatalog, NOW, call, code, connector, id, types, world};

    fn store() -> MockCatalog {
        let mut store = MockCatalog::new();
        store.expect_find().returning(|_, _| Ok(Some(connector(|_| {}))));
        store
    }

    #[tokio::test]
    async fn an_update_names_the_fields_that_changed() {
        let mut store = store();
        store.expect_write().returning(|_, receipt| {
            assert_eq!(receipt.audit.details, json!({ "changed": ["status", "tags"] }));
            Ok(())
        });
        let catalog = Catalog::new(Arc::new(store), Arc::new(types()), world());
        let edit = |entry: &mut CatalogEntry| {
            entry.status = Availability::Maintenance;
            entry.tags.insert("new".to_owned());
        };
        let updated = catalog.update(&call(Role::Admin), id(20), None, edit).await;
        assert_eq!(updated.unwrap().entry.status, Availability::Maintenance);
    }

    #[tokio::test]
    async fn every_field_of_an_entry_is_known_by_name() {
        let all = json!({
            "name": "A", "provider": "well", "category_id": "a", "service_id": "a",
            "external_connector_id": "a", "slug": "a", "status": "available", "direction": "output",
            "authorization_flow": "none", "transport": "api", "auth_config": {},
            "supported_target_models": ["email"], "connector_type": "a", "description": "a",
            "tags": ["a"], "logo_url": "https://a.example", "docs_url": "https://a.example",
            "data_domains": ["bank"], "version": "1.0.0", "notes": "a",
        });
        let entry: CatalogEntry = serde_json::from_value(all).unwrap();
        let known = serde_json::to_value(&entry).unwrap();
        let mut known: Vec<_> = known.as_object().unwrap().keys().cloned().collect();
        let mut named = FIELDS.map(str::to_owned);
        known.sort();
        named.sort();
        assert_eq!(known, named);
    }

    #[tokio::test]
    async fn an_entry_by_which_nobody_can_be_authorized_is_not_written() {
        use linkspan_domain::AuthorizationFlow::{OauthDcr, OauthManual};

        let auth_config = |host: &str| {
            serde_json::from_value(json!({ "oauth_metadata_url": format!("https://{host}/x") }))
        };
        let written = async |flow, host: Option<&str>| {
            let mut store = store();
            store.expect_write().returning(|_, _| Ok(()));
            let catalog = Catalog::new(Arc::new(store), Arc::new(types()), world());
            let edit = |entry: &mut CatalogEntry| {
                entry.authorization_flow = flow;
                entry.auth_config = host.map(|it| auth_config(it).unwrap());
            };
            let mut entry = connector(|_| {}).entry;
            edit(&mut entry);
            let made = code(catalog.create(&call(Role::Admin), entry).await);
            assert_eq!(code(catalog.update(&call(Role::Admin), id(20), None, edit).await), made);
            made
        };
        assert_eq!(written(OauthDcr, Some("{host}.example")).await, "ok");
        assert_eq!(written(OauthDcr, None).await, "resource.invalid");
        for (name, why) in [("{none}", "no setting"), ("{password}", "a secret")] {
            let host = format!("{name}.example");
            assert_eq!(written(OauthManual, Some(&host)).await, "resource.invalid", "{why}");
        }
    }

    #[tokio::test]
    async fn an_output_fills_no_models() {
        let catalog = Catalog::new(Arc::new(store()), Arc::new(types()), world());
        let mut entry = connector(|_| {}).entry;
        entry.direction = Direction::Output;
        entry.supported_target_models = [TargetModel::Invoice].into();
        assert_eq!(code(catalog.create(&call(Role::Admin), entry).await), "resource.invalid");
    }

    #[tokio::test]
    async fn deleting_an_entry_retires_its_activations_with_it() {
        let mut store = store();
        store
            .expect_retire()
            .withf(|it, receipt| {
                it.deleted_at == Some(NOW) && receipt.audit.action == "connector.deleted"
            })
            .times(1)
            .returning(|_, _| Ok(2));
        let catalog = Catalog::new(Arc::new(store), Arc::new(types()), world());
        assert_eq!(code(catalog.delete(&call(Role::Admin), id(20), None).await), "ok");
    }

    #[tokio::test]
    async fn a_service_that_is_there_already_is_taken() {
        let mut store = store();
        store.expect_write().returning(|_, _| Err(StoreError::Taken));
        let catalog = Catalog::new(Arc::new(store), Arc::new(types()), world());
        let entry = connector(|_| {}).entry;
        assert_eq!(code(catalog.create(&call(Role::Admin), entry).await), "resource.name_taken");
    }
}
