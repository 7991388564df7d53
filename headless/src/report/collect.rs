//! From what a run gathered to what its report plots.

use super::{Forecast, Group, GroupChannel, Happening, Input, Output, Point, Report, Series, Twin};
use std::collections::BTreeMap;
use twinfleet_engine::{
    expect::{Claim, Condition, Expectation},
    record::{Sampled, Sampler},
    signal::{BlockId, Channel, Kind, SignalId, SignalTable},
    time::Span,
    world::Event,
};

/// Fills the report's twins, groups and happenings.
///
/// A block of one device that has an `@estimate` is a twin; every other block is a group.
pub fn collect(report: &mut Report, table: &SignalTable, sampled: &Sampled, expectations: &[Expectation]) {
    let collector = Collector { table, sampler: &sampled.sampler, expectations };
    for (at, (pattern, count, channels)) in table.blocks().enumerate() {
        let block = BlockId(at as u32);
        if count == 1 && channels.iter().any(|c| c.kind == Kind::Estimate) {
            report.twins.push(collector.twin(block, pattern, channels));
        } else {
            let group = collector.group(block, pattern, count, channels);
            if !group.channels.is_empty() {
                report.groups.push(group);
            }
        }
    }
    report.happenings = happenings(&sampled.events);
    report.events_left_out = sampled.events_left_out;
    report.rows_left_out = sampled.sampler.left_out();
}

struct Collector<'a> {
    table: &'a SignalTable,
    sampler: &'a Sampler,
    expectations: &'a [Expectation],
}

impl Collector<'_> {
    fn series(&self, id: SignalId, shift_s: f64) -> Series {
        let buckets: Vec<_> = self.sampler.series(id).collect();
        let point = |b: &&twinfleet_engine::record::Bucket| Point {
            t_s: b.t.as_secs_f64() + shift_s,
            min: b.min,
            max: b.max,
            value: b.last,
        };
        let rows = buckets.iter().map(|b| b.rows).sum();
        Series::new(buckets.iter().map(point).collect(), rows)
    }

    fn twin(&self, block: BlockId, id: &str, channels: &[Channel]) -> Twin {
        let at = |name: &str, kind: Kind| channels.iter().position(|c| c.name == name && c.kind == kind);
        let series = |name: &str, kind: Kind, shift_s: f64| {
            at(name, kind)
                .map(|c| self.series(self.table.id(block, 0, c as u32), shift_s))
                .unwrap_or_default()
        };
        let mut twin = Twin { id: id.to_owned(), ..Twin::default() };
        for c in channels.iter().filter(|c| c.kind == Kind::Estimate) {
            let (name, unit) = (c.name.clone(), c.unit.clone());
            let residual = Channel::new(&name, Kind::Residual, &unit);
            twin.outputs.push(Output {
                reported: series(&name, Kind::Reported, 0.0),
                estimate: series(&name, Kind::Estimate, 0.0),
                residual: series(&name, Kind::Residual, 0.0),
                thresholds: self.thresholds(id, &residual),
                forecasts: horizons(&name, channels)
                    .into_iter()
                    .map(|(word, horizon_s)| {
                        // A forecast is stamped with its origin and drawn at the time that it speaks of.
                        let bound = |suffix: &str| {
                            series(&format!("{name}.{word}{suffix}"), Kind::Forecast, horizon_s)
                        };
                        Forecast {
                            horizon_s,
                            mean: bound(""),
                            lower: bound(".lower"),
                            upper: bound(".upper"),
                        }
                    })
                    .collect(),
                name,
                unit,
            });
        }
        let driven = |c: &&Channel| c.kind == Kind::Reported && at(&c.name, Kind::Estimate).is_none();
        twin.inputs = channels
            .iter()
            .filter(driven)
            .map(|c| Input {
                name: c.name.clone(),
                unit: c.unit.clone(),
                reported: series(&c.name, Kind::Reported, 0.0),
            })
            .collect();
        twin
    }

    fn group(&self, block: BlockId, pattern: &str, count: u32, channels: &[Channel]) -> Group {
        let mut group = Group { id: pattern.to_owned(), devices: count, channels: Vec::new() };
        for (at, c) in channels.iter().enumerate() {
            let mut fan = Fan::default();
            for device in 0..count {
                fan.add(self.sampler, self.table.id(block, device, at as u32));
            }
            if fan.rows > 0 {
                let first = pattern.replace("{}", "0");
                group.channels.push(fan.channel(c, self.thresholds(&first, c)));
            }
        }
        group
    }

    /// Bounds that expectations set on a channel.
    fn thresholds(&self, device: &str, channel: &Channel) -> Vec<f64> {
        let mut all = Vec::new();
        for e in self.expectations {
            let (signal, bounds) = match &e.claim {
                Claim::Always(signal, bounds) | Claim::Never(Condition::Signal(signal, bounds)) => {
                    (signal, *bounds)
                }
                Claim::Settles { signal, to, error } => {
                    (signal, twinfleet_engine::expect::Bounds::between(to - error, to + error))
                }
                _ => continue,
            };
            if signal.glob.matches_device(device) && signal.glob.matches_channel(channel) {
                all.extend([bounds.low, bounds.high].into_iter().filter(|b| b.is_finite()));
            }
        }
        all.sort_by(f64::total_cmp);
        all.dedup();
        all
    }
}

