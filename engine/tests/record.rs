//! Records through the public door: round trips, the same bytes from the same rows, damage, merges, and kill -9.

use proptest::prelude::*;
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};
use twinfleet_engine::{
    expect::Expectation,
    record::{Header, Record, RecordError, Sampler, Writer, merge},
    signal::{Channel, Kind, SignalId, SignalTable},
    time::{SimTime, Span},
    world::{Event, Row, StateHash},
};

const S: i64 = 1_000_000_000;
const END: SimTime = SimTime(50 * S);

fn table() -> SignalTable {
    let mut table = SignalTable::default();
    table.add_block("gate", 1, vec![Channel::new("relay.level", Kind::Truth, "ratio")]);
    let channels = vec![
        Channel::new("a.temperature", Kind::Reading, "degC"),
        Channel::new("b.light", Kind::Reading, "lx"),
    ];
    table.add_block("n-{}", 3, channels);
    table
}

/// Which of `n` shards simulates a signal: whole devices.
fn shard_of(signal: u32, n: u32) -> u32 {
    if signal == 0 { 0 } else { ((signal - 1) / 2) % n }
}

fn event(t: i64, subject: u32, kind: &str) -> Event {
    Event {
        t: SimTime(t),
        subject: format!("n-{subject}"),
        part: "a".into(),
        kind: kind.into(),
        detail: "größer".into(),
        value: -0.5,
        cause: format!("n-{subject}/gap@{t}"),
        unit: "delta_K/h".into(),
        with: "b".into(),
    }
}

type Tick = (Vec<Row>, Vec<Event>);
/// Rows as (ms, signal, value), events as (ms, device).
type Drawn = (Vec<(i64, u32, f64)>, Vec<(i64, u32)>);

/// Ticks of one second; rows come unsorted, some from before their tick, some twice at an instant.
fn ticks() -> impl Strategy<Value = Vec<Tick>> {
    let value =
        prop_oneof![4 => -1e3f64..1e3, 1 => Just(f64::NAN), 1 => Just(f64::INFINITY), 1 => Just(-0.0)];
    let row = (-1500i64..1000, 0u32..7, value);
    let tick =
        (proptest::collection::vec(row, 0..12), proptest::collection::vec((0i64..1000, 0u32..3), 0..2));
    proptest::collection::vec(tick, 0..50).prop_map(|ticks| {
        let with_times = |(i, (rows, events)): (usize, Drawn)| {
            let at = |ms: i64| (i as i64 * S + ms * 1_000_000).max(0);
            let row = |(ms, s, value)| Row { t: SimTime(at(ms)), signal: SignalId(s), value };
            let rows = rows.into_iter().map(row).collect();
            let events = events.into_iter().map(|(ms, d)| event(at(ms), d, "brown_out")).collect();
            (rows, events)
        };
        ticks.into_iter().enumerate().map(with_times).collect()
    })
}

fn write(dir: &Path, ticks: &[Tick], shard: (u32, u32), run_rows: usize) {
    let header =
        Header { shard, epoch_unix_ms: 1_700_000_000_000, ..Header::new("Scenario(about: \"é\")", 42) };
    let mut writer =
        Writer::create(dir, header, &table(), Span::from_secs(10)).unwrap().with_run_rows(run_rows);
    let mine = |s: u32| shard_of(s, shard.1) == shard.0;
    let mut counted = 0;
    for (i, (rows, events)) in ticks.iter().enumerate() {
        let rows: Vec<Row> = rows.iter().filter(|r| mine(r.signal.0)).copied().collect();
        let device = |e: &Event| e.subject.trim_start_matches("n-").parse::<u32>().unwrap();
        let events: Vec<Event> = events.iter().filter(|e| mine(1 + 2 * device(e))).cloned().collect();
        counted += rows.len() as u64;
        writer.tick(SimTime(i as i64 * S), &rows, &events).unwrap();
    }
    let mut state = StateHash::default();
    for device in (0..3).filter(|d| mine(1 + 2 * d)) {
        state.add(&format!("n-{device}"), &[device as u8]);
    }
    writer.finish(END, true, state, &BTreeMap::from([("readings", counted)])).unwrap();
}

