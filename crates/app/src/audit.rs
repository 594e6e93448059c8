//! The audit trail, for reading and for checking. Use cases write it with their effects.

use std::sync::Arc;

use linkspan_domain::{
    AuditEvent, AuditEventId, Caller, ChainHash, ChainLink, Code, Denied, OrganizationId, Problem,
    ports::{AuditStore, Store, StoreError, World},
};

use crate::{Readable, Records, records::store_code};

/// The audit trail of an organization. Admins read it, and have it checked.
pub struct Audit {
    records: Records<AuditEvent>,
    chain: Arc<dyn AuditStore>,
}

/// What became of following the chain of the audit trail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditChain {
    /// Whose it is.
    pub organization_id: OrganizationId,
    /// How many events of the chain are as they were written, from the first on.
    pub events: i64,
    /// How many events are from before there was a chain. It begins with the hash after them.
    pub unchained: u64,
    /// Where it ends, as far as it could be followed. None: it did not begin.
    pub head: Option<ChainLink>,
    /// The first place where it is broken. None: it is whole.
    pub fault: Option<ChainFault>,
}

/// A place where the chain is broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainFault {
    /// How.
    pub kind: ChainFaultKind,
    /// The number where it is broken.
    pub sequence: i64,
    /// The event that is there, if one is.
    pub event: Option<AuditEventId>,
}

/// How a chain can be broken.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, strum::Display, strum::IntoStaticStr, strum::VariantNames,
)]
#[strum(serialize_all = "snake_case")]
pub enum ChainFaultKind {
    /// The event is not what it was, or not where it was; the first one also if anything before the chain is not.
    Changed,
    /// There is no event of that number, though there are later ones, or were.
    Missing,
    /// The event cannot be read at all.
    Unreadable,
    /// The chain has a head that says something else than its last event.
    HeadChanged,
}

/// Why the chain could not be followed.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The caller may not.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// The store failed.
    #[error("could not read the audit trail")]
    Store(#[source] StoreError),
}

impl Problem for AuditError {
    fn code(&self) -> Code {
        match self {
            Self::Denied(_) => Code::PermissionDenied,
            Self::Store(source) => store_code(source),
        }
    }
}

/// How many events are read at a time.
const PAGE: u32 = 1_000;

impl Audit {
    /// The events that `store` keeps, and the chain that they are.
    pub fn new(
        store: Arc<dyn Store<AuditEvent>>,
        chain: Arc<dyn AuditStore>,
        world: Arc<dyn World>,
    ) -> Self {
        Self { records: Records::new(store, world), chain }
    }

    /// The events, for reading.
    pub const fn records(&self) -> &Records<AuditEvent> {
        &self.records
    }

    /// Follows the chain of the caller's organization to its end, or to where it is broken. What is added meanwhile is left out.
    #[tracing::instrument(skip_all, err(level = "debug"))]
    pub async fn verify(&self, caller: &Caller) -> Result<AuditChain, AuditError> {
        if let Some(permission) = AuditEvent::READ {
            caller.require(permission)?;
        }
        let organization = caller.organization;
        let end = self.chain.head(organization).await.map_err(AuditError::Store)?;
        let (hash, unchained) = self.before(organization).await?;
        let begin = ChainLink { sequence: 0, hash };
        let (reached, fault) = match end {
            Some(end) => self.follow(organization, begin, end).await?,
            None => (begin, self.headless(organization).await?),
        };
        Ok(AuditChain {
            organization_id: organization,
            events: reached.sequence,
            unchained,
            head: end.map(|_| reached),
            fault,
        })
    }

    /// The hash after what was kept before there was a chain, and how much that is.
    async fn before(&self, organization: OrganizationId) -> Result<(ChainHash, u64), AuditError> {
        let (mut hash, mut count, mut after) = (ChainHash::genesis(organization), 0, None);
        loop {
            let events = self.chain.unchained(organization, after, PAGE).await;
            let events = events.map_err(AuditError::Store)?;
            let Some(last) = events.last() else { return Ok((hash, count)) };
            after = Some((last.created_at, last.id));
            hash = events.iter().fold(hash, ChainHash::then);
            count += events.len() as u64;
        }
    }

    /// Without a head there must not be a chain.
    async fn headless(
        &self,
        organization: OrganizationId,
    ) -> Result<Option<ChainFault>, AuditError> {
        let first = self.chain.chained(organization, 0, 1).await.map_err(AuditError::Store)?;
        Ok(first.first().map(|it| ChainFault {
            kind: ChainFaultKind::HeadChanged,
            sequence: 0,
            event: Some(it.id),
        }))
    }

    /// Follows the chain from `at` to `end`. Answers how far it is whole.
    async fn follow(
        &self,
        organization: OrganizationId,
        mut at: ChainLink,
        end: ChainLink,
    ) -> Result<(ChainLink, Option<ChainFault>), AuditError> {
        let fault = |kind, sequence, event| Some(ChainFault { kind, sequence, event });
        let mut limit = PAGE;
        while at.sequence < end.sequence {
            let next = at.sequence + 1;
            let events = match self.chain.chained(organization, at.sequence, limit).await {
                Ok(events) => events,
                // Which of them it is shows when they come one by one.
                Err(StoreError::Corrupt(_)) if limit > 1 => {
                    limit = 1;
                    continue;
                }
                Err(StoreError::Corrupt(_)) => {
                    return Ok((at, fault(ChainFaultKind::Unreadable, next, None)));
                }
                Err(source) => return Err(AuditError::Store(source)),
            };
            if events.is_empty() {
                return Ok((at, fault(ChainFaultKind::Missing, next, None)));
            }
            for event in events {
                let next = at.then(&event);
                match event.link {
                    Some(link) if link == next => at = next,
                    Some(link) if link.sequence != next.sequence => {
                        return Ok((at, fault(ChainFaultKind::Missing, next.sequence, None)));
                    }
                    _ => {
                        let kind = ChainFaultKind::Changed;
                        return Ok((at, fault(kind, next.sequence, Some(event.id))));
                    }
                }
                if at.sequence == end.sequence {
                    break;
                }
            }
        }
        let is_whole = at == end;
        Ok((
            at,
            if is_whole { None } else { fault(ChainFaultKind::HeadChanged, at.sequence, None) },
        ))
    }
}

#[cfg(test)]
mod tests;
