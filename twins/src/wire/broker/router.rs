//! Which sessions a topic goes to: a hash table for the filters without wildcards, a tree of levels for the others.

use std::collections::HashMap;

/// A session's place in the broker.
pub(super) type SessionId = u32;

/// A subscriber and the quality of service it was granted.
type Subscriber = (SessionId, u8);

/// The subscriptions of all sessions.
#[derive(Debug, Default)]
pub(super) struct Router {
    exact: HashMap<Box<str>, Vec<Subscriber>>,
    wild: Node,
    wild_count: usize,
    count: usize,
}

/// One level of the filters with wildcards.
#[derive(Debug, Default)]
struct Node {
    children: HashMap<Box<str>, Node>,
    plus: Option<Box<Node>>,
    /// Filters that end here.
    here: Vec<Subscriber>,
    /// Filters that end in `#` here.
    hash: Vec<Subscriber>,
}

impl Router {
    /// Subscriptions in all.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Adds a subscription, or changes its quality of service.
    pub fn insert(&mut self, filter: &str, session: SessionId, qos: u8) {
        let list = if filter.contains(['+', '#']) {
            self.wild.list(filter)
        } else {
            self.exact.entry(filter.into()).or_default()
        };
        match list.iter_mut().find(|s| s.0 == session) {
            Some(subscriber) => subscriber.1 = qos,
            None => {
                list.push((session, qos));
                self.count += 1;
                self.wild_count += usize::from(filter.contains(['+', '#']));
            }
        }
    }

    /// Takes a subscription away.
    pub fn remove(&mut self, filter: &str, session: SessionId) {
        if filter.contains(['+', '#']) {
            if self.wild.remove(filter.split('/'), session) {
                self.wild_count -= 1;
                self.count -= 1;
            }
        } else if let Some(list) = self.exact.get_mut(filter) {
            let before = list.len();
            list.retain(|s| s.0 != session);
            self.count -= before - list.len();
            if list.is_empty() {
                self.exact.remove(filter);
            }
        }
    }

    /// Fills `found` with the sessions that want this topic, each once, with the highest quality of service that any of
    /// its filters was granted, in the order of session ids.
    pub fn find(&self, topic: &str, found: &mut Vec<Subscriber>) {
        found.clear();
        if let Some(list) = self.exact.get(topic) {
            found.extend_from_slice(list);
        }
        if self.wild_count > 0 {
            // A wildcard in the first level does not match the names that start with `$`.
            self.wild.find(topic.split('/'), topic.starts_with('$'), found);
        }
        if found.len() > 1 {
            found.sort_unstable_by_key(|&(session, qos)| (session, std::cmp::Reverse(qos)));
            found.dedup_by_key(|s| s.0);
        }
    }
}

impl Node {
    fn list(&mut self, filter: &str) -> &mut Vec<Subscriber> {
        let mut node = self;
        for level in filter.split('/') {
            node = match level {
                "#" => return &mut node.hash,
                "+" => node.plus.get_or_insert_default(),
                name => node.children.entry(name.into()).or_default(),
            };
        }
        &mut node.here
    }

    fn remove(&mut self, mut levels: std::str::Split<'_, char>, session: SessionId) -> bool {
        fn take(list: &mut Vec<Subscriber>, session: SessionId) -> bool {
            let before = list.len();
            list.retain(|s| s.0 != session);
            list.len() < before
        }
        match levels.next() {
            None => take(&mut self.here, session),
            Some("#") => take(&mut self.hash, session),
            Some("+") => {
                let Some(plus) = &mut self.plus else { return false };
                let removed = plus.remove(levels, session);
                if plus.is_empty() {
                    self.plus = None;
                }
                removed
            }
            Some(name) => {
                let Some(child) = self.children.get_mut(name) else { return false };
                let removed = child.remove(levels, session);
                if child.is_empty() {
                    self.children.remove(name);
                }
                removed
            }
        }
    }

    fn is_empty(&self) -> bool {
        self.children.is_empty() && self.plus.is_none() && self.here.is_empty() && self.hash.is_empty()
    }

    fn find(&self, mut levels: std::str::Split<'_, char>, hidden: bool, found: &mut Vec<Subscriber>) {
        // `a/#` matches `a` too, so the list applies before the next level is looked at.
        if !hidden {
            found.extend_from_slice(&self.hash);
        }
        let Some(level) = levels.next() else {
            found.extend_from_slice(&self.here);
            return;
        };
        if let (Some(plus), false) = (&self.plus, hidden) {
            plus.find(levels.clone(), false, found);
        }
        if let Some(child) = self.children.get(level) {
            child.find(levels, false, found);
        }
    }
}

/// Whether one topic matches one filter, by the same rules.
pub(super) fn matches(filter: &str, topic: &str) -> bool {
    if topic.starts_with('$') && filter.starts_with(['+', '#']) {
        return false;
    }
    let mut names = topic.split('/');
    for level in filter.split('/') {
        match (level, names.next()) {
            ("#", _) => return true,
            (_, None) => return false,
            ("+", Some(_)) => {}
            (level, Some(name)) if level == name => {}
            _ => return false,
        }
    }
    names.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEVELS: [&str; 6] = ["a", "b", "", "$x", "+", "#"];

    /// Every name of up to three of the levels.
    fn names(wildcards: bool) -> Vec<String> {
        let levels = if wildcards { &LEVELS[..] } else { &LEVELS[..4] };
        let mut all: Vec<String> = levels.iter().map(|l| (*l).to_owned()).collect();
        for depth in 0..2 {
            let longer: Vec<String> = all
                .iter()
                .filter(|n| n.split('/').count() == depth + 1)
                .flat_map(|n| levels.iter().map(move |l| format!("{n}/{l}")))
                .collect();
            all.extend(longer);
        }
        all.retain(|n| if wildcards { crate::wire::codec::valid_filter(n) } else { !n.is_empty() });
        all
    }

    #[test]
    fn the_tree_agrees_with_the_rule_for_one_filter() {
        let filters = names(true);
        let mut router = Router::default();
        for (i, filter) in filters.iter().enumerate() {
            router.insert(filter, i as u32, (i % 3) as u8);
        }
        let mut found = Vec::new();
        for topic in names(false) {
            let want = |keep: &dyn Fn(usize) -> bool| -> Vec<Subscriber> {
                (0..filters.len())
                    .filter(|i| keep(*i) && matches(&filters[*i], &topic))
                    .map(|i| (i as u32, (i % 3) as u8))
                    .collect()
            };
            router.find(&topic, &mut found);
            assert_eq!(found, want(&|_| true), "{topic}");
        }
        for (i, filter) in filters.iter().enumerate() {
            router.remove(filter, i as u32);
        }
        assert!(
            router.wild.is_empty() && router.exact.is_empty() && router.wild_count == 0 && router.len() == 0
        );
    }

    #[test]
    fn overlapping_filters_deliver_once_with_the_highest_quality() {
        let mut router = Router::default();
        for (filter, qos) in [("a/b", 0), ("a/+", 2), ("#", 1)] {
            router.insert(filter, 5, qos);
        }
        let mut found = Vec::new();
        router.find("a/b", &mut found);
        assert_eq!(found, [(5, 2)]);
        router.remove("a/+", 5);
        router.find("a/b", &mut found);
        assert_eq!(found, [(5, 1)]);
    }
}
