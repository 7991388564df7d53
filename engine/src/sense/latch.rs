//! Outputs that stay up for a while: of a motion detector, whose output falls a hold time after it last saw something, and
//! which is blind for a lock-out time after that.
//!
//! A latch sees what is there at every tick and at every reading, so that what happens between two wakes of a device is not
//! lost; what it was shown last goes on until it is shown something else, as the world's truth does.

use crate::{
    rng::Rng,
    time::{SimTime, Span},
};
use rand::RngExt;

/// From this on something is there.
const THERE: f64 = 0.5;
/// How often the output of one that has just got its supply rises by itself, at most.
const STIRS: usize = 3;

/// How long an output stays up, and how long the part is blind after that.
#[derive(Clone, Copy, Debug)]
pub(super) struct LatchPlan {
    hold: Span,
    block: Span,
}

/// The latches of a channel.
#[derive(Debug)]
pub(super) struct Latches {
    pub plan: LatchPlan,
    pub lanes: Vec<Latch>,
}

impl Latches {
    /// None: the output follows what is there.
    pub fn new(hold: Span, block: Span) -> Option<Self> {
        (hold.0 > 0).then_some(Self { plan: LatchPlan { hold, block }, lanes: Vec::new() })
    }

    /// Bytes held, [B].
    pub fn bytes(&self) -> usize {
        self.lanes.capacity() * size_of::<Latch>()
    }
}

/// One part's output.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Latch {
    /// When it was looked at last, and whether something was there, which goes on since.
    seen: Option<(SimTime, bool)>,
    /// The output is up before this instant. None: it never was.
    until: Option<SimTime>,
    /// When it sees something though nothing is there, in order, since it has just got its supply.
    stirs: [Option<SimTime>; STIRS],
}

impl Latch {
    /// One that gets its supply at the start of the run: within this time it sees something up to three times by itself.
    pub fn unsettled(within: Span, rng: &mut Rng) -> Self {
        let count = rng.random_range(0..=STIRS);
        let mut stirs = [None; STIRS];
        stirs[..count].fill_with(|| Some(SimTime(rng.random_range(0..within.0.max(1)))));
        stirs[..count].sort_unstable();
        Self { stirs, ..Self::default() }
    }

    /// Shows it what is there at `t`; what its output is then, 0 or 1. Instants ascend.
    pub fn look(&mut self, t: SimTime, there: f64, plan: LatchPlan) -> f64 {
        let there = there >= THERE;
        let up = |until: Option<SimTime>, t: SimTime| until.is_some_and(|until| t < until);
        let sees = |until: Option<SimTime>, t: SimTime| until.is_none_or(|until| t >= until + plan.block);
        let since = self.seen.map(|(before, _)| before);
        for stir in self.stirs.into_iter().flatten() {
            let new = stir <= t && since.is_none_or(|before| before < stir);
            if new && (up(self.until, stir) || sees(self.until, stir)) {
                self.until = Some(stir + plan.hold);
            }
        }
        // What went on until now has kept an output up, and has raised one whose blindness ended meanwhile.
        if let Some((before, true)) = self.seen
            && before < t
            && (up(self.until, before) || sees(self.until, t))
        {
            self.until = Some(t + plan.hold);
        }
        if there && (up(self.until, t) || sees(self.until, t)) {
            self.until = Some(t + plan.hold);
        }
        self.seen = Some((t, there));
        f64::from(u8::from(up(self.until, t)))
    }

    pub fn hash_into(&self, bytes: &mut Vec<u8>) {
        bytes.extend(self.until.map_or(i64::MIN, |t| t.0).to_le_bytes());
        bytes.push(u8::from(self.seen.is_some_and(|(_, there)| there)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::stream;

    const PLAN: LatchPlan = LatchPlan { hold: Span(3_000_000_000), block: Span(2_500_000_000) };

    /// The spells, in tenths of a second, in which the output is up over a minute, where something is there in `shown`, looked
    /// at every `every` tenths and whenever something comes or goes.
    fn up(shown: &[(i64, i64)], every: i64) -> Vec<(i64, i64)> {
        let (mut latch, mut spells) = (Latch::default(), Vec::<(i64, i64)>::new());
        for k in 0..600 {
            let there = shown.iter().any(|(from, until)| (*from..*until).contains(&k));
            let turns = shown.iter().any(|(from, until)| *from == k || *until == k);
            if !(turns || k % every == 0) {
                continue;
            }
            let out = latch.look(SimTime(k * 100_000_000), f64::from(u8::from(there)), PLAN);
            match spells.last_mut() {
                Some(last) if out > 0.5 && last.1 == k - 1 => last.1 = k,
                _ if out > 0.5 => spells.push((k, k)),
                _ => {}
            }
        }
        spells
    }

    #[test]
    fn an_output_stays_up_for_its_hold_time_and_then_sees_nothing() {
        assert_eq!(up(&[(100, 101)], 1), [(100, 130)], "3 s after the last sight");
        assert_eq!(up(&[(100, 150)], 1), [(100, 179)], "each sight starts it anew");
        assert_eq!(up(&[(100, 101), (140, 150)], 1), [(100, 130)], "blind for 2.5 s");
        assert_eq!(up(&[(100, 101), (140, 170)], 1), [(100, 130), (156, 199)], "what lasts is seen after it");
    }

    #[test]
    fn one_that_has_just_got_its_supply_stirs_by_itself() {
        let within = Span(60_000_000_000);
        let mut counts = [0; STIRS + 1];
        for seed in 0..400 {
            let mut latch = Latch::unsettled(within, &mut stream(seed, "n", "start"));
            let count = latch.stirs.iter().flatten().count();
            counts[count] += 1;
            // Looked at each half second for two minutes, and nobody comes.
            let shown: Vec<bool> =
                (0..240).map(|k| latch.look(SimTime(k * 500_000_000), 0.0, PLAN) > 0.5).collect();
            let rises = shown.windows(2).filter(|w| !w[0] && w[1]).count() + usize::from(shown[0]);
            assert!(rises <= count, "{rises} of {count}");
            assert!(rises > 0 || count == 0, "the first is never missed");
            assert!(!shown[127..].contains(&true), "all is over 3 s after the minute");
        }
        assert!(counts.iter().all(|n| (60..140).contains(n)), "{counts:?}");
    }

    #[test]
    fn what_happens_between_two_looks_is_not_lost() {
        // Looked at every 2 s, and when somebody comes or goes.
        let seldom = up(&[(101, 149)], 20);
        assert_eq!((seldom.first(), seldom.last()), (Some(&(101, 101)), Some(&(160, 160))));
        let blind = up(&[(100, 101), (140, 200)], 20);
        assert!(blind.contains(&(160, 160)) && !blind.contains(&(140, 140)), "{blind:?}");
    }
}
