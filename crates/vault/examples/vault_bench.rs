//! Seals and opens a secret of 1 KB again and again on one thread, and prints one JSON object with the time of a pair.

use std::{
    env,
    error::Error,
    hint::black_box,
    time::{Duration, Instant},
};

use linkspan_domain::ports::{Purpose, SealContext, Vault};
use linkspan_vault::{Keyring, KeyringVault, MasterKey};
use uuid::Uuid;

/// How many pairs there are between two looks at the clock.
const BATCH: u32 = 1_000;

#[expect(clippy::print_stdout, reason = "its output is what it is for")]
fn main() -> Result<(), Box<dyn Error>> {
    let Some(seconds) = env::args().nth(1) else { return Err("give seconds".into()) };
    let lasts = Duration::from_secs(seconds.parse()?);
    let vault = KeyringVault::new(Keyring::new(MasterKey::from_bytes([7; 32]), [])?);
    let context = SealContext { purpose: Purpose::Credentials, row: Uuid::from_u128(7) };
    let plain = [b'x'; 1024];
    let mut pairs = 0_u32;
    let began = Instant::now();
    while began.elapsed() < lasts {
        for _ in 0..BATCH {
            let sealed = vault.seal(black_box(context), black_box(&plain))?;
            black_box(vault.open(context, black_box(&sealed))?);
        }
        pairs += BATCH;
    }
    let micros = began.elapsed().as_secs_f64() * 1e6 / f64::from(pairs);
    println!("{{\"microseconds\":{micros}}}");
    Ok(())
}
