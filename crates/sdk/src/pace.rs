//! Keeping to the pace that a system asks for.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use http::{HeaderMap, StatusCode};
use linkspan_domain::{Secrets, WorkspaceConnectorId};
use sha2::{Digest, Sha256};
use tokio::time::{Instant, sleep};

use crate::{
    Failure,
    http::{date, retry_after, text},
};

/// How many requests systems still take, as their answers said. Clones share what was learnt, so that all uses of an
/// account keep to one budget.
#[derive(Clone, Default)]
pub struct Paces {
    budgets: Arc<Mutex<HashMap<(Account, String), Budget>>>,
    /// Who uses them. Nobody keeps to no pace: settings that are only being tried have no history.
    account: Option<Account>,
}

/// Whose requests a host counts together: those of all activations that log in with the same token or, without one, those of
/// one activation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Account([u8; 32]);

/// How many requests are left, and until when that holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Budget {
    left: u64,
    until: Instant,
}

/// How long a request waits for its turn. Who has to wait longer is told so, and comes back.
const PATIENCE: Duration = Duration::from_secs(20);

/// The longest that is believed.
const LONGEST: Duration = Duration::from_hours(1);

/// How long a secret is at least that names an account. Shorter ones are passwords, which others may have chosen as well.
const TOKEN: usize = 16;

/// From so many accounts on, those are forgotten that nothing holds for any more. Of ten times as many nothing is learnt.
const MANY: usize = 1_000;

impl Account {
    fn of(activation: WorkspaceConnectorId, secrets: &Secrets) -> Self {
        let pointers = secrets.pointers();
        let mut all = pointers.iter().filter_map(|it| secrets.get(it));
        Self(if all.any(|it| it.expose().len() >= TOKEN) {
            Sha256::digest(secrets.to_bytes().expose()).into()
        } else {
            Sha256::digest(activation.uuid()).into()
        })
    }
}

impl fmt::Debug for Paces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Paces({})", self.budgets().len())
    }
}

impl Paces {
    /// The same, for uses of `activation`, which has these secrets.
    pub(crate) fn of(&self, activation: WorkspaceConnectorId, secrets: &Secrets) -> Self {
        Self { account: Some(Account::of(activation, secrets)), ..self.clone() }
    }

    /// Waits for the turn of a request to `host`.
    pub(crate) async fn wait(&self, host: &str) -> Result<(), Failure> {
        while let Err(wait) = self.take(host) {
            if wait > PATIENCE {
                return Err(Failure::RateLimited { retry_after: Some(wait) });
            }
            sleep(wait).await;
        }
        Ok(())
    }

    /// Takes one request out of the budget, or says how long there is none.
    fn take(&self, host: &str) -> Result<(), Duration> {
        let Some(account) = self.account(host) else { return Ok(()) };
        let mut budgets = self.budgets();
        let Some(budget) = budgets.get_mut(&account) else { return Ok(()) };
        let rest = budget.until.saturating_duration_since(Instant::now());
        if rest.is_zero() {
            // What comes then is not known yet.
            budgets.remove(&account);
            return Ok(());
        }
        budget.left = budget.left.checked_sub(1).ok_or(rest)?;
        Ok(())
    }

    /// Learns from an answer of `host`.
    pub(crate) fn learn(&self, host: &str, status: StatusCode, headers: &HeaderMap) {
        let Some(account) = self.account(host) else { return };
        let Some((left, lasts)) = said(status, headers) else { return };
        let now = Instant::now();
        let mut budget = Budget { left, until: now + lasts.min(LONGEST) };
        let mut budgets = self.budgets();
        if let Some(known) = budgets.get(&account).filter(|it| it.until > now) {
            // Answers overtake each other: what is on its way is taken already.
            budget.left = budget.left.min(known.left);
        } else if budgets.len() >= MANY {
            budgets.retain(|_, it| it.until > now);
            if budgets.len() >= 10 * MANY {
                return;
            }
        }
        budgets.insert(account, budget);
    }

    fn account(&self, host: &str) -> Option<(Account, String)> {
        self.account.map(|account| (account, host.to_owned()))
    }

    fn budgets(&self) -> MutexGuard<'_, HashMap<(Account, String), Budget>> {
        self.budgets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many more requests a system takes, and for how long that holds.
fn said(status: StatusCode, headers: &HeaderMap) -> Option<(u64, Duration)> {
    let counted = counted(headers);
    let is_refused =
        matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE);
    match (is_refused, retry_after(headers)) {
        (true, Some(after)) => Some((0, after)),
        (true, None) => counted.map(|(_, reset)| (0, reset)),
        (false, _) => counted,
    }
}

/// `RateLimit-Remaining` and `RateLimit-Reset`, with an `X-` before them or not, or both in one `RateLimit`.
fn counted(headers: &HeaderMap) -> Option<(u64, Duration)> {
    let number = |name: &str| text(headers, name)?.parse::<u64>().ok();
    for prefix in ["", "x-"] {
        let remaining = number(&format!("{prefix}ratelimit-remaining"));
        let reset = number(&format!("{prefix}ratelimit-reset"));
        if let (Some(remaining), Some(reset)) = (remaining, reset) {
            return Some((remaining, from_now(reset, headers)?));
        }
    }
    let all = text(headers, "ratelimit")?;
    let part = |names: [&str; 2]| {
        let mut parts = all.split([';', ',']).filter_map(|it| it.trim().split_once('='));
        parts.find(|(name, _)| names.contains(name))?.1.parse::<u64>().ok()
    };
    Some((part(["r", "remaining"])?, Duration::from_secs(part(["t", "reset"])?)))
}

