//! Physicals and twins in a world of their own: recordings in, messages looped back, rows and verdicts out.

use bevy_ecs::prelude::*;
use std::{path::PathBuf, sync::Arc};
use twinfleet_engine::{
    catalog::{Catalog, ThingDef},
    dialect::{
        Dialect, DialectError, Dialects, Ear, EarSpec, Heard, Order, Told, Unasked, Utterance, Voice,
        VoiceSpec, Wanted,
    },
    dynamics::params::Params,
    message::Message,
    mirror::{
        self,
        decode::DecodeError,
        follow::{self, Followed, live},
        physical,
    },
    plan::Plan,
    predict::{Estimator, kalman::Filter},
    scenario::{MirrorDef, Scenario, definition, source::Source},
    signal::{Glob, SignalTable},
    time::{SimTime, Span},
    world::{
        Clock, Counters, Event, Events, Inbox, Outbox, Row, Rows, StateHash, StateHashers, TickSystems, Watch,
    },
};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn estimator(def: &MirrorDef) -> Result<Followed, std::convert::Infallible> {
    let read = |path: String| std::fs::read_to_string(root().join(path)).unwrap();
    let file = root().join(format!("twins/catalog/things/{}.ron", def.thing));
    let thing: ThingDef = definition::read(&Source::read(&file).unwrap()).unwrap();
    let params = Params::from_ron(&read(def.params.clone().unwrap())).unwrap();
    let dynamics = params.applied_to(&thing.dynamics.unwrap()).unwrap();
    let filter: Box<dyn Estimator> = Box::new(Filter::new(&dynamics, &def.learn).unwrap());
    Ok(filter.into())
}

/// A run of the mirror's plugins alone; what leaves comes back in the next tick.
struct Bench {
    world: World,
    schedule: Schedule,
    plan: Plan,
    rows: Vec<Row>,
    events: Vec<Event>,
    sent: Vec<Message>,
}

const SCENARIO: &str = r#"Scenario(format: 1, duration: "1h",
    physicals: [(id: "pi-1", from: Recording(path: "-", time: Some("-"), map: {}),
        publish: (topic: "fleet/{device}/state"))],
    mirror: [(twin: "pi-1", thing: "raspberry-pi-3b", params: Some("assets/params/pi3b-without-1100000011.ron"),
        bind: [(topic: "fleet/{device}/state")], forecast: Some((horizons: ["60s"])))],
    timeline: [TIMELINE])"#;

impl Bench {
    fn new(timeline: &str, step: Span, watched: &str, feed: physical::Feed) -> Self {
        Self::of(&SCENARIO.replace("TIMELINE", timeline), step, watched, feed)
    }

