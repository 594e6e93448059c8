//! The connector types of this installation.

use std::collections::BTreeMap;

use linkspan_domain::{
    Caller, Capability, ConnectorTypeKey, ConnectorTypeManifest, Permission, ResourceType,
};
use linkspan_sdk::Definition;

use crate::RecordError;

/// The connector types of this installation, each under its key and its aliases.
#[derive(Debug, Default)]
pub struct ConnectorTypes {
    types: BTreeMap<ConnectorTypeKey, Definition>,
    aliases: BTreeMap<ConnectorTypeKey, ConnectorTypeKey>,
}

/// Two types have the same key or alias.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("two connector types are called {0}; rename one of them")]
pub struct DuplicateConnectorType(pub ConnectorTypeKey);

impl ConnectorTypes {
    /// Exactly these types.
    pub fn new(
        definitions: impl IntoIterator<Item = Definition>,
    ) -> Result<Self, DuplicateConnectorType> {
        let mut all = Self::default();
        for definition in definitions {
            let key = definition.manifest.key.clone();
            for name in std::iter::once(&key).chain(&definition.manifest.aliases) {
                if all.find(name).is_some() {
                    return Err(DuplicateConnectorType(name.clone()));
                }
            }
            let aliases = definition.manifest.aliases.iter();
            all.aliases.extend(aliases.map(|it| (it.clone(), key.clone())));
            all.types.insert(key, definition);
        }
        Ok(all)
    }

    /// The type with this key or alias.
    pub fn find(&self, key: &ConnectorTypeKey) -> Option<&Definition> {
        let key = self.aliases.get(key).unwrap_or(key);
        self.types.get(key)
    }

    /// All types, by key.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Definition> {
        self.types.values()
    }

    /// What all types say about themselves, by key.
    pub fn list(&self, caller: &Caller) -> Result<Vec<&ConnectorTypeManifest>, RecordError> {
        caller.require(Permission::ConnectorRead)?;
        Ok(self.iter().map(|it| &*it.manifest).collect())
    }

    /// What the type with this key or alias says about itself.
    pub fn get(&self, caller: &Caller, key: &str) -> Result<&ConnectorTypeManifest, RecordError> {
        caller.require(Permission::ConnectorRead)?;
        let found = key.parse().ok().and_then(|key| self.find(&key));
        found.map(|it| &*it.manifest).ok_or_else(|| RecordError::NotFound {
            resource: ResourceType::ConnectorType,
            id: key.chars().take(64).collect(),
        })
    }

    /// What the type with this key or alias can be asked for.
    pub fn capabilities(&self, caller: &Caller, key: &str) -> Result<&[Capability], RecordError> {
        Ok(&self.get(caller, key)?.capabilities)
    }
}

#[cfg(test)]
mod tests {
    use linkspan_domain::Role;

    use super::*;
    use crate::fixtures::{Double, Fake, call, code, types};

    #[test]
    fn a_type_is_found_by_key_and_by_alias() {
        let (types, caller) = (types(), call(Role::Analyst).caller);
        assert_eq!(types.get(&caller, "fake").unwrap(), types.get(&caller, "phony").unwrap());
        assert_eq!(types.list(&caller).unwrap().len(), 2);
        let can = types.capabilities(&caller, "fake").unwrap();
        assert_eq!(can, [Capability::Check, Capability::Discover, Capability::Read]);
        for absent in ["absent", "NOT A KEY", ""] {
            assert_eq!(code(types.get(&caller, absent)), "resource.not_found");
        }
    }

    #[test]
    fn two_types_of_one_name_are_a_mistake() {
        let twice =
            || [Definition::of::<Fake>(), Definition::of::<Double>(), Definition::of::<Fake>()];
        let duplicate = ConnectorTypes::new(twice()).unwrap_err();
        assert_eq!(duplicate.0.as_str(), "fake");
    }
}
