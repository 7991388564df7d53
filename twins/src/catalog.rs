//! The catalog and the scenarios that come with the program, and the folders that users put beside them.
//!
//! A folder of definitions has `boards/`, `sensors/`, `actuators/`, `batteries/`, `regulators/`, `links/` and `things/`, one
//! file per definition. A user's
//! definition replaces a built-in one of the same name.
//!
//! ```
//! use twinfleet_twins::catalog;
//! let all = catalog::builtin().unwrap();
//! assert!(all.sensors.contains_key("bme280"));
//! ```

use include_dir::{Dir, include_dir};
use serde::Serialize;
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};
use twinfleet_engine::{
    catalog::{ActuatorDef, BoardDef, Catalog, PowerDef, SensorDef, ThingDef},
    link::profile::LinkProfileDef,
    power::{cell::BatteryDef, regulator::RegulatorDef},
    scenario::{
        check::Place,
        definition::{self, Definition},
        diagnostic::{Diagnostic, Report},
        source::Source,
    },
};

static CATALOG: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/catalog");
static SCENARIOS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../scenarios");
static RECORDINGS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../assets/recordings");
static PARAMS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../assets/params");

/// Most files of one folder of definitions; beyond, another folder was meant.
const MAX_FILES: usize = 10_000;

/// The catalog that comes with the program.
///
/// # Errors
/// Never with the files as shipped: a test reads them all.
pub fn builtin() -> Result<Catalog, Report> {
    let mut catalog = Catalog { dialects: crate::dialect::for_engine(), ..Catalog::default() };
    load(&mut catalog, &embedded())?;
    Ok(catalog)
}

/// Adds the definitions of a user's folder, `--catalog DIR` or [`beside`] a scenario.
///
/// # Errors
/// All mistakes of all files together, each with its place.
pub fn load_dir(catalog: &mut Catalog, dir: &Path) -> Result<(), Report> {
    let mut shelves = Shelves::default();
    let mut report = Report::default();
    if !dir.is_dir() {
        let error = Diagnostic::error(format!("there is no folder `{}`", dir.display()));
        return Err(error.help(format!("it holds {FOLDERS_IN_WORDS} with .ron files")).into());
    }
    let mut any = false;
    for folder in FOLDERS {
        let path = dir.join(folder);
        any |= path.is_dir();
        let (sources, unread) = read_folder(&path, &mut report);
        shelves.of(folder).extend(sources);
        shelves.unread.extend(unread);
    }
    if !any {
        let error = Diagnostic::error(format!("`{}` holds no definitions", dir.display()));
        return Err(error.help(format!("put .ron files into {FOLDERS_IN_WORDS} within it")).into());
    }
    if let Err(errors) = load(catalog, &shelves) {
        report.merge(errors);
    }
    report.into_result().map(|_| ())
}

/// The definitions of a user's folder as they are written, in the order in which they are read.
///
/// # Errors
/// What cannot be read.
pub fn texts(dir: &Path) -> Result<Vec<Source>, Report> {
    let mut all = Vec::new();
    let mut report = Report::default();
    for folder in FOLDERS {
        all.extend(read_folder(&dir.join(folder), &mut report).0);
    }
    report.into_result().map(|_| all)
}

/// Whether a folder of this name holds definitions.
pub fn is_folder(name: &str) -> bool {
    FOLDERS.contains(&name)
}

/// The folder `catalog/` next to a scenario file, if there is one.
pub fn beside(scenario: &Path) -> Option<PathBuf> {
    let dir = scenario.parent()?.join("catalog");
    dir.is_dir().then_some(dir)
}

/// The text of a scenario that comes with the program, by its name with or without `.ron`.
pub fn scenario_text(name: &str) -> Option<&'static str> {
    let stem = name.strip_suffix(".ron").unwrap_or(name);
    SCENARIOS.get_file(format!("{stem}.ron"))?.contents_utf8()
}

/// Names of the scenarios that come with the program, sorted.
pub fn scenarios() -> Vec<&'static str> {
    let mut names: Vec<&str> = SCENARIOS
        .files()
        .filter(|f| f.path().extension().is_some_and(|e| e == "ron"))
        .filter_map(|f| f.path().file_stem()?.to_str())
        .collect();
    names.sort_unstable();
    names
}

/// A recording or parameter file that comes with the program, by its path from the repository's root. For
/// `scenario::files::Files::with_embedded`.
pub fn file(path: &str) -> Option<&'static [u8]> {
    let path = path.trim_start_matches("./").trim_start_matches("../");
    if path.starts_with("scripts/") {
        return SCENARIOS.get_file(path).map(|f| f.contents());
    }
    let found = match path.strip_prefix("assets/")?.split_once('/')? {
        ("recordings", rest) => RECORDINGS.get_file(rest),
        ("params", rest) => PARAMS.get_file(rest),
        _ => None,
    };
    found.map(|f| f.contents())
}

