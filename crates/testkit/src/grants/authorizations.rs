//! Authorizations in memory.

use async_trait::async_trait;
use linkspan_domain::{
    KeyHash, Receipt,
    ports::{
        AnsweredAuthorization, AuthorizationStore, KeptAuthorization, Left, Sealed, StoreError,
        TakenAuthorization,
    },
};
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use super::MemoryGrants;

/// How far an authorization is.
#[derive(Debug)]
pub(super) enum Stage {
    Waiting,
    Taken(OffsetDateTime),
    /// When it was taken, and what it brought.
    Answered(OffsetDateTime, Sealed),
}

#[async_trait]
impl AuthorizationStore for MemoryGrants {
    async fn begin(
        &self,
        authorization: &KeptAuthorization,
        receipt: &Receipt,
    ) -> Result<(), StoreError> {
        let mut kept = self.kept();
        kept.authorizations.insert(authorization.id, (authorization.clone(), Stage::Waiting));
        kept.receipts.push(receipt.clone());
        Ok(())
    }

    async fn take(
        &self,
        state: &KeyHash,
        now: OffsetDateTime,
    ) -> Result<TakenAuthorization, StoreError> {
        let mut kept = self.kept();
        let found = kept.authorizations.values_mut().find(|it| it.0.state == *state);
        Ok(match found {
            None => TakenAuthorization::Unknown,
            Some((_, Stage::Taken(_) | Stage::Answered(..))) => TakenAuthorization::Used,
            Some((it, Stage::Waiting)) if it.expires_at <= now => TakenAuthorization::Expired,
            Some((it, waiting @ Stage::Waiting)) => {
                *waiting = Stage::Taken(now);
                TakenAuthorization::Taken(it.clone())
            }
        })
    }

    async fn answered(&self, id: Uuid, grant: &Sealed) -> Result<(), StoreError> {
        let mut kept = self.kept();
        let (_, stage) = kept.authorizations.get_mut(&id).ok_or(StoreError::Stale)?;
        match stage {
            Stage::Waiting => return Err(StoreError::Stale),
            Stage::Taken(at) | Stage::Answered(at, _) => {
                *stage = Stage::Answered(*at, grant.clone());
            }
        }
        Ok(())
    }

    async fn unsettled(
        &self,
        until: OffsetDateTime,
        limit: u64,
    ) -> Result<Vec<AnsweredAuthorization>, StoreError> {
        let kept = self.kept();
        let mut unsettled: Vec<_> = kept.authorizations.values().filter_map(answer).collect();
        unsettled.retain(|it| it.taken_at <= until && !kept.is_deleted(it.workspace_connector_id));
        unsettled.sort_by_key(|it| it.taken_at);
        unsettled.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        Ok(unsettled)
    }

    async fn is_unsettled(&self, id: Uuid) -> Result<bool, StoreError> {
        let kept = self.kept();
        let found = kept.authorizations.get(&id);
        Ok(found.is_some_and(|(_, stage)| stage.is_answered()))
    }

    async fn give_up(&self, id: Uuid) -> Result<(), StoreError> {
        let kept = &mut *self.kept();
        if let Some((authorization, stage)) = kept.authorizations.get_mut(&id)
            && let Some(grant) = stage.settle()
        {
            kept.left.add(authorization.owner(), Left::Answer { authorization_id: id, grant });
        }
        Ok(())
    }

    async fn look(
        &self,
        state: &KeyHash,
        now: OffsetDateTime,
    ) -> Result<TakenAuthorization, StoreError> {
        let kept = self.kept();
        let found = kept.authorizations.values().find(|it| it.0.state == *state);
        Ok(match found {
            None => TakenAuthorization::Unknown,
            Some((_, Stage::Taken(_) | Stage::Answered(..))) => TakenAuthorization::Used,
            Some((it, Stage::Waiting)) if it.expires_at <= now => TakenAuthorization::Expired,
            Some((it, Stage::Waiting)) => TakenAuthorization::Taken(it.clone()),
        })
    }

    async fn sweep(&self, now: OffsetDateTime, after: Duration) -> Result<u64, StoreError> {
        let mut kept = self.kept();
        let before = kept.authorizations.len();
        kept.authorizations
            .retain(|_, (it, stage)| it.expires_at + after > now || stage.is_answered());
        Ok((before - kept.authorizations.len()) as u64)
    }
}

impl Stage {
    pub(super) const fn is_answered(&self) -> bool {
        matches!(self, Self::Answered(..))
    }

    /// Nobody needs what it brought any more, which is answered.
    pub(super) fn settle(&mut self) -> Option<Sealed> {
        let Self::Answered(at, _) = *self else { return None };
        match std::mem::replace(self, Self::Taken(at)) {
            Self::Answered(_, grant) => Some(grant),
            Self::Waiting | Self::Taken(_) => None,
        }
    }
}

fn answer((kept, stage): &(KeptAuthorization, Stage)) -> Option<AnsweredAuthorization> {
    let Stage::Answered(taken_at, grant) = stage else { return None };
    Some(AnsweredAuthorization {
        id: kept.id,
        workspace_connector_id: kept.workspace_connector_id,
        workspace_id: kept.workspace_id,
        organization_id: kept.organization_id,
        grant: grant.clone(),
        taken_at: *taken_at,
    })
}
