//! The state documents of a mirror's twins: what their devices publish, what is desired of them over the shadow topics of
//! AWS IoT, the commands that follow from it, and whether they carried them out.
//!
//! A device's messages are taken by the topics that its own twin is bound to, and change that twin's document and no
//! other. Shadow requests name a twin in their topic; who may write there is the broker's to say. A thing that no twin
//! follows is refused, so that nobody can fill the memory with made-up names.
//!
//! ```
//! use twinfleet_twins::mirror::keeper::{Bound, Keeper};
//! let mut keeper = Keeper::new(vec![Bound { twin: "lamp".into(), states: vec![("lab/lamp".into(), Some("/ts".into()))], ..Bound::default() }]);
//! keeper.hear("lab/lamp", br#"{"ts": 1000, "on": true, "rssi": -60}"#, 1_000);
//! assert_eq!(keeper.shadow("lamp").unwrap().reported().unwrap()["rssi"], -60);
//! keeper.hear("$aws/things/lamp/shadow/update", br#"{"state": {"desired": {"on": false}}}"#, 2_000);
//! let topics: Vec<String> = keeper.outputs().into_iter().map(|o| o.topic).collect();
//! assert_eq!(topics, ["$aws/things/lamp/shadow/update/accepted", "$aws/things/lamp/shadow/update/delta", "$aws/things/lamp/shadow/update/documents"]);
//! ```

mod command;
mod request;

pub use self::command::{Ask, Command, CommandCounts, Standing, Terms, Way};
use self::command::{
    Commands, GRACE_MS,
    memory::{self, MEMORY},
};
use self::request::{MAX_PAYLOAD_BYTES, Request, read, seconds, shallow, time_of};
use super::shadow::{Rejected, Shadow};
use serde_json::{Map, Value, json};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

/// What shadow topics begin with.
pub const SHADOW_PREFIX: &str = "$aws/things/";
/// Named shadows that a twin may have beside its classic one, as AWS has it.
const NAMED_SHADOWS: usize = 10;
/// Largest document that a device's own messages may make, [bytes].
const MAX_REPORTED_BYTES: usize = 64 << 10;
/// Messages of a twin after which the size of its document is looked at again, and the payload from which on it always is.
const SIZE_EVERY: u32 = 64;
const LARGE_PAYLOAD_BYTES: usize = 1024;

/// What a twin is bound to.
#[derive(Clone, Debug, Default)]
pub struct Bound {
    /// Its id.
    pub twin: String,
    /// Topics of its states, each with the JSON Pointer of the device's own time stamp, if it has one.
    pub states: Vec<(String, Option<String>)>,
    /// Topics on which it tells `online` and `offline`.
    pub statuses: Vec<String>,
    /// How its device is commanded; none where it is not.
    pub command: Option<Way>,
    /// What commands are held to.
    pub terms: Terms,
}

/// Something to publish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// MQTT topic.
    pub topic: String,
    /// MQTT payload.
    pub payload: Vec<u8>,
    /// MQTT quality of service.
    pub qos: u8,
    /// MQTT retain flag.
    pub retain: bool,
}

/// Something that happened to a twin's state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Happened {
    /// The twin.
    pub twin: String,
    /// `online`, `offline`; `command`, `command_waiting`, `command_again`, `command_overdue`, and how it ended: `command_done`,
    /// `command_refused`, `command_unanswered`, `command_withdrawn`.
    pub kind: &'static str,
    /// A sentence for people.
    pub detail: String,
}

/// What the keeper did not take, and why.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Refused {
    /// Payloads that are no JSON object, or none that can be read.
    pub malformed: u64,
    /// Reports that are older than what was taken.
    pub late: u64,
    /// Reports that would have made a document too large or too deep.
    pub too_large: u64,
    /// Requests for things that no twin follows.
    pub unknown_things: u64,
    /// Requests that were answered by `rejected`.
    pub rejected: u64,
}

