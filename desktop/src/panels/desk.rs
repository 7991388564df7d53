//! The state of the window, and how something comes to be shown; what a user can do with it has a file each: time, looks, plots,
//! acts, the half beside, leaving.

mod acts;
mod beside;
mod leave;
mod look;
mod signals;
mod time;

pub use beside::Beside;
pub use leave::Leave;

use super::{Pane, events::Found, export::Kind as Export};
use crate::{
    settings::Settings,
    sim::{
        act::Act,
        open::{Opened, Origin},
        session::Session,
        source::NoSource,
        traffic::Sieve,
    },
    stage::{camera::View, show::Shown},
};
use std::{
    path::PathBuf,
    sync::Arc,
    time::{Instant, SystemTime, UNIX_EPOCH},
};
use twinfleet_engine::{
    scenario::diagnostic::{Report, Style},
    signal::SignalId,
    time::SimTime,
};
use twinfleet_twins::script;

/// Something to tell the user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// What went wrong or was done.
    pub text: String,
    /// Whether it went wrong.
    pub bad: bool,
}

/// What was refused, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The file that was to be opened.
    pub file: String,
    /// What is wrong, with its place in the file.
    pub text: String,
    /// Whether the outside failed (a broker) rather than the input.
    pub outside: bool,
}

/// A picture of the plots that is to be taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snap {
    /// Into which file.
    pub path: PathBuf,
    /// Frames to draw before: the plots come to the front within these.
    pub wait: u8,
}

/// An act as the list of acts shows it.
#[derive(Clone, Debug, PartialEq)]
pub struct Done {
    /// From when on.
    pub at: SimTime,
    /// Until when.
    pub until: Option<SimTime>,
    /// What.
    pub act: Act,
}

/// What a user fills in to act.
#[derive(Clone, Debug, PartialEq)]
pub struct Form {
    /// Which act, by its place in the panel's list.
    pub what: usize,
    /// Which fault, by its place in the list of faults.
    pub fault: usize,
    /// Its figure.
    pub size: f64,
    /// Target: part.quantity, part, zone or link.
    pub part: String,
    /// How long it lasts, as scenarios write it; empty: for good.
    pub lasting: String,
    /// Figures of the weather that are to be others, in the panel's order.
    pub weather: Vec<Option<f64>>,
}

impl Default for Form {
    fn default() -> Self {
        let lasting = "10min".to_owned();
        Self { what: 0, fault: 0, size: 3.0, part: String::new(), lasting, weather: Vec::new() }
    }
}

/// What a text field is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asking {
    /// Nothing.
    Nothing,
    /// Which file to open.
    Open(String),
    /// Which file's twins are to follow real devices, and on which broker.
    Follow(String, String),
    /// Which file to show beside this one.
    Beside(String),
    /// Where to save the session.
    Save(String),
    /// Whether to save over the file that is there.
    Overwrite(PathBuf),
}

/// What the panel Act asks for.
#[derive(Clone, Debug, PartialEq)]
pub enum Asked {
    /// That this is done, until then.
    Act(Act, Option<SimTime>),
    /// That the last act is taken back.
    Undo,
}

