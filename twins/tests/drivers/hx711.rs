//! HX711, read by hx711 0.7.0, loadcell 0.3.0 and periph 1.3.1.
//!
//! The part's quantum is a step of its 24 bits: half the supply over the gain, over 2²³ (datasheet page 4).

use super::common::{assert_near, cases};
use ::hx711::{Hx711 as Driver, Mode};
use embedded_hal::{
    delay::DelayNs,
    digital::{InputPin, OutputPin},
};
use loadcell::{
    LoadCell,
    hx711::{GainMode, HX711 as LoadCellDriver},
};
use periph::{chips::adc_dac::Hx711Full, connection::hx711::HX711Connection};
use proptest::prelude::*;
use twinfleet_twins::parts::{
    MS, US,
    clock::Clock,
    hx711::{CLOCK, DATA, Hx711},
    line::Wires,
    stimulus::Quantity::{self, BridgeV, Volts},
};

fn wires<S: FnMut(Quantity, u64) -> f64 + Send>(fast: bool, world: S) -> (Wires<Hx711<S>>, Clock) {
    let clock = Clock::new();
    (Wires::new(Hx711::new(5.0, fast, world), clock.clone(), 1_000), clock)
}

fn full_v(gain: f64) -> f64 {
    2.5 / gain
}

proptest! {
    #![proptest_config(cases(25))]

    #[test]
    fn three_drivers_read_the_truth(share in -1.1..1.1_f64, gain in 0..3_usize, fast: bool) {
        let (factor, mode) = [(128.0, Mode::ChAGain128), (32.0, Mode::ChBGain32), (64.0, Mode::ChAGain64)][gain];
        let truth = share * full_v(factor);
        let world = move |q, _| match q {
            BridgeV if gain != 1 => truth,
            Volts(1) if gain == 1 => truth,
            _ => 0.0,
        };
        let lsb = full_v(factor) / f64::from(1 << 23);
        let bounded = truth.clamp(-full_v(factor), full_v(factor) - lsb);
        let check = |code: i32| assert_near("voltage", f64::from(code) * lsb, bounded, 0.501 * lsb);

        let (one, clock) = wires(fast, world);
        let mut driver = Driver::new(clock.clone(), one.pin(DATA), one.pin(CLOCK)).unwrap();
        nb::block!(driver.set_mode(mode)).unwrap();
        check(nb::block!(driver.retrieve()).unwrap());

        let (two, mut clock) = wires(fast, world);
        let mut driver = LoadCellDriver::new(two.pin(CLOCK), two.pin(DATA), clock.clone());
        driver.set_gain_mode([GainMode::A128, GainMode::B32, GainMode::A64][gain]);
        prop_assert!(driver.read().is_err(), "not ready");
        clock.delay_ms(400);
        driver.read().unwrap(); // still with the gain of the start
        clock.delay_ms(400);
        check(driver.read().unwrap());

        let (three, _) = wires(fast, world);
        let mut driver = Hx711Full::new(HX711Connection::new(three.pin(DATA), three.pin(CLOCK))).unwrap();
        driver.set_gain([128, 32, 64][gain]).unwrap();
        check(driver.read_raw().unwrap());
    }
}

#[test]
fn results_come_at_10_or_80_a_second_and_after_settling() {
    for (fast, period) in [(false, 100 * MS), (true, 12_500 * US)] {
        let (wires, clock) = wires(fast, |_, at_ns| at_ns as f64 * 1e-12);
        let mut driver = LoadCellDriver::new(wires.pin(CLOCK), wires.pin(DATA), clock.clone());
        driver.set_gain_mode(GainMode::A128);
        let mut next = || {
            while !driver.is_ready() {
                clock.advance_ns(10 * US);
            }
            let ready = clock.now_ns();
            (ready, f64::from(driver.read().unwrap()) * full_v(128.0) / f64::from(1 << 23) * 1e12)
        };
        let (first, _) = next();
        assert_near("settling", first as f64, 4.0 * period as f64, 20e3);
        let mut before = first;
        for _ in 0..20 {
            let (ready, sampled) = next();
            assert_near("period", (ready - before) as f64, period as f64, 20e3);
            assert_near("the middle of the conversion", sampled, ready as f64 - period as f64 / 2.0, 30e3);
            before = ready;
        }
    }
}

