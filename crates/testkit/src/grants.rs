//! Grants, clients and authorizations in memory, for tests that crash processes by the million.

mod authorizations;
mod leftovers;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use linkspan_domain::{
    Fence, Issuer, ListQuery, OrganizationId, Page, Position, Receipt, Visible, WorkspaceConnector,
    WorkspaceConnectorId,
    ports::{
        Change, GrantStore, InPlaceOf, KeptAuthorization, KeptGrant, Left, LeftoverId, Leftovers,
        NewGrant, OauthClientStore, Owner, PutOff, Sealed, Store, StoreError,
    },
};
use time::OffsetDateTime;
use uuid::Uuid;

use authorizations::Stage;
use leftovers::Heap;

/// Keeps activations of one organization and their grants in memory.
#[derive(Debug)]
pub struct MemoryGrants {
    organization: OrganizationId,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    left: Heap,
    activations: HashMap<WorkspaceConnectorId, WorkspaceConnector>,
    grants: HashMap<WorkspaceConnectorId, (KeptGrant, Option<OffsetDateTime>)>,
    clients: HashMap<(WorkspaceConnectorId, Issuer), Sealed>,
    authorizations: BTreeMap<Uuid, (KeptAuthorization, Stage)>,
    receipts: Vec<Receipt>,
    /// How many replies cannot be journaled yet.
    refusals: u32,
}

impl MemoryGrants {
    /// Nothing, of `organization`.
    pub fn of(organization: OrganizationId) -> Self {
        Self { organization, kept: Mutex::default() }
    }

    /// Has `activation` there.
    pub fn add(&self, activation: WorkspaceConnector) {
        self.kept().activations.insert(activation.id, activation);
    }

    /// Does not answer the next `times` times that a reply is to be journaled.
    pub fn refuse_journals(&self, times: u32) {
        self.kept().refusals = times;
    }

    /// The receipts of all that was written, oldest first.
    pub fn receipts(&self) -> Vec<Receipt> {
        self.kept().receipts.clone()
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    /// Removes `gone`, and leaves what it has with providers behind.
    fn purge(&mut self, gone: &WorkspaceConnector, organization_id: OrganizationId) {
        self.activations.remove(&gone.id);
        let owner = Owner {
            workspace_connector_id: gone.id,
            workspace_id: gone.workspace_id,
            organization_id,
        };
        self.leave_grants(owner);
        self.authorizations.retain(|_, it| it.0.workspace_connector_id != gone.id);
        let clients = self.clients.extract_if(|(of, _), _| *of == gone.id);
        for ((_, issuer), client) in clients {
            self.left.add(owner, Left::Client { issuer, client });
        }
    }

    /// Leaves the grant of `owner` behind, and what exchanges brought.
    fn leave_grants(&mut self, owner: Owner) {
        for (authorization, stage) in self.authorizations.values_mut() {
            if authorization.owner() == owner
                && let Some(grant) = stage.settle()
            {
                self.left.add(owner, Left::Answer { authorization_id: authorization.id, grant });
            }
        }
        if let Some((kept, _)) = self.grants.remove(&owner.workspace_connector_id) {
            let KeptGrant { issuer, grant: held, previous, reply, .. } = kept;
            self.left.add(owner, Left::Grant { issuer, held, previous, reply });
        }
    }

    /// Whether an activation is deleted, and can be restored.
    fn is_deleted(&self, of: WorkspaceConnectorId) -> bool {
        self.activations.get(&of).is_some_and(|it| it.deleted_at.is_some())
    }

    fn update(&mut self, changed: &WorkspaceConnector) -> Result<(), StoreError> {
        let kept = self.activations.get_mut(&changed.id).ok_or(StoreError::Stale)?;
        if kept.revision != changed.revision {
            return Err(StoreError::Stale);
        }
        *kept = WorkspaceConnector { revision: changed.revision.next(), ..changed.clone() };
        Ok(())
    }

    /// The grant that is leased under `fence`.
    fn held(
        &mut self,
        of: WorkspaceConnectorId,
        fence: Fence,
    ) -> Result<&mut (KeptGrant, Option<OffsetDateTime>), StoreError> {
        let held = self.grants.get_mut(&of).ok_or(StoreError::Stale)?;
        if held.0.fence == fence && held.0.leased_until.is_some() {
            Ok(held)
        } else {
            Err(StoreError::Stale)
        }
    }
}

#[async_trait]
impl GrantStore for MemoryGrants {
    async fn grant(&self, of: WorkspaceConnectorId) -> Result<Option<KeptGrant>, StoreError> {
        Ok(self.kept().grants.get(&of).map(|it| it.0.clone()))
    }

