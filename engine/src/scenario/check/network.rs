//! A thing's dynamics: what [`Model::compile`] finds wrong, and what their units say, each at its place.

use super::Place;
use crate::{
    dynamics::{
        DynamicsDef,
        model::{DynamicsError, Model},
        units_check,
    },
    scenario::{
        diagnostic::{Diagnostic, Report, with_advice},
        tree::{Node, Value},
    },
};
use std::{collections::BTreeMap, ops::Range};

/// Checks the network that stands at `place`.
pub(in crate::scenario) fn check_dynamics(def: &DynamicsDef, place: &Place<'_>, report: &mut Report) {
    if let Err(error) = Model::compile(def, &BTreeMap::new()) {
        let span = span_of(&error, def, place);
        let (message, help) = with_advice(&error.to_string());
        let help = help.unwrap_or_else(|| match &error {
            DynamicsError::Twice(_) => "give each node, input and output a name of its own".to_owned(),
            DynamicsError::Empty(what) => format!("add `{what}: […]`"),
            DynamicsError::Unknown { what, near: None, .. } => known(what, def),
            DynamicsError::Unknown { near: Some(name), .. } => format!("write `{name}`"),
            _ => "README, \"How to add\", tells what a network is made of; `tclab` and `raspberry-pi-3b` are examples"
                .to_owned(),
        });
        report.push(Diagnostic::error(message).at(place.source, place.source.head(span), "").help(help));
        return;
    }
    let ways = def.conductances.iter().enumerate().map(|(i, c)| ("conductances", i, &c.between));
    let rays = def.radiation.iter().enumerate().map(|(i, r)| ("radiation", i, &r.between));
    for (field, i, (a, _)) in ways.chain(rays).filter(|(_, _, (a, b))| a == b) {
        let text = format!("heat flows between two nodes, and this leads from `{a}` to itself");
        let error = place.error(&format!("{field}[{i}].between"), text);
        report.push(error.help(known("node", def)));
    }
    for problem in units_check::check(def) {
        let mut error = place.error(&problem.path, problem.message);
        for (path, unit) in problem.stated {
            error = error.at(place.source, place.span(&path), unit);
        }
        report.push(error.maybe_help(problem.help));
    }
}

/// The names that a network has of a kind.
fn known(what: &str, def: &DynamicsDef) -> String {
    let names: Vec<&str> = match what {
        "parameter" => def.parameters.keys().map(String::as_str).collect(),
        "input" => def.inputs.iter().map(|i| i.signal.as_str()).collect(),
        _ => {
            let storages = def.storages.iter().map(|s| s.name.as_str());
            storages.chain(def.boundaries.iter().map(|b| b.name.as_str())).collect()
        }
    };
    if names.is_empty() {
        format!("the network has no {what} yet")
    } else {
        format!("it has {}", names.join(", "))
    }
}

/// Where a compile error comes from: the name or text it is about, else the field, else the entry.
fn span_of(error: &DynamicsError, def: &DynamicsDef, place: &Place<'_>) -> Range<usize> {
    let entry = |at: &str| entry_of(at, def).map_or(place.span(""), |path| place.span(&path));
    match error {
        DynamicsError::Unknown { place: at, name, .. } => entries(at, def)
            .iter()
            .find_map(|path| text_with(place, &place.span(path), name))
            .unwrap_or_else(|| entry(at)),
        DynamicsError::Coefficient { place: at, text } => entries(at, def)
            .iter()
            .find_map(|path| text_with(place, &place.span(path), text))
            .unwrap_or_else(|| entry(at)),
        DynamicsError::Figure { place: at, why } => {
            let paths = entries(at, def);
            let words = || why.split(|c: char| !(c.is_alphanumeric() || c == '_'));
            let field = paths.first().and_then(|path| {
                let fields = words().map(|word| format!("{path}.{word}"));
                fields.into_iter().find(|p| place.source.has(&place.path(p)))
            });
            match field {
                Some(path) => place.span(&path),
                None => entry(at),
            }
        }
        DynamicsError::Twice(name) => second_with(place, name).unwrap_or_else(|| place.span("")),
        DynamicsError::Empty(what) => place.span(what),
    }
}

