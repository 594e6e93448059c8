//! The catalog of connectors.

use std::sync::Arc;

use linkspan_domain::{
    Act, Action, Call, CatalogEntry, Connector, ConnectorId, Direction, Revision,
    ports::{CatalogStore, World},
};
use serde_json::{Value, json};

use crate::{RecordError, Records, Writable, patch::Changes, records::refused};

/// The catalog: entries that workspaces activate. Readers of connectors read it, admins write it.
pub struct Catalog {
    store: Arc<dyn CatalogStore>,
    records: Records<Connector>,
    world: Arc<dyn World>,
}

impl Catalog {
    /// The catalog that `store` keeps.
    pub fn new(store: Arc<dyn CatalogStore>, world: Arc<dyn World>) -> Self {
        let records = Records::new(Arc::clone(&store) as _, Arc::clone(&world));
        Self { store, records, world }
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
            accept(&connector.entry)
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
    use crate::fixtures::{MockCatalog, NOW, call, code, connector, id, world};

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
        let catalog = Catalog::new(Arc::new(store), world());
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
    async fn an_output_fills_no_models() {
        let catalog = Catalog::new(Arc::new(store()), world());
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
        let catalog = Catalog::new(Arc::new(store), world());
        assert_eq!(code(catalog.delete(&call(Role::Admin), id(20), None).await), "ok");
    }

    #[tokio::test]
    async fn a_service_that_is_there_already_is_taken() {
        let mut store = store();
        store.expect_write().returning(|_, _| Err(StoreError::Taken));
        let catalog = Catalog::new(Arc::new(store), world());
        let entry = connector(|_| {}).entry;
        assert_eq!(code(catalog.create(&call(Role::Admin), entry).await), "resource.name_taken");
    }
}
