//! Measured times as HDR histograms, per kind, quality of service and stage, and a coarse course of them over the run.
//! Histograms add up; percentiles are never averaged.

use base64::{Engine, prelude::BASE64_STANDARD};
use hdrhistogram::{
    Histogram,
    serialization::{Deserializer, Serializer, V2DeflateSerializer},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use twinfleet_engine::scenario::load::Metric;

/// Longest time that is told apart, [µs]: an hour.
const MOST_US: u64 = 3_600_000_000;
/// Points of the course over time.
pub const COURSE_POINTS: usize = 240;
/// Stretches that are told apart at most; what is under way for still longer after the stages is in no curve.
const MOST_STRETCHES: usize = 10 * COURSE_POINTS;

/// What a histogram is of: what was measured, quality of service, stage.
pub type Key = (Metric, u8, u32);

/// Histograms of measured times, [µs].
#[derive(Clone, Debug)]
pub struct Times {
    stages: usize,
    cells: Vec<Option<Box<Histogram<u64>>>>,
}

fn fresh() -> Histogram<u64> {
    // Bounds that the library accepts: three digits from 1 µs to an hour.
    Histogram::new_with_bounds(1, MOST_US, 3).unwrap_or_else(|_| unreachable!("the bounds are constants"))
}

impl Times {
    /// None yet, of so many stages.
    pub fn new(stages: usize) -> Self {
        let stages = stages.max(1);
        Self { stages, cells: vec![None; Metric::ALL.len() * 3 * stages] }
    }

    /// Writes a time down, [ns].
    pub fn record(&mut self, of: Metric, qos: u8, stage: usize, time_ns: i64) {
        self.record_n(of, qos, stage, time_ns, 1);
    }

    /// Writes a time down for so many at once, [ns].
    pub fn record_n(&mut self, of: Metric, qos: u8, stage: usize, time_ns: i64, n: u64) {
        let at = (of as usize * 3 + usize::from(qos)) * self.stages + stage.min(self.stages - 1);
        let cell = self.cells[at].get_or_insert_with(|| Box::new(fresh()));
        cell.saturating_record_n((time_ns.max(0) as u64 / 1_000).max(1), n);
    }

    /// Adds what another worker or shard measured.
    pub fn add(&mut self, other: &Self) {
        for (cell, more) in self.cells.iter_mut().zip(&other.cells) {
            if let Some(more) = more {
                let cell = cell.get_or_insert_with(|| Box::new(fresh()));
                // All have the same bounds.
                let _ = cell.add(more.as_ref());
            }
        }
    }

    /// All histograms that have values.
    pub fn all(&self) -> impl Iterator<Item = (Key, &Histogram<u64>)> {
        self.cells.iter().enumerate().filter_map(|(at, cell)| {
            let (of, rest) = (at / (3 * self.stages), at % (3 * self.stages));
            let key = (Metric::ALL[of], (rest / self.stages) as u8, (rest % self.stages) as u32);
            Some((key, cell.as_deref()?))
        })
    }

    /// The sum of what fits; None for any.
    pub fn of(&self, of: Metric, qos: Option<u8>, stage: Option<u32>) -> Histogram<u64> {
        let mut sum = fresh();
        let fits = |k: &Key| k.0 == of && qos.is_none_or(|q| q == k.1) && stage.is_none_or(|s| s == k.2);
        for (_, histogram) in self.all().filter(|(k, _)| fits(k)) {
            let _ = sum.add(histogram);
        }
        sum
    }

    /// As text, for the files of shards: compressed HDR V2 in base64, as a histogram's log has it and other tools read it.
    pub fn to_wire(&self) -> Vec<WireTimes> {
        let wire = |((of, qos, stage), histogram): (Key, &Histogram<u64>)| WireTimes {
            of,
            qos,
            stage,
            hdr_v2: hdr_text(histogram),
        };
        self.all().map(wire).collect()
    }

    /// From the text of [`Self::to_wire`]; None: it is none.
    pub fn from_wire(wire: &[WireTimes], stages: usize) -> Option<Self> {
        let mut times = Self::new(stages);
        for w in wire {
            if w.qos > 2 || w.stage as usize >= times.stages {
                return None;
            }
            let at = (w.of as usize * 3 + usize::from(w.qos)) * times.stages + w.stage as usize;
            let bytes = BASE64_STANDARD.decode(&w.hdr_v2).ok()?;
            let read: Histogram<u64> = Deserializer::new().deserialize(&mut bytes.as_slice()).ok()?;
            let mut histogram = fresh();
            histogram.add(&read).ok()?;
            times.cells[at] = Some(Box::new(histogram));
        }
        Some(times)
    }
}

fn hdr_text(histogram: &Histogram<u64>) -> String {
    let mut bytes = Vec::new();
    // Writing into memory cannot fail.
    let _ = V2DeflateSerializer::new().serialize(histogram, &mut bytes);
    BASE64_STANDARD.encode(bytes)
}

/// A histogram in a file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WireTimes {
    /// What was measured.
    pub of: Metric,
    /// Quality of service.
    pub qos: u8,
    /// Stage, from 0.
    pub stage: u32,
    /// HDR histogram of [µs], compressed V2, base64.
    pub hdr_v2: String,
}