/// Paths of the entries that an error's words may mean: `storage `box``, `conductance `a`–`b``, `parameter `g``, ….
fn entries(at: &str, def: &DynamicsDef) -> Vec<String> {
    let mut words = at.split('`');
    let kind = words.next().unwrap_or_default().trim();
    let names: Vec<&str> = words.step_by(2).collect();
    let name = names.first().copied().unwrap_or_default();
    let one = |list: &str, found: &mut dyn Iterator<Item = usize>| -> Vec<String> {
        found.map(|i| format!("{list}[{i}]")).collect()
    };
    let between = |pair: &(String, String)| names.len() > 1 && pair.0 == names[0] && pair.1 == names[1];
    let at = |list: &str, fits: Vec<bool>| {
        let mut found = fits.into_iter().enumerate().filter(|(_, fits)| *fits).map(|(i, _)| i);
        one(list, &mut found)
    };
    match kind {
        "parameter" => vec![format!("parameters[\"{name}\"]")],
        "storage" => at("storages", def.storages.iter().map(|s| s.name == name).collect()),
        "conductance" => at("conductances", def.conductances.iter().map(|c| between(&c.between)).collect()),
        "radiation" => at("radiation", def.radiation.iter().map(|r| between(&r.between)).collect()),
        "source into" => at("sources", def.sources.iter().map(|s| s.into == name).collect()),
        "output" => at("outputs", def.outputs.iter().map(|o| o.signal == name).collect()),
        "input" => at("inputs", def.inputs.iter().map(|i| i.signal == name).collect()),
        other => vec![other.to_owned()],
    }
}

fn entry_of(at: &str, def: &DynamicsDef) -> Option<String> {
    entries(at, def).into_iter().next()
}

/// The texts below the network, in order.
fn texts<'a>(place: &'a Place<'_>) -> Vec<(&'a Node, &'a str)> {
    let within = place.span("");
    let mut all = Vec::new();
    place.source.tree().walk("", &mut |_, node| {
        if let Value::Text(text) = &node.value
            && within.start <= node.span.start
            && node.span.end <= within.end
        {
            all.push((node, text.as_str()));
        }
    });
    all.sort_by_key(|(node, _)| node.span.start);
    all
}

/// The text within a span that is, or holds as a word, this one.
fn text_with(place: &Place<'_>, within: &Range<usize>, wanted: &str) -> Option<Range<usize>> {
    let inside: Vec<_> = texts(place)
        .into_iter()
        .filter(|(node, _)| within.start <= node.span.start && node.span.end <= within.end)
        .collect();
    let word = |text: &str| text.split(['*', '^', ' ']).any(|w| w == wanted);
    let found = inside.iter().find(|(_, text)| *text == wanted).or(inside.iter().find(|(_, t)| word(t)));
    found.map(|(node, _)| node.span.clone())
}

/// The second definition of a name among the nodes, inputs and outputs.
fn second_with(place: &Place<'_>, name: &str) -> Option<Range<usize>> {
    let mut found = Vec::new();
    for list in ["storages", "boundaries", "inputs", "outputs"] {
        for i in 0.. {
            let path = format!("{list}[{i}]");
            if !place.source.has(&place.path(&path)) {
                break;
            }
            for key in ["name", "signal"] {
                let path = place.path(&format!("{path}.{key}"));
                let span = place.source.span_of(&path);
                let here = place.source.text().get(span.clone()).is_some_and(|t| t.trim_matches('"') == name);
                if place.source.has(&path) && here {
                    found.push(span);
                }
            }
        }
    }
    found.sort_by_key(|span| span.start);
    found.into_iter().nth(1)
}
