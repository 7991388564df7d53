//! ADS1115, read by ads1x1x 0.3.0.
//!
//! The part's quantum is a step of its 16 bits: full scale over 32768 (§9.6.3).
//!
//! Where driver and datasheet disagree: asked for the conversion-ready pin, ads1x1x 0.3.0 leaves a comparator off
//! that is off; §9.3.8 wants its queue to be anything but that. The test sets it.

use super::common::{assert_near, bus_with, cases, registers, still};
use ads1x1x::{
    Ads1x1x, ComparatorLatching, ComparatorMode, ComparatorQueue, DataRate16Bit, FullScaleRange, TargetAddr,
    channel,
};
use embedded_hal::{delay::DelayNs, i2c::I2c};
use proptest::prelude::*;
use twinfleet_twins::parts::{
    MS, US,
    ads1115::Ads1115,
    stimulus::Quantity::{self, Volts},
};

const ADDRESS: u8 = 0x48;
const RATES: [(DataRate16Bit, u64); 8] = [
    (DataRate16Bit::Sps8, 8),
    (DataRate16Bit::Sps16, 16),
    (DataRate16Bit::Sps32, 32),
    (DataRate16Bit::Sps64, 64),
    (DataRate16Bit::Sps128, 128),
    (DataRate16Bit::Sps250, 250),
    (DataRate16Bit::Sps475, 475),
    (DataRate16Bit::Sps860, 860),
];
const RANGES: [(FullScaleRange, f64); 6] = [
    (FullScaleRange::Within6_144V, 6.144),
    (FullScaleRange::Within4_096V, 4.096),
    (FullScaleRange::Within2_048V, 2.048),
    (FullScaleRange::Within1_024V, 1.024),
    (FullScaleRange::Within0_512V, 0.512),
    (FullScaleRange::Within0_256V, 0.256),
];

fn world(v: [f64; 4]) -> impl FnMut(Quantity, u64) -> f64 + Send + use<> {
    still(&[(Volts(0), v[0]), (Volts(1), v[1]), (Volts(2), v[2]), (Volts(3), v[3])])
}

proptest! {
    #![proptest_config(cases(600))]

    #[test]
    fn ads1x1x_reads_the_truth_of_every_input_pair(v in prop::array::uniform4(0.0..5.0_f64), range in 0..6_usize,
            rate in 0..8_usize, pair in 0..8_usize) {
        let (mut bus, mut clock) = bus_with(Ads1115::new(ADDRESS, world(v)));
        let mut driver = Ads1x1x::new_ads1115(&mut bus, TargetAddr::Gnd);
        driver.set_full_scale_range(RANGES[range].0).unwrap();
        driver.set_data_rate(RATES[rate].0).unwrap();
        clock.delay_ms(8); // the driver's configurations have the OS bit set, so the first begins a conversion
        let begun = clock.now_ns();
        macro_rules! read {
            ($channel:expr) => {
                loop {
                    match driver.read($channel) {
                        Ok(value) => break value,
                        Err(nb::Error::WouldBlock) => clock.delay_us(100),
                        Err(other) => panic!("{other:?}"),
                    }
                }
            };
        }
        let (code, truth) = match pair {
            0 => (read!(channel::DifferentialA0A1), v[0] - v[1]),
            1 => (read!(channel::DifferentialA0A3), v[0] - v[3]),
            2 => (read!(channel::DifferentialA1A3), v[1] - v[3]),
            3 => (read!(channel::DifferentialA2A3), v[2] - v[3]),
            4 => (read!(channel::SingleA0), v[0]),
            5 => (read!(channel::SingleA1), v[1]),
            6 => (read!(channel::SingleA2), v[2]),
            _ => (read!(channel::SingleA3), v[3]),
        };
        let lsb = RANGES[range].1 / 32768.0;
        assert_near("voltage", f64::from(code) * lsb, truth.clamp(-RANGES[range].1, 32767.0 * lsb), 0.501 * lsb);
        let took = clock.now_ns() - begun;
        let period = 1_000_000_000 / RATES[rate].1;
        prop_assert!(took >= period + 25 * US && took < period + 2 * MS, "{took} ns at {} SPS", RATES[rate].1);
    }

    #[test]
    fn continuous_mode_gives_the_last_whole_conversion(rate in 0..8_usize, wait_ms in 1..2_000_u32) {
        let ramp = |_: Quantity, at_ns: u64| at_ns as f64 * 1e-9;
        let (mut bus, mut clock) = bus_with(Ads1115::new(ADDRESS, ramp));
        let mut driver = Ads1x1x::new_ads1115(&mut bus, TargetAddr::Gnd);
        driver.set_full_scale_range(FullScaleRange::Within4_096V).unwrap();
        driver.set_data_rate(RATES[rate].0).unwrap();
        clock.delay_ms(8);
        driver.select_and_start(&mut clock, wait_ms, RATES[rate].1);
    }
}

