//! Pictures without a screen: the scene is drawn into a texture and read back. No display server, no window.

#![expect(clippy::type_complexity, reason = "a query's type says all that its system touches")]

use crate::{
    args::{Args, Size},
    failure::{Failure, graphics},
    sim::{
        history::Frame,
        left::Left,
        open::Opened,
        source::{Source, source},
    },
    stage::{
        StagePlugin,
        camera::{Eye, FOV_Y, View},
        layout::Layout,
        overlay::{self, EyeQuery},
        show::{Arcs, Shown},
        side::{Kept, Of, RangesOf, Showing, Side, Worked, of},
    },
};
use bevy::{
    app::{PluginsState, TerminalCtrlCHandlerPlugin},
    camera::{CameraOutputMode, Exposure, RenderTarget, Viewport, visibility::RenderLayers},
    core_pipeline::tonemapping::Tonemapping,
    prelude::*,
    render::{
        RenderPlugin,
        pipelined_rendering::PipelinedRenderingPlugin,
        render_resource::{BlendState, TextureFormat, TextureUsages},
        settings::{Backends, RenderCreation, WgpuSettings},
        view::screenshot::{Screenshot, ScreenshotCaptured},
    },
    window::ExitCondition,
    winit::WinitPlugin,
};
use bevy_egui::{
    EguiContexts, EguiGlobalSettings, EguiPlugin, EguiPrimaryContextPass, PrimaryEguiContext, egui,
};
use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};
use twinfleet_engine::{
    scenario::diagnostic::Style,
    time::{SimTime, Span},
};

/// Frames drawn before one is kept: fonts, meshes and pipelines come in within these.
const WARM_UP: usize = 5;
/// Frames to wait for a picture to come back from the graphics card.
const PATIENCE: usize = 600;
/// Frames that ranges are taken from.
const SAMPLE: usize = 48;

/// Draws what the command line asks for.
///
/// # Errors
/// Bad input, or no driver, or a picture that cannot be written.
pub fn run(args: &Args) -> Result<(), Failure> {
    let file = args.file.as_deref().ok_or_else(|| {
        Failure::input(
            "a picture is of a scenario or a record: name a file, or one of those that `twinfleet list scenarios` shows",
        )
    })?;
    let opened =
        Opened::file(file, &args.sets, args.seed, &args.catalog).map_err(|r| Failure::refused(&r))?;
    warn(&opened);
    let opened = opened.scripted(&args.scripts());
    let mut player = source(&opened, usize::from(args.threads)).map_err(Failure::from)?;
    note(player.left());
    let end = player.left().end;
    let shots = shots(args, end, player.left().step_ns)?;
    opened.not_reseeded(args.seed).map_err(Failure::input)?;
    let shown = shown(args, opened, player.left())?;
    // What a view is of does not depend on the instant: a slip of the pen costs no run.
    View::named(&args.view, &shown).map_err(|e| Failure::input(e.0))?;
    let mut beside = match &args.beside {
        None => None,
        Some(file) => {
            let opened =
                Opened::file(file, &[], args.seed, &args.catalog).map_err(|r| Failure::refused(&r))?;
            opened.not_reseeded(args.seed).map_err(Failure::input)?;
            warn(&opened);
            let opened = opened.scripted(&args.scripts());
            let player = source(&opened, usize::from(args.threads)).map_err(Failure::from)?;
            note(player.left());
            let shown = shown_beside(args, opened, player.left());
            Some((player, shown))
        }
    };
    let mut studio = Studio::new(args.size, shown, args.bare)?;
    if let Some((_, shown)) = &beside {
        studio.split(shown.clone());
    }
    // Only once nothing is refused any more: an earlier video is not lost to a slip of the pen.
    if let (None, Some(dir)) = (&args.screenshot, &args.video) {
        std::fs::create_dir_all(dir).map_err(|e| Failure::outside(format!("{}: {e}", dir.display())))?;
        clear(dir)?;
    }
    for (t, path) in &shots {
        run_until(player.as_mut(), *t)?;
        studio.show::<Worked>(player.left(), *t);
        if let Some((player, _)) = &mut beside {
            run_until(player.as_mut(), *t)?;
            studio.show::<Kept>(player.left(), *t);
        }
        let view = View::named(&args.view, studio.shown()).map_err(|e| Failure::input(e.0))?;
        studio.look(view);
        studio.take(path)?;
    }
    Ok(())
}

