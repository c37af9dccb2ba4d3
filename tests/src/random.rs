//! Random values of the harness.

use base64::{Engine, prelude::BASE64_STANDARD};

/// 32 random bytes.
#[must_use]
pub fn bytes() -> [u8; 32] {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).expect("random bytes of the operating system");
    bytes
}

/// A random UUID.
#[must_use]
pub fn uuid() -> uuid::Uuid {
    let bytes: [u8; 16] = bytes()[..16].try_into().expect("16 of 32 bytes");
    uuid::Builder::from_random_bytes(bytes).into_uuid()
}

/// 40 hexadecimal digits.
#[must_use]
pub fn hex40() -> String {
    hex::encode(&bytes()[..20])
}

/// 32 bytes in base64, as `secrets.key_file` wants them.
#[must_use]
pub fn key() -> String {
    BASE64_STANDARD.encode(bytes())
}

/// Numbers that depend on the seed alone (SplitMix64), for what must be done again the same way.
#[derive(Clone, Debug)]
pub struct Seeded(u64);

impl Seeded {
    /// The numbers of this seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below `end`, which is not 0.
    pub fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let end = u64::try_from(end).expect("a number of 64 bits");
        usize::try_from((mixed ^ (mixed >> 31)) % end).expect("a number below one that fits")
    }

    /// Whether something happens that does in so many of a hundred cases.
    pub fn percent(&mut self, chance: usize) -> bool {
        self.below(100) < chance
    }

    /// One of these.
    pub fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }
}