/// A twin's documents. There may be a hundred thousand: what is rare is in a box, and what many have alike is shared.
#[derive(Debug)]
struct Kept {
    twin: Arc<str>,
    /// Of each state topic, the JSON Pointer of the device's own time stamp.
    pointers: Arc<[Option<String>]>,
    shadow: Shadow,
    #[expect(clippy::box_collection, reason = "a twin that has none pays for a pointer")]
    named: Option<Box<BTreeMap<String, Shadow>>>,
    commands: Option<Box<Commands>>,
    /// The last command from before a restart, where its device is not commanded now: it is kept as it stood.
    idle: Option<Box<Command>>,
    reports: u32,
    online: Option<bool>,
    /// Whether it is only from before a restart that this is known.
    recalled: bool,
    dirty: bool,
}

/// What a topic is to a twin: one of its states, or where it tells whether it is there.
#[derive(Clone, Copy, Debug)]
enum Role {
    State(u16),
    Status,
}

/// Who listens to a topic. It is one twin, but for those that share a device.
#[derive(Debug)]
enum Listeners {
    One(u32, Role),
    Many(Vec<(u32, Role)>),
}

impl Listeners {
    fn add(&mut self, at: u32, role: Role) {
        match self {
            Self::One(first, its) => *self = Self::Many(vec![(*first, *its), (at, role)]),
            Self::Many(all) => all.push((at, role)),
        }
    }
}

/// The state documents of a mirror's twins.
#[derive(Debug, Default)]
pub struct Keeper {
    twins: Vec<Kept>,
    by_id: HashMap<Arc<str>, u32>,
    topics: HashMap<Box<str>, Listeners>,
    outputs: Vec<Output>,
    happened: Vec<Happened>,
    /// Twins whose document changed, each once, and their further documents that did.
    dirty: Vec<u32>,
    dirty_named: BTreeSet<(u32, String)>,
    refused: Refused,
    /// Twins whose command has not been carried out.
    waiting: BTreeSet<usize>,
    /// From when on what comes is news, and not what a broker had kept, Unix [ms].
    live_from_ms: i64,
    counts: CommandCounts,
}

impl Keeper {
    /// Twins without a past.
    pub fn new(bound: Vec<Bound>) -> Self {
        let mut keeper = Self { twins: Vec::with_capacity(bound.len()), ..Self::default() };
        keeper.by_id.reserve(bound.len());
        for (i, bound) in (0..).zip(bound) {
            let twin: Arc<str> = bound.twin.into();
            keeper.by_id.insert(Arc::clone(&twin), i);
            let (topics, pointers): (Vec<String>, Vec<Option<String>>) = bound.states.into_iter().unzip();
            let states = topics.into_iter().zip((0..).map(Role::State));
            let statuses = bound.statuses.into_iter().map(|topic| (topic, Role::Status));
            for (topic, role) in states.chain(statuses) {
                if let Some(listeners) = keeper.topics.get_mut(&*topic) {
                    listeners.add(i, role);
                } else {
                    keeper.topics.insert(topic.into(), Listeners::One(i, role));
                }
            }
            let before = keeper.twins.last().map(|k| &k.pointers).filter(|p| ***p == pointers[..]);
            keeper.twins.push(Kept {
                twin,
                pointers: before.map_or_else(|| pointers.into(), Arc::clone),
                shadow: Shadow::default(),
                named: None,
                commands: bound.command.map(|way| Box::new(Commands { way, terms: bound.terms, last: None })),
                idle: None,
                reports: 0,
                online: None,
                recalled: false,
                dirty: false,
            });
        }
        keeper
    }

