//! A page of what a condition holds of: the database lets candidates through, and each of them is asked.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use linkspan_domain::ports::StoreError;

/// How many candidates are fetched at a time.
pub(crate) const FETCH: usize = 500;

/// How many candidates are asked for one page at most.
const ASKED: usize = 10_000;

/// How many bytes may have been found for one page before it ends.
const BYTES: usize = 8 << 20;

/// How long looking for something may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SearchTime {
    /// After so long a page ends with what was found until then, and says where to go on.
    pub page: Duration,
    /// After so long a single statement is stopped. On PostgreSQL it counts in milliseconds.
    pub statement: Duration,
}

impl Default for SearchTime {
    fn default() -> Self {
        Self { page: Duration::from_secs(5), statement: Duration::from_secs(10) }
    }
}

/// Where candidates come from.
#[async_trait]
pub(crate) trait Candidates: Sync {
    /// A place among them.
    type Place: Clone + Send;
    /// What may be found.
    type Candidate: Send;
    /// What is found.
    type Found: Send;

    /// The next candidates behind a place, with their own, at most [so many](FETCH).
    async fn fetch(
        &self,
        after: Option<&Self::Place>,
    ) -> Result<Vec<(Self::Place, Self::Candidate)>, StoreError>;

    /// How many bytes a candidate would take in a page.
    fn size(&self, candidate: &Self::Candidate) -> usize;

    /// What is found in a candidate, if the condition holds of it.
    fn ask(&self, candidate: Self::Candidate) -> Result<Option<Self::Found>, StoreError>;
}

/// A page in the making. `P` is a place among the candidates, `F` what is found.
pub(crate) struct Asking<P, F> {
    limit: usize,
    until: Instant,
    fetches: usize,
    asked: usize,
    bytes: usize,
    /// What the condition holds of.
    pub(crate) found: Vec<F>,
    /// The last candidate that was asked, or where to go on.
    pub(crate) last: Option<P>,
}

/// Whether all candidates were asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Through {
    /// There are no more.
    All,
    /// The page is full, enough of them were asked, or it took long enough.
    NotYet,
}

impl<P: Clone + Send, F: Send> Asking<P, F> {
    /// A page of at most `limit`, behind `after`, that ends early once it took so long.
    pub(crate) fn new(limit: u32, time: Duration, after: Option<P>) -> Self {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let until = Instant::now() + time;
        Self { limit, until, fetches: 0, asked: 0, bytes: 0, found: Vec::new(), last: after }
    }

    /// Asks `candidates` until there are no more of them or the page is done.
    pub(crate) async fn go_through(
        &mut self,
        candidates: &impl Candidates<Place = P, Found = F>,
    ) -> Result<Through, StoreError> {
        while !self.is_full() && !self.is_late() {
            let fetched = candidates.fetch(self.last.as_ref()).await?;
            self.fetches += 1;
            let is_last = fetched.len() < FETCH;
            for (place, candidate) in fetched {
                if self.is_full() {
                    return Ok(Through::NotYet);
                }
                self.asked += 1;
                self.last = Some(place);
                let size = candidates.size(&candidate);
                if let Some(found) = candidates.ask(candidate)? {
                    self.bytes += size;
                    self.found.push(found);
                }
            }
            if is_last {
                return Ok(Through::All);
            }
        }
        Ok(Through::NotYet)
    }

    const fn is_full(&self) -> bool {
        self.found.len() >= self.limit || self.asked >= ASKED || self.bytes >= BYTES
    }

    /// Every page fetches once, however long that takes: else the next would begin where this one did.
    fn is_late(&self) -> bool {
        self.fetches > 0 && Instant::now() >= self.until
    }
}
