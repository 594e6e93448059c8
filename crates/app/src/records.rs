//! Reading and writing kept things, whatever their kind: permission, then tenancy, then the store.

mod error;
mod kinds;

use std::sync::Arc;

use linkspan_domain::{
    Act, Action, AuditEventId, Call, Caller, Filter, Id, ListQuery, Page, PageRequest, PageSize,
    Receipt, Resource, Revision,
    ports::{Change, Store, StoreError, World},
};

pub use error::RecordError;
pub(crate) use error::store_code;
pub use kinds::{Readable, Stamps, Writable};

use crate::patch::Changes;

/// All things of one kind, as far as a caller may see them.
///
/// ```no_run
/// # use linkspan_app::{RecordError, Records};
/// # use linkspan_domain::{Caller, Connector, ListQuery};
/// async fn first(connectors: &Records<Connector>, caller: &Caller) -> Result<Option<Connector>, RecordError> {
///     let page = connectors.list(caller, &ListQuery::default()).await?;
///     Ok(page.into_resources().into_iter().next())
/// }
/// ```
#[derive(Clone)]
pub struct Records<R: Readable> {
    store: Arc<dyn Store<R>>,
    world: Arc<dyn World>,
}

impl<R: Readable> Records<R> {
    pub(crate) const fn new(store: Arc<dyn Store<R>>, world: Arc<dyn World>) -> Self {
        Self { store, world }
    }

    /// The live thing with this identifier.
    pub async fn get(&self, caller: &Caller, id: R::Id) -> Result<R, RecordError> {
        may_read::<R>(caller)?;
        let found = self.find(caller, id).await?;
        found.filter(|it| !it.is_deleted()).ok_or_else(|| not_found::<R>(id))
    }

    /// The live things with these identifiers that the caller may see, in no particular order.
    pub async fn find_all(&self, caller: &Caller, ids: &[R::Id]) -> Result<Vec<R>, RecordError> {
        may_read::<R>(caller)?;
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let found = self.store.find_all(&R::tenancy(caller), ids).await;
        let mut found = found.map_err(RecordError::reading(R::TYPE))?;
        found.retain(|it| it.is_shown(caller) && !it.is_deleted());
        Ok(found)
    }

    /// One page of things.
    pub async fn list(&self, caller: &Caller, query: &ListQuery) -> Result<Page<R>, RecordError> {
        may_read::<R>(caller)?;
        let tenancy = R::tenancy(caller);
        let page = match R::shown(caller) {
            None => self.store.list(&tenancy, query).await,
            Some(shown) => {
                let mut query = query.clone();
                query.filters.push(shown);
                self.store.list(&tenancy, &query).await
            }
        };
        page.map_err(RecordError::reading(R::TYPE))
    }

    /// All live things that pass `filters`: for what belongs to a page of other things.
    pub async fn list_all(
        &self,
        caller: &Caller,
        filters: Vec<Filter>,
    ) -> Result<Vec<R>, RecordError> {
        self.list_whole(caller, ListQuery { filters, ..ListQuery::default() }).await
    }

    /// All that `query` finds, whatever page it asks for.
    pub(crate) async fn list_whole(
        &self,
        caller: &Caller,
        mut query: ListQuery,
    ) -> Result<Vec<R>, RecordError> {
        query.page = largest();
        let mut all = Vec::new();
        loop {
            let page = self.list(caller, &query).await?;
            let last = page.items.last().filter(|_| page.has_after).map(|(_, at)| at.clone());
            all.extend(page.into_resources());
            match last {
                Some(last) => query.page.after = Some(last),
                None => return Ok(all),
            }
        }
    }

    /// The thing with this identifier, live or not, if the caller may see it.
    pub(crate) async fn find(&self, caller: &Caller, id: R::Id) -> Result<Option<R>, RecordError> {
        let found = self.store.find(&R::tenancy(caller), id).await;
        let found = found.map_err(RecordError::reading(R::TYPE))?;
        Ok(found.filter(|it| it.is_shown(caller)))
    }

    /// A receipt for doing `act` to `thing` now.
    pub(crate) fn receipt(&self, call: &Call, act: Act, thing: &R) -> Receipt {
        call.receipt(act, thing, AuditEventId::from_uuid(self.world.uuid()), self.world.now())
    }