    /// Every physical of the scenario plays the same feed.
    fn of(scenario: &str, step: Span, watched: &str, feed: physical::Feed) -> Self {
        let scenario: Scenario = ron::from_str(scenario).unwrap();
        let mut signals = SignalTable::default();
        let names =
            |list: &[&str]| list.iter().map(|n| ((*n).to_owned(), "degC".to_owned())).collect::<Vec<_>>();
        let twin_blocks: Vec<_> = scenario
            .mirror
            .iter()
            .map(|m| {
                let channels = mirror::twin_channels(m, &names(&["soc.temperature"]), &names(&["cpu.load"]));
                signals.add_block(&m.twin, 1, channels)
            })
            .collect();
        let plan = Plan {
            seed: scenario.seed,
            scenario: Arc::new(scenario),
            catalog: Arc::new(Catalog { dialects: Dialect::of(Arc::new(Echo)), ..Catalog::default() }),
            groups: vec![],
            outside_block: twin_blocks[0],
            twin_blocks,
            signals,
            shard: (0, 1),
            zone_shard: vec![],
            zone_blocks: vec![],
            body_blocks: vec![],
            base: root(),
        };
        let mut world = World::new();
        let mut schedule = Schedule::default();
        use TickSystems as T;
        schedule.configure_sets((T::Firmware, T::Publish, T::Mirror, T::Compare).chain());
        schedule.set_build_settings(bevy_ecs::schedule::ScheduleBuildSettings {
            ambiguity_detection: bevy_ecs::schedule::LogLevel::Error,
            ..Default::default()
        });
        let mut watch = vec![false; plan.signals.len()];
        for id in plan.signals.matches(&Glob::new(watched).unwrap()) {
            watch[id.0 as usize] = true;
        }
        world.insert_resource(Watch(watch));
        world.insert_resource(Clock {
            now: SimTime::ZERO,
            next: SimTime::ZERO + step,
            step,
            tick: 0,
            epoch_unix_ms: 1_596_041_975_000,
            end: SimTime::NEVER,
        });
        world.init_resource::<Rows>();
        world.init_resource::<Events>();
        world.init_resource::<Inbox>();
        world.init_resource::<Outbox>();
        world.init_resource::<Counters>();
        let load = |_: &_| Ok::<_, std::convert::Infallible>(feed.clone());
        physical::install(&mut world, &mut schedule, &plan, &load).unwrap();
        follow::install(&mut world, &mut schedule, &plan, &estimator).unwrap();
        Self { world, schedule, plan, rows: vec![], events: vec![], sent: vec![] }
    }

    /// One tick; `meddle` may change what comes back from the broker.
    fn tick(&mut self, meddle: &mut dyn FnMut(&mut Vec<Message>)) {
        self.schedule.run(&mut self.world);
        let mut out = std::mem::take(&mut self.world.resource_mut::<Outbox>().0);
        self.sent.extend(out.iter().cloned());
        meddle(&mut out);
        self.world.resource_mut::<Inbox>().0 = out;
        self.rows.append(&mut self.world.resource_mut::<Rows>().0);
        self.events.append(&mut self.world.resource_mut::<Events>().0);
        let mut clock = self.world.resource_mut::<Clock>();
        (clock.now, clock.tick) = (clock.next, clock.tick + 1);
        clock.next = clock.next + clock.step;
    }

    fn run(&mut self, ticks: usize) {
        for _ in 0..ticks {
            self.tick(&mut |_| {});
        }
    }

    fn hash(&mut self) -> StateHash {
        let hashers = self.world.remove_resource::<StateHashers>().unwrap();
        let mut hash = StateHash::default();
        for add in &hashers.0 {
            add(&mut self.world, &mut hash);
        }
        self.world.insert_resource(hashers);
        hash
    }

    fn series(&self, name: &str) -> Vec<(SimTime, f64)> {
        let id = self.plan.signals.find(name).unwrap_or_else(|| panic!("no signal {name}"));
        self.rows.iter().filter(|r| r.signal == id).map(|r| (r.t, r.value)).collect()
    }

    fn summary(&mut self) -> follow::TwinScore {
        follow::summarise(&mut self.world);
        self.world.resource::<follow::TwinSummary>().0[0].clone()
    }
}

/// A dialect in which a command names the address that it is for.
struct Echo;

struct EchoEar(String);

impl Dialects for Echo {
    fn names(&self) -> Vec<&'static str> {
        vec!["echo"]
    }
    fn ear(&self, spec: &EarSpec<'_>) -> Result<Box<dyn Ear>, DialectError> {
        Ok(Box::new(EchoEar(spec.topic.to_owned())))
    }
    fn voice(&self, _: &VoiceSpec<'_>) -> Result<Box<dyn Voice>, DialectError> {
        unreachable!("nobody speaks it")
    }
    fn commands(&self, _: &str) -> bool {
        true
    }
}

impl Ear for EchoEar {
    fn filters(&self) -> Vec<String> {
        vec![self.0.clone()]
    }
    fn hear(&mut self, heard: &Heard<'_>, told: &mut Told) -> Result<(), DecodeError> {
        told.other.push(("heard".to_owned(), heard.topic.to_owned()));
        Ok(())
    }
    fn command(&mut self, _: &Order<'_>) -> Result<Utterance, Unasked> {
        Ok(Utterance { topic: self.0.clone(), payload: Vec::new(), qos: 1, retain: false })
    }
}

