//! The window: Bevy draws the scene, egui the panels; the desk ties both to the run.

#![expect(clippy::type_complexity, reason = "a query's type says all that its system touches")]

use crate::{
    args::Args,
    failure::{Failure, graphics},
    panels::{
        desk::{Desk, Leave, Refused, Snap},
        scene, shell, start, theme,
    },
    picture::{drivers, eye, over, second, write},
    settings::Settings,
    sim::open::shipped,
    stage::{
        StagePlugin,
        camera::Eye,
        overlay::{self, EyeQuery},
        show::Arcs,
        side::{Kept, Of, RangesOf, Showing, Worked},
    },
};
use bevy::{
    app::AppExit,
    asset::RenderAssetUsages,
    camera::{Viewport, visibility::RenderLayers},
    image::{CompressedImageFormats, ImageSampler, ImageType},
    prelude::*,
    render::{
        RenderPlugin,
        renderer::RenderAdapterInfo,
        view::screenshot::{Screenshot, ScreenshotCaptured},
    },
    window::{PrimaryWindow, WindowCloseRequested},
    winit::{UpdateMode, WinitSettings},
};
use bevy_egui::{
    EguiContexts, EguiGlobalSettings, EguiPlugin, EguiPrimaryContextPass, PrimaryEguiContext, egui,
};
use std::time::Duration;

/// How long a window rests that shows nothing new.
const REST: Duration = Duration::from_millis(120);

/// Opens the window and stays until it is closed.
///
/// # Errors
/// Bad input on the command line, or no driver, or no display.
pub fn run(args: &Args) -> Result<(), Failure> {
    if std::env::var_os("DISPLAY").is_none() && cfg!(all(unix, not(target_os = "macos"))) {
        return Err(Failure::outside(
            "there is no display: $DISPLAY is not set\n  for a picture without a screen, add --screenshot OUT.png",
        ));
    }
    let mut desk = Desk::new(Settings::load());
    (desk.threads, desk.seed, desk.catalog) = (usize::from(args.threads), args.seed, args.catalog.clone());
    desk.sets.clone_from(&args.sets);
    desk.scripts = args.scripts();
    desk.dark = (args.light || args.dark).then_some(args.dark);
    if let (Some(file), Some(broker)) = (&args.mirror, &args.broker) {
        desk.follow_live(file, broker);
    }
    if let Some(file) = &args.file {
        desk.open(file);
    }
    // The start page shows it, where the user looks; who started the program from a terminal looks there.
    if let Some(Refused { text, .. }) = &desk.refused {
        eprintln!("{}", text.trim_end());
    }
    if let Some(shown) = &mut desk.shown {
        shown.opened.not_reseeded(args.seed).map_err(Failure::input)?;
        if args.links {
            shown.arcs = Arcs::All;
        }
        if let Some(t) = args.at {
            desk.go_to(t);
            if let Some(end) = desk.end().filter(|end| t > *end) {
                desk.tell(format!("--at {t} is after the run's end, {end}, which is shown instead"), true);
            }
        }
        if let (Some(shown), Some(asked)) = (&mut desk.shown, &args.field) {
            shown.colour_as_asked(asked).map_err(Failure::input)?;
        }
        if args.view != "overview" {
            desk.view(&args.view);
        }
        if let Some(file) = &args.beside {
            desk.open_beside(file);
            if let Some(Refused { text, .. }) = &desk.refused {
                return Err(Failure::input(text));
            }
            if let Some(beside) = &desk.beside {
                beside.shown.opened.not_reseeded(args.seed).map_err(Failure::input)?;
            }
        }
    }
    let mut app = graphics(set_up)?;
    app.insert_resource(At(desk));
    match app.run() {
        AppExit::Success => Ok(()),
        AppExit::Error(code) => Err(Failure::outside(format!("the window ended with {code}"))),
    }
}

/// The desk within the app.
#[derive(Resource)]
struct At(Desk);

/// Pictures of the start page.
#[derive(Resource, Default)]
struct Previews(start::Pictures, bool);

fn set_up() -> App {
    let mut app = App::new();
    let window = Window {
        title: "Twinfleet".to_owned(),
        name: Some("twinfleet-desktop".to_owned()),
        resolution: (1440, 900).into(),
        ..default()
    };
    app.add_plugins(
        DefaultPlugins
            .set(WindowPlugin { primary_window: Some(window), close_when_requested: false, ..default() })
            .set(RenderPlugin { render_creation: drivers(), ..default() })
            .set(bevy::log::LogPlugin { filter: "error".to_owned(), ..default() }),
    )
    .add_plugins((EguiPlugin::default(), StagePlugin))
    .init_resource::<Previews>()
    .add_systems(PreStartup, cameras.before(bevy_egui::EguiStartupSet::InitContexts))
    .add_systems(First, drive)
    .add_systems(Update, (look, close, pace, snap))
    .add_systems(EguiPrimaryContextPass, panels);
    app
}

