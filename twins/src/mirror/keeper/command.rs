//! Commands: what is desired of a device and not reported goes to it until it reports it, refuses it, or does not answer.
//!
//! A command waits while its device is known to be away, and while it is not known how the device is asked. It is sent; it is
//! told again where nothing is reported in time, each time with twice the patience; and after so many tries it counts as
//! unanswered. What the device does after that by itself, at its own button, is its business: only what is desired anew is
//! commanded.

use super::{Keeper, Output, SHADOW_PREFIX, seconds};
use crate::dialect::facts::Value as Said;
use serde_json::{Map, Value, json};
use std::sync::Arc;
use twinfleet_engine::dialect::{Unasked, Utterance, Wanted};

/// Fields that one command asks for at a time.
const MAX_FIELDS: usize = 64;
/// How long after a start the broker may take to tell what it kept: whether devices are there, and what they are, [ms].
const GRACE_MS: i64 = 2_000;
/// How soon it is looked again whether a device has told how it is asked, [ms].
const LOOK_AGAIN_MS: i64 = 500;
/// How often the patience doubles at most.
const MAX_DOUBLINGS: u32 = 10;
/// Two numbers that differ by less than this part are one.
const SAME: f64 = 1e-9;

/// How a twin's device is commanded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Way {
    /// This topic takes what is desired as a JSON object.
    Topic(String),
    /// In its dialect, a message a field.
    Dialect,
}

/// What commands of a twin are held to.
#[derive(Clone, Debug, PartialEq)]
pub struct Terms {
    /// How long the first try may take, [ms].
    pub within_ms: i64,
    /// How often a device is told.
    pub tries: u32,
    /// Steps of the signals' values, in their units: a device cannot be asked to be nearer than half of one.
    pub quanta: Arc<[(String, f64)]>,
}

impl Default for Terms {
    fn default() -> Self {
        Self { within_ms: 30_000, tries: 4, quanta: Arc::default() }
    }
}

/// How a command stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It is to be sent: its device is away, or has not told how it is asked, or it was desired just now.
    Waiting,
    /// It was sent, and nothing is reported yet.
    Sent,
    /// What was desired is reported.
    Acknowledged,
    /// The device, its service or its dialect says no.
    Refused,
    /// It was told as often as it may be.
    Unanswered,
    /// It is no longer desired.
    Withdrawn,
}

impl Standing {
    /// As the API says it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Sent => "sent",
            Self::Acknowledged => "acknowledged",
            Self::Refused => "refused",
            Self::Unanswered => "unanswered",
            Self::Withdrawn => "withdrawn",
        }
    }

    const fn is_open(self) -> bool {
        matches!(self, Self::Waiting | Self::Sent)
    }
}

/// What became of the last command of a twin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// Version of the document that it is of.
    pub version: u64,
    /// How it stands.
    pub standing: Standing,
    /// When it was desired, Unix [ms].
    pub asked_ms: i64,
    /// When it was sent first and last, Unix [ms].
    pub sent_ms: Option<(i64, i64)>,
    /// How often it was sent.
    pub sent: u32,
    /// When the device reported what was desired, Unix [ms].
    pub done_ms: Option<i64>,
    /// Whether the time of a try ran out.
    pub overdue: bool,
    /// Why it waits, was refused, or is unanswered.
    pub reason: String,
    /// What is desired, by the document's keys.
    keys: Vec<String>,
    /// Tries since the device was last known to be there.
    tried: u32,
    /// When something is to be done, Unix [ms].
    due_ms: i64,
}

impl Command {
    fn new(version: u64, now_ms: i64, keys: Vec<String>) -> Self {
        Self {
            version,
            standing: Standing::Waiting,
            asked_ms: now_ms,
            sent_ms: None,
            sent: 0,
            done_ms: None,
            overdue: false,
            reason: String::new(),
            keys,
            tried: 0,
            due_ms: now_ms,
        }
    }

    /// From its first sending to its acknowledgement, [ms].
    pub fn latency_ms(&self) -> Option<i64> {
        Some(self.done_ms? - self.sent_ms?.0)
    }
}

/// How commands fared, over all twins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CommandCounts {
    /// Tries that were sent.
    pub sent: u64,
    /// Commands whose device reported what was desired.
    pub acknowledged: u64,
    /// … and how long these took in all, from the first sending, [ms].
    pub latency_ms: u64,
    /// Commands that a device, its service or its dialect refused.
    pub refused: u64,
    /// Commands that nobody answered.
    pub unanswered: u64,
}

