//! Reports of made-up runs, through the same functions as the command uses.

use super::*;
use twinfleet_engine::{
    expect::{Evaluator, Expectation},
    record::{Sampled, Sampler, sort_tick},
    signal::{Channel, Kind, SignalTable},
    time::SimTime,
    world::{Event, Row},
};

const S: i64 = 1_000_000_000;

fn expectations() -> Vec<Expectation> {
    let read = |text: &str| {
        let options = ron::Options::default();
        options.with_default_extension(ron::extensions::Extensions::IMPLICIT_SOME).from_str(text).unwrap()
    };
    vec![
        read(
            r#"Always(name: "the twin is near", signal: "pi-1/soc.temperature@residual", between: (-4, 4), unless: Fault("pi-1"), grace: "60s")"#,
        ),
        read(r#"Within(after: "30min", within: "60s", verdict: (of: "pi-1", kind: "stuck", part: "soc"))"#),
        read(r#"Never(verdict: Any, before: "30min")"#),
        read(
            r#"Always(name: "no <frost> & \"no\" heat", signal: "node-*/bme280.temperature@reading", between: (5, 31.5))"#,
        ),
        read(r#"Eventually(signal: "node-*/bme280.pressure@reading", above: 990)"#),
    ]
}

/// An hour of a twin whose sensor sticks for ten minutes, and of five nodes.
fn demo() -> Report {
    let mut table = SignalTable::default();
    let mut channels = vec![Channel::new("soc.temperature", Kind::Reported, "degC")];
    for kind in [Kind::Estimate, Kind::Residual] {
        channels.push(Channel::new("soc.temperature", kind, "degC"));
    }
    for horizon in ["60s", "300s"] {
        for bound in ["", ".lower", ".upper"] {
            channels.push(Channel::new(&format!("soc.temperature.{horizon}{bound}"), Kind::Forecast, "degC"));
        }
    }
    channels.push(Channel::new("cpu.load", Kind::Reported, "percent"));
    let twin = table.add_block("pi-1", 1, channels);
    let node = ["bme280.temperature", "bme280.pressure"].iter().zip(["degC", "hPa"]);
    let nodes = table.add_block(
        "node-{}",
        5,
        node.map(|(name, unit)| Channel::new(name, Kind::Reading, unit)).collect(),
    );
    let expectations = expectations();
    let mut evaluator = Evaluator::new(&expectations, &table);
    let mut sampled = Sampled::new(Sampler::new(100, 512), 100);
    let (mut truth, mut seed, mut stuck) = (40.0f64, 1u64, 0.0);
    let mut noise = move || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as f64 / f64::from(1u32 << 31) - 0.5
    };
    for s in 0..3600i64 {
        let load = if s / 400 % 2 == 0 { 15.0 } else { 95.0 } + 8.0 * noise();
        truth += (38.0 + 0.28 * load - truth) / 120.0;
        let fault = (1800..2400).contains(&s);
        if !fault {
            stuck = truth + 0.6 * noise();
        }
        let silent = (2900..3000).contains(&s);
        let mut rows = Vec::new();
        let mut row = |block, device, channel, value| {
            rows.push(Row { t: SimTime(s * S), signal: table.id(block, device, channel), value });
        };
        if !silent {
            row(twin, 0, 0, stuck);
            row(twin, 0, 2, stuck - truth);
        }
        row(twin, 0, 1, truth);
        for (i, spread) in [1.0, 2.5].into_iter().enumerate() {
            let ahead = truth + (38.0 + 0.28 * load - truth) * [0.35, 0.75][i];
            for (bound, offset) in [0.0, -spread, spread].into_iter().enumerate() {
                row(twin, 0, 3 + 3 * i as u32 + bound as u32, ahead + offset);
            }
        }
        row(twin, 0, 9, load);
        if s % 60 == 0 {
            for device in 0..5 {
                let day = (s as f64 / 3600.0 * std::f64::consts::PI).sin();
                row(nodes, device, 0, 20.0 + 11.0 * day + f64::from(device) * 0.4 + noise());
                row(nodes, device, 1, 1005.0 + 0.3 * noise() + f64::from(device));
            }
        }
        let event = |kind: &str, detail: &str, value| Event {
            t: SimTime(s * S),
            subject: "pi-1".into(),
            part: "soc.temperature".into(),
            kind: kind.into(),
            detail: detail.into(),
            value,
            cause: String::new(),
            unit: String::new(),
            with: String::new(),
        };
        let mut events = match s {
            1800 => vec![event("fault_start", "stuck", 0.0)],
            1822 => vec![event("verdict", "stuck", 0.997)],
            2400 => vec![event("fault_end", "stuck", 0.0)],
            2431 => vec![event("verdict_end", "stuck", 0.0)],
            2900 => vec![event("fault_start", "dropout", 0.0)],
            2912 => vec![event("verdict", "dropout", 0.9)],
            3000 => vec![event("fault_end", "dropout", 0.0), event("verdict_end", "dropout", 0.0)],
            _ => vec![],
        };
        sort_tick(&mut rows, &mut events);
        evaluator.observe(&rows, &events);
        sampled.tick(&rows, &events);
    }
    let score = |horizon_s: f64, rmse: f64| Score {
        signal: "soc.temperature".into(),
        horizon_s,
        n: 3540,
        rmse,
        rmse_persistence: rmse * 1.6,
        coverage: 0.912,
        interval: 0.9,
    };
    let mut report = Report {
        scenario: "pi3b-mirror".into(),
        about: "A recorded Raspberry Pi 3B is followed by its twin; at half time its sensor sticks".into(),
        seed: 42,
        replay: "twinfleet run pi3b-mirror --seed 42".into(),
        version: "0.1.0".into(),
        duration_s: 3600.0,
        simulated_s: 3600.0,
        finished: true,
        wall_s: 0.84,
        broker: "embedded".into(),
        messages: 3600,
        state_hash: Some("0123456789abcdef0123456789abcdef".into()),
        counters: BTreeMap::from([("messages_published".into(), 3600), ("readings".into(), 4200)]),
        expectations: evaluator.finish(SimTime(3600 * S)),
        ..Report::default()
    };
    collect::collect(&mut report, &table, &sampled, &expectations);
    report.twins[0].scores = vec![score(60.0, 0.42), score(300.0, 1.3)];
    report
}

/// A strict enough reader of XML: tags nest, attributes are quoted and unique, and nothing forbidden stands in text.
/// Returns the elements' names in order, `/` before the closing ones.
fn elements(xml: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut open: Vec<String> = Vec::new();
    let mut rest = xml;
    while let Some(at) = rest.find('<') {
        text(&rest[..at]);
        let end = rest[at..].find('>').unwrap_or_else(|| panic!("unclosed tag: {:.60}", &rest[at..])) + at;
        let tag = &rest[at + 1..end];
        rest = &rest[end + 1..];
        if tag.starts_with(['?', '!']) {
            continue;
        }
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop().as_deref(), Some(name));
            names.push(tag.to_owned());
            continue;
        }
        let (inner, closed) = tag.strip_suffix('/').map_or((tag, false), |t| (t, true));
        let (name, attributes) = inner.split_once(' ').unwrap_or((inner, ""));
        let mut seen = Vec::new();
        let mut left = attributes.trim();
        while !left.is_empty() {
            let (key, after) = left.split_once("=\"").unwrap_or_else(|| panic!("attribute {left}"));
            let (value, after) = after.split_once('"').unwrap_or_else(|| panic!("unquoted {left}"));
            text(value);
            assert!(!seen.contains(&key) && !value.contains('<'), "{tag}");
            seen.push(key);
            left = after.trim_start();
        }
        names.push(name.to_owned());
        if !closed {
            open.push(name.to_owned());
        }
    }
    assert!(open.is_empty(), "left open: {open:?}");
    names
}