/// Percentiles of a histogram, for reports, [ms].
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Percentiles {
    /// How many values.
    pub count: u64,
    /// Median.
    pub p50_ms: f64,
    /// 90 %.
    pub p90_ms: f64,
    /// 99 %.
    pub p99_ms: f64,
    /// 99.9 %.
    pub p999_ms: f64,
    /// Largest.
    pub max_ms: f64,
}

impl Percentiles {
    /// Those of a histogram of [µs].
    pub fn of(histogram: &Histogram<u64>) -> Self {
        let at = |q| histogram.value_at_quantile(q) as f64 * 1e-3;
        Self {
            count: histogram.len(),
            p50_ms: at(0.5),
            p90_ms: at(0.9),
            p99_ms: at(0.99),
            p999_ms: at(0.999),
            max_ms: histogram.max() as f64 * 1e-3,
        }
    }
}

/// What happened in each of a few hundred stretches of the run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Course {
    /// Length of a stretch, [ns].
    pub stretch_ns: i64,
    /// Messages written, by stretch.
    pub sent: Vec<u64>,
    /// Deliveries, by stretch.
    pub received: Vec<u64>,
    /// Latency of deliveries by the stretch they were meant for.
    latency: BTreeMap<u32, Stretch>,
}

/// Latency within a stretch.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Stretch {
    /// How many, by steps of [`step`]; what follows the largest is left out.
    counts: Vec<u32>,
    /// The largest, [µs].
    max_us: u64,
}

/// Steps an octave, as a power of two: a step is 3 to 6 % wide.
const STEPS_BITS: u32 = 4;

/// The step of a latency, [µs].
fn step(us: u64) -> usize {
    let octave = us.max(1).ilog2();
    let Some(shift) = octave.checked_sub(STEPS_BITS) else { return us as usize };
    ((shift as usize + 1) << STEPS_BITS) + (us >> shift) as usize - (1 << STEPS_BITS)
}

/// The middle of a step, [µs].
fn middle_us(step: usize) -> f64 {
    let Some(shift) = (step >> STEPS_BITS).checked_sub(1) else { return step as f64 };
    let begin = (step % (1 << STEPS_BITS) + (1 << STEPS_BITS)) as f64;
    let width = 2f64.powi(shift as i32);
    // The numbers of a step are whole.
    begin * width + (width - 1.0) / 2.0
}

impl Stretch {
    fn count(&mut self, step: usize, n: u32) {
        if self.counts.len() <= step {
            self.counts.resize(step + 1, 0);
        }
        self.counts[step] = self.counts[step].saturating_add(n);
    }
}

/// Adds to a stretch of a curve.
fn note(curve: &mut Vec<u64>, at: usize, n: u64) {
    if at >= MOST_STRETCHES {
        return;
    }
    if curve.len() <= at {
        curve.resize(at + 1, 0);
    }
    curve[at] += n;
}

impl Course {
    /// Nothing yet, over a run of this length.
    pub fn new(length_ns: i64) -> Self {
        let stretch_ns = (length_ns / COURSE_POINTS as i64).max(20_000_000);
        let n = (length_ns / stretch_ns + 1) as usize;
        Self { stretch_ns, sent: vec![0; n], received: vec![0; n], latency: BTreeMap::new() }
    }

    fn at(&self, t_ns: i64) -> usize {
        (t_ns / self.stretch_ns).max(0) as usize
    }

    /// Until when anything was sent or came, [s]: what was under way as the stages ended has its own time, too.
    pub fn end_s(&self) -> f64 {
        let last = |curve: &[u64]| curve.iter().rposition(|n| *n > 0).map_or(0, |i| i + 1);
        last(&self.sent).max(last(&self.received)) as f64 * self.stretch_ns as f64 * 1e-9
    }

    /// Messages written at this time.
    pub fn sent(&mut self, t_ns: i64, n: u64) {
        let at = self.at(t_ns);
        note(&mut self.sent, at, n);
    }

    /// A delivery at this time of what was meant for an earlier one.
    pub fn received(&mut self, t_ns: i64, intended_ns: i64) {
        let at = self.at(t_ns);
        note(&mut self.received, at, 1);
        self.waited(t_ns, intended_ns, 1);
    }

    /// So many that were meant for a time, for which somebody waited until another.
    pub fn waited(&mut self, t_ns: i64, intended_ns: i64, n: u32) {
        let us = (t_ns.saturating_sub(intended_ns).max(1_000) / 1_000) as u64;
        let key = self.at(intended_ns).min(MOST_STRETCHES - 1) as u32;
        let stretch = self.latency.entry(key).or_default();
        stretch.count(step(us), n);
        stretch.max_us = stretch.max_us.max(us);
    }