#[test]
fn a_clock_held_high_powers_it_down_and_a_low_one_starts_anew() {
    let (wires, mut clock) = wires(true, |q, _| if q == BridgeV { 0.01 } else { 0.0 });
    let mut driver = Driver::new(clock.clone(), wires.pin(DATA), wires.pin(CLOCK)).unwrap();
    nb::block!(driver.set_mode(Mode::ChAGain64)).unwrap();
    let at_64 = nb::block!(driver.retrieve()).unwrap();
    let (mut sck, mut data) = (wires.pin(CLOCK), wires.pin(DATA));
    sck.set_high().unwrap();
    clock.delay_ms(1_000);
    assert!(data.is_high().unwrap(), "powered down");
    sck.set_low().unwrap();
    clock.delay_ms(49);
    assert!(data.is_high().unwrap(), "settling");
    clock.delay_ms(2);
    assert!(data.is_low().unwrap());
    // The gain is 128 again, whatever the driver believes.
    let after = nb::block!(driver.retrieve()).unwrap();
    assert_near("twice the gain", f64::from(after), 2.0 * f64::from(at_64), 2.0);
}

#[test]
fn data_goes_high_after_the_last_bit_until_the_next_result() {
    let (wires, mut clock) = wires(false, |_, _| -1e-3);
    clock.delay_ms(450);
    let (mut sck, mut data) = (wires.pin(CLOCK), wires.pin(DATA));
    assert!(data.is_low().unwrap());
    for _ in 0..25 {
        sck.set_high().unwrap();
        sck.set_low().unwrap();
    }
    assert!(data.is_high().unwrap());
    clock.delay_ms(48);
    assert!(data.is_high().unwrap());
    clock.delay_ms(4);
    assert!(data.is_low().unwrap());
}

/// A word, each bit looked at `low_us` after its clock fell, with so many pulses more.
fn slowly(
    wires: &Wires<Hx711<impl FnMut(Quantity, u64) -> f64 + Send>>,
    clock: &Clock,
    low_us: u64,
    more: u32,
) -> u32 {
    let (mut sck, mut data) = (wires.pin(CLOCK), wires.pin(DATA));
    while data.is_high().unwrap() {
        clock.advance_ns(100 * US);
    }
    let mut word = 0;
    for k in 0..24 + more {
        sck.set_high().unwrap();
        sck.set_low().unwrap();
        clock.advance_ns(low_us * US);
        if k < 24 {
            word = word << 1 | u32::from(data.is_high().unwrap());
        }
    }
    word
}

#[test]
fn a_bit_stands_however_long_the_clock_is_low() {
    let truth = full_v(128.0) * f64::from(0x2A_5C_35) / f64::from(1 << 23);
    for low_us in [0, 1, 50, 70, 100, 1_000, 3_500] {
        let (wires, clock) = wires(false, move |_, _| truth);
        for _ in 0..3 {
            assert_eq!(slowly(&wires, &clock, low_us, 1), 0x2A_5C_35, "{low_us} us low");
        }
    }
}

#[test]
fn a_word_that_is_given_up_is_followed_by_a_whole_one() {
    let truth = full_v(128.0) * f64::from(0x2A_5C_35) / f64::from(1 << 23);
    let (wires, mut clock) = wires(false, move |_, _| truth);
    clock.delay_ms(450);
    let mut sck = wires.pin(CLOCK);
    for _ in 0..7 {
        sck.set_high().unwrap();
        sck.set_low().unwrap();
    }
    clock.delay_ms(150);
    assert_eq!(slowly(&wires, &clock, 1, 1), 0x2A_5C_35);
}

#[test]
fn a_gain_that_stays_costs_no_settling() {
    let (wires, clock) = wires(false, |_, _| 1e-3);
    slowly(&wires, &clock, 1, 3);
    slowly(&wires, &clock, 1, 3); // the first at 64
    let settled = clock.now_ns();
    slowly(&wires, &clock, 1, 3);
    assert_near("one period", (clock.now_ns() - settled) as f64, 100.0 * MS as f64, 1e6);
}
