//! A file of the user's own as a device's firmware. What runs it is none of the engine's business: see
//! [`crate::firmware::program`].

use super::Firmware;
use crate::time::Span;
use serde::Deserialize;
use std::collections::BTreeMap;

/// The user's own device code, written `firmware: Script(path: "main.py", runtime: MicroPython)`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScriptDef {
    /// The file, from the scenario's folder. What lies beside it goes along.
    pub path: String,
    /// What the file is written for.
    pub runtime: Runtime,
    /// Words after the file's name, `sys.argv[1:]`; `{device}` and `{zone}` are replaced.
    #[serde(default)]
    pub args: Vec<String>,
    /// Its environment variables; `{device}` and `{zone}` are replaced.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Memory that it may take, [KiB]. None: the board's.
    #[serde(default)]
    pub heap_kb: Option<u32>,
    /// Simulated time that it may compute without once asking for the world; beyond, it counts as stuck and is stopped.
    #[serde(default = "five_seconds")]
    pub stuck_after: Span,
    /// Time from power-on to its first line.
    #[serde(default = "half_a_second")]
    pub boot: Span,
    /// How long after a crash, or an exit with a status, it is started again, as a service manager or a watchdog would. None: it
    /// stays dead.
    #[serde(default)]
    pub restart: Option<Span>,
    /// How often the device's supply is accounted for and its parts' readings are noted as signals.
    #[serde(default = "a_minute")]
    pub period: Span,
    /// Messages kept while the link is down; the oldest is dropped and counted.
    #[serde(default = "super::queue_default")]
    pub queue: u32,
    /// Transmissions of a message before it goes back to the queue.
    #[serde(default = "super::attempts_default")]
    pub attempts: u32,
}

/// What a script is written for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum Runtime {
    /// MicroPython on a microcontroller: `machine`, `network`, `umqtt`.
    MicroPython,
    /// CircuitPython, or Blinka on a single-board computer: `board`, `busio`, `digitalio`.
    CircuitPython,
    /// Python on a Raspberry Pi: `RPi.GPIO`, `gpiozero`, `pigpio`, `smbus2`, `spidev`.
    RaspberryPi,
    /// Python on a BeagleBone: `Adafruit_BBIO`, `smbus2`, `spidev`.
    BeagleBone,
}

fn five_seconds() -> Span {
    Span::from_secs(5)
}
fn half_a_second() -> Span {
    Span(500_000_000)
}
fn a_minute() -> Span {
    Span::from_secs(60)
}

impl ScriptDef {
    /// The firmware that a device with this script has as far as the engine goes: it looks at its parts now and then, is
    /// always awake and has a radio.
    pub fn firmware(&self) -> Firmware {
        Firmware {
            period: self.period,
            jitter: Span::ZERO,
            awake: Span::ZERO,
            deep_sleep: false,
            rest: None,
            publish: Vec::new(),
            queue: self.queue,
            attempts: self.attempts,
            persistent: false,
            commands: Vec::new(),
            control: Vec::new(),
            clock: None,
            boot: self.boot,
            brown_out_pause: Span::ZERO,
            script: Some(self.clone()),
        }
    }
}
