//! How much a test does: little by default, everything with `KAFKAMQ_FULL=1`, or as told by a
//! variable of its own.

use fastrand::Rng;

/// Whether `KAFKAMQ_FULL=1` asks for the full size of every test.
#[must_use]
pub fn full() -> bool {
    std::env::var_os("KAFKAMQ_FULL").is_some_and(|value| value == "1")
}

/// The number that the variable `name` holds, else `large` in full size, else `small`.
#[must_use]
pub fn size(name: &str, small: u32, large: u32) -> u32 {
    let told = std::env::var(name).ok().and_then(|text| text.parse().ok());
    told.unwrap_or(if full() { large } else { small })
}

/// Random numbers from `KAFKAMQ_SEED`, or from a fresh seed, which is returned to be printed.
#[must_use]
pub fn random() -> (u64, Rng) {
    let told = std::env::var("KAFKAMQ_SEED")
        .ok()
        .and_then(|text| text.parse().ok());
    let seed = told.unwrap_or_else(|| fastrand::u64(..1_000_000));
    (seed, Rng::with_seed(seed))
}