/// A reset in seconds from now or, where the number is as large, since 1970, measured against the answer's own `Date`.
fn from_now(reset: u64, headers: &HeaderMap) -> Option<Duration> {
    const A_POINT_IN_TIME: u64 = 1_000_000_000;
    if reset < A_POINT_IN_TIME {
        return Some(Duration::from_secs(reset));
    }
    let now = date(text(headers, "date")?)?.unix_timestamp();
    let seconds = i64::try_from(reset).ok()?.saturating_sub(now);
    Some(Duration::from_secs(u64::try_from(seconds).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use linkspan_domain::Secret;
    use uuid::Uuid;

    use super::*;

    fn headers(all: &[(&'static str, &str)]) -> HeaderMap {
        all.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    fn pace(paces: &Paces, activation: u128) -> Paces {
        with(paces, activation, "{}")
    }

    fn with(paces: &Paces, activation: u128, secrets: &str) -> Paces {
        let activation = WorkspaceConnectorId::from_uuid(Uuid::from_u128(activation));
        let secrets = Secret::new(secrets.as_bytes().to_vec());
        paces.of(activation, &Secrets::from_bytes(&secrets).unwrap())
    }

    const OK: StatusCode = StatusCode::OK;

    #[test]
    fn what_is_left_is_read_however_it_is_said() {
        let date = ("date", "Wed, 21 Oct 2026 07:28:00 GMT");
        for (all, expected) in [
            (headers(&[("ratelimit-remaining", "3"), ("ratelimit-reset", "9")]), Some((3, 9))),
            (headers(&[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "7")]), Some((0, 7))),
            (headers(&[("ratelimit", "\"default\";r=50;t=30")]), Some((50, 30))),
            (headers(&[("ratelimit", "limit=100, remaining=5, reset=8")]), Some((5, 8))),
            (
                headers(&[
                    ("x-ratelimit-remaining", "1"),
                    ("x-ratelimit-reset", "1792567690"),
                    date,
                ]),
                Some((1, 10)),
            ),
            (headers(&[("x-ratelimit-remaining", "1")]), None),
            (headers(&[("ratelimit", "soon")]), None),
            (HeaderMap::new(), None),
        ] {
            let expected = expected.map(|(left, secs)| (left, Duration::from_secs(secs)));
            assert_eq!(said(OK, &all), expected, "{all:?}");
        }
        let refused = headers(&[("retry-after", "4"), ("ratelimit", "r=9;t=60")]);
        let waits = Some((0, Duration::from_secs(4)));
        assert_eq!(said(StatusCode::TOO_MANY_REQUESTS, &refused), waits);
    }

    #[tokio::test(start_paused = true)]
    async fn all_uses_of_an_account_share_its_budget() {
        let paces = Paces::default();
        let (one, same, other) = (pace(&paces, 1), pace(&paces, 1), pace(&paces, 2));
        one.wait("a.example").await.unwrap();
        one.learn("a.example", OK, &headers(&[("ratelimit", "r=2;t=10")]));
        let began = Instant::now();
        one.wait("a.example").await.unwrap();
        same.wait("a.example").await.unwrap();
        assert!(began.elapsed().is_zero(), "two were left");
        other.wait("a.example").await.unwrap();
        one.wait("b.example").await.unwrap();
        assert!(began.elapsed().is_zero(), "others have budgets of their own");
        same.wait("a.example").await.unwrap();
        assert!(began.elapsed() >= Duration::from_secs(10), "{:?}", began.elapsed());
    }

    #[test]
    fn activations_that_log_in_alike_are_one_account() {
        let paces = Paces::default();
        let alike = "{\"/token\":\"a-token-of-some-length\"}";
        let one = with(&paces, 1, alike);
        one.learn("a.example", OK, &headers(&[("ratelimit", "r=1;t=10")]));
        let (two, other) =
            (with(&paces, 2, alike), with(&paces, 2, "{\"/token\":\"another-of-some-length\"}"));
        assert_eq!(two.take("a.example"), Ok(()));
        assert!(one.take("a.example").is_err(), "the other took the last one");
        assert_eq!(other.take("a.example"), Ok(()));
        assert_eq!(pace(&paces, 1).take("a.example"), Ok(()));
        let weak = "{\"/password\":\"secret\"}";
        let one = with(&paces, 1, weak);
        one.learn("a.example", OK, &headers(&[("ratelimit", "r=0;t=10")]));
        assert!(one.take("a.example").is_err());
        assert_eq!(with(&paces, 2, weak).take("a.example"), Ok(()), "the same password by chance");
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_comes_late_gives_nothing_back() {
        let paces = Paces::default();
        let one = pace(&paces, 1);
        one.learn("a.example", OK, &headers(&[("ratelimit", "r=1;t=10")]));
        one.wait("a.example").await.unwrap();
        one.learn("a.example", OK, &headers(&[("ratelimit", "r=1;t=10")]));
        assert_eq!(one.take("a.example"), Err(Duration::from_secs(10)));
    }

    #[tokio::test(start_paused = true)]
    async fn who_would_wait_too_long_is_told() {
        let paces = Paces::default();
        let one = pace(&paces, 1);
        one.learn("a.example", StatusCode::TOO_MANY_REQUESTS, &headers(&[("retry-after", "90")]));
        let told = one.wait("a.example").await.unwrap_err();
        let Failure::RateLimited { retry_after: Some(wait) } = told else { panic!("{told}") };
        assert_eq!(wait, Duration::from_secs(90));
        let nobody = paces;
        nobody.learn("a.example", OK, &headers(&[("ratelimit", "r=0;t=60")]));
        nobody.wait("a.example").await.unwrap();
    }
}
