//! Whether a network's stated units fit: a capacity in J/K, a conductance in W/K, a gain in W per unit of its input.
//!
//! Nothing converts a parameter: its value is used as it stands. So a unit must be of the right dimension, and, where no
//! number beside it can be a conversion, of the right size (`kJ/K` is not `J/K`). A parameter without a unit is not checked,
//! nor is anything that it is a factor of; a unit in which a word is none of any unit (`furlong`) is a mistake by itself.
//!
//! ```
//! use twinfleet_engine::dynamics::units_check::Measure;
//! let capacity = Measure::parse("J/K").unwrap();
//! assert_eq!(Measure::parse("kg").unwrap().times(&Measure::parse("J/kgK").unwrap(), 1.0), capacity);
//! assert_ne!(Measure::parse("W/K"), Some(capacity));
//! assert_eq!(Measure::parse("kJ/K").unwrap().factor, 1000.0);
//! assert!(Measure::parse("furlong").is_none());
//! ```

use super::definition::{BoundaryAt, DynamicsDef, ParameterDef};
use crate::{scenario::diagnostic::near, units};

/// A unit as a product of powers of kg, m, s, K and A, times a factor.
#[derive(Clone, Debug, PartialEq)]
pub struct Measure {
    /// Size in base units.
    pub factor: f64,
    /// Exponents of kg, m, s, K, A.
    pub powers: [f64; 5],
}

/// Units that parameters are stated in: symbol, factor, exponents of kg, m, s, K, A. Longer ones first, as they are looked
/// for at the start of `kgK`.
const ATOMS: [(&str, f64, [f64; 5]); 37] = [
    ("percent", 0.01, [0.0; 5]),
    ("ratio", 1.0, [0.0; 5]),
    ("degC", 1.0, [0.0, 0.0, 0.0, 1.0, 0.0]),
    ("none", 1.0, [0.0; 5]),
    ("kWh", 3.6e6, [1.0, 2.0, -2.0, 0.0, 0.0]),
    ("ohm", 1.0, [1.0, 2.0, -3.0, 0.0, -2.0]),
    ("min", 60.0, [0.0, 0.0, 1.0, 0.0, 0.0]),
    ("rad", 1.0, [0.0; 5]),
    ("ppm", 1e-6, [0.0; 5]),
    ("hPa", 100.0, [1.0, -1.0, -2.0, 0.0, 0.0]),
    ("kPa", 1000.0, [1.0, -1.0, -2.0, 0.0, 0.0]),
    ("°C", 1.0, [0.0, 0.0, 0.0, 1.0, 0.0]),
    ("kg", 1.0, [1.0, 0.0, 0.0, 0.0, 0.0]),
    ("kW", 1e3, [1.0, 2.0, -3.0, 0.0, 0.0]),
    ("mW", 1e-3, [1.0, 2.0, -3.0, 0.0, 0.0]),
    ("Wh", 3600.0, [1.0, 2.0, -2.0, 0.0, 0.0]),
    ("kJ", 1e3, [1.0, 2.0, -2.0, 0.0, 0.0]),
    ("MJ", 1e6, [1.0, 2.0, -2.0, 0.0, 0.0]),
    ("mJ", 1e-3, [1.0, 2.0, -2.0, 0.0, 0.0]),
    ("Pa", 1.0, [1.0, -1.0, -2.0, 0.0, 0.0]),
    ("mA", 1e-3, [0.0, 0.0, 0.0, 0.0, 1.0]),
    ("mV", 1e-3, [1.0, 2.0, -3.0, 0.0, -1.0]),
    ("cm", 1e-2, [0.0, 1.0, 0.0, 0.0, 0.0]),
    ("mm", 1e-3, [0.0, 1.0, 0.0, 0.0, 0.0]),
    ("ms", 1e-3, [0.0, 0.0, 1.0, 0.0, 0.0]),
    ("Ω", 1.0, [1.0, 2.0, -3.0, 0.0, -2.0]),
    ("%", 0.01, [0.0; 5]),
    ("W", 1.0, [1.0, 2.0, -3.0, 0.0, 0.0]),
    ("J", 1.0, [1.0, 2.0, -2.0, 0.0, 0.0]),
    ("K", 1.0, [0.0, 0.0, 0.0, 1.0, 0.0]),
    ("C", 1.0, [0.0, 0.0, 0.0, 1.0, 0.0]),
    ("V", 1.0, [1.0, 2.0, -3.0, 0.0, -1.0]),
    ("A", 1.0, [0.0, 0.0, 0.0, 0.0, 1.0]),
    ("g", 1e-3, [1.0, 0.0, 0.0, 0.0, 0.0]),
    ("m", 1.0, [0.0, 1.0, 0.0, 0.0, 0.0]),
    ("s", 1.0, [0.0, 0.0, 1.0, 0.0, 0.0]),
    ("h", 3600.0, [0.0, 0.0, 1.0, 0.0, 0.0]),
];

