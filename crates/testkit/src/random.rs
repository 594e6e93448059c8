//! Chance that repeats itself.

/// A random walk out of a fixed seed, so that a failure comes again. SplitMix64.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The walk out of `seed`.
    pub const fn from_seed(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below `end`.
    #[expect(clippy::cast_possible_truncation, reason = "it is below `end`")]
    pub fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut it = self.0;
        it = (it ^ (it >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        it = (it ^ (it >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((it ^ (it >> 31)) % end as u64) as usize
    }

    /// One of `from`.
    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }
}
