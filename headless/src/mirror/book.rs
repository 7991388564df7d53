//! What is known of each twin now: the latest value of each of its signals, the verdicts that hold, and the JSON that
//! operators and others get of it.

use super::clock::WallClock;
use serde_json::{Map, Value, json};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};
use twinfleet_engine::{
    mirror::follow::live::TwinStatus,
    plan::Plan,
    scenario::calendar,
    signal::{Channel, Kind, SignalId},
    world::{Event, Row},
};
use twinfleet_twins::mirror::{keeper::Keeper, store::HistoryRow};

/// A device whose clock is off by more than this has its time stamps corrected in the history, [s].
const CORRECT_FROM_S: f64 = 0.5;
/// A clock that is off by more than this was never set, and the engine uses the times of arrival, [s].
const CLOCK_UNSET_S: f64 = 86_400.0;

/// Within so much of its end a tick's messages arrived, [ns].
const JUST_NOW_NS: i64 = 1_000_000_000;

/// A verdict that holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Holding {
    /// `part.quantity`; empty: the device.
    pub part: String,
    /// Its kind.
    pub kind: String,
    /// Since when it was decided, Unix time [ns].
    pub decided_unix_ns: i64,
    /// Its probability.
    pub posterior: f64,
}

struct TwinBook {
    id: String,
    thing: String,
    base: u32,
    channels: Arc<[Channel]>,
    holding: Vec<Holding>,
    /// By how much the device's clock is ahead, as learnt, [s].
    clock_ahead_s: f64,
    number: u32,
    /// Whether its document holds the values that it heard, as its device does not speak in JSON objects.
    by_values: bool,
}

/// What is known of all twins.
pub struct Book {
    twins: Vec<TwinBook>,
    by_id: HashMap<String, usize>,
    /// By signal, from `first` on: when, Unix time [ns], and how much.
    latest: Vec<(i64, f64)>,
    first: u32,
    /// The twin of a signal's block, by place of its base.
    bases: Vec<u32>,
    changed: BTreeSet<usize>,
    /// Twins with fresh values for their documents.
    documented: BTreeSet<usize>,
}

impl Book {
    /// A book of the plan's twins, with their numbers in the store.
    pub fn new(plan: &Plan, numbers: &[u32]) -> Self {
        let twins: Vec<TwinBook> = plan
            .scenario
            .mirror
            .iter()
            .zip(&plan.twin_blocks)
            .zip(numbers)
            .map(|((def, block), number)| TwinBook {
                id: def.twin.clone(),
                thing: def.thing.clone(),
                base: plan.signals.id(*block, 0, 0).0,
                channels: plan.signals.channels(*block),
                holding: Vec::new(),
                clock_ahead_s: 0.0,
                number: *number,
                by_values: false,
            })
            .collect();
        let first = twins.first().map_or(0, |t| t.base);
        Self {
            bases: twins.iter().map(|t| t.base).collect(),
            by_id: twins.iter().enumerate().map(|(at, t)| (t.id.clone(), at)).collect(),
            latest: vec![(0, f64::NAN); plan.signals.len() - first as usize],
            twins,
            first,
            changed: BTreeSet::new(),
            documented: BTreeSet::new(),
        }
    }

    /// Number of twins.
    pub fn len(&self) -> usize {
        self.twins.len()
    }

    /// The place of the twin with this id.
    pub fn place(&self, id: &str) -> Option<usize> {
        self.by_id.get(id).copied()
    }

    /// A twin's number in the store.
    pub fn number(&self, at: usize) -> u32 {
        self.twins[at].number
    }

    /// A twin's id.
    pub fn id(&self, at: usize) -> &str {
        &self.twins[at].id
    }

    /// A twin's thing and its outputs: name and unit.
    pub fn announced(&self, at: usize) -> (&str, Vec<(String, String)>) {
        let twin = &self.twins[at];
        let outputs = twin.channels.iter().filter(|c| c.kind == Kind::Estimate);
        (&twin.thing, outputs.map(|c| (c.name.clone(), c.unit.clone())).collect())
    }

    /// Verdicts that hold, over all twins.
    pub fn holding(&self) -> usize {
        self.twins.iter().map(|t| t.holding.len()).sum()
    }

