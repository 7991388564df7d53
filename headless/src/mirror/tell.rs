//! What a mirror says of its start, of what its twins found, and of what happened to their states: in its log, and as events.

use super::{Args, Mirror, log::Level};
use serde_json::{Value, json};
use twinfleet_engine::scenario::calendar;
use twinfleet_twins::mirror::store::Batch;

impl Mirror {
    pub(super) fn say_start(&self, args: &Args, replayed: usize) {
        let twins = self.book.len();
        let text = format!(
            "following {twins} twin{} of {} on {}, kept in {}; {replayed} messages read again",
            if twins == 1 { "" } else { "s" },
            args.file,
            self.session.broker(),
            args.store().display()
        );
        let mut fields = vec![
            ("twins", json!(twins)),
            ("broker", json!(self.session.broker())),
            ("store", json!(args.store().display().to_string())),
            ("replayed", json!(replayed)),
        ];
        if let Some(server) = &self._server {
            fields.push(("status", json!(server.address().to_string())));
        }
        self.log.line(Level::Info, "started", &text, &fields);
        if let Some(server) = &self._server {
            let at = server.address();
            self.log.line(
                Level::Info,
                "status",
                &format!("status page at http://{at}/, metrics at http://{at}/metrics"),
                &[],
            );
        }
    }

    pub(super) fn say_event(&self, event: &[u8]) {
        let Ok(e) = serde_json::from_slice::<Value>(event) else { return };
        let text = |name: &str| e[name].as_str().unwrap_or_default().to_owned();
        let (twin, part) = (text("twin"), text("part"));
        let what = if part.is_empty() { twin } else { format!("{twin}/{part}") };
        let (level, line) = match text("event").as_str() {
            "verdict" => (Level::Warning, format!("{what}: {} (posterior {:.2})", text("kind"), e["value"])),
            "verdict_end" => (Level::Info, format!("{what}: {} is over", text("kind"))),
            other => (Level::Warning, format!("{what}: {other}: {}", text("kind"))),
        };
        let fields = [("twin", e["twin"].clone()), ("part", e["part"].clone()), ("kind", e["kind"].clone())];
        self.log.line(level, &text("event"), &line, &fields);
    }

    pub(super) fn say_happenings(&mut self, batch: &mut Batch) {
        for h in self.keeper.happened() {
            let level = match h.kind {
                "command_overdue" | "command_refused" | "command_unanswered" => Level::Warning,
                _ => Level::Info,
            };
            // One that is gone reports nothing by which it would be published.
            if let ("online" | "offline", Some(at)) = (h.kind, self.book.place(&h.twin)) {
                self.book.touch(at);
            }
            let line = format!("{}: {}: {}", h.twin, h.kind.replace('_', " "), h.detail);
            self.log.line(level, h.kind, &line, &[("twin", json!(h.twin))]);
            let time = calendar::text(self.wall.unix_ns() / 1_000_000 * 1_000_000);
            let event =
                json!({ "time": time, "event": h.kind, "twin": h.twin, "part": "", "kind": h.detail });
            batch.events.push(event.to_string().into_bytes());
        }
    }
}
