//! `twinfleet discover`: what speaks on a broker, and the scenario that follows it.

use crate::{
    exit::{Exit, Failure, say},
    login::Login,
    run::{stop_flag, wire},
};
use std::{
    path::{Path, PathBuf},
    sync::atomic::Ordering,
    time::{Duration, Instant},
};
use twinfleet_engine::{dialect::Heard, time::Span};
use twinfleet_twins::{
    dialect::{
        facts::Value,
        survey::{self, Device, Survey},
    },
    wire::{WireError, client::Connection},
};

/// Options of `discover`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Broker: `mqtt[s]://[user@]host[:port]`, or over WebSocket `ws[s]://host[:port][/path]`.
    pub broker: String,
    #[command(flatten)]
    pub login: Login,
    /// How long to listen. Devices that report once in five minutes need ten to show their period.
    #[arg(long = "for", default_value = "60s", value_name = "SPAN")]
    pub listen: Span,
    /// Write the scenario that follows what was found: `twinfleet mirror FILE --broker …` runs it.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Write the scenario of doubles, with what was heard in a folder beside it: `twinfleet replay FILE --as-devices` runs
    /// them in the devices' stead.
    #[arg(long, value_name = "FILE")]
    pub doubles: Option<PathBuf>,
    /// Ask Sparkplug nodes whose birth was missed for another one, as every host does; else nothing is published.
    #[arg(long)]
    pub rebirth: bool,
    /// Replace files that exist.
    #[arg(long)]
    pub force: bool,
}

/// Longest time without a glance at the clock.
const GLANCE: Duration = Duration::from_millis(100);

/// How long a broker has to tell what it keeps.
const KEPT: Duration = Duration::from_secs(1);

/// Listens, lists and writes.
pub fn run(args: Args, json: bool) -> Result<Exit, Failure> {
    let options = args.login.options(&args.broker, "discover listens to what devices say on their broker")?;
    if args.listen.0 <= 0 {
        return Err(Failure::input("--for: one listens for more than 0 s, such as `--for 60s`"));
    }
    if let Some(file) = args.out.iter().chain(&args.doubles).find(|f| f.exists() && !args.force) {
        return Err(Failure::input(format!(
            "{} exists: name another file, or add --force to replace it",
            file.display()
        )));
    }
    // Without the login: it is told, and written into files.
    let mut place = options.url.clone();
    place.login = None;
    let place = place.to_string();
    let stop = stop_flag()?;
    let mut connection = Connection::connect(&options).map_err(wire)?;
    let filters = survey::FILTERS.map(|f| (f, 0));
    connection.subscribe(&filters, Duration::from_secs(10)).map_err(wire)?;
    eprintln!("listening on {place} for {}; Ctrl-C lists what was heard until then", args.listen);
    let begin = Instant::now();
    let end = Duration::from_secs_f64(args.listen.as_secs_f64());
    let mut heard = Survey::default();
    let mut ended = Ok(());
    while ended.is_ok() && begin.elapsed() < end && !stop.load(Ordering::Relaxed) {
        let left = (end - begin.elapsed().min(end)).min(GLANCE);
        let pumped = connection.pump(Some(left), |m| {
            let t_s = begin.elapsed().as_secs_f64();
            heard.hear(t_s, &Heard { topic: m.topic(), payload: &m.payload, retain: m.retain });
        });
        let owed = heard.owed();
        let mut asked = owed.iter().filter(|_| args.rebirth);
        ended = pumped
            .and_then(|_| asked.try_for_each(|u| connection.publish(&u.topic, &u.payload, u.qos, u.retain)));
    }
    let ended = ended.and_then(|()| see_kept(&mut connection, &filters, &mut heard));
    connection.disconnect(Duration::from_secs(2)).ok();
    let devices = heard.devices();
    // What was heard for minutes is not lost with the broker.
    if let Err(error) = ended {
        if devices.is_empty() {
            return Err(wire(error));
        }
        eprintln!("{error}. What was heard until then is listed");
    }
    if devices.is_empty() {
        return Err(Failure::outside(format!(
            "no device was recognised on {place} within {}: {} messages came. Listen for longer (--for 10min), or see \
             whether the login may read `#`",
            args.listen, heard.messages
        )));
    }
    if json {
        say(format_args!("{:#}", as_json(&heard, &devices)));
    } else {
        table(&devices);
        summary(&heard, &devices);
    }
    write(&args, &devices, &place)?;
    Ok(Exit::Ok)
}

/// Sees what the broker keeps. Who subscribes anew is told that: of what was said meanwhile, nothing else shows it.
fn see_kept(
    connection: &mut Connection,
    filters: &[(&str, u8)],
    heard: &mut Survey,
) -> Result<(), WireError> {
    connection.subscribe(filters, Duration::from_secs(10))?;
    let asked = Instant::now();
    while let Some(left) = KEPT.checked_sub(asked.elapsed()).filter(|left| !left.is_zero()) {
        connection.pump(Some(left.min(GLANCE)), |m| {
            if m.retain {
                heard.kept(m.topic());
            }
        })?;
    }
    Ok(())
}