    async fn connect(
        &self,
        grant: &NewGrant,
        activation: &WorkspaceConnector,
        receipt: &Receipt,
    ) -> Result<(), StoreError> {
        let mut kept = self.kept();
        kept.update(activation)?;
        let of = grant.workspace_connector_id;
        // As in the other stores: fences of grants that were removed stay below.
        let first = i64::try_from(grant.refreshed_at.unix_timestamp_nanos() / 1_000);
        let first = first.unwrap_or_default();
        let before = kept.grants.get(&of).map_or(first, |it| it.0.fence.0 + 1);
        let connected = KeptGrant {
            workspace_connector_id: of,
            workspace_id: activation.workspace_id,
            organization_id: self.organization,
            issuer: grant.issuer.clone(),
            grant: grant.grant.clone(),
            previous: None,
            reply: None,
            expires_at: grant.expires_at,
            fence: Fence(before.max(first)),
            leased_until: None,
            again_at: None,
            failures: 0,
            refusals: 0,
            refreshed_at: grant.refreshed_at,
        };
        kept.grants.insert(of, (connected, grant.due_at));
        for (authorization, stage) in kept.authorizations.values_mut() {
            if authorization.workspace_connector_id == of {
                stage.settle();
            }
        }
        kept.receipts.push(receipt.clone());
        Ok(())
    }

    async fn lease(
        &self,
        of: WorkspaceConnectorId,
        _: Uuid,
        now: OffsetDateTime,
        until: OffsetDateTime,
    ) -> Result<Option<KeptGrant>, StoreError> {
        let mut kept = self.kept();
        let Some((grant, _)) = kept.grants.get_mut(&of) else { return Ok(None) };
        if grant.leased_until.is_some_and(|it| now < it) {
            return Ok(None);
        }
        grant.leased_until = Some(until);
        grant.fence = Fence(grant.fence.0 + 1);
        Ok(Some(grant.clone()))
    }

    async fn journal(
        &self,
        of: WorkspaceConnectorId,
        fence: Fence,
        reply: &Sealed,
    ) -> Result<(), StoreError> {
        let mut kept = self.kept();
        if let Some(left) = kept.refusals.checked_sub(1) {
            kept.refusals = left;
            return Err(StoreError::Unavailable("the store is away".into()));
        }
        kept.held(of, fence)?.0.reply = Some(reply.clone());
        Ok(())
    }

    async fn settle(&self, fence: Fence, grant: &NewGrant) -> Result<(), StoreError> {
        let mut kept = self.kept();
        let (held, due_at) = kept.held(grant.workspace_connector_id, fence)?;
        let before = std::mem::replace(&mut held.grant, grant.grant.clone());
        *held = KeptGrant {
            issuer: grant.issuer.clone(),
            previous: Some(before),
            reply: None,
            expires_at: grant.expires_at,
            leased_until: None,
            again_at: None,
            failures: 0,
            refusals: 0,
            refreshed_at: grant.refreshed_at,
            ..held.clone()
        };
        *due_at = grant.due_at;
        Ok(())
    }

    async fn release(
        &self,
        of: WorkspaceConnectorId,
        fence: Fence,
        put_off: Option<PutOff>,
    ) -> Result<(), StoreError> {
        let mut kept = self.kept();
        let (held, _) = kept.held(of, fence)?;
        held.reply = None;
        held.leased_until = None;
        if let Some(PutOff::Away(again_at) | PutOff::Refused(again_at)) = put_off {
            held.again_at = Some(again_at);
            held.failures += 1;
            held.refusals += u32::from(matches!(put_off, Some(PutOff::Refused(_))));
        }
        Ok(())
    }

    async fn shelve(
        &self,
        of: WorkspaceConnectorId,
        fence: Fence,
        again_at: OffsetDateTime,
    ) -> Result<(), StoreError> {
        let mut kept = self.kept();
        let (held, _) = kept.held(of, fence)?;
        held.leased_until = None;
        held.again_at = Some(again_at);
        Ok(())
    }