fn text(text: &str) {
    for (at, _) in text.match_indices('&') {
        let entity = text[at..].split(';').next().unwrap_or_default();
        assert!(["&amp", "&lt", "&gt", "&quot", "&#39"].contains(&entity), "{entity}");
    }
    assert!(text.chars().all(|c| !c.is_control() || c == '\n' || c == '\t'));
}

#[test]
fn a_report_has_its_four_parts_and_replaces_an_earlier_one() {
    let dir = tempfile::tempdir().unwrap();
    let dir = std::env::var("TWINFLEET_REPORT_DEMO").map_or(dir.path().to_owned(), PathBuf::from);
    write(&demo(), &dir).unwrap();
    write(&demo(), &dir).unwrap();
    let html = fs::read_to_string(dir.join("report.html")).unwrap();
    assert!(html.len() < 3_000_000, "{} bytes", html.len());
    let outside = ["http://", "https://", "src=", "@import", "url(//", "<script", "<link"];
    for word in outside {
        assert!(!html.replace("http://www.w3.org/2000/svg", "").contains(word), "{word}");
    }
    let json: serde_json::Value =
        serde_json::from_slice(&fs::read(dir.join("report.json")).unwrap()).unwrap();
    assert_eq!((json["seed"].as_u64(), json["held"].as_bool()), (Some(42), Some(false)));
    assert_eq!(json["expectations"].as_array().map(Vec::len), Some(5));
    let plots: Vec<_> = fs::read_dir(dir.join("plots")).unwrap().map(|e| e.unwrap().path()).collect();
    assert_eq!(plots.len(), 7);
    for plot in plots {
        assert_eq!(elements(&fs::read_to_string(plot).unwrap())[0], "svg");
    }
}

