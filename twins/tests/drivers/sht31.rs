//! SHT31, read by embedded-sht3x 0.2.0 (clock stretching) and sht31 0.3.3 (single shot and periodic).
//!
//! The part's quantum is a step of its 16-bit words (§4.13): 175/65535 °C and 100/65535 %.
//!
//! Where driver and datasheet disagree: sht31 0.3.3 takes the temperature's word for a signed one, so from 42.5 °C on
//! it reads 175 °C too little; the datasheet (§4.13) has it unsigned.

use super::common::{assert_near, bus_with, cases, still};
use embedded_hal::{delay::DelayNs, i2c::I2c};
use embedded_sht3x::{Repeatability, Sht3x, Status};
use proptest::prelude::*;
use sht31::prelude::*;
use twinfleet_twins::parts::{
    MS, US,
    clock::Clock,
    crc,
    i2c::{I2cBus, I2cError},
    sht31::Sht31,
    stimulus::Quantity::{self, HumidityPct, TemperatureC},
};

const ADDRESS: u8 = 0x44;
const HALF_C: f64 = 0.5 * 175.0 / 65535.0;
const HALF_PCT: f64 = 0.5 * 100.0 / 65535.0;
/// What a driver's f32 loses at the size of a word's value.
const F32: f64 = 3e-5;

fn world(c: f64, pct: f64) -> impl FnMut(Quantity, u64) -> f64 + Send + use<> {
    still(&[(TemperatureC, c), (HumidityPct, pct)])
}

proptest! {
    #![proptest_config(cases(600))]

    #[test]
    fn embedded_sht3x_reads_the_truth(c in -45.0..130.0, pct in 0.0..100.0, repeatability in 0..3_usize, slow: bool) {
        let (mut bus, mut clock) = bus_with(Sht31::new(ADDRESS, world(c, pct)));
        bus.part(ADDRESS).unwrap().set_slow(slow);
        clock.delay_ms(1);
        let mut driver = Sht3x::new(&mut bus, ADDRESS, clock.clone()).unwrap();
        driver.repeatability = match repeatability {
            0 => Repeatability::High,
            1 => Repeatability::Medium,
            _ => Repeatability::Low,
        };
        let before = clock.now_ns();
        let m = driver.single_measurement().unwrap();
        // The clock line was held for as long as the measurement took.
        let us = if slow { [15_000, 6_000, 4_000] } else { [12_500, 4_500, 2_500] }[repeatability];
        assert_eq!(clock.now_ns() - before, US * us + (28 + 54 + 1) * 2_500);
        assert_near("temperature", f64::from(m.temperature.0), c, HALF_C + F32);
        assert_near("humidity", f64::from(m.relative_humidity.value()), pct, HALF_PCT + F32);
    }

    #[test]
    fn sht31_reads_the_truth(c in -45.0..42.4, pct in 0.0..100.0, accuracy in 0..3_usize, mps in 0..5_usize,
            art: bool) {
        let (mut bus, mut clock) = bus_with(Sht31::new(ADDRESS, world(c, pct)));
        clock.delay_ms(1);
        let accuracy = [Accuracy::High, Accuracy::Medium, Accuracy::Low][accuracy];
        let mps = [MPS::Half, MPS::Normal, MPS::Double, MPS::X4, MPS::X10][mps];
        let mut mode = Periodic::new().with_mps(mps);
        if art {
            mode.set_art();
        }
        let mut driver =
            SHT31::periodic(&mut bus, mode).with_accuracy(accuracy).with_unit(TemperatureUnit::Celsius);
        driver.measure().unwrap();
        clock.delay_ms(16);
        let periodic = driver.read().unwrap();
        driver.break_command().unwrap();
        clock.delay_ms(1);
        let mut driver = SHT31::new(&mut bus, clock).with_accuracy(accuracy).with_unit(TemperatureUnit::Celsius);
        for m in [periodic, driver.read().unwrap()] {
            assert_near("temperature", f64::from(m.temperature), c, HALF_C + F32);
            assert_near("humidity", f64::from(m.humidity), pct, HALF_PCT + F32);
        }
    }
}