/// The state of the window. What panels call must not look at the run by [`Session::shared`]: they are drawn while it is held.
pub struct Desk {
    /// What the user likes.
    pub settings: Settings,
    /// Where the panels are.
    pub tree: egui_tiles::Tree<Pane>,
    /// The run; none on the start page.
    pub session: Option<Arc<Session>>,
    /// What the scene shows; none on the start page.
    pub shown: Option<Shown>,
    /// What is shown beside it; none where the view is not split.
    pub beside: Option<Beside>,
    /// Whether the scene has to follow.
    pub touched: bool,
    /// Counts scenarios shown.
    generation: u64,
    /// The instant to show, [s]: between ticks while playing.
    cursor_s: f64,
    /// Whether time goes on.
    pub playing: bool,
    /// Simulated seconds a second.
    pub speed: f64,
    /// Instants to come back to, by hand; faults and alarms are marked by themselves.
    pub bookmarks: Vec<SimTime>,
    /// What the fleet panel is filtered by.
    pub search: String,
    /// Whether the fleet panel shows only what is wrong.
    pub only_wrong: bool,
    /// Signals on the plots, a plot a list.
    pub plots: Vec<Vec<SignalId>>,
    /// What is filled in to act.
    pub form: Form,
    /// What was done in this session, in order.
    pub done: Vec<Done>,
    /// What was done when it was last saved.
    saved: Vec<Done>,
    /// What is to be done once the user has said what becomes of what is not saved.
    pub leaving: Option<Leave>,
    /// What a text field is asked for.
    pub asking: Asking,
    /// The last thing to tell.
    pub notice: Option<Notice>,
    /// What was refused last.
    pub refused: Option<Refused>,
    /// Whether the list of shortcuts is open.
    pub help: bool,
    /// Filter of the MQTT panel.
    pub topic: String,
    /// Messages that fit it.
    pub heard: Sieve,
    /// Filter of the events panel.
    pub event: String,
    /// Events that have its words.
    pub found: Found,
    /// A view to go to.
    pub go: Option<View>,
    /// Where the camera is.
    pub eye: View,
    /// Where the scene is on the screen.
    pub scene_rect: egui::Rect,
    /// Pixels a point.
    pub points: f32,
    /// Threads of the simulation.
    pub threads: usize,
    /// Seed in place of the scenario's own.
    pub seed: Option<u64>,
    /// How scripts are run.
    pub scripts: script::Options,
    /// Overrides of `--set`, for the first file.
    pub sets: Vec<String>,
    /// Folders of `--catalog`.
    pub catalog: Vec<PathBuf>,
    /// Wall time of the last frames, [ms].
    pub frame_ms: f64,
    /// What draws.
    pub adapter: String,
    /// Whether to end.
    pub quit: bool,
    /// Plots to write, of this kind.
    pub export: Option<Export>,
    /// Dark or light by the command line, in place of what is kept; until it is chosen anew.
    pub dark: Option<bool>,
    /// A picture of the plots to take.
    pub snap: Option<Snap>,
    /// Where the plots are on the screen.
    pub plots_rect: egui::Rect,
    /// The signal that keys put on a plot: one of the selected device's.
    pub signal: Option<SignalId>,
    /// Whether the inspector tells of the half beside.
    pub of_beside: bool,
    /// Whether the act that is filled in is to be done.
    pub do_it: bool,
    /// What is to be done once all panels are drawn: the run that it ends is held until then, by what is kept beside as well.
    pub asked: Option<Asked>,
    /// Whether it was told that the run has failed.
    told: bool,
    started: Instant,
    stirred_s: f64,
    last: Option<(SimTime, SimTime, usize)>,
}

impl Desk {
    /// The start page.
    pub fn new(settings: Settings) -> Self {
        let tree = settings.layout.clone().unwrap_or_else(super::shell::layout);
        Self {
            settings,
            tree,
            session: None,
            shown: None,
            beside: None,
            touched: false,
            generation: 0,
            cursor_s: 0.0,
            playing: false,
            speed: 1.0,
            bookmarks: Vec::new(),
            search: String::new(),
            only_wrong: false,
            plots: vec![Vec::new()],
            form: Form::default(),
            done: Vec::new(),
            saved: Vec::new(),
            leaving: None,
            asking: Asking::Nothing,
            notice: None,
            refused: None,
            help: false,
            topic: String::new(),
            heard: Sieve::default(),
            event: String::new(),
            found: Found::default(),
            go: None,
            eye: View { target: bevy::math::Vec3::ZERO, distance: 10.0, yaw: 0.5, pitch: 0.6 },
            scene_rect: egui::Rect::ZERO,
            points: 1.0,
            threads: 1,
            seed: None,
            sets: Vec::new(),
            catalog: Vec::new(),
            scripts: script::Options::default(),
            frame_ms: 0.0,
            adapter: String::new(),
            quit: false,
            export: None,
            dark: None,
            snap: None,
            plots_rect: egui::Rect::ZERO,
            signal: None,
            of_beside: false,
            do_it: false,
            asked: None,
            told: false,
            started: Instant::now(),
            stirred_s: 0.0,
            last: None,
        }
    }

    /// Wall time since the window opened, [s].
    pub fn up_s(&self) -> f64 {
        self.started.elapsed().as_secs_f64()
    }

    /// Opens a scenario by its file or name, or a record by its folder; what is wrong is told where the user looks.
    pub fn open(&mut self, file: &str) {
        match Opened::file(file, &std::mem::take(&mut self.sets), self.seed, &self.catalog) {
            Ok(opened) => {
                if self.begin(opened.scripted(&self.scripts)) {
                    self.settings.opened(file);
                }
            }
            Err(report) => self.refuse(file, &report),
        }
    }

