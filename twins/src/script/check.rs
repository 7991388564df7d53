//! Looks at the scripts of a plan without running them: `twinfleet check`.
//!
//! The interpreter parses them, and `check.py` looks for pins by number that the board does not have. Where there is no
//! interpreter, only MicroPython's scripts can be run, and nothing of that is told. Parts that no script finds, since there is no
//! model of their registers, are told of all the same.

use super::{
    card::Card,
    cpython::{interpreter, text},
    machine::displaced,
    runtimes::modules,
};
use crate::parts::live;
use serde::Deserialize;
use std::{
    io::{Read, Write},
    process::{Command, Stdio},
};
use twinfleet_engine::{
    catalog::{BoardDef, PinFn, Runtime, ThingDef, WireDef},
    plan::{GroupPlan, Plan},
    scenario::{
        Action,
        diagnostic::{Diagnostic, Report},
        files::Files,
        source::Source,
    },
    sense::fault::FaultDef,
    signal::wildcard,
};

/// Longest script, [bytes].
const BYTES: u64 = 4 << 20;

#[derive(Deserialize)]
struct Found {
    line: usize,
    column: usize,
    message: String,
    help: Option<String>,
    /// Whether it may be meant so.
    #[serde(default)]
    warning: bool,
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
        astray(&group.thing, board, &mut report);
        right_clocks(plan, group, &mut report);
        let wired = [PinFn::Sda, PinFn::Scl].map(|f| wired(&group.thing, board, f));
        let key = (script.path.clone(), format!("{:?}", script.runtime), board.name.clone(), wired.clone());
        if seen.contains(&key) {
            continue;
        }
        seen.push(key);
        if let Some((why, help)) = unfit(board, script.runtime) {
            let text = format!("`{}` runs no {:?}: {why}", board.name, script.runtime);
            report.push(Diagnostic::warning(text).help(help));
        }
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
            "inner": board.inner_pins,
            "sda": wired[0],
            "scl": wired[1],
            "modules": modules(script.runtime),
            "beside": beside(files, &script.path),
        });
        for found in ask(&asked).unwrap_or_default() {
            let at = offset(source.text(), found.line, found.column);
            let told = if found.warning {
                Diagnostic::warning(found.message)
            } else {
                Diagnostic::error(found.message)
            };
            report.push(told.at(&source, at..at + 1, "").maybe_help(found.help));
        }
    }
    report
}

/// The files that lie beside a script; none where they cannot be read.
fn beside(files: &Files, script: &str) -> Option<Vec<String>> {
    let card = Card::read(files, script).ok()?;
    Some(card.files.iter().map(|(path, _)| path.display().to_string()).collect())
}

/// The pins of an I2C line (data or clock) on which parts hang: those of the board's own bus, and those of the parts' own.
fn wired(thing: &ThingDef, board: &BoardDef, f: PinFn) -> Vec<String> {
    let on_i2c = || thing.parts.iter().filter(|part| matches!(part.on, WireDef::I2c(_)));
    let usual = on_i2c().any(|part| part.bus_on(board).is_none());
    let listed = board.pins.iter().filter(|(_, has)| usual && has.contains(&f)).map(|(pin, _)| pin.clone());
    let own = on_i2c().filter_map(|part| part.bus_on(board));
    let own = own.map(|(sda, scl)| if f == PinFn::Sda { sda } else { scl }).map(str::to_owned);
    listed.chain(own).collect()
}

/// Why a real board would not run scripts of this kind, and what it would run.
fn unfit(board: &BoardDef, runtime: Runtime) -> Option<(&'static str, &'static str)> {
    let linux = board.cpu.is_some_and(|c| c.clock_mhz >= 500.0);
    let small = board.cpu.is_some_and(|c| c.ram_kb < 16.0);
    let bone = board.name.starts_with("beaglebone");
    let micro = "MicroPython and CircuitPython are for it";
    match runtime {
        Runtime::RaspberryPi | Runtime::BeagleBone if !linux => Some(("it has no Linux", micro)),
        Runtime::RaspberryPi if bone => Some(("its header is no Raspberry Pi's", "BeagleBone is for it")),
        Runtime::BeagleBone if !bone => Some(("its header is no BeagleBone's", "RaspberryPi is for it")),
        Runtime::MicroPython | Runtime::CircuitPython if small => {
            Some(("its memory is too small for an interpreter", "declarative firmware is for it"))
        }
        Runtime::MicroPython if linux => {
            Some(("its firmware is for microcontrollers", "RaspberryPi or BeagleBone is for it"))
        }
        Runtime::CircuitPython if board.name.starts_with("esp8266") => {
            Some(("its last version for it was 3", "MicroPython is for it"))
        }
        _ => None,
    }
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

/// An I2C bus that gives way to a part, to pins that only the script would know.
fn astray(thing: &ThingDef, board: &BoardDef, report: &mut Report) {
    let Some((in_the_way, there)) = displaced(thing, board) else { return };
    let text = format!(
        "`{}` of `{}` is where the I2C bus of `{}` usually is: a script does not find `{}`",
        in_the_way.id, thing.name, board.name, there.id
    );
    if !report.items().iter().any(|d| d.message() == text) {
        let help =
            "say where the bus is in its place: `bus: (\"data pin\", \"clock pin\")` of the parts on it";
        report.push(Diagnostic::warning(text).help(help));
    }
}

/// Clocks that are to go wrong, of scripts whose clock is the run's.
fn right_clocks(plan: &Plan, group: &GroupPlan, report: &mut Report) {
    for event in &plan.scenario.timeline {
        let Action::Fault { target, kind: FaultDef::ClockSkew { .. } } = &event.action else { continue };
        let device = target.split('/').next().unwrap_or_default();
        let hit = |i: &u32| wildcard(device.as_bytes(), plan.device_id(group, *i).as_bytes());
        let Some(hit) = (0..group.count).find(hit) else { continue };
        let text = format!(
            "`{}` runs a script, whose clock is the run's: `ClockSkew` of `{target}` changes nothing that it tells",
            plan.device_id(group, hit)
        );
        let help = "let declarative firmware run on the device, whose readings are stamped by its own clock";
        report.push(Diagnostic::warning(text).help(help));
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
