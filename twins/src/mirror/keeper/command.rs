//! Commands: what is desired of a device and not reported goes to it until it reports it, refuses it, or does not answer.
//!
//! A command waits while its device is known to be away, and while it is not known how the device is asked. It is sent; it is
//! told again where nothing is reported in time, each time with twice the patience; and after so many tries it counts as
//! unanswered. What the device does after that by itself, at its own button, is its business: only what is desired anew is
//! commanded.
//!
//! A newer command takes the place of the one before it. Where that was sent and may still be carried out, what is reported is in
//! doubt: on, then off, to a lamp that reports off says nothing of either until the lamp was reported on, or the newer one's first
//! try is over. How a command stands is kept ([`memory`]): a restart goes on with what is open, and gives nothing twice that was
//! acknowledged, refused or given up.

mod compare;
pub(super) mod memory;
mod together;

use self::{
    compare::{doubtful, is_desired, is_otherwise, join, leaves, open, still_doubtful, within},
    memory::MEMORY,
};
use super::{Keeper, Output, SHADOW_PREFIX, seconds};
use serde_json::{Map, Value, json};
use std::sync::Arc;
use twinfleet_engine::dialect::{Unasked, Utterance, Wanted};

/// Fields that one command asks for at a time.
const MAX_FIELDS: usize = 64;
/// How long after a start the broker may take to tell what it kept: whether devices are there, and what they are, [ms].
pub(super) const GRACE_MS: i64 = 2_000;
/// How soon it is looked again whether a device has told how it is asked, [ms].
const LOOK_AGAIN_MS: i64 = 500;
/// How often the patience doubles at most.
const MAX_DOUBLINGS: u32 = 10;

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

    /// What the API says so.
    fn of(word: &str) -> Option<Self> {
        let all =
            [Self::Waiting, Self::Sent, Self::Acknowledged, Self::Refused, Self::Unanswered, Self::Withdrawn];
        all.into_iter().find(|s| s.word() == word)
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
    /// What it asks for: of what was desired when it was given, what was not reported or in doubt.
    asked: Value,
    /// What is in doubt, since a command before this one may still change it, with what was reported of it when this one was given.
    before: Value,
    /// Whether the device may still refuse the command that this one took the place of.
    supersedes: bool,
    /// Tries since the device was last known to be there.
    tried: u32,
    /// Since when the device can be told, as far as one knows, Unix [ms].
    since_ms: i64,
    /// When something is to be done, Unix [ms].
    due_ms: i64,
}

impl Command {
    fn new(version: u64, now_ms: i64, asked: Value) -> Self {
        Self {
            version,
            standing: Standing::Waiting,
            asked_ms: now_ms,
            sent_ms: None,
            sent: 0,
            done_ms: None,
            overdue: false,
            reason: String::new(),
            asked,
            before: json!({}),
            supersedes: false,
            tried: 0,
            since_ms: now_ms,
            due_ms: now_ms,
        }
    }

    /// Waits until the device can be told, from then on with all its patience.
    fn wait_until(&mut self, from_ms: i64) {
        (self.standing, self.since_ms, self.due_ms) = (Standing::Waiting, from_ms, from_ms);
        self.reason.clear();
    }