    /// Adds what another worker or shard saw of the same run.
    pub fn add(&mut self, other: &Self) {
        for (mine, more) in [(&mut self.sent, &other.sent), (&mut self.received, &other.received)] {
            more.iter().enumerate().for_each(|(at, n)| note(mine, at, *n));
        }
        for (at, stretch) in &other.latency {
            let mine = self.latency.entry(*at).or_default();
            stretch.counts.iter().enumerate().for_each(|(step, n)| mine.count(step, *n));
            mine.max_us = mine.max_us.max(stretch.max_us);
        }
    }

    /// Quantiles of the latency, given in ascending order, by the stretch that deliveries were meant for: (middle of the stretch
    /// [s], [ms]). The largest is exact, others are within 3 %.
    pub fn latencies<const N: usize>(&self, quantiles: [f64; N]) -> [Vec<(f64, f64)>; N] {
        let mut lines = std::array::from_fn(|_| Vec::with_capacity(self.latency.len()));
        for (at, stretch) in &self.latency {
            let t_s = (f64::from(*at) + 0.5) * self.stretch_ns as f64 * 1e-9;
            let all: u64 = stretch.counts.iter().map(|n| u64::from(*n)).sum();
            let largest_us = stretch.max_us as f64;
            let mut counts = stretch.counts.iter().enumerate();
            let (mut seen, mut reached) = (0, 0);
            for (line, quantile) in lines.iter_mut().zip(quantiles) {
                let want = ((all as f64 * quantile).ceil() as u64).max(1);
                while seen < want
                    && let Some((step, n)) = counts.next()
                {
                    seen += u64::from(*n);
                    reached = step;
                }
                let us = if want < all { middle_us(reached).min(largest_us) } else { largest_us };
                line.push((t_s, us * 1e-3));
            }
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn histograms_come_through_a_file_and_add_up() {
        let (mut a, mut b) = (Times::new(2), Times::new(2));
        (1..=500).for_each(|i| a.record(Metric::Latency, 1, 0, i * 1_000_000));
        (501..=1000).for_each(|i| b.record(Metric::Latency, 1, 1, i * 1_000_000));
        let read = Times::from_wire(&b.to_wire(), 2).unwrap();
        a.add(&read);
        let all = Percentiles::of(&a.of(Metric::Latency, None, None));
        assert_eq!(all.count, 1_000);
        assert!((all.p50_ms - 500.0).abs() < 1.0 && (all.p99_ms - 990.0).abs() < 1.0, "{all:?}");
        assert_eq!(a.of(Metric::Latency, Some(1), Some(1)).len(), 500);
        assert_eq!(a.of(Metric::Latency, Some(0), None).len(), 0);
        assert!(Times::from_wire(&b.to_wire(), 1).is_none(), "a stage that there is not");
        // The cookie of compressed V2 (0x1c849314) as every library for such histograms writes it.
        assert!(b.to_wire()[0].hdr_v2.starts_with("HISTFA"), "{}", b.to_wire()[0].hdr_v2);
    }

    #[test]
    fn the_course_is_within_a_few_percent_of_the_latency_and_its_largest_exact() {
        for us in [1, 15, 16, 17, 31, 33, 700, 7_000, 9_100, 1_999_000, 3_000_000_000i64] {
            assert_eq!(
                step(us as u64 + 1).saturating_sub(step(us as u64)) / 2,
                0,
                "a step is left out at {us}"
            );
            let mut course = Course::new(10_000_000_000);
            for i in 0..1_000 {
                course.received(i * 10_000_000 + us * 1_000, i * 10_000_000);
                course.received(i * 10_000_000 + us * 3_000, i * 10_000_000);
            }
            let [least, half, largest] = course.latencies([0.4, 0.5, 1.0]);
            // Half of them came at the first time: both quantiles fall into the same step.
            assert_eq!(least, half);
            for (line, bound, want) in [(half, 0.032, us as f64), (largest, 1e-9, 3.0 * us as f64)] {
                for (_, ms) in line {
                    assert!((ms * 1e3 / want - 1.0).abs() < bound, "{ms} ms for {want} µs");
                }
            }
        }
    }
    #[test]
    fn the_course_bears_whatever_an_altered_stamp_says() {
        let mut course = Course::new(1_000_000_000);
        for intended_ns in [i64::MIN, -1, i64::MAX] {
            course.received(i64::MAX, intended_ns);
            course.received(500_000_000, intended_ns);
        }
        // Nobody draws what came after centuries.
        assert_eq!(course.received.iter().sum::<u64>(), 3);
        assert!((course.end_s() - 0.52).abs() < 1e-9, "{}", course.end_s());
    }

    #[test]
    fn what_comes_after_the_stages_has_stretches_of_its_own() {
        let (mut a, mut b) = (Course::new(1_000_000_000), Course::new(1_000_000_000));
        a.received(1_500_000_000, 900_000_000);
        b.received(2_000_000_000, 900_000_000);
        a.add(&b);
        assert_eq!((a.received[75], a.received[100], a.received.iter().sum::<u64>()), (1, 1, 2));
        assert!((a.end_s() - 2.02).abs() < 1e-9, "{}", a.end_s());
    }
}
