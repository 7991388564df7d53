//! What a load shows on a terminal: a dashboard while it runs, a summary at its end.

use super::{
    Args,
    prometheus::Exporter,
    result::{Result as LoadResult, Trial},
};
use crate::report::words::thousands;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::{
    fmt::Write,
    io::IsTerminal,
    time::{Duration, Instant},
};
use twinfleet_engine::scenario::load::Metric;
use twinfleet_twins::load::{Progress, job::Job, shared::Counts};

/// How often the dashboard is drawn anew.
const REDRAW: Duration = Duration::from_millis(200);

/// Lines on a terminal that change as it goes; elsewhere a plain line every tenth.
pub struct Dashboard<'a> {
    bar: Option<ProgressBar>,
    lines: bool,
    exporter: Option<&'a Exporter>,
    length_s: f64,
    stages: Vec<(f64, &'static str)>,
    connections: u64,
    drawn: Instant,
    before: (f64, u64, u64),
    tenth: u64,
}

impl<'a> Dashboard<'a> {
    pub fn new(job: &Job, args: &Args, exporter: Option<&'a Exporter>) -> Self {
        let length_s = job.stages.length_ns() as f64 * 1e-9;
        let terminal = std::io::stderr().is_terminal();
        let bar = (!args.quiet && terminal).then(|| {
            let bar = ProgressBar::with_draw_target(Some(1_000), ProgressDrawTarget::stderr_with_hz(10));
            let style = ProgressStyle::with_template("{bar:30} {percent:>3}%  {prefix}\n{msg}")
                .unwrap_or_else(|_| ProgressStyle::default_bar());
            bar.with_style(style)
        });
        // A trial of a search is a stage of its own.
        let trial = job.load.search.as_ref().map(|_| (length_s, "trial"));
        let mut end = 0.0;
        let stage = |s: &twinfleet_engine::scenario::load::StageDef| {
            end += s.length().as_secs_f64();
            (end, s.word())
        };
        Self {
            bar,
            lines: !args.quiet && !terminal,
            exporter,
            length_s,
            stages: trial.map_or_else(|| job.load.stages.iter().map(stage).collect(), |t| vec![t]),
            connections: job.connections(),
            drawn: Instant::now(),
            before: (0.0, 0, 0),
            tenth: 0,
        }
    }

