//! How a value is taken out of a payload, as Home Assistant's discovery says it: by a template in Jinja.
//!
//! Most are a path into JSON, which is walked. The others are rendered by minijinja, with the filters and functions that Home
//! Assistant has for values: what asks for the state of a house (`states`, `now`, `this`) has no answer here, and is refused by
//! name. A template comes from whoever may publish a discovery: its steps and what it writes are bounded, and it has no loader.
//!
//! ```
//! use twinfleet_twins::dialect::{facts::Value, template::Template};
//! let tenths = Template::read("{{ value_json.temp | float / 10 }}");
//! assert_eq!(tenths.value(br#"{"temp":"215"}"#), Ok(Some(Value::Number(21.5))));
//! let door = Template::read("{{ iif(value_json['door']['open'], 'ON', 'OFF') }}");
//! assert_eq!(door.value(br#"{"door":{"open":true}}"#), Ok(Some(Value::Text("ON".into()))));
//! assert_eq!(Template::read("{{ states('sun.sun') }}").refused(), Some("unknown function `states`"));
//! ```

use super::{facts::Value, tree};
use minijinja::{
    Environment, Error, ErrorKind, State, UndefinedBehavior, Value as Jinja, context, filters, functions,
    tests as checks,
    value::{Kwargs, Rest, Serde},
};
use serde_json::Value as Json;
use std::{io, sync::LazyLock};
use twinfleet_engine::mirror::decode::DecodeError;

/// Steps of a template at most.
const FUEL: u64 = 20_000;
/// Levels of its expressions at most.
const LEVELS: usize = 32;
/// What it may write, [bytes].
const MAX_OUTPUT: usize = 4096;

/// How a value is taken out of a payload.
#[derive(Clone, Debug, PartialEq)]
pub enum Template {
    /// The payload as it is.
    Whole,
    /// What stands at a path into its JSON.
    Path(Vec<String>),
    /// The number that one of these tells, and nothing where it tells none: what `float` makes of it.
    Number(Box<Self>),
    /// What a template writes.
    Jinja(Box<str>),
    /// A template that is not understood, and why.
    Refused(Box<str>),
}

impl Template {
    /// Reads a template; an empty one is the payload as it is.
    pub fn read(text: &str) -> Self {
        if text.trim().is_empty() {
            return Self::Whole;
        }
        if let Some(plain) = path(text) {
            return plain;
        }
        let tried = ENVIRONMENT.template_from_str(text).and_then(|t| {
            // What it calls is known only as it is called: with nothing in it, at least some of it is.
            t.render_captured_to(context! { value => "0", value_json => 0 }, &mut Bounded(Vec::new()))
                .map(drop)
        });
        match tried.err().as_ref().and_then(unknown) {
            Some(why) => Self::Refused(why.into()),
            None => Self::Jinja(text.into()),
        }
    }

    /// Why it is not understood, if it is not.
    pub fn refused(&self) -> Option<&str> {
        if let Self::Refused(why) = self { Some(why) } else { None }
    }

    /// The value that it takes out of a payload; none where that has none, as a template says by writing nothing or `None`.
    ///
    /// # Errors
    /// [`DecodeError::Template`] where it is not understood, others where the payload is no text or none of a size that a
    /// device sends.
    pub fn value(&self, payload: &[u8]) -> Result<Option<Value>, DecodeError> {
        match self {
            Self::Refused(_) => Err(DecodeError::Template),
            Self::Whole => Ok(Some(told(tree::text(payload)?))),
            Self::Path(path) => {
                let json = tree::read(payload)?;
                let mut at = &json;
                for key in path {
                    let below = match at {
                        Json::Array(list) => key.parse::<usize>().ok().and_then(|i| list.get(i)),
                        other => other.get(key),
                    };
                    let Some(below) = below else { return Ok(None) };
                    at = below;
                }
                // A template makes text of it, and a number of a text that is one.
                Ok(tree::value(at).map(|v| if let Value::Text(text) = &v { told(text) } else { v }))
            }
            Self::Number(of) => Ok(match of.value(payload)? {
                Some(Value::Flag(on)) => Some(Value::Number(f64::from(u8::from(on)))),
                told => told.filter(|v| matches!(v, Value::Number(_))),
            }),
            Self::Jinja(text) => rendered(text, payload),
        }
    }
}

/// A text as a device means it.
fn told(text: &str) -> Value {
    let number = text.trim().parse().ok().filter(|v: &f64| v.is_finite());
    number.map_or_else(|| Value::Text(text.chars().take(200).collect()), Value::Number)
}

