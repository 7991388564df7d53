//! A mirror's figures as Prometheus reads them.

use super::Mirror;
use std::fmt::Write as _;
use twinfleet_engine::mirror::follow::live;

impl Mirror {
    /// All figures, in Prometheus' text format.
    pub(super) fn metrics(&mut self) -> String {
        let mut out = String::new();
        let all = live::all(self.run.world_mut());
        let sum = |of: fn(&live::TwinStatus) -> u64| all.iter().map(of).sum::<u64>() as f64;
        let session = self.session.stats();
        let refused = self.keeper.refused();
        let commands = self.keeper.command_counts();
        let up = |b: bool| f64::from(u8::from(b));
        let stale = all.iter().filter(|t| t.silent).count() as f64;
        for (name, kind, about, value) in [
            ("up_seconds", "gauge", "Seconds since the mirror started", self.wall.up_s()),
            ("twins", "gauge", "Twins followed", self.book.len() as f64),
            ("verdicts_holding", "gauge", "Verdicts that hold", self.book.holding() as f64),
            ("twins_stale", "gauge", "Twins whose device is silent beyond its own rhythm", stale),
            ("messages_total", "counter", "Messages taken from the broker", self.messages as f64),
            (
                "messages_retained_total",
                "counter",
                "Messages that the broker had kept from before, those on topics of no twin among them",
                self.retained as f64,
            ),
            ("messages_unknown_total", "counter", "Messages on topics of no twin", self.unknown as f64),
            ("readings_total", "counter", "Messages that twins took in", sum(|t| t.taken)),
            ("readings_late_total", "counter", "Messages older than what was taken", sum(|t| t.late)),
            ("readings_duplicate_total", "counter", "Messages that repeat a time", sum(|t| t.duplicate)),
            ("readings_bad_total", "counter", "Payloads that gave no values", sum(|t| t.bad)),
            (
                "messages_oversized_total",
                "counter",
                "Messages thrown away for their size",
                session.oversized as f64,
            ),
            (
                "state_malformed_total",
                "counter",
                "Payloads that are no JSON object",
                refused.malformed as f64,
            ),
            (
                "state_late_total",
                "counter",
                "Reports that would take a state back in time",
                refused.late as f64,
            ),
            ("state_too_large_total", "counter", "Reports too large or too deep", refused.too_large as f64),
            (
                "shadow_unknown_total",
                "counter",
                "Shadow requests for things of no twin",
                refused.unknown_things as f64,
            ),
            ("shadow_rejected_total", "counter", "Shadow requests rejected", refused.rejected as f64),
            (
                "commands_open",
                "gauge",
                "Commands that wait or are not answered yet",
                self.keeper.commands_open() as f64,
            ),
            ("commands_sent_total", "counter", "Tries of commands that were sent", commands.sent as f64),
            (
                "commands_acknowledged_total",
                "counter",
                "Commands whose device reports what was desired",
                commands.acknowledged as f64,
            ),
            (
                "commands_latency_seconds_total",
                "counter",
                "Seconds that acknowledged commands took, from the first sending",
                commands.latency_ms as f64 / 1e3,
            ),
            (
                "commands_refused_total",
                "counter",
                "Commands that a device, its service or its dialect refused",
                commands.refused as f64,
            ),
            (
                "commands_unanswered_total",
                "counter",
                "Commands that were given up, as nothing was reported after the last try",
                commands.unanswered as f64,
            ),
            ("broker_connected", "gauge", "Whether the broker is there", up(self.session.is_connected())),
            ("broker_connections_total", "counter", "Connections that stood", session.connections as f64),
            ("broker_attempts_failed_total", "counter", "Connections that failed", session.failed as f64),
            (
                "broker_forgotten_total",
                "counter",
                "Connections at which the broker had forgotten us",
                session.forgotten as f64,
            ),
            (
                "publish_waiting",
                "gauge",
                "Messages of ours not acknowledged",
                self.session.unacknowledged() as f64,
            ),
            ("publish_dropped_total", "counter", "Messages of ours dropped", session.dropped as f64),
            ("publish_refused_total", "counter", "Messages of ours refused", session.refused as f64),
            ("store_ok", "gauge", "Whether the store takes what is to be kept", up(!self.store.is_failing())),
            ("store_commits_total", "counter", "Commits", self.store.commits as f64),
            ("store_failures_total", "counter", "Commits that failed", self.store.failures as f64),
            (
                "store_dropped_total",
                "counter",
                "Rows dropped while the disk failed",
                self.store.dropped as f64,
            ),
        ] {
            // Writing to a String cannot fail.
            let _ = writeln!(
                out,
                "# HELP twinfleet_{name} {about}.\n# TYPE twinfleet_{name} {kind}\ntwinfleet_{name} {value}"
            );
        }
        out
    }
}