    /// Whether its device may carry it out any moment: it was told, and did not report it.
    fn may_act(&self) -> bool {
        self.sent > 0 && self.done_ms.is_none()
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

fn is_empty(tree: &Value) -> bool {
    tree.as_object().is_none_or(Map::is_empty)
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

    /// How a twin's last command stands is to be kept.
    fn remember(&mut self, at: usize) {
        self.touch(at, Some(MEMORY));
    }

    /// The step of a signal of a twin; 0 where it names none.
    fn quantum(&self, at: usize, signal: &str) -> f64 {
        let quanta = self.twins[at].commands.as_ref().map(|c| &c.terms.quanta);
        let of = quanta.and_then(|q| q.iter().find(|(name, _)| name == signal));
        of.map_or(0.0, |(_, quantum)| *quantum)
    }

    /// What is desired of a twin and not reported; `nearly`: what a device cannot come nearer to is reported.
    fn undone(&self, at: usize, nearly: bool) -> Option<Value> {
        let shadow = &self.twins[at].shadow;
        let Value::Object(delta) = shadow.delta()? else { return None };
        let reported = shadow.reported().unwrap_or_default();
        let left = |(key, value): (String, Value)| {
            let quantum = if nearly { self.quantum(at, &key) } else { 0.0 };
            let value = open(&value, reported.get(&key), quantum)?;
            Some((key, value))
        };
        let left: Map<String, Value> = delta.into_iter().filter_map(left).collect();
        (!left.is_empty()).then_some(Value::Object(left))
    }

    /// What a twin's last command has still to bring about: what of it is not reported, or in doubt.
    fn lacking(&self, at: usize) -> Option<Value> {
        let command = self.last(at)?;
        let undone = self.undone(at, command.sent > 0);
        let mut lacking = undone.and_then(|u| within(&u, &command.asked)).unwrap_or_else(|| json!({}));
        let desired = self.twins[at].shadow.desired().unwrap_or_default();
        if let Some(doubted) = within(&desired, &command.before) {
            join(&mut lacking, doubted);
        }
        (!is_empty(&lacking)).then_some(lacking)
    }

    /// Something is desired anew, or was before a restart of which nothing more is known: what of it is not reported is commanded.
    pub(super) fn command(&mut self, at: usize, now_ms: i64, restored: bool) {
        let kept = &self.twins[at];
        if kept.commands.is_none() {
            return;
        }
        let desired = kept.shadow.desired().unwrap_or_default();
        let reported = kept.shadow.reported().unwrap_or_default();
        let older = self.last(at).cloned();
        let superseded = older.as_ref().is_some_and(|c| is_otherwise(&c.asked, Some(&desired)));
        let doubt = |c: &Command| doubtful(&c.asked, Some(&c.before), Some(&desired), Some(&reported));
        let before = older.as_ref().filter(|c| c.may_act()).and_then(doubt).unwrap_or_else(|| json!({}));
        // What differs, differs: that it is near is for what was sent.
        let mut asked = self.undone(at, false).unwrap_or_else(|| json!({}));
        if let Some(doubted) = within(&desired, &before) {
            join(&mut asked, doubted);
        }
        if superseded && older.as_ref().is_some_and(|c| c.standing.is_open()) {
            self.tell(at, "command_withdrawn", "something else is desired by now");
        }
        if is_empty(&asked) {
            if !superseded {
                self.settle(at, now_ms);
            }
            return self.nothing_to_tell(at, now_ms, superseded);
        }
        let mut command = Command::new(self.twins[at].shadow.version(), now_ms, asked);
        command.supersedes = older.is_some_and(|c| c.standing.is_open() && c.may_act());
        command.before = before;
        if restored {
            command.wait_until(self.live_from_ms.max(now_ms));
        }
        self.waiting.insert(at);
        self.set_last(at, command);
    }

    fn set_last(&mut self, at: usize, command: Command) {
        if let Some(commands) = &mut self.twins[at].commands {
            commands.last = Some(command);
            self.remember(at);
        }
    }

    /// All that is desired is reported already: noted, so that it is no command left undone after a restart.
    pub(super) fn nothing_to_tell(&mut self, at: usize, now_ms: i64, superseded: bool) {
        let shadow = &self.twins[at].shadow;
        let any = shadow.desired().is_some_and(|d| !is_empty(&d));
        if any && (superseded || self.last(at).is_none()) {
            self.waiting.remove(&at);
            let command = Command::new(self.twins[at].shadow.version(), now_ms, json!({}));
            let (standing, done_ms) = (Standing::Acknowledged, Some(now_ms));
            self.set_last(at, Command { standing, done_ms, ..command });
        }
    }

    /// After a restart: a command that was open goes on, once the broker had time to tell what it kept. One that was refused or
    /// given up stays so, until its device reports it after all.
    pub(super) fn take_up(&mut self, at: usize) {
        let from_ms = self.live_from_ms;
        let Some(command) = self.twins[at].commands.as_mut().and_then(|c| c.last.as_mut()) else { return };
        if command.done_ms.is_some() || command.standing == Standing::Withdrawn {
            return;
        }
        if command.standing.is_open() {
            command.wait_until(from_ms);
        }
        self.waiting.insert(at);
    }

    /// What was in doubt is so no more where something else was reported meanwhile: the command before was carried out.
    fn look_at_doubt(&mut self, at: usize) {
        let Some(command) = self.last(at).filter(|c| !is_empty(&c.before)) else { return };
        let shadow = &self.twins[at].shadow;
        let (desired, reported) =
            (shadow.desired().unwrap_or_default(), shadow.reported().unwrap_or_default());
        let Value::Object(before) = &command.before else { return };
        let still = |(key, b): (&String, &Value)| {
            let (desired, reported) = (desired.get(key), reported.get(key));
            Some((key.clone(), still_doubtful(b, desired, reported, self.quantum(at, key))?))
        };
        let left = Value::Object(before.iter().filter_map(still).collect());
        if left == command.before {
            return;
        }
        if let Some(command) = self.open_command(at) {
            // It is not the one that is refused.
            command.supersedes &= !is_empty(&left);
            command.before = left;
            self.remember(at);
        }
    }

    /// Whether what was desired is reported by now.
    pub(super) fn settle(&mut self, at: usize, now_ms: i64) {
        self.look_at_doubt(at);
        if self.lacking(at).is_some() {
            return;
        }
        self.waiting.remove(&at);
        let kept = &mut self.twins[at];
        let desired = kept.shadow.desired();
        let Some(command) = kept.commands.as_mut().and_then(|c| c.last.as_mut()) else { return };
        if command.done_ms.is_some() || command.standing == Standing::Withdrawn {
            return;
        }
        if !is_desired(&command.asked, desired.as_ref()) {
            command.standing = Standing::Withdrawn;
            self.remember(at);
            return self.tell(at, "command_withdrawn", "it is no longer desired");
        }
        command.standing = Standing::Acknowledged;
        command.done_ms = Some(now_ms);
        command.reason.clear();
        let latency_ms = command.latency_ms();
        self.remember(at);
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
        // The first refusal may be of the command that this one took the place of. If it was not, there is another one.
        if self.open_command(at).is_some_and(|c| std::mem::take(&mut c.supersedes)) {
            return true;
        }
        self.refuse(at, why.to_owned());
        true
    }

    fn refuse(&mut self, at: usize, why: String) {
        let Some(command) = self.open_command(at) else { return };
        (command.standing, command.before) = (Standing::Refused, json!({}));
        command.reason.clone_from(&why);
        self.counts.refused += 1;
        self.remember(at);
        self.tell(at, "command_refused", why);
    }

    fn give_up(&mut self, at: usize, why: String) {
        let Some(command) = self.open_command(at) else { return };
        (command.standing, command.before) = (Standing::Unanswered, json!({}));
        command.reason.clone_from(&why);
        self.counts.unanswered += 1;
        self.remember(at);
        self.tell(at, "command_unanswered", why);
    }

    /// A device is there again: what waited for it, or may not have reached it, is sent; just after a start once the broker had
    /// time to tell the rest of what it kept.
    pub(super) fn resume(&mut self, at: usize, now_ms: i64) {
        let from_ms = now_ms.max(self.live_from_ms);
        if let Some(command) = self.open_command(at) {
            command.wait_until(from_ms);
            command.tried = 0;
        }
    }

    /// The mirror follows live from now on: what is open waits until the broker had time to tell what it kept.
    pub fn go_live(&mut self, now_ms: i64) {
        self.live_from_ms = now_ms.saturating_add(GRACE_MS);
        for at in self.waiting.iter().copied().collect::<Vec<_>>() {
            let from_ms = self.live_from_ms;
            if let Some(command) = self.open_command(at).filter(|c| c.due_ms < from_ms) {
                command.wait_until(from_ms);
            }
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
        if command.standing == Standing::Sent && !is_empty(&command.before) {
            // A command before it has had its time by now: what is reported counts.
            (command.before, command.supersedes) = (json!({}), false);
            self.remember(at);
            self.settle(at, now_ms);
        }
        let Some(command) = self.open_command(at) else { return };
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
                self.remember(at);
            }
            Tried::NotYet(why) => {
                let patience_ms = terms.within_ms.saturating_mul(doublings(terms.tries) - 1);
                let Some(command) = self.open_command(at) else { return };
                if now_ms.saturating_sub(command.since_ms) > patience_ms {
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
        let Some(lacking) = self.lacking(at) else {
            self.settle(at, now_ms);
            return Tried::Sent;
        };
        let Some(way) = self.twins[at].commands.as_ref().map(|c| c.way.clone()) else { return Tried::Sent };
        let text = lacking.to_string();
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
                leaves("", &lacking, &mut fields);
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
                let said = together::together(said);
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

#[cfg(test)]
mod tests;
