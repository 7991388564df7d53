//! What the user likes, kept between sessions in `settings.json` of the user's configuration folder.

use crate::units::Units;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::path::{Path, PathBuf, absolute};
use twinfleet_engine::{aside, units};

/// Sizes of everything.
pub const SCALES: std::ops::RangeInclusive<f32> = 0.6..=2.5;

/// Colours for figures; all but `Turbo` are told apart by colour-blind eyes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Palette {
    /// Dark blue to yellow.
    #[default]
    Viridis,
    /// Dark blue to yellow, the same to every kind of eye.
    Cividis,
    /// Black through red to white.
    Inferno,
    /// The rainbow, with more steps and fewer who can read it.
    Turbo,
}

impl Palette {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Viridis, Self::Cividis, Self::Inferno, Self::Turbo];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Viridis => "viridis",
            Self::Cividis => "cividis",
            Self::Inferno => "inferno",
            Self::Turbo => "turbo",
        }
    }
}

/// What is kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// Dark or light.
    pub dark: bool,
    /// Size of everything in the panels.
    pub scale: f32,
    /// Colours of figures.
    pub palette: Palette,
    /// Units of choice.
    pub units: Units,
    /// Shadows; none: where a graphics card draws.
    pub fine: Option<bool>,
    /// Where the panels are.
    pub layout: Option<egui_tiles::Tree<crate::panels::Pane>>,
    /// Files opened of late, the last first.
    pub recent: Vec<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            dark: true,
            scale: 1.0,
            palette: Palette::default(),
            units: Units::default(),
            fine: None,
            layout: None,
            recent: Vec::new(),
        }
    }
}

impl Settings {
    /// Those of the last session; the defaults where there are none.
    pub fn load() -> Self {
        let text = path().and_then(|p| std::fs::read_to_string(p).ok());
        text.map_or_else(Self::default, |t| Self::read(&t))
    }

    /// Each that can be read, such as colours of this version; the others are the defaults.
    fn read(text: &str) -> Self {
        let all: Map<String, Value> = serde_json::from_str(text).unwrap_or_default();
        let alone = |(key, value): (&String, &Value)| Map::from_iter([(key.clone(), value.clone())]);
        let fits = |one: Map<String, Value>| serde_json::from_value::<Self>(Value::Object(one)).is_ok();
        let known = all.iter().filter(|one| fits(alone(*one))).map(|(k, v)| (k.clone(), v.clone()));
        let mut settings: Self = serde_json::from_value(Value::Object(known.collect())).unwrap_or_default();
        if !SCALES.contains(&settings.scale) {
            settings.scale = 1.0;
        }
        let Units { temperature, pressure, speed, angle } = &settings.units;
        if [temperature, pressure, speed, angle].into_iter().any(|unit| units::find(unit).is_none()) {
            settings.units = Units::default();
        }
        settings
    }

    /// Keeps them. Where that fails nothing else is lost, so the caller may only tell of it.
    ///
    /// # Errors
    /// What the system said.
    pub fn save(&self) -> std::io::Result<()> {
        let Some(path) = path() else { return Ok(()) };
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let text = serde_json::to_string_pretty(self).map_err(std::io::Error::other)?;
        aside::write_whole(&path, text)
    }

    /// Puts a file at the head of those opened of late: by its whole path, which is found from wherever the program is started.
    pub fn opened(&mut self, file: &str) {
        // A folder that is no record is not what was opened: that came with the program.
        let is = |p: &&Path| p.is_file() || p.join("manifest.json").is_file();
        let whole = Some(Path::new(file)).filter(is).and_then(|p| absolute(p).ok());
        let file = whole.map_or_else(|| file.to_owned(), |p| p.to_string_lossy().into_owned());
        self.recent.retain(|f| *f != file);
        self.recent.insert(0, file);
        self.recent.truncate(8);
    }
}

/// `$TWINFLEET_SETTINGS`, else `twinfleet/settings.json` in the folder for configuration.
fn path() -> Option<PathBuf> {
    if let Some(path) = std::env::var_os("TWINFLEET_SETTINGS") {
        return Some(path.into());
    }
    // What is no absolute path there, nothing for one, is to be passed over (XDG Base Directory Specification).
    let folder = std::env::var_os("XDG_CONFIG_HOME")
        .map(PathBuf::from)
        .filter(|p| p.is_absolute())
        .or_else(|| std::env::var_os("APPDATA").map(PathBuf::from))
        .or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".config")))?;
    Some(folder.join("twinfleet").join("settings.json"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_that_cannot_be_read_costs_no_other_one() {
        let mut kept = Settings { dark: false, scale: 1.4, ..Settings::default() };
        kept.layout = Some(crate::panels::shell::layout());
        kept.units.temperature = "K".to_owned();
        let text = serde_json::to_string(&kept).unwrap();
        assert_eq!(Settings::read(&text), kept);
        let later = text.replace("\"Viridis\"", "\"Batlow\"").replace("\"Plots\"", "\"Maps\"");
        assert_ne!(later, text);
        assert_eq!(Settings::read(&later), Settings { layout: None, ..kept.clone() });
        // Nor is what nobody could work with.
        let odd = text.replace("1.4", "0.0").replace("\"K\"", "\"parsec per fortnight\"");
        let read = Settings::read(&odd);
        assert_eq!((read.scale, read.dark, read.units), (1.0, false, Units::default()));
        assert_eq!(Settings::read("no settings"), Settings::default());
    }

    #[test]
    fn what_was_opened_of_late_is_found_from_another_folder_too() {
        let mut settings = Settings::default();
        // Tests run in the package's folder.
        settings.opened("Cargo.toml");
        settings.opened("greenhouse");
        settings.opened("./Cargo.toml");
        let [file, name] = &settings.recent[..] else { panic!("{:?}", settings.recent) };
        assert!(Path::new(file).is_absolute() && Path::new(file).is_file(), "{file}");
        assert_eq!(name, "greenhouse", "a shipped one is found from everywhere");
    }
}
