//! The moment at which an exchange is over.

use std::time::Duration;

use linkspan_domain::ports::OutboundError;
use tokio::time::{Instant, timeout_at};

/// The longest exchange that can be asked for: a year.
const LONGEST: Duration = Duration::from_hours(365 * 24);

/// When an exchange is over, and how long it was allowed to last.
#[derive(Clone, Copy)]
pub(crate) struct Deadline {
    at: Instant,
    total: Duration,
}

impl Deadline {
    /// The end of an exchange that begins now and lasts `total`, at most [`LONGEST`].
    pub(crate) fn after(total: Duration) -> Self {
        let total = total.min(LONGEST);
        Self { at: Instant::now() + total, total }
    }

    /// What `work` with `host` answers, if it does so in time.
    pub(crate) async fn hold<T>(
        self,
        host: &str,
        work: impl Future<Output = T>,
    ) -> Result<T, OutboundError> {
        // Work that is always ready would never be interrupted, so the clock is looked at as well.
        if Instant::now() >= self.at {
            return Err(self.missed(host));
        }
        timeout_at(self.at, work).await.map_err(|_elapsed| self.missed(host))
    }

    fn missed(self, host: &str) -> OutboundError {
        let seconds = self.total.as_secs() + u64::from(self.total.subsec_nanos() > 0);
        OutboundError::TimedOut { host: host.to_owned(), seconds }
    }
}