fn write(args: &Args, devices: &[Device], place: &str) -> Result<(), Failure> {
    let put = |path: &Path, text: &str| {
        std::fs::write(path, text)
            .map_err(|e| Failure::outside(format!("cannot write {}: {e}", path.display())))
    };
    let followed = devices.iter().filter(|d| d.followed().next().is_some()).count();
    if let Some(out) = &args.out {
        put(out, &survey::mirror_scenario(devices, place))?;
        eprintln!(
            "{}: {followed} twins. Follow them: twinfleet mirror {} --broker {place}{}",
            out.display(),
            out.display(),
            args.login.words()
        );
    }
    if let Some(out) = &args.doubles {
        let tables = out.with_extension("heard");
        std::fs::create_dir_all(&tables)
            .map_err(|e| Failure::outside(format!("cannot make {}: {e}", tables.display())))?;
        let doubled = survey::doubles(devices);
        for d in &doubled {
            put(&tables.join(format!("{}.csv", d.id)), &d.table())?;
        }
        let name = tables.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        put(out, &survey::double_scenario(devices, place, &name))?;
        eprintln!(
            "{}: {} doubles. Run them in the devices' stead: twinfleet replay {} --as-devices --broker {place}{}",
            out.display(),
            doubled.len(),
            out.display(),
            args.login.words()
        );
    }
    Ok(())
}

fn period(seconds: Option<f64>) -> String {
    match seconds {
        None => "-".to_owned(),
        Some(s) if s < 1.0 => format!("{:.0} ms", s * 1e3),
        Some(s) if s < 120.0 => format!("{s:.1} s"),
        Some(s) => format!("{:.1} min", s / 60.0),
    }
}

fn table(devices: &[Device]) {
    let mut rows = vec![["device", "dialect", "signal", "unit", "period", "last"].map(str::to_owned)];
    for d in devices {
        let there = match d.online {
            Some(true) => " (online)",
            Some(false) => " (offline)",
            None => "",
        };
        let mut first = Some(format!("{}{there}", d.address));
        for (_, f) in d.followed() {
            let last = match (&f.last, f.last_number()) {
                (Some(Value::Number(_)), Some(v)) => v.to_string(),
                (last, _) => last.as_ref().map_or_else(String::new, ToString::to_string),
            };
            let head = first.take();
            let dialect = if head.is_some() { d.dialect.to_owned() } else { String::new() };
            rows.push([
                head.unwrap_or_default(),
                dialect,
                f.signal.clone(),
                f.shown_unit().to_owned(),
                period(f.period_s()),
                last,
            ]);
        }
        if let Some(head) = first {
            let silent = if d.fields.is_empty() { "(no values)" } else { "(no numbers)" };
            rows.push([
                head,
                d.dialect.to_owned(),
                silent.to_owned(),
                String::new(),
                String::new(),
                String::new(),
            ]);
        }
    }
    let wide: Vec<usize> =
        (0..6).map(|c| rows.iter().map(|r| r[c].chars().count()).max().unwrap_or(0)).collect();
    for row in &rows {
        let cells: Vec<String> = row.iter().zip(&wide).map(|(cell, w)| format!("{cell:w$}")).collect();
        say(format_args!("{}", cells.join("  ").trim_end()));
    }
}

fn summary(heard: &Survey, devices: &[Device]) {
    let signals: usize = devices.iter().map(|d| d.followed().count()).sum();
    say(format_args!(
        "\n{} devices with {signals} signals in {} messages; {} messages of no known dialect, {} unreadable",
        devices.len(),
        heard.messages,
        heard.unknown,
        heard.unreadable
    ));
    for d in devices {
        for (field, why) in d.fields.iter().filter_map(|(n, f)| Some((n, f.unread.as_ref()?))) {
            say(format_args!("{}: `{field}` is not told, its template is not understood: {why}", d.address));
        }
    }
    if heard.beyond > 0 {
        say(format_args!("{} facts were left out: too many devices or fields", heard.beyond));
    }
}

fn as_json(heard: &Survey, devices: &[Device]) -> serde_json::Value {
    let device = |d: &Device| {
        let signals: Vec<serde_json::Value> = d
            .followed()
            .map(|(field, f)| {
                serde_json::json!({
                    "signal": f.signal, "field": field, "unit": f.unit, "last": f.last_number(), "said_unit": f.said_unit,
                    "said_last": f.last.as_ref().and_then(Value::number), "count": f.count, "period_s": f.period_s(),
                    "settable": f.settable,
                })
            })
            .collect();
        let others: Vec<&String> =
            d.fields.keys().filter(|name| !d.followed().any(|(followed, _)| followed == *name)).collect();
        let unread: std::collections::BTreeMap<&String, &String> =
            d.fields.iter().filter_map(|(n, f)| Some((n, f.unread.as_ref()?))).collect();
        serde_json::json!({
            "name": d.id, "address": d.address, "dialect": d.dialect, "online": d.online, "about": d.about,
            "signals": signals, "other_fields": others, "unread_fields": unread,
        })
    };
    serde_json::json!({
        "devices": devices.iter().map(device).collect::<Vec<_>>(), "messages": heard.messages, "unknown": heard.unknown,
        "unreadable": heard.unreadable, "beyond": heard.beyond,
    })
}
