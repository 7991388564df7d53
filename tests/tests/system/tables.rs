//! Tables as loggers, spreadsheets and scripts write them: one table in every writing gives the same figures.

use super::common::{Ran, command, scratch};
use flate2::{Compression, write::GzEncoder};
use std::{fmt::Write, fs, io::Write as _, path::Path};
use twinfleet_engine::scenario::calendar;

const ROWS: usize = 500;
/// 2021-03-01, a row every ten minutes.
const BEGIN_S: u64 = 1_614_556_800;

struct Row {
    unix_s: u64,
    temp: String,
    hum: String,
}

fn rows() -> Vec<Row> {
    let mut state = 5u32;
    let mut noise = move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        f64::from(state >> 8) / f64::from(1 << 24) - 0.5
    };
    (0..ROWS)
        .map(|i| {
            let day = (i as f64 / 144.0 * std::f64::consts::TAU).sin();
            let (temp, hum) = (20.0 + 3.0 * day + noise(), 50.0 + 10.0 * noise());
            let unix_s = BEGIN_S + 600 * i as u64;
            Row { unix_s, temp: format!("{temp:.3}"), hum: format!("{hum:.2}") }
        })
        .collect()
}

/// Day, month, hour and minute of a row.
fn parts(unix_s: u64) -> (String, String, String, String) {
    let text = calendar::text(unix_s as i64 * 1_000_000_000);
    (text[8..10].to_owned(), text[5..7].to_owned(), text[11..13].to_owned(), text[14..16].to_owned())
}

fn iso(unix_s: u64) -> String {
    calendar::text(unix_s as i64 * 1_000_000_000).replacen('T', " ", 1)[..19].to_owned()
}

/// The table with times as `time` writes them, these between cells, and this for a decimal point.
fn table(time: impl Fn(u64) -> String, between: &str, point: &str) -> String {
    let mut text = ["time", "temp", "hum"].join(between) + "\n";
    for row in rows() {
        let cells = [time(row.unix_s), row.temp.replace('.', point), row.hum.replace('.', point)];
        writeln!(text, "{}", cells.join(between)).unwrap();
    }
    text
}

/// The table with these behind its readings.
fn in_cells(temp: &str, hum: &str) -> String {
    let mut text = String::from("time,temp,hum\n");
    for row in rows() {
        writeln!(text, "{},{}{temp},{}{hum}", iso(row.unix_s), row.temp, row.hum).unwrap();
    }
    text
}

fn forecast(path: &Path, more: &[&str]) -> Ran {
    let data = path.display().to_string();
    let mut args = vec!["score", "forecast", "--data", &data, "--horizons", "1,6", "--train-until", "300"];
    args.extend(["--model", "own"]);
    args.extend(if more.is_empty() {
        &["--time", "time", "--target", "temp", "--inputs", "hum"][..]
    } else {
        more
    });
    command(&args)
}

fn utf_16(text: &str, big: bool) -> Vec<u8> {
    let units = std::iter::once(0xfeff).chain(text.encode_utf16());
    units.flat_map(|u| if big { u.to_be_bytes() } else { u.to_le_bytes() }).collect()
}

fn packed(bytes: &[u8]) -> Vec<u8> {
    let mut to = GzEncoder::new(Vec::new(), Compression::fast());
    to.write_all(bytes).unwrap();
    to.finish().unwrap()
}