#[test]
fn junit_is_well_formed_and_names_each_expectation() {
    let mut report = demo();
    report.replay = "twinfleet run 'a & b' --set x=\"<1>\"\u{1}".into();
    let xml = junit::xml(&report);
    let names = elements(&xml);
    let count = |name: &str| names.iter().filter(|n| *n == name).count();
    assert_eq!((count("testcase"), count("failure"), count("/testsuites")), (5, 1, 1));
    assert!(xml.contains("tests=\"5\" failures=\"1\""));
    assert!(xml.contains("no &lt;frost&gt; &amp; &quot;no&quot; heat"));
    assert!(xml.contains("seed 42\nreplay: twinfleet run &#39;a &amp; b&#39;"));
}

#[test]
fn faults_are_paired_with_their_ends_and_forecasts_moved_to_their_time() {
    let report = demo();
    let spans: Vec<_> = report.happenings.iter().map(|h| (h.what.as_str(), h.from_s, h.to_s)).collect();
    let want = [
        ("fault", 1800.0, Some(2400.0)),
        ("verdict", 1822.0, Some(2431.0)),
        ("fault", 2900.0, Some(3000.0)),
        ("verdict", 2912.0, Some(3000.0)),
    ];
    assert_eq!(spans, want);
    let output = &report.twins[0].outputs[0];
    let last = |s: &Series| s.points.last().unwrap().t_s;
    assert_eq!(last(&output.forecasts[0].mean), last(&output.estimate) + 60.0);
    assert_eq!(last(&output.forecasts[1].upper), last(&output.estimate) + 300.0);
    assert_eq!(output.bounds.iter().map(|b| b.level).collect::<Vec<_>>(), [-4.0, 4.0]);
}

#[test]
fn ticks_are_round_and_inside() {
    for (low, high) in [(0.0, 1.0), (-3.2, 97.1), (1e-7, 3e-7), (1e5, 1.00001e5), (-5e8, 5e8), (2.0, 2.0)] {
        let (low, high) = axis::limits(low, high, "");
        let (ticks, _) = axis::value_ticks(low, high, 5);
        assert!((2..=12).contains(&ticks.len()), "{low}..{high}: {ticks:?}");
        assert!(ticks.iter().all(|t| (low..=high).contains(t)), "{low}..{high}: {ticks:?}");
    }
    let labels = |end| axis::time_ticks(0.0, end, 8).into_iter().map(|t| t.1).collect::<Vec<_>>();
    assert_eq!(labels(3600.0), ["0:00", "0:10", "0:20", "0:30", "0:40", "0:50", "1:00"]);
    assert_eq!(labels(5.0 * 86_400.0).last().map(String::as_str), Some("5 d"));
    assert_eq!(labels(86_400.0).last().map(String::as_str), Some("24:00"));
    assert_eq!(labels(40.0), ["0", "5", "10", "15", "20", "25", "30", "35", "40"]);
    assert_eq!(labels(300.0)[1], "1:00");
    for (end, unit) in [(8.0, "s"), (599.0, "m:ss"), (600.0, "h:mm"), (7200.0, "h:mm")] {
        assert_eq!(axis::time_unit(end), unit, "the labels of {end} s: {:?}", labels(end));
    }
}