/// What else of the SI a factor may be stated in, with or without a prefix: known, but nothing is reckoned from it.
const OTHERS: [&str; 24] = [
    "m", "g", "s", "A", "K", "W", "J", "V", "N", "Pa", "Hz", "ohm", "Ω", "l", "L", "t", "mol", "cd", "lm",
    "F", "H", "S", "Wb", "rad",
];
const PREFIXES: [char; 14] = ['T', 'G', 'M', 'k', 'h', 'd', 'c', 'm', 'u', 'µ', 'μ', 'n', 'p', 'f'];

/// What stands between the factors of a unit, apart from `/`.
const BETWEEN: [char; 7] = ['(', ')', '*', '·', '⋅', ' ', '\u{202f}'];

impl Measure {
    const ONE: Self = Self { factor: 1.0, powers: [0.0; 5] };

    /// Reads a unit as people write it: `W/K`, `J/kgK`, `W/(m²·K)`, `W/K^1.25`, `1/s`. After a slash all that follows divides.
    pub fn parse(text: &str) -> Option<Self> {
        let mut rest = text.trim();
        let mut out = Self::ONE;
        let mut sign = 1.0;
        if rest.is_empty() {
            return None;
        }
        while let Some(c) = rest.chars().next() {
            if let Some(after) = rest.strip_prefix(BETWEEN) {
                rest = after;
                continue;
            }
            if c == '/' {
                sign = -1.0;
                rest = &rest[1..];
                continue;
            }
            if c == '1' {
                rest = &rest[1..];
                continue;
            }
            let (symbol, factor, powers) = ATOMS.into_iter().find(|(s, ..)| rest.starts_with(s))?;
            rest = &rest[symbol.len()..];
            let (power, after) = exponent(rest)?;
            rest = after;
            out = out.times(&Self { factor, powers }, sign * power);
        }
        Some(out)
    }

    /// Times a power of another.
    #[must_use]
    pub fn times(&self, other: &Self, power: f64) -> Self {
        let mut out = self.clone();
        out.factor *= other.factor.powf(power);
        for (p, q) in out.powers.iter_mut().zip(other.powers) {
            *p += power * q;
        }
        out
    }

    fn same_dimension(&self, other: &Self) -> bool {
        self.powers.iter().zip(other.powers).all(|(a, b)| (a - b).abs() < 1e-9)
    }

    fn same_size(&self, other: &Self) -> bool {
        (self.factor / other.factor - 1.0).abs() < 1e-9
    }
}

/// An exponent at the start of a text: `2`, `²`, `^1.25`, `-1`; 1 where there is none.
fn exponent(text: &str) -> Option<(f64, &str)> {
    for (sign, power) in [('²', 2.0), ('³', 3.0), ('⁴', 4.0)] {
        if let Some(after) = text.strip_prefix(sign) {
            return Some((power, after));
        }
    }
    let (raised, digits) = text.strip_prefix('^').map_or((false, text), |rest| (true, rest));
    let number = |c: char| c.is_ascii_digit() || (raised && matches!(c, '.' | '-'));
    let end = digits.find(|c| !number(c)).unwrap_or(digits.len());
    match (raised, end) {
        (false, 0) => Some((1.0, text)),
        (true, 0) => None,
        _ => Some((digits[..end].parse().ok()?, &digits[end..])),
    }
}

/// The first word of a unit that is no unit at all.
fn unknown_word(unit: &str) -> Option<&str> {
    if units::find(unit).is_some() || Measure::parse(unit).is_some() {
        return None;
    }
    let words = unit.split(|c: char| c == '/' || BETWEEN.contains(&c));
    words.map(str::trim).find(|word| !word.is_empty() && !is_known(word))
}

/// Whether a word, with or without an exponent, is a unit.
fn is_known(word: &str) -> bool {
    let base = word.split('^').next().unwrap_or(word);
    let base = base.trim_end_matches(|c: char| c.is_ascii_digit() || matches!(c, '²' | '³' | '⁴'));
    let with_prefix = |word: &str| word.strip_prefix(PREFIXES).is_some_and(|rest| OTHERS.contains(&rest));
    let is_unit = |word: &str| {
        units::find(word).is_some()
            || Measure::parse(word).is_some()
            || OTHERS.contains(&word)
            || with_prefix(word)
    };
    // A bare number is one, too: `1/s`.
    is_unit(word) || base.is_empty() || is_unit(base)
}

