//! A page of what a condition holds of: the database lets candidates through, and each of them is asked.

use async_trait::async_trait;
use linkspan_domain::ports::StoreError;

/// How many candidates are fetched at a time.
pub(crate) const FETCH: usize = 500;

/// How many candidates are asked for one page at most.
const ASKED: usize = 10_000;

/// How many bytes may have been found for one page before it ends.
const BYTES: usize = 8 << 20;

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
    asked: usize,
    bytes: usize,
    /// What the condition holds of.
    pub(crate) found: Vec<F>,
    /// The last candidate that was asked, or where to begin.
    pub(crate) last: Option<P>,
}

/// Whether all candidates were asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Through {
    /// There are no more.
    All,
    /// The page is full, or enough of them were asked.
    NotYet,
}

impl<P: Clone + Send, F: Send> Asking<P, F> {
    /// A page of at most `limit`, behind `after`.
    pub(crate) fn new(limit: u32, after: Option<P>) -> Self {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        Self { limit, asked: 0, bytes: 0, found: Vec::new(), last: after }
    }

    /// Asks `candidates` until there are no more of them or the page is done.
    pub(crate) async fn go_through(
        &mut self,
        candidates: &impl Candidates<Place = P, Found = F>,
    ) -> Result<Through, StoreError> {
        while !self.is_done() {
            let fetched = candidates.fetch(self.last.as_ref()).await?;
            let is_last = fetched.len() < FETCH;
            for (place, candidate) in fetched {
                if self.is_done() {
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

    const fn is_done(&self) -> bool {
        self.found.len() >= self.limit || self.asked >= ASKED || self.bytes >= BYTES
    }
}