/// Tells what is doubtful in a file, as the headless command does.
fn warn(opened: &Opened) {
    let warnings = &opened.loaded.warnings;
    if !warnings.is_empty() {
        eprintln!("{}", warnings.render(Style::Plain).trim_end());
    }
}

/// Tells what a user should know of where it comes from: a record that was cut short, a load whose traffic is elsewhere.
fn note(left: &Left) {
    left.note.iter().for_each(|note| eprintln!("{note}"));
}

/// Advances to an instant; where something outside the simulation fails before, or a record cannot be read as far, there is no
/// picture of it.
fn run_until(player: &mut dyn Source, t: SimTime) -> Result<(), Failure> {
    let end = player.left().end;
    player.run_until(t);
    let left = player.left();
    let unread = left.note.as_ref().filter(|_| left.end < end);
    left.failed.as_ref().or(unread).map_or(Ok(()), |why| Err(Failure::outside(why)))
}

/// When to draw, and into which files.
fn shots(args: &Args, end: SimTime, step_ns: i64) -> Result<Vec<(SimTime, PathBuf)>, Failure> {
    if let Some(path) = &args.screenshot {
        if path.extension().is_none_or(|e| !e.eq_ignore_ascii_case("png")) {
            return Err(Failure::input(format!(
                "{}: pictures are PNG: end the name with .png",
                path.display()
            )));
        }
        if path.is_dir() {
            return Err(Failure::outside(format!("{}: cannot be written: it is a folder", path.display())));
        }
        let folder = path.parent().filter(|p| !p.as_os_str().is_empty() && !p.is_dir());
        if let Some(folder) = folder {
            let (path, folder) = (path.display(), folder.display());
            return Err(Failure::outside(format!("{path}: cannot be written: there is no folder {folder}")));
        }
        let t = args.at.unwrap_or(end);
        if t > end {
            return Err(Failure::input(format!("--at {t} is after the run's end, {end}")));
        }
        return Ok(vec![(t, path.clone())]);
    }
    let dir = args.video.as_deref().unwrap_or(Path::new("frames"));
    let (from, to) = (args.from.unwrap_or(SimTime::ZERO), args.to.unwrap_or(end));
    if to > end {
        return Err(Failure::input(format!("--to {to} is after the run's end, {end}")));
    }
    if from > to {
        return Err(Failure::input(format!("a video from {from} to {to} has no pictures")));
    }
    let every = args.every.unwrap_or(Span(((to - from).0 / 100).max(step_ns))).0.max(step_ns);
    let count = (to - from).0 / every + 1;
    if count > 100_000 {
        return Err(Failure::input(format!("{count} pictures are too many: name a longer --every")));
    }
    let shot = |k: i64| (from + Span(k * every), dir.join(format!("{k:06}.png")));
    Ok((0..count).map(shot).collect())
}

/// Takes pictures of an earlier video out of a folder: a longer one would else go on behind this one. They are known by their
/// names, six digits and the ending; whatever else lies there is the user's.
fn clear(dir: &Path) -> Result<(), Failure> {
    let wrong = |e: std::io::Error| Failure::outside(format!("{}: {e}", dir.display()));
    for entry in std::fs::read_dir(dir).map_err(wrong)? {
        let entry = entry.map_err(wrong)?;
        let ours = entry.file_name().to_str().is_some_and(is_frame);
        if ours && entry.file_type().map_err(wrong)?.is_file() {
            std::fs::remove_file(entry.path()).map_err(wrong)?;
        }
    }
    Ok(())
}

/// Whether a video's picture is named so.
fn is_frame(name: &str) -> bool {
    name.strip_suffix(".png").is_some_and(|stem| stem.len() == 6 && stem.bytes().all(|b| b.is_ascii_digit()))
}

/// What is shown, as the command line asks.
fn shown(args: &Args, opened: Opened, left: &Left) -> Result<Shown, Failure> {
    let mut shown = plain(args, opened, left);
    if let Some(asked) = &args.field {
        shown.colour_as_asked(asked).map_err(Failure::input)?;
    }
    if let Some(id) = &args.hide {
        let device = shown.fleet.find(id);
        shown.hidden =
            Some(device.ok_or_else(|| Failure::input(format!("there is no device `{id}` to hide")))?);
    }
    Ok(shown)
}

