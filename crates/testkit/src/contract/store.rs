//! The contract of [`Store`], for any kind of thing.

mod filters;
mod keeping;
mod paging;
mod receipts;
mod writing;

use std::sync::atomic::{AtomicU32, Ordering};

use linkspan_domain::{
    AuditEvent, Deleted, IdempotencyReply, ListQuery, PageRequest, PageSize,
    ports::{Change, IdempotencyStore, Store, StoreError},
};

use crate::fixtures::{Place, Specimen, receipt};

/// A store to check, and what it must keep in step with.
pub struct Subject<'a, R: Specimen> {
    store: &'a dyn Store<R>,
    audit: &'a dyn Store<AuditEvent>,
    idempotency: &'a dyn IdempotencyStore,
    place: &'a Place,
    receipts: AtomicU32,
}

/// Checks a [`Store`] against its contract. What the place names must be kept already, and may be of the same kind.
///
/// # Panics
///
/// When the store breaks its contract.
pub async fn store<R: Specimen>(subject: &Subject<'_, R>) {
    keeping::everything_survives(subject).await;
    keeping::the_unknown_is_not_found(subject).await;
    keeping::other_tenants_see_nothing(subject).await;
    writing::an_update_is_a_new_revision(subject).await;
    writing::a_stale_update_is_refused(subject).await;
    writing::a_write_is_all_or_nothing(subject).await;
    writing::live_names_are_unique(subject).await;
    writing::deleted_things_are_hidden_but_found(subject).await;
    writing::a_purge_is_for_good(subject).await;
    writing::nothing_refers_to_what_is_not_there(subject).await;
    receipts::a_write_leaves_an_audit_event(subject).await;
    receipts::a_reply_is_kept_with_the_effect(subject).await;
    receipts::a_lost_claim_undoes_the_write(subject).await;
    filters::every_operator_does_what_it_says(subject).await;
    filters::filters_add_up(subject).await;
    paging::every_order_is_total(subject).await;
    paging::pages_join_up(subject).await;
    paging::pages_hold_still_while_others_write(subject).await;
}

impl<'a, R: Specimen> Subject<'a, R> {
    /// A store, with the audit trail and the idempotency keys that belong to it.
    pub fn new(
        store: &'a dyn Store<R>,
        audit: &'a dyn Store<AuditEvent>,
        idempotency: &'a dyn IdempotencyStore,
        place: &'a Place,
    ) -> Self {
        Self { store, audit, idempotency, place, receipts: AtomicU32::new(0) }
    }

    fn tenancy(&self) -> R::Tenancy {
        R::tenancy(self.place)
    }

    fn specimen(&self, number: u32) -> R {
        R::specimen(number, self.place)
    }

    fn receipt(&self, reply: Option<IdempotencyReply>) -> linkspan_domain::Receipt {
        receipt(self.receipts.fetch_add(1, Ordering::Relaxed), reply)
    }

    async fn write(&self, changes: &[Change<R>]) -> Result<(), StoreError> {
        self.store.write(changes, &self.receipt(None)).await
    }

    async fn insert(&self, thing: &R) {
        let done = self.write(&[Change::Insert(thing.clone())]).await;
        assert!(done.is_ok(), "{thing:?} cannot be added: {done:?}");
    }

    async fn find(&self, id: R::Id) -> Option<R> {
        match self.store.find(&self.tenancy(), id).await {
            Ok(found) => found,
            Err(error) => panic!("{id} cannot be looked for: {error:?}"),
        }
    }

    async fn page(&self, query: &ListQuery) -> linkspan_domain::Page<R> {
        match self.store.list(&self.tenancy(), query).await {
            Ok(page) => page,
            Err(error) => panic!("{query:?} is not answered: {error:?}"),
        }
    }

    /// All things there are, deleted ones too.
    async fn everything(&self) -> Vec<R> {
        let page = self.page(&ListQuery { deleted: Deleted::Shown, ..one_page() }).await;
        assert!(!page.has_after, "the suite keeps no more than fit on a page");
        page.into_resources()
    }
}

/// A query for all that is live, on one page.
fn one_page() -> ListQuery {
    let size = PageSize::new(PageSize::MAX).unwrap_or_default();
    ListQuery { page: PageRequest { size, ..PageRequest::default() }, ..ListQuery::default() }
}
