//! Pages that were written before, as long as nothing was committed since.
//!
//! Most lists are asked for again and again while nothing changes: by consoles that poll, by workers that wait. Each request
//! asks the database whether anything was committed, which costs it next to nothing; only then a page is sent again.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use futures_util::{
    FutureExt,
    future::{BoxFuture, Shared},
};
use linkspan_domain::{
    Caller,
    ports::{Snapshot, Snapshots},
};
use tokio::sync::Semaphore;

/// How many bytes all pages have together at most.
const ALL_BYTES: usize = 8 << 20;
/// How many bytes a page has at most that is kept.
const PAGE_BYTES: usize = 256 << 10;

/// Pages that were written before.
pub(crate) struct Pages {
    snapshots: Arc<dyn Snapshots>,
    kept: Mutex<Kept>,
    /// The question that was not asked yet: whoever comes now waits for its answer, too.
    next: Mutex<Option<Question>>,
    /// One question at a time.
    turn: Semaphore,
}

type Question = Shared<BoxFuture<'static, Option<Snapshot>>>;

#[derive(Default)]
struct Kept {
    snapshot: Option<Snapshot>,
    bytes: usize,
    /// By target. The same target shows each caller something else.
    pages: HashMap<String, Vec<(Caller, Bytes)>>,
}

impl Pages {
    pub(crate) fn new(snapshots: Arc<dyn Snapshots>) -> Self {
        Self { snapshots, kept: Mutex::default(), next: Mutex::default(), turn: Semaphore::new(1) }
    }

    /// What readers see from now on. None: the database does not say.
    ///
    /// Requests that arrive together ask once: the question is asked after the last of them arrived.
    pub(crate) async fn snapshot(self: &Arc<Self>) -> Option<Snapshot> {
        let question = {
            let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
            next.get_or_insert_with(|| Arc::clone(self).ask().boxed().shared()).clone()
        };
        question.await
    }

    async fn ask(self: Arc<Self>) -> Option<Snapshot> {
        let _turn = self.turn.acquire().await.ok()?;
        // Who comes from now on might know of something that the answer does not.
        self.next.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.snapshots.now().await.ok()
    }

    /// The page that `caller` sees at `target`, if nothing was committed since it was written.
    pub(crate) fn find(&self, now: &Snapshot, caller: &Caller, target: &str) -> Option<Bytes> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.snapshot.as_ref() != Some(now) {
            return None;
        }
        let pages = kept.pages.get(target)?;
        pages.iter().find(|(whose, _)| whose == caller).map(|(_, page)| page.clone())
    }

    /// Keeps a page that was read after `snapshot`.
    pub(crate) fn keep(&self, snapshot: Snapshot, caller: &Caller, target: &str, page: &Bytes) {
        if page.len() > PAGE_BYTES {
            return;
        }
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.snapshot.as_ref() != Some(&snapshot) || kept.bytes + page.len() > ALL_BYTES {
            *kept = Kept { snapshot: Some(snapshot), ..Kept::default() };
        }
        kept.bytes += page.len();
        kept.pages.entry(target.to_owned()).or_default().push((caller.clone(), page.clone()));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use async_trait::async_trait;
    use linkspan_domain::{OrganizationId, Visible, WorkspaceId, ports::StoreError};
    use uuid::Uuid;

    use super::*;

    #[derive(Default)]
    struct Counted {
        version: AtomicU64,
        asked: AtomicU64,
    }

    #[async_trait]
    impl Snapshots for Counted {
        async fn now(&self) -> Result<Snapshot, StoreError> {
            self.asked.fetch_add(1, Ordering::Relaxed);
            tokio::task::yield_now().await;
            Ok(Snapshot::new(self.version.load(Ordering::Relaxed).to_string()))
        }
    }

    fn caller(workspace: u128) -> Caller {
        let workspace = WorkspaceId::from_uuid(Uuid::from_u128(workspace));
        Caller::system(OrganizationId::from_uuid(Uuid::nil()), Visible::only(workspace))
    }

    #[tokio::test]
    async fn a_page_is_sent_again_until_something_is_committed() {
        let counted = Arc::new(Counted::default());
        let pages = Arc::new(Pages::new(Arc::clone(&counted) as _));
        let page = Bytes::from_static(b"page");
        let before = pages.snapshot().await.unwrap();
        assert_eq!(pages.find(&before, &caller(1), "/v1/connectors"), None);
        pages.keep(before.clone(), &caller(1), "/v1/connectors", &page);
        assert_eq!(pages.find(&before, &caller(1), "/v1/connectors"), Some(page));
        assert_eq!(pages.find(&before, &caller(2), "/v1/connectors"), None, "another caller");
        assert_eq!(pages.find(&before, &caller(1), "/v1/providers"), None, "another list");
        counted.version.store(1, Ordering::Relaxed);
        let after = pages.snapshot().await.unwrap();
        assert_eq!(pages.find(&after, &caller(1), "/v1/connectors"), None, "another state");
        // A reader that was slow does not bring the old state back for others.
        pages.keep(after.clone(), &caller(1), "/v1/connectors", &Bytes::from_static(b"new"));
        assert_eq!(pages.find(&before, &caller(1), "/v1/connectors"), None);
    }

    #[tokio::test]
    async fn pages_do_not_pile_up() {
        let pages = Arc::new(Pages::new(Arc::new(Counted::default())));
        let now = pages.snapshot().await.unwrap();
        let page = Bytes::from(vec![b'x'; PAGE_BYTES]);
        for number in 0..200 {
            pages.keep(now.clone(), &caller(1), &format!("/v1/connectors?{number}"), &page);
            let kept = pages.kept.lock().unwrap();
            assert!(kept.bytes <= ALL_BYTES && kept.bytes >= page.len());
        }
        let large = Bytes::from(vec![b'x'; PAGE_BYTES + 1]);
        pages.keep(now.clone(), &caller(1), "/v1/people", &large);
        assert_eq!(pages.find(&now, &caller(1), "/v1/people"), None);
    }

    #[tokio::test]
    async fn requests_that_arrive_together_ask_once() {
        let counted = Arc::new(Counted::default());
        let pages = Arc::new(Pages::new(Arc::clone(&counted) as _));
        let together = futures_util::future::join_all((0..50).map(|_| pages.snapshot())).await;
        assert!(together.iter().all(Option::is_some));
        assert!(counted.asked.load(Ordering::Relaxed) <= 2);
        pages.snapshot().await.unwrap();
        assert!(counted.asked.load(Ordering::Relaxed) >= 2, "who comes later asks anew");
    }
}
