//! DS18B20, found and read by onewire 0.4.0 and (through the adapter for 0.2) by one-wire-bus 0.1.1 with ds18b20
//! 0.1.1.
//!
//! The part's quantum is 1/16 °C at 12 bits and doubles with each bit less (table 2).
//!
//! Where driver and datasheet disagree: ds18b20 0.1.1 takes the temperature for an unsigned number, and shifts it
//! again at lower resolutions, where the datasheet (figure 4) leaves the low bits undefined and the weights as they
//! are. So it is asked for temperatures from 0 °C on at 12 bits; onewire 0.4.0 reads the rest. That one, told that
//! nothing is powered by the line, pulls an open drain low after each byte and lets it go once in between, which is a
//! slot by figure 14 and costs it a bit; so it is told that something is.

use super::common::{assert_near, cases};
use ::ds18b20::{Ds18b20 as Driver, Resolution};
use embedded_hal::delay::DelayNs;
use one_wire_bus::{Address, OneWire};
use onewire::{DeviceSearch, Sensor, ds18b20::DS18B20};
use proptest::prelude::*;
use std::collections::BTreeSet;
use twinfleet_twins::parts::{
    MS,
    clock::Clock,
    crc,
    ds18b20::Ds18b20,
    eh02::V02,
    line::{Pin, Together, Wires},
    stimulus::Quantity,
};

type World = Box<dyn FnMut(Quantity, u64) -> f64 + Send>;

fn part(serial: u64, c: f64) -> Ds18b20<World> {
    Ds18b20::new(serial, Box::new(move |_, _| c))
}

fn wires(parts: Vec<Ds18b20<World>>) -> (Wires<Together<Ds18b20<World>>>, Clock) {
    let clock = Clock::new();
    (Wires::new(Together(parts), clock.clone(), 200), clock)
}

type E = std::convert::Infallible;
type Wire<'a> = OneWire<V02<Pin<'a, Together<Ds18b20<World>>>>>;

/// Selects the only part there is and sends it these bytes.
fn send(wire: &mut Wire<'_>, clock: &Clock, bytes: &[u8]) {
    let mut delay = V02(clock.clone());
    assert!(wire.reset(&mut delay).unwrap());
    wire.skip_address(&mut delay).unwrap();
    wire.write_bytes(bytes, &mut delay).unwrap();
}

proptest! {
    #![proptest_config(cases(150))]

    #[test]
    fn onewire_reads_the_truth_at_any_resolution(c in -55.0..125.0_f64, bits in 9..=12_u32) {
        let (wires, mut clock) = wires(vec![part(0x1234_5678_9ABC, c)]);
        {
            let mut wire = OneWire::new(V02(wires.pin(0))).unwrap();
            send(&mut wire, &clock, &[0x4E, 100, 0xCE, ((bits - 9) << 5) as u8]);
        }
        let mut wire = onewire::OneWire::new(wires.pin(0), true);
        let mut search = DeviceSearch::new();
        let device = wire.search_next(&mut search, &mut clock).unwrap().unwrap();
        prop_assert!(wire.search_next(&mut search, &mut clock).unwrap().is_none());
        let driver = DS18B20::new(device).unwrap();
        let wait_ms = driver.start_measurement(&mut wire, &mut clock).unwrap();
        clock.delay_ms(u32::from(wait_ms));
        let read = driver.read_measurement(&mut wire, &mut clock).unwrap();
        assert_near("temperature", f64::from(read), c, 0.5 / 16.0 * f64::from(1 << (12 - bits)) + 1e-6);
    }

    #[test]
    fn ds18b20_reads_the_truth_and_its_settings_come_back(c in 0.0..125.0_f64, low in -55..=125_i8,
            high in -55..=125_i8) {
        let (wires, clock) = wires(vec![part(77, c)]);
        let mut delay = V02(clock);
        let mut wire = OneWire::new(V02(wires.pin(0))).unwrap();
        let address = wire.devices(false, &mut delay).next().unwrap().unwrap();
        let driver = Driver::new::<E>(address).unwrap();
        driver.set_config(low, high, Resolution::Bits12, &mut wire, &mut delay).unwrap();
        driver.start_temp_measurement(&mut wire, &mut delay).unwrap();
        Resolution::Bits12.delay_for_measurement_time(&mut delay);
        let data = driver.read_data(&mut wire, &mut delay).unwrap();
        assert_near("temperature", f64::from(data.temperature), c, 0.5 / 16.0 + 1e-6);
        prop_assert_eq!((data.alarm_temp_low, data.alarm_temp_high), (low, high));
        // The alarm compares whole degrees.
        let whole = (c * 16.0).round() as i16 >> 4;
        // Where nobody answers the search, the driver gives an error.
        let found = wire.devices(true, &mut delay).filter(Result::is_ok).count();
        prop_assert_eq!(found, usize::from(whole >= i16::from(high) || whole <= i16::from(low)));
    }

    #[test]
    fn two_drivers_find_every_part_on_the_line(serials in prop::collection::btree_set(0..1_u64 << 48, 0..12)) {
        let (wires, mut clock) = wires(serials.iter().map(|&s| part(s, 20.0)).collect());
        let roms: BTreeSet<u64> =
            wires.with(|t| t.0.iter().map(|p| u64::from_le_bytes(p.rom())).collect());
        let mut delay = V02(clock.clone());
        let mut wire = OneWire::new(V02(wires.pin(0))).unwrap();
        let found: Vec<Address> = wire.devices(false, &mut delay).map(|a| a.unwrap()).collect();
        prop_assert_eq!(found.len(), roms.len());
        prop_assert_eq!(found.iter().map(|a| a.0).collect::<BTreeSet<_>>(), roms.clone());
        let mut wire = onewire::OneWire::new(wires.pin(0), true);
        let mut search = DeviceSearch::new();
        let mut also = BTreeSet::new();
        while let Some(device) = wire.search_next(&mut search, &mut clock).unwrap() {
            also.insert(u64::from_le_bytes(device.address));
        }
        prop_assert_eq!(also, roms);
    }

    #[test]
    fn only_the_part_that_is_meant_answers(which in 0..3_usize) {
        let (wires, clock) = wires((0..3).map(|i| part(i, 10.0 * i as f64)).collect());
        let mut delay = V02(clock);
        let mut wire = OneWire::new(V02(wires.pin(0))).unwrap();
        ::ds18b20::start_simultaneous_temp_measurement(&mut wire, &mut delay).unwrap();
        Resolution::Bits12.delay_for_measurement_time(&mut delay);
        let rom = wires.with(|t| u64::from_le_bytes(t.0[which].rom()));
        let data = Driver::new::<E>(Address(rom)).unwrap().read_data(&mut wire, &mut delay).unwrap();
        prop_assert_eq!(data.temperature, 10.0 * which as f32);
        // One that is not there: nobody pulls the line, so all bits are ones, and the checksum says so.
        let nobody = Driver::new::<E>(Address(0x2800_0000_0000_0028)).unwrap();
        prop_assert!(nobody.read_data(&mut wire, &mut delay).is_err());
    }
}

