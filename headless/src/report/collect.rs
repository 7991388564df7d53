//! From what a run gathered to what its report plots.

use super::{
    Bound, Forecast, Group, GroupChannel, Happening, Input, Line, Output, Point, Report, Series, Twin,
};
use std::collections::BTreeMap;
use twinfleet_engine::{
    expect::{Claim, Condition, Expectation},
    record::{Reliability, Sampled, Sampler},
    signal::{BlockId, Channel, Kind, SignalId, SignalTable},
    time::{SimTime, Span},
    world::Event,
};

/// Groups of so many devices are drawn a line each.
const MOST_LINES: u32 = 5;
/// Of so many places or bodies, those that change are looked for.
const MOST_MEMBERS: u32 = 64;
/// Groups of so many have deciles.
const LEAST_DECILES: u32 = 10;

/// Fills the report's twins, groups and happenings.
///
/// A block of one device that has an `@estimate` is a twin. Every other block is a group; blocks of one that have the same
/// channels (zones, bodies) become one.
pub fn collect(report: &mut Report, table: &SignalTable, sampled: &Sampled, expectations: &[Expectation]) {
    let collector =
        Collector { table, sampler: &sampled.sampler, reliability: &sampled.reliability, expectations };
    let mut groups: Vec<(&str, u32, &[Channel], Vec<BlockId>)> = Vec::new();
    for (at, (pattern, count, channels)) in table.blocks().enumerate() {
        let block = BlockId(at as u32);
        if count == 1 && channels.iter().any(|c| c.kind == Kind::Estimate) {
            report.twins.push(collector.twin(block, pattern, channels));
            continue;
        }
        let alike = groups.iter_mut().find(|g| count == 1 && g.1 == 1 && g.2 == channels);
        match alike {
            Some(group) => group.3.push(block),
            None => groups.push((pattern, count, channels, vec![block])),
        }
    }
    for (pattern, count, channels, blocks) in groups {
        let group = collector.group(pattern, count, channels, &blocks);
        if !group.channels.is_empty() {
            report.groups.push(group);
        }
    }
    report.happenings = happenings(&sampled.events);
    report.events_left_out = sampled.events_left_out;
    report.rows_left_out = sampled.sampler.left_out();
}

struct Collector<'a> {
    table: &'a SignalTable,
    sampler: &'a Sampler,
    reliability: &'a Reliability,
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
                bounds: self.bounds(&[id], &residual),
                whitened: series(&format!("{name}.whitened"), Kind::Residual, 0.0),
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
                            halves: at(&format!("{name}.{word}"), Kind::Forecast)
                                .and_then(|c| self.reliability.halves(self.table.id(block, 0, c as u32)))
                                .cloned()
                                .unwrap_or_default(),
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

    fn group(&self, pattern: &str, count: u32, channels: &[Channel], blocks: &[BlockId]) -> Group {
        let names: Vec<String> = self.table.blocks().map(|(name, ..)| name.to_owned()).collect();
        let members: Vec<String> = match blocks {
            [_] => Vec::new(),
            all => all.iter().map(|b| names[b.0 as usize].clone()).collect(),
        };
        let mut group = Group {
            id: if members.is_empty() { pattern.to_owned() } else { members.join(", ") },
            devices: count.max(members.len() as u32),
            members,
            channels: Vec::new(),
        };
        // The four figures of a body's quaternion tell a reader nothing.
        let told = |c: &Channel| c.kind != Kind::Truth || !c.name.starts_with("orientation.");
        for (at, c) in channels.iter().enumerate().filter(|(_, c)| told(c)) {
            let mut fan = Fan { deciles: group.devices >= LEAST_DECILES, ..Fan::default() };
            let mut lines = Vec::new();
            for i in 0..group.devices {
                let (block, device) =
                    if blocks.len() == 1 { (blocks[0], i) } else { (blocks[i as usize], 0) };
                let id = self.table.id(block, device, at as u32);
                fan.add(self.sampler, id, i);
                // Of places and bodies, those that stay as they are need no line.
                let few = group.devices <= MOST_LINES;
                if few || (blocks.len() > 1 && group.devices <= MOST_MEMBERS) {
                    let series = self.series(id, 0.0);
                    if if few { series.rows > 0 } else { series.min != series.max } {
                        lines.push(Line { of: group.member(i), series });
                    }
                }
            }
            if lines.len() > MOST_LINES as usize {
                lines.clear();
            }
            if fan.rows > 0 {
                let first = group.member(0);
                let all: Vec<&str> = match group.members.as_slice() {
                    [] => vec![&first],
                    members => members.iter().map(String::as_str).collect(),
                };
                let bounds = self.bounds(&all, c);
                let channel = GroupChannel { lines, bounds, ..fan.channel(c, &group) };
                group.channels.push(channel);
            }
        }
        group
    }

    /// Bounds that expectations set on a channel of any of these devices.
    fn bounds(&self, devices: &[&str], channel: &Channel) -> Vec<Bound> {
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
            let meant = devices.iter().any(|d| signal.glob.matches_device(d));
            if meant && signal.glob.matches_channel(channel) {
                let levels = [bounds.low, bounds.high].into_iter().filter(|b| b.is_finite());
                all.extend(levels.map(|level| Bound {
                    level,
                    from_s: e.from.as_secs_f64(),
                    to_s: (e.to < SimTime::NEVER).then(|| e.to.as_secs_f64()),
                }));
            }
        }
        all.sort_by(|a, b| a.level.total_cmp(&b.level).then(a.from_s.total_cmp(&b.from_s)));
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
    /// Whether the values of each stretch are kept, for its deciles.
    deciles: bool,
    devices: u32,
    rows: u64,
    least: Option<(f64, u32)>,
    most: Option<(f64, u32)>,
}