/// Runs continuous mode on a ramp of 1 V/s and checks how old its reading is.
trait OnARamp {
    fn select_and_start(self, clock: &mut twinfleet_twins::parts::clock::Clock, wait_ms: u32, rate: u64);
}

impl<I: I2c> OnARamp
    for Ads1x1x<I, ads1x1x::ic::Ads1115, ads1x1x::ic::Resolution16Bit, ads1x1x::mode::OneShot>
{
    fn select_and_start(mut self, clock: &mut twinfleet_twins::parts::clock::Clock, wait_ms: u32, rate: u64) {
        // The differential pair of a common ramp would be zero.
        assert!(matches!(self.read(channel::SingleA0), Err(nb::Error::WouldBlock)));
        clock.delay_ms(200);
        self.read(channel::SingleA0).unwrap();
        let Ok(mut driver) = self.into_continuous() else { panic!("the bus works") };
        let begun = clock.now_ns();
        clock.delay_ms(wait_ms);
        let asked = clock.now_ns() as f64 * 1e-9;
        let value = f64::from(driver.read().unwrap()) * 4.096 / 32768.0;
        let period = 1.0 / rate as f64;
        // The transfers around the wait take some 0.3 ms.
        if (f64::from(wait_ms) - 0.1) * 1e-3 > period {
            assert!(
                (0.5 * period - 3e-4..1.5 * period + 3e-4).contains(&(asked - value)),
                "{} s old",
                asked - value
            );
        } else if (f64::from(wait_ms) + 0.4) * 1e-3 < period {
            assert!(value < begun as f64 * 1e-9, "still that of the single shot");
        }
    }
}

#[test]
fn the_os_bit_is_low_while_it_converts_and_the_old_value_stays() {
    let (mut bus, clock) = bus_with(Ads1115::new(ADDRESS, world([1.0, 0.0, 0.0, 0.0])));
    assert_eq!(registers::<2>(&mut bus, ADDRESS, 1), [0x85, 0x83], "reset value: idle");
    assert_eq!(registers::<4>(&mut bus, ADDRESS, 2), [0x80, 0x00, 0x80, 0x00], "a register again and again");
    assert_eq!(registers::<2>(&mut bus, ADDRESS, 3), [0x7F, 0xFF]);
    bus.write(ADDRESS, &[1, 0xC3, 0x83]).unwrap();
    let begun = clock.now_ns() - 2_500;
    clock.advance_to_ns(begun + 7_500 * US);
    assert_eq!(registers::<2>(&mut bus, ADDRESS, 1), [0x43, 0x83], "converting");
    assert_eq!(registers::<2>(&mut bus, ADDRESS, 0), [0, 0]);
    // 1/128 s and 25 µs of waking up, to the nanosecond at which the register is addressed for reading.
    clock.advance_to_ns(begun + 7_837_499 - 29 * 2_500);
    assert_eq!(registers::<2>(&mut bus, ADDRESS, 1), [0x43, 0x83]);
    clock.advance_to_ns(begun + 7_837_500);
    assert_eq!(registers::<2>(&mut bus, ADDRESS, 1), [0xC3, 0x83]);
    assert_eq!(registers::<2>(&mut bus, ADDRESS, 0), 8000_u16.to_be_bytes(), "1 V of 4.096");
    bus.write(0, &[6]).unwrap();
    assert_eq!(registers::<2>(&mut bus, ADDRESS, 1), [0x85, 0x83], "general call reset");
}

