//! Series as SVG paths.

use super::super::Point;
use super::chart::Frame;
use std::fmt::Write;

/// Runs of points without a gap: where a signal paused for long, a line would say what nobody measured.
fn runs(points: &[Point]) -> Vec<&[Point]> {
    if points.len() < 3 {
        return if points.is_empty() { Vec::new() } else { vec![points] };
    }
    let mut gaps: Vec<f64> = points.windows(2).map(|w| w[1].t_s - w[0].t_s).collect();
    gaps.sort_by(f64::total_cmp);
    let widest = gaps[gaps.len() / 2] * 6.0;
    points.chunk_by(|a, b| b.t_s - a.t_s <= widest).collect()
}

/// Through each point's value.
pub(super) fn line(svg: &mut String, f: &Frame, points: &[Point], class: &str) {
    let mut d = String::new();
    for run in runs(points) {
        for (i, p) in run.iter().enumerate() {
            let (x, y) = f.at(p.t_s, p.value);
            let _ = write!(d, "{}{x:.1} {y:.1}", if i == 0 { 'M' } else { 'L' });
        }
        if let [one] = run {
            // A single point would be invisible.
            let (x, y) = f.at(one.t_s, one.value);
            let _ = write!(d, "L{:.1} {y:.1}", x + 1.5);
        }
    }
    if !d.is_empty() {
        let _ = write!(svg, "<path class=\"l {class}\" d=\"{d}\"/>");
    }
}

/// Between the extremes of each point, where they can be told from the line.
pub(super) fn extremes(svg: &mut String, f: &Frame, points: &[Point], class: &str) {
    if points.iter().all(|p| f.y(p.min) - f.y(p.max) < 0.8) {
        return;
    }
    polygon(svg, f, points, points, class);
}

/// Between two series of the same times.
pub(super) fn area(svg: &mut String, f: &Frame, lower: &[Point], upper: &[Point], class: &str) {
    if lower.len() == upper.len() {
        polygon(svg, f, lower, upper, class);
    }
}

/// The area between the least values of one series and the largest of another, of the same times.
fn polygon(svg: &mut String, f: &Frame, lower: &[Point], upper: &[Point], class: &str) {
    let mut d = String::new();
    let mut at = 0;
    for run in runs(lower) {
        let above = &upper[at..at + run.len()];
        at += run.len();
        for (i, p) in run.iter().enumerate() {
            let (x, y) = f.at(p.t_s, p.min);
            let _ = write!(d, "{}{x:.1} {y:.1}", if i == 0 { 'M' } else { 'L' });
        }
        for p in above.iter().rev() {
            let (x, y) = f.at(p.t_s, p.max);
            let _ = write!(d, "L{x:.1} {y:.1}");
        }
        d.push('Z');
    }
    if !d.is_empty() {
        let _ = write!(svg, "<path class=\"a {class}\" d=\"{d}\"/>");
    }
}
