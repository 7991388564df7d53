//! What a mirror says while it runs: lines for people on standard error, or a JSON object a line on standard output; and
//! a line that shows where it stands, on a terminal.

use super::clock::system_unix_ns;
use crate::exit::say;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Map, Value, json};
use std::io::IsTerminal;
use twinfleet_engine::scenario::calendar;

/// How serious it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// As it should be.
    Info,
    /// To be looked at.
    Warning,
    /// The mirror does not do all of its work.
    Alarm,
}

/// Where a mirror's lines go.
pub struct Log {
    json: bool,
    quiet: bool,
    bar: Option<ProgressBar>,
}

impl Log {
    /// Lines as JSON on standard output, or as text on standard error; with `quiet`, alarms alone.
    pub fn new(json: bool, quiet: bool) -> Self {
        let terminal = std::io::stderr().is_terminal();
        let bar = (!json && !quiet && terminal).then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(5));
            let style = ProgressStyle::with_template("{spinner} {msg}");
            bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()))
        });
        Self { json, quiet, bar }
    }

    /// One line: what happened, in a word, a sentence, and figures with names.
    pub fn line(&self, level: Level, event: &str, text: &str, fields: &[(&str, Value)]) {
        if self.quiet && level != Level::Alarm {
            return;
        }
        let time = calendar::text(system_unix_ns() / 1_000_000 * 1_000_000);
        let level = match level {
            Level::Info => "info",
            Level::Warning => "warning",
            Level::Alarm => "alarm",
        };
        if self.json {
            let mut line = Map::new();
            line.insert("time".to_owned(), json!(time));
            line.insert("level".to_owned(), json!(level));
            line.insert("event".to_owned(), json!(event));
            line.insert("text".to_owned(), json!(text));
            line.extend(fields.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
            return say(format_args!("{}", Value::Object(line)));
        }
        let line = format!("{time} {level:<7} {text}");
        match &self.bar {
            Some(bar) => bar.println(line),
            None => eprintln!("{line}"),
        }
    }

    /// The line that shows where the mirror stands.
    pub fn status(&self, text: impl FnOnce() -> String) {
        if let Some(bar) = &self.bar {
            bar.set_message(text());
            bar.tick();
        }
    }

    /// Takes that line away.
    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
