//! LSM9DS1, by its datasheet's registers; Adafruit's Python driver reads it in the system tests.
//!
//! The part's quanta are a step of each full scale: 0.061 to 0.732 mg, 8.75 to 70 m°/s, 0.14 to 0.58 mgauss; 1/16 °C.

use super::common::{assert_near, bus_with, registers, still};
use embedded_hal::{delay::DelayNs, i2c::I2c};
use twinfleet_twins::parts::{
    clock::Clock,
    i2c::{I2cBus, I2cPart},
    lsm9ds1::{Inertial, Magnetometer},
    stimulus::Quantity::{self, AccelerationG, MagneticUt, RateDps, TemperatureC},
};

const INERTIAL: u8 = 0x6B;
const MAGNETOMETER: u8 = 0x1E;
const G: [f64; 3] = [0.25, -0.5, 1.0];
const DPS: [f64; 3] = [-30.0, 12.5, 200.0];
const UT: [f64; 3] = [20.0, -1.5, 44.0];
const WORLD: [(Quantity, f64); 10] = [
    (AccelerationG(0), G[0]),
    (AccelerationG(1), G[1]),
    (AccelerationG(2), G[2]),
    (RateDps(0), DPS[0]),
    (RateDps(1), DPS[1]),
    (RateDps(2), DPS[2]),
    (MagneticUt(0), UT[0]),
    (MagneticUt(1), UT[1]),
    (MagneticUt(2), UT[2]),
    (TemperatureC, 31.5),
];

type Bus = I2cBus<Box<dyn I2cPart>>;

/// Both chips of the package.
fn package() -> (Bus, Clock) {
    let inertial: Box<dyn I2cPart> = Box::new(Inertial::new(INERTIAL, still(&WORLD)));
    let (mut bus, clock) = bus_with(inertial);
    bus.add(Box::new(Magnetometer::new(MAGNETOMETER, still(&WORLD)))).unwrap();
    (bus, clock)
}

/// Three words from a register on, lowest byte first.
fn axes(bus: &mut Bus, address: u8, register: u8) -> [f64; 3] {
    let bytes: [u8; 6] = registers(bus, address, register);
    [0, 2, 4].map(|k| f64::from(i16::from_le_bytes([bytes[k], bytes[k + 1]])))
}

fn flags<P: I2cPart>(bus: &mut I2cBus<P>, address: u8, register: u8) -> u8 {
    registers::<1>(bus, address, register)[0]
}

#[track_caller]
fn assert_axes(what: &str, read: [f64; 3], step: f64, truth: [f64; 3]) {
    for (read, truth) in read.into_iter().zip(truth) {
        assert_near(what, read * step, truth, 0.501 * step);
    }
}

#[test]
fn both_chips_say_who_they_are_and_rest_until_they_are_told() {
    let (mut bus, mut clock) = package();
    assert_eq!(flags(&mut bus, INERTIAL, 0x0F), 0x68);
    assert_eq!(flags(&mut bus, MAGNETOMETER, 0x0F), 0x3D);
    assert_eq!(registers::<2>(&mut bus, INERTIAL, 0x1E), [0x38, 0x38], "axes on, rates off");
    assert_eq!(registers::<3>(&mut bus, MAGNETOMETER, 0xA0), [0x10, 0, 3], "powered down");
    clock.delay_ms(100);
    assert_eq!(flags(&mut bus, INERTIAL, 0x17), 0);
    assert_eq!(axes(&mut bus, MAGNETOMETER, 0xA8), [0.0; 3]);
    // A reset brings back what was set.
    bus.write(INERTIAL, &[0x20, 0xC0]).unwrap();
    bus.write(INERTIAL, &[0x22, 0x05]).unwrap();
    assert_eq!(registers::<3>(&mut bus, INERTIAL, 0x20), [0x00, 0x00, 0x04]);
}

