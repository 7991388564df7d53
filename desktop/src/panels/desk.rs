//! The state of the window, and what a user can do: open, play, go to an instant, act, save.

mod acts;
mod beside;
mod leave;

pub use beside::Beside;
pub use leave::Leave;

use super::{Pane, export::Kind as Export, plots};
use crate::{
    picture::sample,
    settings::Settings,
    sim::{act::Act, left::Left, open::Opened, session::Session, source::NoSource},
    stage::{
        camera::View,
        show::{Picked, Shown},
    },
    units::time,
};
use std::{
    f32::consts::{PI, TAU},
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

/// Frames that ranges are taken from.
const SAMPLE: usize = 40;
/// How long the window is drawn after it was touched, [s].
const STIR_S: f64 = 1.5;
/// How far the run goes ahead of what is shown while playing, [s of wall time].
const AHEAD_S: f64 = 0.4;

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
    /// Filter of the events panel.
    pub event: String,
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
            event: String::new(),
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
        let started = self.start(opened);
        self.forget();
        if !started {
            return false;
        }
        self.bookmarks.clear();
        self.cursor_s = 0.0;
        self.playing = false;
        self.notice = None;
        (self.signal, self.of_beside) = (None, false);
        self.fit_speed();
        self.first_plots();
        true
    }

    fn refuse(&mut self, file: &str, report: &Report) {
        self.refused =
            Some(Refused { file: file.to_owned(), text: report.render(Style::Plain), outside: false });
    }

    /// Shows a scenario, record or mirror from its start.
    fn start(&mut self, opened: Opened) -> bool {
        // The old run ends first: two at once would want the memory of two.
        self.session = None;
        match Session::start(opened.clone(), self.threads) {
            Ok(session) => {
                self.generation += 1;
                let frame = session.shared().left.history.last().cloned();
                let Some(frame) = frame else { return false };
                let before = self.shown.take();
                let mut shown = Shown::new(opened, frame, self.generation);
                match before.filter(|b| b.opened.file == shown.opened.file) {
                    Some(before) => keep(&before, &mut shown),
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
                self.shown = None;
                self.touched = true;
                false
            }
        }
    }

    /// A pace that shows the whole run in about a minute, to a round figure.
    fn fit_speed(&mut self) {
        let Some(end) = self.end() else { return };
        let wanted = end.as_secs_f64() / 60.0;
        let steps =
            [0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 60.0, 120.0, 300.0, 600.0, 1_200.0, 3_600.0, 10_000.0];
        self.speed = steps.into_iter().rev().find(|s| *s <= wanted).unwrap_or(0.2);
    }

    /// The first signals to plot: of a twin's first pair, or of the first device that has the field.
    fn first_plots(&mut self) {
        let Some(shown) = &self.shown else { return };
        let pair = shown.fleet.devices.iter().find_map(|d| shown.fleet.pairs(d.twin?).first().cloned());
        let first = match (pair, &shown.field) {
            (Some(pair), _) => vec![pair.reported, pair.estimate],
            (None, Some(field)) => field.devices.iter().flatten().take(3).copied().collect(),
            (None, None) => Vec::new(),
        };
        self.plots = vec![first];
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

    /// The instant that is shown.
    pub fn now(&self) -> SimTime {
        SimTime((self.cursor_s * 1e9).round() as i64)
    }

    /// When the run ends.
    pub fn end(&self) -> Option<SimTime> {
        self.session.as_ref().map(|s| s.end())
    }

    /// Whether real devices are followed.
    pub fn is_live(&self) -> bool {
        self.session.as_ref().is_some_and(|s| s.is_live())
    }

    /// Goes to an instant, which the run may have yet to reach.
    pub fn go_to(&mut self, t: SimTime) {
        let end = self.end().unwrap_or(SimTime::ZERO);
        // Real devices are followed at the end of their time, and looked back at before it.
        if self.is_live() {
            self.playing = t >= end;
        }
        self.cursor_s = t.max(SimTime::ZERO).min(end).as_secs_f64();
    }

    /// One tick on or back.
    pub fn step(&mut self, ticks: i64) {
        self.playing = false;
        let Some(session) = &self.session else { return };
        let step_ns = session.step_ns;
        let at = self.now().0.div_euclid(step_ns) + ticks;
        self.go_to(SimTime(at * step_ns));
    }

    /// The next or previous of what is marked: bookmarks, faults, alarms.
    pub fn jump(&mut self, on: bool) {
        let mut marks = self.bookmarks.clone();
        if let Some(session) = &self.session {
            let shared = session.shared();
            let spells = shared.left.spells.0.iter();
            marks.extend(spells.flat_map(|s| [Some(s.from), s.until]).flatten());
        }
        let now = self.now();
        let found = if on {
            marks.into_iter().filter(|t| *t > now).min()
        } else {
            marks.into_iter().filter(|t| *t < now).max()
        };
        if let Some(t) = found {
            self.go_to(t);
        }
    }

    /// Time goes on by `dt_s` of wall time; what is shown follows the cursor.
    pub fn advance(&mut self, dt_s: f64) {
        self.frame_ms = 0.9 * self.frame_ms + 0.1 * dt_s * 1e3;
        let Some(session) = self.session.clone() else { return };
        let end_s = session.end().as_secs_f64();
        if session.is_live() && self.playing {
            self.cursor_s = end_s;
        } else if self.playing {
            let reached_s = session.shared().left.now.as_secs_f64();
            // Where the run cannot keep up, the pace gives way; time is never dropped.
            self.cursor_s =
                (self.cursor_s + self.speed * dt_s.min(0.25)).min(reached_s.max(self.cursor_s)).min(end_s);
            session.allow(SimTime(((self.cursor_s + self.speed * AHEAD_S) * 1e9) as i64 + 1));
            if self.cursor_s >= end_s {
                self.playing = false;
            }
        }
        session.allow(self.now());
        if !self.done.is_empty() {
            // What was done at this instant shows as the tick that begins here is over.
            session.allow(SimTime(self.now().0 + session.step_ns));
        }
        self.look_for_failure(&session);
        self.follow(&session);
        self.follow_beside();
    }

    /// A run that cannot go on stops where it is, and says why once.
    fn look_for_failure(&mut self, session: &Session) {
        let Some(why) = session.shared().failed() else { return };
        if self.now() > session.end() {
            self.go_to(session.end());
        }
        self.playing = false;
        if !std::mem::replace(&mut self.told, true) {
            self.tell(format!("the run cannot go on from {}: {why}", time(session.end())), true);
        }
    }

    fn follow(&mut self, session: &Session) {
        let now = self.now();
        let Some(shown) = &mut self.shown else { return };
        let mut shared = session.shared();
        let residuals = self.plots.iter().flat_map(|on| plots::residuals(shown, on));
        let wanted: Vec<SignalId> = self.plots.iter().flatten().copied().chain(residuals).collect();
        if shared.wanted != wanted {
            shared.wanted = wanted;
        }
        let left = &shared.left;
        // A run that is made anew by an act has this instant yet to come; until then what was there stays.
        if left.now < now && left.now < shown.t {
            return;
        }
        let Some(frame) = left.history.at(now) else { return };
        let key = (now, frame.t, left.spells.0.len());
        if self.last == Some(key) {
            return;
        }
        self.last = Some(key);
        // An instant that is yet to come shows what there is, under its own time.
        let t = if now > left.now { left.now } else { now };
        show_at(shown, left, t);
        self.touched = true;
    }

    /// Marks this instant, or takes the mark away that is there.
    pub fn bookmark(&mut self) {
        let now = self.now();
        let all = self.bookmarks.len();
        self.bookmarks.retain(|t| *t != now);
        if self.bookmarks.len() == all {
            self.bookmarks.push(now);
        }
    }

    /// Picks something.
    pub fn pick(&mut self, picked: Option<Picked>) {
        self.of_beside = false;
        if let Some(shown) = &mut self.shown {
            shown.picked = picked;
            self.touched = true;
        }
    }

    /// Picks the next device, or the one before.
    pub fn pick_next(&mut self, step: isize) {
        let Some(shown) = &self.shown else { return };
        let count = shown.fleet.devices.len() as isize;
        if count == 0 {
            return;
        }
        let at = match shown.picked {
            Some(Picked::Device(device)) => (device as isize + step).rem_euclid(count),
            _ => {
                if step > 0 {
                    0
                } else {
                    count - 1
                }
            }
        };
        self.pick(Some(Picked::Device(at as usize)));
    }

    /// Looks at something close by.
    pub fn frame(&mut self, picked: Option<Picked>) {
        if let Some(shown) = &self.shown {
            self.go = Some(match picked {
                Some(picked) => View::picked(picked, shown),
                None => View::overview(&shown.layout),
            });
        }
    }

    /// Looks from a view by its name.
    pub fn view(&mut self, name: &str) {
        if let Some(shown) = &self.shown {
            match View::named(name, shown) {
                Ok(view) => self.go = Some(view),
                Err(no) => self.tell(no.0, true),
            }
        }
    }

    /// The camera goes on towards the view that it was sent to.
    pub fn glide(&mut self, dt_s: f32) {
        let Some(goal) = self.go else { return };
        let part = 1.0 - (-dt_s.min(0.1) * 9.0).exp();
        let eye = &mut self.eye;
        let turn = (goal.yaw - eye.yaw + PI).rem_euclid(TAU) - PI;
        eye.target = eye.target.lerp(goal.target, part);
        eye.distance += (goal.distance - eye.distance) * part;
        eye.yaw += turn * part;
        eye.pitch += (goal.pitch - eye.pitch) * part;
        let left = eye.target.distance(goal.target) + (goal.distance - eye.distance).abs();
        if left < goal.distance * 2e-3 && turn.abs() < 2e-3 {
            (self.eye, self.go) = (goal, None);
        }
    }

    /// Dark or light.
    pub fn is_dark(&self) -> bool {
        self.dark.unwrap_or(self.settings.dark)
    }

    /// Dark or light from now on.
    pub fn set_dark(&mut self, dark: bool) {
        (self.dark, self.settings.dark) = (None, dark);
    }

    /// What is shown follows the settings.
    pub fn apply_settings(&mut self) {
        let (dark, fine) = (self.is_dark(), self.fine());
        if let Some(shown) = &mut self.shown {
            (shown.units, shown.palette) = (self.settings.units.clone(), self.settings.palette);
            (shown.dark, shown.fine) = (dark, fine);
            self.touched = true;
        }
    }

    /// Whether to draw shadows: as the user likes, else where a graphics card draws.
    pub fn fine(&self) -> bool {
        self.settings.fine.unwrap_or(!self.adapter.ends_with("(Cpu)"))
    }

    /// What draws is known.
    pub fn drawn_by(&mut self, adapter: &str) {
        adapter.clone_into(&mut self.adapter);
        let fine = self.fine();
        if let Some(shown) = &mut self.shown {
            shown.fine = fine;
            self.touched = true;
        }
    }

    /// Something was touched: the window is drawn for a while.
    pub fn stir(&mut self) {
        self.stirred_s = self.up_s();
    }

    /// Whether something moves that has to be drawn again at once.
    pub fn is_busy(&self) -> bool {
        let behind = |s: &Arc<Session>| s.shared().left.now < self.now().min(s.end());
        let simulating = self.session.as_ref().is_some_and(behind)
            || self.beside.as_ref().is_some_and(|b| behind(&b.session));
        self.playing
            || self.go.is_some()
            || self.touched
            || simulating
            || self.up_s() - self.stirred_s < STIR_S
    }

    /// Chooses the next signal of the selected device for keys to plot, or the one before.
    pub fn next_signal(&mut self, step: isize) {
        let Some(shown) = &self.shown else { return };
        let Some(Picked::Device(device)) = shown.picked else {
            return self.tell("select a device first".to_owned(), true);
        };
        let ids = shown.fleet.signals(&shown.opened.plan, device);
        if ids.is_empty() {
            return;
        }
        let at = self.signal.and_then(|id| ids.iter().position(|i| *i == id));
        let next = match at {
            Some(at) => (at as isize + step).rem_euclid(ids.len() as isize) as usize,
            None => 0,
        };
        let name = shown.opened.plan.signals.name(ids[next]);
        self.signal = Some(ids[next]);
        self.tell(format!("{name}: I puts it on the last plot, or takes it off"), false);
    }

    /// Puts the chosen signal on the last plot, or takes it off.
    pub fn plot_signal(&mut self) {
        if self.signal.is_none() {
            self.next_signal(1);
        }
        if let Some(id) = self.signal {
            let last = self.plots.len().saturating_sub(1);
            let plot = self.plots.iter().position(|p| p.contains(&id)).unwrap_or(last);
            self.plot(plot, id);
        }
    }

    /// Puts a signal on a plot, or takes it off.
    pub fn plot(&mut self, plot: usize, signal: SignalId) {
        while self.plots.len() <= plot {
            self.plots.push(Vec::new());
        }
        let on = &mut self.plots[plot];
        match on.iter().position(|s| *s == signal) {
            Some(at) => drop(on.remove(at)),
            None => on.push(signal),
        }
    }

    /// Tells the user something.
    pub fn tell(&mut self, text: String, bad: bool) {
        self.notice = Some(Notice { text, bad });
    }
}

/// Brings what is shown to an instant of a run.
pub fn show_at(shown: &mut Shown, left: &Left, t: SimTime) {
    if let Some(frame) = left.history.at(t) {
        shown.frame = Arc::clone(frame);
    }
    shown.t = t;
    shown.spells = left.spells.at(t).cloned().collect();
    shown.carry(left, t);
    // A new sample only now and then: ranges that always move tell nothing. What leaves them before, widens them.
    let reached_ns = left.now.0;
    if reached_ns as f64 > shown.sampled_ns as f64 * 1.3 || reached_ns < shown.sampled_ns {
        shown.sample = sample(left.history.frames().cloned().collect(), SAMPLE);
        shown.sampled_ns = reached_ns;
    }
}

/// What the user chose stays as the run is made anew.
fn keep(before: &Shown, shown: &mut Shown) {
    (shown.picked, shown.arcs, shown.ghosts) = (before.picked, before.arcs, before.ghosts);
    (shown.labels, shown.legend) = (before.labels, before.legend);
    if before.frame.values.len() == shown.frame.values.len() {
        (shown.t, shown.frame, shown.spells) = (before.t, before.frame.clone(), before.spells.clone());
        (shown.sample, shown.sampled_ns) = (before.sample.clone(), before.sampled_ns);
    }
    match &before.field {
        Some(field) => {
            shown.colour_by(&field.quantity);
        }
        None => shown.field = None,
    }
}