    /// What a tick made, which ended at `until`, Unix time [ns]: the latest values, and rows for the history, which come sorted by
    /// (time, signal).
    pub fn take_rows(&mut self, rows: &[Row], wall: &WallClock, until: i64) -> Vec<HistoryRow> {
        let mut history: Vec<HistoryRow> = Vec::new();
        for row in rows {
            let SignalId(id) = row.signal;
            let at = self.bases.partition_point(|b| *b <= id).saturating_sub(1);
            let twin = &self.twins[at];
            let mut t_unix_ns = wall.unix_of(row.t);
            let ahead = twin.clock_ahead_s;
            // What a clock that is ahead stamps with a time to come has the time of its arrival already.
            let arrived = ahead > 0.0 && until - t_unix_ns < JUST_NOW_NS;
            if ahead.abs() > CORRECT_FROM_S && ahead.abs() < CLOCK_UNSET_S && !arrived {
                t_unix_ns = (t_unix_ns - (ahead * 1e9) as i64).min(until);
            }
            self.latest[(id - self.first) as usize] = (t_unix_ns, row.value);
            self.changed.insert(at);
            if twin.by_values {
                self.documented.insert(at);
            }
            let value = ((id - twin.base) as u16, row.value);
            match history.last_mut() {
                Some(last) if last.twin == twin.number && last.t_unix_ns == t_unix_ns => {
                    last.values.push(value)
                }
                _ => history.push(HistoryRow { twin: twin.number, t_unix_ns, values: vec![value] }),
            }
        }
        history
    }

    /// What a tick told: verdicts that began or ended.
    pub fn take_event(&mut self, event: &Event, wall: &WallClock) {
        let Some(at) = self.place(&event.subject) else { return };
        let twin = &mut self.twins[at];
        let same = |h: &Holding| h.part == event.part && h.kind == event.detail;
        match event.kind.as_str() {
            "verdict" if !twin.holding.iter().any(same) => twin.holding.push(Holding {
                part: event.part.clone(),
                kind: event.detail.clone(),
                decided_unix_ns: wall.unix_of(event.t),
                posterior: event.value,
            }),
            "verdict_end" => twin.holding.retain(|h| !same(h)),
            _ => {}
        }
        self.changed.insert(at);
    }

    /// This twin's document holds the values that it heard.
    pub fn document_by_values(&mut self, at: usize) {
        self.twins[at].by_values = true;
    }

    /// Fresh values for the documents of such twins, by signal.
    pub fn for_documents(&mut self) -> BTreeMap<usize, Map<String, Value>> {
        let fresh = std::mem::take(&mut self.documented);
        let fields = |at: usize| {
            let twin = &self.twins[at];
            let of = |(c, channel): (usize, &Channel)| {
                let (_, v) = self.latest[twin.base as usize + c - self.first as usize];
                (channel.kind == Kind::Reported && !v.is_nan()).then(|| (channel.name.clone(), json!(v)))
            };
            twin.channels.iter().enumerate().filter_map(of).collect()
        };
        fresh.into_iter().map(|at| (at, fields(at))).collect()
    }

    /// How the twins' clocks stand.
    pub fn take_clock(&mut self, status: &TwinStatus) {
        if let Some(twin) = self.twins.get_mut(status.index) {
            twin.clock_ahead_s = status.clock.map_or(0.0, |(offset, _)| offset);
        }
    }

    /// What is published of a twin changed.
    pub fn touch(&mut self, at: usize) {
        self.changed.insert(at);
    }

    /// Twins that changed since the last call, at most so many.
    pub fn changed(&mut self, most: usize) -> Vec<usize> {
        let some: Vec<usize> = self.changed.iter().take(most).copied().collect();
        for at in &some {
            self.changed.remove(at);
        }
        some
    }

    /// A channel of a twin by its place: name with kind, and unit.
    pub fn channel(&self, at: usize, channel: u16) -> Option<(String, &str)> {
        let c = self.twins[at].channels.get(usize::from(channel))?;
        Some((format!("{}@{}", c.name, c.kind), &c.unit))
    }