/// What is only a path, `{{ value_json.a['b'][0] }}`, or the payload itself; `string` leaves these as they are, for texts are read as
/// numbers anyhow, and `float` wants a number.
fn path(template: &str) -> Option<Template> {
    let inner = template.trim().strip_prefix("{{")?.strip_suffix("}}")?;
    if inner.contains(['{', '}', '%']) {
        return None;
    }
    let mut pieces = inner.trim_matches('-').split('|');
    let expression = pieces.next()?.trim();
    let mut is_number = false;
    for filter in pieces {
        match filter.trim() {
            "float" => is_number = true,
            "string" | "is_defined" => {}
            _ => return None,
        }
    }
    let of = |found: Template| if is_number { Template::Number(Box::new(found)) } else { found };
    if expression == "value" {
        return Some(of(Template::Whole));
    }
    let mut rest = expression.strip_prefix("value_json")?;
    let mut path = Vec::new();
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix('.') {
            let end = after.find(['.', '[']).unwrap_or(after.len());
            let word = &after[..end];
            let plain = |c: char| c.is_alphanumeric() || c == '_';
            if word.is_empty() || !word.chars().all(plain) {
                return None;
            }
            path.push(word.to_owned());
            rest = &after[end..];
        } else {
            let (key, after) = rest.strip_prefix('[')?.split_once(']')?;
            let key = key.trim();
            let quoted = |q: char| key.strip_prefix(q).and_then(|k| k.strip_suffix(q));
            let word = quoted('\'').or_else(|| quoted('"')).filter(|w| !w.contains(['\'', '"', '\\']));
            let number = key.bytes().all(|c| c.is_ascii_digit()).then_some(key);
            path.push(word.or(number).filter(|w| !w.is_empty())?.to_owned());
            rest = after;
        }
    }
    (path.len() <= tree::MAX_DEPTH).then(|| of(Template::Path(path)))
}

