//! MPU-6050, read by mpu6050-dmp 0.6.1 and periph 1.3.1.
//!
//! The part's quantum is a step of its 16-bit words: 1/16384 g and 1/131 °/s at the narrowest full scale, twice, four
//! and eight times as much at the wider ones; 1/340 °C (PS §6.1 and §6.2; RM, registers 65 and 66).
//!
//! Where drivers and datasheet disagree: periph 1.3.1 enables only the z axis of the gyroscope in the FIFO, and slave
//! 2 instead of the temperature (register 35 has bits 6 to 4 and bit 7 for them); its FIFO is not tested here.
//! mpu6050-dmp 0.6.1 enables for "data ready" the interrupt of free fall (bit 7; register 56 has bit 0), and sets full
//! scales by "or", so that they only ever widen.

use super::common::{assert_near, bus_with, cases, registers};
use embedded_hal::{delay::DelayNs, i2c::I2c};
use mpu6050_dmp::{
    accel::AccelFullScale, address::Address, config::DigitalLowPassFilter, fifo::Fifo, gyro::GyroFullScale,
    sensor::Mpu6050 as Driver,
};
use periph::chips::imu::MPU6050Full;
use proptest::prelude::*;
use twinfleet_twins::parts::{
    MS, US,
    i2c::I2cError,
    mpu6050::Mpu6050,
    stimulus::Quantity::{self, AccelerationG, RateDps, TemperatureC},
};

const ADDRESS: u8 = 0x68;

#[derive(Debug, Clone, Copy)]
struct Truth {
    g: [f64; 3],
    dps: [f64; 3],
    c: f64,
}

fn world(t: Truth) -> impl FnMut(Quantity, u64) -> f64 + Send {
    move |q, _| match q {
        AccelerationG(axis) => t.g[usize::from(axis)],
        RateDps(axis) => t.dps[usize::from(axis)],
        TemperatureC => t.c,
        other => panic!("{other:?} is not its to ask"),
    }
}

/// A truth as a share of the full scales, a little beyond their ends.
fn truth(g: [f64; 3], dps: [f64; 3], c: f64, scales: [usize; 2]) -> Truth {
    let (full_g, full_dps) = (2.0 * f64::from(1 << scales[0]), 250.0 * f64::from(1 << scales[1]));
    Truth { g: g.map(|v| v * full_g), dps: dps.map(|v| v * full_dps), c }
}

fn check(read: [f64; 3], truth: [f64; 3], lsb: f64, full: f64) {
    for axis in 0..3 {
        // The positive end of 16 bits is one step short of full scale; the gyroscope's sensitivity is a rounded one.
        let bounded = truth[axis].clamp(-32768.0 * lsb, 32767.0 * lsb);
        assert_near("axis", read[axis], bounded, 0.5 * lsb + full * 4e-7);
    }
}

const DPS_LSB: [f64; 4] = [1.0 / 131.0, 1.0 / 65.5, 1.0 / 32.8, 1.0 / 16.4];