/// The files that lie beside one that came with the program, itself among them, by their names.
pub fn beside_file(path: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let path = path.trim_start_matches("./");
    let folder = Path::new(path).parent().and_then(|dir| SCENARIOS.get_dir(dir));
    let files = folder.into_iter().flat_map(Dir::files);
    files.filter_map(|f| Some((PathBuf::from(f.path().file_name()?), f.contents().to_vec()))).collect()
}

/// A line of `twinfleet list`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Listed {
    /// Name that scenarios and things use.
    pub name: String,
    /// What it is, in a sentence.
    pub about: String,
    /// Where its figures come from; empty for a scenario.
    pub source: String,
}

/// The definitions of one kind (`boards`, `sensors`, `actuators`, `batteries`, `regulators`, `links`, `things`) or the `scenarios`, sorted by name. `None` for
/// another word.
pub fn list(catalog: &Catalog, what: &str) -> Option<Vec<Listed>> {
    let line = |name: &String, about: &String, source: &String| Listed {
        name: name.clone(),
        about: about.clone(),
        source: source.clone(),
    };
    Some(match what {
        "boards" => catalog.boards.values().map(|d| line(&d.name, &d.about, &d.source)).collect(),
        "sensors" => catalog.sensors.values().map(|d| line(&d.name, &d.about, &d.source)).collect(),
        "actuators" => catalog.actuators.values().map(|d| line(&d.name, &d.about, &d.source)).collect(),
        "batteries" => catalog.batteries.values().map(|d| line(&d.name, &d.about, &d.source)).collect(),
        "regulators" => catalog.regulators.values().map(|d| line(&d.name, &d.about, &d.source)).collect(),
        "links" => catalog.links.values().map(|d| line(&d.name, &d.about, &d.source)).collect(),
        "things" => catalog.things.values().map(|d| line(&d.name, &d.about, &d.source)).collect(),
        "scenarios" => scenarios().into_iter().map(listed_scenario).collect(),
        _ => return None,
    })
}

fn listed_scenario(name: &str) -> Listed {
    let source = Source::embedded(name, scenario_text(name).unwrap_or_default());
    let about = source.tree().get("about").and_then(|n| n.text()).unwrap_or_default();
    Listed { name: name.to_owned(), about: about.to_owned(), source: String::new() }
}

const FOLDERS: [&str; 7] = [
    BoardDef::FOLDER,
    SensorDef::FOLDER,
    ActuatorDef::FOLDER,
    BatteryDef::FOLDER,
    RegulatorDef::FOLDER,
    LinkProfileDef::FOLDER,
    ThingDef::FOLDER,
];

/// The folders as help texts name them.
const FOLDERS_IN_WORDS: &str = "boards/, sensors/, actuators/, batteries/, regulators/, links/ or things/";

/// Texts by kind of definition.
#[derive(Default)]
struct Shelves {
    boards: Vec<Source>,
    sensors: Vec<Source>,
    actuators: Vec<Source>,
    batteries: Vec<Source>,
    regulators: Vec<Source>,
    links: Vec<Source>,
    things: Vec<Source>,
    /// Names of files that hold no text, without their extension.
    unread: Vec<String>,
}

impl Shelves {
    fn of(&mut self, folder: &str) -> &mut Vec<Source> {
        match folder {
            BoardDef::FOLDER => &mut self.boards,
            SensorDef::FOLDER => &mut self.sensors,
            ActuatorDef::FOLDER => &mut self.actuators,
            BatteryDef::FOLDER => &mut self.batteries,
            RegulatorDef::FOLDER => &mut self.regulators,
            LinkProfileDef::FOLDER => &mut self.links,
            _ => &mut self.things,
        }
    }
}

fn embedded() -> Shelves {
    let mut shelves = Shelves::default();
    for folder in FOLDERS {
        let files = CATALOG.get_dir(folder).map(Dir::files).into_iter().flatten();
        let mut sources: Vec<Source> = files
            .filter(|f| f.path().extension().is_some_and(|e| e == "ron"))
            .map(|f| {
                let name = format!("twins/catalog/{}", f.path().display());
                Source::embedded(&name, f.contents_utf8().unwrap_or_default())
            })
            .collect();
        sources.sort_by(|a, b| a.name().cmp(b.name()));
        shelves.of(folder).extend(sources);
    }
    shelves
}