/// The first `rows` rows of a recorded Raspberry Pi.
fn pi(rows: usize) -> physical::Feed {
    let text =
        std::fs::read_to_string(root().join("assets/recordings/pi3b/pistress_1100000011.csv")).unwrap();
    let (mut t, mut load, mut temperature) = (vec![], vec![], vec![]);
    for line in text.lines().skip(1).take(rows) {
        let cells: Vec<&str> = line.split(',').collect();
        let clock: Vec<f64> = cells[0][11..].split(':').map(|x| x.parse().unwrap()).collect();
        t.push((clock[0] * 60.0 + clock[1]) * 60.0 + clock[2]);
        load.push(cells[1].parse().unwrap());
        temperature.push(cells[2].parse().unwrap());
    }
    physical::Feed::new(&t, vec![("cpu.load".into(), load), ("soc.temperature".into(), temperature)]).unwrap()
}

const SECOND: Span = Span::from_secs(1);

#[test]
fn a_recording_is_published_as_the_device_would_and_followed() {
    let mut bench = Bench::new("", SECOND, "**", pi(400));
    bench.run(395);
    let first = std::str::from_utf8(&bench.sent[0].payload).unwrap();
    assert_eq!(first, r#"{"ts":1596041975000,"cpu.load":44.5,"soc.temperature":45.084}"#);
    assert_eq!(&*bench.sent[0].topic, "fleet/pi-1/state");
    assert_eq!(bench.sent[1].sent, SimTime(1_002_671_000));
    let reported = bench.series("pi-1/soc.temperature@reported");
    assert_eq!(reported[0], (SimTime::ZERO, 45.084));
    assert!(reported.windows(2).all(|w| w[0].0 < w[1].0));
    let estimate = bench.series("pi-1/soc.temperature@estimate");
    let late = reported.iter().zip(&estimate).skip(60);
    assert!(late.clone().all(|(r, e)| (r.1 - e.1).abs() < 3.0));
    for bound in ["", ".lower", ".upper"] {
        assert!(bench.series(&format!("pi-1/soc.temperature.60s{bound}@forecast")).len() > 300);
    }
    let score = bench.summary();
    assert!(score.verdicts.is_empty() && score.late == 0 && score.duplicate == 0);
    assert!(score.forecasts[0].2.n() > 250);
}

#[test]
fn watching_changes_nothing() {
    let hashes: Vec<StateHash> = ["**", "none/at.all"]
        .iter()
        .map(|watched| {
            let mut bench = Bench::new("", SECOND, watched, pi(200));
            bench.run(190);
            bench.hash()
        })
        .collect();
    assert_eq!(hashes[0], hashes[1]);
}

/// Enough twins in a tick that threads share them, some of them sent nonsense: rows and events come in the same order, and
/// the state is the same, whether one thread does it all or several do.
#[test]
fn many_twins_are_the_same_on_any_number_of_threads() {
    let one = r#"(id: "pi-N", from: Recording(path: "-", time: Some("-"), map: {}), publish: (topic: "fleet/{device}/state")),"#;
    let twin = r#"(twin: "pi-N", thing: "raspberry-pi-3b", params: Some("assets/params/pi3b-without-1100000011.ron"),
        bind: [(topic: "fleet/{device}/state")], forecast: Some((horizons: ["60s"]))),"#;
    let list = |one: &str| (0..40).map(|n| one.replace('N', &n.to_string())).collect::<String>();
    let text = format!(
        r#"Scenario(format: 1, duration: "1h", physicals: [{}], mirror: [{}],
        timeline: [(at: "150s", do: Fault(target: "pi-*/soc.temperature", kind: Spike(by: 15.0)))])"#,
        list(one),
        list(twin)
    );
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let mut bench = Bench::of(&text, Span::from_secs(3), "**", pi(220));
            for tick in 0..75 {
                bench.tick(&mut |out| {
                    for (i, m) in out.iter_mut().enumerate().filter(|(i, _)| (i + tick) % 11 == 0) {
                        m.payload = format!("{{\"soc.temperature\":\"{i}\"}}").into_bytes().into();
                    }
                });
            }
            (bench.hash(), bench.rows, bench.events)
        })
    };
    let alone = run(1);
    assert!(alone.1.len() > 40 * 100 && alone.2.iter().filter(|e| e.kind == "bad_payload").count() == 40);
    assert!(alone.2.iter().any(|e| e.kind == "verdict"));
    for threads in [2, 3] {
        assert!(run(threads) == alone, "{threads} threads");
    }
}