    /// Takes documents back from the store, with what is kept beside them: how commands stand, and which devices were there. Names
    /// of twins that are no longer followed are left alone. What is open goes on; of a store that tells nothing of commands, what is
    /// desired and not reported is commanded anew.
    pub fn restore(&mut self, documents: impl IntoIterator<Item = (String, Vec<u8>)>, now_ms: i64) {
        self.live_from_ms = now_ms.saturating_add(GRACE_MS);
        for (name, bytes) in documents {
            let (twin, shadow_name) = match name.split_once('\n') {
                Some((twin, shadow)) => (twin, Some(shadow)),
                None => (name.as_str(), None),
            };
            let Some(at) = self.by_id.get(twin) else { continue };
            let kept = &mut self.twins[*at as usize];
            match (shadow_name, Shadow::from_bytes(&bytes)) {
                (Some(MEMORY), _) => {
                    let memory = memory::from_bytes(&bytes);
                    (kept.online, kept.recalled) = (memory.online, true);
                    match &mut kept.commands {
                        Some(commands) => commands.last = memory.last,
                        None => kept.idle = memory.last.map(Box::new),
                    }
                }
                (None, Some(shadow)) => kept.shadow = shadow,
                (Some(name), Some(shadow)) => {
                    kept.named.get_or_insert_default().insert(name.to_owned(), shadow);
                }
                (_, None) => {}
            }
        }
        for at in 0..self.twins.len() {
            let kept = &self.twins[at];
            let Some(known) = kept.commands.as_ref().map(|c| c.last.is_some()) else { continue };
            match (known, kept.shadow.settled) {
                (true, _) => self.take_up(at),
                // A store of before these were kept: nobody knows whether the device heard it.
                (false, false) => self.command(at, now_ms, true),
                (false, true) => self.nothing_to_tell(at, now_ms, false),
            }
        }
    }

    fn kept(&self, twin: &str) -> Option<&Kept> {
        self.twins.get(*self.by_id.get(twin)? as usize)
    }

    /// The document of a twin.
    pub fn shadow(&self, twin: &str) -> Option<&Shadow> {
        self.kept(twin).map(|k| &k.shadow)
    }

    /// Names of a twin's further documents, with them.
    pub fn named(&self, twin: &str) -> impl Iterator<Item = (&str, &Shadow)> {
        let named = self.kept(twin).and_then(|k| k.named.as_deref());
        named.into_iter().flatten().map(|(name, shadow)| (name.as_str(), shadow))
    }

    /// Whether a twin's device said that it is there; none if it never said.
    pub fn online(&self, twin: &str) -> Option<bool> {
        self.kept(twin).and_then(|k| k.online)
    }

    /// What was not taken.
    pub fn refused(&self) -> Refused {
        self.refused
    }

    /// What is to be published.
    pub fn outputs(&mut self) -> Vec<Output> {
        std::mem::take(&mut self.outputs)
    }

    /// What happened since the last call.
    pub fn happened(&mut self) -> Vec<Happened> {
        std::mem::take(&mut self.happened)
    }

    /// Documents that changed since the last call, as the store keeps them.
    pub fn changed(&mut self) -> Vec<(String, Vec<u8>)> {
        let mut dirty: Vec<(u32, Option<String>)> = self.dirty.drain(..).map(|at| (at, None)).collect();
        dirty.extend(std::mem::take(&mut self.dirty_named).into_iter().map(|(at, name)| (at, Some(name))));
        dirty.sort_unstable();
        let document = |(at, name): (u32, Option<String>)| {
            let kept = self.twins.get_mut(at as usize)?;
            let Some(name) = name else {
                kept.dirty = false;
                return Some((kept.twin.to_string(), kept.shadow.to_bytes()));
            };
            if name == MEMORY {
                let last = kept.commands.as_ref().and_then(|c| c.last.as_ref()).or(kept.idle.as_deref());
                return Some((format!("{}\n{MEMORY}", kept.twin), memory::to_bytes(kept.online, last)));
            }
            let named = kept.named.as_ref()?.get(&name)?;
            Some((format!("{}\n{name}", kept.twin), named.to_bytes()))
        };
        dirty.into_iter().filter_map(document).collect()
    }

    /// The document of a twin, or a further one of it, changed.
    fn touch(&mut self, at: usize, name: Option<&str>) {
        match name {
            Some(name) => drop(self.dirty_named.insert((at as u32, name.to_owned()))),
            None => {
                if !std::mem::replace(&mut self.twins[at].dirty, true) {
                    self.dirty.push(at as u32);
                }
            }
        }
    }

