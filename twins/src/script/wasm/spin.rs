//! Whether a program goes round in circles: it computes, asks for nothing, and its memory comes to be what it was.
//!
//! What it waits for then can only come from outside, by an interrupt or a timer, so that time may go on to the next of these.
//! A program that gets on writes what it has got to, so that its memory does not come back.
//!
//! The memory is looked at often within a short time, twice, with a while in between: a long loop in C, which works without
//! writing, is over by then.

use std::collections::BTreeSet;

/// Fuel between two looks: some tenths of a bytecode's to some bytecodes', never the same, so that no loop is in step with it.
const LOOK_FUEL: u64 = 19_997;
const LOOK_MORE: u64 = 331;
/// Looks at one time: a loop of some hundred bytecodes is found.
const LOOKS: u64 = 64;
/// Fuel between the two times: a loop in C over the whole heap takes less.
const PAUSE_FUEL: u64 = 50_000_000;
/// Slices in which nothing is looked at after one that found a program getting on, at most.
const REST_MOST: u32 = 15;

/// What is to be done next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Let it compute with so much fuel.
    Look(u64),
    /// It goes round in circles.
    Circle,
    /// It gets on, or it is not known.
    Busy,
}

/// What has been seen of a program since it last asked for anything.
#[derive(Debug, Default)]
pub(super) struct Spin {
    seen: BTreeSet<u64>,
    looks: u64,
    /// Questions asked when the first look was taken.
    asked: u64,
    rest: u32,
    rests: u32,
}

impl Spin {
    /// A slice of fuel is used up, with so many questions asked before.
    pub fn next(&mut self, memory: &[u8], asked: u64) -> Next {
        if self.looks > 0 && self.asked != asked {
            (self.looks, self.rests) = (0, 0);
            return Next::Busy;
        }
        if self.looks == 0 {
            if self.rest > 0 {
                self.rest -= 1;
                return Next::Busy;
            }
            self.seen.clear();
            self.asked = asked;
        }
        let print = print_of(memory);
        self.looks += 1;
        if self.looks <= LOOKS {
            self.seen.insert(print);
            if self.looks == LOOKS {
                return Next::Look(PAUSE_FUEL);
            }
        } else if self.seen.contains(&print) {
            (self.looks, self.rests) = (0, 0);
            return Next::Circle;
        } else if self.looks > LAST {
            self.rests = (2 * self.rests + 1).min(REST_MOST);
            (self.looks, self.rest) = (0, self.rests);
            return Next::Busy;
        }
        Next::Look(LOOK_FUEL + LOOK_MORE * self.looks)
    }
}

/// The last look.
const LAST: u64 = 2 * LOOKS;

/// A digest of the memory: four sums of products in step, so that they are not waited for one by one.
fn print_of(memory: &[u8]) -> u64 {
    const ODD: u64 = 0x9E37_79B9_7F4A_7C15;
    let mut sums = [1u64, 2, 3, 4];
    for block in memory.chunks_exact(32) {
        for (sum, word) in sums.iter_mut().zip(block.chunks_exact(8)) {
            let word = u64::from_le_bytes(word.try_into().unwrap_or_default());
            *sum = (sum.rotate_left(5) ^ word).wrapping_mul(ODD);
        }
    }
    sums.iter().fold(0, |all, sum| (all.rotate_left(17) ^ sum).wrapping_mul(ODD))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Slices until it is said, of a program whose memory is so at each look.
    fn said(mut memory_at: impl FnMut(u64) -> u64, asked: impl Fn(u64) -> u64) -> Next {
        let mut spin = Spin::default();
        for i in 0.. {
            let memory = [memory_at(i).to_le_bytes(), [7; 8], [0; 8], [1; 8]].concat();
            match spin.next(&memory, asked(i)) {
                Next::Look(_) => {}
                told => return told,
            }
        }
        unreachable!("it is said at last")
    }

    #[test]
    fn who_comes_back_goes_round_in_circles_and_who_counts_does_not() {
        assert_eq!(said(|i| i % 17, |_| 5), Next::Circle);
        assert_eq!(said(|i| i, |_| 5), Next::Busy);
        assert_eq!(said(|i| i % 17, |i| i), Next::Busy);
        // It has gone on from what it was for a while.
        assert_eq!(said(|i| if i < LOOKS { i % 5 } else { i }, |_| 5), Next::Busy);
    }

    #[test]
    fn who_gets_on_is_seldom_looked_at() {
        let mut spin = Spin::default();
        let mut looks = 0;
        let slices = 100;
        for i in 0..slices {
            for j in 0.. {
                let memory = [0u64.wrapping_add(1000 * i + j).to_le_bytes(), [0; 8], [0; 8], [0; 8]].concat();
                if spin.next(&memory, 0) == Next::Busy {
                    break;
                }
                looks += 1;
            }
        }
        assert!(looks < 12 * 2 * LOOKS, "{looks} looks in {slices} slices");
    }
}
