//! Looks at the scripts of a plan without running them: `twinfleet check`.
//!
//! The interpreter parses them, and `check.py` looks for pins by number that the board does not have. Where there is no
//! interpreter, only MicroPython's scripts can be run, and nothing of that is told. Parts that no script finds, since there is no
//! model of their registers, are told of all the same.

use super::cpython::{interpreter, text};
use crate::parts::live;
use serde::Deserialize;
use std::{
    io::{Read, Write},
    process::{Command, Stdio},
};
use twinfleet_engine::{
    catalog::ThingDef,
    plan::Plan,
    scenario::{
        diagnostic::{Diagnostic, Report},
        files::Files,
        source::Source,
    },
};

/// Longest script, [bytes].
const BYTES: u64 = 4 << 20;

#[derive(Deserialize)]
struct Found {
    line: usize,
    column: usize,
    message: String,
    help: Option<String>,
}

/// What is wrong with the scripts of a plan, each told once, at its place in the script.
pub fn check(plan: &Plan, files: &Files) -> Report {
    let mut report = Report::default();
    let mut seen = Vec::new();
    for group in &plan.groups {
        let Some(script) = group.firmware.as_ref().and_then(|f| f.script.as_ref()) else { continue };
        let Some(board) = group.thing.board.as_ref().and_then(|b| plan.catalog.boards.get(b)) else {
            continue;
        };
        unanswered(plan, &group.thing, &mut report);
        let key = (script.path.clone(), format!("{:?}", script.runtime), board.name.clone());
        if seen.contains(&key) {
            continue;
        }
        seen.push(key);
        // Whether it is there, the scenario's own checks have said.
        let Ok((name, file)) = files.open(&script.path) else { continue };
        let mut bytes = Vec::new();
        if file.take(BYTES).read_to_end(&mut bytes).is_err() {
            continue;
        }
        let source = match Source::from_bytes(&name, bytes) {
            Ok(source) => source,
            Err(wrong) => {
                report.merge(wrong);
                continue;
            }
        };
        let asked = serde_json::json!({
            "source": source.text(),
            "runtime": format!("{:?}", script.runtime),
            "board": board.name,
            "pins": board.pins.keys().collect::<Vec<_>>(),
        });
        for found in ask(&asked).unwrap_or_default() {
            let at = offset(source.text(), found.line, found.column);
            report.push(Diagnostic::error(found.message).at(&source, at..at + 1, "").maybe_help(found.help));
        }
    }
    report
}

/// Parts that have no register map: a script would wait for them in vain.
fn unanswered(plan: &Plan, thing: &ThingDef, report: &mut Report) {
    for part in &thing.parts {
        if plan.catalog.sensors.get(&part.model).is_none_or(live::answers) {
            continue;
        }
        let text = format!(
            "a script does not find `{}` of `{}`: there is no model of the registers of `{}`",
            part.id, thing.name, part.model
        );
        let told = report.items().iter().any(|d| d.message() == text);
        if !told {
            let help =
                "declarative firmware reads it; `twins/src/parts` is where a model of its registers belongs";
            report.push(Diagnostic::warning(text).help(help));
        }
    }
}

fn ask(asked: &serde_json::Value) -> Option<Vec<Found>> {
    let mut child = Command::new(interpreter())
        .args(["-I", "-c", text("check.py")])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    child.stdin.take()?.write_all(asked.to_string().as_bytes()).ok()?;
    serde_json::from_slice(&child.wait_with_output().ok()?.stdout).ok()
}

/// The byte at a line and column, both from 1; columns count bytes, as Python's do.
fn offset(text: &str, line: usize, column: usize) -> usize {
    let start: usize = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    (start + column.saturating_sub(1)).min(text.len().saturating_sub(1))
}