#[test]
fn the_alert_pin_follows_comparator_mode_queue_and_latch() {
    // Volts by time in units of 10 ms, one conversion at 128 SPS each and a bit.
    let hump = |_: Quantity, at_ns: u64| if (200 * MS..400 * MS).contains(&at_ns) { 1.5 } else { 0.5 };
    for (mode, latching, queue) in [
        (ComparatorMode::Traditional, false, ComparatorQueue::One),
        (ComparatorMode::Traditional, true, ComparatorQueue::Two),
        (ComparatorMode::Window, false, ComparatorQueue::Four),
    ] {
        let (mut bus, clock) = bus_with(Ads1115::new(ADDRESS, hump));
        let mut driver = Ads1x1x::new_ads1115(&mut bus, TargetAddr::Gnd);
        driver.set_high_threshold_raw(16_000).unwrap(); // 1 V of 2.048
        driver.set_low_threshold_raw(4_000).unwrap(); // 0.25 V
        driver.set_comparator_mode(mode).unwrap();
        let latch = if latching { ComparatorLatching::Latching } else { ComparatorLatching::Nonlatching };
        driver.set_comparator_latching(latch).unwrap();
        driver.set_comparator_queue(queue).unwrap();
        clock.advance_to_ns(10 * MS);
        assert!(matches!(driver.read(channel::SingleA0), Err(nb::Error::WouldBlock)));
        clock.advance_to_ns(20 * MS);
        driver.read(channel::SingleA0).unwrap();
        let Ok(_) = driver.into_continuous() else { panic!("the bus works") };
        let needed = match queue {
            ComparatorQueue::One => 1,
            ComparatorQueue::Two => 2,
            ComparatorQueue::Four => 4,
        };
        let mut pin = |at_ms: u64| {
            clock.advance_to_ns(at_ms * MS);
            bus.part(ADDRESS).unwrap().alert_pin(clock.now_ns())
        };
        assert!(pin(190), "high: not asserted");
        assert!(pin(200 + needed * 8 - 6), "not yet that many in a row");
        assert!(!pin(200 + needed * 8 + 16));
        assert!(!pin(399));
        // Traditional mode goes back below the low threshold only, and 0.5 V is above that.
        assert_eq!(pin(450), mode == ComparatorMode::Window);
        let mut two = [0; 2];
        bus.write_read(ADDRESS, &[0], &mut two).unwrap();
        assert_eq!(
            bus.part(ADDRESS).unwrap().alert_pin(clock.now_ns()),
            latching || mode == ComparatorMode::Window
        );
    }
}

#[test]
fn the_alert_pin_tells_that_a_conversion_is_ready_where_the_thresholds_ask_for_it() {
    let (mut bus, clock) = bus_with(Ads1115::new(ADDRESS, world([1.0, 0.0, 0.0, 0.0])));
    let mut driver = Ads1x1x::new_ads1115(&mut bus, TargetAddr::Gnd);
    driver.set_comparator_queue(ComparatorQueue::One).unwrap();
    driver.use_alert_rdy_pin_as_ready().unwrap();
    clock.advance_to_ns(10 * MS); // the driver's configuration began a conversion
    assert!(matches!(driver.read(channel::SingleA0), Err(nb::Error::WouldBlock)));
    let begun = clock.now_ns() - 2_500;
    let mut pin = |at_ns: u64| bus.part(ADDRESS).unwrap().alert_pin(at_ns);
    assert!(pin(begun + 7_837_499), "converting");
    assert!(!pin(begun + 7_837_500), "ready, until the next begins");
    assert!(!pin(begun + 500 * MS));
    // Continuous: a pulse of 8 µs after each.
    bus.write(ADDRESS, &[1, 0x42, 0x80]).unwrap();
    let begun = clock.now_ns() - 2_500;
    let mut pin = |at_ns: u64| bus.part(ADDRESS).unwrap().alert_pin(at_ns);
    for conversion in 1..5 {
        let ready = begun + conversion * 7_812_500;
        assert!(pin(ready - 1) && !pin(ready) && !pin(ready + 7_999) && pin(ready + 8_000));
    }
}
