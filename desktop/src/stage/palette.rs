//! Colours of figures. The maps are matplotlib's (viridis, inferno: CC0; cividis: PLoS ONE 13(7) e0199239) and Google's turbo
//! (Apache-2.0), each at nine points, between which colours are mixed.
//!
//! ```
//! use twinfleet_desktop::{settings::Palette, stage::palette::color};
//! assert_eq!(color(Palette::Viridis, 0.0), [0x44, 0x01, 0x54]);
//! assert_eq!(color(Palette::Viridis, 1.0), [0xfd, 0xe7, 0x25]);
//! ```

use crate::settings::Palette;
use bevy::color::{Color, ColorToComponents, LinearRgba};

/// An alarm of a twin or a detector: vermillion of Okabe and Ito's palette, which all eyes tell from the others.
pub const ALARM: [u8; 3] = [0xd5, 0x5e, 0x00];
/// A fault that the timeline put in: their orange.
pub const INJECTED: [u8; 3] = [0xe6, 0x9f, 0x00];
/// A device without power or link: their reddish purple.
pub const OUTAGE: [u8; 3] = [0xcc, 0x79, 0xa7];
/// A message under way: their sky blue.
pub const MESSAGE: [u8; 3] = [0x56, 0xb4, 0xe9];
/// A figure that the legend has no colours for.
pub const NEUTRAL: [u8; 3] = [0xa6, 0xac, 0xb4];
/// What is selected: their yellow.
pub const SELECTED: [u8; 3] = [0xf0, 0xe4, 0x42];

const VIRIDIS: [u32; 9] =
    [0x44_0154, 0x48_2878, 0x3e_4989, 0x31_688e, 0x26_828e, 0x1f_9e89, 0x35_b779, 0x6e_ce58, 0xfd_e725];
const CIVIDIS: [u32; 9] =
    [0x00_224e, 0x12_3570, 0x3b_496c, 0x57_5d6d, 0x70_7173, 0x8a_8678, 0xa5_9c74, 0xc3_b369, 0xfe_e838];
const INFERNO: [u32; 9] =
    [0x00_0004, 0x1b_0c41, 0x4a_0c6b, 0x78_1c6d, 0xa5_2c60, 0xcf_4446, 0xed_6925, 0xfb_9b06, 0xfc_ffa4];
const TURBO: [u32; 9] =
    [0x30_123b, 0x46_61d6, 0x36_a9f9, 0x1a_e4b6, 0x71_fe5f, 0xc8_ef34, 0xfa_ba39, 0xf6_6b19, 0x7a_0403];
/// Blue, white, red: ColorBrewer's RdBu, told apart by all eyes.
const PARTED: [u32; 9] =
    [0x21_66ac, 0x43_93c3, 0x92_c5de, 0xd1_e5f0, 0xf7_f7f7, 0xfd_dbc7, 0xf4_a582, 0xd6_604d, 0xb2_182b];

/// The colour of a share, 0–1, sRGB.
pub fn color(palette: Palette, share: f32) -> [u8; 3] {
    let points = match palette {
        Palette::Viridis => &VIRIDIS,
        Palette::Cividis => &CIVIDIS,
        Palette::Inferno => &INFERNO,
        Palette::Turbo => &TURBO,
    };
    mixed(points, share)
}

/// The colour of a residual: −1 blue, 0 white, 1 red.
pub fn residual(share: f32) -> [u8; 3] {
    mixed(&PARTED, share.mul_add(0.5, 0.5))
}

fn mixed(points: &[u32; 9], share: f32) -> [u8; 3] {
    let share = if share.is_nan() { 0.0 } else { share.clamp(0.0, 1.0) };
    let at = share * 8.0;
    let (low, part) = ((at as usize).min(7), at - (at as usize).min(7) as f32);
    let channel = |point: u32, shift: u32| ((point >> shift) & 0xff) as f32;
    [16, 8, 0].map(|shift| {
        let (a, b) = (channel(points[low], shift), channel(points[low + 1], shift));
        (a + (b - a) * part).round() as u8
    })
}

/// For a material.
pub fn srgb([r, g, b]: [u8; 3]) -> Color {
    Color::srgb_u8(r, g, b)
}

/// For a vertex.
pub fn linear(rgb: [u8; 3]) -> [f32; 4] {
    LinearRgba::from(srgb(rgb)).to_f32_array()
}
