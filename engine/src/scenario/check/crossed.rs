//! Twins that hear each other's devices: a wildcard in a binding where the device's own name was meant.

use super::{Checker, twin::followed};
use crate::{mirror::bound_topic, scenario::DecodeDef};

/// Bindings that are compared each with each; in a larger house only a generator writes them, and it names each device.
const MOST_BINDINGS: usize = 2_000;

/// A binding of a mirror section, with what its twin follows.
struct Bound<'a> {
    mirror: usize,
    bind: usize,
    topic: String,
    decode: &'a DecodeDef,
    signals: Vec<&'a str>,
}

impl Checker<'_> {
    /// Warns of two twins that take in the same messages. Gateways speak for many devices on one topic: where the two read
    /// other fields of it, all is well.
    pub(super) fn crossed(&mut self) {
        let mut all: Vec<Bound<'_>> = Vec::new();
        for (mirror, def) in self.scenario.mirror.iter().enumerate() {
            let signals = self.thing(&def.thing).map(followed).unwrap_or_default();
            all.extend(def.bind.iter().enumerate().map(|(bind, b)| Bound {
                mirror,
                bind,
                topic: bound_topic(&b.topic, &def.twin),
                decode: &b.decode,
                signals: signals.clone(),
            }));
        }
        if all.len() > MOST_BINDINGS {
            return;
        }
        for (at, b) in all.iter().enumerate() {
            let same = |a: &&Bound<'_>| a.mirror != b.mirror && meet(&a.topic, &b.topic) && alike(a, b);
            let Some(a) = all[..at].iter().find(same) else { continue };
            let place = self.place(format!("mirror[{}].bind[{}]", b.mirror, b.bind));
            let other = self.source.span_of(&format!("mirror[{}].bind[{}].topic", a.mirror, a.bind));
            let twin = |bound: &Bound<'_>| self.scenario.mirror[bound.mirror].twin.as_str();
            let text = format!("the twins `{}` and `{}` take in the same messages", twin(a), twin(b));
            let warning = place.warning("topic", text).at(self.source, other, "heard here too");
            let help = "write `{device}` where the topic names the device: each twin then hears its own";
            self.report.push(warning.help(help));
        }
    }
}

/// Whether two bindings take the same values out of one message.
fn alike(a: &Bound<'_>, b: &Bound<'_>) -> bool {
    match (a.decode, b.decode) {
        (DecodeDef::Json, DecodeDef::Json) => a.signals.iter().any(|s| b.signals.contains(s)),
        (DecodeDef::Pointers { map, .. }, DecodeDef::Pointers { map: other, .. }) => {
            map.iter().any(|(signal, pointer)| other.get(signal) == Some(pointer))
        }
        // What a dialect takes for its device is the dialect's to know.
        _ => false,
    }
}

/// Whether there is a topic that both filters fit.
pub(super) fn meet(a: &str, b: &str) -> bool {
    let (mut a, mut b) = (a.split('/'), b.split('/'));
    loop {
        match (a.next(), b.next()) {
            (Some("#"), _) | (_, Some("#")) | (None, None) => return true,
            (Some(x), Some(y)) if x == "+" || y == "+" || x == y => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn filters_meet_where_a_topic_fits_both() {
        for (a, b, want) in [
            ("my/+/x", "my/+/x", true),
            ("my/a/x", "my/+/x", true),
            ("my/a/x", "my/b/x", false),
            ("my/+/x", "my/+/y", false),
            ("my/#", "my/b/x", true),
            ("my/#", "my", true),
            ("my/+", "my", false),
            ("+/a", "b/+", true),
        ] {
            assert_eq!((super::meet(a, b), super::meet(b, a)), (want, want), "{a} {b}");
        }
    }
}