/// Where a twin's commands go, what they are held to, and what became of the last.
#[derive(Debug)]
pub(super) struct Commands {
    pub way: Way,
    pub terms: Terms,
    pub last: Option<Command>,
}

/// Asks the dialects: the twin by its place, what is to be set, and to what.
pub type Ask<'a> = dyn FnMut(usize, &str, &Wanted) -> Result<Utterance, Unasked> + 'a;

/// How a try went.
enum Tried {
    Sent,
    NotYet(String),
    Never(String),
}

/// Whether a value is what is desired: within half a step of its signal, and on however the device says that.
fn agrees(desired: &Value, reported: &Value, quantum: f64) -> bool {
    let number = |v: &Value| match v {
        Value::Number(n) => n.as_f64(),
        Value::Bool(b) => Some(f64::from(u8::from(*b))),
        Value::String(text) => Said::Text(text.clone()).number(),
        _ => None,
    };
    desired == reported
        || matches!((number(desired), number(reported)), (Some(d), Some(r))
            if (d - r).abs() <= (0.5 * quantum * (1.0 + 1e-6)).max(SAME * d.abs().max(1.0)))
}

/// What of a desired value is not reported.
fn open(desired: &Value, reported: Option<&Value>, quantum: f64) -> Option<Value> {
    match (desired, reported) {
        (Value::Object(all), _) => {
            let of = |(k, v): (&String, &Value)| Some((k.clone(), open(v, reported?.get(k), quantum)?));
            let without = |(k, v): (&String, &Value)| Some((k.clone(), open(v, None, quantum)?));
            let left: Map<String, Value> = match reported {
                Some(_) => all.iter().filter_map(of).collect(),
                None => all.iter().filter_map(without).collect(),
            };
            (!left.is_empty()).then_some(Value::Object(left))
        }
        (_, Some(reported)) if agrees(desired, reported, quantum) => None,
        _ => Some(desired.clone()),
    }
}

/// Leaves of what is desired, by the name that a dialect has for such a field; none where one is no single value.
fn leaves(path: &str, desired: &Value, out: &mut Vec<(String, Option<Wanted>)>) {
    let wanted = match desired {
        Value::Object(all) => {
            for (key, value) in all {
                let path = if path.is_empty() { key.clone() } else { format!("{path}/{key}") };
                leaves(&path, value, out);
            }
            return;
        }
        Value::Number(n) => n.as_f64().map(Wanted::Number),
        Value::Bool(b) => Some(Wanted::Flag(*b)),
        Value::String(text) => Some(Wanted::Text(text.clone())),
        Value::Array(_) | Value::Null => None,
    };
    out.push((path.to_owned(), wanted));
}

impl Keeper {
    /// How commands fared so far.
    pub fn command_counts(&self) -> CommandCounts {
        self.counts
    }

    /// Commands that are neither acknowledged nor given up.
    pub fn commands_open(&self) -> usize {
        self.waiting.iter().filter(|at| self.last(**at).is_some_and(|c| c.standing.is_open())).count()
    }

    /// The last command of a twin.
    pub fn last_command(&self, twin: &str) -> Option<&Command> {
        self.kept(twin).and_then(|k| k.commands.as_ref()?.last.as_ref())
    }

    fn last(&self, at: usize) -> Option<&Command> {
        self.twins[at].commands.as_ref()?.last.as_ref()
    }

    /// The command of a twin that is still to be carried out.
    fn open_command(&mut self, at: usize) -> Option<&mut Command> {
        self.twins[at].commands.as_mut()?.last.as_mut().filter(|c| c.standing.is_open())
    }

    fn tell(&mut self, at: usize, kind: &'static str, detail: impl Into<String>) {
        let twin = self.twins[at].twin.to_string();
        self.happened.push(super::Happened { twin, kind, detail: detail.into() });
    }

    /// What is desired of a twin and not reported; `nearly`: what a device cannot come nearer to is reported.
    fn undone(&self, at: usize, nearly: bool) -> Option<Map<String, Value>> {
        let kept = &self.twins[at];
        let Value::Object(delta) = kept.shadow.delta()? else { return None };
        let Some(commands) = &kept.commands else { return Some(delta) };
        let reported = kept.shadow.reported().unwrap_or(Value::Null);
        let quantum = |key: &str| {
            let of = commands.terms.quanta.iter().find(|(signal, _)| signal == key);
            of.filter(|_| nearly).map_or(0.0, |(_, quantum)| *quantum)
        };
        let left = |(key, value): (String, Value)| {
            let value = open(&value, reported.get(&key), quantum(&key))?;
            Some((key, value))
        };
        let left: Map<String, Value> = delta.into_iter().filter_map(left).collect();
        (!left.is_empty()).then_some(left)
    }

