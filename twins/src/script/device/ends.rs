//! How a script ends, what is told of it, and when its board starts again.

use super::{Device, State, ns};
use twinfleet_engine::{catalog::Runtime, firmware::program::Turn};

impl Device {
    /// The script is over, by itself or not. `watchdog_ns`: in so long the board's watchdog resets it, if nothing else does.
    pub(super) fn ended(
        &mut self,
        at_ns: u64,
        kind: &str,
        text: &str,
        watchdog_ns: Option<u64>,
        turn: &mut Turn,
    ) {
        // Who falls asleep or is reset says nothing more.
        self.net.end(at_ns, !matches!(kind, "sleep" | "reset"));
        self.say(turn);
        self.stop();
        // What runs a script is no line of its traceback.
        let own: Vec<&str> = text.lines().filter(|l| !l.contains("\"/shim/")).collect();
        let text = own.join("\n");
        let text = text.as_str();
        let (event, detail) = self.told(kind, text);
        if kind != "sleep" {
            turn.events.push(self.event(at_ns, event, detail));
        }
        // A reset makes inputs of its pins, as CircuitPython does whenever a program is over.
        let circuit = self.life.script.runtime == Runtime::CircuitPython && !self.life.linux;
        if circuit || kind == "reset" {
            self.machine.lets_all_go();
            self.tell_levels(at_ns, turn);
        }
        let boot_ns = ns(self.life.script.boot.0);
        let restart_ns = self.life.script.restart.map(|r| ns(r.0.max(1)) + boot_ns);
        let again_ns = match kind {
            "reset" => Some(boot_ns),
            "sleep" => {
                // How long, and the pins that end it: `MS PIN:LEVEL[:PULL] …`; longer than the run may last is for ever.
                let mut words = text.split(' ');
                let ms = words.next().and_then(|ms| ms.parse::<u64>().ok());
                let wake = |word: &str| {
                    let mut parts = word.split(':');
                    let (pin, level) = (parts.next()?, parts.next()?);
                    Some((pin.to_owned(), level == "1", parts.next().unwrap_or("-").to_owned()))
                };
                self.wakes = words.filter_map(wake).collect();
                ms.map(|ms| ms.saturating_mul(1_000_000).saturating_add(boot_ns))
            }
            "exit" if text.is_empty() => None,
            // With a status that says so it has failed, too.
            "exit" => restart_ns,
            _ => {
                turn.counts.push(("script_failures", 1));
                restart_ns
            }
        };
        let watchdog_ns =
            watchdog_ns.map(|left| left.saturating_add(boot_ns)).filter(|w| again_ns.is_none_or(|a| *w < a));
        self.life.reset_cause = match kind {
            _ if watchdog_ns.is_some() => "wdt",
            "reset" if text.contains("watchdog") => "wdt",
            "reset" => "soft",
            "sleep" => "deepsleep",
            _ => "power_on",
        };
        let again_ns = watchdog_ns.or(again_ns);
        // A script that is over leaves an idle board.
        let rests_ma = match (kind, again_ns) {
            ("sleep", _) => self.life.saves.deep,
            (_, None) => self.life.saves.idle,
            _ => 0.0,
        };
        self.save(at_ns, rests_ma, turn);
        self.state = match again_ns {
            Some(after_ns) => State::Off { at_ns: at_ns.saturating_add(after_ns) },
            None => State::Over,
        };
    }

    /// What is told of such an end: the event's kind and its detail.
    fn told(&self, kind: &str, text: &str) -> (&'static str, String) {
        let last = text.trim_end().lines().last().unwrap_or_default();
        match kind {
            "exit" if text.is_empty() => ("script_exit", "the script has ended".to_owned()),
            "exit" => ("script_exit", format!("the script has ended with {last}")),
            "crash" => ("script_crash", format!("{last}\n{}", text.trim_end())),
            "stuck" => {
                let text = text.trim_end();
                (
                    "script_stuck",
                    format!(
                        "it computes for {} without once asking for the world, here:\n{text}",
                        self.life.script.stuck_after
                    ),
                )
            }
            "reset" => ("script_reset", text.to_owned()),
            "sleep" => ("script_sleep", String::new()),
            _ => (
                "script_gone",
                if text.is_empty() { "its process is gone".to_owned() } else { text.to_owned() },
            ),
        }
    }
}
