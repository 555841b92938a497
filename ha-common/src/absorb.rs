//! Whether an advertisement says what the last one said, so that nobody needs to be woken for it.
//!
//! The decision is written once: the XDP program takes it on a slot of its map, the packet-socket
//! path on a slot in ordinary memory, the simulation on one in a variable.
//!
//! A slot's [`State`] is one word, so that each change of it is one atomic instruction. The engine
//! writes what it expects while the slot is closed, and opens it with a new generation. Whoever
//! absorbs reads the word, then what is expected, and counts by a compare-exchange of the word: it
//! fails if anything has happened to the slot meanwhile, so that nothing is absorbed for what was
//! read half old and half new. Any difference closes the slot: absorbed frames are those that came
//! before the first one that the engine has to see.

use crate::abi::{Content, words};

/// The state of a slot: whether it is open, in which generation, and how many were absorbed in it.
///
/// The count may wrap around into the generation, after 497 days at 10 ms: whoever reads it takes
/// differences, and a changed generation only makes a compare-exchange fail.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct State(pub u64);

/// What becomes of a valid advertisement.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Step {
    /// It is absorbed, if the slot's state can be exchanged for this one, and else goes up.
    Absorb(State),
    /// It goes up, after the slot was closed.
    Close,
    /// It goes up: the slot is closed.
    Pass,
}

impl State {
    /// Set while the slot is open.
    pub const OPEN: u64 = 1 << 63;
    const GENERATION: u64 = 1 << 32;
    const COUNT: u64 = Self::GENERATION - 1;

    /// Whether what is expected is whole, and in force.
    #[inline(always)]
    #[must_use]
    pub const fn is_open(self) -> bool {
        self.0 & Self::OPEN != 0
    }

    /// Frames absorbed in this generation.
    #[inline(always)]
    #[must_use]
    #[expect(clippy::as_conversions, reason = "masked, and there is no const conversion")]
    pub const fn count(self) -> u32 {
        (self.0 & Self::COUNT) as u32
    }

    /// Open, in the next generation, with a count of zero.
    #[must_use]
    pub const fn reopened(self) -> Self {
        Self((self.0 & !Self::COUNT).wrapping_add(Self::GENERATION) | Self::OPEN)
    }

    /// Closed, in the same generation, with the same count.
    #[inline(always)]
    #[must_use]
    pub const fn closed(self) -> Self {
        Self(self.0 & !Self::OPEN)
    }

    #[inline(always)]
    const fn counted(self) -> Self {
        Self(self.0.wrapping_add(1))
    }
}

/// Judges a valid advertisement by a slot whose state was read before this. `expected` reads the
/// words of what is expected, in the order of [`Content`]'s.
#[inline(always)]
#[must_use]
pub fn judge(state: State, said: &Content, expected: impl Fn(usize) -> u64) -> Step {
    if !state.is_open() {
        return Step::Pass;
    }
    // What differs most often comes first: the same router with another priority.
    let is_same = expected(2) == said.header
        && expected(3) == said.hash
        && expected(0) == said.source[0]
        && expected(1) == said.source[1];
    if is_same { Step::Absorb(state.counted()) } else { Step::Close }
}

impl Content {
    /// Of a message whose first bytes and [`hash`] are known.
    #[inline(always)]
    #[must_use]
    pub fn new(source: [u8; 16], header: [u8; 8], hash: u64) -> Self {
        Self { source: words(source), header: u64::from_ne_bytes(header), hash }
    }

    /// Of a whole message from `source`; `None` for less than a header.
    #[must_use]
    pub fn of(source: [u8; 16], message: &[u8]) -> Option<Self> {
        Some(Self::new(source, *message.first_chunk()?, hash(message)))
    }

    /// Its words, as [`judge`] asks for them.
    #[must_use]
    pub const fn words(&self) -> [u64; 4] {
        let [first, second] = self.source;
        [first, second, self.header, self.hash]
    }
}

/// The hash of no bytes, by FNV-1a.
pub const HASH_START: u64 = 0xcbf2_9ce4_8422_2325;
const HASH_PRIME: u64 = 0x0100_0000_01b3;

/// Adds the next four bytes of a message, as FNV-1a adds one: any change within four bytes changes
/// the result. It is no secret: who may advertise may make another list of the same hash, which
/// hides a notice from an operator and changes no decision.
#[inline(always)]
#[must_use]
pub const fn hash_word(hash: u64, bytes: [u8; 4]) -> u64 {
    #[expect(clippy::as_conversions, reason = "`u64::from` is not const")]
    let word = u32::from_be_bytes(bytes) as u64;
    (hash ^ word).wrapping_mul(HASH_PRIME)
}

/// The hash of a whole message. Its length is a multiple of four; bytes after the last four do not
/// count.
#[must_use]
pub fn hash(message: &[u8]) -> u64 {
    let (words, _) = message.as_chunks();
    words.iter().fold(HASH_START, |hash, word| hash_word(hash, *word))
}
