//! Recordings as data sets of a network: columns by `--map`, constants by `--const`.

use crate::table::{self, ReadingArgs};
use std::{collections::BTreeMap, path::Path, path::PathBuf};
use twinfleet_engine::{
    dynamics::{
        DynamicsDef,
        definition::{InputDef, UnsaidDef},
        fit::Dataset,
    },
    scenario::{
        diagnostic::{Diagnostic, Report, near},
        recording::{ColumnSpec, Table, TableSpec},
    },
    units,
};

/// How recordings are read: the flags that `fit` and `score diagnose` have in common.
pub(crate) struct Flags<'a> {
    pub(crate) reading: &'a ReadingArgs,
    pub(crate) map: &'a [String],
    pub(crate) constants: &'a [String],
    /// All recordings, for `--const` to be about.
    pub(crate) files: Vec<&'a Path>,
}

impl Flags<'_> {
    /// The network for what these flags tell of its inputs.
    pub(crate) fn told(&self, def: &DynamicsDef) -> DynamicsDef {
        let constant = |flag: &String| constant(flag).map(|c| c.name.to_owned()).unwrap_or_default();
        let told: Vec<String> = (self.map.iter().map(|f| signal_of(f).to_owned()))
            .chain(self.constants.iter().map(constant))
            .collect();
        def.told_only(|signal| told.iter().any(|t| t == signal))
    }
}

/// A `--const FILE:NAME=VALUE`.
struct Constant<'a> {
    file: &'a str,
    name: &'a str,
    value: f64,
}

fn constant(text: &str) -> Result<Constant<'_>, Report> {
    let parts = text.rsplit_once('=').and_then(|(head, value)| {
        let (file, name) = head.rsplit_once(':')?;
        let value = value.trim().parse::<f64>().ok().filter(|v| v.is_finite())?;
        Some(Constant { file, name, value })
    });
    parts.ok_or_else(|| {
        Diagnostic::error(format!("`--const {text}` is not understood"))
            .help("write FILE:NAME=VALUE, such as \"run2.csv:lid=1\" or \"*:lid=0\"")
            .into()
    })
}

impl Constant<'_> {
    /// Whether it is about this file: by its path, its name alone, or all.
    fn fits(&self, path: &Path) -> bool {
        self.file == "*"
            || path == Path::new(self.file)
            || path.file_name().is_some_and(|name| name == self.file)
    }
}

fn signal_of(flag: &str) -> &str {
    flag.split_once('=').map_or(flag, |(signal, _)| signal)
}

fn spec(args: &Flags<'_>, def: &DynamicsDef) -> Result<TableSpec, Report> {
    let mut spec = args.reading.spec(Vec::new())?;
    let known: Vec<&str> = (def.inputs.iter().map(|i| i.signal.as_str()))
        .chain(def.outputs.iter().map(|o| o.signal.as_str()))
        .collect();
    let mut report = Report::default();
    for flag in args.map {
        let signal = signal_of(flag);
        match ColumnSpec::flag(flag) {
            None => report.push(
                Diagnostic::error(format!("`--map {flag}` is not understood"))
                    .help("write SIGNAL=COLUMN or SIGNAL=COLUMN:UNIT, such as \"soc.temperature=temp:C\""),
            ),
            Some(_) if !known.contains(&signal) => report.push(
                Diagnostic::error(format!("the thing has no signal `{signal}`"))
                    .help(format!("it has {}", known.join(", ")))
                    .maybe_help(near(signal, known.iter().copied())),
            ),
            Some(column) => spec.columns.push(counted(column, def)),
        }
    }
    report.into_result().map(|_| spec)
}

/// The column in the unit in which the network counts it.
fn counted(mut column: ColumnSpec, def: &DynamicsDef) -> ColumnSpec {
    let input = def.inputs.iter().find(|i| i.signal == column.name);
    column.to = input.and_then(|i| units::find(&i.unit)).or(column.to);
    column
}

/// A recording, and the table that it was read from, which knows how it writes its times.
pub(crate) struct Recorded {
    pub(crate) data: Dataset,
    pub(crate) table: Table,
}

/// Reads recordings; what was odd about them is added to the warnings.
pub(crate) fn read_all(
    args: &Flags<'_>,
    paths: &[PathBuf],
    def: &DynamicsDef,
    warnings: &mut Report,
) -> Result<Vec<Recorded>, Report> {
    let spec = spec(args, def)?;
    let constants = args.constants.iter().map(|c| constant(c)).collect::<Result<Vec<_>, _>>()?;
    let mut report = Report::default();
    for c in &constants {
        if !args.files.iter().any(|f| c.fits(f)) {
            let error =
                Diagnostic::error(format!("`--const {}:{}` is about no recording given", c.file, c.name));
            report.push(error.help("name it as after --data or --test, or write `*` for all"));
        }
        let known = || def.covariates.keys().chain(def.inputs.iter().map(|i| &i.signal)).map(String::as_str);
        if !known().any(|k| k == c.name) {
            let error = Diagnostic::error(format!("the thing has no covariate or input `{}`", c.name));
            report.push(error.maybe_help(near(c.name, known())));
        }
    }
    let mut all = Vec::new();
    for path in paths {
        let mine: BTreeMap<&str, f64> =
            constants.iter().filter(|c| c.fits(path)).map(|c| (c.name, c.value)).collect();
        match read(path, &spec, def, &mine, warnings) {
            Ok(data) => all.push(data),
            Err(errors) => report.merge(errors),
        }
    }
    report.into_result().map(|_| all)
}

