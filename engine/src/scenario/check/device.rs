//! Firmware, power and payloads of a device.

use super::Place;
use crate::{
    catalog::{BoardDef, Catalog, Firmware, LawDef, PartDef, PowerDef, ScriptDef, ThingDef, WireDef},
    dialect::{Dialect, DialectError},
    firmware::payload::{Codec, TemplateError},
    mirror::physical::{voice, with_unit},
    power::along,
    scenario::{
        PayloadDef, PublishDef,
        definition::{sensor_signals, unknown},
        diagnostic::{Diagnostic, Report, near, with_advice},
    },
};

/// Firmware against the thing that runs it.
pub(in crate::scenario) fn check_firmware(
    firmware: &Firmware,
    thing: &ThingDef,
    catalog: &Catalog,
    place: &Place<'_>,
    report: &mut Report,
) {
    if firmware.period.0 <= 0 {
        let error = place.error("period", "the time between wakes must be above 0");
        report.push(error.help("write `period: \"60s\"`, say"));
    }
    if firmware.awake > firmware.period {
        let error = place.error("awake", "it is awake for longer than the time between wakes");
        report.push(error.help(format!("write {} or less", firmware.period)));
    }
    // A period below nothing is not drawn: with more of it their mean would be another.
    if firmware.period.0 > 0 && firmware.jitter.0 > firmware.period.0 / 3 {
        let text = format!(
            "a jitter of {} is too much for a period of {}: it would report less often than that",
            firmware.jitter, firmware.period
        );
        let help = "it is a standard deviation: write a third of the period or less";
        report.push(place.warning("jitter", text).help(help));
    }
    if firmware.boot.0 <= 0 {
        let error = place.error("boot", "a start after a reset takes some time: `boot` must be above 0");
        report.push(error.help("write `boot: \"300ms\"`, say"));
    }
    if firmware.clock.as_ref().and_then(|c| c.ntp).is_some_and(|n| n.every.0 <= 0) {
        let error = place.error("clock.ntp.every", "the time between two settings must be above 0");
        report.push(error.help("write `every: \"1h\"`, say"));
    }
    let board = thing.board.as_ref().and_then(|b| catalog.boards.get(b));
    if let (Some(rest), Some(board)) = (&firmware.rest, board)
        && !board.rest_ma.contains_key(rest)
    {
        let known = board.rest_ma.keys().map(String::as_str);
        let error = unknown("state of rest", rest, known.clone());
        let listed = format!("`{}` has: {}", board.name, known.collect::<Vec<_>>().join(", "));
        let help = near(rest, board.rest_ma.keys().map(String::as_str)).unwrap_or(listed);
        report.push(error.at(place.source, place.span("rest"), "").help(help));
    }
    if firmware.attempts == 0 {
        report.push(place.error("attempts", "a message is sent at least once").help("write 1 or more"));
    }
    check_sleep(firmware, thing, board, catalog, place, report);
    let mut signals: Vec<String> = sensor_signals(thing, catalog).into_iter().map(|(name, _)| name).collect();
    let actuators = thing.parts.iter().filter(|p| catalog.actuators.contains_key(&p.model));
    let actuators: Vec<&str> = actuators.map(|p| p.id.as_str()).collect();
    signals.extend(actuators.iter().map(|id| format!("{id}.level")));
    // A dangling model has its own error; what the part would measure is unknown then.
    let complete = thing
        .parts
        .iter()
        .all(|p| catalog.sensors.contains_key(&p.model) || catalog.actuators.contains_key(&p.model));
    for (i, publish) in firmware.publish.iter().enumerate() {
        let known = complete.then_some(signals.as_slice());
        let place = place.inside(&format!("publish[{i}]"));
        check_publish(publish, known, &place, report);
        if let Some(known) = known {
            let signals: Vec<(String, String)> = known.iter().map(|n| with_unit(n)).collect();
            check_voice(publish, "device", &signals, &catalog.dialects, &place, report);
        }
    }
    for (i, command) in firmware.commands.iter().enumerate() {
        let place = place.inside(&format!("commands[{i}]"));
        check_topic(&command.topic, false, "topic", &place, report);
        check_pointer(command.pointer.as_deref(), "pointer", &place, report);
        if !actuators.contains(&command.part.as_str()) {
            let none = actuators.is_empty().then(|| {
                "the thing has none: add one to its `parts`, see `twinfleet list actuators`".to_owned()
            });
            let error = unknown("actuator", &command.part, actuators.iter().copied()).maybe_help(none);
            report.push(error.at(place.source, place.span("part"), ""));
        }
    }
    for (i, control) in firmware.control.iter().enumerate() {
        let place = place.inside(&format!("control[{i}]"));
        check_topic(&control.input, true, "input", &place, report);
        check_topic(&control.output, false, "output", &place, report);
        check_pointer(Some(&control.pointer), "pointer", &place, report);
        if let Some(level) = control.fallback {
            place.within("fallback", level, 0.0, 1.0, report);
        }
        if control.stale.0 <= 0 {
            let error = place.error("stale", "a device must be heard for some time: `stale` must be above 0");
            report.push(error.help("write a few of its reporting periods, such as \"5min\""));
        }
        let order = match &control.law {
            LawDef::OnBelow { on_below, off_above } => (on_below, off_above),
            LawDef::OnAbove { on_above, off_below } => (off_below, on_above),
            LawDef::Proportional { .. } => continue,
        };
        if order.0 > order.1 {
            let text = "the law would switch on and off at once: its lower threshold is the higher one";
            report.push(place.error("law", text).help("exchange the two"));
        }
    }
}

