//! Register-level parts: what a driver sees of a sensor on its bus, down to busy bits, trim words and checksums.
//!
//! Reading order: [`clock`] (simulated time) → [`stimulus`] (what a part measures) → the rooms where parts and
//! drivers meet: [`i2c`], [`spi`], [`line`](mod@line) (levels on a pin: 1-Wire, pulses), [`serial`] → the parts, one
//! file each. Drivers written for `embedded_hal` 1.0 use the rooms as they are, those for 0.2 through [`eh02`].
//!
//! A part is a state machine without a clock of its own: every call says at what nanosecond it happens, and the part
//! first catches up with what it would have done since. A part that nobody asks costs nothing. A transaction
//! allocates nothing.
//!
//! Reading on: [`live`] puts them into a run, where they measure what its world has.
//!
//! Deliberately absent: noise, drift and faults. A part quantises the value that its [`stimulus::Stimulus`] has at
//! the instant of sampling; whatever disturbs that value is the engine's doing, before it gets here. A part only says
//! how much of its stated noise the mode that it is in has.
//!
//! ```
//! use embedded_hal::{delay::DelayNs, i2c::I2c};
//! use twinfleet_twins::parts::{bme280::Bme280, clock::Clock, i2c::I2cBus, stimulus::Quantity};
//!
//! let mut clock = Clock::new();
//! let room = |quantity: Quantity, _at_ns: u64| match quantity {
//!     Quantity::TemperatureC => 21.5,
//!     Quantity::HumidityPct => 40.0,
//!     _ => 101_325.0,
//! };
//! let mut bus = I2cBus::new(clock.clone(), 400_000);
//! bus.add(Bme280::new(0x76, room))?;
//!
//! clock.delay_ms(2); // the part starts up
//! let mut id = [0];
//! bus.write_read(0x76, &[0xD0], &mut id)?;
//! assert_eq!(id, [0x60]);
//! assert!(bus.write_read(0x77, &[0xD0], &mut id).is_err(), "nobody lives there");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod clock;
pub mod crc;
pub mod eeprom;
pub mod eh02;
pub mod i2c;
pub mod line;
pub mod live;
pub mod serial;
pub mod shutdown;
pub mod spi;
pub mod stimulus;

pub mod ads1115;
pub mod bh1750;
pub mod bme280;
mod burst;
pub mod dht;
pub mod ds18b20;
pub mod hc_sr04;
pub mod hx711;
pub mod ina219;
pub mod lsm9ds1;
pub mod mcp3008;
pub mod mpu6050;
pub mod neo6m;
pub mod pcf8574;
pub mod pms5003;
pub mod pulses;
pub mod scd41;
pub mod sht31;
pub mod ssd1306;
pub mod vl53l0x;
mod words;

/// A millisecond in the unit of every time here.
pub const MS: u64 = 1_000_000;
/// A microsecond in the unit of every time here.
pub const US: u64 = 1_000;
