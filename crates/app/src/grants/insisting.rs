//! Writing what a provider says only once, though the store is away.

use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use linkspan_domain::ports::StoreError;

/// How soon it is written again, and at most how much later.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

/// For how long: a database that fails over is back by then.
const PATIENCE: Duration = Duration::from_mins(2);

/// Does `write` again as long as the store does not answer. It changes nothing where it comes too late: whoever was faster has
/// made it stale.
pub(super) async fn insist<T, Written: Future<Output = Result<T, StoreError>>>(
    write: impl FnMut() -> Written,
) -> Result<T, StoreError> {
    let (soonest, latest) = PAUSES;
    let again = ExponentialBuilder::default()
        .with_min_delay(soonest)
        .with_max_delay(latest)
        .without_max_times()
        .with_total_delay(Some(PATIENCE));
    write.retry(again).when(|error| matches!(error, StoreError::Unavailable(_))).await
}
