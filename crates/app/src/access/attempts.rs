//! How often credentials that do not work are tried, and from where.

use std::{
    collections::{BTreeMap, HashMap},
    hash::Hash,
    net::{IpAddr, Ipv6Addr},
    sync::{Mutex, MutexGuard, PoisonError},
};

use linkspan_domain::KeyHash;
use time::{Duration, OffsetDateTime};

/// Counts failures, and slows down whoever guesses.
///
/// After too many failures within a minute, from an address or for keys that begin alike, no key is looked up any more until the
/// minute is over: a right guess is not told from a wrong one. Keys that worked within the last hour are looked up all the
/// same, so that others behind the same address are not locked out.
#[derive(Debug, Default)]
pub(super) struct Attempts {
    memory: Mutex<Memory>,
    tally: Mutex<Tally>,
}

#[derive(Debug, Default)]
struct Memory {
    failures: HashMap<Source, Failures>,
    /// Keys that worked, and until when that counts.
    proven: HashMap<KeyHash, OffsetDateTime>,
    failures_swept: Swept,
    proven_swept: Swept,
}

/// Before when it is in vain to look through everything for what is over.
#[derive(Clone, Copy, Debug, Default)]
struct Swept(Option<OffsetDateTime>);

/// What failures have in common.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Source {
    /// They came from there. Who has one address of IPv6 has the network around it.
    Address(Option<IpAddr>),
    /// The keys begin like that.
    Prefix(String),
    /// There are too many to tell them apart.
    Rest,
}

#[derive(Clone, Copy, Debug)]
struct Failures {
    count: u32,
    since: OffsetDateTime,
}

/// The refusals that nobody was told of yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) count: u64,
    pub(super) addresses: BTreeMap<String, u64>,
}

/// How long failures count, from the first of them on.
const WINDOW: Duration = Duration::MINUTE;
/// How many failures an address has.
const PER_ADDRESS: u32 = 20;
/// How many failures keys that begin alike have, wherever they come from.
const PER_PREFIX: u32 = 100;
/// For how long a key that worked is looked up whatever else comes from its address.
const PROVEN: Duration = Duration::HOUR;
/// How much is remembered at most, of either.
const LIMIT: usize = 10_000;
/// How long it lasts at least from one look through everything to the next: whoever fills the memory slows nobody down.
const SWEEP: Duration = Duration::SECOND;
/// How many addresses are told.
const TOLD: usize = 20;

impl Attempts {
    /// Passes if a key that begins with `prefix` may be looked up for `address`, else says how long to wait.
    pub(super) fn admit(
        &self,
        address: Option<IpAddr>,
        prefix: &str,
        hash: &KeyHash,
        now: OffsetDateTime,
    ) -> Result<(), Duration> {
        let memory = self.memory();
        if memory.proven.get(hash).is_some_and(|until| now < *until) {
            return Ok(());
        }
        let waits = sources(address, prefix).into_iter().filter_map(|(source, most)| {
            let failures = memory.failures.get(&memory.place(source))?;
            let left = failures.since + WINDOW - now;
            (failures.count >= most && left.is_positive()).then_some(left)
        });
        waits.max().map_or(Ok(()), Err)
    }

    /// Counts a failure.
    pub(super) fn failed(&self, address: Option<IpAddr>, prefix: &str, now: OffsetDateTime) {
        let mut memory = self.memory();
        let Memory { failures, failures_swept, .. } = &mut *memory;
        failures_swept.make_room(failures, now, |it| it.since + WINDOW);
        for (source, _) in sources(address, prefix) {
            let place = memory.place(source);
            let fresh = Failures { count: 0, since: now };
            let failures = memory.failures.entry(place).or_insert(fresh);
            if now >= failures.since + WINDOW {
                *failures = fresh;
            }
            failures.count = failures.count.saturating_add(1);
        }
    }

    /// Remembers that a key worked.
    pub(super) fn worked(&self, hash: &KeyHash, now: OffsetDateTime) {
        let mut memory = self.memory();
        let Memory { proven, proven_swept, .. } = &mut *memory;
        proven_swept.make_room(proven, now, |until| *until);
        if memory.proven.len() < LIMIT || memory.proven.contains_key(hash) {
            memory.proven.insert(hash.clone(), now + PROVEN);
        }
    }

    /// Counts a refusal for the audit trail. Answers whether it is the first since the last [`tally`](Self::tally).
    pub(super) fn note(&self, address: Option<IpAddr>) -> bool {
        let mut tally = self.tally.lock().unwrap_or_else(PoisonError::into_inner);
        tally.count += 1;
        let address = address.map_or_else(|| "unknown".to_owned(), |it| it.to_string());
        if tally.addresses.len() < TOLD || tally.addresses.contains_key(&address) {
            *tally.addresses.entry(address).or_default() += 1;
        }
        tally.count == 1
    }

