//! Streams over a network that loses, doubles and is away.

use super::*;
use rand::RngExt;
use twinfleet_engine::rng::{Rng, stream};

const STEP_NS: u64 = 1_000_000_000;
const A: Address = [10, 1, 0, 1];
const B: Address = [10, 1, 0, 2];

/// Two devices, and what is between them.
struct Pair {
    sides: [Streams; 2],
    next: [u32; 2],
    now_ns: u64,
    loss: f64,
    dice: Rng,
}

impl Pair {
    fn new(loss: f64) -> Self {
        let mut sides = [A, B].map(Streams::new);
        sides.iter_mut().for_each(|s| s.step(STEP_NS));
        Self { sides, next: [1, 1], now_ns: 0, loss, dice: stream(7, "pair", "test") }
    }

    /// A step: what each has sent, the other hears; now and then twice.
    fn step(&mut self) {
        let sent = self.sides.each_mut().map(|s| std::mem::take(&mut s.outward));
        self.now_ns += STEP_NS;
        for (i, sent) in sent.into_iter().enumerate() {
            for (_, topic, payload) in sent {
                let luck: f64 = self.dice.random();
                for _ in 0..usize::from(luck >= self.loss) + usize::from(luck > 0.95) {
                    self.sides[1 - i].hear(self.now_ns, &topic, &payload, &mut self.next[1 - i]);
                }
            }
        }
        for side in &mut self.sides {
            side.send_again(self.now_ns, true);
            side.acknowledge(self.now_ns);
        }
    }

    fn steps(&mut self, n: usize) {
        (0..n).for_each(|_| self.step());
    }

    /// A stream from the first to the second, by its numbers at both.
    fn connected(loss: f64) -> (Self, u32, u32) {
        let mut pair = Self::new(loss);
        pair.next[0] = 2;
        pair.sides[1].listen(80, 1).unwrap();
        pair.sides[0].open(0, 1, B, 80);
        for _ in 0..120 {
            pair.step();
            if let Some((id, host, _)) = pair.sides[1].accept(80) {
                assert_eq!(host, "10.1.0.1");
                return (pair, 1, id);
            }
        }
        panic!("never accepted");
    }
}

#[test]
fn what_is_written_is_read_whatever_is_lost_or_doubled() {
    for loss in [0.0, 0.15, 0.3] {
        let (mut pair, a, b) = Pair::connected(loss);
        let data: Vec<u8> = (0..50_000_u32).map(|i| ((i * i) >> 7) as u8).collect();
        let (mut sent, mut got) = (0, Vec::new());
        for _ in 0..4_000 {
            if sent < data.len() {
                sent += pair.sides[0].send(pair.now_ns, a, &data[sent..]).unwrap();
                if sent == data.len() {
                    pair.sides[0].close(pair.now_ns, a);
                }
            }
            pair.step();
            match pair.sides[1].receive(b, 9_000).unwrap() {
                Some(bytes) => got.extend(bytes),
                None => break,
            }
        }
        assert!(got == data, "{loss}: {} of {}", got.len(), data.len());
        pair.sides[1].close(pair.now_ns, b);
        pair.steps(400);
        assert!(pair.sides.iter().all(Streams::is_empty), "{loss}: nothing is left");
        assert_eq!(pair.sides.each_ref().map(Streams::next_ns), [u64::MAX; 2]);
    }
}

#[test]
fn a_call_is_answered_refused_or_given_up() {
    let mut pair = Pair::new(0.0);
    pair.sides[0].open(0, 1, B, 81);
    pair.steps(2);
    assert_eq!(pair.sides[0].stands(1), Some(Stands::Failed("refused")));
    let mut pair = Pair::new(1.0);
    pair.sides[0].open(0, 1, B, 81);
    pair.steps(60);
    assert_eq!(pair.sides[0].stands(1), Some(Stands::Opening));
    pair.steps(70);
    assert_eq!(pair.sides[0].stands(1), Some(Stands::Failed("timeout")));
    assert_eq!(pair.sides[0].send(pair.now_ns, 1, b"x"), Err("timeout"));
}

#[test]
fn a_reader_that_lingers_is_waited_for() {
    let (mut pair, a, b) = Pair::connected(0.0);
    let mut sent = 0;
    for _ in 0..2_000 {
        sent += pair.sides[0].send(pair.now_ns, a, &[7; 4_000]).unwrap();
        pair.step();
    }
    assert!((KEPT - PIECE..=KEPT + WINDOW).contains(&sent), "{sent}");
    assert_eq!(pair.sides[0].stands(a), Some(Stands::Open), "for over half an hour");
    let mut got = 0;
    for _ in 0..400 {
        got += pair.sides[1].receive(b, 1 << 20).unwrap().map_or(0, |bytes| bytes.len());
        pair.step();
    }
    assert_eq!(got, sent);
}

#[test]
fn who_is_let_go_before_all_is_read_is_told() {
    let (mut pair, a, b) = Pair::connected(0.0);
    pair.sides[0].send(pair.now_ns, a, b"unread").unwrap();
    pair.step();
    pair.sides[1].close(pair.now_ns, b);
    pair.step();
    assert_eq!(pair.sides[0].receive(a, 1), Err("reset"));
    // And a side without a stream answers so, too.
    let (mut pair, a, _) = Pair::connected(0.0);
    pair.sides[1].end(pair.now_ns, false);
    pair.sides[0].send(pair.now_ns, a, b"x").unwrap();
    pair.steps(2);
    assert_eq!(pair.sides[0].receive(a, 1), Err("reset"));
}

#[test]
fn bytes_of_others_do_no_harm() {
    let (mut pair, ..) = Pair::connected(0.0);
    let mut dice = stream(3, "bytes", "test");
    for _ in 0..4_000 {
        let n = dice.random_range(0..40);
        let mut payload: Vec<u8> = (0..n).map(|_| dice.random()).collect();
        if dice.random::<bool>() && n > 8 {
            payload[..4].copy_from_slice(&A);
            payload[6..8].copy_from_slice(&80_u16.to_be_bytes());
        }
        pair.sides[1].hear(pair.now_ns, &topic(B), &payload, &mut pair.next[1]);
        pair.sides[1].acknowledge(pair.now_ns);
    }
}