#[test]
fn an_empty_run_still_makes_a_report() {
    let dir = tempfile::tempdir().unwrap();
    write(&Report::default(), dir.path()).unwrap();
    let blocked = dir.path().join("report.json").join("deeper");
    assert!(write(&Report::default(), &blocked).unwrap_err().to_string().contains("cannot write the report"));
}

/// The demo with faults that crowd together, a faulty node, and a signal that never changes.
fn crowded() -> Report {
    let mut report = demo();
    let happening =
        |what: &str, of: &str, part: &str, kind: &str, from_s: f64, len_s: f64, value: f64| Happening {
            from_s,
            to_s: Some(from_s + len_s),
            what: what.into(),
            subject: of.into(),
            part: part.into(),
            detail: kind.into(),
            value,
            size: (what == "verdict").then_some(3.9),
            decided_at_s: (what == "verdict").then_some(from_s + 5.0),
            ..Happening::default()
        };
    for (i, kind) in ["spike", "dropout", "clock_skew", "bias", "noise", "drift"].into_iter().enumerate() {
        let (from_s, part) = (2500.0 + 30.0 * i as f64, "soc.temperature");
        report.happenings.push(happening("fault", "pi-1", part, kind, from_s, 20.0, 4.0));
        report.happenings.push(happening("verdict", "pi-1", part, kind, from_s + 0.5, 20.0, 0.99));
    }
    report.happenings.push(happening("fault", "node-3", "bme280.temperature", "bias", 600.0, 900.0, 3.0));
    report.happenings.push(happening("fault", "node-30", "bme280.temperature", "drift", 600.0, 900.0, 3.0));
    let mut still = report.groups[0].channels[0].clone();
    (still.name, still.min, still.max) = ("fan.level".into(), 0.5, 0.5);
    still.bounds.clear();
    report.groups[0].channels.push(still);
    report
}

/// The texts of a drawing: y, from x, to x, what they say.
fn texts(svg: &str) -> Vec<(f64, f64, f64, String)> {
    let attribute = |tag: &str, name: &str| -> Option<f64> {
        let at = tag.find(&format!(" {name}=\""))? + name.len() + 3;
        tag[at..].split('"').next()?.parse().ok()
    };
    let mut all = Vec::new();
    for piece in svg.split("<text").skip(1) {
        let (tag, rest) = piece.split_once('>').unwrap();
        let inner = rest.split("</text>").next().unwrap();
        let words: String = inner.split('<').map(|p| p.rsplit('>').next().unwrap()).collect();
        let words =
            words.replace("&#39;", "'").replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
        let wide = plot::width_of(&words);
        let x = attribute(tag, "x").unwrap();
        let from = match tag {
            t if t.contains("\"end\"") => x - wide,
            t if t.contains("\"middle\"") => x - wide / 2.0,
            _ => x,
        };
        all.push((attribute(tag, "y").unwrap(), from, from + wide, words));
    }
    all
}

#[test]
fn no_text_runs_into_another_or_out_of_its_plot() {
    let mut seen = 0;
    for plot in plot::all(&crowded()) {
        for svg in plot.inline().split_inclusive("</svg>").filter(|s| s.contains("<text")) {
            let width: f64 =
                svg.split("viewBox=\"0 0 ").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
            let all = texts(svg);
            seen += all.len();
            for (i, a) in all.iter().enumerate() {
                assert!(a.1 >= -1.0 && a.2 <= width + 6.0, "{}: {a:?} of {width}", plot.file);
                for b in &all[..i] {
                    let apart = (a.0 - b.0).abs() > 9.0 || a.2 <= b.1 + 1.0 || b.2 <= a.1 + 1.0;
                    assert!(apart, "{}: {a:?} runs into {b:?}", plot.file);
                }
            }
        }
    }
    assert!(seen > 200, "{seen}");
}