#[test]
fn one_table_in_every_writing_gives_the_same_figures() {
    let dir = scratch();
    let path = dir.path().join("t.csv");
    let plain = table(iso, ",", ".");
    fs::write(&path, &plain).unwrap();
    let want = forecast(&path, &[]).json()["horizons"].clone();
    assert!(want[0]["n"].as_u64() > Some(190), "{want}");
    let clock = |unix_s: u64| {
        let (_, _, h, m) = parts(unix_s);
        format!("{h}:{m}")
    };
    let writings: Vec<(&str, Vec<u8>)> = vec![
        ("semicolons", table(iso, ";", ".").into()),
        ("decimal commas", table(iso, ";", ",").into()),
        ("tabs", table(iso, "\t", ".").into()),
        ("bars", table(iso, "|", ".").into()),
        ("blanks", table(|t| t.to_string(), "  ", ".").into()),
        (
            "quotes",
            plain
                .replace(',', "\",\"")
                .replace('\n', "\"\n\"")
                .trim_end_matches('"')
                .replacen("time", "\"time", 1)
                .into(),
        ),
        ("line ends of Windows", plain.replace('\n', "\r\n").into()),
        ("line ends of old", plain.replace('\n', "\r").into()),
        ("no last line end", plain.trim_end().into()),
        ("blank lines", plain.replace('\n', "\n\n").into()),
        ("a mark of UTF-8", format!("\u{feff}{plain}").into()),
        ("UTF-16", utf_16(&plain, false)),
        ("UTF-16, the other way", utf_16(&plain, true)),
        ("gzip", packed(plain.as_bytes())),
        ("gzip of UTF-16", packed(&utf_16(&plain, false))),
        ("comments above", format!("# logger 12\n# of the cellar, serial 7\n{plain}").into()),
        ("lines above", format!("Logger 12\nSerial;7\n\n{plain}").into()),
        ("a line of units", plain.replacen('\n', "\n,degC,%\n", 1).into()),
        ("seconds", table(|t| t.to_string(), ",", ".").into()),
        ("milliseconds", table(|t| (t * 1_000).to_string(), ",", ".").into()),
        ("microseconds", table(|t| (t * 1_000_000).to_string(), ",", ".").into()),
        ("nanoseconds", table(|t| (t * 1_000_000_000).to_string(), ",", ".").into()),
        ("a zone", table(|t| iso(t + 7200).replace(' ', "T") + "+02:00", ",", ".").into()),
        ("the zone's name", table(|t| iso(t) + " UTC", ",", ".").into()),
        ("no signs", table(|t| iso(t).replace(['-', ':', ' '], ""), ",", ".").into()),
        (
            "no signs, no seconds",
            table(|t| iso(t).replace(['-', ':', ' '], "")[..12].to_owned(), ",", ".").into(),
        ),
        ("strokes", table(|t| iso(t).replace('-', "/"), ",", ".").into()),
        (
            "a day first",
            table(|t| format!("{}.{}.2021 {}", parts(t).0, parts(t).1, clock(t)), ";", ",").into(),
        ),
        (
            "a month by its name",
            table(|t| format!("{}-Mar-2021 {}", parts(t).0, &iso(t)[11..]), ",", ".").into(),
        ),
        ("two digits of a year", table(|t| format!("{}/03/21 {}", parts(t).0, clock(t)), ",", ".").into()),
        (
            "days of a spreadsheet",
            table(|t| format!("{:.6}", t as f64 / 86_400.0 + 25_569.0), ",", ".").into(),
        ),
        ("units in cells", in_cells(" °C", "%").into()),
    ];
    for (name, bytes) in writings {
        fs::write(&path, bytes).unwrap();
        let ran = forecast(&path, &[]);
        assert_eq!(ran.code(), 0, "{name}: {}", ran.stderr());
        assert_eq!(ran.json()["horizons"], want, "{name}");
    }
    // Bytes of a Western code page in a name, which is then found as it is read.
    let western: Vec<u8> = plain.replacen("temp", "Außen °C", 1).chars().map(|c| c as u8).collect();
    fs::write(&path, western).unwrap();
    let ran = forecast(&path, &["--time", "time", "--target", "Außen °C", "--inputs", "hum"]);
    assert!(ran.stderr().contains("read as Windows-1252"), "{}", ran.stderr());
    let mine = ran.json()["horizons"].clone();
    assert_eq!(mine[1]["mae"], want[1]["mae"]);
}

#[test]
fn a_name_with_a_comma_is_found() {
    let dir = scratch();
    let path = dir.path().join("t.csv");
    let plain = table(iso, ",", ".");
    fs::write(&path, &plain).unwrap();
    let want = forecast(&path, &[]).json()["horizons"][0]["mae"].clone();
    fs::write(&path, plain.replacen("temp,hum", "\"temp, C\",\"hum, %\"", 1)).unwrap();
    let ran = forecast(&path, &["--time", "time", "--target", "temp, C", "--inputs", "hum, %"]);
    assert_eq!(ran.code(), 0, "{}", ran.stderr());
    assert_eq!(ran.json()["horizons"][0]["mae"], want);
    let (data, out) = (path.display().to_string(), dir.path().join("out.csv").display().to_string());
    let signals = ["score", "detect", "--data", &data, "--time", "time", "--signals", "temp, C,hum, %"];
    let ran = command(&[&signals[..], &["--out", &out]].concat());
    assert_eq!(ran.code(), 0, "{}", ran.stderr());
}

