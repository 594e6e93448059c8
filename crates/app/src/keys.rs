//! Master keys: which are in use, and sealing everything anew under another.

mod metering;
mod rotator;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use linkspan_domain::{
    Act, Action, Call, Caller, Code, Denied, KeyRole, KeyRotation, KeyRotationId, Permission,
    Problem,
    ports::{KeyId, KeyRotationStore, KeyStore, KeyUsage, StoreError, Vault, World},
};
use serde_json::json;
use tokio::sync::Notify;

pub use metering::MeteredVault;
pub use rotator::{KeyRotator, RotatorSettings};

use crate::{RecordError, Records, records::store_code};

/// The master keys of the installation. Admins look at them and rotate them.
pub struct Keys {
    rotations: Arc<dyn KeyRotationStore>,
    records: Records<KeyRotation>,
    store: Arc<dyn KeyStore>,
    vault: Arc<dyn Vault>,
    world: Arc<dyn World>,
    started: Arc<Notify>,
}

/// A master key that is here, or that something was sealed with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyInUse {
    /// Which key. None: of blobs in no format that is known.
    pub key: Option<KeyId>,
    /// What it is for.
    pub role: KeyRole,
    /// How many blobs are sealed with it.
    pub sealed: u64,
    /// How often it has sealed, for each purpose.
    pub usage: Vec<KeyUsage>,
}

/// Why keys could not be looked at or rotated.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// As with every kept thing.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The store failed.
    #[error("could not {doing} the master keys")]
    Store {
        /// What was being done: `look at`, `rotate`.
        doing: &'static str,
        /// What went wrong.
        source: StoreError,
    },
}

impl From<Denied> for KeysError {
    fn from(denied: Denied) -> Self {
        Self::Record(denied.into())
    }
}

impl Problem for KeysError {
    fn code(&self) -> Code {
        match self {
            Self::Record(error) => error.code(),
            Self::Store { source, .. } => store_code(source),
        }
    }

    fn pointer(&self) -> Option<String> {
        None
    }
}

impl KeysError {
    fn looking(source: StoreError) -> Self {
        Self::Store { doing: "look at", source }
    }

    fn rotating(source: StoreError) -> Self {
        match source {
            StoreError::ClaimLost => RecordError::ClaimLost.into(),
            source => Self::Store { doing: "rotate", source },
        }
    }
}

impl KeyInUse {
    /// Whether it is time for another key.
    pub fn is_worn(&self) -> bool {
        self.usage.iter().any(KeyUsage::is_worn)
    }
}

impl Keys {
    /// The keys of `vault`, and what `store` has under them. Whoever waits at `started` hears of rotations.
    pub fn new(
        rotations: Arc<dyn KeyRotationStore>,
        store: Arc<dyn KeyStore>,
        vault: Arc<dyn Vault>,
        world: Arc<dyn World>,
        started: Arc<Notify>,
    ) -> Self {
        let records = Records::new(Arc::clone(&rotations) as _, Arc::clone(&world));
        Self { rotations, records, store, vault, world, started }
    }

    /// The rotations, for reading.
    pub const fn records(&self) -> &Records<KeyRotation> {
        &self.records
    }

    /// The keys that are here, and those that are not but were used: the current one first.
    pub async fn list(&self, caller: &Caller) -> Result<Vec<KeyInUse>, KeysError> {
        caller.require(Permission::OrgAdmin)?;
        let mut sealed = BTreeMap::<Option<KeyId>, u64>::new();
        let here = [self.vault.current()].into_iter().chain(self.vault.previous());
        sealed.extend(here.map(|it| (Some(it), 0)));
        for it in self.store.census().await.map_err(KeysError::looking)? {
            *sealed.entry(it.key).or_default() += it.count;
        }
        let usage = self.store.usage().await.map_err(KeysError::looking)?;
        let keys = sealed.into_iter().map(|(key, sealed)| KeyInUse {
            key,
            role: self.role(key),
            sealed,
            usage: usage.iter().filter(|it| Some(it.key) == key).copied().collect(),
        });
        let mut keys: Vec<_> = keys.collect();
        keys.sort_by_key(|it| it.role);
        Ok(keys)
    }

    /// Has everything sealed anew under the current key. While that goes on, the rotation at work is answered. Where nothing is
    /// sealed otherwise, it is over at once.
    #[tracing::instrument(skip_all, err(level = "debug"))]
    pub async fn rotate(&self, call: &Call) -> Result<KeyRotation, KeysError> {
        call.caller.require(Permission::OrgAdmin)?;
        let to_key = self.vault.current();
        let mut others = self.store.census().await.map_err(KeysError::rotating)?;
        others.retain(|it| it.key != Some(to_key));
        let from_keys: BTreeSet<_> = others.iter().filter_map(|it| it.key).collect();
        let total: u64 = others.iter().map(|it| it.count).sum();
        let id = KeyRotationId::from_uuid(self.world.uuid());
        let act = if total == 0 {
            Act { action: Action::KeysRotationUnneeded, details: json!({ "to_key": to_key }) }
        } else {
            let details = json!({ "to_key": to_key, "from_keys": from_keys, "total": total });
            Act { action: Action::KeysRotated, details }
        };
        let organization = call.caller.organization;
        let rotation =
            KeyRotation::new(id, organization, to_key, (from_keys, total), self.world.now());
        let receipt = self.records.receipt(call, act, &rotation);
        let started = self.rotations.start(&rotation, &receipt).await;
        let started = started.map_err(KeysError::rotating)?;
        self.started.notify_one();
        Ok(started)
    }

    fn role(&self, key: Option<KeyId>) -> KeyRole {
        match key {
            Some(key) if key == self.vault.current() => KeyRole::Current,
            Some(key) if self.vault.previous().contains(&key) => KeyRole::Previous,
            _ => KeyRole::Unknown,
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