/// The texts of a folder's files, and the names of those that hold none, which are told.
fn read_folder(path: &Path, report: &mut Report) -> (Vec<Source>, Vec<String>) {
    let (mut sources, mut unread) = (Vec::new(), Vec::new());
    if !path.is_dir() {
        return (sources, unread);
    }
    let refuse = |why: String| Diagnostic::error(format!("`{}`: {why}", path.display()));
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) => {
            report.push(refuse(format!("cannot be listed: {error}")));
            return (sources, unread);
        }
    };
    let mut files: Vec<PathBuf> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|p| p.extension().is_some_and(|e| e == "ron"))
        .take(MAX_FILES + 1)
        .collect();
    if files.len() > MAX_FILES {
        report.push(refuse(format!("more than {MAX_FILES} files")));
        return (sources, unread);
    }
    files.sort();
    for file in &files {
        match Source::read(file) {
            Ok(source) => sources.push(source),
            Err(errors) => {
                report.merge(errors);
                unread.extend(file_stem(file));
            }
        }
    }
    (sources, unread)
}

fn file_stem(file: &Path) -> Option<String> {
    Some(file.file_stem()?.to_string_lossy().into_owned())
}

/// Reads all shelves into the catalog, then checks the new things against the whole. What is wrong with a definition has been told
/// at its own file: a thing that names it is not told on top that there is none.
fn load(catalog: &mut Catalog, shelves: &Shelves) -> Result<(), Report> {
    let mut report = Report::default();
    let mut unread: BTreeSet<String> = shelves.unread.iter().cloned().collect();
    for (_, board) in read_shelf::<BoardDef>(&shelves.boards, &mut report, &mut unread) {
        catalog.boards.insert(board.name.clone(), board);
    }
    for (source, sensor) in read_shelf::<SensorDef>(&shelves.sensors, &mut report, &mut unread) {
        taken(
            catalog.actuators.contains_key(&sensor.name),
            "an actuator",
            &source,
            &sensor.name,
            &mut report,
        );
        catalog.sensors.insert(sensor.name.clone(), sensor);
    }
    for (source, actuator) in read_shelf::<ActuatorDef>(&shelves.actuators, &mut report, &mut unread) {
        taken(catalog.sensors.contains_key(&actuator.name), "a sensor", &source, &actuator.name, &mut report);
        catalog.actuators.insert(actuator.name.clone(), actuator);
    }
    for (_, battery) in read_shelf::<BatteryDef>(&shelves.batteries, &mut report, &mut unread) {
        catalog.batteries.insert(battery.name.clone(), battery);
    }
    for (_, regulator) in read_shelf::<RegulatorDef>(&shelves.regulators, &mut report, &mut unread) {
        catalog.regulators.insert(regulator.name.clone(), regulator);
    }
    for (_, link) in read_shelf::<LinkProfileDef>(&shelves.links, &mut report, &mut unread) {
        catalog.links.insert(link.name.clone(), link);
    }
    let things = read_shelf::<ThingDef>(&shelves.things, &mut report, &mut unread);
    for (_, thing) in &things {
        catalog.things.insert(thing.name.clone(), thing.clone());
    }
    for (source, thing) in things.iter().filter(|(_, thing)| names(thing).all(|n| !unread.contains(n))) {
        definition::check_thing(thing, catalog, &Place::new(source, ""), &mut report);
    }
    report.into_result().map(|_| ())
}

/// The definitions that a thing names.
fn names(thing: &ThingDef) -> impl Iterator<Item = &str> {
    let supply = match &thing.power {
        Some(PowerDef::Pack { cell, regulator, .. }) => [Some(cell.as_str()), regulator.as_deref()],
        _ => [None, None],
    };
    let parts = thing.parts.iter().map(|part| part.model.as_str());
    thing.board.as_deref().into_iter().chain(parts).chain(supply.into_iter().flatten())
}

fn taken(is_taken: bool, by: &str, source: &Source, name: &str, report: &mut Report) {
    if is_taken {
        let place = Place::new(source, "");
        let error = place.error("name", format!("`{name}` is the name of {by} already"));
        report.push(error.help("parts are named by their model alone: choose another name"));
    }
}

/// The files of one kind, each name once; what files with mistakes would define goes to the `unread`.
fn read_shelf<T: Definition>(
    sources: &[Source],
    report: &mut Report,
    unread: &mut BTreeSet<String>,
) -> Vec<(Source, T)> {
    let mut read: Vec<(Source, T)> = Vec::new();
    for source in sources {
        match definition::read::<T>(source) {
            Ok(value) => {
                let clash = read.iter().find(|(_, other)| other.name() == value.name());
                if let Some((other, _)) = clash {
                    let place = Place::new(source, "");
                    let text = format!("two files define the {} `{}`", T::WORD.to_lowercase(), value.name());
                    report.push(place.error("name", text).help(format!("the other one is {}", other.name())));
                } else {
                    read.push((source.clone(), value));
                }
            }
            Err(errors) => {
                report.merge(errors);
                unread.extend(source.tree().get("name").and_then(|n| n.text()).map(str::to_owned));
                unread.extend(file_stem(Path::new(source.name())));
            }
        }
    }
    read
}
