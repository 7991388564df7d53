//! The command line.

use clap::{
    ArgGroup, ArgMatches, CommandFactory, FromArgMatches, Parser, error::ErrorKind, parser::ValueSource,
};
use std::{path::PathBuf, str::FromStr};
use twinfleet_engine::time::{SimTime, Span};
use twinfleet_twins::script;

/// The 3D desktop of Twinfleet: see the fleet, the twin and the difference.
///
/// Without a file it opens a page with the scenarios that come with it. With --screenshot or --video it draws pictures and opens
/// no window: no display server is needed, and software Vulkan (mesa-vulkan-drivers) suffices.
#[derive(Debug, Parser)]
#[command(
    name = "twinfleet-desktop",
    version,
    group(ArgGroup::new("picture").args(["screenshot", "video"])),
    after_help = "Examples:
  twinfleet-desktop scenarios/greenhouse.ron
  twinfleet-desktop greenhouse --at 6h --field humidity
  twinfleet-desktop rec/
  twinfleet-desktop --mirror house.ron --broker mqtt://localhost
  twinfleet-desktop pi3b-mirror --screenshot stuck.png --at 32min --view device:pi-1
  twinfleet-desktop parcel-drop --video frames --from 2s --to 6s --every 40ms

Exit codes: 0 done · 2 bad input (of a file, a window says so itself) · 3 the outside failed (no graphics driver, disk, display, a script's runtime) ·
101 a bug in twinfleet"
)]
pub struct Args {
    /// A scenario file, the name of one that comes with twinfleet, or the folder of a record (`twinfleet run … --record`)
    pub file: Option<String>,
    /// Follow real devices by the twins of this scenario, a file or a name; nothing is published, nothing is kept
    #[arg(long, value_name = "FILE", requires = "broker", conflicts_with_all = [
        "file", "screenshot", "video", "at", "from", "to", "every", "seed", "hide", "bare", "size",
    ])]
    pub mirror: Option<String>,
    /// The broker on which --mirror hears them: mqtt[s]://[user:password@]host[:port], or ws[s]://
    #[arg(long, env = "TWINFLEET_BROKER", hide_env_values = true, value_name = "URL")]
    pub broker: Option<String>,
    /// Another scenario or record to show beside it, on the left, at the same instant; --set is for the first alone
    #[arg(long, value_name = "FILE", requires = "file")]
    pub beside: Option<String>,
    /// Draw one picture into this PNG file and end
    #[arg(long, value_name = "OUT.png", conflicts_with = "video")]
    pub screenshot: Option<PathBuf>,
    /// Draw a picture every so often into this folder and end: 000000.png and on, in place of those that are there
    #[arg(long, value_name = "DIR")]
    pub video: Option<PathBuf>,
    /// The instant to show, as scenarios write it: 6h, 32min, 90s. Without it, the end for a picture, the start for a window
    #[arg(long, value_name = "TIME", value_parser = time, conflicts_with = "video")]
    pub at: Option<SimTime>,
    /// First picture of a video
    #[arg(long, value_name = "TIME", value_parser = time, requires = "video", conflicts_with_all = ["at", "screenshot"])]
    pub from: Option<SimTime>,
    /// Last picture of a video
    #[arg(long, value_name = "TIME", value_parser = time, requires = "video", conflicts_with_all = ["at", "screenshot"])]
    pub to: Option<SimTime>,
    /// From picture to picture of a video; without it, 100 pictures over its length
    #[arg(long, value_name = "SPAN", value_parser = span, requires = "video", conflicts_with_all = ["at", "screenshot"])]
    pub every: Option<Span>,
    /// overview, top, front, side, alarm, zone:ID or device:ID
    #[arg(long, value_name = "NAME", default_value = "overview")]
    pub view: String,
    /// The quantity that colours the scene, such as temperature, or none
    #[arg(long, value_name = "QUANTITY")]
    pub field: Option<String>,
    /// Size of a picture, in pixels
    #[arg(long, value_name = "WxH", default_value = "1280x720", requires = "picture")]
    pub size: Size,
    /// Leave a device out of a picture, to compare
    #[arg(long, value_name = "ID", requires = "picture")]
    pub hide: Option<String>,
    /// Leave names, legend and title out of a picture
    #[arg(long, requires = "picture")]
    pub bare: bool,
    /// Draw every device's way to the broker, not only messages under way
    #[arg(long)]
    pub links: bool,
    /// Light, this time; a window else takes what was chosen last, a picture is dark
    #[arg(long, conflicts_with = "dark")]
    pub light: bool,
    /// Dark, this time
    #[arg(long)]
    pub dark: bool,
    /// Seed in place of the scenario's own
    #[arg(long)]
    pub seed: Option<u64>,
    /// Sets a value of the scenario before it is read, such as fleet[0].count=50; may be given more than once
    #[arg(long = "set", value_name = "PATH=VALUE")]
    pub sets: Vec<String>,
    /// A folder of own definitions; may be given more than once
    #[arg(long, value_name = "DIR")]
    pub catalog: Vec<PathBuf>,
    /// Run the scenario's Python scripts unconfined: they can read and write what you can. Needed where the system has no
    /// Landlock (Linux 5.13 and later have it)
    #[arg(long)]
    pub trust_scripts: bool,
    /// Real time that a script may be silent for before the run ends, [s]
    #[arg(long, value_name = "SECONDS", env = "TWINFLEET_SCRIPT_PATIENCE")]
    pub script_patience: Option<f64>,
    /// Threads of the simulation, 1 to 256
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub threads: u16,
}

impl Args {
    /// Those that the program was started with; where they are wrong, it says so and ends.
    pub fn of_program() -> Self {
        let matches = Self::command().get_matches();
        Self::read(&matches).unwrap_or_else(|error| error.exit())
    }

    fn read(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let args = Self::from_arg_matches(matches)?;
        // From the environment it may be there for the headless command; who writes it expects something of it.
        let written = matches.value_source("broker") == Some(ValueSource::CommandLine);
        if written && args.mirror.is_none() {
            let text = "`--broker` is where `--mirror FILE` hears real devices; a run or a record in this program has no broker. \
                        To publish what a scenario's devices say: `twinfleet run FILE --broker URL`";
            return Err(Self::command().error(ErrorKind::MissingRequiredArgument, text));
        }
        Ok(args)
    }

    /// How scripts are run.
    pub fn scripts(&self) -> script::Options {
        script::Options::new(self.trust_scripts, self.script_patience)
    }
}

/// Width and height, [pixels].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size(pub u32, pub u32);

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("`{text}` is no size: write width x height, such as 1280x720, each from 16 to 8192");
        let (w, h) = text.split_once(['x', '×']).ok_or_else(wrong)?;
        let side = |s: &str| s.trim().parse().ok().filter(|n| (16..=8192).contains(n)).ok_or_else(wrong);
        Ok(Self(side(w)?, side(h)?))
    }
}

fn span(text: &str) -> Result<Span, String> {
    text.parse::<Span>().map_err(|e| e.to_string())
}

fn time(text: &str) -> Result<SimTime, String> {
    span(text).map(|s| SimTime::ZERO + s)
}