/// The table with its times in two columns, of these names.
fn apart(names: &str, day: impl Fn(u64) -> String) -> String {
    let text = table(|t| format!("{},{}", day(t), &iso(t)[11..]), ",", ".");
    text.replacen("time", names, 1)
}

#[test]
fn a_day_and_its_time_apart_are_one_time() {
    let dir = scratch();
    let path = dir.path().join("t.csv");
    fs::write(&path, table(iso, ",", ".")).unwrap();
    let want = forecast(&path, &[]).json()["horizons"].clone();
    let of = |time: &'static str| ["--time", time, "--target", "temp", "--inputs", "hum"];
    for (text, time) in [
        (apart("Date,Time", |t| iso(t)[..10].to_owned()), "Date,Time"),
        (apart("Date,Time", |t| iso(t)[..10].to_owned()), "Date"),
        (apart("Date,Time", |t| iso(t)[..10].to_owned()), "Time"),
        (apart("Datum,Uhrzeit", |t| format!("{}.{}.2021", parts(t).0, parts(t).1)), "Datum"),
        (apart("day,clock", |t| iso(t)[..10].replace('-', "")), "#1,#2"),
    ] {
        fs::write(&path, text).unwrap();
        let ran = forecast(&path, &of(time));
        assert_eq!(ran.code(), 0, "{time}: {}", ran.stderr());
        assert_eq!(ran.json()["horizons"], want, "{time}");
        let told = ran.stderr().contains("together");
        assert_eq!(told, !time.contains(','), "{time}: {}", ran.stderr());
    }
    let ran = forecast(&path, &of("day,clok"));
    assert!(ran.code() == 2 && ran.stderr().contains("no column"), "{}", ran.stderr());
}

#[test]
fn times_from_the_start_are_read_in_their_unit() {
    let dir = scratch();
    let path = dir.path().join("t.csv");
    let since = |t: u64| t - BEGIN_S;
    let out = dir.path().join("out.csv").display().to_string();
    let flags = |time: &'static str, unit: Option<&'static str>| {
        let mut all = vec!["--time", time, "--target", "temp", "--inputs", "hum"];
        all.extend(unit.iter().flat_map(|unit| ["--time-unit", unit]));
        all
    };
    fs::write(&path, table(|t| since(t).to_string(), ",", ".")).unwrap();
    let want = forecast(&path, &flags("time", None)).json()["horizons"].clone();
    let minutes = table(|t| format!("{}", since(t) as f64 / 60.0), ",", ".");
    let elapsed = |t: u64| format!("{:02}:{:02}:{:02}", since(t) / 3600, since(t) / 60 % 60, since(t) % 60);
    for (text, time, unit) in [
        (minutes.clone(), "time", Some("min")),
        (minutes.replacen("time", "t_min", 1), "t_min", None),
        (minutes.replacen("time", "t_min", 1), "#1", None),
        (table(|t| (since(t) * 1000).to_string(), ",", ".").replacen("time", "ms", 1), "ms", None),
        (table(|t| format!("{}", since(t) as f64 / 3600.0), ",", "."), "time", Some("h")),
        (table(elapsed, ",", "."), "time", None),
        (table(|t| format!("{} days {}", since(t) / 86_400, &iso(t)[11..]), ",", "."), "time", None),
        // A clock that begins anew at midnight, without seconds and with.
        (table(|t| iso(t)[11..16].to_owned(), ",", "."), "time", None),
        (table(|t| iso(t)[11..].to_owned(), ",", "."), "time", None),
    ] {
        fs::write(&path, &text).unwrap();
        // A day needs the unit to be known: the figures tell.
        let ran = forecast(&path, &flags(time, unit));
        assert_eq!(ran.code(), 0, "{time}: {}", ran.stderr());
        assert_eq!(ran.json()["horizons"], want, "{time}: {}", &text[..60]);
        assert_eq!(ran.stderr().contains("as its name says"), time != "time", "{}", ran.stderr());
    }
    let mut wide = flags("time", None);
    wide.extend(["--out", &out]);
    forecast(&path, &wide);
    assert!(fs::read_to_string(&out).unwrap().contains("\n02:00:00,temp,1,02:10:00,"));
}