    async fn lose(
        &self,
        fence: Fence,
        activation: &WorkspaceConnector,
        receipt: &Receipt,
    ) -> Result<(), StoreError> {
        let mut kept = self.kept();
        kept.held(activation.id, fence)?;
        kept.update(activation)?;
        kept.grants.remove(&activation.id);
        kept.receipts.push(receipt.clone());
        Ok(())
    }

    async fn abandoned(&self, limit: u64) -> Result<Vec<WorkspaceConnectorId>, StoreError> {
        let kept = self.kept();
        // In an order that is the same in each run.
        let answered = kept.authorizations.values().filter(|(_, stage)| stage.is_answered());
        let answered = answered.map(|(it, _)| it.workspace_connector_id);
        let all: BTreeSet<_> = kept.grants.keys().copied().chain(answered).collect();
        let gone = all.into_iter().filter(|it| kept.is_deleted(*it));
        Ok(gone.take(usize::try_from(limit).unwrap_or(usize::MAX)).collect())
    }

    async fn set_aside(&self, of: WorkspaceConnectorId) -> Result<(), StoreError> {
        let mut kept = self.kept();
        if let Some(gone) = kept.activations.get(&of).filter(|it| it.deleted_at.is_some()) {
            let workspace_id = gone.workspace_id;
            let organization_id = self.organization;
            let had_grant = kept.grants.contains_key(&of);
            kept.leave_grants(Owner { workspace_connector_id: of, workspace_id, organization_id });
            if had_grant
                && let Some(it) = kept.activations.get_mut(&of)
                && it.installed_capabilities.take().is_some()
            {
                it.revision = it.revision.next();
            }
        }
        Ok(())
    }

    async fn leave(
        &self,
        owner: &Owner,
        issuer: &Issuer,
        grant: &Sealed,
    ) -> Result<(), StoreError> {
        let (issuer, held) = (issuer.clone(), grant.clone());
        let left = Left::Grant { issuer, held, previous: None, reply: None };
        self.kept().left.add(*owner, left);
        Ok(())
    }

    async fn take_left(
        &self,
        now: OffsetDateTime,
        until: OffsetDateTime,
    ) -> Result<Option<Leftovers>, StoreError> {
        Ok(self.kept().left.take(now, until))
    }

    async fn told(&self, left: LeftoverId, receipt: Option<&Receipt>) -> Result<(), StoreError> {
        let mut kept = self.kept();
        kept.left.forget(left)?;
        kept.receipts.extend(receipt.cloned());
        Ok(())
    }

    async fn put_back(&self, left: LeftoverId, from: OffsetDateTime) -> Result<(), StoreError> {
        self.kept().left.put_back(left, from)
    }

    async fn due(
        &self,
        now: OffsetDateTime,
        limit: u64,
    ) -> Result<Vec<WorkspaceConnectorId>, StoreError> {
        let kept = self.kept();
        let is_live = |it: &WorkspaceConnectorId| {
            kept.activations.get(it).is_some_and(|it| it.deleted_at.is_none())
        };
        let mut due: Vec<_> = kept
            .grants
            .iter()
            .filter(|(of, (grant, _))| {
                is_live(of)
                    && grant.again_at.is_none_or(|it| it <= now)
                    && grant.leased_until.is_none_or(|it| it <= now)
            })
            .filter_map(|(of, (_, due_at))| Some((due_at.filter(|it| *it <= now)?, *of)))
            .collect();
        due.sort_unstable();
        due.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        Ok(due.into_iter().map(|(_, of)| of).collect())
    }
}

#[async_trait]
impl OauthClientStore for MemoryGrants {
    async fn client(
        &self,
        of: WorkspaceConnectorId,
        issuer: &Issuer,
    ) -> Result<Option<Sealed>, StoreError> {
        Ok(self.kept().clients.get(&(of, issuer.clone())).cloned())
    }