/// The horizons of a signal's forecasts as its channels name them, and in seconds.
fn horizons(name: &str, channels: &[Channel]) -> Vec<(String, f64)> {
    let mut all: Vec<(String, f64)> = channels
        .iter()
        .filter(|c| c.kind == Kind::Forecast)
        .filter_map(|c| {
            let word = c.name.strip_prefix(name)?.strip_prefix('.')?;
            Some((word.to_owned(), word.parse::<Span>().ok()?.as_secs_f64()))
        })
        .collect();
    all.sort_by(|a, b| a.1.total_cmp(&b.1));
    all
}

/// One channel over many devices.
#[derive(Default)]
struct Fan {
    stretches: BTreeMap<i64, Stretch>,
    devices: u32,
    rows: u64,
}

#[derive(Clone, Copy)]
struct Stretch {
    t_s: f64,
    min: f64,
    max: f64,
    sum: f64,
    devices: u32,
}

impl Fan {
    fn add(&mut self, sampler: &Sampler, id: SignalId) {
        let before = self.rows;
        for b in sampler.series(id) {
            self.rows += b.rows;
            let start =
                Stretch { t_s: 0.0, min: f64::INFINITY, max: f64::NEG_INFINITY, sum: 0.0, devices: 0 };
            let s = self.stretches.entry(b.t.0 / sampler.width_ns()).or_insert(start);
            s.t_s = s.t_s.max(b.t.as_secs_f64());
            s.min = s.min.min(b.min);
            s.max = s.max.max(b.max);
            s.sum += b.last;
            s.devices += 1;
        }
        self.devices += u32::from(self.rows > before);
    }

    fn channel(&self, c: &Channel, thresholds: Vec<f64>) -> GroupChannel {
        let mean = |s: &Stretch| s.sum / f64::from(s.devices);
        let points: Vec<Point> = self
            .stretches
            .values()
            .map(|s| Point { t_s: s.t_s, min: s.min, max: s.max, value: mean(s) })
            .collect();
        let fan = Series::new(points, self.rows);
        GroupChannel {
            name: c.name.clone(),
            kind: c.kind.name().to_owned(),
            unit: c.unit.clone(),
            devices: self.devices,
            rows: self.rows,
            min: fan.min.unwrap_or_default(),
            mean: fan.points.iter().map(|p| p.value).sum::<f64>() / fan.points.len().max(1) as f64,
            max: fan.max.unwrap_or_default(),
            fan,
            thresholds,
        }
    }
}

/// Events, with the ends of faults and verdicts beside their starts.
fn happenings(events: &[Event]) -> Vec<Happening> {
    let mut all: Vec<Happening> = Vec::new();
    for e in events {
        let (what, ends) = match e.kind.as_str() {
            "fault_start" => ("fault", false),
            "fault_end" => ("fault", true),
            "verdict" => ("verdict", false),
            "verdict_end" => ("verdict", true),
            other => (other, false),
        };
        let t_s = e.t.as_secs_f64();
        if ends {
            let same = |h: &&mut Happening| {
                h.to_s.is_none() && h.what == what && h.subject == e.subject && h.part == e.part
            };
            // The latest of the same kind, or, where an end does not name it, of any kind.
            let mut open: Vec<&mut Happening> = all.iter_mut().filter(same).collect();
            let at = open.iter().rposition(|h| h.detail == e.detail).or(open.len().checked_sub(1));
            if let Some(at) = at {
                open[at].to_s = Some(t_s);
            }
            continue;
        }
        all.push(Happening {
            from_s: t_s,
            to_s: None,
            what: what.to_owned(),
            subject: e.subject.clone(),
            part: e.part.clone(),
            detail: e.detail.clone(),
            value: e.value,
            ..Happening::default()
        });
    }
    all
}
