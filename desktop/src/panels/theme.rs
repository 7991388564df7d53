//! Dark and light.

use egui::{Color32, Context, Visuals};

/// Applies the theme.
pub fn apply(ctx: &Context, dark: bool) {
    let mut visuals = if dark { Visuals::dark() } else { Visuals::light() };
    if dark {
        visuals.panel_fill = Color32::from_rgb(24, 27, 32);
        visuals.window_fill = Color32::from_rgb(30, 34, 40);
        visuals.extreme_bg_color = Color32::from_rgb(15, 17, 20);
    }
    ctx.set_visuals(visuals);
}

/// Text that is less weighty.
pub fn weak(text: impl Into<String>) -> egui::RichText {
    egui::RichText::new(text).weak()
}
