//! DHT22 and DHT11, read by dht-sensor 0.3.0, embedded-dht-rs 0.5.0 and dht-embedded 0.4.0.
//!
//! The part's quantum is 0.1 °C and 0.1 % (DHT22), or 1 °C and 1 % (DHT11).
//!
//! Where driver and manual disagree: dht-embedded 0.4.0 begins to wait for the response 25 µs after it lets the line
//! go, and takes a line that is still high for the end of it; the manual allows the part 20 to 200 µs. It also starts
//! a DHT11 with 3 ms, which wants 18. So it reads here a DHT22 that responds in 20 µs.

use super::common::{assert_near, cases};
use dht_embedded::{Dht22 as DhtEmbedded22, DhtSensor, NoopInterruptControl};
use dht_sensor::{dht11, dht22};
use embedded_dht_rs::{dht11::Dht11, dht22::Dht22};
use embedded_hal::delay::DelayNs;
use proptest::prelude::*;
use twinfleet_twins::parts::{
    MS, US,
    clock::Clock,
    dht::Dht,
    line::Wires,
    stimulus::Quantity::{self, TemperatureC},
};

fn still(c: f64, pct: f64) -> impl FnMut(Quantity, u64) -> f64 + Send {
    move |q, _| if q == TemperatureC { c } else { pct }
}

fn wires<S: FnMut(Quantity, u64) -> f64 + Send>(part: Dht<S>) -> (Wires<Dht<S>>, Clock) {
    let clock = Clock::new();
    (Wires::new(part, clock.clone(), 200), clock)
}

proptest! {
    #![proptest_config(cases(300))]

    #[test]
    fn three_drivers_read_a_dht22(c in -40.0..80.0_f64, pct in 0.0..99.9_f64, response_us in 20..=40_u64) {
        let (wires, mut clock) = wires(Dht::dht22(still(c, pct)));
        wires.with(|part| part.set_response_ns(response_us * US));
        clock.delay_ms(2_000);
        let mut pin = wires.pin(0);
        let first = dht22::blocking::read(&mut clock, &mut pin).unwrap();
        assert_near("temperature", f64::from(first.temperature), c, 0.05 + 1e-5);
        assert_near("humidity", f64::from(first.relative_humidity), pct, 0.05 + 1e-5);
        clock.delay_ms(2_000);
        let second = Dht22::new(wires.pin(0), clock.clone()).read().unwrap();
        prop_assert_eq!((second.temperature, second.humidity), (first.temperature, first.relative_humidity));
        clock.delay_ms(2_000);
        wires.with(|part| part.set_response_ns(20 * US));
        let third = DhtEmbedded22::new(NoopInterruptControl, clock, wires.pin(0)).read().unwrap();
        prop_assert_eq!((third.temperature(), third.humidity()), (first.temperature, first.relative_humidity));
    }

    #[test]
    fn two_drivers_read_a_dht11(c in 0.0..50.0_f64, pct in 20.0..90.0_f64) {
        let (wires, mut clock) = wires(Dht::dht11(still(c, pct)));
        clock.delay_ms(1_000);
        let mut pin = wires.pin(0);
        let first = dht11::blocking::read(&mut clock, &mut pin).unwrap();
        assert_near("temperature", f64::from(first.temperature), c, 0.5);
        assert_near("humidity", f64::from(first.relative_humidity), pct, 0.5);
        clock.delay_ms(1_000);
        let second = Dht11::new(wires.pin(0), clock).read().unwrap();
        prop_assert_eq!(i16::from(second.temperature), i16::from(first.temperature));
        prop_assert_eq!(second.humidity, first.relative_humidity);
    }
}

#[test]
fn it_answers_with_the_measurement_before() {
    // A degree more each second.
    let ramp = |q: Quantity, at_ns: u64| if q == TemperatureC { at_ns as f64 * 1e-9 } else { 50.0 };
    let (wires, mut clock) = wires(Dht::dht22(ramp));
    let mut pin = wires.pin(0);
    clock.delay_ms(10_000);
    let mut read = |clock: &mut Clock| f64::from(dht22::blocking::read(clock, &mut pin).unwrap().temperature);
    assert_near("that of power-on", read(&mut clock), 2.0, 0.05);
    clock.delay_ms(5_000);
    assert_near("that of the first read's end", read(&mut clock), 10.0, 0.06);
    clock.delay_ms(30_000);
    assert_near("old, since nobody asked for long", read(&mut clock), 15.0, 0.06);
    clock.delay_ms(2_100);
    assert_near("asked twice it is fresh", read(&mut clock), 45.0, 0.1);
    // Sooner than 2 s: the same again, and nothing new is measured.
    let repeated = [500, 500, 500].map(|ms| {
        clock.delay_ms(ms);
        read(&mut clock)
    });
    assert_near("new once", repeated[0], 47.1, 0.1);
    assert_eq!(repeated, [repeated[0]; 3]);
}

#[test]
fn it_does_not_answer_while_it_settles_or_to_a_start_that_is_too_short() {
    let (wires, mut clock) = wires(Dht::dht22(still(20.0, 50.0)));
    let mut pin = wires.pin(0);
    clock.delay_ms(1_900);
    assert!(dht22::blocking::read(&mut clock, &mut pin).is_err(), "2 s after power-on at the earliest");
    clock.delay_ms(100);
    assert!(dht22::blocking::read(&mut clock, &mut pin).is_ok());
    let (wires, mut clock) = self::wires(Dht::dht11(still(20.0, 50.0)));
    let mut pin = wires.pin(0);
    clock.advance_ns(1_500 * MS);
    assert!(dht22::blocking::read(&mut clock, &mut pin).is_err(), "1 ms is none for a DHT11");
    assert!(dht11::blocking::read(&mut clock, &mut pin).is_ok());
}

#[test]
fn the_manuals_examples_come_out() {
    // AM2302 §7: 65.2 % and 35.1 °C, and −10.1 °C.
    for (c, pct) in [(35.1, 65.2), (-10.1, 65.2), (-0.04, 0.0)] {
        let (wires, mut clock) = wires(Dht::dht22(still(c, pct)));
        clock.delay_ms(2_000);
        let read = dht22::blocking::read(&mut clock, &mut wires.pin(0)).unwrap();
        assert_near("temperature", f64::from(read.temperature), c, 0.05);
        assert_near("humidity", f64::from(read.relative_humidity), pct, 1e-5);
    }
}