    /// Takes a message in. Whether it was for anybody.
    pub fn hear(&mut self, topic: &str, payload: &[u8], now_ms: i64) -> bool {
        if topic.starts_with(SHADOW_PREFIX) {
            return self.request(topic, payload, now_ms);
        }
        match self.topics.get(topic) {
            None => return false,
            Some(Listeners::One(at, role)) => self.take(*at as usize, *role, payload, now_ms),
            Some(Listeners::Many(all)) => {
                for (at, role) in all.clone() {
                    self.take(at as usize, role, payload, now_ms);
                }
            }
        }
        true
    }

    fn take(&mut self, at: usize, role: Role, payload: &[u8], now_ms: i64) {
        match role {
            Role::State(n) => self.report(at, usize::from(n), payload, now_ms),
            Role::Status => self.present(at, payload != b"offline", now_ms),
        }
    }

    fn report(&mut self, at: usize, state: usize, payload: &[u8], now_ms: i64) {
        let parsed =
            if payload.len() <= MAX_PAYLOAD_BYTES { serde_json::from_slice(payload).ok() } else { None };
        let Some(Value::Object(mut fields)) = parsed else {
            self.refused.malformed += 1;
            return;
        };
        let kept = &mut self.twins[at];
        let ms = kept.pointers[state].as_deref().and_then(|pointer| time_of(&fields, pointer));
        shallow(&mut fields, &mut self.refused.too_large);
        kept.reports = kept.reports.wrapping_add(1);
        if kept.reports % SIZE_EVERY == 1 || payload.len() > LARGE_PAYLOAD_BYTES {
            let more: usize = fields.iter().map(|(k, v)| k.len() + v.to_string().len() + 4).sum();
            if kept.shadow.reported_bytes() + more > MAX_REPORTED_BYTES {
                // Looked at again with the next one, until it fits.
                kept.reports = kept.reports.wrapping_sub(1);
                self.refused.too_large += 1;
                return;
            }
        }
        if !kept.shadow.report(&fields, ms, seconds(now_ms)) {
            self.refused.late += 1;
            return;
        }
        self.touch(at, None);
        self.reported(at, now_ms);
    }

    /// What follows from a report: the device is there, and may have done what was desired.
    fn reported(&mut self, at: usize, now_ms: i64) {
        self.speaks(at, now_ms);
        if self.waiting.contains(&at) {
            self.settle(at, now_ms);
        }
    }

    /// Takes values that the twin at this place heard in a dialect of its device.
    pub fn take_values(&mut self, at: usize, fields: &Map<String, Value>, now_ms: i64) {
        let Some(kept) = self.twins.get_mut(at) else { return };
        let parted = request::with_parts(fields, &kept.shadow);
        kept.shadow.report(parted.as_ref().unwrap_or(fields), None, seconds(now_ms));
        self.touch(at, None);
        self.reported(at, now_ms);
    }

    /// A twin's device, or the broker for it, says whether it is there. Only a change is told, through a restart too.
    pub fn present(&mut self, at: usize, online: bool, now_ms: i64) {
        let Some(kept) = self.twins.get_mut(at) else { return };
        kept.recalled = false;
        let before = kept.online;
        if before == Some(online) {
            return;
        }
        kept.online = Some(online);
        let (kind, detail) = match online {
            true => ("online", "the device said that it is there"),
            false => ("offline", "the device said, or the broker for it, that it is gone"),
        };
        self.happened.push(Happened { twin: kept.twin.to_string(), kind, detail: detail.to_owned() });
        self.touch(at, Some(MEMORY));
        // It may have been away when the command was sent. What a broker had kept of one that was never known to be away is told as
        // we start: that is no arrival.
        let arrives = before == Some(false) || now_ms >= self.live_from_ms;
        if online && arrives && self.waiting.contains(&at) {
            self.resume(at, now_ms);
        }
    }

    /// What a message from before a restart said of whether a twin's device is there: no news, and only taken where the store tells
    /// nothing else.
    pub fn recall_presence(&mut self, at: usize, online: bool) {
        let Some(kept) = self.twins.get_mut(at) else { return };
        if !kept.recalled {
            kept.online = Some(online);
            self.touch(at, Some(MEMORY));
        }
    }