#[test]
fn faults_of_a_fleet_are_marked_where_they_act_and_constants_are_told_not_drawn() {
    let report = crowded();
    let plots = plot::all(&report);
    let of =
        |file: &str| plots.iter().find(|p| p.file == file).unwrap_or_else(|| panic!("no {file}")).inline();
    assert!(of("node-___bme280.temperature_reading").contains(">node-3 bias +3 °C</text>"));
    // There are five nodes, so node-30 is none of them; the fault is the temperature's alone.
    assert!(!of("node-___bme280.temperature_reading").contains("drift"));
    assert!(!of("node-___bme280.pressure_reading").contains("bias"));
    assert!(!plots.iter().any(|p| p.file.contains("fan.level")));
    let page = html::page(&report, &plots);
    let row = page.split("<tr>").find(|r| r.contains("fan.level")).unwrap();
    assert!(row.contains("constant"), "{row}");
}

#[test]
fn what_failed_stands_first_with_its_margin_moment_and_place() {
    let report = crowded();
    let plots = plot::all(&report);
    let page = html::page(&report, &plots);
    let failed = report.expectations.iter().find(|o| !o.held()).unwrap();
    let at = page.find("class=\"card failure\"").unwrap();
    assert!(at < page.find("<h2>Expectations").unwrap());
    let card = page[at..].split("</div>").next().unwrap();
    for word in [escape(&failed.name), words::clock(failed.worst_at_s.unwrap())] {
        assert!(card.contains(&word), "{word}: {card}");
    }
    assert!(card.contains("margin <b>−"), "{card}");
    // Every link leads somewhere, and nothing has two places.
    let ids: Vec<&str> = page.split(" id=\"").skip(1).map(|p| p.split('"').next().unwrap()).collect();
    assert_eq!(ids.len(), ids.iter().collect::<std::collections::BTreeSet<_>>().len());
    let links: Vec<&str> = page.split("href=\"#").skip(1).map(|p| p.split('"').next().unwrap()).collect();
    assert!(links.len() > 8 && links.iter().all(|l| ids.contains(l)), "{links:?}");
    // Its plot shows the moment, once in each width.
    let target = card.split("href=\"#p-").nth(1).unwrap().split('"').next().unwrap();
    let plot = plots.iter().find(|p| p.file == target).unwrap();
    assert!(plot.inline().contains("<circle class=\"mark\""));
}

#[test]
fn a_verdict_stands_beside_its_fault_with_units() {
    let report = crowded();
    let page = html::page(&report, &plot::all(&report));
    let table = &page[page.find("<h2 id=\"p-pi-1\"").unwrap()..];
    let row = table.split("<tr>").find(|r| r.contains(">bias<")).unwrap();
    for word in ["named", "+4 °C", "+3.9 °C", "0:43:10", "+0.5 s", "5.5 s", "99 %"] {
        assert!(row.contains(word), "{word}: {row}");
    }
    let skew = table.split("<tr>").find(|r| r.contains(">clock_skew<")).unwrap();
    assert!(skew.contains("+4 ppm"), "{skew}");
}

/// What page, JSON and pairs make of one fault and one verdict on `pi-1`: kind, part, from, to, size.
type Told<'a> = (&'a str, &'a str, f64, Option<f64>, f64);
fn judged(fault: Told<'_>, verdict: Told<'_>) -> Vec<&'static str> {
    let happening = |what: &str, (kind, part, from_s, to_s, size): Told<'_>| Happening {
        from_s,
        to_s,
        what: what.into(),
        subject: "pi-1".into(),
        part: part.into(),
        detail: kind.into(),
        value: if what == "fault" { size } else { 0.99 },
        size: (what == "verdict" && size != 0.0).then_some(size),
        ..Happening::default()
    };
    let mut report = demo();
    report.happenings = vec![happening("fault", fault), happening("verdict", verdict)];
    let words: Vec<&str> = report.pairs("pi-1").iter().map(|p| p.outcome.word()).collect();
    let page = html::page(&report, &[]);
    let chip = |word: &str| page.matches(&format!(">{word}</span>")).count();
    for word in ["named", "missed", "not injected", "other kind"] {
        assert_eq!(chip(word), words.iter().filter(|w| **w == word).count(), "{word}");
    }
    let json: serde_json::Value = serde_json::from_str(&json(&report)).unwrap();
    let outcomes: Vec<&str> =
        json["judged"].as_array().unwrap().iter().map(|j| j["outcome"].as_str().unwrap()).collect();
    let plain = |w: &&str| if *w == "not injected" { "false".to_owned() } else { w.replace(' ', "_") };
    assert_eq!(outcomes, words.iter().map(plain).collect::<Vec<_>>());
    words
}

