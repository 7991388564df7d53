//! The rooms where parts and drivers meet: address, acknowledge, time.

use super::common::{bus_with, registers};
use embedded_hal::i2c::{Error as _, ErrorKind, I2c, NoAcknowledgeSource, Operation};
use twinfleet_twins::parts::{
    ads1115::Ads1115,
    bh1750::Bh1750,
    bme280::Bme280,
    clock::Clock,
    i2c::{AddressTaken, Direction, I2cBus, I2cError, I2cPart, Reply},
    ina219::Ina219,
    mpu6050::Mpu6050,
    sht31::Sht31,
    stimulus::Quantity,
    vl53l0x::Vl53l0x,
};

const WORLD: fn(Quantity, u64) -> f64 = |_, _| 20.0;

#[test]
fn an_address_where_nobody_lives_is_not_acknowledged() {
    let (mut bus, clock) = bus_with(Bme280::new(0x76, WORLD));
    clock.advance_to_ns(2_000_000);
    for address in (1..0x80).filter(|&a| a != 0x76) {
        let error = bus.write(address, &[0xD0]).unwrap_err();
        assert_eq!(error, I2cError::NoAddress(address));
        assert_eq!(error.kind(), ErrorKind::NoAcknowledge(NoAcknowledgeSource::Address));
    }
    assert_eq!(bus.write(0x76, &[]), Ok(()), "an empty write probes");
    assert_eq!(bus.write(0, &[6]), Err(I2cError::NoData(0)), "nobody here listens to the general call");
}

#[test]
fn two_parts_cannot_share_an_address() {
    let mut bus: I2cBus = I2cBus::new(Clock::new(), 100_000);
    bus.add(Box::new(Bme280::new(0x76, WORLD))).unwrap();
    bus.add(Box::new(Bme280::new(0x77, WORLD))).unwrap();
    assert_eq!(bus.add(Box::new(Bme280::new(0x77, WORLD))), Err(AddressTaken(0x77)));
    assert!(AddressTaken(0x77).to_string().contains("0x77"));
}

#[test]
fn a_transfer_takes_as_long_as_its_bits() {
    for (hz, bit_ns) in [(100_000, 10_000), (400_000, 2_500)] {
        let clock = Clock::new();
        let mut bus = I2cBus::new(clock.clone(), hz);
        bus.add(Bme280::new(0x76, WORLD)).unwrap();
        clock.advance_to_ns(2_000_000);
        bus.write_read(0x76, &[0xD0], &mut [0; 3]).unwrap();
        // Two starts with address and acknowledge, one byte out and three in with theirs, a stop.
        assert_eq!(clock.now_ns() - 2_000_000, (10 + 9 + 10 + 27 + 1) * bit_ns);
        // Reads that follow each other are one.
        let from = clock.now_ns();
        let (mut a, mut b) = ([0; 2], [0; 1]);
        bus.transaction(
            0x76,
            &mut [Operation::Write(&[0xD0]), Operation::Read(&mut a), Operation::Read(&mut b)],
        )
        .unwrap();
        assert_eq!(clock.now_ns() - from, 57 * bit_ns);
    }
}

#[test]
fn parts_of_all_kinds_share_one_bus_and_answer_only_for_themselves() {
    let clock = Clock::new();
    let mut bus: I2cBus = I2cBus::new(clock.clone(), 400_000);
    bus.add(Box::new(Bme280::new(0x76, WORLD))).unwrap();
    bus.add(Box::new(Bme280::bmp280(0x77, WORLD))).unwrap();
    bus.add(Box::new(Mpu6050::new(0x68, WORLD))).unwrap();
    bus.add(Box::new(Vl53l0x::new(WORLD))).unwrap();
    bus.add(Box::new(Sht31::new(0x44, WORLD))).unwrap();
    bus.add(Box::new(Bh1750::new(0x23, WORLD))).unwrap();
    bus.add(Box::new(Ina219::new(0x40, WORLD))).unwrap();
    bus.add(Box::new(Ads1115::new(0x48, WORLD))).unwrap();
    clock.advance_to_ns(50_000_000);
    assert_eq!(registers::<1>(&mut bus, 0x76, 0xD0), [0x60]);
    assert_eq!(registers::<1>(&mut bus, 0x77, 0xD0), [0x58]);
    assert_eq!(registers::<1>(&mut bus, 0x68, 0x75), [0x68]);
    assert_eq!(registers::<1>(&mut bus, 0x29, 0xC0), [0xEE]);
    assert_eq!(registers::<2>(&mut bus, 0x40, 0), [0x39, 0x9F]);
    assert_eq!(registers::<2>(&mut bus, 0x48, 1), [0x85, 0x83]);
    let found: Vec<u8> = (1..0x80).filter(|&a| bus.write(a, &[]).is_ok()).collect();
    assert_eq!(found, [0x23, 0x29, 0x40, 0x44, 0x48, 0x68, 0x76, 0x77]);
    // A simulation moves its devices between threads.
    fn moves<T: Send>(_: &T) {}
    moves(&bus);
}

/// Holds the clock line for so long on a read.
struct Slow(u64);

impl I2cPart for Slow {
    fn address(&self) -> u8 {
        0x10
    }
    fn start(&mut self, at_ns: u64, direction: Direction) -> Reply {
        if direction == Direction::Read { Reply::Stretch { until_ns: at_ns + self.0 } } else { Reply::Ack }
    }
    fn write(&mut self, _: u64, byte: u8) -> bool {
        byte != 0xEE
    }
    fn read(&mut self, _: u64) -> u8 {
        0x5A
    }
}

#[test]
fn a_held_clock_line_is_waited_for_within_a_bound() {
    let (mut bus, clock) = bus_with(Slow(10_000_000));
    let mut byte = [0];
    bus.read(0x10, &mut byte).unwrap();
    assert_eq!(byte, [0x5A]);
    assert_eq!(clock.now_ns(), 10 * 2_500 + 10_000_000 + 10 * 2_500);
    bus.set_stretch_max_ns(9_000_000);
    assert_eq!(bus.read(0x10, &mut byte), Err(I2cError::StretchTooLong(0x10)));
    assert_eq!(bus.write(0x10, &[1, 0xEE, 2]), Err(I2cError::NoData(0x10)));
}