    pub fn at(&mut self, p: Progress) {
        if self.drawn.elapsed() < REDRAW {
            return;
        }
        self.drawn = Instant::now();
        let c = p.counts;
        let span_s = (p.t_s - self.before.0).max(1e-3);
        let rate = |now: u64, before: u64| now.saturating_sub(before) as f64 / span_s;
        let (sent, received) = (rate(c.sent, self.before.1), rate(c.fresh, self.before.2));
        self.before = (p.t_s, c.sent, c.fresh);
        if let Some(exporter) = self.exporter {
            exporter.show(p);
        }
        let stage = self.stages.iter().find(|(end, _)| p.t_s < *end).map_or("drain", |(_, word)| word);
        let head = if p.t_s < 0.0 {
            format!("connecting: {} of {}", thousands(c.up as f64), thousands(self.connections as f64))
        } else {
            format!("{:.1} s of {} s, {stage}", p.t_s, self.length_s)
        };
        let done = (p.t_s / self.length_s).clamp(0.0, 1.0);
        let body = format!(
            "connections {} up, {} failed\nsent {} ({}/s), acknowledged {}\nreceived {} ({}/s), under way {}\n{}",
            thousands(c.up as f64),
            c.failed,
            thousands(c.sent as f64),
            thousands(sent.round()),
            thousands(c.acknowledged as f64),
            thousands(c.fresh as f64),
            thousands(received.round()),
            thousands(c.expected.saturating_sub(c.fresh) as f64),
            times(&c),
        );
        if let Some(bar) = &self.bar {
            bar.set_position((done * 1_000.0) as u64);
            bar.set_prefix(head);
            bar.set_message(body);
        } else if self.lines {
            let tenth = (done * 10.0) as u64;
            if tenth > self.tenth {
                self.tenth = tenth;
                eprintln!("{:>3}%  {head}; {}", tenth * 10, body.replace('\n', "; "));
            }
        }
    }

    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// Latency as far as its classes tell, the generator's own lag, and breaches that show in a delivery itself.
fn times(c: &Counts) -> String {
    let below = |ms: f64| if ms.is_finite() { format!("≤ {ms} ms") } else { "> 5 s".to_owned() };
    let latency = match (c.latency_ms(0.5), c.latency_ms(0.99)) {
        (Some(half), Some(most)) => format!("latency p50 {}, p99 {}, ", below(half), below(most)),
        _ => String::new(),
    };
    format!("{latency}own lag {:.1} ms at most, breaches {}", c.lag_us as f64 * 1e-3, c.breaches)
}

/// A pass of a search as a line.
pub fn trial(t: &Trial) -> String {
    let word = match (t.valid, t.held) {
        (false, _) => "invalid",
        (_, true) => "held",
        (_, false) => "failed",
    };
    let why = if t.why.is_empty() { String::new() } else { format!(" ({})", t.why) };
    format!(
        "{:<12} {:>9.3} x  {:>10}/s planned  {:>10}/s received  p99 {:>8.2} ms  {word}{why}",
        t.kind,
        t.rate,
        thousands(t.planned_per_s.round()),
        thousands(t.received_per_s.round()),
        t.p99_ms
    )
}

/// Memory of a connection, where there are enough of them that it is theirs, and not that of a worker that begins.
fn memory_a_connection(r: &LoadResult) -> String {
    if r.connections < 1_000 {
        return String::new();
    }
    let kib = r.memory.connections as f64 / 1024.0 / r.connections as f64;
    let with = if r.broker.starts_with("embedded") { " with the broker's end" } else { "" };
    format!("{kib:.1} KiB a connection{with}, ")
}

/// The summary of a load.
pub fn summary(r: &LoadResult) -> String {
    let mut out = String::new();
    // Writing into a string cannot fail.
    let c = &r.tally.counts;
    let _ = writeln!(
        out,
        "{} connections up in {:.2} s, {} refused, {} broke, {} cut by faults, {} made again",
        thousands(c.connected as f64),
        r.connect_s,
        c.refused,
        c.disconnected,
        c.cut,
        c.reconnected
    );
    let v = &r.verdict;
    if v.never_sent > 0 {
        let (planned, never) = (thousands(v.planned as f64), thousands(v.never_sent as f64));
        let _ = writeln!(out, "planned {planned}, never sent {never}: they count with the time waited");
    }
    let _ = writeln!(
        out,
        "{} sent ({}/s), {} acknowledged, {} of {} deliveries",
        thousands(v.sent as f64),
        thousands(r.sent_per_s().round()),
        thousands(v.acknowledged as f64),
        thousands(v.received as f64),
        thousands(v.expected as f64)
    );
    let _ = writeln!(
        out,
        "lost {}, duplicated {}, reordered {}, invented or altered {}; breaches of MQTT {}",
        v.lost, v.duplicated, v.reordered, v.invented, v.breaches
    );
    for f in v.findings.iter().take(8) {
        let on = if f.topic.is_empty() { String::new() } else { format!(" on {}", f.topic) };
        let whose = match f.device.as_str() {
            "" => String::new(),
            device => format!(" of {device}{on} at {}", f.subscriber),
        };
        let word = if f.breach { "breach" } else { "allowed" };
        let _ = writeln!(out, "  {word}: {} {}{whose} (QoS {}): {}", f.count, f.what.word(), f.qos, f.which);
    }
    let more = v.findings.len().saturating_sub(8) as u64 + v.more_findings;
    if more > 0 {
        let _ = writeln!(out, "  and {more} more, see report.json");
    }
    let extras = [
        (c.foreign.saturating_sub(v.unreadable), "messages of others"),
        (c.resent, "sent once more"),
        (c.abandoned, "QoS 2 given up"),
        (c.rejected, "rejected"),
        (c.sessions_lost, "sessions lost"),
        (c.sessions_expired, "sessions expired"),
        (c.sessions_overstayed, "sessions overstayed"),
        (c.strangers, "strangers"),
        (c.strangers_closed, "strangers sent away"),
        (c.strangers_unopened, "strangers that could not be connected"),
        (c.strangers_kept + c.strangers_borne, "strangers left connected"),
        (c.taken_over, "taken over"),
        (c.takeovers_ignored, "takeovers not enforced"),
        (c.wills_owed, "wills owed"),
        (c.wills, "wills came"),
        (c.commands, "commands"),
        (c.commands_followed, "commands followed"),
        (c.commands_failed, "commands not followed"),
    ];
    let seen: Vec<String> =
        extras.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")).collect();
    if !seen.is_empty() {
        let _ = writeln!(out, "{}", seen.join(", "));
    }
    let reasons = r.reasons();
    for (reason, n) in reasons.iter().take(5) {
        let _ = writeln!(out, "  {n} × {reason}");
    }
    if reasons.len() > 5 {
        let _ = writeln!(out, "  and {} more reasons, see report.json", reasons.len() - 5);
    }
    let _ = writeln!(
        out,
        "\n{:<20} {:>3} {:<9} {:>10} {:>9} {:>9} {:>9} {:>9} {:>9}",
        "[ms]", "QoS", "stage", "count", "p50", "p90", "p99", "p99.9", "max"
    );
    for row in &r.rows {
        let qos = row.qos.map_or(String::new(), |q| q.to_string());
        let stage = row.stage.map_or("all".to_owned(), |s| format!("{s} {}", row.stage_kind));
        let p = &row.at;
        let _ = writeln!(
            out,
            "{:<20} {qos:>3} {stage:<9} {:>10} {:>9.2} {:>9.2} {:>9.2} {:>9.2} {:>9.2}",
            row.of, p.count, p.p50_ms, p.p90_ms, p.p99_ms, p.p999_ms, p.max_ms
        );
    }
    let _ = writeln!(
        out,
        "generator: lag p99 {:.2} ms, {:.1} % of a core, {:.2} µs of it a message; {}{:.1} MiB in all",
        r.lag_p99_ms,
        r.busy() * 100.0,
        r.cpu_us(),
        memory_a_connection(r),
        r.memory.all as f64 / 1_048_576.0
    );
    for o in &r.outcomes {
        let word = match o.held {
            Some(true) => "held  ",
            Some(false) => "FAILED",
            None => "NO DATA",
        };
        let _ = writeln!(out, "{word} {}: {}", o.claim, o.measured);
    }
    let p = r.percentiles(Metric::Latency);
    // Of nothing, there is no percentile.
    let latency = if p.count > 0 { format!("; latency p99 {:.2} ms", p.p99_ms) } else { String::new() };
    let _ = writeln!(out, "{}{latency}", r.headline());
    if r.exit() as u8 == 1 && !r.replay.is_empty() {
        let _ = writeln!(out, "run it again: {}", r.replay);
    }
    out
}
