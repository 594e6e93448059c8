//! Filling the catalog from seeds, and making the first workspace.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use linkspan_domain::{
    Action, AuditEvent, AuditEventId, Call, CatalogEntry, Code, Connector, ConnectorId, Deleted,
    Direction, InvalidText, ListQuery, OrganizationId, Permission, Platform, Problem, ProviderType,
    Receipt, Resource, Revision, ServiceId, Workspace, WorkspaceId,
    ports::{AccessStore, Change, Store, StoreError, World},
};
use serde_json::json;
use uuid::Uuid;

use crate::{
    RecordError,
    records::{largest, store_code},
};

/// Fills the catalog from seeds, and makes the first workspace.
pub struct Seeding {
    connectors: Arc<dyn Store<Connector>>,
    access: Arc<dyn AccessStore>,
    world: Arc<dyn World>,
}

/// What seeding did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SeedOutcome {
    /// Entries that are new.
    pub inserted: usize,
    /// Entries of which the seed says something new.
    pub updated: usize,
    /// Entries that are as the seed says.
    pub unchanged: usize,
    /// Entries that were left as an operator wants them: deleted, or replaced by one of their own.
    pub kept: usize,
}

/// Why the catalog was not seeded.
#[derive(Debug, thiserror::Error)]
pub enum SeedError {
    /// The index is not what `cargo xtask codegen` writes.
    #[error("the catalog index cannot be read at `{path}`")]
    Malformed {
        /// Where in the index.
        path: String,
        /// What the parser says.
        source: serde_json::Error,
    },
    /// Two seeds are of the same entry.
    #[error("there are two seeds of {0}; remove one")]
    Duplicate(String),
    /// As with every kept thing.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The store failed.
    #[error("could not {doing}")]
    Store {
        /// What was being done.
        doing: &'static str,
        /// What went wrong.
        source: StoreError,
    },
}

impl Problem for SeedError {
    fn code(&self) -> Code {
        match self {
            Self::Malformed { .. } | Self::Duplicate(_) => Code::Invalid,
            Self::Record(error) => error.code(),
            Self::Store { source, .. } => store_code(source),
        }
    }
}

/// What is unique among live entries.
type Key = (ProviderType, ServiceId, Direction);

/// Under which all identifiers of seeded entries are made, so that they are the same in every installation.
const NAMESPACE: Uuid = Uuid::from_u128(0x6c69_6e6b_7370_4e61_8e73_6565_6463_6174);

/// How often seeding starts over when another process seeds at the same time.
const ATTEMPTS: usize = 3;

impl Seeding {
    /// Seeds the catalog that `connectors` keeps.
    pub fn new(
        connectors: Arc<dyn Store<Connector>>,
        access: Arc<dyn AccessStore>,
        world: Arc<dyn World>,
    ) -> Self {
        Self { connectors, access, world }
    }

    /// The first workspace of this installation, and with it the organization. Makes both if there is none yet.
    pub async fn bootstrap(&self) -> Result<Workspace, SeedError> {
        let now = self.world.now();
        // Names that are part of this program, so that this does not happen.
        let unfit = |error: InvalidText| RecordError::Invalid {
            attribute: "name",
            reason: error.to_string(),
        };
        let first = Workspace {
            id: WorkspaceId::from_uuid(self.world.uuid()),
            revision: Revision::FIRST,
            organization_id: OrganizationId::from_uuid(self.world.uuid()),
            parent_id: None,
            name: "Main".parse().map_err(unfit)?,
            slug: "main".parse().map_err(unfit)?,
            external_workspace_id: None,
            created_at: now,
            updated_at: now,
            deleted_at: None,
        };
        let made = self.access.bootstrap(&first).await;
        made.map_err(|source| SeedError::Store { doing: "make the first workspace", source })
    }

    /// The entries of an index as `cargo xtask codegen` writes it: one JSON array.
    pub fn parse_index(index: &str) -> Result<Vec<CatalogEntry>, SeedError> {
        let mut reader = serde_json::Deserializer::from_str(index);
        serde_path_to_error::deserialize(&mut reader).map_err(|error| SeedError::Malformed {
            path: error.path().to_string(),
            source: error.into_inner(),
        })
    }

    /// The identifier of the entry that is seeded with `entry`, in every installation.
    pub fn id_of(entry: &CatalogEntry) -> ConnectorId {
        let name = format!("{}/{}/{}", entry.provider, entry.service_id, entry.direction);
        ConnectorId::from_uuid(Uuid::new_v5(&NAMESPACE, name.as_bytes()))
    }