#[test]
fn every_full_scale_reads_the_truth_to_its_step() {
    let (mut bus, mut clock) = package();
    // 952 Hz; ±2, ±16, ±4 and ±8 g, ±245, ±500 and ±2000 °/s.
    for (code, mg) in [(0, 0.061), (1, 0.732), (2, 0.122), (3, 0.244)] {
        bus.write(INERTIAL, &[0x20, 0xC0 | code << 3]).unwrap();
        for (scale, mdps) in [(0, 8.75), (1, 17.5), (3, 70.0)] {
            bus.write(INERTIAL, &[0x10, 0xC0 | scale << 3]).unwrap();
            clock.delay_ms(3);
            assert_axes("acceleration", axes(&mut bus, INERTIAL, 0x28), mg * 1e-3, G);
            assert_axes("rotation", axes(&mut bus, INERTIAL, 0x18), mdps * 1e-3, DPS);
        }
    }
    let [low, high] = registers::<2>(&mut bus, INERTIAL, 0x15);
    assert_eq!(i16::from_le_bytes([low, high]), 16 * 13 / 2, "6.5 °C above 25");
    bus.write(MAGNETOMETER, &[0x22, 0]).unwrap();
    for (code, mgauss) in [(0, 0.14), (1, 0.29), (2, 0.43), (3, 0.58)] {
        bus.write(MAGNETOMETER, &[0x21, code << 5]).unwrap();
        // 10 Hz by itself.
        clock.delay_ms(101);
        assert_axes("field", axes(&mut bus, MAGNETOMETER, 0xA8), mgauss * 0.1, UT);
    }
    // What is set as an offset is taken off: 1000 steps of 0.58 mgauss.
    bus.write(MAGNETOMETER, &[0x85, 0xE8, 0x03]).unwrap();
    clock.delay_ms(101);
    assert_axes("field", axes(&mut bus, MAGNETOMETER, 0xA8), 0.058, [UT[0] - 58.0, UT[1], UT[2]]);
}

#[test]
fn samples_come_at_the_rate_that_is_set_and_reading_takes_their_flag() {
    // ODR_XL, ODR_G and the time between samples in microseconds: the gyroscope's rate is the accelerometer's too.
    for (accel, gyro, us) in [(0x20, 0, 100_000), (0x60, 0, 8_403), (0xC0, 0, 1_050), (0xC0, 0x20, 67_114)] {
        let (mut bus, clock) = package();
        bus.write(INERTIAL, &[0x20, accel]).unwrap();
        bus.write(INERTIAL, &[0x10, gyro]).unwrap();
        let (mut count, until) = (0, clock.now_ns() + 100 * us * 1_000);
        while clock.now_ns() < until {
            clock.advance_ns(us * 100);
            let flags = flags(&mut bus, INERTIAL, 0x27);
            assert_eq!(flags & 2 != 0, flags & 1 != 0 && gyro != 0, "{accel:#x} {gyro:#x}");
            count += u32::from(flags & 1);
            if flags & 1 != 0 {
                axes(&mut bus, INERTIAL, 0x18);
                axes(&mut bus, INERTIAL, 0x28);
            }
        }
        assert!((98..=100).contains(&count), "{count} in 100 periods of {us} µs");
    }
}

#[test]
fn bursts_go_on_where_each_chip_is_asked_to() {
    let (mut bus, mut clock) = package();
    bus.write(INERTIAL, &[0x20, 0xC0]).unwrap();
    bus.write(MAGNETOMETER, &[0x22, 0]).unwrap();
    clock.delay_ms(110);
    // The highest bit is the magnetometer's alone.
    assert_eq!(axes(&mut bus, INERTIAL, 0x28), axes(&mut bus, INERTIAL, 0xA8));
    let [a, b, ..] = registers::<6>(&mut bus, MAGNETOMETER, 0x28);
    assert_eq!(a, b, "the same register again");
    bus.write(INERTIAL, &[0x22, 0]).unwrap();
    let [a, b, c] = registers::<3>(&mut bus, INERTIAL, 0x2C);
    assert_eq!([a, a], [b, c]);
    // Highest byte first.
    bus.write(INERTIAL, &[0x22, 0x06]).unwrap();
    clock.delay_ms(3);
    assert_eq!(registers::<2>(&mut bus, INERTIAL, 0x2C), 16393_i16.to_be_bytes());
}