#[test]
fn a_verdict_that_is_wrong_in_part_time_or_sign_names_no_fault() {
    let part = "soc.temperature";
    let bias = ("bias", part, 0.0, Some(120.0), 8.0);
    let named = ["named"];
    let wrong = ["missed", "not injected"];
    assert_eq!(judged(bias, ("bias", part, 0.0, Some(130.0), 7.9)), named);
    // What the twin took the end of the fault for, and went on with: after it, and of the other sign.
    assert_eq!(judged(bias, ("bias", part, 120.0, None, -7.779)), wrong);
    assert_eq!(judged(bias, ("bias", part, 120.0, None, 7.779)), wrong);
    assert_eq!(judged(bias, ("bias", part, 110.0, None, -7.779)), wrong);
    assert_eq!(judged(bias, ("bias", "cpu.load", 0.0, Some(130.0), 7.9)), wrong);
    assert_eq!(judged(bias, ("bias", "", 0.0, Some(130.0), 7.9)), wrong);
    // It was over before the fault began.
    let later = ("stuck", part, 100.0, Some(200.0), 0.0);
    assert_eq!(judged(later, ("stuck", part, 60.0, Some(90.0), 0.0)), ["not injected", "missed"]);
    assert_eq!(judged(later, ("stuck", part, 60.0, Some(190.0), 0.0)), named);
    assert_eq!(judged(("gain", part, 0.0, None, 1.2), ("gain", part, 5.0, None, 1.1)), named);
    assert_eq!(judged(("gain", part, 0.0, None, 1.2), ("gain", part, 5.0, None, 0.9)), wrong);
    assert_eq!(judged(("drift", part, 0.0, None, -60.0), ("drift", part, 5.0, None, 50.0)), wrong);
    assert_eq!(judged(("drift", part, 0.0, None, 60.0), ("bias", part, 5.0, None, 5.0)), ["other kind"]);
    assert_eq!(judged(("drift", part, 0.0, None, 60.0), ("bias", part, 5.0, None, -5.0)), wrong);
    // A spike has no length; a silence is the device's, whatever part fell silent.
    assert_eq!(judged(("spike", part, 10.0, Some(70.0), 9.0), ("spike", part, 10.0, Some(10.0), 8.0)), named);
    assert_eq!(
        judged(("dropout", part, 10.0, Some(70.0), 0.0), ("dropout", "", 11.0, Some(70.0), 0.0)),
        named
    );
}

#[test]
fn a_bound_is_drawn_while_it_holds() {
    let mut report = demo();
    let bound = Bound { level: 20.0, from_s: 900.0, to_s: Some(1800.0) };
    report.groups[0].channels[0].bounds = vec![bound];
    let plots = plot::all(&report);
    let plot = plots.iter().find(|p| p.file == "node-___bme280.temperature_reading").unwrap().inline();
    // A quarter and a half of the way from 58 to 546.
    assert!(plot.contains("class=\"dash\" x1=\"180.0\" x2=\"302.0\""), "{plot:.3000}");
}

#[test]
fn data_drawn_twice_keep_their_colours() {
    let style = include_str!("style.css");
    for class in ["l", "a", "physical", "twin", "residual"] {
        assert!(
            style.contains(&format!("\n.{class}{{")) || style.contains(&format!("}}.{class}{{")),
            "{class}"
        );
    }
}