#[test]
fn the_length_of_a_tick_changes_nothing() {
    let run = |step: Span, ticks| {
        let mut bench = Bench::new("", step, "**", pi(180));
        bench.run(ticks);
        (bench.hash(), bench.series("pi-1/soc.temperature@estimate"))
    };
    assert_eq!(run(SECOND, 250), run(Span(500_000_000), 500));
    assert_eq!(run(SECOND, 250), run(Span::from_secs(7), 36));
}

/// Messages twice, and messages older than those taken, leave the twin as it was.
#[test]
fn duplicates_and_late_messages_change_nothing() {
    let mut plain = Bench::new("", SECOND, "**", pi(150));
    plain.run(140);
    let mut bench = Bench::new("", SECOND, "**", pi(150));
    let mut past: Vec<Message> = Vec::new();
    for k in 0..140 {
        bench.tick(&mut |messages| {
            past.extend(messages.iter().cloned());
            if k % 3 == 0 {
                let copy = messages.clone();
                messages.extend(copy);
            }
            if k % 5 == 0 && past.len() > 3 {
                messages.push(past[past.len() - 3].clone());
            }
        });
    }
    let score = bench.summary();
    assert!(score.duplicate > 20 && score.late > 10, "{score:?}");
    assert_eq!(bench.series("pi-1/soc.temperature@estimate"), plain.series("pi-1/soc.temperature@estimate"));
}

/// Within a tick the order of arrival is no matter.
#[test]
fn messages_of_a_tick_may_come_in_any_order() {
    let run = |shuffle: bool| {
        let mut bench = Bench::new("", Span::from_secs(10), "**", pi(150));
        for _ in 0..14 {
            bench.tick(&mut |m| {
                if shuffle {
                    m.reverse();
                }
            });
        }
        (bench.hash(), bench.series("pi-1/soc.temperature@residual"))
    };
    assert_eq!(run(false), run(true));
}

#[test]
fn bad_payloads_are_counted_and_told_once() {
    let mut bench = Bench::new("", SECOND, "**", pi(100));
    for k in 0..90usize {
        bench.tick(&mut |messages| {
            if k % 4 == 1 {
                for m in messages {
                    m.payload = br#"{"ts":1,"soc.temperature":"hot"}"#[..].into();
                }
            }
        });
    }
    let score = bench.summary();
    assert!(score.bad > 15 && score.taken > 50);
    assert_eq!(bench.events.iter().filter(|e| e.kind == "bad_payload").count(), 1);
}

