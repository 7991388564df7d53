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

use self::command::Commands;
pub use self::command::{Ask, Command, CommandCounts, Standing, Terms, Way};
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
    reports: u32,
    online: Option<bool>,
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
                reports: 0,
                online: None,
                dirty: false,
            });
        }
        keeper
    }

    /// Takes documents back from the store. Names of twins that are no longer followed are left alone. What was desired
    /// and not reported is commanded anew.
    pub fn restore(&mut self, documents: impl IntoIterator<Item = (String, Vec<u8>)>, now_ms: i64) {
        for (name, bytes) in documents {
            let (twin, shadow_name) = match name.split_once('\n') {
                Some((twin, shadow)) => (twin, Some(shadow)),
                None => (name.as_str(), None),
            };
            let (Some(at), Some(shadow)) = (self.by_id.get(twin), Shadow::from_bytes(&bytes)) else {
                continue;
            };
            let kept = &mut self.twins[*at as usize];
            match shadow_name {
                None => kept.shadow = shadow,
                Some(name) => {
                    kept.named.get_or_insert_default().insert(name.to_owned(), shadow);
                }
            }
        }
        // Nobody knows whether the device heard it before we stopped. What it did since then by itself is its business.
        for at in 0..self.twins.len() {
            if !self.twins[at].shadow.settled {
                self.command(at, now_ms, true);
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
        if self.waiting.contains(&at) {
            self.settle(at, now_ms);
        }
    }

    /// Takes values that the twin at this place heard in a dialect of its device.
    pub fn take_values(&mut self, at: usize, fields: &Map<String, Value>, now_ms: i64) {
        let Some(kept) = self.twins.get_mut(at) else { return };
        kept.shadow.report(fields, None, seconds(now_ms));
        self.touch(at, None);
        if self.waiting.contains(&at) {
            self.settle(at, now_ms);
        }
    }

    /// A twin's device, or the broker for it, says whether it is there.
    pub fn present(&mut self, at: usize, online: bool, now_ms: i64) {
        let Some(kept) = self.twins.get_mut(at) else { return };
        if kept.online == Some(online) {
            return;
        }
        kept.online = Some(online);
        let (kind, detail) = match online {
            true => ("online", "the device said that it is there"),
            false => ("offline", "the device said, or the broker for it, that it is gone"),
        };
        self.happened.push(Happened { twin: kept.twin.to_string(), kind, detail: detail.to_owned() });
        if online && self.waiting.contains(&at) {
            // It may have been away when the command was sent.
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
mod tests {
    use super::*;
    use twinfleet_engine::dialect::{Unasked, Utterance, Wanted};

    fn two() -> Keeper {
        let bound = |twin: &str| Bound {
            twin: twin.into(),
            states: vec![(format!("lab/{twin}"), Some("/ts".into()))],
            statuses: vec![format!("lab/{twin}/status")],
            command: Some(Way::Topic(format!("lab/{twin}/set"))),
            terms: Terms { within_ms: 5_000, tries: 2, ..Terms::default() },
        };
        Keeper::new(vec![bound("a"), bound("b")])
    }

    fn said(keeper: &mut Keeper) -> Vec<(String, Value)> {
        let json = |o: Output| (o.topic, serde_json::from_slice(&o.payload).unwrap());
        keeper.outputs().into_iter().map(json).collect()
    }

    #[test]
    fn a_device_changes_its_own_twin_alone() {
        let mut keeper = two();
        keeper.hear("lab/a", br#"{"ts":1,"x":1,"twin":"b","device":"b"}"#, 0);
        keeper.hear("lab/a", br#"{"ts":2,"state":{"reported":{"x":7}}}"#, 0);
        assert!(keeper.shadow("b").is_some_and(|s| !s.exists()));
        assert!(!keeper.hear("lab/c", b"{}", 0));
        assert_eq!(keeper.changed().iter().map(|(n, _)| n.as_str()).collect::<Vec<_>>(), ["a"]);
    }

    fn nobody(_: usize, field: &str, _: &Wanted) -> Result<Utterance, Unasked> {
        Err(Unasked::Never(format!("`{field}` of nobody")))
    }

    #[test]
    fn a_command_is_sent_again_to_one_that_returns_and_done_when_reported() {
        let mut keeper = two();
        keeper.hear("$aws/things/a/shadow/update", br#"{"state":{"desired":{"fan":1}}}"#, 1_000);
        keeper.wait(1_000, &mut nobody);
        let sent = ("lab/a/set".to_owned(), json!({"fan": 1}));
        assert_eq!(said(&mut keeper).last(), Some(&sent));
        keeper.wait(5_000, &mut nobody);
        assert_eq!(said(&mut keeper), []);
        keeper.wait(6_000, &mut nobody);
        assert_eq!(said(&mut keeper), std::slice::from_ref(&sent));
        keeper.hear("lab/a/status", b"online", 8_000);
        keeper.wait(8_000, &mut nobody);
        assert_eq!(said(&mut keeper), [sent]);
        keeper.hear("lab/a", br#"{"ts":9000,"fan":1.0}"#, 9_000);
        let kinds: Vec<_> = keeper.happened().iter().map(|h| h.kind).collect();
        assert_eq!(
            kinds,
            ["command", "command_overdue", "command_again", "online", "command_again", "command_done"]
        );
        let last = keeper.last_command("a").unwrap();
        assert_eq!((last.standing, last.done_ms), (Standing::Acknowledged, Some(9_000)));
        assert_eq!(last.latency_ms(), Some(8_000));
        // What it then does at its own button is its business, after a restart, too.
        keeper.hear("lab/a", br#"{"ts":9500,"fan":0}"#, 9_500);
        let mut again = two();
        again.restore(keeper.changed(), 10_000);
        again.wait(60_000, &mut nobody);
        assert_eq!((said(&mut keeper), said(&mut again)), (vec![], vec![]));
    }

    #[test]
    fn one_that_never_answers_is_told_with_longer_waits_and_then_given_up() {
        let mut keeper = two();
        keeper.hear("$aws/things/a/shadow/update", br#"{"state":{"desired":{"fan":1}}}"#, 0);
        let mut sent_at = Vec::new();
        for now_s in 0..100 {
            keeper.wait(1_000 * now_s, &mut nobody);
            if said(&mut keeper).iter().any(|(topic, _)| topic == "lab/a/set") {
                sent_at.push(now_s);
            }
        }
        assert_eq!(sent_at, [0, 5]);
        let last = keeper.last_command("a").unwrap();
        assert_eq!((last.standing, last.sent, last.overdue), (Standing::Unanswered, 2, true));
        assert_eq!((keeper.command_counts().unanswered, keeper.commands_open()), (1, 0));
        assert_eq!(keeper.happened().last().map(|h| h.kind), Some("command_unanswered"));
        // Desired again, it is told again; late is better than never.
        keeper.hear("$aws/things/a/shadow/update", br#"{"state":{"desired":{"fan":1}}}"#, 200_000);
        keeper.wait(200_000, &mut nobody);
        assert!(said(&mut keeper).iter().any(|(topic, _)| topic == "lab/a/set"));
        keeper.hear("lab/a", br#"{"ts":1,"fan":1}"#, 201_000);
        assert_eq!(keeper.last_command("a").unwrap().standing, Standing::Acknowledged);
    }

    #[test]
    fn a_command_waits_for_a_device_that_is_away() {
        let mut keeper = two();
        keeper.hear("lab/a/status", b"offline", 0);
        keeper.hear("$aws/things/a/shadow/update", br#"{"state":{"desired":{"fan":1}}}"#, 0);
        for now_s in 0..1_000 {
            keeper.wait(1_000 * now_s, &mut nobody);
        }
        assert!(!said(&mut keeper).iter().any(|(topic, _)| topic == "lab/a/set"));
        assert_eq!(keeper.last_command("a").unwrap().standing, Standing::Waiting);
        keeper.hear("lab/a/status", b"online", 1_000_000);
        keeper.wait(1_000_000, &mut nobody);
        assert_eq!(said(&mut keeper).last().unwrap().0, "lab/a/set");
        keeper.hear("$aws/things/a/shadow/update", br#"{"state":{"desired":null}}"#, 1_000_001);
        assert_eq!(keeper.last_command("a").unwrap().standing, Standing::Withdrawn);
    }

    #[test]
    fn a_dialect_is_asked_field_by_field_and_its_refusal_is_told() {
        let quanta = Arc::from([("room.temperature".to_owned(), 0.5)]);
        let terms = Terms { quanta, ..Terms::default() };
        let bound = Bound { twin: "a".into(), command: Some(Way::Dialect), terms, ..Bound::default() };
        let mut keeper = Keeper::new(vec![bound]);
        let known = std::cell::Cell::new(false);
        let mut ask = |_: usize, field: &str, wanted: &Wanted| match (known.get(), field) {
            (false, _) => Err(Unasked::NotYet("no birth".into())),
            (true, "no/such") => Err(Unasked::Never("no such field".into())),
            (true, _) => {
                let payload = format!("{wanted:?}").into_bytes();
                Ok(Utterance { topic: format!("cmd/{field}"), payload, qos: 0, retain: false })
            }
        };
        let update = "$aws/things/a/shadow/update";
        keeper.hear(update, br#"{"state":{"desired":{"room.temperature":21.2,"deep":{"er":true}}}}"#, 0);
        keeper.wait(0, &mut ask);
        assert_eq!(keeper.last_command("a").unwrap().reason, "no birth");
        known.set(true);
        keeper.outputs();
        keeper.wait(1_000, &mut ask);
        let sent: Vec<(String, String, u8)> = keeper
            .outputs()
            .into_iter()
            .map(|o| (o.topic, String::from_utf8(o.payload).unwrap(), o.qos))
            .collect();
        let want = [("cmd/deep/er", "Flag(true)", 0), ("cmd/room.temperature", "Number(21.2)", 0)];
        assert_eq!(sent, want.map(|(t, p, q)| (t.to_owned(), p.to_owned(), q)));
        // As near as the device comes is near enough, and on is on in whatever word.
        let fields = json!({"room.temperature": 21.0, "deep": {"er": "ON"}});
        keeper.take_values(0, fields.as_object().unwrap(), 2_000);
        assert_eq!(keeper.last_command("a").unwrap().latency_ms(), Some(1_000));
        // What differs is told, however little.
        keeper.hear(update, br#"{"state":{"desired":{"room.temperature":21.1}}}"#, 3_000);
        assert!(!keeper.refused_by_device(0, "nothing was sent yet"));
        keeper.outputs();
        keeper.wait(3_000, &mut ask);
        assert_eq!(keeper.outputs().len(), 1);
        assert!(keeper.refused_by_device(0, "too warm"));
        let last = keeper.last_command("a").unwrap();
        assert_eq!((last.standing, last.reason.as_str()), (Standing::Refused, "too warm"));
        keeper.hear(update, br#"{"state":{"desired":{"no":{"such":1}}}}"#, 4_000);
        keeper.wait(4_000, &mut ask);
        assert_eq!(keeper.last_command("a").unwrap().standing, Standing::Refused);
        assert_eq!((keeper.command_counts().refused, keeper.command_counts().acknowledged), (2, 1));
    }

    #[test]
    fn strangers_floods_and_bombs_are_counted_and_bounded() {
        let mut keeper = two();
        for i in 0..1_000 {
            keeper.hear(&format!("$aws/things/x{i}/shadow/update"), br#"{"state":{"desired":{}}}"#, 0);
            keeper.hear(&format!("$aws/things/a/shadow/name/n{i}/update"), br#"{"state":{"desired":{}}}"#, 0);
            keeper.hear(&format!("$aws/things/b/shadow/name/n{i}/update"), b"{}", 0);
            keeper.outputs();
        }
        let deep = format!("{{\"d\":{}1{},\"ok\":1}}", "[".repeat(100), "]".repeat(100));
        keeper.hear("lab/a", deep.as_bytes(), 0);
        keeper.hear("lab/a", &[b'['; 300_000], 0);
        keeper.hear("lab/a", b"\xff\xfe", 0);
        keeper.hear("lab/a", format!("{{\"x\":\"{}\"}}", "y".repeat(200_000)).as_bytes(), 0);
        assert_eq!(keeper.shadow("a").unwrap().reported(), Some(json!({"ok": 1})));
        for i in 0..10_000 {
            keeper.hear("lab/b", format!("{{\"key{i}\":\"{}\"}}", "y".repeat(100)).as_bytes(), 0);
        }
        let bytes = keeper.shadow("b").unwrap().reported_bytes();
        assert!(bytes < 2 * MAX_REPORTED_BYTES, "{bytes}");
        let refused = keeper.refused();
        assert_eq!((refused.unknown_things, refused.rejected, refused.malformed), (1_000, 2_990, 2));
        assert!(refused.too_large > 9_000, "{refused:?}");
        assert_eq!((keeper.named("a").count(), keeper.named("b").count()), (NAMED_SHADOWS, 0));
    }

    #[test]
    fn documents_come_back_from_the_store() {
        let mut keeper = two();
        keeper.hear("lab/a", br#"{"ts":5,"x":1}"#, 1_000);
        keeper.hear("$aws/things/a/shadow/name/cfg/update", br#"{"state":{"desired":{"y":2}}}"#, 2_000);
        let mut again = two();
        again.restore(keeper.changed(), 3_000);
        assert_eq!(again.shadow("a"), keeper.shadow("a"));
        assert_eq!(again.named("a").collect::<Vec<_>>(), keeper.named("a").collect::<Vec<_>>());
        again.hear("lab/a", br#"{"ts":4,"x":0}"#, 3_000);
        assert_eq!(again.shadow("a").unwrap().reported(), Some(json!({"ts": 5, "x": 1})), "back in time");
    }
}