#[test]
fn the_datasheets_checksum_example_comes_out() {
    assert_eq!(crc::sensirion([0xBE, 0xEF]), 0x92);
}

#[test]
fn sht31_0_3_3_reads_a_warm_word_as_a_negative_one() {
    let (mut bus, mut clock) = bus_with(Sht31::new(ADDRESS, world(60.0, 50.0)));
    clock.delay_ms(1);
    let mut driver = SHT31::new(&mut bus, clock).with_unit(TemperatureUnit::Celsius);
    assert_near("temperature", f64::from(driver.read().unwrap().temperature), 60.0 - 175.0, 0.01);
}

#[test]
fn without_stretching_it_does_not_answer_a_read_until_it_has_measured() {
    let ramp = |q: Quantity, at_ns: u64| if q == TemperatureC { at_ns as f64 / MS as f64 } else { 50.0 };
    let (mut bus, clock) = bus_with(Sht31::new(ADDRESS, ramp));
    let mut six = [0; 6];
    assert_eq!(bus.write(ADDRESS, &[0x24, 0x00]), Err(I2cError::NoAddress(ADDRESS)), "powering up");
    clock.advance_to_ns(10 * MS);
    assert_eq!(bus.read(ADDRESS, &mut six), Err(I2cError::NoAddress(ADDRESS)), "nothing to read");
    bus.write(ADDRESS, &[0x24, 0x00]).unwrap();
    let begun = clock.now_ns() - 2_500;
    clock.advance_to_ns(begun + 12_400 * US);
    assert_eq!(bus.read(ADDRESS, &mut six), Err(I2cError::NoAddress(ADDRESS)), "measuring");
    clock.advance_to_ns(begun + 100 * MS);
    bus.read(ADDRESS, &mut six).unwrap();
    let c = f64::from(u16::from_be_bytes([six[0], six[1]])) * 175.0 / 65535.0 - 45.0;
    assert_near("the middle of the measurement", c, begun as f64 / MS as f64 + 6.25, 0.01);
    assert_eq!(bus.read(ADDRESS, &mut six), Err(I2cError::NoAddress(ADDRESS)), "read once");
}

#[test]
fn a_result_of_periodic_mode_is_there_once_a_period() {
    let (mut bus, mut clock) = bus_with(Sht31::new(ADDRESS, world(20.0, 40.0)));
    clock.delay_ms(1);
    let mut driver =
        SHT31::periodic(&mut bus, Periodic::new().with_mps(MPS::X10)).with_accuracy(Accuracy::Low);
    driver.measure().unwrap();
    assert!(driver.read().is_err(), "too early");
    clock.delay_ms(3);
    assert!(driver.read().is_ok());
    assert!(driver.read().is_err(), "taken");
    let mut fresh = 0;
    for _ in 0..1000 {
        clock.delay_ms(1);
        fresh += u32::from(driver.read().is_ok());
    }
    // Ten a second; the thousand tries themselves take some 0.2 s on the bus.
    assert!((10..=13).contains(&fresh), "{fresh}");
}

/// As Adafruit's driver asks for it before anything else.
#[test]
fn its_serial_number_is_two_words_with_their_checksums() {
    let (mut bus, mut clock) = bus_with(Sht31::new(ADDRESS, world(20.0, 40.0)).with_serial(0x1234_ABCD));
    clock.delay_ms(1);
    for command in [[0x37, 0x80], [0x36, 0x82]] {
        bus.write(ADDRESS, &command).unwrap();
        let mut six = [0; 6];
        bus.read(ADDRESS, &mut six).unwrap();
        let [a, b] = [[0x12, 0x34], [0xAB, 0xCD]].map(crc::sensirion);
        assert_eq!(six, [0x12, 0x34, a, 0xAB, 0xCD, b]);
    }
}