    /// Something is desired anew, or was before a restart: what of it is not reported is commanded.
    pub(super) fn command(&mut self, at: usize, now_ms: i64, restored: bool) {
        // What differs, differs: that it is near is for what was sent.
        let Some(undone) = self.undone(at, false) else { return self.settle(at, now_ms) };
        self.waiting.insert(at);
        let kept = &mut self.twins[at];
        kept.shadow.settled = false;
        let Some(commands) = &mut kept.commands else { return };
        let keys = undone.keys().cloned().collect();
        let mut command = Command::new(kept.shadow.version(), now_ms, keys);
        if restored {
            command.due_ms += GRACE_MS;
        }
        commands.last = Some(command);
    }

    /// Whether what was desired is reported by now.
    pub(super) fn settle(&mut self, at: usize, now_ms: i64) {
        let nearly = self.last(at).is_some_and(|c| c.sent > 0);
        if self.undone(at, nearly).is_some() {
            return;
        }
        self.waiting.remove(&at);
        let kept = &mut self.twins[at];
        let desired = kept.shadow.desired().unwrap_or(Value::Null);
        let Some(command) = kept.commands.as_mut().and_then(|c| c.last.as_mut()) else { return };
        if command.done_ms.is_some() || command.standing == Standing::Withdrawn {
            return;
        }
        if command.keys.iter().any(|key| desired.get(key).is_none()) {
            command.standing = Standing::Withdrawn;
            return self.tell(at, "command_withdrawn", "it is no longer desired");
        }
        command.standing = Standing::Acknowledged;
        command.done_ms = Some(now_ms);
        command.reason.clear();
        let latency_ms = command.latency_ms();
        kept.shadow.settled = true;
        self.touch(at, None);
        self.counts.acknowledged += 1;
        self.counts.latency_ms += latency_ms.and_then(|ms| u64::try_from(ms).ok()).unwrap_or_default();
        let text = match latency_ms {
            Some(ms) => format!("the device reports what was desired, after {ms} ms"),
            None => "the device reports what was desired before it was told".to_owned(),
        };
        self.tell(at, "command_done", text);
    }

    /// A twin's device says, in its dialect, that it does not do as it was asked. Whether it was asked.
    pub fn refused_by_device(&mut self, at: usize, why: &str) -> bool {
        if at >= self.twins.len() || self.last(at).is_none_or(|c| c.standing != Standing::Sent) {
            return false;
        }
        self.refuse(at, why.to_owned());
        true
    }

    fn refuse(&mut self, at: usize, why: String) {
        let Some(command) = self.open_command(at) else { return };
        command.standing = Standing::Refused;
        command.reason.clone_from(&why);
        self.counts.refused += 1;
        self.tell(at, "command_refused", why);
    }

    fn give_up(&mut self, at: usize, why: String) {
        let Some(command) = self.open_command(at) else { return };
        command.standing = Standing::Unanswered;
        command.reason.clone_from(&why);
        self.counts.unanswered += 1;
        self.tell(at, "command_unanswered", why);
    }

    /// A device is there again: what waited for it, or may not have reached it, is sent.
    pub(super) fn resume(&mut self, at: usize, now_ms: i64) {
        if let Some(command) = self.open_command(at) {
            (command.standing, command.tried, command.due_ms) = (Standing::Waiting, 0, now_ms);
            command.reason.clear();
        }
    }

    /// Time has come this far: sends what is due, by the dialects that `ask` asks, and tells what is overdue.
    pub fn wait(&mut self, now_ms: i64, ask: &mut Ask<'_>) {
        let due = |at: &&usize| self.last(**at).is_some_and(|c| c.standing.is_open() && c.due_ms <= now_ms);
        for at in self.waiting.iter().filter(due).copied().collect::<Vec<_>>() {
            self.attend(at, now_ms, ask);
        }
    }

