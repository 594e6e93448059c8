//! Grants, clients and authorizations in memory, for tests that crash processes by the million.

mod authorizations;

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use linkspan_domain::{
    Fence, Issuer, ListQuery, OrganizationId, Page, Position, Receipt, Visible, WorkspaceConnector,
    WorkspaceConnectorId,
    ports::{
        Change, GrantStore, KeptAuthorization, KeptGrant, Leftovers, NewGrant, OauthClientStore,
        Sealed, Store, StoreError,
    },
};
use time::OffsetDateTime;
use uuid::Uuid;

use authorizations::Stage;

/// Keeps activations of one organization and their grants in memory.
#[derive(Debug)]
pub struct MemoryGrants {
    organization: OrganizationId,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    left: Vec<Leftovers>,
    activations: HashMap<WorkspaceConnectorId, WorkspaceConnector>,
    grants: HashMap<WorkspaceConnectorId, (KeptGrant, Option<OffsetDateTime>)>,
    clients: HashMap<(WorkspaceConnectorId, Issuer), Sealed>,
    authorizations: BTreeMap<Uuid, (KeptAuthorization, Stage)>,
    receipts: Vec<Receipt>,
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
        let grant = self.grants.remove(&gone.id).map(|(it, _)| (it.issuer, it.grant));
        let clients = self.clients.extract_if(|(of, _), _| *of == gone.id);
        let clients: Vec<_> = clients.map(|((_, issuer), client)| (issuer, client)).collect();
        if grant.is_some() || !clients.is_empty() {
            self.left.push(Leftovers {
                workspace_connector_id: gone.id,
                workspace_id: gone.workspace_id,
                organization_id,
                grant,
                clients,
            });
        }
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
        self.kept().held(of, fence)?.0.reply = Some(reply.clone());
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
        again_at: Option<OffsetDateTime>,
    ) -> Result<(), StoreError> {
        let mut kept = self.kept();
        let (held, _) = kept.held(of, fence)?;
        held.reply = None;
        held.leased_until = None;
        if again_at.is_some() {
            held.again_at = again_at;
            held.failures += 1;
        }
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

    async fn remove(&self, of: WorkspaceConnectorId) -> Result<Option<KeptGrant>, StoreError> {
        let mut kept = self.kept();
        let is_gone = kept.activations.get(&of).is_none_or(|it| it.deleted_at.is_some());
        Ok(if is_gone { kept.grants.remove(&of).map(|it| it.0) } else { None })
    }

    async fn abandoned(&self, limit: u64) -> Result<Vec<WorkspaceConnectorId>, StoreError> {
        let kept = self.kept();
        let is_gone = |it: &WorkspaceConnectorId| {
            kept.activations.get(it).is_some_and(|it| it.deleted_at.is_some())
        };
        let mut gone: Vec<_> = kept.grants.keys().copied().filter(is_gone).collect();
        // The same in each run.
        gone.sort_unstable();
        gone.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        Ok(gone)
    }

    async fn take_left(&self) -> Result<Option<Leftovers>, StoreError> {
        let left = &mut self.kept().left;
        Ok(if left.is_empty() { None } else { Some(left.remove(0)) })
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
    ) -> Result<(), StoreError> {
        self.kept().clients.insert((of, issuer.clone()), client.clone());
        Ok(())
    }

    async fn forget_client(
        &self,
        of: WorkspaceConnectorId,
        issuer: &Issuer,
    ) -> Result<(), StoreError> {
        self.kept().clients.remove(&(of, issuer.clone()));
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
        store.add(fourth.clone());
        contract::leftovers(&store, &store, &store, &fourth, place.organization).await;
    }
}