/// Every file of a folder with its bytes.
fn bytes(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(
                bytes(&path).into_iter().map(|(p, b)| (PathBuf::from(path.file_name().unwrap()).join(p), b)),
            );
        } else {
            all.insert(path.file_name().unwrap().into(), fs::read(&path).unwrap());
        }
    }
    all
}

fn key(r: &Row) -> (SimTime, SignalId, u64) {
    (r.t, r.signal, r.value.to_bits())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// What goes in comes out, segment by segment, sorted; and the size of the runs on disk leaves no trace.
    #[test]
    fn a_record_gives_back_its_rows(ticks in ticks()) {
        let dir = tempfile::tempdir().unwrap();
        let (one, two) = (dir.path().join("1"), dir.path().join("2"));
        write(&one, &ticks, (0, 1), 1 << 20);
        write(&two, &ticks, (0, 1), 3);
        prop_assert_eq!(bytes(&one), bytes(&two));

        let record = Record::open(&one).unwrap();
        let mut at = 0;
        for (segment, of_segment) in ticks.chunks(10).enumerate() {
            let mut want: Vec<Row> = of_segment.iter().flat_map(|(rows, _)| rows.clone()).collect();
            want.sort_by_key(|r| (r.t, r.signal));
            let got: Vec<Row> = record.segment_rows(segment).unwrap().map(Result::unwrap).collect();
            prop_assert_eq!(got.iter().map(key).collect::<Vec<_>>(), want.iter().map(key).collect::<Vec<_>>());
            let events: usize = of_segment.iter().map(|(_, events)| events.len()).sum();
            prop_assert_eq!(record.segment_events(segment).unwrap().len(), events);
            at = segment + 1;
        }
        prop_assert_eq!(record.manifest.segments.len(), at);
        prop_assert_eq!((record.manifest.end(), record.manifest.finished), (END, true));
    }

    /// The shards of a run merge into the whole, byte for byte, whatever their number and order.
    #[test]
    fn shards_merge_into_the_whole(ticks in ticks(), n in 1u32..5, turn in 0usize..5) {
        let dir = tempfile::tempdir().unwrap();
        let whole = dir.path().join("whole");
        write(&whole, &ticks, (0, 1), 1 << 20);
        let mut shards: Vec<PathBuf> = (0..n).map(|i| dir.path().join(format!("s{i}"))).collect();
        for (i, shard) in shards.iter().enumerate() {
            write(shard, &ticks, (i as u32, n), 5);
        }
        shards.rotate_left(turn % n as usize);
        let merged = dir.path().join("merged");
        merge::merge(&shards, &merged).unwrap();
        prop_assert_eq!(bytes(&merged), bytes(&whole));
    }

    /// A byte changed or cut off in any file is noticed.
    #[test]
    fn damage_is_noticed(file in 0usize..100, at in any::<u16>(), cut in any::<bool>(), bit in 0u8..8) {
        let dir = tempfile::tempdir().unwrap();
        let rows: Vec<Tick> =
            (0..25).map(|i| (vec![Row { t: SimTime(i * S), signal: SignalId(1), value: i as f64 }], vec![])).collect();
        write(&dir.path().join("r"), &rows, (0, 1), 4);
        let files: Vec<_> = bytes(&dir.path().join("r")).into_iter().collect();
        let (name, mut content) = files[file % files.len()].clone();
        let at = at as usize % content.len();
        if cut {
            content.truncate(at);
        } else {
            content[at] ^= 1 << bit;
        }
        fs::write(dir.path().join("r").join(&name), &content).unwrap();
        match Record::open(&dir.path().join("r")) {
            Err(RecordError::Corrupt { .. } | RecordError::Newer(..)) => {}
            Err(e) => prop_assert!(false, "{e}"),
            // White space and a letter's case in the manifest's JSON carry no meaning.
            Ok(record) => prop_assert!(
                name == Path::new("manifest.json") && record.rows().count() == 25, "{name:?} at {at} was taken"
            ),
        }
    }

    /// The sampler keeps the extremes and the count of each signal, whatever the order of its widths.
    #[test]
    fn the_sampler_keeps_extremes(values in proptest::collection::vec((0i64..100_000, -1e3f64..1e3), 1..200)) {
        let mut sampler = Sampler::new(1, 16);
        for (t, value) in &values {
            sampler.add(&Row { t: SimTime(*t * 1_000_000), signal: SignalId(3), value: *value });
        }
        sampler.add(&Row { t: SimTime(0), signal: SignalId(4), value: 0.0 });
        let series: Vec<_> = sampler.series(SignalId(3)).collect();
        let fold = |f: fn(f64, f64) -> f64, start| values.iter().fold(start, |a, v| f(a, v.1));
        prop_assert!(series.len() <= 16);
        prop_assert_eq!(series.iter().map(|b| b.min).fold(f64::INFINITY, f64::min), fold(f64::min, f64::INFINITY));
        prop_assert_eq!(
            series.iter().map(|b| b.max).fold(f64::NEG_INFINITY, f64::max), fold(f64::max, f64::NEG_INFINITY)
        );
        prop_assert_eq!(series.iter().map(|b| b.rows).sum::<u64>(), values.len() as u64);
        prop_assert!(series.windows(2).all(|w| w[0].t < w[1].t));
        prop_assert_eq!(sampler.left_out(), 1);
    }
}