proptest! {
    #![proptest_config(cases(500))]

    #[test]
    fn both_drivers_read_the_truth(g in prop::array::uniform3(-1.05..1.05_f64), c in -40.0..85.0_f64,
            dps in prop::array::uniform3(-1.02..1.02_f64), scales in prop::array::uniform2(0..4_usize)) {
        let truth = truth(g, dps, c, scales);
        let (g_lsb, dps_lsb) = (f64::from(1 << scales[0]) / 16384.0, DPS_LSB[scales[1]]);
        let (full_g, full_dps) = (f64::from(2 << scales[0]), 250.0 * f64::from(1 << scales[1]));
        let (mut bus, mut clock) = bus_with(Mpu6050::new(ADDRESS, world(truth)));
        clock.delay_ms(20);
        let wide = |v: [f32; 3]| v.map(f64::from);

        let mut driver = Driver::new(&mut bus, Address::default()).unwrap();
        let accel = [AccelFullScale::G2, AccelFullScale::G4, AccelFullScale::G8, AccelFullScale::G16][scales[0]];
        use GyroFullScale as G;
        let gyro = [G::Deg250, G::Deg500, G::Deg1000, G::Deg2000][scales[1]];
        driver.set_accel_full_scale(accel).unwrap();
        driver.set_gyro_full_scale(gyro).unwrap();
        clock.delay_ms(1);
        let (a, r) = driver.motion6().unwrap();
        let (a, r) = (a.scaled(accel), r.scaled(gyro));
        check(wide([a.x(), a.y(), a.z()]), truth.g, g_lsb, full_g);
        check(wide([r.x(), r.y(), r.z()]), truth.dps, dps_lsb, full_dps);
        assert_near("temperature", f64::from(driver.temperature().unwrap().celsius()), c, 0.5 / 340.0 + 2e-5);

        let mut driver = MPU6050Full::new(&mut bus, ADDRESS, &mut clock).unwrap();
        driver.configure_accel(scales[0] as u8).unwrap();
        driver.configure_gyro(scales[1] as u8).unwrap();
        clock.delay_ms(6);
        prop_assert!(driver.data_ready().unwrap());
        let ((ax, ay, az), (rx, ry, rz)) = (driver.accel().unwrap(), driver.gyro().unwrap());
        check(wide([ax, ay, az]).map(|v| v / 9.80665), truth.g, g_lsb, full_g);
        check(wide([rx, ry, rz]).map(f64::to_degrees), truth.dps, dps_lsb, full_dps);
        assert_near("temperature", f64::from(driver.temperature().unwrap()), c, 0.5 / 340.0 + 2e-5);
    }

    /// What is in the FIFO are the last samples, whole and in order, at the rate that divider and filter give.
    #[test]
    fn the_fifo_holds_the_samples_in_order(divider in 0..=255_u8, filter in 0..7_usize,
            pauses in prop::collection::vec(1..400_u32, 1..8)) {
        // Acceleration counts milliseconds, the gyroscope's z axis too.
        let ramp = |q: Quantity, at_ns: u64| match q {
            AccelerationG(0) => at_ns as f64 * 1e-9,
            RateDps(2) => at_ns as f64 * 1e-8,
            _ => 0.0,
        };
        let (mut bus, mut clock) = bus_with(Mpu6050::new(ADDRESS, ramp));
        clock.delay_ms(20);
        let mut driver = Driver::new(&mut bus, Address::default()).unwrap();
        use DigitalLowPassFilter as F;
        let filters = [F::Filter0, F::Filter1, F::Filter2, F::Filter3, F::Filter4, F::Filter5, F::Filter6];
        driver.set_digital_lowpass_filter(filters[filter]).unwrap();
        driver.set_sample_rate_divider(divider).unwrap();
        let since = clock.now_ns() - 2_500;
        driver.set_fifo_enabled(Fifo { accel: true, zg: true, ..Fifo::all_disabled() }).unwrap();
        driver.enable_fifo().unwrap();
        driver.reset_fifo().unwrap();
        driver.interrupt_read_clear().unwrap();
        let period = if filter == 0 { 125 * US } else { MS } * (1 + u64::from(divider));
        let delays =
            [(0, 980), (2000, 1900), (3000, 2800), (4900, 4800), (8500, 8300), (13_800, 13_400), (19_000, 18_600)];
        let (accel_us, gyro_us) = delays[filter];
        for pause in pauses {
            clock.delay_ms(pause);
            let overflowed = driver.interrupt_read_clear().unwrap() & 1 << 4 != 0;
            let mut buffer = [0; 1024];
            let asked = clock.now_ns() + 29 * 2_500; // when the count's register is addressed for reading
            let bytes = driver.read_fifo(&mut buffer).unwrap().len();
            if overflowed || bytes == 1024 {
                prop_assert!(u64::from(pause) * MS + 100 * MS >= 128 * period, "overflow after {pause} ms");
                driver.reset_fifo().unwrap();
                driver.interrupt_read_clear().unwrap();
                continue;
            }
            prop_assert_eq!(bytes % 8, 0);
            let ticks = (asked - since) / period;
            for (back, sample) in buffer[..bytes].chunks(8).rev().enumerate() {
                let tick_ns = since + (ticks - back as u64) * period;
                let word = |i: usize| f64::from(i16::from_be_bytes([sample[i], sample[i + 1]]));
                let at = |us: u64| (tick_ns - us * US) as f64 * 1e-9;
                let acceleration = at(accel_us).min(32767.0 / 16384.0);
                assert_near("acceleration", word(0) / 16384.0, acceleration, 0.501 / 16384.0);
                assert_near("rate", word(6) / 131.0, at(gyro_us) * 10.0, 0.501 / 131.0);
            }
        }
    }
}

const STILL: Truth = Truth { g: [0.0, 0.0, 1.0], dps: [0.0; 3], c: 25.0 };