#[test]
fn the_heater_is_turned_on_while_a_series_runs() {
    let (mut bus, mut clock) = bus_with(Sht31::new(ADDRESS, world(20.0, 40.0)));
    clock.delay_ms(1);
    bus.write(ADDRESS, &[0x30, 0x41]).unwrap();
    bus.write(ADDRESS, &[0x21, 0x30]).unwrap();
    bus.write(ADDRESS, &[0x30, 0x6D]).unwrap();
    let mut three = [0; 3];
    bus.write_read(ADDRESS, &[0xF3, 0x2D], &mut three).unwrap();
    assert_eq!(u16::from_be_bytes([three[0], three[1]]), 0x2000, "the heater and nothing else");
}

#[test]
fn the_status_tells_reset_heater_and_commands_that_are_none() {
    let (mut bus, mut clock) = bus_with(Sht31::new(ADDRESS, world(20.0, 40.0)));
    clock.delay_ms(1);
    let mut driver = Sht3x::new(&mut bus, ADDRESS, clock.clone()).unwrap();
    assert_eq!(driver.get_status().unwrap().bits(), 0x8010, "after a reset");
    driver.clear_status().unwrap();
    assert!(driver.get_status().unwrap().is_empty());
    driver.enable_heater().unwrap();
    assert_eq!(driver.get_status().unwrap().bits(), Status::HEATER.bits());
    driver.disable_heater().unwrap();
    assert!(driver.get_status().unwrap().is_empty());
    bus.write(ADDRESS, &[0x12, 0x34]).unwrap();
    let mut three = [0; 3];
    bus.write_read(ADDRESS, &[0xF3, 0x2D], &mut three).unwrap();
    assert_eq!(three, [0, 2, crc::sensirion([0, 2])]);
    bus.write(0, &[0x06]).unwrap();
    assert!(bus.write(ADDRESS, &[]).is_err(), "a general call resets it");
    clock.delay_us(1_500);
    assert!(bus.write(ADDRESS, &[]).is_ok());
}

#[test]
fn its_heater_warms_it_and_its_alert_limits_are_kept() {
    let (mut bus, mut clock) = bus_with(Sht31::new(ADDRESS, world(20.0, 40.0)));
    clock.delay_ms(1);
    let read = |clock: &mut Clock, bus: &mut I2cBus<Sht31<_>>| {
        bus.write(ADDRESS, &[0x24, 0x00]).unwrap();
        clock.delay_ms(16);
        let mut six = [0; 6];
        bus.read(ADDRESS, &mut six).unwrap();
        let share = |k: usize| f64::from(u16::from_be_bytes([six[k], six[k + 1]])) / 65535.0;
        (175.0 * share(0) - 45.0, 100.0 * share(3))
    };
    bus.write(ADDRESS, &[0x30, 0x6D]).unwrap();
    clock.delay_ms(60_000);
    let (c, pct) = read(&mut clock, &mut bus);
    assert_near("warmed", c, 23.0, 0.01);
    // The same vapour at 23 °C: 23.39 hPa over 28.11 (Magnus).
    assert_near("and drier", pct, 40.0 * 23.33 / 28.04, 0.1);
    bus.write(ADDRESS, &[0x30, 0x66]).unwrap();
    clock.delay_ms(60_000);
    assert_near("cooled", read(&mut clock, &mut bus).0, 20.0, 0.01);

    let limit = |bus: &mut I2cBus<Sht31<_>>| {
        let mut three = [0; 3];
        bus.write_read(ADDRESS, &[0xE1, 0x1F], &mut three).unwrap();
        assert_eq!(three[2], crc::sensirion([three[0], three[1]]));
        u16::from_be_bytes([three[0], three[1]])
    };
    assert_eq!(limit(&mut bus), 0xCD33, "80 % and 60 °C");
    bus.write(ADDRESS, &[0x61, 0x1D, 0x12, 0x34, crc::sensirion([0x12, 0x34])]).unwrap();
    assert_eq!(limit(&mut bus), 0x1234);
    assert!(bus.write(ADDRESS, &[0x61, 0x1D, 0x56, 0x78, 0x00]).is_err(), "a wrong checksum");
    assert_eq!(limit(&mut bus), 0x1234);
}