    async fn keep_client(
        &self,
        of: WorkspaceConnectorId,
        issuer: &Issuer,
        client: &Sealed,
        in_place_of: InPlaceOf<'_>,
        receipt: &Receipt,
    ) -> Result<(), StoreError> {
        let mut kept = self.kept();
        let slot = (of, issuer.clone());
        if kept.clients.get(&slot) != in_place_of.found() {
            return Err(StoreError::Stale);
        }
        let workspace_id = kept.activations.get(&of).ok_or(StoreError::Dangling)?.workspace_id;
        if let InPlaceOf::Another(before, from) = in_place_of {
            let organization_id = self.organization;
            let owner = Owner { workspace_connector_id: of, workspace_id, organization_id };
            let left = Left::Client { issuer: issuer.clone(), client: before.clone() };
            kept.left.add_from(owner, left, Some(from));
        }
        kept.clients.insert(slot, client.clone());
        kept.receipts.push(receipt.clone());
        Ok(())
    }
}

#[async_trait]
impl Store<WorkspaceConnector> for MemoryGrants {
    async fn find(
        &self,
        tenancy: &Visible,
        id: WorkspaceConnectorId,
    ) -> Result<Option<WorkspaceConnector>, StoreError> {
        let found = self.kept().activations.get(&id).cloned();
        Ok(found.filter(|it| tenancy.workspaces.contains(&it.workspace_id)))
    }

    async fn find_all(
        &self,
        tenancy: &Visible,
        ids: &[WorkspaceConnectorId],
    ) -> Result<Vec<WorkspaceConnector>, StoreError> {
        let all = self.list(tenancy, &ListQuery::default()).await?.into_resources();
        Ok(all.into_iter().filter(|it| ids.contains(&it.id)).collect())
    }

    /// All there is, on one page.
    async fn list(
        &self,
        tenancy: &Visible,
        _: &ListQuery,
    ) -> Result<Page<WorkspaceConnector>, StoreError> {
        let kept = self.kept();
        let mut shown: Vec<_> = kept.activations.values().cloned().collect();
        shown.retain(|it| tenancy.workspaces.contains(&it.workspace_id));
        shown.sort_unstable_by_key(|it| it.id);
        Ok(Page {
            total: shown.len() as u64,
            items: shown.into_iter().map(|it| (it, Position(Vec::new()))).collect(),
            has_before: false,
            has_after: false,
        })
    }

    async fn write(
        &self,
        changes: &[Change<WorkspaceConnector>],
        receipt: &Receipt,
    ) -> Result<(), StoreError> {
        let mut kept = self.kept();
        for change in changes {
            match change {
                Change::Insert(it) => {
                    kept.activations.insert(it.id, it.clone());
                }
                Change::Update(it) => kept.update(it)?,
                Change::Purge(it) => kept.purge(it, self.organization),
            }
        }
        kept.receipts.push(receipt.clone());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use linkspan_domain::Status;

    use super::*;
    use crate::{
        contract,
        fixtures::{Place, Specimen, id},
    };

    #[tokio::test]
    async fn the_memory_keeps_to_the_contracts() {
        let place = Place {
            organization: id(91),
            stranger: id(92),
            workspace: id(93),
            lower_workspace: id(94),
            foreign_workspace: id(95),
            person: id(96),
            connectors: vec![id(97)],
            provider: id(98),
            activation: id(99),
        };
        let store = MemoryGrants::of(place.organization);
        let activations = [1, 2].map(|number| WorkspaceConnector {
            status: Status::ToConfigure,
            deleted_at: None,
            ..WorkspaceConnector::specimen(number, &place)
        });
        for it in &activations {
            store.add(it.clone());
        }
        let ids = [activations[0].id, activations[1].id];
        contract::oauth_client_store(&store, ids).await;
        contract::authorization_store(&store, &activations[0], place.organization).await;
        contract::grant_store(&store, &store, &activations).await;
        let [third, fourth] = [3, 4].map(|number| WorkspaceConnector {
            deleted_at: None,
            ..WorkspaceConnector::specimen(number, &place)
        });
        store.add(third.clone());
        contract::answers_are_settled(&store, &store, &third, place.organization).await;
        let store = MemoryGrants::of(place.organization);
        let stores =
            contract::ProviderStores { grants: &store, clients: &store, authorizations: &store };
        store.add(third.clone());
        contract::answers_are_given_up(stores, &third, place.organization).await;
        store.add(fourth.clone());
        contract::leftovers(stores, &store, &fourth, place.organization).await;
    }
}