#[test]
fn merging_refuses_what_does_not_belong_together() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    write(&path("0of2"), &[], (0, 2), 9);
    write(&path("1of2"), &[], (1, 2), 9);
    write(&path("1of3"), &[], (1, 3), 9);
    let out = path("out");
    let refusal = |names: &[&str]| {
        let dirs: Vec<PathBuf> = names.iter().map(|n| path(n)).collect();
        merge::merge(&dirs, &out).unwrap_err().to_string()
    };
    assert!(refusal(&["0of2"]).contains("2 shards, but 1 were given"));
    assert!(refusal(&["0of2", "0of2"]).contains("each once"));
    assert!(refusal(&["0of2", "1of3"]).contains("each once"));
    assert!(refusal(&[]).contains("nothing to merge"));
    assert!(!out.exists(), "a refused merge leaves nothing");
}

#[test]
fn a_record_never_overwrites_and_says_why() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("notes.txt"), "mine").unwrap();
    let begin =
        |dir: &Path| Writer::create(dir, Header::new("", 0), &table(), Span::from_secs(1)).unwrap_err();
    let error = begin(dir.path());
    assert!(matches!(error, RecordError::NotEmpty(_)) && error.exit_code() == 2, "{error}");
    let error = begin(&dir.path().join("notes.txt").join("rec"));
    assert!(matches!(error, RecordError::Io { .. }) && error.exit_code() == 3, "{error}");
    let error = Record::open(dir.path()).unwrap_err();
    assert!(matches!(error, RecordError::NotARecord(_)), "{error}");
}

#[test]
fn a_failure_while_writing_reaches_the_run() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("rec");
    let mut writer = Writer::create(&path, Header::new("", 0), &table(), Span::from_secs(1)).unwrap();
    fs::remove_dir_all(&path).unwrap();
    let row = |s: i64| Row { t: SimTime(s * S), signal: SignalId(1), value: 0.0 };
    let failed = (0..1000).find_map(|s| writer.tick(SimTime(s * S), &[row(s)], &[]).err());
    let error = failed.expect("the ticks after the failure are refused");
    assert!(matches!(error, RecordError::Io { .. }) && error.exit_code() == 3, "{error}");
}