#[test]
fn borders_and_times_are_written_as_the_table_writes_them() {
    let dir = scratch();
    let (path, out) = (dir.path().join("t.csv"), dir.path().join("out.csv"));
    let data = path.display().to_string();
    let ask = |until: &str| {
        let mut args = vec!["score", "forecast", "--data", &data, "--time", "time", "--target", "temp"];
        args.extend(["--horizons", "1", "--model", "persistence", "--train-until", until]);
        args.extend(["--out", out.to_str().unwrap()]);
        command(&args)
    };
    let run = |until: &str| {
        let ran = ask(until);
        assert_eq!(ran.code(), 0, "{until}: {}", ran.stderr());
        let text = fs::read_to_string(&out).unwrap();
        text.lines().nth(1).unwrap().split(',').map(str::to_owned).collect::<Vec<_>>()
    };
    // Row 300 begins what is judged: 2021-03-03 02:00; the row before it is the first origin.
    let zone = |t: u64| iso(t + 7200).replace(' ', "T") + "+02:00";
    let german = |t: u64| format!("{}.{}.2021 {}", parts(t).0, parts(t).1, &iso(t)[11..]);
    let border = BEGIN_S + 300 * 600;
    for (text, borders, want) in [
        (table(german, ";", ","), vec![german(border), "2021-03-03 02:00:00".to_owned()], german(border)),
        (
            table(zone, ",", "."),
            vec![zone(border), zone(border)[..19].to_owned(), "2021-03-03 02:00:00Z".to_owned()],
            zone(border),
        ),
        (
            table(|t| iso(t).replace(['-', ':', ' '], ""), ",", "."),
            vec!["20210303020000".to_owned(), "2021-03-03 02:00".to_owned(), "202103030200".to_owned()],
            "20210303020000".to_owned(),
        ),
        (
            table(|t| format!("{}.250000", iso(t)), ",", "."),
            vec!["2021-03-03 02:00:00.250000".to_owned()],
            "2021-03-03 02:00:00.250000".to_owned(),
        ),
        (
            table(|t| format!("{}.5", t - BEGIN_S), ",", "."),
            vec!["180000.5".to_owned(), "300".to_owned()],
            "180000.5".to_owned(),
        ),
    ] {
        fs::write(&path, &text).unwrap();
        for border in borders {
            assert_eq!(run(&border)[3], want, "{border}");
        }
    }
    let ran = ask("soon");
    let said = ran.stderr().split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(ran.code() == 2 && said.contains("as the table writes it (0.5)"), "{said}");
}

#[test]
fn a_number_that_stands_for_no_reading_is_missing_and_named() {
    let dir = scratch();
    let path = dir.path().join("t.csv");
    let marked = |spelled: &str, every: usize, column: usize| {
        let mut text = String::from("time,temp,hum\n");
        for (i, row) in rows().iter().enumerate() {
            let mut cells = [row.temp.as_str(), row.hum.as_str()];
            if i % every == 7 {
                cells[column] = spelled;
            }
            writeln!(text, "{},{},{}", iso(row.unix_s), cells[0], cells[1]).unwrap();
        }
        text
    };
    for column in [0, 1] {
        fs::write(&path, marked("", 25, column)).unwrap();
        let want = forecast(&path, &[]).json()["horizons"].clone();
        for spelled in ["-9999", "-9999.0", "-999.9", "9999", "65535", "-127", "32767"] {
            fs::write(&path, marked(spelled, 25, column)).unwrap();
            let ran = forecast(&path, &[]);
            let name = ["temp", "hum"][column];
            let said = format!("20 cells of `{name}` hold {}", spelled.trim_end_matches(".0"));
            assert!(ran.stderr().contains(&said), "{spelled}: {}", ran.stderr());
            assert_eq!(ran.json()["horizons"], want, "{spelled}");
        }
    }
    // What is there once is a reading, however odd.
    fs::write(&path, marked("-9999", 1000, 0)).unwrap();
    let ran = forecast(&path, &[]);
    assert!(ran.code() == 0 && !ran.stderr().contains("hold -9999"), "{}", ran.stderr());
}

