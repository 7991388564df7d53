//! SCD41, by its datasheet's frames; Adafruit's Python driver reads it in the system tests.
//!
//! The part's quanta are 1 ppm, 175 °C ÷ 65535 and 100 % ÷ 65535.

use super::common::{assert_near, bus_with, still};
use embedded_hal::{delay::DelayNs, i2c::I2c};
use twinfleet_twins::parts::{
    clock::Clock, crc, eeprom::Eeprom, i2c::I2cBus, i2c::I2cPart, scd41::Scd41, stimulus::Quantity,
};

const AIR: [(Quantity, f64); 3] =
    [(Quantity::Co2Ppm, 731.4), (Quantity::TemperatureC, 22.5), (Quantity::HumidityPct, 40.0)];

/// Sends a command and lets it take its time \[ms\]. Whether it was acknowledged.
fn send<P: I2cPart>((bus, clock): (&mut I2cBus<P>, &mut Clock), command: u16, ms: u32) -> bool {
    let done = bus.write(0x62, &command.to_be_bytes()).is_ok();
    clock.delay_ms(ms);
    done
}

/// So many words, each with its checksum. None: the address is not acknowledged.
fn words<P: I2cPart, const N: usize>(bus: &mut I2cBus<P>) -> Option<[u16; N]> {
    let mut bytes = vec![0; 3 * N];
    bus.read(0x62, &mut bytes).ok()?;
    let mut all = [0; N];
    for (word, three) in all.iter_mut().zip(bytes.chunks(3)) {
        assert_eq!(crc::sensirion([three[0], three[1]]), three[2]);
        *word = u16::from_be_bytes([three[0], three[1]]);
    }
    Some(all)
}

/// Whether a result waits.
fn ready<P: I2cPart>(bus: &mut I2cBus<P>, clock: &mut Clock) -> bool {
    assert!(send((&mut *bus, clock), 0xE4B8, 1));
    words::<_, 1>(bus).unwrap()[0] & 0x7FF != 0
}

#[track_caller]
fn assert_air([ppm, t, h]: [u16; 3], want_c: f64) {
    assert_eq!(ppm, 731);
    assert_near("temperature", 175.0 * f64::from(t) / 65535.0 - 45.0, want_c, 0.0014);
    if want_c == 22.5 {
        assert_near("humidity", 100.0 * f64::from(h) / 65535.0, 40.0, 0.0008);
    }
}

#[test]
fn a_series_gives_a_result_every_five_seconds_once() {
    let (mut bus, mut clock) = bus_with(Scd41::new(0xBEEF_0123_4567, still(&AIR)));
    assert!(!send((&mut bus, &mut clock), 0x3682, 30), "it starts");
    assert!(send((&mut bus, &mut clock), 0x3682, 1));
    assert_eq!(words(&mut bus), Some([0xBEEF, 0x0123, 0x4567]));
    assert!(send((&mut bus, &mut clock), 0x21B1, 4_900));
    assert!(!ready(&mut bus, &mut clock));
    clock.delay_ms(100);
    assert!(ready(&mut bus, &mut clock));
    assert!(send((&mut bus, &mut clock), 0xEC05, 1));
    assert_air(words(&mut bus).unwrap(), 22.5);
    assert!(!ready(&mut bus, &mut clock), "read once");
    assert!(send((&mut bus, &mut clock), 0xEC05, 1));
    assert_eq!(words::<_, 3>(&mut bus), None, "nothing to read");
    // A series takes no other command.
    assert!(!send((&mut bus, &mut clock), 0x3682, 1));
    assert!(!send((&mut bus, &mut clock), 0x219D, 1));
    assert!(send((&mut bus, &mut clock), 0x3F86, 100));
    assert!(!send((&mut bus, &mut clock), 0x3682, 500), "it takes half a second to stop");
    assert!(send((&mut bus, &mut clock), 0x3682, 1));
}

#[test]
fn single_shots_offsets_and_sleep() {
    let (mut bus, mut clock) = bus_with(Scd41::new(1, still(&AIR)));
    clock.delay_ms(30);
    assert!(send((&mut bus, &mut clock), 0x219D, 4_000));
    assert!(!send((&mut bus, &mut clock), 0xEC05, 1_000), "still measuring");
    assert!(send((&mut bus, &mut clock), 0xEC05, 1));
    assert_air(words(&mut bus).unwrap(), 22.5);
    assert!(send((&mut bus, &mut clock), 0x2196, 50));
    assert!(send((&mut bus, &mut clock), 0xEC05, 1));
    assert_eq!(words::<_, 3>(&mut bus).unwrap()[0], 0, "temperature and humidity alone");

    // The offset is taken off: one of 0 °C tells the warm chip's 4 K.
    let set = |word: u16, check: u8| {
        let [a, b] = word.to_be_bytes();
        [0x24, 0x1D, a, b, check]
    };
    assert!(bus.write(0x62, &set(0, 0)).is_err(), "a wrong checksum");
    bus.write(0x62, &set(0, crc::sensirion([0, 0]))).unwrap();
    clock.delay_ms(1);
    assert!(send((&mut bus, &mut clock), 0x2318, 1));
    assert_eq!(words(&mut bus), Some([0]));
    assert!(send((&mut bus, &mut clock), 0x219D, 5_000));
    assert!(send((&mut bus, &mut clock), 0xEC05, 1));
    assert_air(words(&mut bus).unwrap(), 26.5);

    assert!(send((&mut bus, &mut clock), 0x36E0, 1));
    assert!(!send((&mut bus, &mut clock), 0x36F6, 30), "it wakes, and does not acknowledge");
    assert!(send((&mut bus, &mut clock), 0x202F, 1));
    assert_eq!(words::<_, 1>(&mut bus).unwrap()[0] >> 12, 1);
}

/// The altitude that it is told \[m\].
fn altitude<P: I2cPart>(bus: &mut I2cBus<P>, clock: &mut Clock) -> u16 {
    assert!(send((&mut *bus, clock), 0x2322, 1));
    words::<_, 1>(bus).unwrap()[0]
}

#[test]
fn its_settings_outlive_its_power_once_they_are_persisted() {
    let eeprom = Eeprom::default();
    let part = || Scd41::new(1, still(&AIR)).kept_in(eeprom.clone());
    let (mut bus, mut clock) = bus_with(part());
    clock.delay_ms(30);
    let set = [0x24, 0x27, 0x01, 0x2C, crc::sensirion([0x01, 0x2C])];
    bus.write(0x62, &set).unwrap();
    clock.delay_ms(1);
    let (mut anew, mut later) = bus_with(part());
    later.delay_ms(30);
    assert_eq!(altitude(&mut anew, &mut later), 0, "300 m are in its memory alone");
    assert!(send((&mut bus, &mut clock), 0x3615, 800));
    let (mut anew, mut later) = bus_with(part());
    later.delay_ms(30);
    assert_eq!(altitude(&mut anew, &mut later), 300);
}