/// What a deep sleep asks of the parts: to be done before it, and to leave the pin alone that ends it.
fn check_sleep(
    firmware: &Firmware,
    thing: &ThingDef,
    board: Option<&BoardDef>,
    catalog: &Catalog,
    place: &Place<'_>,
    report: &mut Report,
) {
    if !firmware.deep_sleep {
        return;
    }
    let slowest = thing.parts.iter().filter_map(|p| Some((p, catalog.sensors.get(&p.model)?.conversion)));
    if let Some((part, takes)) = slowest.max_by_key(|(_, takes)| *takes).filter(|(_, t)| *t > firmware.awake)
    {
        let text = format!(
            "`{}` takes {takes} for a reading, but it sleeps again after {}",
            part.id, firmware.awake
        );
        let help = format!("write `awake: \"{takes}\"` or more, so that the time of waiting is charged");
        report.push(place.warning("awake", text).help(help));
    }
    let Some((board, pin)) = board.and_then(|b| Some((b, b.wakes_by.as_ref()?))) else { return };
    let takes = |p: &&PartDef| match &p.on {
        WireDef::Pin(on) => on == pin,
        WireDef::Pins(on) => on.contains(pin),
        _ => false,
    };
    if let Some(part) = thing.parts.iter().find(takes) {
        let text = format!(
            "`{}` is on `{pin}`, which has to be wired to the reset of `{}`: its timer ends a deep sleep by it",
            part.id, board.name
        );
        report.push(
            place.error("deep_sleep", text).help("wire the part to another pin, or rest in another state"),
        );
    }
}