    /// A twin's device reports. One of which only the store said that it is gone is not: it came back while nobody listened, and the
    /// broker did not keep its word.
    fn speaks(&mut self, at: usize, now_ms: i64) {
        let kept = &mut self.twins[at];
        if !kept.recalled || kept.online != Some(false) || now_ms < self.live_from_ms {
            return;
        }
        (kept.online, kept.recalled) = (None, false);
        self.touch(at, Some(MEMORY));
        if self.waiting.contains(&at) {
            self.resume(at, now_ms);
        }
    }

    fn request(&mut self, topic: &str, payload: &[u8], now_ms: i64) -> bool {
        let Some(request) = Request::of(topic) else { return false };
        let Some(at) = self.by_id.get(request.thing).map(|at| *at as usize) else {
            self.refused.unknown_things += 1;
            let refusal = Rejected::new(404, format!("No twin follows a thing named '{}'", request.thing));
            self.reject(topic, &refusal, &Value::Null, now_ms);
            return true;
        };
        let body = match read(payload) {
            Ok(body) => body,
            Err(refusal) => {
                self.reject(topic, &refusal, &Value::Null, now_ms);
                return true;
            }
        };
        if let Err(refusal) = self.answer(topic, at, &request, &body, now_ms) {
            self.reject(topic, &refusal, &body, now_ms);
        }
        true
    }

    fn answer(
        &mut self,
        topic: &str,
        at: usize,
        request: &Request<'_>,
        body: &Value,
        now_ms: i64,
    ) -> Result<(), Rejected> {
        let now = seconds(now_ms);
        let kept = &mut self.twins[at];
        let shadow = match request.name {
            None => &mut kept.shadow,
            Some(name) => {
                let named = kept.named.get_or_insert_default();
                if !named.contains_key(name) {
                    if request.verb != "update" {
                        return Err(Rejected::new(404, format!("No shadow exists with name: '{name}'")));
                    }
                    if named.len() >= NAMED_SHADOWS {
                        return Err(Rejected::new(400, "Shadow limit exceeded"));
                    }
                }
                named.entry(name.to_owned()).or_default()
            }
        };
        let mut told = |suffix: &str, value: &Value| {
            self.outputs.push(Output {
                topic: format!("{topic}/{suffix}"),
                payload: value.to_string().into_bytes(),
                qos: 1,
                retain: false,
            });
        };
        match request.verb {
            "get" => {
                let document = shadow.get(request.name.unwrap_or(request.thing), body)?;
                told("accepted", &document);
                return Ok(());
            }
            "delete" => {
                let answer = shadow.delete(request.name.unwrap_or(request.thing), body, now)?;
                told("accepted", &answer);
            }
            _ => {
                let updated = match shadow.update(body, now) {
                    Ok(updated) => updated,
                    Err(refusal) => {
                        // A name that only a refused request made is none.
                        if let Some(name) = request.name
                            && shadow.version() == 0
                        {
                            kept.named.as_mut().map(|named| named.remove(name));
                        }
                        return Err(refusal);
                    }
                };
                told("accepted", &updated.accepted);
                if let Some(delta) = &updated.delta {
                    told("delta", delta);
                }
                told("documents", &updated.documents);
            }
        }
        self.touch(at, request.name);
        if request.name.is_none() {
            // Only what is desired anew is commanded; what the device reports here may be what was.
            if request.verb == "delete" || body["state"].get("desired").is_some() {
                self.command(at, now_ms, false);
            } else if self.waiting.contains(&at) {
                self.settle(at, now_ms);
            }
        }
        Ok(())
    }

    fn reject(&mut self, topic: &str, refusal: &Rejected, body: &Value, now_ms: i64) {
        self.refused.rejected += 1;
        let mut answer =
            json!({ "code": refusal.code, "message": refusal.message, "timestamp": seconds(now_ms) });
        if let Some(token) = body["clientToken"].as_str().filter(|t| t.len() <= 64) {
            answer["clientToken"] = json!(token);
        }
        self.outputs.push(Output {
            topic: format!("{topic}/rejected"),
            payload: answer.to_string().into_bytes(),
            qos: 1,
            retain: false,
        });
    }
}

#[cfg(test)]
mod tests;