    /// All refusals since the last time.
    pub(super) fn tally(&self) -> Tally {
        std::mem::take(&mut *self.tally.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Memory {
    /// Where failures of `source` are counted.
    fn place(&self, source: Source) -> Source {
        let has_room = self.failures.len() < LIMIT || self.failures.contains_key(&source);
        if has_room { source } else { Source::Rest }
    }
}

impl Swept {
    /// Takes what is over out of a map that is full.
    fn make_room<K: Eq + Hash, V>(
        &mut self,
        map: &mut HashMap<K, V>,
        now: OffsetDateTime,
        over: impl Fn(&V) -> OffsetDateTime,
    ) {
        if map.len() < LIMIT || self.0.is_some_and(|next| now < next) {
            return;
        }
        map.retain(|_, it| now < over(it));
        let next = map.values().map(over).min();
        self.0 = next.map(|next| next.max(now + SWEEP));
    }
}

/// Under what a failure counts, and how many may.
fn sources(address: Option<IpAddr>, prefix: &str) -> [(Source, u32); 2] {
    let network = address.map(|it| match it {
        IpAddr::V6(it) => {
            let [a, b, c, d, ..] = it.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        IpAddr::V4(_) => it,
    });
    [(Source::Address(network), PER_ADDRESS), (Source::Prefix(prefix.to_owned()), PER_PREFIX)]
}

#[cfg(test)]
mod tests {
    use linkspan_domain::Secret;

    use super::*;
    use crate::fixtures::NOW;

    fn hash(text: &str) -> KeyHash {
        KeyHash::of(&Secret::new(text.to_owned()))
    }

    fn from(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn waits(attempts: &Attempts, address: &str, key: &str, at: OffsetDateTime) -> Option<i64> {
        let admitted = attempts.admit(Some(from(address)), key, &hash(key), at);
        admitted.err().map(Duration::whole_seconds)
    }

    #[test]
    fn who_guesses_waits_until_the_minute_is_over_and_others_do_not() {
        let attempts = Attempts::default();
        for number in 0..20 {
            assert_eq!(waits(&attempts, "192.0.2.7", "lsk_a", NOW), None, "{number}");
            attempts.failed(Some(from("192.0.2.7")), &format!("lsk_{number}"), NOW);
        }
        let later = NOW + Duration::seconds(10);
        assert_eq!(waits(&attempts, "192.0.2.7", "lsk_a", later), Some(50));
        assert_eq!(waits(&attempts, "192.0.2.8", "lsk_a", later), None);
        assert_eq!(waits(&attempts, "192.0.2.7", "lsk_a", NOW + Duration::MINUTE), None);
    }

    #[test]
    fn a_key_that_worked_goes_on_working_from_an_address_that_guesses() {
        let attempts = Attempts::default();
        attempts.worked(&hash("lsk_good"), NOW);
        for number in 0..200 {
            attempts.failed(Some(from("192.0.2.7")), &format!("lsk_{number}"), NOW);
        }
        assert_eq!(waits(&attempts, "192.0.2.7", "lsk_good", NOW), None);
        assert_eq!(waits(&attempts, "192.0.2.7", "lsk_new", NOW), Some(60));
    }

    #[test]
    fn a_key_whose_beginning_is_known_is_not_guessed_from_many_addresses() {
        let attempts = Attempts::default();
        for number in 0..100_u32 {
            let address = IpAddr::from(number.to_be_bytes());
            attempts.failed(Some(address), "lsk_abc", NOW);
        }
        assert_eq!(waits(&attempts, "192.0.2.7", "lsk_abc", NOW), Some(60));
        assert_eq!(waits(&attempts, "192.0.2.7", "lsk_xyz", NOW), None);
    }

    #[test]
    fn a_network_of_ipv6_is_one_address() {
        let attempts = Attempts::default();
        for number in 0..20 {
            attempts.failed(
                Some(from(&format!("2001:db8:1:2::{number}"))),
                &number.to_string(),
                NOW,
            );
        }
        assert_eq!(waits(&attempts, "2001:db8:1:2:ffff::1", "lsk_a", NOW), Some(60));
        assert_eq!(waits(&attempts, "2001:db8:1:3::1", "lsk_a", NOW), None);
    }

    #[test]
    fn memory_is_bounded_and_who_does_not_fit_shares_a_count() {
        let attempts = Attempts::default();
        for number in 0..20_000_u32 {
            let address = IpAddr::from(number.to_be_bytes());
            attempts.failed(Some(address), &number.to_string(), NOW);
            attempts.worked(&hash(&number.to_string()), NOW);
        }
        let memory = attempts.memory();
        assert!(memory.failures.len() <= LIMIT + 1, "{}", memory.failures.len());
        assert!(memory.proven.len() <= LIMIT, "{}", memory.proven.len());
        drop(memory);
        assert_eq!(waits(&attempts, "192.0.2.7", "lsk_a", NOW), Some(60));
        let over = NOW + Duration::MINUTE;
        assert_eq!(waits(&attempts, "192.0.2.7", "lsk_a", over), None);
        attempts.failed(Some(from("192.0.2.7")), "lsk_a", over);
        assert_eq!(attempts.memory().failures.len(), 2, "what is over is forgotten");
    }

    #[test]
    fn refusals_are_told_together() {
        let attempts = Attempts::default();
        assert!(attempts.note(Some(from("192.0.2.7"))));
        assert!(!attempts.note(Some(from("192.0.2.7"))));
        assert!(!attempts.note(None));
        for number in 0..100_u32 {
            attempts.note(Some(IpAddr::from(number.to_be_bytes())));
        }
        let tally = attempts.tally();
        assert_eq!((tally.count, tally.addresses.len()), (103, TOLD));
        assert_eq!((tally.addresses["192.0.2.7"], tally.addresses["unknown"]), (2, 1));
        assert_eq!(attempts.tally(), Tally::default());
        assert!(attempts.note(None));
    }
}