/// What is shown beside it: what it does not measure colours nothing there, whom it does not have is not left out.
fn shown_beside(args: &Args, opened: Opened, left: &Left) -> Shown {
    let mut shown = plain(args, opened, left);
    if let Some(asked) = &args.field
        && shown.colour_as_asked(asked).is_err()
    {
        shown.field = None;
    }
    shown.hidden = args.hide.as_ref().and_then(|id| shown.fleet.find(id));
    shown
}

fn plain(args: &Args, opened: Opened, left: &Left) -> Shown {
    let frame = left.history.last().cloned().unwrap_or_else(|| Arc::new(Frame::empty(0)));
    let mut shown = Shown::new(opened, frame, 1);
    // Units and colours are the defaults, whoever draws it: a picture is the same everywhere.
    shown.dark = !args.light;
    shown.labels = !args.bare;
    shown.arcs = if args.links { Arcs::All } else { Arcs::Messages };
    shown
}

/// What the app of pictures draws on top.
#[derive(Resource)]
struct Bare(bool);

/// An app that draws into a texture.
pub struct Studio {
    app: App,
    size: Size,
    target: Handle<Image>,
    warm: usize,
    /// Whether a camera bears what egui paints.
    painted: bool,
}

impl Studio {
    /// Sets up the graphics.
    ///
    /// # Errors
    /// When there is no driver.
    pub fn new(size: Size, shown: Shown, bare: bool) -> Result<Self, Failure> {
        let (mut app, target) = graphics(|| set_up(size))?;
        app.insert_resource(ClearColor(back(shown.dark)));
        app.insert_resource(Bare(bare));
        app.insert_resource(Showing::<Worked>::new(shown));
        Ok(Self { app, size, target, warm: WARM_UP, painted: false })
    }

    /// What is shown.
    pub fn shown(&self) -> &Shown {
        self.app.world().resource::<Showing<Worked>>()
    }

    /// Shows another one beside it, on the left.
    pub fn split(&mut self, beside: Shown) {
        let world = self.app.world_mut();
        world.insert_resource(Showing::<Kept>::new(beside));
        // What egui paints lies over both halves: its camera is neither's.
        self.painted = true;
        world.spawn((
            PrimaryEguiContext,
            Camera2d,
            RenderTarget::Image(self.target.clone().into()),
            RenderLayers::none(),
            Msaa::Off,
            over(2),
        ));
        let mut eyes = world.query_filtered::<(&mut Camera, Has<Of<Kept>>), With<Eye>>();
        for (mut camera, second) in eyes.iter_mut(world) {
            let half = UVec2::new(self.size.0 / 2, self.size.1);
            let physical_position = if second { UVec2::ZERO } else { UVec2::new(half.x, 0) };
            camera.viewport = Some(Viewport { physical_position, physical_size: half, ..default() });
            camera.is_active = true;
        }
    }

    /// Shows an instant of a run.
    pub fn show<S: Side>(&mut self, left: &Left, t: SimTime) {
        let mut on = self.app.world_mut().resource_mut::<Showing<S>>();
        let shown = &mut on.0;
        // What is over before the other half is stays at its end, under that time.
        let t = t.min(left.now);
        if let Some(frame) = left.history.at(t) {
            shown.frame = Arc::clone(frame);
        }
        shown.t = t;
        shown.tell_of(left, t);
        shown.carry(left, t);
        shown.sample = sample(left.history.frames().filter(|f| f.t <= t).cloned().collect(), SAMPLE).into();
        shown.sampled_ns = t.0;
    }

    /// Looks from there.
    pub fn look(&mut self, view: View) {
        let split = self.app.world().contains_resource::<Showing<Kept>>();
        let wide = self.size.0 as f32 / if split { 2.0 } else { 1.0 };
        let view = view.seen(wide / self.size.1 as f32);
        let world = self.app.world_mut();
        let center = |layout: &Layout| layout.center();
        let first = center(&world.resource::<Showing<Worked>>().layout);
        let second = world.get_resource::<Showing<Kept>>().map_or(first, |on| center(&on.layout));
        let mut eyes = world.query_filtered::<(&mut Transform, Has<Of<Kept>>), With<Eye>>();
        for (mut eye, is_second) in eyes.iter_mut(world) {
            *eye = view.transform();
            if is_second {
                eye.translation += second - first;
            }
        }
    }