#[test]
fn it_starts_asleep_and_wakes_on_request() {
    let (mut bus, mut clock) = bus_with(Mpu6050::new(ADDRESS, world(STILL)));
    assert_eq!(bus.write(ADDRESS, &[]), Err(I2cError::NoAddress(ADDRESS)), "starting up");
    clock.delay_ms(50);
    assert_eq!(registers::<1>(&mut bus, ADDRESS, 0x75), [0x68]);
    assert_eq!(registers::<1>(&mut bus, ADDRESS, 0x6B), [0x40]);
    assert_eq!(registers::<14>(&mut bus, ADDRESS, 0x3B), [0; 14], "asleep");
    bus.write(ADDRESS, &[0x6B, 0]).unwrap();
    clock.delay_ms(1);
    assert_eq!(registers::<2>(&mut bus, ADDRESS, 0x3F), 16384_u16.to_be_bytes());
    bus.write(ADDRESS, &[0x6B, 0x80]).unwrap();
    assert_eq!(registers::<1>(&mut bus, ADDRESS, 0x6B), [0x40], "reset");
    assert_eq!(registers::<14>(&mut bus, ADDRESS, 0x3B), [0; 14]);
    // The second address has the same WHO_AM_I.
    let (mut bus, mut clock) = bus_with(Mpu6050::new(0x69, world(STILL)));
    clock.delay_ms(20);
    assert_eq!(registers::<1>(&mut bus, 0x69, 0x75), [0x68]);
}

#[test]
fn data_ready_comes_at_the_sample_rate_and_reading_clears_it() {
    for (divider, filter, period_us) in
        [(7, 0, 1000), (0, 1, 1000), (9, 3, 10_000), (255, 6, 256_000), (79, 7, 10_000)]
    {
        let (mut bus, clock) = bus_with(Mpu6050::new(ADDRESS, world(STILL)));
        clock.advance_to_ns(20 * MS);
        bus.write(ADDRESS, &[0x6B, 0]).unwrap();
        bus.write(ADDRESS, &[0x1A, filter]).unwrap();
        bus.write(ADDRESS, &[0x19, divider]).unwrap();
        bus.write(ADDRESS, &[0x38, 1]).unwrap();
        let since = clock.now_ns();
        registers::<1>(&mut bus, ADDRESS, 0x3A);
        let (mut count, until) = (0, since + 100 * period_us * US);
        while clock.now_ns() < until {
            let pin = bus.part(ADDRESS).unwrap().interrupt(clock.now_ns());
            let [status] = registers::<1>(&mut bus, ADDRESS, 0x3A);
            assert!(status & 1 != 0 || !pin);
            count += u32::from(status & 1);
        }
        assert!((99..=101).contains(&count), "{count} in 100 periods of {period_us} µs");
    }
}

#[test]
fn an_overflow_keeps_the_newest_and_an_empty_fifo_repeats_its_last_byte() {
    let ramp = |q: Quantity, at_ns: u64| if q == AccelerationG(0) { at_ns as f64 * 1e-9 } else { 0.0 };
    let (mut bus, clock) = bus_with(Mpu6050::new(ADDRESS, ramp));
    clock.advance_to_ns(20 * MS);
    for write in [[0x6B, 0], [0x1A, 1], [0x19, 0], [0x23, 8], [0x6A, 0x44]] {
        bus.write(ADDRESS, &write).unwrap();
    }
    clock.advance_to_ns(100 * MS);
    assert_eq!(registers::<1>(&mut bus, ADDRESS, 0x3A)[0] & 0x10, 0, "some 80 samples of 6 bytes");
    clock.advance_to_ns(1_900 * MS);
    assert_eq!(registers::<1>(&mut bus, ADDRESS, 0x3A)[0] & 0x10, 0x10, "overflow");
    assert_eq!(registers::<1>(&mut bus, ADDRESS, 0x3A)[0] & 0x10, 0, "told once");
    assert_eq!(registers::<2>(&mut bus, ADDRESS, 0x72), 1024_u16.to_be_bytes());
    // The sensor stops, so that what is in the FIFO stays; 1024 is no multiple of 6, so it begins within a sample.
    bus.write(ADDRESS, &[0x6B, 0x40]).unwrap();
    let bytes = registers::<1024>(&mut bus, ADDRESS, 0x74);
    let xs: Vec<f64> =
        bytes[4..].chunks(6).map(|s| f64::from(i16::from_be_bytes([s[0], s[1]])) / 16384.0).collect();
    assert_near("the newest", xs[169], 1.9, 0.003);
    assert!(xs.windows(2).all(|w| (w[1] - w[0] - 1e-3).abs() < 1e-4), "a sample a millisecond");
    let last = bytes[1023];
    assert_eq!(registers::<3>(&mut bus, ADDRESS, 0x74), [last; 3]);
    assert_eq!(registers::<2>(&mut bus, ADDRESS, 0x72), [0, 0]);
}
