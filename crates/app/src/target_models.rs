//! The target models: what mappings make of records.

use std::sync::Arc;

use linkspan_domain::{Caller, Permission, ResourceType, TargetModel};
use linkspan_engine::{ModelSchema, Models};
use serde_json::Value;

use crate::RecordError;

/// The target models of this program. Readers of connectors read them.
pub struct TargetModels {
    models: Vec<TargetModelSchema>,
}

/// What one target model keeps.
#[derive(Clone, Debug, PartialEq)]
pub struct TargetModelSchema {
    /// Which model.
    pub model: TargetModel,
    /// Grows with its fields.
    pub version: String,
    /// What people call it.
    pub title: String,
    /// What it is for.
    pub description: String,
    /// The JSON Schema 2020-12 of its objects.
    pub schema: Value,
}

impl TargetModels {
    /// Those of `models`.
    pub fn new(models: &Models) -> Self {
        let said = |it: &Arc<ModelSchema>| TargetModelSchema {
            model: it.model,
            version: it.version.clone(),
            title: it.title.clone(),
            description: it.description.clone(),
            schema: it.schema.clone(),
        };
        Self { models: models.iter().map(said).collect() }
    }

    /// All models.
    pub fn list(&self, caller: &Caller) -> Result<Vec<&TargetModelSchema>, RecordError> {
        caller.require(Permission::ConnectorRead)?;
        Ok(self.models.iter().collect())
    }

    /// The model that is called `key`.
    pub fn get(&self, caller: &Caller, key: &str) -> Result<&TargetModelSchema, RecordError> {
        caller.require(Permission::ConnectorRead)?;
        let model = key.parse::<TargetModel>().ok();
        let found = self.models.iter().find(|it| Some(it.model) == model);
        found.ok_or_else(|| RecordError::NotFound {
            resource: ResourceType::TargetModel,
            id: key.chars().take(64).collect(),
        })
    }
}