#[test]
fn a_fault_leaves_its_labels_and_its_verdict() {
    let timeline = r#"(at: "4min", until: Some("5min"), do: Fault(target: "pi-*/soc.temperature", kind: Bias(by: 6.0)))"#;
    let mut bench = Bench::new(timeline, SECOND, "**", pi(400));
    bench.run(390);
    let label =
        |kind: &str| bench.events.iter().find(|e| e.kind == kind).unwrap_or_else(|| panic!("no {kind}"));
    let minute = |m: i64| SimTime::ZERO + Span::from_secs(60 * m);
    for (kind, t) in [("fault_start", minute(4)), ("fault_end", minute(5))] {
        let e = label(kind);
        assert_eq!((e.t, e.subject.as_str(), e.part.as_str()), (t, "pi-1", "soc.temperature"));
        assert_eq!((e.detail.as_str(), e.value, e.unit.as_str()), ("bias", 6.0, "delta_K"));
    }
    let e = label("verdict");
    assert_eq!((e.subject.as_str(), e.part.as_str(), e.detail.as_str()), ("pi-1", "soc.temperature", "bias"));
    let verdicts = bench.summary().verdicts;
    let (v, s) = (&verdicts[0], SECOND.0 * 3);
    assert_eq!(verdicts.len(), 1, "{verdicts:?}");
    assert!((v.onset - minute(4)).0.abs() < s && (v.end.unwrap() - minute(5)).0.abs() < s, "{v:?}");
    assert!((v.size - 6.0).abs() < 1.5, "{v:?}");
    let verdict = bench.series("pi-1/soc.temperature@verdict");
    assert!(verdict.iter().any(|r| r.1 == 1.0) && verdict.last().unwrap().1 == 0.0);
}

/// A gap of the recording is the device's own absence, told by the broker; a dropout of the timeline is a fault.
#[test]
fn a_gap_of_the_recording_is_no_dropout() {
    let t: Vec<f64> = (0..300).map(|k| f64::from(k) + if k >= 150 { 120.0 } else { 0.0 }).collect();
    let flat = |v: f64| vec![v; 300];
    let feed = physical::Feed::new(
        &t,
        vec![("cpu.load".into(), flat(50.0)), ("soc.temperature".into(), flat(50.0))],
    );
    let mut bench = Bench::new("", SECOND, "**", feed.unwrap());
    bench.run(450);
    let told: Vec<String> = bench
        .sent
        .iter()
        .filter(|m| m.topic.ends_with("/status"))
        .map(|m| String::from_utf8_lossy(&m.payload).into_owned())
        .collect();
    assert_eq!(told, ["offline", "online", "offline"]);
    assert!(bench.summary().verdicts.iter().all(|v| v.kind != "dropout"));

    let silence = r#"(at: "3min", until: Some("4min"), do: Fault(target: "pi-1", kind: Dropout))"#;
    let mut bench = Bench::new(silence, SECOND, "**", pi(300));
    bench.run(295);
    let v = &bench.summary().verdicts[0];
    assert_eq!((v.kind, v.part.as_str()), ("dropout", ""));
    assert!((v.onset - SimTime(180 * SECOND.0)).0.abs() < 2 * SECOND.0);
    assert!((v.end.unwrap() - SimTime(240 * SECOND.0)).0.abs() < 2 * SECOND.0);
}

/// The timeline of `scenarios/pi3b-mirror.ron`, and nothing else, is what the twin finds.
#[test]
fn the_shipped_timeline_is_found_fault_by_fault() {
    let text = std::fs::read_to_string(root().join("scenarios/pi3b-mirror.ron")).unwrap();
    let from = text.find("timeline: [").unwrap() + "timeline: [".len();
    let timeline =
        text[from..text[from..].find("\n    ],").unwrap() + from].replace("until: \"", "until: Some(\"");
    let timeline = timeline.replace("min\", do", "min\"), do");
    let mut bench = Bench::new(&timeline, SECOND, "pi-1/*.*@verdict", pi(usize::MAX));
    bench.run(3600);
    let verdicts = bench.summary().verdicts;
    let kinds: Vec<&str> = verdicts.iter().map(|v| v.kind).collect();
    assert_eq!(kinds, ["stuck", "bias", "spike", "dropout", "clock_skew"], "{verdicts:?}");
    let starts: Vec<SimTime> = bench.events.iter().filter(|e| e.kind == "fault_start").map(|e| e.t).collect();
    for (v, start) in verdicts.iter().zip(starts) {
        assert!((v.onset - start).0.abs() <= 30 * SECOND.0, "{v:?} began at {start}");
        assert!(v.decided_at - start <= Span::from_secs(60), "{v:?}");
    }
    let score = bench.summary();
    assert!(score.forecasts[0].2.rmse() < score.forecasts[0].2.rmse_persistence());
}