    /// Makes one change.
    async fn write(
        &self,
        change: Change<R>,
        receipt: &Receipt,
        refused: impl Fn(StoreError) -> RecordError,
    ) -> Result<(), RecordError> {
        self.store.write(&[change], receipt).await.map_err(refused)
    }

    /// Adds a thing that is never written again and that anybody may add who may do `act`.
    pub(crate) async fn append(&self, call: &Call, thing: R, act: Act) -> Result<R, RecordError> {
        let receipt = self.receipt(call, act, &thing);
        let refused = |source| match source {
            StoreError::ClaimLost => RecordError::ClaimLost,
            source => RecordError::Store { doing: "write", resource: R::TYPE, source },
        };
        self.write(Change::Insert(thing.clone()), &receipt, refused).await?;
        Ok(thing)
    }
}

impl<R: Writable> Records<R> {
    /// Adds a thing.
    pub(crate) async fn insert(&self, call: &Call, thing: R) -> Result<R, RecordError> {
        call.caller.require(R::WRITE)?;
        thing.guard(&call.caller)?;
        let act = Act { action: Action::Created, details: thing.rights() };
        let receipt = self.receipt(call, act, &thing);
        self.write(Change::Insert(thing.clone()), &receipt, refused::<R>(thing.id())).await?;
        Ok(thing)
    }

    /// Changes a live thing with `edit`. What changes nothing writes nothing.
    pub(crate) async fn update(
        &self,
        call: &Call,
        id: R::Id,
        expected: Option<Revision>,
        edit: impl FnOnce(&mut R, &mut Changes) -> Result<(), RecordError>,
    ) -> Result<R, RecordError> {
        let mut thing = self.live(call, id, expected).await?;
        let mut changes = Changes::default();
        let before = thing.rights();
        edit(&mut thing, &mut changes)?;
        changes.compare(before, thing.rights());
        self.save(call, thing, &changes).await
    }

    /// Soft-deletes a live thing.
    pub(crate) async fn delete(
        &self,
        call: &Call,
        id: R::Id,
        expected: Option<Revision>,
    ) -> Result<(), RecordError> {
        let mut thing = self.live(call, id, expected).await?;
        *thing.stamps().deleted_at = Some(self.world.now());
        self.put(call, thing, Act::new(R::DELETED)).await.map(drop)
    }

    /// Brings a soft-deleted thing back.
    pub(crate) async fn restore(
        &self,
        call: &Call,
        id: R::Id,
        expected: Option<Revision>,
    ) -> Result<R, RecordError> {
        let mut thing = self.deleted(call, id, expected).await?;
        *thing.stamps().deleted_at = None;
        self.put(call, thing, Act::new(Action::Restored)).await
    }

    /// Removes a soft-deleted thing for good, with all that hangs on it.
    pub(crate) async fn purge(
        &self,
        call: &Call,
        id: R::Id,
        expected: Option<Revision>,
    ) -> Result<(), RecordError> {
        let thing = self.deleted(call, id, expected).await?;
        let receipt = self.receipt(call, Act::new(Action::Purged), &thing);
        self.write(Change::Purge(thing), &receipt, refused::<R>(id)).await
    }

    /// The live thing with this identifier, for the caller to write at the revision they `expected`.
    pub(crate) async fn live(
        &self,
        call: &Call,
        id: R::Id,
        expected: Option<Revision>,
    ) -> Result<R, RecordError> {
        let thing = self.writable(call, id, expected).await?;
        if thing.is_deleted() { Err(not_found::<R>(id)) } else { Ok(thing) }
    }

    /// The soft-deleted thing with this identifier, for the caller to write at the revision they `expected`.
    pub(crate) async fn deleted(
        &self,
        call: &Call,
        id: R::Id,
        expected: Option<Revision>,
    ) -> Result<R, RecordError> {
        let thing = self.writable(call, id, expected).await?;
        if thing.is_deleted() {
            return Ok(thing);
        }
        Err(RecordError::NotDeleted { resource: R::TYPE, id: id.to_string() })
    }

    async fn writable(
        &self,
        call: &Call,
        id: R::Id,
        expected: Option<Revision>,
    ) -> Result<R, RecordError> {
        call.caller.require(R::WRITE)?;
        let found = self.find(&call.caller, id).await?;
        let thing = found.ok_or_else(|| not_found::<R>(id))?;
        thing.guard(&call.caller)?;
        if expected.is_some_and(|it| it != thing.revision()) {
            return Err(RecordError::Stale { resource: R::TYPE, id: id.to_string() });
        }
        Ok(thing)
    }

