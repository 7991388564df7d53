//! Dark and light, and what all panels look like.

use egui::{
    Color32, Context, FontDefinitions, FontFamily, ScrollArea, Ui, Visuals,
    ecolor::{gamma_u8_from_linear_f32, linear_f32_from_gamma_u8},
};

/// Applies the theme.
pub fn apply(ctx: &Context, dark: bool) {
    let mut visuals = if dark { Visuals::dark() } else { Visuals::light() };
    if dark {
        visuals.panel_fill = Color32::from_rgb(24, 27, 32);
        visuals.window_fill = Color32::from_rgb(30, 34, 40);
        visuals.extreme_bg_color = Color32::from_rgb(15, 17, 20);
    }
    if !dark {
        visuals.weak_text_alpha = 0.8;
        visuals.widgets.noninteractive.fg_stroke.color = Color32::from_gray(50);
    }
    ctx.set_visuals(visuals);
    // The size of everything is a setting of ours, with keys of its own.
    ctx.options_mut(|o| o.zoom_with_keyboard = false);
}

/// Letters with a last resort: arrows, dots and signs that the text's own font lacks are the monospaced one's.
pub fn fonts() -> FontDefinitions {
    let mut fonts = FontDefinitions::default();
    let last = fonts.families.get(&FontFamily::Monospace).and_then(|all| all.first()).cloned();
    let text = fonts.families.entry(FontFamily::Proportional).or_default();
    text.extend(last.filter(|name| !text.contains(name)));
    fonts
}

/// A colour that text can have: on a light ground, darker.
pub fn ink(ui: &Ui, color: Color32) -> Color32 {
    if ui.visuals().dark_mode {
        return color;
    }
    let [r, g, b, _] = color.to_array().map(|c| (f32::from(c) * 0.66) as u8);
    Color32::from_rgb(r, g, b)
}

/// A colour through which this share of what is behind it is covered. The window mixes colours linearly, and egui's own thinning
/// would turn them grey there.
pub fn glaze(color: Color32, share: f32) -> Color32 {
    let thin = |c: u8| gamma_u8_from_linear_f32(linear_f32_from_gamma_u8(c) * share);
    let [r, g, b, a] = color.to_array();
    Color32::from_rgba_premultiplied(thin(r), thin(g), thin(b), (f32::from(a) * share) as u8)
}

/// Went well: green.
pub fn good(ui: &Ui) -> Color32 {
    ink(ui, Color32::from_rgb(0x35, 0xb7, 0x79))
}

/// Went wrong: vermillion.
pub fn bad(ui: &Ui) -> Color32 {
    ink(ui, Color32::from_rgb(0xd5, 0x5e, 0x00))
}

/// A panel's content: text breaks at the panel's width, and what is wider, or higher, is scrolled to.
pub fn scrolled<R>(ui: &mut Ui, content: impl FnOnce(&mut Ui) -> R) -> R {
    let width = ui.available_width();
    let area = ScrollArea::both().auto_shrink(false);
    area.show(ui, |ui| {
        ui.set_max_width(width - ui.spacing().scroll.allocated_width());
        content(ui)
    })
    .inner
}

/// Text that is less weighty.
pub fn weak(text: impl Into<String>) -> egui::RichText {
    egui::RichText::new(text).weak()
}