/// The field that a script is written as.
pub(in crate::scenario) fn script_key(place: &Place<'_>) -> &'static str {
    if place.source.has(&place.path("script")) { "script" } else { "firmware" }
}

/// A script against the thing that runs it; `beside` says whether there is firmware too. Whether its file is there is the
/// scenario's to say.
pub(in crate::scenario) fn check_script(
    script: &ScriptDef,
    thing: &ThingDef,
    beside: bool,
    place: &Place<'_>,
    report: &mut Report,
) {
    if beside {
        let error = place.error("script", "a device runs a script or declarative firmware");
        report.push(error.help("take one of the two away"));
    }
    if thing.board.is_none() {
        let error =
            place.error(script_key(place), format!("`{}` has no board to run a script on", thing.name));
        report.push(error.help("add `board: \"…\"`, see `twinfleet list boards`"));
    }
    let place = place.inside(script_key(place));
    for (key, span) in [("stuck_after", script.stuck_after), ("boot", script.boot), ("period", script.period)]
    {
        if span.0 <= 0 {
            report.push(place.error(key, format!("`{key}` must be above 0")).help("write \"5s\", say"));
        }
    }
    if script.attempts == 0 {
        report.push(place.error("attempts", "a message is sent at least once").help("write 1 or more"));
    }
    if script.heap_kb.is_some_and(|kb| kb < 8) {
        let error = place.error("heap_kb", "no Python starts in less than 8 KiB");
        report.push(error.help("leave it out: it is the board's then"));
    }
}

/// A publish; `signals` are the `part.quantity` that a payload may name, none where that is not known.
pub(super) fn check_publish(
    publish: &PublishDef,
    signals: Option<&[String]>,
    place: &Place<'_>,
    report: &mut Report,
) {
    check_topic(&publish.topic, false, "topic", place, report);
    if publish.qos > 2 {
        let error = place.error("qos", "MQTT knows the qualities of service 0, 1 and 2");
        report.push(error.help("0 may lose a message, 1 may repeat one, 2 does neither"));
    }
    if publish.every == 0 {
        report.push(
            place.error("every", "`every` counts readings from 1").help("1 publishes each, 2 every second"),
        );
    }
    if let PayloadDef::Template(text) = &publish.payload {
        check_template(text, signals, place, report);
    }
}

/// A publish in a dialect: whether there is such a dialect, and whether the device can speak it at this address.
pub(super) fn check_voice(
    publish: &PublishDef,
    device: &str,
    signals: &[(String, String)],
    dialects: &Dialect,
    place: &Place<'_>,
    report: &mut Report,
) {
    let topic = publish.topic.replace("{device}", device).replace("{zone}", "zone");
    let Some(voice) = voice(publish, &topic, device, signals, dialects) else { return };
    if publish.qos != 0 || publish.retain {
        let key = if publish.retain { "retain" } else { "qos" };
        let text = "a dialect says by itself what is retained, and at which quality of service";
        report.push(place.error(key, text).help("leave `qos` and `retain` out"));
    }
    if let Err(error) = voice {
        dialect_error(&error, dialects, "payload", place, report);
    }
}

/// Says where in the file a dialect's complaint belongs.
pub(super) fn dialect_error(
    error: &DialectError,
    dialects: &Dialect,
    key: &str,
    place: &Place<'_>,
    report: &mut Report,
) {
    let at = match (error.field, error.key.as_str()) {
        ("topic", _) => "topic".to_owned(),
        (field, "") => format!("{key}.{field}"),
        (field, entry) => format!("{key}.{field}[\"{entry}\"]"),
    };
    let names = dialects.names();
    let near = (error.field == "name").then(|| {
        let name = error.message.split('`').nth(1).unwrap_or_default();
        near(name, names.iter().copied()).unwrap_or_else(|| format!("dialects: {}", names.join(", ")))
    });
    report.push(place.error(&at, &error.message).maybe_help(error.help.clone().or(near)));
}

/// An MQTT topic (MQTT 3.1.1 § 4.7): not empty, at most 65,535 bytes, wildcards in filters only, and only known `{…}`.
pub(super) fn check_topic(topic: &str, filter: bool, key: &str, place: &Place<'_>, report: &mut Report) {
    let mut refuse = |text: String, help: &str| report.push(place.error(key, text).help(help));
    if topic.is_empty() || topic.len() > 65_535 || topic.contains('\0') {
        refuse("this is no MQTT topic".into(), "a topic has 1 to 65,535 bytes");
        return;
    }
    // The exchange carries the shadows of AWS all the same: a twin keeps them on a broker that has none.
    if topic.starts_with('$') && !topic.starts_with("$aws/") && !filter {
        refuse(
            "topics that begin with `$` are the broker's own".into(),
            "begin it otherwise, such as \"lab/{device}\"",
        );
    }
    let levels: Vec<&str> = topic.split('/').collect();
    for (i, level) in levels.iter().enumerate() {
        let wild = level.contains(['+', '#']);
        if wild && !filter {
            refuse(
                "a topic that is published to holds no wildcards".into(),
                "write the topic out; `{device}` stands for the device's id",
            );
            break;
        }
        let whole = *level == "+" || (*level == "#" && i + 1 == levels.len());
        if wild && !whole {
            refuse(
                format!("`{level}` is no wildcard: `+` stands alone between slashes, `#` alone at the end"),
                "see MQTT 3.1.1, section 4.7",
            );
            break;
        }
    }
    if topic.matches('{').count() != topic.matches('}').count() {
        refuse("a brace in this topic is without its counterpart".into(), "write `{device}` or `{zone}`");
    }
    for word in placeholders(topic) {
        if word != "device" && word != "zone" {
            let help = near(word, ["device", "zone"]).unwrap_or_default();
            refuse(format!("a topic has no `{{{word}}}`"), &help);
        }
    }
}

fn check_pointer(pointer: Option<&str>, key: &str, place: &Place<'_>, report: &mut Report) {
    if pointer.is_some_and(|p| !p.is_empty() && !p.starts_with('/')) {
        report.push(
            place
                .error(key, "this is no JSON Pointer")
                .help("a pointer starts with `/`: \"/temperature\", \"/bme280/temperature\" (RFC 6901)"),
        );
    }
}

/// The words within single braces; `{{` and `}}` are braces themselves.
fn placeholders(text: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let mut rest = text;
    while let Some(open) = rest.find('{') {
        let after = &rest[open + 1..];
        if let Some(skipped) = after.strip_prefix('{') {
            rest = skipped;
            continue;
        }
        let Some(close) = after.find('}') else { break };
        words.push(&after[..close]);
        rest = &after[close + 1..];
    }
    words
}

fn check_template(text: &str, signals: Option<&[String]>, place: &Place<'_>, report: &mut Report) {
    const OWN: [&str; 7] = ["device", "zone", "seq", "ts", "time", "battery_v", "rssi_dbm"];
    let told = report.items().len();
    for word in placeholders(text) {
        let (name, format) = word.split_once(':').unwrap_or((word, ""));
        let decimals = format.strip_prefix('.').unwrap_or(format);
        if !format.is_empty() && (decimals.len() == format.len() || decimals.parse::<u8>().is_err()) {
            report.push(
                place
                    .error("payload", format!("`{format}` is no format"))
                    .help("decimals are written `{bme280.temperature:.2}`"),
            );
        }
        let Some(signals) = signals else { continue };
        if !OWN.contains(&name) && !signals.iter().any(|s| s == name) {
            let known = signals.iter().map(String::as_str).chain(OWN);
            let error =
                Diagnostic::error(format!("the payload has no `{{{name}}}`")).maybe_help(near(name, known));
            report.push(error.at(place.source, place.span("payload"), ""));
        }
    }
    if report.items().len() > told {
        return;
    }
    // Braces are the codec's to count: what it cannot read nobody would publish.
    match Codec::new(&PayloadDef::Template(text.to_owned()), signals.unwrap_or_default()) {
        Ok(_) | Err(TemplateError::Unknown { .. }) => {}
        Err(error) => {
            let (message, help) = with_advice(&error.to_string());
            report.push(place.error("payload", message).maybe_help(help));
        }
    }
}

/// A supply's figures.
pub(in crate::scenario) fn check_power(
    power: &PowerDef,
    catalog: &Catalog,
    place: &Place<'_>,
    report: &mut Report,
) {
    if let PowerDef::Pack { .. } = power {
        check_pack(power, catalog, place, report);
    }
    let PowerDef::Battery { capacity_mah, charge, ocv_v, r0_ohm, self_discharge_per_month } = power else {
        return;
    };
    place.above("capacity_mah", *capacity_mah, 0.0, report);
    place.at_least("r0_ohm", *r0_ohm, 0.0, report);
    place.within("self_discharge_per_month", *self_discharge_per_month, 0.0, 1.0, report);
    check_charge(*charge, place, report);
    let ascends = ocv_v.windows(2).all(|w| w[0].0 < w[1].0 && w[0].1 <= w[1].1);
    if ocv_v.len() < 2 || !ascends {
        let text = "the curve needs two points or more, both figures of which ascend";
        let help = "points are (state of charge, volts), such as [(0.0, 3.0), (1.0, 4.2)]";
        report.push(place.error("ocv_v", text).help(help));
    } else if ocv_v.iter().any(|(z, v)| !(0.0..=1.0).contains(z) || *v <= 0.0) {
        let error = place.error("ocv_v", "states of charge lie within 0 and 1, voltages above 0");
        report.push(error.help("points are (state of charge, volts), such as (0.5, 3.7)"));
    }
}

fn check_charge(charge: (f64, f64), place: &Place<'_>, report: &mut Report) {
    if !(0.0 <= charge.0 && charge.0 <= charge.1 && charge.1 <= 1.0) {
        let error = place.error("charge", "states of charge lie within 0 and 1, and ascend");
        report.push(error.help("write (least, most), such as (0.9, 1.0)"));
    } else if charge.1 == 0.0 {
        let warning = place.warning("charge", "the battery is empty at the start: its board never runs");
        report.push(warning.help("write (least, most), such as (0.9, 1.0)"));
    }
}

/// No cell is looked after for longer, in years and in full cycles: beyond, an ageing law says nothing.
const LONGEST: (f64, f64) = (30.0, 10_000.0);
/// What panels are rated in, [W/m²] (IEC 60904-3).
const FULL_SUN_W_M2: f64 = 1000.0;

/// Cells, regulator and panel of a pack.
fn check_pack(power: &PowerDef, catalog: &Catalog, place: &Place<'_>, report: &mut Report) {
    let PowerDef::Pack { cell, series, parallel, charge, years, cycles, thermal_tau: _, regulator, solar } =
        power
    else {
        return;
    };
    check_charge(*charge, place, report);
    for (key, n) in [("series", *series), ("parallel", *parallel)] {
        if n == 0 {
            report.push(place.error(key, "a pack has at least one cell").help("write 1 or more"));
        }
    }
    place.within("years", *years, 0.0, LONGEST.0, report);
    place.within("cycles", *cycles, 0.0, LONGEST.1, report);
    let known = catalog.batteries.get(cell);
    if known.is_none() {
        let error = unknown("battery", cell, catalog.batteries.keys().map(String::as_str));
        report.push(error.at(place.source, place.span("cell"), ""));
    }
    if let Some(name) = regulator
        && !catalog.regulators.contains_key(name)
    {
        let error = unknown("regulator", name, catalog.regulators.keys().map(String::as_str));
        report.push(error.at(place.source, place.span("regulator"), ""));
    }
    let Some(panel) = solar else { return };
    place.at_least("solar.area_m2", panel.area_m2, 0.0, report);
    place.within("solar.efficiency", panel.efficiency, 0.0, 1.0, report);
    place.within("solar.controller", panel.controller, 0.0, 1.0, report);
    if let Some((def, rate)) = known.and_then(|def| Some((def, def.charge_per_h?))) {
        let volts = along(&def.ocv_v, 0.5) * f64::from(*series);
        let most_w = rate * def.capacity_mah * 1e-3 * f64::from(*parallel) * volts;
        let sun_w = panel.power_w(FULL_SUN_W_M2);
        if sun_w > most_w {
            let text = format!(
                "in full sun this panel gives {sun_w:.1} W, but the cells are charged with {most_w:.1} W at most"
            );
            report.push(place.warning("solar", text).help("a smaller panel, or more cells in parallel"));
        }
    }
    if known.is_some_and(|c| !c.rechargeable) {
        let rechargeable: Vec<&str> =
            catalog.batteries.values().filter(|b| b.rechargeable).map(|b| b.name.as_str()).collect();
        let text = format!("`{cell}` cannot be charged: a panel would ruin it");
        report.push(
            place.error("solar", text).help(format!("rechargeable cells: {}", rechargeable.join(", "))),
        );
    }
}
