//! BH1750, read by bh1750 0.1.0 and (through the adapter for 0.2) bh1750-ehal 0.0.2.
//!
//! The part's quantum is a count: 1/1.2 lx in high resolution, half of it in high resolution 2, 4 lx in low
//! resolution, each times 69 over the measurement time register (pages 2 and 11).
//!
//! Where driver and datasheet disagree: bh1750-ehal 0.0.2 multiplies counts by 1.2 where the datasheet (page 10, read
//! format) divides by it, and treats high resolution 2 like the other. The test undoes that.

use super::common::{assert_near, bus_with, cases, still};
use ::bh1750::{BH1750, Resolution};
use bh1750_ehal::{Address, BH1750 as EhalBH1750, OneTimeMeasurement};
use embedded_hal::{delay::DelayNs, i2c::I2c};
use proptest::prelude::*;
use twinfleet_twins::parts::{
    MS,
    bh1750::Bh1750,
    eh02::V02,
    stimulus::Quantity::{self, IlluminanceLx},
};

const ADDRESS: u8 = 0x23;
const RESOLUTIONS: [(Resolution, f64); 3] =
    [(Resolution::High, 1.0 / 1.2), (Resolution::High2, 0.5 / 1.2), (Resolution::Low, 4.0)];

fn dark_then(lx: f64, from_ns: u64) -> impl FnMut(Quantity, u64) -> f64 + Send {
    move |_, at_ns| if at_ns < from_ns { 0.0 } else { lx }
}

fn counts(bus: &mut impl I2c) -> u16 {
    let mut two = [0; 2];
    bus.read(ADDRESS, &mut two).unwrap();
    u16::from_be_bytes(two)
}

proptest! {
    #![proptest_config(cases(600))]

    #[test]
    fn bh1750_reads_the_truth(share in 0.0..1.0_f64, mode in 0..3_usize, time in 31..=254_u8, continuous: bool) {
        let (resolution, quantum) = RESOLUTIONS[mode];
        let scale = f64::from(time) / 69.0;
        // Up to what 16 bits hold with this measurement time.
        let lx = share * 65_000.0 / (if mode == 1 { 2.4 } else { 1.2 } * scale);
        let (mut bus, mut clock) = bus_with(Bh1750::new(ADDRESS, still(&[(IlluminanceLx, lx)])));
        let mut driver = BH1750::new(&mut bus, clock.clone(), false);
        driver.set_measurement_time_register(time).unwrap();
        let read = if continuous {
            driver.start_continuous_measurement(resolution).unwrap();
            clock.delay_ms(1_000);
            driver.get_current_measurement(resolution).unwrap()
        } else {
            driver.get_one_time_measurement(resolution).unwrap()
        };
        // A low count of 4 lx is rounded to one of 1/1.2 lx.
        let rounded = if mode == 2 { 0.5 / 1.2 / scale } else { 0.0 };
        assert_near("illuminance", f64::from(read), lx, 0.5 * quantum / scale + rounded + lx * 3e-7);
    }

    #[test]
    fn bh1750_ehal_reads_the_counts(lx in 0.0..25_000.0, mode in 0..3_usize) {
        let (mut bus, clock) = bus_with(Bh1750::new(ADDRESS, still(&[(IlluminanceLx, lx)])));
        let mut driver = EhalBH1750::new(V02(&mut bus), V02(clock), Address::ADDR_L).unwrap();
        let once = match mode {
            0 => OneTimeMeasurement::HIHGT_RES,
            1 => OneTimeMeasurement::HIHGT_RES2,
            _ => OneTimeMeasurement::LOW_RES,
        };
        let read = f64::from(driver.light_one_shot(once)) / 1.2 / 1.2 / if mode == 1 { 2.0 } else { 1.0 };
        // Its own whole numbers come on top.
        assert_near("illuminance", read, lx, 0.5 * RESOLUTIONS[mode].1 + 1.2);
    }
}

#[test]
fn a_measurement_takes_its_time_and_until_then_the_old_value_stays() {
    for (code, typical_ms) in [(0x20, 120), (0x21, 120), (0x23, 16)] {
        for (slow, time) in [(false, 69_u8), (true, 69), (false, 138), (false, 31)] {
            let (mut bus, clock) = bus_with(Bh1750::new(ADDRESS, dark_then(500.0, 1)));
            bus.part(ADDRESS).unwrap().set_slow(slow);
            bus.write(ADDRESS, &[0x40 | time >> 5]).unwrap();
            bus.write(ADDRESS, &[0x60 | time & 31]).unwrap();
            bus.write(ADDRESS, &[code]).unwrap();
            let begun = clock.now_ns() - 2_500;
            let takes = typical_ms * MS * if slow { 3 } else { 2 } / 2 * u64::from(time) / 69;
            clock.advance_to_ns(begun + takes - MS);
            assert_eq!(counts(&mut bus), 0, "measuring: the old value");
            clock.advance_to_ns(begun + takes);
            let value = counts(&mut bus);
            assert!(value > 200, "{value}");
            clock.advance_to_ns(begun + 100 * takes);
            assert_eq!(counts(&mut bus), value, "one time, then power down keeps it");
        }
    }
}

#[test]
fn power_down_stops_and_reset_works_only_when_powered() {
    let (mut bus, mut clock) = bus_with(Bh1750::new(ADDRESS, dark_then(1000.0, 400 * MS)));
    bus.write(ADDRESS, &[0x10]).unwrap();
    clock.delay_ms(300);
    bus.write(ADDRESS, &[0x00]).unwrap();
    clock.delay_ms(700);
    assert_eq!(counts(&mut bus), 0, "it never saw the light");
    bus.write(ADDRESS, &[0x10]).unwrap();
    clock.delay_ms(130);
    assert_eq!(counts(&mut bus), 1200);
    bus.write(ADDRESS, &[0x00]).unwrap();
    bus.write(ADDRESS, &[0x07]).unwrap();
    assert_eq!(counts(&mut bus), 1200, "no reset in power down");
    bus.write(ADDRESS, &[0x01]).unwrap();
    bus.write(ADDRESS, &[0x07]).unwrap();
    assert_eq!(counts(&mut bus), 0);
}

#[test]
fn continuous_mode_follows_with_the_value_of_its_last_measurement() {
    let ramp = |_: Quantity, at_ns: u64| at_ns as f64 / MS as f64;
    let (mut bus, clock) = bus_with(Bh1750::new(ADDRESS, ramp));
    bus.write(ADDRESS, &[0x10]).unwrap();
    let begun = clock.now_ns() - 2_500;
    for cycle in [1, 2, 9, 1000] {
        clock.advance_to_ns(begun + cycle * 120 * MS + MS);
        let middle = begun as f64 / MS as f64 + cycle as f64 * 120.0 - 60.0;
        assert_near("counts", f64::from(counts(&mut bus)), (middle * 1.2).min(65535.0), 0.6);
    }
}