#[test]
fn what_is_no_reading_is_missing_however_it_is_spelled() {
    let dir = scratch();
    let path = dir.path().join("t.csv");
    let missing = |spelled: &str| {
        let mut text = String::from("time,temp,hum\n");
        for (i, row) in rows().iter().enumerate() {
            let temp = if i % 25 == 7 { spelled } else { &row.temp };
            writeln!(text, "{},{temp},{}", iso(row.unix_s), row.hum).unwrap();
        }
        text
    };
    fs::write(&path, missing("")).unwrap();
    let want = forecast(&path, &[]).json()["horizons"].clone();
    for spelled in [
        "NaN",
        "nan",
        "NA",
        "N/A",
        "n/a",
        "null",
        "None",
        "-",
        "--",
        "?",
        ".",
        "inf",
        "1e400",
        "#DIV/0!",
        "unavailable",
    ] {
        fs::write(&path, missing(spelled)).unwrap();
        let ran = forecast(&path, &[]);
        assert_eq!(ran.code(), 0, "{spelled}: {}", ran.stderr());
        assert!(ran.stderr().contains("20 cells hold"), "{spelled}: {}", ran.stderr());
        assert_eq!(ran.json()["horizons"], want, "{spelled}");
    }
}

#[test]
fn tables_that_cannot_be_read_are_refused_in_words() {
    let dir = scratch();
    let path = dir.path().join("t.csv");
    let plain = table(iso, ",", ".");
    let mut backwards: Vec<&str> = plain.lines().collect();
    backwards[1..].reverse();
    let cut = packed(plain.as_bytes());
    for (name, bytes, said) in [
        ("backwards", backwards.join("\n").into_bytes(), "runs backwards in time"),
        ("packed and cut", cut[..cut.len() / 2].to_vec(), "t.csv"),
        ("packed otherwise", b"PK\x03\x04\x14\0\0\0\x08\0".to_vec(), "binary"),
        ("UTF-16 without its mark", utf_16(&plain, false)[2..].to_vec(), "binary"),
        ("nothing", Vec::new(), "is empty"),
        ("names alone", b"time,temp,hum\n".to_vec(), "no rows"),
        ("one row", plain.lines().take(2).collect::<Vec<_>>().join("\n").into_bytes(), "1 rows"),
        (
            "commas between cells and for points",
            table(iso, ",", ",").into_bytes(),
            "semicolons between the cells",
        ),
        (
            "a year of two digits first",
            table(|t| iso(t)[2..10].replace('-', "/"), ",", ".").into_bytes(),
            "its year first",
        ),
        ("text for numbers", plain.replace(".", "x").into_bytes(), "no cell of `temp` holds a number"),
        ("numbers out of reach", plain.replace(".", "e99").into_bytes(), "that a sensor can say"),
    ] {
        fs::write(&path, bytes).unwrap();
        let ran = forecast(&path, &[]);
        assert_eq!(ran.code(), 2, "{name}: {}{}", ran.stdout(), ran.stderr());
        assert!(ran.stderr().contains(said), "{name}: {}", ran.stderr());
    }
}

/// What was said, however it was folded.
fn said(ran: &Ran) -> String {
    // A folded line goes on behind a bar.
    ran.stderr().split_whitespace().filter(|word| *word != "|").collect::<Vec<_>>().join(" ")
}

/// The table with some of its lines, counted from 1 at the names, written otherwise.
fn changed(change: impl Fn(usize, &str) -> String) -> String {
    let plain = table(iso, ",", ".");
    plain.lines().enumerate().map(|(n, line)| change(n + 1, line) + "\n").collect()
}

#[test]
fn rows_of_another_width_are_counted_and_told() {
    let dir = scratch();
    let path = dir.path().join("t.csv");
    let odd = |n: usize| n > 1 && n % 100 == 5;
    let empty = |_: usize, line: &str| format!("{},,", line.split(',').next().unwrap_or_default());
    fs::write(&path, changed(|n, line| if odd(n) { empty(n, line) } else { line.to_owned() })).unwrap();
    let want = forecast(&path, &[]).json()["horizons"].clone();
    // A decimal comma in some cells: which reading is which nobody knows.
    let comma = |line: &str| {
        let cells: Vec<&str> = line.split(',').collect();
        format!("{},{},{}", cells[0], cells[1].replace('.', ","), cells[2])
    };
    fs::write(&path, changed(|n, line| if odd(n) { comma(line) } else { line.to_owned() })).unwrap();
    let ran = forecast(&path, &[]);
    assert!(said(&ran).contains("5 rows have another number of cells than 3"), "{}", ran.stderr());
    assert!(said(&ran).contains("t.csv:5:"), "the first is shown: {}", ran.stderr());
    assert_eq!(ran.json()["horizons"], want);
}

