//! The batteries' part of the page: how long they will last.

use super::super::{
    Report, escape,
    words::{expected, figure, life, lives},
};
use std::fmt::Write;

pub(super) fn section(html: &mut String, report: &Report) {
    if report.batteries.is_empty() {
        return;
    }
    html.push_str(
        "<h2>Battery life</h2>\n<div class=\"card\"><p>If all goes on as in this run: what is left above the brown-out, over \
         the mean current; the median of the devices. What is left is what the cells still give while they are as cold as they \
         have been at the coldest in this run, under the board's greatest current: one such night ends a life; where it has left the median device nothing, the \
         figures are those of cells at their reference temperature. The interval \
         goes from the earliest to the latest of nine in ten devices, each with what the variation of its own current between \
         twelve stretches of the run leaves open; it knows nothing of weather that the run has not seen. Over devices alone \
         is the spread of their charge, cells and currents.</p><table><tr><th>devices</th><th class=\"n\">expected</th><th class=\"n\">interval</th>\
         <th class=\"n\">over devices alone</th><th class=\"n\">mean current, mA</th></tr>\n",
    );
    for b in &report.batteries {
        let units = match (b.units_from_h, b.units_to_h) {
            (None, None) => "–".to_owned(),
            (from, to) => format!("{} to {}", life(from), life(to)),
        };
        let _ = writeln!(
            html,
            "<tr><td>{} <small>× {}</small></td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{units}</td>\
             <td class=\"n\">{} <small>{} to {}</small></td></tr>",
            escape(&b.group),
            b.devices,
            expected(b),
            lives(b),
            figure(b.mean_ma),
            figure(b.least_ma),
            figure(b.most_ma)
        );
    }
    html.push_str("</table></div>\n");
}