#[derive(Clone)]
struct Stretch {
    t_s: f64,
    min: f64,
    max: f64,
    sum: f64,
    devices: u32,
    values: Vec<f64>,
}

impl Fan {
    fn add(&mut self, sampler: &Sampler, id: SignalId, device: u32) {
        let before = self.rows;
        for b in sampler.series(id) {
            self.rows += b.rows;
            let start = || Stretch {
                t_s: 0.0,
                min: f64::INFINITY,
                max: f64::NEG_INFINITY,
                sum: 0.0,
                devices: 0,
                values: Vec::new(),
            };
            let s = self.stretches.entry(b.t.0 / sampler.width_ns()).or_insert_with(start);
            s.t_s = s.t_s.max(b.t.as_secs_f64());
            s.min = s.min.min(b.min);
            s.max = s.max.max(b.max);
            s.sum += b.last;
            s.devices += 1;
            if self.deciles {
                s.values.push(b.last);
            }
            if self.least.is_none_or(|(v, _)| b.min < v) {
                self.least = Some((b.min, device));
            }
            if self.most.is_none_or(|(v, _)| b.max > v) {
                self.most = Some((b.max, device));
            }
        }
        self.devices += u32::from(self.rows > before);
    }

    /// First and last decile of a stretch.
    fn decile(stretch: &mut Stretch, share: f64) -> f64 {
        let at = ((stretch.values.len() - 1) as f64 * share).round() as usize;
        *stretch.values.select_nth_unstable_by(at, f64::total_cmp).1
    }

    fn channel(mut self, c: &Channel, group: &Group) -> GroupChannel {
        let mean = |s: &Stretch| s.sum / f64::from(s.devices);
        let points: Vec<Point> = self
            .stretches
            .values()
            .map(|s| Point { t_s: s.t_s, min: s.min, max: s.max, value: mean(s) })
            .collect();
        let middle = match self.deciles {
            true => (self.stretches.values_mut())
                .map(|s| Point {
                    t_s: s.t_s,
                    min: Self::decile(s, 0.1),
                    max: Self::decile(s, 0.9),
                    value: mean(s),
                })
                .collect(),
            false => Vec::new(),
        };
        let fan = Series::new(points, self.rows);
        let of = |end: Option<(f64, u32)>| end.map_or(String::new(), |(_, i)| group.member(i));
        GroupChannel {
            name: c.name.clone(),
            kind: c.kind.name().to_owned(),
            unit: c.unit.clone(),
            devices: self.devices,
            rows: self.rows,
            min: fan.min.unwrap_or_default(),
            min_of: of(self.least),
            mean: fan.points.iter().map(|p| p.value).sum::<f64>() / fan.points.len().max(1) as f64,
            max: fan.max.unwrap_or_default(),
            max_of: of(self.most),
            fan,
            middle: Series::new(middle, self.rows),
            ..GroupChannel::default()
        }
    }
}

/// Events, with the ends of faults, verdicts and disturbances beside their starts.
fn happenings(events: &[Event]) -> Vec<Happening> {
    let mut all: Vec<Happening> = Vec::new();
    // A verdict's figures are told with the verdict itself.
    for e in events.iter().filter(|e| e.kind != twinfleet_engine::diagnose::EVENT) {
        let (what, ends) = match e.kind.as_str() {
            "fault_start" => ("fault", false),
            "fault_end" => ("fault", true),
            "verdict" => ("verdict", false),
            "verdict_end" => ("verdict", true),
            "disturb_start" => ("disturbance", false),
            "disturb_end" => ("disturbance", true),
            other => (other, false),
        };
        let t_s = e.t.as_secs_f64();
        if ends {
            let same = |h: &&mut Happening| {
                h.to_s.is_none() && h.what == what && h.subject == e.subject && h.part == e.part
            };
            // The latest of the same kind and, of a fault, whose end says its size again, of that; or, where an end does not name
            // its kind, of any.
            let mut open: Vec<&mut Happening> = all.iter_mut().filter(same).collect();
            let is_sized = |h: &&mut Happening| what == "fault" && h.value == e.value;
            let at = (open.iter().rposition(|h| h.detail == e.detail && is_sized(h)))
                .or_else(|| open.iter().rposition(|h| h.detail == e.detail))
                .or(open.len().checked_sub(1));
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
            cause: e.cause.clone(),
            unit: e.unit.clone(),
            with: e.with.clone(),
            ..Happening::default()
        });
    }
    all
}
