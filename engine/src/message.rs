//! Messages between devices, the broker and the twins; topics and the filters that choose among them.
//!
//! ```
//! use twinfleet_engine::message::{Router, TopicFilter};
//! let mut router = Router::default();
//! router.add(TopicFilter::new("greenhouse/+/state").unwrap(), "controller");
//! router.add(TopicFilter::new("greenhouse/node-3/state").unwrap(), "twin");
//! assert_eq!(&*router.targets(&"greenhouse/node-3/state".into()), ["controller", "twin"]);
//! assert!(router.targets(&"greenhouse/node-3/battery".into()).is_empty());
//! ```

use crate::time::SimTime;
use std::{collections::HashMap, ops::Deref, sync::Arc};

/// One MQTT publish, as it leaves a device or comes back from a broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// When the device handed it to its radio, by simulated time.
    pub sent: SimTime,
    /// When it reaches the broker: `sent` plus the link's latency.
    pub due: SimTime,
    /// Ordinal of the publishing device in the scenario's stable order.
    pub publisher: u32,
    /// Counts the publisher's messages; with `publisher` it orders the Input set.
    pub seq: u64,
    /// MQTT topic, without the run's prefix.
    pub topic: Arc<str>,
    /// MQTT payload.
    pub payload: Arc<[u8]>,
    /// MQTT quality of service, 0–2.
    pub qos: u8,
    /// MQTT retain flag.
    pub retain: bool,
}

/// An MQTT topic filter (MQTT 5.0 §4.7): `+` is one level, a last `#` any number of levels, its parent included. A
/// wildcard in the first level does not match topics that begin with `$`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TopicFilter {
    text: String,
    wild: bool,
}

/// Why a topic filter is none.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum TopicError {
    /// Shorter or longer than MQTT allows.
    #[error("a topic has 1 to 65535 bytes, this one has {0}")]
    Length(usize),
    /// A NUL character.
    #[error("`{0}` holds the character U+0000, which MQTT forbids")]
    Nul(String),
    /// A `+` or `#` beside other characters of its level, or a `#` before the last level.
    #[error(
        "`{0}`: `+` and `#` must fill a whole level, and `#` must be the last, such as \"a/+/b\" or \"a/#\""
    )]
    Wildcard(String),
}

impl TopicFilter {
    /// Reads a filter.
    pub fn new(text: &str) -> Result<Self, TopicError> {
        if text.is_empty() || text.len() > 65_535 {
            return Err(TopicError::Length(text.len()));
        }
        if text.contains('\0') {
            return Err(TopicError::Nul(text.to_owned()));
        }
        let wrong = || TopicError::Wildcard(text.to_owned());
        let mut levels = text.split('/').peekable();
        while let Some(level) = levels.next() {
            if level.len() > 1 && level.contains(['+', '#']) || level == "#" && levels.peek().is_some() {
                return Err(wrong());
            }
        }
        Ok(Self { wild: text.contains(['+', '#']), text: text.to_owned() })
    }

    /// The filter as written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it holds a wildcard; else it matches the one topic that equals it.
    pub fn is_wild(&self) -> bool {
        self.wild
    }

    /// Whether a topic fits.
    pub fn matches(&self, topic: &str) -> bool {
        if self.wild { topic_matches(&self.text, topic) } else { self.text == topic }
    }
}

/// Whether a topic fits a filter, which must be well formed; see [`TopicFilter`].
pub fn topic_matches(filter: &str, topic: &str) -> bool {
    if topic.starts_with('$') && filter.starts_with(['+', '#']) {
        return false;
    }
    let mut levels = topic.split('/');
    for wanted in filter.split('/') {
        if wanted == "#" {
            return true;
        }
        match levels.next() {
            Some(level) if wanted == "+" || wanted == level => {}
            _ => return false,
        }
    }
    // What is left of the topic is too long for the filter.
    levels.next().is_none()
}

/// Who hears a topic. Exact topics are looked up; what wildcards match is worked out once a topic and remembered.
#[derive(Clone, Debug)]
pub struct Router<T> {
    /// By topic, its targets with their places in the order they were added.
    exact: HashMap<Box<str>, Exact<T>>,
    wild: Vec<(u32, TopicFilter, T)>,
    added: u32,
    known: HashMap<Arc<str>, Arc<[T]>>,
}

/// Most topics have one target.
#[derive(Clone, Debug)]
enum Exact<T> {
    One(u32, T),
    Many(Vec<u32>, Vec<T>),
}

impl<T: Clone> Exact<T> {
    fn add(&mut self, at: u32, target: T) {
        match self {
            Self::One(first, one) => *self = Self::Many(vec![*first, at], vec![one.clone(), target]),
            Self::Many(places, targets) => {
                places.push(at);
                targets.push(target);
            }
        }
    }

    fn places(&self) -> &[u32] {
        match self {
            Self::One(at, _) => std::slice::from_ref(at),
            Self::Many(places, _) => places,
        }
    }

    fn targets(&self) -> &[T] {
        match self {
            Self::One(_, one) => std::slice::from_ref(one),
            Self::Many(_, targets) => targets,
        }
    }
}

impl<T> Default for Router<T> {
    fn default() -> Self {
        Self { exact: HashMap::new(), wild: Vec::new(), added: 0, known: HashMap::new() }
    }
}