    /// Draws as the window does without a graphics card: edges are not smoothed, and nothing casts a shadow.
    pub fn coarse(&mut self) {
        let world = self.app.world_mut();
        world.resource_mut::<Showing<Worked>>().0.fine = false;
        let mut eyes = world.query_filtered::<&mut Msaa, With<Eye>>();
        for mut msaa in eyes.iter_mut(world) {
            *msaa = Msaa::Off;
        }
    }

    /// Draws a frame.
    pub fn draw(&mut self) {
        if !std::mem::replace(&mut self.painted, true) {
            let world = self.app.world_mut();
            let mut eyes = world.query_filtered::<Entity, (With<Eye>, With<Of<Worked>>)>();
            let eye = eyes.iter(world).next();
            if let Some(eye) = eye {
                world.entity_mut(eye).insert(PrimaryEguiContext);
            }
        }
        self.app.update();
    }

    /// Draws, and writes the picture.
    ///
    /// # Errors
    /// When it does not come back, or the file cannot be written.
    pub fn take(&mut self, path: &Path) -> Result<(), Failure> {
        // Two frames: the first draws what has changed, for egui paints what the camera saw the frame before.
        for _ in 0..self.warm {
            self.draw();
        }
        self.warm = 2;
        let kept = Arc::new(Mutex::new(None));
        let into = Arc::clone(&kept);
        self.app.world_mut().spawn(Screenshot::image(self.target.clone())).observe(
            move |captured: On<ScreenshotCaptured>| {
                *into.lock().unwrap_or_else(PoisonError::into_inner) = Some(captured.image.clone());
            },
        );
        for _ in 0..PATIENCE {
            self.app.update();
            if let Some(image) = kept.lock().unwrap_or_else(PoisonError::into_inner).take() {
                return write(image, None, path);
            }
        }
        Err(Failure::outside("the graphics driver gave no picture back"))
    }
}

/// Writes a picture, or a part of it, whole or not at all.
///
/// # Errors
/// When it cannot be written.
pub fn write(image: Image, part: Option<egui::Rect>, path: &Path) -> Result<(), Failure> {
    let wrong =
        |e: &dyn std::fmt::Display| Failure::outside(format!("{}: cannot be written: {e}", path.display()));
    let mut picture = image.try_into_dynamic().map_err(|e| wrong(&e))?;
    if let Some(part) = part.filter(|p| p.is_positive()) {
        let (from, size) = (part.min.max(egui::Pos2::ZERO), part.size());
        picture = picture.crop_imm(from.x as u32, from.y as u32, size.x as u32, size.y as u32);
    }
    let picture = picture.to_rgb8();
    let mut name = path.file_stem().unwrap_or_default().to_owned();
    name.push(".part.png");
    let aside = path.with_file_name(name);
    let saved = picture.save(&aside).map_err(|e| wrong(&e));
    saved.and_then(|()| std::fs::rename(&aside, path).map_err(|e| wrong(&e))).inspect_err(|_| {
        // What was written is of no use; that it cannot be removed either changes nothing.
        let _ = std::fs::remove_file(&aside);
    })
}

/// Some of them, evenly spread, the last one included.
pub fn sample(frames: Vec<Arc<Frame>>, most: usize) -> Vec<Arc<Frame>> {
    let step = frames.len().div_ceil(most.max(1)).max(1);
    frames.into_iter().rev().step_by(step).collect()
}

/// The colour behind everything.
pub const fn back(dark: bool) -> Color {
    if dark { Color::srgb(0.115, 0.13, 0.155) } else { Color::srgb(0.80, 0.84, 0.88) }
}

/// Vulkan, Metal or DirectX 12; not OpenGL, whose libraries complain where there is no display.
pub fn drivers() -> RenderCreation {
    WgpuSettings { backends: Some(Backends::PRIMARY), ..default() }.into()
}

