//! Patience with a server that is away for a moment, as while it is replaced.

use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};

use super::exit::{Failed, Outlook};

/// How long to wait before it is asked again, at first.
const AGAIN: Duration = Duration::from_secs(1);

/// For how long a server may be away.
pub(crate) const AWAY: Duration = Duration::from_mins(2);

/// Asks until there is an answer, or what is wrong will not pass. Only what may be asked twice is asked so.
pub(crate) async fn patiently<T, F: Future<Output = Result<T, Failed>>>(
    ask: impl FnMut() -> F,
) -> Result<T, Failed> {
    let again = ExponentialBuilder::default()
        .with_min_delay(AGAIN)
        .with_max_delay(AWAY / 8)
        .without_max_times()
        .with_total_delay(Some(AWAY));
    ask.retry(again).when(|failed: &Failed| failed.outlook == Outlook::Passing).await
}

/// What to say of a server that stayed away: `on` is what goes on all the same, as a sentence.
pub(crate) fn given_up(failed: Failed, on: &str) -> Failed {
    if failed.outlook == Outlook::Lasting {
        return failed;
    }
    let message = format!("not waiting any longer: {}. {on}", failed.message);
    Failed { message, ..failed }
}