/// The detector that `score detect` runs on tables, live over a twin's residuals: an alarm where they change, few elsewhere,
/// and nothing else of the run changes by it.
#[test]
fn a_watched_twin_tells_an_alarm_where_its_residuals_change() {
    let fault = r#"(at: "30min", until: Some("32min"), do: Fault(target: "pi-1/soc.temperature", kind: Bias(by: 9.0)))"#;
    let run = |watch: &str| {
        let text = SCENARIO.replace("TIMELINE", fault).replace("bind: [", &format!("{watch} bind: ["));
        let mut bench = Bench::of(&text, SECOND, "**", pi(2200));
        bench.run(2100);
        bench
    };
    let mut watched = run("watch: Some((readings_per_alarm: 1000.0)),");
    let hash = watched.hash();
    let alarms: Vec<&Event> = watched.events.iter().filter(|e| e.kind == "alarm").collect();
    let from = SimTime(1800 * 1_000_000_000);
    let (before, during): (Vec<&Event>, Vec<&Event>) = alarms.into_iter().partition(|e| e.t < from);
    assert!(before.len() <= 3, "one in 1,000 readings is promised: {before:?}");
    assert!(during.iter().any(|e| (e.t - from).as_secs_f64() < 30.0), "{during:?}");
    assert!(during.iter().all(|e| e.part == "soc.temperature" && e.subject == "pi-1"), "{during:?}");
    assert!(
        hash == run("watch: Some((readings_per_alarm: 1000.0)),").hash(),
        "the same alarms, the same state"
    );
    let plain = run("");
    assert!(plain.events.iter().all(|e| !e.kind.starts_with("alarm")));
    let residual = "pi-1/soc.temperature@residual";
    assert_eq!(watched.series(residual), plain.series(residual));
}

#[test]
fn commands_and_status_are_their_own_twins_by_its_place_alone() {
    let twin = r#"(twin: "pi-N", thing: "raspberry-pi-3b", params: Some("assets/params/pi3b-without-1100000011.ron"),
        bind: [(topic: "fleet/{device}", decode: Dialect(name: "echo"))]),"#;
    let twins: String = (0..5).map(|n| twin.replace('N', &n.to_string())).collect();
    let text = format!(r#"Scenario(format: 1, duration: "1h", mirror: [{twins}])"#);
    let mut bench = Bench::of(&text, SECOND, "**", pi(2));
    for index in [3, 0, 4] {
        let said = live::command(&mut bench.world, index, "fan", &Wanted::Flag(true), 0).unwrap();
        assert_eq!(said.topic, format!("fleet/pi-{index}"));
    }
    assert!(live::command(&mut bench.world, 5, "fan", &Wanted::Flag(true), 0).is_err());
    let fares = |index| live::status(&bench.world, index).map(|s| (s.index, s.twin));
    assert_eq!((fares(3), fares(5)), (Some((3, "pi-3".to_owned())), None));
    let heard = |topic: &str| Message {
        sent: SimTime::ZERO,
        due: SimTime::ZERO,
        publisher: 0,
        seq: 0,
        topic: topic.into(),
        payload: Arc::from(*b""),
        qos: 0,
        retain: false,
    };
    bench.world.resource_mut::<Inbox>().0 = vec![heard("fleet/pi-4"), heard("fleet/pi-1")];
    bench.run(1);
    let others = live::others(&bench.world, &[0, 1, 4].into());
    let said: Vec<(usize, &str)> = others.iter().map(|(at, said)| (*at, said["heard"].as_str())).collect();
    assert_eq!(said, [(1, "fleet/pi-1"), (4, "fleet/pi-4")]);
}