/// What a template writes, up to a bound.
struct Bounded(Vec<u8>);

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > MAX_OUTPUT {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn rendered(template: &str, payload: &[u8]) -> Result<Option<Value>, DecodeError> {
    let text = tree::text(payload)?;
    let json = tree::read(payload).map_or(Jinja::UNDEFINED, |json| Jinja::from(Serde(json)));
    let mut out = Bounded(Vec::new());
    let made = ENVIRONMENT.template_from_str(template).and_then(|t| {
        t.render_captured_to(context! { value => text, value_json => json }, &mut out).map(drop)
    });
    match made {
        // A payload without what it asks for is no news: it says nothing of this field.
        Err(why) => {
            if unknown(&why).is_some() {
                Err(DecodeError::Template)
            } else {
                Ok(None)
            }
        }
        Ok(()) => {
            let text = String::from_utf8_lossy(&out.0);
            let text = text.trim();
            let silent = matches!(text, "" | "None" | "none" | "unknown" | "unavailable");
            Ok((!silent).then(|| told(text)))
        }
    }
}

/// What a template of commands makes of a value; none where it is not understood, or cannot be filled.
pub(super) fn written(template: &str, value: &str) -> Option<String> {
    let mut out = Bounded(Vec::new());
    let number = value.parse::<f64>().ok().filter(|v| v.is_finite());
    let value = match number {
        Some(v) if v == v.trunc() && v.abs() < 9e15 => Jinja::from(v as i64),
        Some(v) => Jinja::from(v),
        None => Jinja::from(value),
    };
    let made = ENVIRONMENT
        .template_from_str(template)
        .and_then(|t| t.render_captured_to(context! { value => value }, &mut out).map(drop));
    made.ok().and_then(|()| String::from_utf8(out.0).ok())
}

/// What a template asks for that there is not, in words; none where only its payload was not what it wanted.
fn unknown(why: &Error) -> Option<String> {
    let name = || {
        let detail = why.detail().unwrap_or_default();
        let word = |w: &&str| !matches!(*w, "filter" | "test" | "function" | "is" | "unknown" | "named");
        let mut of = detail.split(|c: char| !(c.is_alphanumeric() || c == '_')).filter(|w| !w.is_empty());
        of.find(word).map_or_else(String::new, |n| format!(" `{n}`"))
    };
    match why.kind() {
        ErrorKind::SyntaxError => Some(format!("syntax: {}", why.detail().unwrap_or("not Jinja"))),
        ErrorKind::UnknownFilter => Some(format!("unknown filter{}", name())),
        ErrorKind::UnknownTest => Some(format!("unknown test{}", name())),
        ErrorKind::UnknownFunction => Some(format!("unknown function{}", name())),
        ErrorKind::OutOfFuel => Some("it takes more than 20,000 steps".to_owned()),
        ErrorKind::WriteFailure => Some("it writes more than 4,096 bytes".to_owned()),
        _ => None,
    }
}

static ENVIRONMENT: LazyLock<Environment<'static>> = LazyLock::new(environment);

/// The number that a value is, as Home Assistant's `float` reads it.
fn number(value: &Jinja) -> Option<f64> {
    let told = f64::try_from(value.clone()).ok().or_else(|| {
        let flag = bool::try_from(value.clone()).ok().filter(|_| value.as_str().is_none());
        flag.map(|b| f64::from(u8::from(b)))
    });
    told.or_else(|| value.as_str()?.trim().parse().ok()).filter(|v: &f64| v.is_finite())
}

fn given(default: Option<Jinja>, kwargs: &Kwargs) -> Result<Option<Jinja>, Error> {
    match default {
        Some(default) => Ok(Some(default)),
        None => kwargs.get("default"),
    }
}

fn no_number(value: &Jinja) -> Error {
    Error::new(ErrorKind::InvalidOperation, format!("{value} is no number"))
}

/// Without a default, what is no number makes no value, where Jinja itself would make it 0.
fn float(value: Jinja, default: Option<Jinja>, kwargs: Kwargs) -> Result<Jinja, Error> {
    let default = given(default, &kwargs)?;
    number(&value).map(Jinja::from).or(default).ok_or_else(|| no_number(&value))
}

fn int(value: Jinja, default: Option<Jinja>, base: Option<u32>, kwargs: Kwargs) -> Result<Jinja, Error> {
    let default = given(default, &kwargs)?;
    let base = match base {
        Some(base) => base,
        None => kwargs.get::<Option<u32>>("base")?.unwrap_or(10),
    };
    let digits = value.as_str().map(|s| s.trim().trim_start_matches("0x").trim_start_matches("0b"));
    let whole = digits.filter(|_| (2..=36).contains(&base)).and_then(|s| i64::from_str_radix(s, base).ok());
    let cut = number(&value).filter(|v| v.abs() < 9e15 && base == 10).map(|v| v as i64);
    whole.or(cut).map(Jinja::from).or(default).ok_or_else(|| no_number(&value))
}

/// To so many digits after the point, a tie to the even one; to none, a whole number.
fn round(value: Jinja, precision: Option<i32>, method: Option<&str>, kwargs: Kwargs) -> Result<Jinja, Error> {
    let precision = match precision {
        Some(precision) => precision,
        None => kwargs.get::<Option<i32>>("precision")?.unwrap_or(0),
    };
    let method = match method {
        Some(method) => method,
        None => kwargs.get::<Option<&str>>("method")?.unwrap_or("common"),
    };
    let Some(v) = number(&value) else {
        return kwargs.get::<Option<Jinja>>("default")?.ok_or_else(|| no_number(&value));
    };
    let by = 10f64.powi(precision.clamp(-15, 15));
    let rounded = match method {
        "ceil" => (v * by).ceil() / by,
        "floor" => (v * by).floor() / by,
        "half" => (v * 2.0).round_ties_even() / 2.0,
        // As text, it is the number itself that is rounded, and not a product that was rounded before.
        _ if precision >= 0 => format!("{v:.*}", precision.clamp(0, 15) as usize).parse().unwrap_or(v),
        _ => (v * by).round_ties_even() / by,
    };
    Ok(if precision == 0 && rounded.abs() < 9e15 {
        Jinja::from(rounded as i64)
    } else {
        Jinja::from(rounded)
    })
}

/// `value | iif(if_true, if_false, if_none)`.
fn iif(value: Jinja, cases: Rest<Jinja>) -> Jinja {
    let case = |n: usize, default: Jinja| cases.get(n).cloned().unwrap_or(default);
    match () {
        () if value.is_none() && cases.len() > 2 => case(2, Jinja::from(())),
        () if value.is_true() => case(0, Jinja::from(true)),
        () => case(1, Jinja::from(false)),
    }
}

fn is_defined(value: Jinja) -> Result<Jinja, Error> {
    if value.is_undefined() { Err(Error::from(ErrorKind::UndefinedError)) } else { Ok(value) }
}

fn with_number(value: Jinja, amount: Jinja, f: impl Fn(f64, f64) -> f64) -> Result<f64, Error> {
    let a = number(&value).ok_or_else(|| no_number(&value))?;
    Ok(f(a, number(&amount).ok_or_else(|| no_number(&amount))?))
}

fn from_json(text: &str) -> Result<Jinja, Error> {
    let json =
        tree::read(text.as_bytes()).map_err(|e| Error::new(ErrorKind::InvalidOperation, e.to_string()))?;
    Ok(Jinja::from(Serde(json)))
}

/// Python's `text.upper()` and their like, and `map.get('key')`.
fn method(state: &mut State<'_, '_>, value: &Jinja, name: &str, args: &[Jinja]) -> Result<Jinja, Error> {
    let filter = match name {
        "upper" | "lower" | "title" | "replace" | "split" => name,
        "strip" => "trim",
        "get" => {
            let found = args.first().map(|key| value.get_item(key)).transpose()?;
            let found = found.filter(|v| !v.is_undefined());
            return Ok(found.or_else(|| args.get(1).cloned()).unwrap_or(Jinja::from(())));
        }
        _ => return Err(Error::new(ErrorKind::UnknownFunction, format!("unknown function {name}"))),
    };
    let all: Vec<Jinja> = std::iter::once(value).chain(args).cloned().collect();
    state.apply_filter(filter, &all)
}

fn environment() -> Environment<'static> {
    let mut env = Environment::empty();
    env.set_fuel(Some(FUEL));
    env.set_recursion_limit(LEVELS);
    env.set_undefined_behavior(UndefinedBehavior::Lenient);
    env.set_unknown_method_callback(method);
    env.add_filter("float", float);
    env.add_filter("int", int);
    env.add_filter("iif", iif);
    env.add_filter("is_defined", is_defined);
    env.add_filter("from_json", from_json);
    env.add_filter("multiply", |v: Jinja, by: Jinja| with_number(v, by, |a, b| a * b));
    env.add_filter("add", |v: Jinja, by: Jinja| with_number(v, by, |a, b| a + b));
    env.add_filter("is_number", |v: Jinja| number(&v).is_some());
    env.add_filter("abs", filters::abs);
    env.add_filter("bool", filters::bool);
    env.add_filter("capitalize", filters::capitalize);
    env.add_filter("default", filters::default);
    env.add_filter("d", filters::default);
    env.add_filter("first", filters::first);
    env.add_filter("join", filters::join);
    env.add_filter("last", filters::last);
    env.add_filter("length", filters::length);
    env.add_filter("count", filters::length);
    env.add_filter("list", filters::list);
    env.add_filter("lower", filters::lower);
    env.add_filter("max", filters::max);
    env.add_filter("min", filters::min);
    env.add_filter("replace", filters::replace);
    env.add_filter("round", round);
    env.add_filter("split", filters::split);
    env.add_filter("string", filters::string);
    env.add_filter("sum", filters::sum);
    env.add_filter("title", filters::title);
    env.add_filter("trim", filters::trim);
    env.add_filter("upper", filters::upper);
    env.add_function("float", float);
    env.add_function("int", int);
    env.add_function("iif", iif);
    env.add_function("is_number", |v: Jinja| number(&v).is_some());
    env.add_function("range", functions::range);
    env.add_test("defined", checks::is_defined);
    env.add_test("undefined", checks::is_undefined);
    env.add_test("none", checks::is_none);
    env.add_test("number", checks::is_number);
    env.add_test("string", checks::is_string);
    env.add_test("mapping", checks::is_mapping);
    env.add_test("in", checks::is_in);
    env.add_test("true", checks::is_true);
    env.add_test("false", checks::is_false);
    env.add_test("eq", checks::is_eq);
    env.add_test("even", checks::is_even);
    env.add_test("odd", checks::is_odd);
    env
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(template: &str, payload: &str) -> Option<Value> {
        Template::read(template).value(payload.as_bytes()).unwrap_or_else(|e| panic!("{template}: {e}"))
    }

    #[test]
    fn templates_as_devices_write_them_tell_what_home_assistant_would_show() {
        let number = |v: f64| Some(Value::Number(v));
        let text = |v: &str| Some(Value::Text(v.to_owned()));
        for (template, payload, want) in [
            ("{{ value }}", "21.5", number(21.5)),
            ("{{ value_json }}", "7", number(7.0)),
            ("{{value_json.t}}", r#"{"t":"21.5"}"#, number(21.5)),
            ("{{ value_json['ENERGY']['Power'] }}", r#"{"ENERGY":{"Power":[12,13]}}"#, None),
            ("{{ value_json['ENERGY']['Power'][1] }}", r#"{"ENERGY":{"Power":[12,13]}}"#, number(13.0)),
            ("{{ value_json.x | float / 10 }}", r#"{"x":215}"#, number(21.5)),
            ("{{ (value_json.x | float * 0.001) | round(2) }}", r#"{"x":"12345"}"#, number(12.35)),
            ("{{ value | multiply(0.001) | round(1) }}", "48250", number(48.2)),
            ("{{ value_json.rssi | int }}", r#"{"rssi":-61.7}"#, number(-61.0)),
            ("{{ value_json.hex | int(base=16) }}", r#"{"hex":"0x1F"}"#, number(31.0)),
            ("{{ value_json.t | is_defined }}", r#"{"h":1}"#, None),
            ("{{ value_json.h|is_defined }}", r#"{"h":1}"#, number(1.0)),
            ("{{ value_json.h | is_defined | float }}", "{}", None),
            ("{{ value_json.t | float }}", r#"{"t":"n/a"}"#, None),
            ("{{ value_json.t | float(0) }}", r#"{"t":"n/a"}"#, number(0.0)),
            ("{{ value_json.t | default(-1) }}", r#"{"h":1}"#, number(-1.0)),
            ("{{ value_json.a.b.c }}", "{}", None),
            ("{{ 1 if value_json.open else 0 }}", r#"{"open":true}"#, number(1.0)),
            ("{{ 'ON' if value_json.speed|float(0) > 0 else 'OFF' }}", r#"{"speed":"1000"}"#, text("ON")),
            ("{{ iif(value_json.on, 'ON', 'OFF') }}", r#"{"on":false}"#, text("OFF")),
            ("{{ value_json.on | iif('ON', 'OFF', None) }}", r#"{"on":null}"#, None),
            ("{% if value_json.mode == 'x' %}ON{% else %}OFF{% endif %}", r#"{"mode":"x"}"#, text("ON")),
            (
                "{%- if value is defined and value == 'open' -%} 1 {%- else -%} 0 {%- endif -%}",
                "open",
                number(1.0),
            ),
            ("{% set v = value_json.v | int %}{{ v / 100 }}", r#"{"v":2350}"#, number(23.5)),
            ("{{ value.split(',')[1] | float }}", "a,2.5", number(2.5)),
            ("{{ value_json.state.upper() }}", r#"{"state":"on"}"#, text("ON")),
            ("{{ value_json.get('t') }}", "{}", None),
            ("{{ float(value_json.t) - 273.15 }}", r#"{"t":293.15}"#, number(20.0)),
            ("{{ {'0':'idle','1':'heat'}[value] }}", "1", text("heat")),
            ("{{ (value | from_json).t }}", r#"{"t":3}"#, number(3.0)),
        ] {
            assert_eq!(of(template, payload), want, "{template} of {payload}");
        }
    }

    #[test]
    fn what_is_not_understood_is_refused_by_name() {
        for (template, why) in [
            ("{{ value_json.t | timestamp_custom('%H') }}", "unknown filter `timestamp_custom`"),
            ("{{ states('sensor.x') }}", "unknown function `states`"),
            ("{{ now() }}", "unknown function `now`"),
            ("{% if value is odd_one %}1{% endif %}", "unknown test `odd_one`"),
            ("{{ value_json.t", "syntax: "),
            ("{% include 'secrets' %}", "syntax: "),
        ] {
            let read = Template::read(template);
            let said = read.refused().unwrap_or_default();
            assert!(said.starts_with(why), "{template}: {said}");
            assert_eq!(read.value(b"{}"), Err(DecodeError::Template));
        }
        // One that is met only later is refused then.
        let later = Template::read("{{ now() if value_json.t else 5 }}");
        assert_eq!(later.value(b"{}"), Ok(Some(Value::Number(5.0))));
        assert_eq!(later.value(br#"{"t":5}"#), Err(DecodeError::Template));
    }

    #[test]
    fn a_template_that_is_a_bomb_is_stopped() {
        for bomb in [
            "{% for a in range(9999) %}{% for b in range(9999) %}{{ b }}{% endfor %}{% endfor %}".to_owned(),
            "{{ 'x' * 100000000 }}".to_owned(),
            "{{ range(99999999) | list | length }}".to_owned(),
            format!("{{{{ {}1{} }}}}", "(".repeat(2000), ")".repeat(2000)),
            "{% for a in range(500) %}xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx{% endfor %}".to_owned(),
        ] {
            let begun = std::time::Instant::now();
            let told = Template::read(&bomb).value(b"1");
            assert!(!matches!(told, Ok(Some(_))), "{bomb:.60}: {told:?}");
            assert!(begun.elapsed().as_millis() < 500, "{bomb:.60} took {:?}", begun.elapsed());
        }
    }
}
