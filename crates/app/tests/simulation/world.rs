//! What stands around the processes: a clock that is told when to go, and a vault that hides nothing.

use std::sync::{
    Mutex,
    atomic::{AtomicI64, AtomicU64, Ordering},
};

use linkspan_domain::{
    Secret,
    ports::{KeyId, Purpose, SealContext, Sealed, Vault, VaultError, World},
};
use linkspan_testkit::{
    Random,
    fixtures::{EPOCH, Place, id},
};
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

/// A clock that goes when it is told to, and identifiers by chance.
pub(crate) struct Clock {
    microseconds: AtomicI64,
    random: Mutex<Random>,
    ids: AtomicU64,
}

impl Clock {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            microseconds: AtomicI64::new(0),
            random: Mutex::new(Random::from_seed(seed)),
            ids: AtomicU64::new(0),
        }
    }

    pub(crate) fn advance(&self, by: Duration) {
        let by = i64::try_from(by.whole_microseconds()).unwrap();
        self.microseconds.fetch_add(by, Ordering::Relaxed);
    }
}

impl World for Clock {
    fn now(&self) -> OffsetDateTime {
        EPOCH + Duration::microseconds(self.microseconds.load(Ordering::Relaxed))
    }

    fn uuid(&self) -> Uuid {
        let low = self.random.lock().unwrap().below(usize::MAX);
        Uuid::from_u64_pair(self.ids.fetch_add(1, Ordering::Relaxed), low as u64)
    }
}

/// Seals nothing: what is sealed is not what is tried here.
pub(crate) struct Glass;

impl Vault for Glass {
    fn seal(&self, _: SealContext, plain: &[u8]) -> Result<Sealed, VaultError> {
        Ok(Sealed::from_bytes(plain.to_vec()))
    }

    fn open(&self, _: SealContext, sealed: &Sealed) -> Result<Secret<Vec<u8>>, VaultError> {
        Ok(Secret::new(sealed.as_bytes().to_vec()))
    }

    fn current(&self) -> KeyId {
        KeyId::from_bytes([0; KeyId::LEN])
    }

    fn previous(&self) -> Vec<KeyId> {
        Vec::new()
    }
}

/// Whatever is sealed: nobody asks what for.
pub(crate) fn context() -> SealContext {
    SealContext { purpose: Purpose::Grant, row: Uuid::nil() }
}

/// Where everything belongs.
pub(crate) fn place() -> Place {
    Place {
        organization: id(9_001),
        stranger: id(9_002),
        workspace: id(9_003),
        lower_workspace: id(9_004),
        foreign_workspace: id(9_005),
        person: id(9_006),
        connectors: vec![id(9_007)],
        provider: id(9_008),
        activation: id(9_009),
    }
}
