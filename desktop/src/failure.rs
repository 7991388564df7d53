//! Why the program ends early: what to say, and the exit code.

use crate::sim::source::NoSource;
use std::{any::Any, fmt::Display, panic};
use twinfleet_engine::scenario::diagnostic::{Report, Style};

/// Why the program ends early.
#[derive(Debug)]
pub struct Failure {
    /// What to say.
    pub text: String,
    /// 2 bad input, 3 the outside failed.
    pub code: u8,
}

impl Failure {
    /// Bad input.
    pub fn input(text: impl Display) -> Self {
        Self { text: text.to_string(), code: 2 }
    }

    /// Bad input in files, each mistake with its place.
    pub fn refused(report: &Report) -> Self {
        Self::input(report.render(Style::Plain))
    }

    /// The outside failed.
    pub fn outside(text: impl Display) -> Self {
        Self { text: text.to_string(), code: 3 }
    }
}

impl From<NoSource> for Failure {
    fn from(NoSource { text, outside }: NoSource) -> Self {
        Self { text, code: if outside { 3 } else { 2 } }
    }
}

/// Runs what sets up the graphics, in which a library's only word for a missing driver or display is a panic, and makes it a
/// failure of the outside. Panics of later are bugs, and stay what they are.
///
/// # Errors
/// When there is no driver, no adapter or no display.
pub fn graphics<T>(set_up: impl FnOnce() -> T) -> Result<T, Failure> {
    let before = panic::take_hook();
    panic::set_hook(Box::new(|_| {}));
    let made = panic::catch_unwind(panic::AssertUnwindSafe(set_up));
    panic::set_hook(before);
    made.map_err(|why| {
        let why = words(why.as_ref());
        let why = why.lines().next().unwrap_or_default().to_owned();
        Failure::outside(format!(
            "graphics cannot be set up: {why}\n  install a Vulkan driver (in software: mesa-vulkan-drivers libvulkan1); a window also needs a display: $DISPLAY"
        ))
    })
}

fn words(why: &(dyn Any + Send)) -> String {
    let text = why.downcast_ref::<&str>().map(|s| (*s).to_owned());
    text.or_else(|| why.downcast_ref::<String>().cloned()).unwrap_or_else(|| "for no known reason".to_owned())
}
