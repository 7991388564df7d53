//! `score detect` on tables as users have them: causal, the same for one file and many, bad input told, odd input survived.

use super::common::{Ran, command, scratch};
use std::{fmt::Write, fs, path::Path};

/// Noise that is the same on every machine.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> f64 {
        // Twelve uniform numbers less six are normal enough.
        (0..12).map(|_| self.uniform()).sum::<f64>() - 6.0
    }

    fn uniform(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// Five signals of a rig, semicolons between them; from row 700 to 999 the flow is low.
fn rig(seed: u64, rows: usize) -> String {
    let mut noise = Noise(seed * 7919 + 1);
    let mut text = String::from("datetime;flow;pressure;current;vibration;room;anomaly\n");
    let (mut load, mut room) = (0.0, 21.0);
    for t in 0..rows {
        load = 0.9 * load + 0.4 * noise.next();
        room += 0.002;
        let faulty = (700..1000).contains(&t);
        let flow = 32.0 + load + 0.3 * noise.next() - if faulty { 3.0 } else { 0.0 };
        let _ = writeln!(
            text,
            "2020-03-09 {:02}:{:02}:{:02};{flow:.3};{:.3};{:.3};{:.4};{:.2};{}",
            10 + t / 3600,
            t / 60 % 60,
            t % 60,
            2.0 + 0.1 * load + 0.05 * noise.next(),
            1.1 + 0.2 * load + 0.1 * noise.next(),
            0.2 + 0.01 * noise.next().abs(),
            room + 0.05 * noise.next(),
            u8::from(faulty)
        );
    }
    text
}

/// One signal, a value each five minutes; from row 1500 on for a hundred rows it stands still.
fn wave(rows: usize) -> String {
    let mut noise = Noise(11);
    let mut text = String::from("timestamp,value\n");
    for t in 0..rows {
        let x = (t as f64 * std::f64::consts::TAU / 288.0).sin() * 10.0 + noise.next();
        let x = if (1500..1600).contains(&t) { 25.0 } else { x };
        let (day, of_day) = (1 + t / 288, t % 288);
        let _ = writeln!(text, "2014-04-{day:02} {:02}:{:02}:00,{x:.3}", of_day / 12, of_day % 12 * 5);
    }
    text
}

fn detect(args: &[&str]) -> Ran {
    command(&[&["score", "detect"], args].concat())
}

fn lines(path: &Path) -> Vec<String> {
    fs::read_to_string(path)
        .unwrap_or_else(|e| panic!("{}: {e}", path.display()))
        .lines()
        .map(str::to_owned)
        .collect()
}

const SIGNALS: &str = "flow,pressure,current,vibration,room";

#[test]
fn a_fault_of_a_rig_is_told_with_the_signal_that_has_it() {
    let dir = scratch();
    let at = |name: &str| dir.path().join(name).display().to_string();
    fs::create_dir(at("rigs")).unwrap();
    for seed in 1..=6 {
        fs::write(dir.path().join(format!("rigs/{seed}.csv")), rig(seed, 1200)).unwrap();
    }
    let (data, out, why, page) = (at("rigs"), at("out"), at("why.csv"), at("page"));
    let rigs = [
        "--data",
        &data,
        "--time",
        "datetime",
        "--signals",
        SIGNALS,
        "--label",
        "anomaly",
        "--train-rows",
        "400",
        "--out",
        &out,
    ];
    let ran = detect(&[&rigs[..], &["--explain", &why, "--report", &page]].concat());
    assert_eq!(ran.code(), 0, "{}", ran.stderr());
    let all = ran.json();
    let (f1, far) =
        (all["labels"]["f1"].as_f64().unwrap(), all["labels"]["false_alarm_rate"].as_f64().unwrap());
    assert!(f1 > 0.9 && far < 0.1, "F1 {f1}, false-alarm rate {far}");
    assert!(all["vus_pr"].as_f64().unwrap() > 0.8, "{}", all["vus_pr"]);
    let scored = lines(&dir.path().join("out/3.csv"));
    assert_eq!((scored.len(), scored[0].as_str()), (1201, "time,score,alarm,changepoint"));
    assert!(scored[1..=400].iter().all(|l| l.ends_with(",0,0")), "what is learnt from tells nothing");
    assert!(
        scored[800].starts_with("2020-03-09 10:13:19,") && scored[800].ends_with(",1,0"),
        "{}",
        scored[800]
    );
    let alarms = lines(&dir.path().join("why.csv"));
    let fault = |l: &&String| l.contains("2020-03-09 10:11:4");
    assert_eq!(alarms.iter().filter(fault).count(), 6, "{alarms:?}");
    for alarm in alarms.iter().filter(fault) {
        assert!(alarm.split(',').next_back().unwrap().starts_with("flow"), "{alarm}");
    }
    // Of all alarms over the six, a share may be false: an alarm is taken back rather than added.
    let strict = detect(&[&rigs[..], &["--fdr", "0.1"]].concat());
    let strict = strict.json();
    assert!(strict["labels"]["false_onsets"].as_u64() <= all["labels"]["false_onsets"].as_u64(), "{strict}");
    let html = fs::read_to_string(dir.path().join("page/report.html")).unwrap();
    assert!(html.matches("<svg").count() >= 24 && html.contains("labelled"), "signals and scores are drawn");
}

/// A running number among the signals is told of, and the fault is found as without it.
#[test]
fn a_column_that_counts_blinds_nothing_and_is_told() {
    let dir = scratch();
    let at = |name: &str| dir.path().join(name).display().to_string();
    let text = rig(21, 1200).lines().enumerate().fold(String::new(), |mut all, (k, line)| {
        let count = if k == 0 { "count".to_owned() } else { (7 * k).to_string() };
        let _ = writeln!(all, "{line};{count}");
        all
    });
    fs::write(at("counted.csv"), text).unwrap();
    let f1 = |signals: &str| {
        let (data, out) = (at("counted.csv"), at("out.csv"));
        let ran = detect(&[
            "--data",
            &data,
            "--time",
            "datetime",
            "--signals",
            signals,
            "--label",
            "anomaly",
            "--train-rows",
            "400",
            "--out",
            &out,
        ]);
        assert_eq!(ran.code(), 0, "{}", ran.stderr());
        (ran.json()["labels"]["f1"].as_f64().unwrap(), ran.stderr().contains("`count` counts"))
    };
    let (without, with) = (f1(SIGNALS), f1(&format!("{SIGNALS},count")));
    assert!(with.1 && !without.1);
    assert!(with.0 > without.0 - 0.05 && with.0 > 0.8, "{without:?} {with:?}");
}

/// A machine that only grew warmer while it was clean, and then cools from row 800 to 999.
#[test]
fn what_only_rose_in_the_clean_rows_is_told_when_it_falls() {
    let dir = scratch();
    let at = |name: &str| dir.path().join(name).display().to_string();
    let mut noise = Noise(4711);
    let mut text = String::from("t,temperature,load,flow,label\n");
    let (mut warm, mut load) = (20.0, 0.0);
    for k in 0..1000 {
        load = 0.9 * load + 0.4 * noise.next();
        warm += if k < 800 { 0.02 } else { -0.3 };
        let flow = 2.0 + 0.1 * load + 0.05 * noise.next();
        let _ = writeln!(text, "{k},{warm:.1},{load:.3},{flow:.3},{}", u8::from(k >= 800));
    }
    fs::write(at("warm.csv"), text).unwrap();
    let (data, out) = (at("warm.csv"), at("out.csv"));
    let ran = detect(&[
        "--data",
        &data,
        "--time",
        "t",
        "--signals",
        "temperature,load,flow",
        "--label",
        "label",
        "--train-rows",
        "400",
        "--out",
        &out,
    ]);
    assert_eq!(ran.code(), 0, "{}", ran.stderr());
    assert!(ran.stderr().contains("`temperature` counts"), "{}", ran.stderr());
    let f1 = ran.json()["labels"]["f1"].as_f64().unwrap();
    assert!(f1 > 0.8, "{}", ran.stdout());
}

#[test]
fn no_row_is_judged_by_later_ones() {
    let dir = scratch();
    let at = |name: &str| dir.path().join(name).display().to_string();
    fs::write(at("whole.csv"), rig(9, 900)).unwrap();
    fs::write(at("part.csv"), rig(9, 760)).unwrap();
    for detector in [
        "auto",
        "novelty",
        "gaussian",
        "cusum",
        "page-hinkley",
        "glr",
        "bocpd",
        "pca",
        "dynamic-pca",
        "sub-pca",
    ] {
        let scored = |name: &str| {
            let (data, out) = (at(&format!("{name}.csv")), at(&format!("{name}-{detector}.csv")));
            let ran = detect(&[
                "--data",
                &data,
                "--time",
                "datetime",
                "--signals",
                SIGNALS,
                "--train-rows",
                "400",
                "--detector",
                detector,
                "--out",
                &out,
            ]);
            assert_eq!(ran.code(), 0, "{detector}: {}", ran.stderr());
            lines(Path::new(&out))
        };
        assert_eq!(scored("whole")[..761], scored("part")[..], "{detector}");
    }
}

#[test]
fn what_is_new_is_told_and_scored_by_windows() {
    let dir = scratch();
    let at = |name: &str| dir.path().join(name).display().to_string();
    fs::create_dir_all(at("data/group")).unwrap();
    fs::write(at("data/group/wave.csv"), wave(4000)).unwrap();
    fs::write(
        at("windows.json"),
        r#"{"group/wave.csv": [["2014-04-05 19:00:00.000000", "2014-04-07 01:00:00.000000"]], "other.csv": []}"#,
    )
    .unwrap();
    let (data, windows, out) = (at("data"), at("windows.json"), at("out"));
    let ran = detect(&[
        "--data",
        &data,
        "--time",
        "timestamp",
        "--signals",
        "value",
        "--windows",
        &windows,
        "--out",
        &out,
    ]);
    assert_eq!(ran.code(), 0, "{}", ran.stderr());
    let score = ran.json()["nab"]["normalised"].as_f64().unwrap();
    assert!(score > 70.0, "{score}");
    let scored = lines(&dir.path().join("out/group/wave.csv"));
    let onsets: Vec<usize> = (1..scored.len()).filter(|i| scored[*i].ends_with(",1,1")).collect();
    assert!(onsets.iter().any(|i| (1501..1520).contains(i)), "{onsets:?}");
    assert!(onsets.len() <= 6, "one in 1,000 rows is promised: {onsets:?}");
    // A stricter contract tells less.
    let strict = detect(&[
        "--data",
        &data,
        "--time",
        "timestamp",
        "--signals",
        "value",
        "--alarms-per-month",
        "1",
        "--out",
        &out,
    ]);
    assert!(strict.json()["files"][0]["onsets"].as_u64().unwrap() <= onsets.len() as u64);
}

#[test]
fn every_row_of_an_odd_table_is_answered() {
    let dir = scratch();
    let path = dir.path().join("odd.csv");
    let mut text = String::from("t,a,b\n");
    for t in 0..600 {
        let a = match t {
            100 => "n/a".to_owned(),
            200 => String::new(),
            300 => "1e308".to_owned(),
            301 => "-1e308".to_owned(),
            400..420 => "NaN".to_owned(),
            _ => format!("{}", (t % 7) as f64),
        };
        let time = match t {
            50 => "49".to_owned(),
            51 => "40".to_owned(),
            52 => "later".to_owned(),
            t if t > 450 => (t + 5000).to_string(),
            t => t.to_string(),
        };
        let _ = writeln!(text, "{time},{a},45");
    }
    fs::write(&path, text).unwrap();
    let (data, out) = (path.display().to_string(), dir.path().join("out.csv").display().to_string());
    for more in [
        &[][..],
        &["--train-rows", "90"],
        &["--detector", "bocpd"],
        &["--detector", "pca", "--train-rows", "90"],
    ] {
        for signals in ["a", "b", "a,b"] {
            let base = ["--data", &data, "--time", "t", "--signals", signals, "--out", &out];
            let ran = detect(&[&base[..], more].concat());
            assert_eq!(ran.code(), 0, "{signals} {more:?}: {}", ran.stderr());
            let scored = lines(Path::new(&out));
            assert_eq!(scored.len(), 601, "{signals} {more:?}");
            assert!(
                scored[51].starts_with("49,0,") && scored[53].starts_with(",0,"),
                "{:?}",
                &scored[50..55]
            );
            let finite = |l: &String| l.split(',').nth(1).unwrap().parse::<f64>().unwrap().is_finite();
            assert!(scored[1..].iter().all(finite), "{signals} {more:?}");
        }
    }
    fs::write(&path, "t,a\n5,1\n").unwrap();
    assert_eq!(detect(&["--data", &data, "--time", "t", "--signals", "a", "--out", &out]).code(), 0);
    assert_eq!(lines(Path::new(&out)), ["time,score,alarm,changepoint", "5,0.0000,0,0"]);
}

/// The same rows, the later half six times as often: what counts in rows means other times there.
#[test]
fn a_rate_that_changes_is_told() {
    let dir = scratch();
    let at = |name: &str| dir.path().join(name).display().to_string();
    let mut noise = Noise(5);
    let mut text = String::from("t_s,value\n");
    let mut t = 0.0;
    for k in 0..1000 {
        t += if k < 500 { 60.0 } else { 10.0 };
        let _ = writeln!(text, "{t},{:.3}", noise.next());
    }
    fs::write(at("rate.csv"), text).unwrap();
    let told = |ran: &Ran| {
        let words: Vec<String> = ran.stderr().split_whitespace().map(str::to_owned).collect();
        words.join(" ").contains("rows are 60.000 s apart, over some 10.000")
    };
    let (data, out) = (at("rate.csv"), at("out.csv"));
    let ran = detect(&["--data", &data, "--time", "t_s", "--signals", "value", "--out", &out]);
    assert!(ran.code() == 0 && told(&ran), "{}", ran.stderr());
    // Two devices in one table, a row each.
    let twice: String = (0..400).map(|k| format!("{k},a,{}\n{k},b,7\n", k % 5)).collect();
    fs::write(at("two.csv"), format!("t_s,device,value\n{twice}")).unwrap();
    let two = detect(&["--data", &at("two.csv"), "--time", "t_s", "--signals", "value", "--out", &out]);
    assert!(two.code() == 0 && two.stderr().contains("each device"), "{}", two.stderr());
    let line = ["score", "forecast", "--data", &data, "--time", "t_s", "--target", "value", "--out", &out];
    let more = ["--horizons", "5", "--train-until", "600", "--model", "persistence"];
    let ran = command(&[&line[..], &more].concat());
    assert!(ran.code() == 0 && told(&ran), "{}", ran.stderr());
}

#[test]
fn what_cannot_be_done_is_said() {
    let dir = scratch();
    let at = |name: &str| dir.path().join(name).display().to_string();
    fs::write(at("a.csv"), rig(1, 500)).unwrap();
    fs::create_dir(at("empty")).unwrap();
    fs::write(at("windows.json"), "[1, 2]").unwrap();
    let (data, out) = (at("a.csv"), at("out.csv"));
    let refused = |more: &[&str], code: i32, words: &[&str]| {
        let base = ["--data", &data, "--time", "datetime", "--out", &out];
        let ran = detect(&[&base[..], more].concat());
        assert_eq!(ran.code(), code, "{more:?}: {}{}", ran.stdout(), ran.stderr());
        for word in words {
            assert!(ran.stderr().contains(word), "{more:?} without `{word}`: {}", ran.stderr());
        }
    };
    refused(&["--signals", "flow,presure"], 2, &["presure", "pressure"]);
    refused(&["--signals", SIGNALS, "--train-rows", "12"], 2, &["12 clean rows", "40"]);
    refused(&["--signals", SIGNALS, "--detector", "normal"], 2, &["--train-rows"]);
    refused(&["--signals", "flow", "--detector", "oracle"], 2, &["novelty"]);
    refused(&["--signals", "flow", "--windows", &at("windows.json")], 2, &["windows.json"]);
    refused(&["--signals", "flow", "--windows", &at("none.json")], 2, &["none.json"]);
    refused(&["--signals", "flow", "--alarms-per-month", "-1"], 2, &["above 0"]);
    refused(&["--signals", "flow", "--fdr", "0.1"], 2, &["clean rows"]);
    refused(&["--signals", "flow", "--train-rows", "5000"], 2, &["nothing to watch", "500 rows"]);
    refused(&["--signals", SIGNALS, "--train-rows", "500"], 2, &["nothing to watch", "500 rows"]);
    refused(&["--signals", "flow", "--label", "truth"], 2, &["truth"]);
    refused(&["--signals", "flow", "--explain", &at("no/folder/x.csv")], 3, &["cannot write"]);
    refused(&["--signals", "flow", "--data", &at("empty")], 2, &["no table"]);
    assert!(!Path::new(&at("no")).exists());
}