    /// Follows real devices: the twins of a scenario hear them on a broker.
    pub fn follow_live(&mut self, file: &str, broker: &str) {
        let now_unix_ms = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis() as i64);
        let sets = std::mem::take(&mut self.sets);
        match Opened::mirror(file, broker, &sets, &self.catalog, now_unix_ms) {
            Ok(opened) => {
                if self.begin(opened) {
                    self.playing = true;
                }
            }
            Err(report) => self.refuse(file, &report),
        }
    }

    /// Simulates the scenario of the record that is shown anew, up to the instant that is shown: there it can be acted on.
    pub fn simulate_anew(&mut self) {
        let Some(shown) = &self.shown else { return };
        match shown.opened.anew() {
            Ok(opened) => {
                let now = self.now();
                if self.begin(opened.scripted(&self.scripts)) {
                    self.go_to(now);
                }
            }
            Err(report) => {
                let file = shown.opened.file.clone();
                self.refuse(&file, &report);
            }
        }
    }

    /// Shows something else from its start.
    fn begin(&mut self, opened: Opened) -> bool {
        if !self.start(opened) {
            // Where what was shown still is, what was done in it is, too.
            if self.session.is_none() {
                self.forget();
            }
            return false;
        }
        self.forget();
        self.bookmarks.clear();
        self.cursor_s = 0.0;
        self.playing = false;
        self.notice = None;
        (self.signal, self.of_beside) = (None, false);
        self.fit_speed();
        self.first_plots();
        let told = self.shown.as_ref().and_then(|shown| warned(&shown.opened.loaded.warnings));
        told.into_iter().for_each(|text| self.tell(text, true));
        true
    }

    fn refuse(&mut self, file: &str, report: &Report) {
        self.refused =
            Some(Refused { file: file.to_owned(), text: report.render(Style::Plain), outside: false });
    }

    /// Shows a scenario, record or mirror from its start.
    fn start(&mut self, opened: Opened) -> bool {
        // The old run ends first: two at once would want the memory of two. Real devices want next to none, and their broker may
        // not be reached: then what is shown stays.
        let live = matches!(opened.origin, Origin::Live { .. });
        if !live {
            self.session = None;
        }
        match Session::start(opened.clone(), self.threads) {
            Ok(session) => {
                self.generation += 1;
                let frame = session.shared().left.history.last().cloned();
                let Some(frame) = frame else { return false };
                let before = self.shown.take();
                let mut shown = Shown::new(opened, frame, self.generation);
                match before.filter(|b| b.opened.file == shown.opened.file) {
                    Some(before) => look::keep(&before, &mut shown),
                    None => self.go = Some(View::overview(&shown.layout)),
                }
                (shown.units, shown.palette) = (self.settings.units.clone(), self.settings.palette);
                (shown.dark, shown.fine) = (self.is_dark(), self.fine());
                self.shown = Some(shown);
                self.session = Some(Arc::new(session));
                self.refused = None;
                self.told = false;
                self.last = None;
                self.touched = true;
                true
            }
            Err(NoSource { text, outside }) => {
                self.refused = Some(Refused { file: opened.file.clone(), text, outside });
                if !live {
                    self.shown = None;
                }
                self.touched = true;
                false
            }
        }
    }

    /// Back to the start page.
    pub fn close(&mut self) {
        (self.session, self.shown, self.playing, self.touched) = (None, None, false, true);
        (self.beside, self.of_beside) = (None, false);
        self.forget();
    }

    /// What is shown, in a few words.
    pub fn title(&self) -> String {
        let Some(shown) = &self.shown else { return String::new() };
        match self.done.last() {
            None => shown.opened.title.clone(),
            Some(last) => format!("{}, {}", shown.opened.title, last.act.title()),
        }
    }

    /// Tells the user something.
    pub fn tell(&mut self, text: String, bad: bool) {
        self.notice = Some(Notice { text, bad });
    }
}

/// What is doubtful in a file that can be opened, with its place: the first of it, and how much more there is.
fn warned(warnings: &Report) -> Option<String> {
    let first = Report::from(warnings.items().first()?.clone());
    let text = first.render(Style::Plain).trim_end().to_owned();
    Some(match warnings.items().len() - 1 {
        0 => text,
        more => format!("{text}\n  and {more} more: `twinfleet check` tells of all"),
    })
}