fn cameras(mut commands: Commands, mut settings: ResMut<EguiGlobalSettings>) {
    settings.auto_create_primary_context = false;
    commands.spawn((eye::<Worked>(true), Msaa::Off));
    commands.spawn((eye::<Kept>(true), Msaa::Off, Camera { is_active: false, ..second() }));
    commands.spawn((PrimaryEguiContext, Camera2d, RenderLayers::none(), Msaa::Off, over(2)));
}

/// Time goes on, and the scene is told what to show.
fn drive(mut commands: Commands, mut at: ResMut<At>, time: Res<Time<Real>>) {
    let desk = &mut at.0;
    desk.advance(time.delta_secs_f64());
    if !std::mem::take(&mut desk.touched) {
        return;
    }
    match &desk.shown {
        Some(shown) => commands.insert_resource(Showing::<Worked>::new(shown.clone())),
        None => commands.remove_resource::<Showing<Worked>>(),
    }
    match &desk.beside {
        Some(beside) => commands.insert_resource(Showing::<Kept>::new(beside.shown.clone())),
        None => commands.remove_resource::<Showing<Kept>>(),
    }
}

fn panels(
    mut contexts: EguiContexts,
    mut at: ResMut<At>,
    mut previews: ResMut<Previews>,
    (ranges, eye): (Res<RangesOf<Worked>>, EyeQuery<Worked>),
    (second_ranges, second_eye): (Res<RangesOf<Kept>>, EyeQuery<Kept>),
) -> Result {
    let desk = &mut at.0;
    let ctx = contexts.ctx_mut()?.clone();
    theme::apply(&ctx, desk.is_dark());
    // A change while the slider is dragged would move it from under the pointer.
    if !ctx.input(|i| i.pointer.any_down()) && ctx.zoom_factor() != desk.settings.scale {
        ctx.set_zoom_factor(desk.settings.scale);
    }
    desk.points = ctx.pixels_per_point();
    // What egui draws anew takes a frame or two to be there: glyphs, animations.
    if ctx.input(|i| !i.events.is_empty()) || ctx.has_requested_repaint() {
        desk.stir();
    }
    if !previews.1 {
        ctx.set_fonts(theme::fonts());
        *previews = Previews(pictures(&ctx), true);
    }
    let whole = egui::UiBuilder::new().layer_id(egui::LayerId::background()).max_rect(ctx.viewport_rect());
    let mut ui = egui::Ui::new(ctx.clone(), "desk".into(), whole);
    shell::show(&mut ui, desk, &previews.0);
    if let (Some(shown), Ok(eye), true) = (&desk.shown, eye.single(), desk.scene_rect.is_positive()) {
        let painter = ctx.layer_painter(egui::LayerId::background());
        let mut view = desk.scene_rect;
        if let (Some(beside), Ok(second_eye)) = (&desk.beside, second_eye.single()) {
            let (left, right) = overlay::halves(view);
            overlay::paint(&painter, left, &beside.shown, &second_ranges, second_eye);
            // Titles stand below the scene's bar.
            let below = |half: egui::Rect| half.with_min_y(half.min.y + scene::BAR - 8.0);
            overlay::headline(&painter, below(left), &beside.shown, &beside.title);
            overlay::headline(&painter, below(right), shown, &desk.title());
            view = right;
        }
        overlay::paint(&painter, view, shown, &ranges, eye);
    }
    Ok(())
}

fn pictures(ctx: &egui::Context) -> start::Pictures {
    let mut made = start::Pictures::new();
    for (name, _) in shipped() {
        let Some(bytes) = start::preview(name) else { continue };
        let read = Image::from_buffer(
            bytes,
            ImageType::Extension("png"),
            CompressedImageFormats::NONE,
            true,
            ImageSampler::Default,
            RenderAssetUsages::MAIN_WORLD,
        );
        let Ok(image) = read else { continue };
        let size = [image.width() as usize, image.height() as usize];
        let Ok(rgba) = image.try_into_dynamic().map(|d| d.to_rgba8()) else { continue };
        let picture = egui::ColorImage::from_rgba_unmultiplied(size, rgba.as_raw());
        made.insert(name, ctx.load_texture(name, picture, egui::TextureOptions::LINEAR));
    }
    made
}

