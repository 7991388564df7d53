//! What scripts can be written for, and what each kind finds: `twinfleet list runtimes`.

use super::cpython;
use std::collections::BTreeSet;
use twinfleet_engine::catalog::Runtime;

/// A runtime as it is listed.
#[derive(Clone, Debug)]
pub struct Listed {
    /// As a scenario writes it.
    pub name: &'static str,
    /// What runs it.
    pub runs: String,
    /// Hardware and network as its scripts import them.
    pub modules: Vec<String>,
    /// What else is known to work, from wherever the interpreter finds it.
    pub more: &'static str,
}

/// The folders of the shim that a runtime's scripts find, the later ones first.
pub(super) fn folders(runtime: Runtime) -> &'static [&'static str] {
    match runtime {
        Runtime::MicroPython => &["micro"],
        Runtime::CircuitPython => &["both", "circuit", "chip"],
        // A Pi's scripts have Blinka's modules beside its own.
        Runtime::RaspberryPi => &["both", "circuit", "linux", "pi"],
        Runtime::BeagleBone => &["both", "linux", "bone"],
    }
}

/// Every runtime.
pub fn all() -> Vec<Listed> {
    let python = cpython::interpreter().display().to_string();
    let drivers = "Adafruit's drivers, paho-mqtt, aiocoap";
    [
        (Runtime::MicroPython, "MicroPython", "asyncio, and what is built in"),
        (Runtime::CircuitPython, "CircuitPython", drivers),
        (Runtime::RaspberryPi, "RaspberryPi", "gpiozero, pigpio, paho-mqtt, aiocoap; threads and asyncio"),
        (Runtime::BeagleBone, "BeagleBone", "paho-mqtt, aiocoap; threads and asyncio"),
    ]
    .map(|(runtime, name, more)| {
        let runs = match runtime {
            Runtime::MicroPython => "MicroPython 1.27 in WebAssembly, within this program".to_owned(),
            _ => format!("{python} (Python 3.9 or later; TWINFLEET_PYTHON names another)"),
        };
        Listed { name, runs, modules: modules(runtime).into_iter().collect(), more }
    })
    .into()
}

/// The modules of the shim that a runtime's scripts can import.
pub(super) fn modules(runtime: Runtime) -> BTreeSet<String> {
    let files = folders(runtime).iter().flat_map(|folder| cpython::folder(folder));
    files.filter_map(|(path, _)| module(&path)).collect()
}

/// The module that a script imports of a file: none where it is the shim's own.
fn module(path: &str) -> Option<String> {
    let name = path.strip_suffix(".py")?.trim_end_matches("/__init__").replace('/', ".");
    let own = name.split('.').any(|word| word.starts_with('_'));
    (!own).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_runtime_has_its_own() {
        let all = all();
        let has = |name: &str, module: &str| {
            let of = all.iter().find(|r| r.name == name).expect("a runtime");
            of.modules.iter().any(|m| m == module)
        };
        assert!(has("MicroPython", "machine") && has("MicroPython", "umqtt.simple"));
        assert!(has("RaspberryPi", "board") && !has("RaspberryPi", "alarm") && has("CircuitPython", "alarm"));
        assert!(has("RaspberryPi", "RPi.GPIO") && !has("RaspberryPi", "Adafruit_BBIO.GPIO"));
        assert!(has("BeagleBone", "Adafruit_BBIO.GPIO") && has("BeagleBone", "smbus2"));
        assert!(has("CircuitPython", "busio") && !has("CircuitPython", "_uart"));
    }
}