fn read(
    path: &Path,
    spec: &TableSpec,
    def: &DynamicsDef,
    constants: &BTreeMap<&str, f64>,
    warnings: &mut Report,
) -> Result<Recorded, Report> {
    let mut table = table::open(path, spec)?;
    let rows = table.t_s.len();
    let column = |signal: &str| table.columns.iter().find(|c| c.name == signal).map(|c| c.values.clone());
    let mut data = Dataset {
        name: path.display().to_string(),
        t_s: table.t_s.clone(),
        outputs: Vec::new(),
        inputs: Vec::new(),
        covariates: BTreeMap::new(),
    };
    for input in &def.inputs {
        let constant = constants.get(input.signal.as_str()).map(|v| vec![*v; rows]);
        let supposed = match input.unless_said {
            Some(UnsaidDef::Stays(v) | UnsaidDef::Learnt(v, _)) => Some(v),
            None => None,
        };
        let told = column(&input.signal).or(constant);
        if let (None, Some(v)) = (&told, supposed) {
            let text = format!(
                "nothing says what `{}` was in {}; taken as {v} {}",
                input.signal, data.name, input.unit
            );
            let help = format!("map a column to it, or add `--const {}:{}=VALUE`", data.name, input.signal);
            warnings.push(Diagnostic::warning(text).help(help));
        }
        if let Some(warning) = told.as_ref().and_then(|values| as_a_share(input, values, &data.name)) {
            warnings.push(warning);
        }
        let supposed = supposed.map(|v| vec![v; rows]);
        data.inputs.push(told.or(supposed).ok_or_else(|| {
            let signal = &input.signal;
            Diagnostic::error(format!("nothing says what the input `{signal}` was in {}", data.name)).help(
                format!(
                    "add `--map {signal}=COLUMN`, or `--const {}:{signal}=VALUE` if it was constant",
                    data.name
                ),
            )
        })?);
    }
    for output in &def.outputs {
        let values = column(&output.signal).unwrap_or_else(|| vec![f64::NAN; rows]);
        if let Some(warning) = in_kelvin(&output.signal, &values, &data.name) {
            warnings.push(warning);
        }
        data.outputs.push(values);
    }
    for name in def.covariates.keys() {
        if let Some(value) = constants.get(name.as_str()) {
            data.covariates.insert(name.clone(), *value);
        }
    }
    warnings.merge(std::mem::take(&mut table.notes.warnings));
    table.columns.clear();
    Ok(Recorded { data, table })
}

/// An input in percent that goes from nothing to one and no further, as a share does, or what is on or off.
fn as_a_share(input: &InputDef, values: &[f64], file: &str) -> Option<Diagnostic> {
    let seen = || values.iter().copied().filter(|v| v.is_finite());
    let (low, high) = (seen().fold(f64::INFINITY, f64::min), seen().fold(f64::NEG_INFINITY, f64::max));
    let percent = units::find(&input.unit).is_some_and(|unit| unit.symbol == "percent");
    let alike = percent && input.range.1 >= 50.0 && low >= 0.0 && low < high && high <= 1.0;
    alike.then(|| {
        let signal = &input.signal;
        let text = format!("`{signal}` goes from {low} to {high} percent in {file}: is it a share of one?");
        Diagnostic::warning(text).help(format!("`--map {signal}=COLUMN:ratio` makes 100 percent of one"))
    })
}

/// Readings in °C that all lie where a room, or what is in one, is in kelvin.
fn in_kelvin(signal: &str, values: &[f64], file: &str) -> Option<Diagnostic> {
    let seen = || values.iter().copied().filter(|v| v.is_finite());
    let (low, high) = (seen().fold(f64::INFINITY, f64::min), seen().fold(f64::NEG_INFINITY, f64::max));
    let alike = signal.ends_with(".temperature") && low <= high && low > 240.0 && high < 400.0;
    alike.then(|| {
        let text = format!("`{signal}` reads {low:.0} to {high:.0} °C in {file}: are these kelvin?");
        Diagnostic::warning(text).help(format!("`--map {signal}=COLUMN:K` converts them"))
    })
}

/// Widens the stated range of an input where recordings leave it, and says so: what was recorded did happen.
pub(crate) fn widen<'a>(
    def: &mut DynamicsDef,
    data: impl Iterator<Item = &'a Dataset> + Clone,
    warnings: &mut Report,
) {
    for (k, input) in def.inputs.iter_mut().enumerate() {
        let seen = data.clone().flat_map(|d| &d.inputs[k]).filter(|v| v.is_finite());
        let (low, high) = seen.fold(input.range, |(l, h), v| (l.min(*v), h.max(*v)));
        if (low, high) != input.range {
            let text = format!(
                "`{}` ranges over {low} to {high} in these recordings, the thing says {} to {} {}",
                input.signal, input.range.0, input.range.1, input.unit
            );
            let help = "taken as it was recorded; if it is in another unit, name it (`--map SIGNAL=COL:UNIT`), or \
                        the parameters that go with it are in units of their own";
            warnings.push(Diagnostic::warning(text).help(help));
            input.declared.get_or_insert(input.range);
            input.range = (low, high);
        }
    }
}