    /// Writes a changed thing, if it was really changed.
    pub(crate) async fn save(
        &self,
        call: &Call,
        thing: R,
        changes: &Changes,
    ) -> Result<R, RecordError> {
        if changes.is_empty() {
            return Ok(thing);
        }
        let act = Self::updated(call, &thing, changes)?;
        self.put(call, thing, act).await
    }

    /// What the audit trail says of a change, if the caller may leave the thing like that.
    pub(crate) fn updated(call: &Call, thing: &R, changes: &Changes) -> Result<Act, RecordError> {
        thing.guard(&call.caller)?;
        Ok(Act { action: Action::Updated, details: changes.details() })
    }

    /// Writes a changed thing, and answers it as it is stored then.
    pub(crate) async fn put(&self, call: &Call, mut thing: R, act: Act) -> Result<R, RecordError> {
        let receipt = self.stamp(call, &mut thing, act);
        self.write(Change::Update(thing.clone()), &receipt, refused::<R>(thing.id())).await?;
        Ok(Self::written(thing))
    }

    /// Lets a changed thing say that it is written now. Answers the receipt.
    pub(crate) fn stamp(&self, call: &Call, thing: &mut R, act: Act) -> Receipt {
        *thing.stamps().updated_at = self.world.now();
        self.receipt(call, act, thing)
    }

    /// A thing as it is stored once it was written.
    pub(crate) fn written(mut thing: R) -> R {
        let revision = thing.revision().next();
        *thing.stamps().revision = revision;
        thing
    }
}

/// What the store says of a write, in product words.
pub(crate) fn refused<R: Writable>(id: R::Id) -> impl Fn(StoreError) -> RecordError {
    move |source| match source {
        StoreError::Taken => RecordError::Taken { resource: R::TYPE, attribute: R::UNIQUE },
        StoreError::Stale => RecordError::Stale { resource: R::TYPE, id: id.to_string() },
        StoreError::ClaimLost => RecordError::ClaimLost,
        StoreError::Dangling => RecordError::Dangling { resource: R::TYPE, id: id.to_string() },
        StoreError::TooSlow
        | StoreError::Expired
        | StoreError::Unavailable(_)
        | StoreError::Corrupt(_) => {
            RecordError::Store { doing: "write", resource: R::TYPE, source }
        }
    }
}

pub(crate) fn not_found<R: Readable>(id: impl Id) -> RecordError {
    RecordError::NotFound { resource: R::TYPE, id: id.to_string() }
}

/// The live thing that a body refers to as its `relationship`.
///
/// Whoever may write the body may know that the thing is there, so that no permission to read is asked for.
pub(crate) async fn require_live<R: Readable>(
    records: &Records<R>,
    caller: &Caller,
    id: R::Id,
    relationship: &'static str,
) -> Result<R, RecordError> {
    let found = records.find(caller, id).await?.filter(|it| !it.is_deleted());
    found.ok_or_else(|| RecordError::Missing {
        relationship,
        resource: R::TYPE,
        id: id.to_string(),
    })
}

pub(crate) fn may_read<R: Readable>(caller: &Caller) -> Result<(), RecordError> {
    Ok(R::READ.map_or(Ok(()), |it| caller.require(it))?)
}

/// All live things of `tenancy` that fit `filters`, without regard to who asks.
pub(crate) async fn all_of<R: Resource>(
    store: &dyn Store<R>,
    tenancy: &R::Tenancy,
    filters: Vec<Filter>,
) -> Result<Vec<R>, StoreError> {
    let mut query = ListQuery { filters, page: largest(), ..ListQuery::default() };
    let mut all = Vec::new();
    loop {
        let page = store.list(tenancy, &query).await?;
        let last = page.items.last().filter(|_| page.has_after).map(|(_, at)| at.clone());
        all.extend(page.into_resources());
        match last {
            Some(last) => query.page.after = Some(last),
            None => return Ok(all),
        }
    }
}

/// As many things at a time as a store gives.
pub(crate) fn largest() -> PageRequest {
    PageRequest { size: PageSize::new(PageSize::MAX).unwrap_or_default(), ..PageRequest::default() }
}

#[cfg(test)]
mod tests;