#[test]
fn a_segment_that_cannot_be_finished_leaves_no_rows_behind() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("r");
    let mut writer =
        Writer::create(&path, Header::new("", 0), &table(), Span::from_secs(10)).unwrap().with_run_rows(1);
    // The second run of rows finds its place taken.
    fs::create_dir(path.join(".run-1.tmp")).unwrap();
    let row = Row { t: SimTime(0), signal: SignalId(1), value: 1.0 };
    let failed = (0..100_000).find_map(|_| writer.tick(SimTime(0), &[row], &[]).err());
    assert!(failed.is_some_and(|error| error.to_string().contains(".run-1.tmp")));
    assert!(!path.join(".run-0.tmp").exists());
}

#[test]
fn expectations_are_judged_over_a_record_as_in_the_run() {
    let dir = tempfile::tempdir().unwrap();
    let row = |s: i64| Row { t: SimTime(s * S), signal: SignalId(1), value: s as f64 };
    let ticks: Vec<Tick> = (0..40)
        .map(|s| (vec![row(s)], if s == 21 { vec![event(s * S, 0, "fault_start")] } else { vec![] }))
        .collect();
    write(&dir.path().join("r"), &ticks, (0, 1), 7);
    let read = |text: &str| -> Expectation {
        let options = ron::Options::default();
        options.with_default_extension(ron::extensions::Extensions::IMPLICIT_SOME).from_str(text).unwrap()
    };
    let always = read(r#"Always(signal: "n-0/a.*", below: 30, unless: Fault("n-0"))"#);
    let record = Record::open(&dir.path().join("r")).unwrap();
    let outcome = &merge::judge(&record, &[always]).unwrap()[0];
    assert_eq!((outcome.margin, outcome.judged), (Some(10.0), 21));
}

/// Not a test of its own: the process that [`kill_9_leaves_whole_segments`] kills.
#[test]
fn endless_writer() {
    let Ok(dir) = std::env::var("TWINFLEET_TEST_ENDLESS_WRITER") else { return };
    let mut writer = Writer::create(Path::new(&dir), Header::new("", 0), &table(), Span::from_secs(1))
        .unwrap()
        .with_run_rows(50);
    for i in 0.. {
        let t = SimTime(i * S / 100);
        let row = |s| Row { t, signal: SignalId(s), value: i as f64 };
        let happened = event(t.0, 0, "brown_out");
        writer.tick(t, &[row(1), row(2)], &[happened]).unwrap();
    }
}

/// Kills a writing process at a hundred moments. What is left opens, holds whole segments without a gap, and is as
/// long as what the manifest said when the process was last seen alive, or longer.
#[test]
fn kill_9_leaves_whole_segments() {
    let me = std::env::current_exe().unwrap();
    let (mut opened, mut segments_seen) = (0, 0);
    for round in 0..100u64 {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("rec");
        let mut child = Command::new(&me)
            .args(["endless_writer", "--exact"])
            .env("TWINFLEET_TEST_ENDLESS_WRITER", &path)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // Moments spread over the process's life, from before the first file to some segments later.
        std::thread::sleep(Duration::from_micros(5_000 + round * round.wrapping_mul(7919) % 60_000));
        let alive = Record::open(&path).map(|r| r.manifest.segments.len()).unwrap_or_default();
        child.kill().unwrap();
        child.wait().unwrap();
        let record = match Record::open(&path) {
            Ok(record) => record,
            Err(RecordError::NotARecord(_)) => continue,
            Err(e) => panic!("round {round}: {e}"),
        };
        opened += 1;
        let n = record.manifest.segments.len();
        segments_seen += n;
        assert!(n >= alive, "round {round}: {n} segments, but {alive} were seen before");
        assert!(!record.manifest.finished);
        assert_eq!(record.manifest.end(), SimTime(n as i64 * S), "round {round}");
        for at in 0..n {
            assert_eq!(record.segment_rows(at).unwrap().count(), 200, "round {round}, segment {at}");
            assert_eq!(record.segment_events(at).unwrap().len(), 100, "round {round}, segment {at}");
        }
    }
    assert!(opened > 0 && segments_seen > 0, "no process lived long enough to show anything");
}