    /// Brings the catalog up to `entries`. Deletes nothing, brings nothing back, and keeps what operators changed.
    ///
    /// All of it is one transaction. Doing it again does nothing.
    #[tracing::instrument(skip_all, err(level = "debug"))]
    pub async fn seed(
        &self,
        call: &Call,
        entries: Vec<CatalogEntry>,
    ) -> Result<SeedOutcome, SeedError> {
        call.caller.require(Permission::OrgAdmin).map_err(RecordError::from)?;
        let mut seeds = BTreeMap::new();
        for entry in entries {
            if let Some(twin) = seeds.insert(Self::id_of(&entry), entry) {
                return Err(SeedError::Duplicate(twin.name.to_string()));
            }
        }
        let mut attempt = 1;
        loop {
            let (changes, outcome) = self.plan(&seeds).await?;
            if changes.is_empty() {
                return Ok(outcome);
            }
            match self.connectors.write(&changes, &self.receipt(call, outcome)).await {
                Ok(()) => return Ok(outcome),
                // Another process seeds too: what it did is done.
                Err(StoreError::Taken | StoreError::Stale) if attempt < ATTEMPTS => attempt += 1,
                Err(source) => return Err(SeedError::Store { doing: "seed the catalog", source }),
            }
        }
    }

    /// What to write, and what that amounts to.
    async fn plan(
        &self,
        seeds: &BTreeMap<ConnectorId, CatalogEntry>,
    ) -> Result<(Vec<Change<Connector>>, SeedOutcome), SeedError> {
        let kept = self.everything().await?;
        let live: HashMap<Key, ConnectorId> = kept
            .values()
            .filter(|it| it.deleted_at.is_none())
            .map(|it| (key(&it.entry), it.id))
            .collect();
        let now = self.world.now();
        let (mut changes, mut outcome) = (Vec::new(), SeedOutcome::default());
        for (id, seed) in seeds {
            let is_replaced = live.get(&key(seed)).is_some_and(|holder| holder != id);
            let known = kept.get(id);
            if is_replaced || known.is_some_and(|it| it.deleted_at.is_some()) {
                outcome.kept += 1;
                continue;
            }
            match known.map(|it| it.reseeded(seed, now)) {
                Some(None) => outcome.unchanged += 1,
                Some(Some(reseeded)) => {
                    outcome.updated += 1;
                    changes.push(Change::Update(reseeded));
                }
                None => {
                    outcome.inserted += 1;
                    changes.push(Change::Insert(Connector::seeded(*id, seed.clone(), now)));
                }
            }
        }
        Ok((changes, outcome))
    }

    /// Every entry, live or not.
    async fn everything(&self) -> Result<HashMap<ConnectorId, Connector>, SeedError> {
        let mut query =
            ListQuery { page: largest(), deleted: Deleted::Shown, ..ListQuery::default() };
        let mut all = HashMap::new();
        loop {
            let page = self.connectors.list(&Platform, &query).await;
            let page =
                page.map_err(|source| SeedError::Store { doing: "read the catalog", source })?;
            let last = page.items.last().filter(|_| page.has_after).map(|(_, at)| at.clone());
            all.extend(page.into_resources().into_iter().map(|it| (it.id, it)));
            match last {
                Some(last) => query.page.after = Some(last),
                None => return Ok(all),
            }
        }
    }

    fn receipt(&self, call: &Call, outcome: SeedOutcome) -> Receipt {
        let SeedOutcome { inserted, updated, .. } = outcome;
        let caller = &call.caller;
        Receipt {
            audit: AuditEvent {
                id: AuditEventId::from_uuid(self.world.uuid()),
                organization_id: caller.organization,
                workspace_id: None,
                actor_type: caller.actor.actor_type(),
                actor_id: caller.actor.id(),
                action: Action::CatalogSeeded.of(Connector::TYPE),
                resource_type: Connector::TYPE,
                resource_id: None,
                details: json!({ "inserted": inserted, "updated": updated }),
                ip_address: call.ip_address.clone(),
                trace_id: call.trace_id.clone(),
                created_at: self.world.now(),
                link: None,
            },
            reply: None,
        }
    }
}

fn key(entry: &CatalogEntry) -> Key {
    (entry.provider, entry.service_id.clone(), entry.direction)
}

#[cfg(test)]
mod tests;