/// A stated unit that is none.
fn unknown_unit(path: String, unit: &str) -> Option<Problem> {
    let word = unknown_word(unit)?;
    let table = units::all().flat_map(|u| u.spellings().iter().copied().chain([u.symbol]));
    let known = table.chain(ATOMS.map(|(symbol, ..)| symbol)).chain(OTHERS);
    let help = near(word, known).filter(|help| help.starts_with("did"));
    Some(Problem {
        path,
        message: format!("`{word}` is no known unit"),
        stated: Vec::new(),
        help: help.or_else(|| {
            Some("write it of units such as `W/K`, `J/(kg·K)`, `percent`, or leave `unit` out".to_owned())
        }),
    })
}

/// A unit that does not fit.
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    /// Where it is used, a path within the network.
    pub path: String,
    /// What is wrong.
    pub message: String,
    /// Where the units stand that it follows from, and what they make of it.
    pub stated: Vec<(String, String)>,
    /// What to do.
    pub help: Option<String>,
}

/// All units that do not fit, in the order of the file's sections.
pub fn check(def: &DynamicsDef) -> Vec<Problem> {
    let mut all = Vec::new();
    let mut misfits = Vec::new();
    for (name, parameter) in &def.parameters {
        all.extend(unknown_unit(format!("parameters[\"{name}\"].unit"), &parameter.unit));
    }
    for (i, input) in def.inputs.iter().enumerate() {
        if let Some(problem) = input_problem(i, &input.signal, &input.unit) {
            misfits.push(input.signal.clone());
            all.push(problem);
        }
    }
    for (i, boundary) in def.boundaries.iter().enumerate() {
        let (path, unit, name) = match &boundary.at {
            BoundaryAt::Fixed(_) => continue,
            BoundaryAt::Parameter(p) => {
                (format!("parameters[\"{p}\"].unit"), def.parameters.get(p).map(|p| p.unit.as_str()), p)
            }
            BoundaryAt::Input(s) => {
                let at = def.inputs.iter().position(|i| i.signal == *s);
                let unit = at.map(|at| def.inputs[at].unit.as_str());
                (format!("inputs[{}].unit", at.unwrap_or_default()), unit, s)
            }
        };
        let unit = unit.unwrap_or_default();
        // What is no unit at all is told where it stands.
        let is_told = unknown_word(unit).is_some();
        if !unit.is_empty() && !is_told && units::find(unit).is_none_or(|u| u.symbol != "degC") {
            all.push(Problem {
                path: format!("boundaries[{i}].at"),
                message: format!("the temperature of a boundary is in degC, and `{name}` is in `{unit}`"),
                stated: vec![(path, "stated here".to_owned())],
                help: Some(format!("write `{name}`, its bounds too, in degC")),
            });
        }
    }
    let mut want = |path: String, text: &str, what: &str, units: &[&str]| {
        all.extend(coefficient_problem(def, path, text, what, units));
    };
    for (i, s) in def.storages.iter().enumerate() {
        want(format!("storages[{i}].capacity"), &s.capacity, "a capacity", &["J/K"]);
    }
    for (i, c) in def.conductances.iter().enumerate() {
        let curved = format!("W/K^{}", c.exponent);
        let units: &[&str] = if c.exponent == 1.0 { &["W/K"] } else { &[&curved, "W/K"] };
        want(format!("conductances[{i}].value"), &c.value, "a conductance", units);
    }
    for (i, r) in def.radiation.iter().enumerate() {
        want(format!("radiation[{i}].area_m2"), &r.area_m2, "an area", &["m2"]);
    }
    for (i, s) in def.sources.iter().enumerate() {
        let unit = match &s.input {
            None => Some("W".to_owned()),
            // What is wrong with the input's own unit is said of the input.
            Some(signal) if misfits.contains(signal) => None,
            Some(signal) => input_unit(def, signal).map(|u| format!("W/{u}")),
        };
        if let Some(unit) = unit {
            want(format!("sources[{i}].gain"), &s.gain, "this gain", &[&unit]);
        }
    }
    for (i, o) in def.outputs.iter().enumerate() {
        if let Some(lag) = &o.lag_s {
            want(format!("outputs[{i}].lag_s"), lag, "a lag", &["s"]);
        }
    }
    all
}

