//! A slot where it lies: what each side may do with it, by atomic operations on its words.
//!
//! The XDP program does the same as [`SharedSlot::stamp`] with the instructions that BPF has.

use core::{
    mem::{align_of, offset_of, size_of},
    sync::atomic::{
        AtomicU64,
        Ordering::{Acquire, Relaxed, Release, SeqCst},
        fence,
    },
};

use crate::{
    abi::{Content, Slot},
    absorb::{State, Step, judge},
};

/// A [`Slot`] that another thread, or the kernel, uses at the same time.
#[derive(Debug, Default)]
#[repr(C, align(64))]
pub struct SharedSlot {
    heard_nanos: AtomicU64,
    adverts: AtomicU64,
    absorbed_nanos: AtomicU64,
    state: AtomicU64,
    expected: [AtomicU64; 4],
}

const _: () = {
    assert!(size_of::<SharedSlot>() == size_of::<Slot>());
    assert!(align_of::<SharedSlot>() == align_of::<Slot>());
    assert!(offset_of!(SharedSlot, heard_nanos) == offset_of!(Slot, heard_nanos));
    assert!(offset_of!(SharedSlot, adverts) == offset_of!(Slot, adverts));
    assert!(offset_of!(SharedSlot, absorbed_nanos) == offset_of!(Slot, absorbed_nanos));
    assert!(offset_of!(SharedSlot, state) == offset_of!(Slot, state));
    assert!(offset_of!(SharedSlot, expected) == offset_of!(Slot, expected));
};

impl SharedSlot {
    /// Notes a valid advertisement; says whether it was absorbed.
    #[must_use]
    pub fn stamp(&self, now_nanos: u64, said: &Content) -> bool {
        self.heard_nanos.store(now_nanos, Relaxed);
        self.adverts.fetch_add(1, Relaxed);
        // An engine that opens the slot now sees the stamp, or this sees the slot open.
        let state = State(self.state.fetch_add(0, SeqCst));
        let [first, second, header, hash] = &self.expected;
        let expected = |index| match index {
            0 => first.load(Relaxed),
            1 => second.load(Relaxed),
            2 => header.load(Relaxed),
            _ => hash.load(Relaxed),
        };
        match judge(state, said, expected) {
            Step::Pass => false,
            Step::Close => {
                self.state.fetch_and(!State::OPEN, SeqCst);
                false
            }
            Step::Absorb(State(counted)) => {
                // Whoever has read a word that was written after a close fails here.
                fence(Acquire);
                let result = self.state.compare_exchange(state.0, counted, SeqCst, Relaxed);
                if result.is_ok() {
                    self.absorbed_nanos.store(now_nanos, Release);
                }
                result.is_ok()
            }
        }
    }

    /// When the last valid advertisement came, absorbed or not; 0 for never.
    #[must_use]
    pub fn heard_nanos(&self) -> u64 {
        self.heard_nanos.load(Acquire)
    }

    /// When the last one came that was absorbed, or, at the very moment of it, the one before.
    #[must_use]
    pub fn absorbed_nanos(&self) -> u64 {
        self.absorbed_nanos.load(Acquire)
    }

    /// The state as it is.
    #[must_use]
    pub fn state(&self) -> State {
        State(self.state.load(Acquire))
    }

    /// Nothing is absorbed from here on; what was before is in the state that is given back.
    pub fn close(&self) -> State {
        let before = State(self.state.fetch_and(!State::OPEN, SeqCst));
        fence(SeqCst);
        before
    }

    /// What says the same as `content` is absorbed from here on, in a new generation: what was
    /// counted before must have been read. The engine's alone.
    ///
    /// Not so if a frame has come after `seen_nanos`: the engine has to see it first. Says which.
    pub fn open(&self, content: &Content, seen_nanos: u64) -> bool {
        let closed = self.close().closed();
        for (word, to) in self.expected.iter().zip(content.words()) {
            word.store(to, Relaxed);
        }
        self.state.store(closed.reopened().0, SeqCst);
        fence(SeqCst);
        let is_up_to_date = self.heard_nanos() == seen_nanos;
        if !is_up_to_date {
            self.close();
        }
        is_up_to_date
    }
}