    /// What is to be done for a command whose time has come.
    fn attend(&mut self, at: usize, now_ms: i64, ask: &mut Ask<'_>) {
        let Some(terms) = self.twins[at].commands.as_ref().map(|c| c.terms.clone()) else { return };
        let away = self.twins[at].online == Some(false);
        let Some(command) = self.open_command(at) else { return };
        if away {
            command.standing = Standing::Waiting;
            command.due_ms = i64::MAX;
            "the device is not there".clone_into(&mut command.reason);
            return self.tell(at, "command_waiting", "the device is not there: it is told when it is back");
        }
        if command.standing == Standing::Sent {
            let (first, tried) = (!std::mem::replace(&mut command.overdue, true), command.tried);
            if first {
                let within = terms.within_ms;
                self.tell(
                    at,
                    "command_overdue",
                    format!("the device does not report what was desired within {within} ms"),
                );
            }
            if tried >= terms.tries {
                return self.give_up(at, format!("the device was told {tried} times and does not report it"));
            }
        }
        let doublings = |n: u32| 1_i64 << n.min(MAX_DOUBLINGS);
        match self.attempt(at, now_ms, ask) {
            Tried::Sent => {
                let Some(command) = self.open_command(at) else { return };
                command.standing = Standing::Sent;
                command.reason.clear();
                command.due_ms =
                    now_ms.saturating_add(terms.within_ms.saturating_mul(doublings(command.tried)));
                command.tried += 1;
                command.sent += 1;
                command.sent_ms = Some((command.sent_ms.map_or(now_ms, |(first, _)| first), now_ms));
                self.counts.sent += 1;
            }
            Tried::NotYet(why) => {
                let patience_ms = terms.within_ms.saturating_mul(doublings(terms.tries) - 1);
                let Some(command) = self.open_command(at) else { return };
                if now_ms.saturating_sub(command.asked_ms) > patience_ms {
                    return self.give_up(at, why);
                }
                command.due_ms = now_ms + LOOK_AGAIN_MS;
                if command.reason != why {
                    command.reason.clone_from(&why);
                    self.tell(at, "command_waiting", why);
                }
            }
            Tried::Never(why) => self.refuse(at, why),
        }
    }

    /// Puts what is undone into messages.
    fn attempt(&mut self, at: usize, now_ms: i64, ask: &mut Ask<'_>) -> Tried {
        let again = self.last(at).is_some_and(|c| c.sent > 0);
        let Some(undone) = self.undone(at, again) else {
            self.settle(at, now_ms);
            return Tried::Sent;
        };
        let Some(way) = self.twins[at].commands.as_ref().map(|c| c.way.clone()) else { return Tried::Sent };
        let text = Value::Object(undone.clone()).to_string();
        match way {
            Way::Topic(topic) => {
                self.outputs.push(Output {
                    topic,
                    payload: text.clone().into_bytes(),
                    qos: 1,
                    retain: false,
                });
            }
            Way::Dialect => {
                let mut fields = Vec::new();
                leaves("", &Value::Object(undone), &mut fields);
                let mut said = Vec::new();
                for (field, wanted) in fields.into_iter().take(MAX_FIELDS) {
                    let Some(wanted) = wanted else {
                        return Tried::Never(format!("`{field}`: a list is no value that a dialect can set"));
                    };
                    match ask(at, &field, &wanted) {
                        Ok(utterance) => said.push(utterance),
                        Err(Unasked::NotYet(why)) => return Tried::NotYet(why),
                        Err(Unasked::Never(why)) => return Tried::Never(why),
                    }
                }
                let outputs: Vec<Output> = said.into_iter().map(|u| self.delivered(u, now_ms)).collect();
                self.outputs.extend(outputs);
            }
        }
        self.tell(at, if again { "command_again" } else { "command" }, text);
        Tried::Sent
    }

    /// An utterance as it goes out. A request to the shadow of a thing that a twin of ours follows is answered by ourselves:
    /// its device is told by the delta, as the service would.
    fn delivered(&self, said: Utterance, now_ms: i64) -> Output {
        let Utterance { topic, payload, qos, retain } = said;
        let ours = topic.strip_prefix(SHADOW_PREFIX).and_then(|t| t.split_once("/shadow/"));
        if let Some((thing, rest)) = ours
            && rest.ends_with("update")
            && let Some(kept) = self.kept(thing)
            && let Ok(Value::Object(request)) = serde_json::from_slice(&payload)
        {
            let delta = json!({
                "version": kept.shadow.version(), "timestamp": seconds(now_ms), "state": request["state"]["desired"],
                "clientToken": request["clientToken"],
            });
            return Output { topic: topic + "/delta", payload: delta.to_string().into_bytes(), qos, retain };
        }
        Output { topic, payload, qos, retain }
    }
}