/// The unit that an input is counted in: the stated one, else the engine's.
fn input_unit(def: &DynamicsDef, signal: &str) -> Option<String> {
    let input = def.inputs.iter().find(|i| i.signal == signal)?;
    if !input.unit.is_empty() {
        return Some(input.unit.clone());
    }
    let quantity = signal.rsplit('.').next().unwrap_or(signal);
    units::of_quantity(quantity).map(|u| u.symbol.to_owned())
}

/// An input whose unit is none, or another kind of thing than its quantity.
fn input_problem(i: usize, signal: &str, unit: &str) -> Option<Problem> {
    if let Some(unknown) = unknown_unit(format!("inputs[{i}].unit"), unit) {
        return Some(unknown);
    }
    let quantity = signal.rsplit('.').next().unwrap_or(signal);
    let (known, stated) = (units::of_quantity(quantity)?, units::find(unit)?);
    (known.dimension != stated.dimension).then(|| Problem {
        path: format!("inputs[{i}].unit"),
        message: format!(
            "`{quantity}` is {}, and `{unit}` is {}",
            known.dimension.name(),
            stated.dimension.name()
        ),
        stated: Vec::new(),
        help: Some(format!("write the unit of `{signal}` as `{}`", known.symbol)),
    })
}

/// A coefficient whose units come to none of those wanted. The first of `units` is the usual one.
fn coefficient_problem(
    def: &DynamicsDef,
    path: String,
    text: &str,
    what: &str,
    units: &[&str],
) -> Option<Problem> {
    let (found, scaled, parameters) = product(def, text)?;
    let wanted: Vec<Measure> = units.iter().filter_map(|u| Measure::parse(u)).collect();
    // A unit of the input that is unknown here leaves nothing to compare with.
    let usual = wanted.first()?;
    if parameters.is_empty()
        || wanted.iter().any(|w| found.same_dimension(w) && (scaled || found.same_size(w)))
    {
        return None;
    }
    let stated: Vec<(String, String)> = parameters
        .iter()
        .map(|(name, p)| (format!("parameters[\"{name}\"].unit"), format!("`{name}` is in {}", p.unit)))
        .collect();
    let (message, help) = if found.same_dimension(usual) {
        let times = found.factor / usual.factor;
        (
            format!("{what} is in {}, and `{text}` comes to {} times that", units[0], short(times)),
            format!(
                "units are not converted: write the values in {} or put the factor \"{} * …\" before it",
                units[0],
                short(times)
            ),
        )
    } else if let [(name, p)] = parameters.as_slice() {
        (
            format!("{what} is in {}, and `{name}` is in {}", units[0], p.unit),
            format!(
                "was another parameter meant? if it is the right one, state its value and unit in {}",
                units[0]
            ),
        )
    } else {
        (
            format!("{what} is in {}, and `{text}` does not come to that", units[0]),
            "check which parameters are multiplied, and each one's unit".to_owned(),
        )
    };
    Some(Problem { path, message, stated, help: Some(help) })
}

fn short(x: f64) -> String {
    let rounded = format!("{x:.6}");
    rounded.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// The unit of a product, whether a number in it may be a conversion, and its parameters. `None` where one of them has no
/// unit, or none that is known, or an exponent that differs between recordings.
#[expect(clippy::type_complexity, reason = "three parts of one answer, used in one place")]
fn product<'a>(
    def: &'a DynamicsDef,
    text: &str,
) -> Option<(Measure, bool, Vec<(&'a str, &'a ParameterDef)>)> {
    let (mut out, mut scaled, mut parameters) = (Measure::ONE, false, Vec::new());
    for factor in text.split('*') {
        let (base, exponent) = factor.split_once('^').map_or((factor, None), |(b, e)| (b, Some(e.trim())));
        let base = base.trim();
        if let Ok(number) = base.parse::<f64>() {
            scaled |= number != 1.0;
            continue;
        }
        let (name, parameter) = def.parameters.get_key_value(base)?;
        let unit = Measure::parse(&parameter.unit)?;
        let power = match exponent.map(str::parse::<f64>) {
            None => 1.0,
            Some(Ok(power)) => power,
            // A covariate: the unit must not depend on it.
            Some(Err(_)) if unit == Measure::ONE => 1.0,
            Some(Err(_)) => return None,
        };
        out = out.times(&unit, power);
        parameters.push((name.as_str(), parameter));
    }
    Some((out, scaled, parameters))
}