    /// The signals of a twin: by name its unit, values and forecasts.
    fn signals(&self, at: usize) -> Value {
        let twin = &self.twins[at];
        let mut signals: Map<String, Value> = Map::new();
        let known = |c: usize| {
            let (t, v) = self.latest[twin.base as usize + c - self.first as usize];
            (!v.is_nan()).then_some((t, v))
        };
        let base_names: Vec<&Channel> = twin.channels.iter().filter(|c| c.kind == Kind::Reported).collect();
        for channel in &base_names {
            signals.insert(channel.name.clone(), json!({ "unit": channel.unit }));
        }
        for (c, channel) in twin.channels.iter().enumerate() {
            let Some((t, value)) = known(c) else { continue };
            let own = base_names.iter().filter(|b| channel.name.starts_with(b.name.as_str()));
            let Some(name) = own.map(|b| &b.name).max_by_key(|n| n.len()) else { continue };
            let Some(entry) = signals.get_mut(name) else { continue };
            let rest = channel.name[name.len()..].trim_start_matches('.');
            match channel.kind {
                Kind::Reported => {
                    entry["reported"] = json!(value);
                    entry["at"] = json!(calendar::text(t));
                }
                Kind::Estimate => entry["estimate"] = json!(value),
                Kind::Residual if rest.is_empty() => entry["residual"] = json!(value),
                Kind::Residual => entry["whitened"] = json!(value),
                Kind::Forecast => {
                    let (horizon, part) = rest.split_once('.').unwrap_or((rest, "value"));
                    entry["forecast"][horizon][part] = json!(value);
                }
                _ => {}
            }
        }
        Value::Object(signals)
    }

    fn verdicts(&self, at: usize) -> Vec<Value> {
        let twin = &self.twins[at];
        let told = |h: &Holding| json!({ "kind": h.kind, "part": h.part, "decided_at": calendar::text(h.decided_unix_ns), "posterior": h.posterior });
        twin.holding.iter().map(told).collect()
    }

    /// What is published of a twin.
    pub fn published(&self, at: usize, keeper: &Keeper) -> Value {
        let twin = &self.twins[at];
        let verdict = twin.holding.last().map_or_else(
            || "none".to_owned(),
            |h| if h.part.is_empty() { h.kind.clone() } else { format!("{} of {}", h.kind, h.part) },
        );
        json!({
            "twin": twin.id,
            "signals": self.signals(at),
            "problem": !twin.holding.is_empty(),
            "verdict": verdict,
            "verdicts": self.verdicts(at),
            "online": keeper.online(&twin.id),
        })
    }

    /// A twin in a list.
    pub fn brief(&self, at: usize, keeper: &Keeper) -> Value {
        let twin = &self.twins[at];
        let last = (0..twin.channels.len())
            .filter(|c| twin.channels[*c].kind == Kind::Reported)
            .map(|c| self.latest[twin.base as usize + c - self.first as usize].0)
            .max()
            .filter(|t| *t > 0);
        json!({
            "id": twin.id,
            "thing": twin.thing,
            "last_report": last.map(calendar::text),
            "online": keeper.online(&twin.id),
            "verdicts": self.verdicts(at),
            "version": keeper.shadow(&twin.id).map(|s| s.version()),
        })
    }

    /// All that is known of a twin.
    pub fn whole(&self, at: usize, keeper: &Keeper, status: &TwinStatus, wall: &WallClock) -> Value {
        let twin = &self.twins[at];
        let mut view = self.brief(at, keeper);
        view["signals"] = self.signals(at);
        view["messages"] = json!({
            "taken": status.taken, "late": status.late, "duplicate": status.duplicate, "bad": status.bad,
        });
        view["rhythm"] = json!({ "period_s": status.period.as_secs_f64(), "stale": status.silent });
        if let Some((offset, drift)) = status.clock {
            view["clock"] = json!({ "ahead_s": offset, "fast_ppm": drift * 1e6 });
        }
        view["past_verdicts"] = status
            .verdicts
            .iter()
            .rev()
            .take(100)
            .map(|v| {
                json!({
                    "kind": v.kind, "part": v.part, "size": v.size, "posterior": v.posterior,
                    "onset": calendar::text(wall.unix_of(v.onset)),
                    "end": v.end.map(|t| calendar::text(wall.unix_of(t))),
                })
            })
            .collect();
        if let Some(shadow) = keeper.shadow(&twin.id) {
            view["shadow"] = shadow.document(true);
        }
        let named: Map<String, Value> =
            keeper.named(&twin.id).map(|(name, shadow)| (name.to_owned(), shadow.document(true))).collect();
        if !named.is_empty() {
            view["named_shadows"] = Value::Object(named);
        }
        if let Some(c) = keeper.last_command(&twin.id) {
            let at = |ms: i64| calendar::text(ms * 1_000_000);
            view["command"] = json!({
                "version": c.version, "state": c.standing.word(), "asked_at": at(c.asked_ms), "sent": c.sent,
                "first_sent_at": c.sent_ms.map(|(first, _)| at(first)), "sent_at": c.sent_ms.map(|(_, last)| at(last)),
                "done_at": c.done_ms.map(at), "latency_ms": c.latency_ms(), "overdue": c.overdue,
                "reason": (!c.reason.is_empty()).then_some(&c.reason),
            });
        }
        view
    }
}