#[test]
fn a_time_that_leaps_alone_is_left_out() {
    let dir = scratch();
    let path = dir.path().join("t.csv");
    fs::write(&path, changed(|n, line| if n == 200 { String::new() } else { line.to_owned() })).unwrap();
    let want = forecast(&path, &["--time", "time", "--target", "temp", "--inputs", "hum"]).json()["horizons"]
        .clone();
    let leap = |line: &str| line.replacen("2021", "2097", 1);
    fs::write(&path, changed(|n, line| if n == 200 { leap(line) } else { line.to_owned() })).unwrap();
    let ran = forecast(&path, &[]);
    assert!(said(&ran).contains("one time leaps ahead"), "{}", ran.stderr());
    assert_eq!(ran.json()["horizons"], want);
}

#[test]
fn rows_before_the_clock_was_set_are_left_out() {
    let dir = scratch();
    let path = dir.path().join("t.csv");
    let millis = table(|t| (t * 1000).to_string(), ",", ".");
    let plain = table(iso, ",", ".");
    for (table, early) in [
        (&millis, ["0,20,50", "1000,20,50", "2000,20,50"]),
        (&plain, ["1970-01-01 00:00:05,20,50", "1970-01-01 00:00:06,20,50", "1970-01-01 00:00:07,20,50"]),
    ] {
        fs::write(&path, table).unwrap();
        let want = forecast(&path, &[]).json()["horizons"].clone();
        let (names, rows) = table.split_once('\n').unwrap();
        fs::write(&path, format!("{names}\n{}\n{rows}", early.join("\n"))).unwrap();
        let ran = forecast(&path, &[]);
        let first = early[0].split(',').next().unwrap();
        let want_said = format!("the first at `{first}`: before the clock was set");
        assert!(said(&ran).contains(&want_said), "{}", ran.stderr());
        assert_eq!(ran.json()["horizons"], want);
    }
}

#[test]
fn thousands_are_read_where_cells_show_them() {
    let dir = scratch();
    let path = dir.path().join("t.csv");
    let power = |row: &Row| 100.0 * (row.temp.parse::<f64>().unwrap() - 13.0);
    let write = |spell: &dyn Fn(f64) -> String| {
        let mut text = String::from("time;temp;hum\n");
        for row in rows() {
            writeln!(text, "{};{};{}", iso(row.unix_s), spell(power(&row)), row.hum.replace('.', ","))
                .unwrap();
        }
        fs::write(&path, text).unwrap();
        forecast(&path, &[])
    };
    let want = write(&|p| format!("{p:.1}").replace('.', ",")).json()["horizons"].clone();
    let grouped = |p: f64| {
        let text = format!("{p:.1}").replace('.', ",");
        let whole = text.len() - 2;
        if whole > 3 { format!("{}.{}", &text[..whole - 3], &text[whole - 3..]) } else { text }
    };
    let ran = write(&grouped);
    assert_eq!(ran.code(), 0, "{}", ran.stderr());
    assert_eq!(ran.json()["horizons"], want);
    // What is no number is shown where it is met first.
    let ran = write(&|p| if p > 900.0 { "warm".to_owned() } else { grouped(p) });
    assert!(said(&ran).contains("first `warm` of `temp` in line"), "{}", ran.stderr());
}

#[test]
fn a_constant_is_forecast_and_its_interval_holds() {
    let dir = scratch();
    let path = dir.path().join("t.csv");
    let mut text = String::from("time,temp,count\n");
    for (i, row) in rows().iter().enumerate() {
        writeln!(text, "{},21.3,{}", iso(row.unix_s), i % 7).unwrap();
    }
    fs::write(&path, text).unwrap();
    let data = path.display().to_string();
    let ran = command(&[
        "score",
        "forecast",
        "--data",
        &data,
        "--time",
        "time",
        "--target",
        "temp",
        "count",
        "--horizons",
        // The last is farther ahead than what is learnt from could show.
        "1,6,144,190",
        "--train-until",
        "300",
    ]);
    let told = ran.json();
    let (still, counts): (Vec<_>, Vec<_>) =
        told["horizons"].as_array().unwrap().iter().partition(|h| h["channel"] == "temp");
    assert_eq!((still.len(), counts.len()), (4, 4), "{told}");
    let held = |h: &serde_json::Value| h["coverage"].as_f64() == Some(1.0);
    assert!(still.iter().all(|h| h["mae"].as_f64() < Some(1e-9) && held(h)), "{told}");
    // What comes again every seventh row does so far ahead, too.
    assert!(counts.iter().all(|h| h["mae"].as_f64() < Some(0.5)), "{told}");
}