/// Topics whose targets a [`Router`] remembers; beyond that it forgets them all and starts again.
const KNOWN_TOPICS: usize = 1 << 16;

/// The targets of a topic.
#[derive(Clone, Debug)]
pub enum Targets<'a, T> {
    /// Those that named it.
    Exact(&'a [T]),
    /// Those and others, whose wildcards match it.
    Known(Arc<[T]>),
}

impl<T> Deref for Targets<'_, T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        match self {
            Self::Exact(targets) => targets,
            Self::Known(targets) => targets,
        }
    }
}

impl<T: Clone> Router<T> {
    /// Adds a target of the topics that fit the filter.
    pub fn add(&mut self, filter: TopicFilter, target: T) {
        let at = self.added;
        self.added += 1;
        if filter.is_wild() {
            self.wild.push((at, filter, target));
        } else if let Some(exact) = self.exact.get_mut(filter.as_str()) {
            exact.add(at, target);
        } else {
            self.exact.insert(filter.text.into(), Exact::One(at, target));
        }
        self.known.clear();
    }

    /// Whether nobody listens to anything.
    pub fn is_empty(&self) -> bool {
        self.added == 0
    }

    /// The targets of a topic, in the order they were added.
    pub fn targets(&mut self, topic: &Arc<str>) -> Targets<'_, T> {
        if self.wild.is_empty() {
            return Targets::Exact(self.exact.get(&**topic).map_or(&[], Exact::targets));
        }
        if let Some(known) = self.known.get(topic) {
            return Targets::Known(Arc::clone(known));
        }
        let exact = self.exact.get(&**topic);
        let own = exact.into_iter().flat_map(|e| e.places().iter().copied().zip(e.targets()));
        let wild = self.wild.iter().filter(|(_, filter, _)| filter.matches(topic));
        let mut hits: Vec<(u32, &T)> = own.chain(wild.map(|(at, _, target)| (*at, target))).collect();
        hits.sort_unstable_by_key(|(at, _)| *at);
        let targets: Arc<[T]> = hits.into_iter().map(|(_, target)| target.clone()).collect();
        if self.known.len() >= KNOWN_TOPICS {
            self.known.clear();
        }
        self.known.insert(Arc::clone(topic), Arc::clone(&targets));
        Targets::Known(targets)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_examples_of_mqtt_5_section_4_7_hold() {
        let table = [
            ("sport/tennis/player1/#", "sport/tennis/player1", true),
            ("sport/tennis/player1/#", "sport/tennis/player1/ranking", true),
            ("sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon", true),
            ("sport/tennis/player1/#", "sport/tennis/player10", false),
            ("sport/#", "sport", true),
            ("sport/tennis/+", "sport/tennis/player1", true),
            ("sport/tennis/+", "sport/tennis/player2", true),
            ("sport/tennis/+", "sport/tennis/player1/ranking", false),
            ("sport/+", "sport", false),
            ("sport/+", "sport/", true),
            ("+/+", "/finance", true),
            ("/+", "/finance", true),
            ("+", "/finance", false),
            ("#", "sport/tennis", true),
            ("+/tennis/#", "sport/tennis", true),
            ("#", "$SYS/broker/load", false),
            ("+/monitor/Clients", "$SYS/monitor/Clients", false),
            ("$SYS/#", "$SYS/broker/load", true),
            ("$SYS/monitor/+", "$SYS/monitor/Clients", true),
            ("ACCOUNTS", "Accounts", false),
            ("a/b", "a/b", true),
            ("a/b", "a/b/", false),
        ];
        for (filter, topic, fits) in table {
            assert_eq!(TopicFilter::new(filter).unwrap().matches(topic), fits, "{filter} on {topic}");
        }
        for bad in ["sport/tennis#", "sport/tennis/#/ranking", "sport+", "", "a\0b", "#/a", "++"] {
            assert!(TopicFilter::new(bad).is_err(), "{bad:?} was taken");
        }
        assert!(TopicFilter::new(&"a".repeat(65_536)).is_err());
    }

    proptest! {
        #[test]
        fn a_topic_with_levels_made_wild_still_fits(levels in prop::collection::vec("[a-c]{0,2}", 1..5), mask in 0u32..32, cut in 0usize..5) {
            let topic = levels.join("/");
            prop_assume!(!topic.is_empty());
            let mut wild: Vec<&str> =
                levels.iter().enumerate().map(|(i, l)| if mask >> i & 1 == 1 { "+" } else { l.as_str() }).collect();
            if cut < levels.len() {
                wild.truncate(cut);
                wild.push("#");
            }
            let filter = wild.join("/");
            prop_assume!(!filter.is_empty());
            let filter = TopicFilter::new(&filter).unwrap();
            prop_assert!(filter.matches(&topic));
            let deeper = format!("{topic}/z");
            prop_assert_eq!(filter.matches(&deeper), cut < levels.len());
            let mut router = Router::default();
            router.add(filter.clone(), 1);
            router.add(TopicFilter::new(&topic).unwrap(), 2);
            for _ in 0..2 {
                prop_assert_eq!(&*router.targets(&topic.as_str().into()), [1, 2]);
                prop_assert_eq!(router.targets(&deeper.as_str().into()).len(), usize::from(filter.matches(&deeper)));
            }
        }
    }
}