#[test]
fn a_single_shot_of_the_magnetometer_is_one() {
    let (mut bus, mut clock) = package();
    bus.write(MAGNETOMETER, &[0x22, 1]).unwrap();
    assert_eq!(flags(&mut bus, MAGNETOMETER, 0x27), 0);
    clock.delay_ms(10);
    assert_eq!(flags(&mut bus, MAGNETOMETER, 0x27), 0x0F);
    assert_axes("field", axes(&mut bus, MAGNETOMETER, 0xA8), 0.014, UT);
    clock.delay_ms(500);
    assert_eq!(flags(&mut bus, MAGNETOMETER, 0x27), 0, "and powers down");
    assert_eq!(flags(&mut bus, MAGNETOMETER, 0x22) & 3, 3);
    bus.write(MAGNETOMETER, &[0x22, 0]).unwrap();
    clock.delay_ms(500);
    assert_eq!(flags(&mut bus, MAGNETOMETER, 0x27), 0xFF, "nobody read those before the last");
}

/// How full the FIFO is.
fn filled<P: I2cPart>(bus: &mut I2cBus<P>) -> u8 {
    flags(bus, INERTIAL, 0x2F)
}

/// A slot of the FIFO: acceleration along x in mg, rotation about z in °/s.
fn take<P: I2cPart>(bus: &mut I2cBus<P>) -> (f64, f64) {
    let gyro: [u8; 6] = registers(bus, INERTIAL, 0x98);
    let accel: [u8; 6] = registers(bus, INERTIAL, 0xA8);
    let counts = |low: u8, high: u8| f64::from(i16::from_le_bytes([low, high]));
    (counts(accel[0], accel[1]) * 0.061, counts(gyro[4], gyro[5]) * 8.75e-3)
}

/// Arduino's and MicroPython's own drivers ask the FIFO how many samples wait, and read them one by one.
#[test]
fn the_fifo_gives_the_samples_in_order() {
    // Acceleration in millig is time in milliseconds, and so is rotation in °/s.
    let ramp = |quantity: Quantity, at_ns: u64| match quantity {
        AccelerationG(0) => at_ns as f64 * 1e-9,
        RateDps(2) => at_ns as f64 * 1e-6,
        _ => 0.0,
    };
    let (mut bus, clock) = bus_with(Inertial::new(INERTIAL, ramp));
    // 119 Hz, a sample in 8.4 ms; FIFO on, continuous.
    bus.write(INERTIAL, &[0x10, 0x60]).unwrap();
    bus.write(INERTIAL, &[0x23, 0x02]).unwrap();
    bus.write(INERTIAL, &[0x2E, 0xC0 | 8]).unwrap();
    assert_eq!(filled(&mut bus), 0);
    clock.advance_ns(60_000_000);
    assert_eq!(filled(&mut bus), 7);
    clock.advance_ns(8_403_000);
    assert_eq!(filled(&mut bus), 0x80 | 8, "as full as was asked for");
    for k in 1..=8 {
        let (accel_ms, gyro_ms) = take(&mut bus);
        assert_near("acceleration", accel_ms, 8.403 * f64::from(k), 0.2);
        assert_near("rotation", gyro_ms, accel_ms, 0.05);
    }
    assert_eq!(filled(&mut bus), 0);
    // The last 32 are kept, and it is told that some are lost.
    clock.advance_to_ns(1_004_000_000);
    assert_eq!(filled(&mut bus), 0xC0 | 32);
    assert_near("the oldest", take(&mut bus).0, 88.0 * 8.4034, 0.2);
    assert_eq!(filled(&mut bus), 0x80 | 31);
    // In FIFO mode the first are kept, until there is room.
    bus.write(INERTIAL, &[0x2E, 0]).unwrap();
    assert_eq!(filled(&mut bus), 0);
    bus.write(INERTIAL, &[0x2E, 0x20]).unwrap();
    clock.advance_to_ns(1_500_000_000);
    assert_eq!(filled(&mut bus), 0x40 | 32);
    assert_near("the oldest", take(&mut bus).0, 120.0 * 8.4034, 0.2);
}