fn set_up(size: Size) -> (App, Handle<Image>) {
    let mut app = App::new();
    let windowless =
        WindowPlugin { primary_window: None, exit_condition: ExitCondition::DontExit, ..default() };
    app.add_plugins(
        DefaultPlugins
            .set(windowless)
            .set(RenderPlugin {
                synchronous_pipeline_compilation: true,
                render_creation: drivers(),
                ..default()
            })
            .set(bevy::log::LogPlugin { filter: "error".to_owned(), ..default() })
            .disable::<WinitPlugin>()
            .disable::<PipelinedRenderingPlugin>()
            // It asks an app's own loop to end, which there is none of: a signal ends the program by itself.
            .disable::<TerminalCtrlCHandlerPlugin>(),
    )
    .add_plugins((EguiPlugin::default(), StagePlugin))
    .add_systems(EguiPrimaryContextPass, paint);
    while app.plugins_state() == PluginsState::Adding {
        bevy::tasks::tick_global_task_pools_on_main_thread();
    }
    app.finish();
    app.cleanup();
    // Which camera bears what egui paints is decided with the first frame.
    app.world_mut().resource_mut::<EguiGlobalSettings>().auto_create_primary_context = false;
    let mut image = Image::new_target_texture(size.0, size.1, TextureFormat::Rgba8UnormSrgb, None);
    image.texture_descriptor.usage |= TextureUsages::COPY_SRC;
    let target = app.world_mut().resource_mut::<Assets<Image>>().add(image);
    let dark = true;
    let of_target = || (RenderTarget::Image(target.clone().into()), Msaa::Sample4);
    app.world_mut().spawn((eye::<Worked>(dark), of_target()));
    app.world_mut().spawn((eye::<Kept>(dark), of_target(), Camera { is_active: false, ..second() }));
    (app, target)
}

/// A camera that draws over what others have drawn.
pub fn over(order: isize) -> Camera {
    Camera {
        order,
        output_mode: CameraOutputMode::Write {
            blend_state: Some(BlendState::ALPHA_BLENDING),
            clear_color: ClearColorConfig::None,
        },
        clear_color: ClearColorConfig::Custom(Color::NONE),
        ..default()
    }
}

/// The camera of the second side: it draws beside what the first has drawn, which has cleared the whole.
pub fn second() -> Camera {
    Camera { order: 1, clear_color: ClearColorConfig::None, ..default() }
}

/// A camera that looks at a side. Colours are not tone-mapped: the legend's are the scene's.
pub fn eye<S: Side>(dark: bool) -> impl Bundle {
    (
        of::<S>(),
        Eye,
        Camera3d::default(),
        Projection::Perspective(PerspectiveProjection { fov: FOV_Y, near: 0.05, far: 4_000.0, ..default() }),
        Tonemapping::None,
        Exposure::default(),
        DistanceFog {
            color: back(dark),
            falloff: FogFalloff::Linear { start: 90.0, end: 400.0 },
            ..default()
        },
        Transform::default(),
    )
}

fn paint(
    mut contexts: EguiContexts,
    (shown, ranges, eye): (Res<Showing<Worked>>, Res<RangesOf<Worked>>, EyeQuery<Worked>),
    (second, second_ranges, second_eye): (Option<Res<Showing<Kept>>>, Res<RangesOf<Kept>>, EyeQuery<Kept>),
    bare: Res<Bare>,
) -> Result {
    let (false, Ok(eye)) = (bare.0, eye.single()) else { return Ok(()) };
    let ctx = contexts.ctx_mut()?;
    let painter = ctx.layer_painter(egui::LayerId::background());
    let mut view = ctx.viewport_rect();
    if let (Some(second), Ok(second_eye)) = (second, second_eye.single()) {
        let (left, right) = overlay::halves(view);
        overlay::paint(&painter, left, &second, &second_ranges, second_eye);
        overlay::title(&painter, left, &second);
        view = right;
    }
    overlay::paint(&painter, view, &shown, &ranges, eye);
    overlay::title(&painter, view, &shown);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_video_takes_only_its_own_earlier_pictures_away() {
        let dir = tempfile::tempdir().unwrap();
        let kept =
            ["000001.jpg", "000002", "00003.png", "0000004.png", "20260301.png", "a00005.png", "mine.png"];
        for name in kept.iter().chain(&["000000.png", "000099.png"]) {
            std::fs::write(dir.path().join(name), "old").unwrap();
        }
        std::fs::create_dir(dir.path().join("000007.png")).unwrap();
        clear(dir.path()).unwrap();
        let names =
            std::fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.collect();
        names.sort();
        let mut wanted: Vec<&str> = kept.into_iter().chain(["000007.png"]).collect();
        wanted.sort_unstable();
        assert_eq!(names, wanted);
    }
}