#[test]
fn the_checksum_of_maxims_example_comes_out() {
    // Application note 27.
    assert_eq!(crc::one_wire(&[0x02, 0x1C, 0xB8, 0x01, 0, 0, 0]), 0xA2);
}

#[test]
fn it_tells_85_degrees_until_a_conversion_is_done_and_zeros_meanwhile() {
    for (bits, ms) in [(9, 93.75), (10, 187.5), (11, 375.0), (12, 750.0)] {
        let (wires, clock) = wires(vec![part(5, 21.5)]);
        let mut delay = V02(clock.clone());
        let mut wire = OneWire::new(V02(wires.pin(0))).unwrap();
        let temperature = |wire: &mut Wire<'_>, delay: &mut V02<Clock>| {
            send(wire, &clock, &[0xBE]);
            let mut pad = [0; 9];
            wire.read_bytes(&mut pad, delay).unwrap();
            assert_eq!(crc::one_wire(&pad), 0);
            assert_eq!(pad[5..8], [0xFF, 0x0C, 0x10]);
            f64::from(i16::from_le_bytes([pad[0], pad[1]])) / 16.0
        };
        send(&mut wire, &clock, &[0x4E, 75, 70, (bits - 9) << 5 | 0x80]);
        send(&mut wire, &clock, &[0xBE]);
        let mut pad = [0; 5];
        wire.read_bytes(&mut pad, &mut delay).unwrap();
        assert_eq!(pad[2..], [75, 70, (bits - 9) << 5 | 0x1F], "bits that cannot be written");
        assert_eq!(temperature(&mut wire, &mut delay), 85.0, "power-on value");
        send(&mut wire, &clock, &[0x44]);
        let begun = clock.now_ns();
        assert!(!wire.read_bit(&mut delay).unwrap(), "busy");
        assert_eq!(temperature(&mut wire, &mut delay), 85.0, "too early: the old value");
        send(&mut wire, &clock, &[0x44]); // a second one changes nothing
        while !wire.read_bit(&mut delay).unwrap() {}
        let took = (clock.now_ns() - begun) as f64 / MS as f64;
        assert_near("conversion", took, ms, 0.2);
        assert_eq!(temperature(&mut wire, &mut delay), 21.5);
    }
}

#[test]
fn settings_survive_a_loss_of_power_only_in_eeprom() {
    let (wires, clock) = wires(vec![part(9, 0.0)]);
    let mut delay = V02(clock.clone());
    let mut wire = OneWire::new(V02(wires.pin(0))).unwrap();
    let driver = Driver::new::<E>(Address(wires.with(|t| u64::from_le_bytes(t.0[0].rom())))).unwrap();
    let settings = |wire: &mut Wire<'_>, delay: &mut V02<Clock>| {
        let data = driver.read_data(wire, delay).unwrap();
        (data.alarm_temp_low, data.alarm_temp_high)
    };
    assert_eq!(settings(&mut wire, &mut delay), (70, 75));
    driver.set_config(-10, 30, Resolution::Bits12, &mut wire, &mut delay).unwrap();
    wires.with(|t| t.0[0].power_cycle());
    assert_eq!(settings(&mut wire, &mut delay), (70, 75));
    driver.set_config(-10, 30, Resolution::Bits12, &mut wire, &mut delay).unwrap();
    send(&mut wire, &clock, &[0x48]);
    assert!(!wire.read_bit(&mut delay).unwrap(), "writing");
    clock.advance_ns(10 * MS);
    assert!(wire.read_bit(&mut delay).unwrap());
    wires.with(|t| t.0[0].power_cycle());
    assert_eq!(settings(&mut wire, &mut delay), (-10, 30));
}

#[test]
fn nobody_on_the_line_means_no_presence() {
    let (wires, clock) = wires(vec![]);
    let mut wire = OneWire::new(V02(wires.pin(0))).unwrap();
    assert!(!wire.reset(&mut V02(clock)).unwrap());
}
