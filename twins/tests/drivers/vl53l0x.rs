//! VL53L0X, set up and read by vl53l0x 1.0.1, vl53l0x-simple 0.2.0 and periph 1.3.1.
//!
//! The part's quantum is 1 mm, the unit of its result register.
//!
//! Where drivers and ST's API disagree: vl53l0x 1.0.1 writes the period between rangings with its least byte first;
//! the API has the most significant first, as everywhere in the part. Its timed mode is not tested here.

use super::common::{assert_near, bus_with, cases, registers};
use ::vl53l0x::VL53L0x;
use embedded_hal::{
    delay::DelayNs,
    digital::{ErrorType, OutputPin},
    i2c::I2c,
};
use periph::chips::tof::{Vl53l0xFull, Vl53l0xVcselPeriodType};
use proptest::prelude::*;
use std::convert::Infallible;
use twinfleet_twins::parts::{
    MS,
    clock::Clock,
    i2c::{I2cBus, I2cError},
    shutdown::Shutdown,
    stimulus::Quantity,
    vl53l0x::Vl53l0x,
};

/// A shutdown pin that is wired to nothing.
struct Unwired;

impl ErrorType for Unwired {
    type Error = Infallible;
}
impl OutputPin for Unwired {
    fn set_low(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
    fn set_high(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

fn at(mm: f64) -> impl FnMut(Quantity, u64) -> f64 + Send {
    move |_, _| mm
}

/// A target that comes by 1 m a second.
fn moving(_: Quantity, at_ns: u64) -> f64 {
    at_ns as f64 / MS as f64
}

proptest! {
    #![proptest_config(cases(60))]

    #[test]
    fn three_drivers_read_the_truth(mm in 30.0..2000.0_f64, budget_us in 20_000..200_000_u32) {
        let (mut bus, mut clock) = bus_with(Vl53l0x::new(at(mm)));
        clock.delay_ms(2);
        let mut driver = VL53L0x::new(&mut bus).unwrap();
        prop_assert!(driver.set_measurement_timing_budget(budget_us.max(33_000)).unwrap());
        assert_near("single", f64::from(driver.read_range_single_millimeters_blocking().unwrap()), mm, 0.5);
        driver.start_continuous(0).unwrap();
        assert_near("series", f64::from(driver.read_range_continuous_millimeters_blocking().unwrap()), mm, 0.5);
        driver.stop_continuous().unwrap();

        let (mut bus, mut clock) = bus_with(Vl53l0x::new(at(mm)));
        let mut driver = vl53l0x_simple::Vl53l0x::new(&mut bus, Unwired, 0x31, &mut clock).unwrap();
        prop_assert!(driver.try_read().unwrap().is_none(), "too early");
        clock.delay_ms(40);
        assert_near("at its new address", f64::from(driver.try_read().unwrap().unwrap()), mm, 0.5);
        prop_assert!(driver.try_read().unwrap().is_none(), "taken");
        prop_assert_eq!(bus.write(0x29, &[]), Err(I2cError::NoAddress(0x29)));

        let (mut bus, clock) = bus_with(Vl53l0x::new(at(mm)));
        let mut driver = Vl53l0xFull::new(&mut bus, 0x29, clock.clone()).unwrap();
        driver.set_timing_budget(budget_us.max(33_000)).unwrap();
        assert_near("single", f64::from(driver.distance().unwrap()), mm, 0.5);
        prop_assert!(driver.range_valid());
    }

    /// A ranging takes what the driver asked for, whatever it makes of the steps; and its distance is that of its
    /// middle.
    #[test]
    fn a_ranging_takes_its_timing_budget(budget_us in 33_000..500_000_u32, slow: bool) {
        let (mut bus, mut clock) = bus_with(Vl53l0x::new(moving));
        bus.part(0x29).unwrap().set_reach_mm(8000.0);
        let mut driver = Vl53l0xFull::new(&mut bus, 0x29, clock.clone()).unwrap();
        if slow {
            driver.set_vcsel_pulse_period(Vl53l0xVcselPeriodType::PreRange, 18).unwrap();
            driver.set_vcsel_pulse_period(Vl53l0xVcselPeriodType::FinalRange, 14).unwrap();
        }
        driver.set_timing_budget(budget_us.max(50_000)).unwrap();
        let asked_us = f64::from(budget_us.max(50_000));
        driver.start_continuous(0).unwrap();
        let begun = clock.now_ns();
        while !driver.data_ready().unwrap() {
            clock.delay_us(100);
        }
        let took_us = (clock.now_ns() - begun) as f64 / 1e3;
        // Timeouts have eight significant bits, which is up to 1 in 128 of the final step.
        assert_near("time", took_us, asked_us, asked_us / 128.0 + 700.0);
        let m = driver.read_measurement().unwrap();
        let middle_ms = begun as f64 / MS as f64 + took_us / 2e3;
        assert_near("distance", f64::from(m.distance_mm), middle_ms, 1.5);
        prop_assert_eq!(m.range_status, 11);
    }
}

#[test]
fn it_does_not_answer_while_it_boots_and_then_shows_its_reference_registers() {
    let (mut bus, clock) = bus_with(Vl53l0x::new(at(100.0)));
    assert_eq!(bus.write(0x29, &[]), Err(I2cError::NoAddress(0x29)));
    clock.advance_to_ns(2 * MS);
    // DS11555 table 4.
    assert_eq!(registers::<3>(&mut bus, 0x29, 0xC0), [0xEE, 0xAA, 0x10]);
    assert_eq!(registers::<2>(&mut bus, 0x29, 0x51), [0x00, 0x99]);
    assert_eq!(registers::<2>(&mut bus, 0x29, 0x61), [0x00, 0x00]);
}

#[test]
fn without_a_target_it_tells_8190_mm_and_no_valid_range() {
    for mm in [f64::INFINITY, 2001.0, -5.0, f64::NAN] {
        let (mut bus, clock) = bus_with(Vl53l0x::new(at(mm)));
        let mut driver = Vl53l0xFull::new(&mut bus, 0x29, clock).unwrap();
        assert_eq!(driver.distance().unwrap(), 8190);
        assert!(!driver.range_valid());
    }
}

#[test]
fn timed_ranging_keeps_its_period() {
    let (mut bus, mut clock) = bus_with(Vl53l0x::new(moving));
    bus.part(0x29).unwrap().set_reach_mm(1e9);
    let mut driver = Vl53l0xFull::new(&mut bus, 0x29, clock.clone()).unwrap();
    driver.start_continuous(100).unwrap();
    let read: Vec<f64> = (0..5)
        .map(|_| {
            clock.delay_ms(10);
            f64::from(driver.read_continuous().unwrap())
        })
        .collect();
    for pair in read.windows(2) {
        assert_near("a period of a target at 1 m/s", pair[1] - pair[0], 100.0, 1.0);
    }
    // Nobody looks for a while: the newest is told, and it is not old.
    clock.delay_ms(1_234);
    let late = clock.now_ns() as f64 / MS as f64 - f64::from(driver.read_continuous().unwrap());
    assert!((15.0..135.0).contains(&late), "{late} ms");
    driver.stop_continuous().unwrap();
    clock.delay_ms(500);
    assert!(!driver.data_ready().unwrap());
}

/// What ST's API makes of a result block: rates \[10⁶ counts a second\], SPADs, and its estimate of sigma \[mm\]
/// (`VL53L0X_calc_sigma_estimate` of STSW-IMG005, from memory, without cross-talk, in floating point: pulse width 8 ns and ambient width
/// 6 ns, over twice the root of twelve times the counted photons).
fn api(block: [u8; 12], counted_us: f64) -> (f64, f64, f64, f64) {
    let word = |at: usize| f64::from(u16::from_be_bytes([block[at], block[at + 1]]));
    let (signal, ambient, spads) = (word(6) / 128.0, word(8) / 128.0, word(2) / 256.0);
    let events = (signal * counted_us).max(1.0);
    let width_ns = 8f64.hypot(6.0 * ambient / signal.max(1e-6));
    let sigma = (width_ns / (2.0 * (12.0 * events).sqrt()) * 1e3 * 0.1499).min(940.0);
    (signal, ambient, spads, sigma)
}

/// The vertical-cavity laser is on for three of ten clocks of each macro period, of which 33 ms hold some 700.
const COUNTED_US: f64 = 7_000.0;

#[test]
fn the_result_block_tells_light_and_a_sigma_check_goes_by_it() {
    let ranged = |mm: f64, lux: f64, reflectance: f64| {
        let world = move |q: Quantity, _: u64| if q == Quantity::DistanceMm { mm } else { lux };
        let (mut bus, clock) = bus_with(Vl53l0x::new(world));
        bus.part(0x29).unwrap().set_reflectance(reflectance);
        let mut driver = Vl53l0xFull::new(&mut bus, 0x29, clock).unwrap();
        driver.distance().unwrap();
        let valid = driver.range_valid();
        let block = registers::<12>(&mut bus, 0x29, 0x14);
        (valid, api(block, COUNTED_US))
    };
    // By the square of the distance, until fewer SPADs count.
    let ((_, near), (_, far)) = (ranged(500.0, 0.0, 0.88), ranged(1000.0, 0.0, 0.88));
    assert_near("a fourth", near.0 / far.0, 4.0, 0.05);
    assert_near("all count", far.2, 176.0, 0.01);
    let (_, close) = ranged(60.0, 0.0, 0.88);
    assert!(close.0 <= 20.0 && close.2 < 20.0 && close.2 > 3.9, "{close:?}");
    // ST's limits of its default profile: 18 mm and 0.25.
    for (mm, lux, reflectance, valid, within) in [
        (500.0, 300.0, 0.88, true, true),
        (1900.0, 0.0, 0.88, true, true),
        (1500.0, 20_000.0, 0.88, true, false),
        (1200.0, 0.0, 0.17, false, true),
        (700.0, 0.0, 0.17, true, true),
    ] {
        let (found, (signal, _, _, sigma)) = ranged(mm, lux, reflectance);
        assert_eq!(found, valid, "{mm} mm, {reflectance}: {signal}");
        assert_eq!(sigma < 18.0, within, "{mm} mm, {lux} lx: {sigma} mm");
    }
    let (_, none) = ranged(f64::INFINITY, 0.0, 0.88);
    assert!(none.0 == 0.0 && none.3 > 18.0, "nothing comes back: {none:?}");
}

#[test]
fn who_is_shut_down_is_nobody_and_starts_anew() {
    let (mut clock, lines) = (Clock::new(), [Shutdown::default(), Shutdown::default()]);
    let mut bus: I2cBus = I2cBus::new(clock.clone(), 400_000);
    for (line, mm) in lines.iter().zip([100.0, 200.0]) {
        bus.add_beside(Box::new(Vl53l0x::new(at(mm)).shut_by(line.clone())));
    }
    clock.delay_ms(2);
    // Both hear it, as two on one address do.
    bus.write(0x29, &[0x8A, 0x30]).unwrap();
    assert_eq!(bus.write(0x29, &[0xC0]), Err(I2cError::NoAddress(0x29)));
    let mut id = [0];
    bus.write_read(0x30, &[0xC0], &mut id).unwrap();
    assert_eq!(id, [0xEE]);

    lines.iter().for_each(|line| line.drive(clock.now_ns(), false));
    assert_eq!(bus.write(0x30, &[0xC0]), Err(I2cError::NoAddress(0x30)));
    lines[0].drive(clock.now_ns(), true);
    assert_eq!(bus.write(0x29, &[0xC0]), Err(I2cError::NoAddress(0x29)), "it boots");
    clock.delay_ms(2);
    bus.write(0x29, &[0x8A, 0x31]).unwrap();
    lines[1].drive(clock.now_ns(), true);
    clock.delay_ms(2);
    for address in [0x29, 0x31] {
        bus.write_read(address, &[0x8A], &mut id).unwrap();
        assert_eq!(id, [address]);
    }
    assert_eq!(bus.write(0x30, &[0xC0]), Err(I2cError::NoAddress(0x30)), "forgotten");
}
