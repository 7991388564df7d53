//! Any bytes by every door: nothing panics, and what must hold does. `TWINFLEET_INPUTS=1000000 cargo test --release
//! -p twinfleet-twins --test decoders -- --nocapture` tries so many of each and says how many; `TWINFLEET_SEED` begins elsewhere.

use proptest::prelude::*;
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    time::Instant,
};
use twinfleet_twins::decoders;

/// Inputs of each decoder where the environment asks for no other number.
const INPUTS: u64 = 4_000;
/// Longest input that mutations make, [bytes].
const LONGEST: usize = 4096;
/// Bytes that parsers stumble over: brackets, quotes, signs, lengths, the heads of CBOR's and protobuf's items.
const TOKENS: [&[u8]; 24] = [
    b"{",
    b"}",
    b"[",
    b"]",
    b"\"",
    b":",
    b",",
    b"\\u0000",
    b"\\ud800",
    b"-0",
    b"1e308",
    b"1e-400",
    b"99999999999999999999",
    b"null",
    b"true",
    b"\0",
    b"\xff",
    b"\xc3\x28",
    b"\x9b\x7f\xff\xff\xff\xff\xff\xff\xff",
    b"\x7b\x7f\xff\xff\xff\xff\xff\xff\xff",
    b"\x12\xff\xff\xff\xff\x0f",
    b"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01",
    b"{{ value_json.a['b'] }}",
    b"/",
];

/// Numbers from a seed: splitmix64 (Steele, Lea and Flood, *Fast splittable pseudorandom number generators*, 2014).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }
}

/// Changes an input in one of the ways in which fuzzers do.
fn mutate(input: &mut Vec<u8>, other: &[u8], numbers: &mut Numbers) {
    let at = numbers.below(input.len() + 1);
    let to = (at + numbers.below(32)).min(input.len());
    match numbers.below(9) {
        0 if at < input.len() => input[at] ^= 1 << numbers.below(8),
        1 if at < input.len() => input[at] = numbers.next() as u8,
        2 => drop(input.drain(at..to)),
        3 => drop(input.splice(at..at, TOKENS[numbers.below(TOKENS.len())].iter().copied())),
        4 => {
            let copy = input[at..to].to_vec();
            let times = 1 + numbers.below(8);
            drop(input.splice(at..at, copy.repeat(times)));
        }
        5 => {
            let from = numbers.below(other.len() + 1);
            drop(input.splice(at.., other[from..].iter().copied()));
        }
        6 => input.truncate(at),
        7 => drop(input.splice(at..to, (0..to - at).map(|_| numbers.next() as u8))),
        _ => {
            // A length of one, two or four bytes, a little off.
            let bytes = numbers.next().to_le_bytes();
            let n = 1 << numbers.below(3);
            input.iter_mut().skip(at).zip(&bytes[..n]).for_each(|(to, from)| *to = to.wrapping_add(from % 3));
        }
    }
    input.truncate(LONGEST);
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|n| n.parse().ok()).unwrap_or(default)
}

#[test]
fn inputs_made_from_good_ones_do_no_harm() {
    let (inputs, seed) = (number("TWINFLEET_INPUTS", INPUTS), number("TWINFLEET_SEED", 1));
    for name in decoders::names() {
        let mut numbers = Numbers(seed);
        let mut pool = decoders::seeds(name);
        let begun = Instant::now();
        let mut bytes = 0;
        for _ in 0..inputs {
            let mut input = pool[numbers.below(pool.len())].clone();
            for _ in 0..=numbers.below(4) {
                let other = numbers.below(pool.len());
                mutate(&mut input, &pool[other], &mut numbers);
            }
            bytes += input.len();
            if catch_unwind(AssertUnwindSafe(|| decoders::take(name, &input))).is_err() {
                let hex: String = input.iter().map(|b| format!("{b:02x}")).collect();
                panic!("`{name}` does not stand this input (TWINFLEET_SEED={seed}): {hex}");
            }
            // Some of what was made is built upon.
            if numbers.below(50) == 0 {
                let place = numbers.below(1_000);
                if place < pool.len() && pool.len() >= 1_000 { pool[place] = input } else { pool.push(input) }
            }
        }
        let mean = bytes / inputs.max(1) as usize;
        println!(
            "{name}: {inputs} inputs of {mean} bytes in the mean, {:.1} s",
            begun.elapsed().as_secs_f64()
        );
    }
}

proptest! {
    #[test]
    fn any_bytes_do_no_harm(data in proptest::collection::vec(any::<u8>(), 0..600)) {
        for name in decoders::names() {
            decoders::take(name, &data);
        }
    }

    #[test]
    fn a_good_input_with_one_thing_wrong_does_no_harm(
        which in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<bool>(),
    ) {
        for name in decoders::names() {
            let seeds = decoders::seeds(name);
            let mut input = seeds[which.index(seeds.len())].clone();
            if !input.is_empty() {
                let at = at.index(input.len());
                input[at] = byte;
                if cut {
                    input.truncate(at + 1);
                }
            }
            decoders::take(name, &input);
        }
    }
}