/// The camera stands where the desk wants it, and draws where the scene's panel is.
fn look(
    mut at: ResMut<At>,
    mut eyes: Query<(&mut Camera, &mut Transform, Has<Of<Kept>>), With<Eye>>,
    windows: Query<&Window, With<PrimaryWindow>>,
    time: Res<Time<Real>>,
    info: Option<Res<Named>>,
) {
    let Ok(window) = windows.single() else { return };
    let desk = &mut at.0;
    if let (Some(info), true) = (info, desk.adapter.is_empty()) {
        desk.drawn_by(&info.0);
    }
    desk.glide(time.delta_secs());
    let points = desk.points;
    let whole = UVec2::new(window.physical_width(), window.physical_height());
    for (mut camera, mut transform, is_second) in &mut eyes {
        let rect = match (&desk.beside, is_second) {
            (None, false) => desk.scene_rect,
            (None, true) => egui::Rect::ZERO,
            (Some(_), true) => overlay::halves(desk.scene_rect).0,
            (Some(_), false) => overlay::halves(desk.scene_rect).1,
        };
        let mut place = desk.eye.seen(rect.width() / rect.height().max(1.0)).transform();
        if let (Some(beside), Some(shown), true) = (&desk.beside, &desk.shown, is_second) {
            // Both are looked at from the same side, each in its own middle.
            place.translation += beside.shown.layout.center() - shown.layout.center();
        }
        transform.set_if_neq(place);
        let position = (Vec2::new(rect.min.x, rect.min.y) * points).max(Vec2::ZERO).as_uvec2().min(whole);
        let size = (Vec2::new(rect.width(), rect.height()) * points)
            .max(Vec2::ZERO)
            .as_uvec2()
            .min(whole - position);
        let seen = desk.shown.is_some() && size.x > 8 && size.y > 8;
        if camera.is_active != seen {
            camera.is_active = seen;
        }
        let wanted = Viewport { physical_position: position, physical_size: size, ..default() };
        let same = camera
            .viewport
            .as_ref()
            .is_some_and(|v| v.physical_position == position && v.physical_size == size);
        if seen && !same {
            camera.viewport = Some(wanted);
        }
    }
}

/// What draws, by its name.
#[derive(Resource)]
struct Named(String);

fn close(
    mut at: ResMut<At>,
    mut asked: MessageReader<WindowCloseRequested>,
    mut exit: MessageWriter<AppExit>,
) {
    let desk = &mut at.0;
    if asked.read().next().is_some() {
        // Asked twice is sure.
        if desk.leaving == Some(Leave::Quit) { desk.leave_unsaved() } else { desk.leave(Leave::Quit) }
    }
    if desk.quit {
        // For who compares: what was looked at is what the headless command runs.
        if let Some(hash) = desk.session.as_ref().and_then(|s| s.shared().left.hash) {
            println!("state_hash {hash:032x}");
        }
        desk.settings.layout = Some(desk.tree.clone());
        if let Err(error) = desk.settings.save() {
            eprintln!("the settings cannot be kept: {error}");
        }
        exit.write(AppExit::Success);
    }
}

/// A window that shows nothing new does not draw it again and again.
fn pace(
    at: Res<At>,
    mut winit: ResMut<WinitSettings>,
    mut commands: Commands,
    named: Option<Res<Named>>,
    info: Option<Res<RenderAdapterInfo>>,
) {
    let mode = if at.0.is_busy() { UpdateMode::Continuous } else { UpdateMode::reactive(REST) };
    if winit.focused_mode != mode {
        *winit = WinitSettings { focused_mode: mode, unfocused_mode: mode };
    }
    if let (None, Some(info)) = (named, info) {
        commands.insert_resource(Named(format!("{} ({:?})", info.name, info.device_type)));
    }
}

/// Takes a picture of the plots, once they are drawn; what became of it is told when it is written.
fn snap(mut at: ResMut<At>, mut commands: Commands) {
    let desk = &mut at.0;
    let Some(snap) = &mut desk.snap else { return };
    desk.touched = true;
    if snap.wait > 0 {
        snap.wait -= 1;
        return;
    }
    let Some(Snap { path, .. }) = desk.snap.take() else { return };
    let rect = desk.plots_rect * desk.points;
    commands.spawn(Screenshot::primary_window()).observe(
        move |captured: On<ScreenshotCaptured>, mut at: ResMut<At>| {
            let written = write(captured.image.clone(), Some(rect), &path);
            match written {
                Ok(()) => at.0.tell(format!("written: {}", path.display()), false),
                Err(failure) => at.0.tell(failure.text, true),
            }
        },
    );
}
