//! INA219, read by ina219 0.2.1 (with its own sanity checks on) and periph 1.3.1.
//!
//! The part's quanta: 10 µV of shunt and 4 mV of bus voltage (§8.6.3), coarser by 2, 4, 8 with fewer
//! bits; current and power are sums of these (§8.5.1), each cut to a whole number.
//!
//! Where driver and datasheet disagree: ina219 0.2.1 takes the power register for a signed one, where §8.6.3.3 shows
//! 16 bits of power and no sign (§8.6.3.4 does show the current's). With it, powers of more than 32767 steps are left
//! out.

use super::common::{assert_near, bus_with, cases, registers, still};
use ::ina219::{
    SyncIna219,
    address::{Address, Pin},
    calibration::{IntCalibration, MicroAmpere},
    configuration::{
        BusVoltageRange, Configuration, MeasuredSignals, OperatingMode, Reset, Resolution, ShuntVoltageRange,
    },
    errors::MeasurementError,
};
use embedded_hal::{delay::DelayNs, i2c::I2c};
use periph::chips::power::Ina219Full;
use proptest::prelude::*;
use twinfleet_twins::parts::{
    MS, US,
    ina219::Ina219,
    stimulus::Quantity::{self, ShuntV, Volts},
};

const ADDRESS: u8 = 0x40;

fn world(shunt_v: f64, bus_v: f64) -> impl FnMut(Quantity, u64) -> f64 + Send + use<> {
    still(&[(ShuntV, shunt_v), (Volts(0), bus_v)])
}

proptest! {
    #![proptest_config(cases(600))]

    #[test]
    fn ina219_reads_the_truth(shunt in -1.0..1.0_f64, bus_v in 0.0..31.9_f64, range in 0..4_usize, bits in 0..11_usize,
            wide: bool, lsb_ua in 10..=200_i64) {
        use Resolution as R;
        let ranges = [
            (ShuntVoltageRange::Fsr40mv, 0.04),
            (ShuntVoltageRange::Fsr80mv, 0.08),
            (ShuntVoltageRange::Fsr160mv, 0.16),
            (ShuntVoltageRange::Fsr320mv, 0.32),
        ];
        let resolutions = [R::Res9Bit, R::Res10Bit, R::Res11Bit, R::Res12Bit, R::Avg2, R::Avg4, R::Avg8, R::Avg16,
            R::Avg32, R::Avg64, R::Avg128];
        let shunt_v = shunt * ranges[range].1 * 0.99;
        let bus_v = if wide { bus_v } else { bus_v / 2.0 };
        let (mut bus, mut clock) = bus_with(Ina219::new(ADDRESS, world(shunt_v, bus_v)));
        // 0.1 Ω, and a current LSB that the sums can hold: ±32767 of it and 65535 of its twentyfold.
        let calibration = IntCalibration::new(MicroAmpere(lsb_ua), 100_000).unwrap();
        let address = Address::from_pins(Pin::Gnd, Pin::Gnd);
        let mut driver = SyncIna219::new_calibrated(&mut bus, address, calibration).unwrap();
        let configuration = Configuration {
            reset: Reset::Run,
            bus_voltage_range: if wide { BusVoltageRange::Fsr32v } else { BusVoltageRange::Fsr16v },
            shunt_voltage_range: ranges[range].0,
            bus_resolution: resolutions[bits],
            shunt_resolution: resolutions[bits],
            operating_mode: OperatingMode::Triggered(MeasuredSignals::ShutAndBusVoltage),
        };
        driver.set_configuration(configuration).unwrap();
        let step = [8.0, 4.0, 2.0].get(bits).copied().unwrap_or(1.0);
        if bits > 5 {
            // The driver's session itself takes half a millisecond, in which the fast ones get ready.
            assert_eq!(driver.next_measurement().unwrap(), None, "not ready yet");
        }
        clock.delay_us(2 * resolutions[bits].conversion_time_us());

        let amperes = shunt_v / 0.1;
        let cal = (40_960_000_000_i64 / (lsb_ua * 100_000)) as f64;
        let current_lsb = 40_960.0 / 1e5 / f64::from(cal as u16 & !1);
        let read = driver.next_measurement();
        let power_steps = (amperes * bus_v).abs() / (20.0 * current_lsb);
        if amperes.abs() / current_lsb > 32_760.0 || power_steps > 32_700.0 {
            let surely = amperes.abs() / current_lsb > 32_800.0 + 50.0 / current_lsb * 1e-3;
            prop_assert!(!surely || matches!(read, Err(MeasurementError::MathOverflow(_))));
            return Ok(());
        }
        let m = read.unwrap().unwrap();
        assert_near("shunt", f64::from(m.shunt_voltage.shunt_voltage_uv()), shunt_v * 1e6, 5.001 * step);
        assert_near("bus", f64::from(m.bus_voltage.voltage_mv()), bus_v * 1e3, 2.001 * step);
        // The driver knows its LSB as it asked for it; the calibration register holds it cut to even numbers.
        let current = m.current.0 as f64 * 1e-6 / (lsb_ua as f64 * 1e-6) * current_lsb;
        assert_near("current", current, amperes, 5.001e-5 * step + current_lsb);
        let power = m.power.0 as f64 / (20.0 * lsb_ua as f64) * 20.0 * current_lsb;
        assert_near("power", power, (amperes * bus_v).abs(),
            (5.001e-5 * step + current_lsb) * bus_v + amperes.abs() * 2.001e-3 * step + 20.0 * current_lsb);
        assert_eq!(driver.next_measurement().unwrap(), None, "reading the power took the flag away");
    }

    #[test]
    fn periph_reads_the_truth(shunt_v in -0.31..0.31_f64, bus_v in 0.0..31.9_f64, mode in 5..8_u8) {
        let (mut bus, mut clock) = bus_with(Ina219::new(ADDRESS, world(shunt_v, bus_v)));
        let mut driver = Ina219Full::new(&mut bus, ADDRESS, 0.1, 3.2).unwrap();
        driver.configure(1, 3, 3, 3, mode).unwrap();
        clock.delay_ms(2);
        let (shunt, volts) = (f64::from(driver.shunt_voltage().unwrap()), f64::from(driver.voltage().unwrap()));
        if mode & 1 != 0 {
            assert_near("shunt", shunt, shunt_v, 5.01e-6 + 1e-7);
        }
        if mode & 2 != 0 {
            assert_near("bus", volts, bus_v, 2.01e-3 + 1e-5);
        }
        if mode == 7 {
            let lsb = 3.2 / 32768.0;
            prop_assert!(driver.conversion_ready().unwrap() && !driver.overflow().unwrap());
            // 4194.3 cut to 4194 in the calibration register: 7e-5 of the value.
            assert_near("current", f64::from(driver.current().unwrap()), shunt_v / 0.1, 5e-5 + lsb + 4e-4);
            assert_near("power", f64::from(driver.power().unwrap()), (shunt_v / 0.1 * bus_v).abs(),
                (5e-5 + lsb + 4e-4) * bus_v + 3.2 * 2e-3 + 20.0 * lsb);
        }
    }
}

#[test]
fn the_datasheets_worked_example_comes_out() {
    // SBOS448G §9.2: 2 mΩ, 20 mV (10 A), 11.98 V, calibration 20480 → 10 A and 119.82 W.
    let (mut bus, mut clock) = bus_with(Ina219::new(ADDRESS, world(20e-3, 11.98)));
    bus.write(ADDRESS, &[5, 0x50, 0x00]).unwrap();
    clock.delay_ms(2);
    let word = |bus: &mut _, register| u16::from_be_bytes(registers::<2>(bus, ADDRESS, register));
    assert_eq!(word(&mut bus, 1), 2000);
    assert_eq!(word(&mut bus, 2) >> 3, 2995);
    assert_eq!(word(&mut bus, 4), 10_000);
    assert_eq!(word(&mut bus, 3), 5990);
}

#[test]
fn a_value_is_that_of_its_conversion_and_the_old_one_stays_until_then() {
    let step = |q: Quantity, at_ns: u64| match q {
        ShuntV => 0.01,
        _ => {
            if at_ns < 100 * MS {
                5.0
            } else {
                12.0
            }
        }
    };
    let (mut bus, clock) = bus_with(Ina219::new(ADDRESS, step));
    clock.advance_to_ns(90 * MS);
    // 128 samples each, triggered.
    bus.write(ADDRESS, &[0, 0x3F, 0xFB]).unwrap();
    let begun = clock.now_ns() - 2_500;
    let ready = |bus: &mut _| registers::<2>(bus, ADDRESS, 2);
    clock.advance_to_ns(begun + 136_200 * US - 200 * US);
    assert_eq!(ready(&mut bus), (1250_u16 << 3).to_be_bytes(), "5 V, not ready");
    clock.advance_to_ns(begun + 136_200 * US);
    assert_eq!(ready(&mut bus), (3000_u16 << 3 | 2).to_be_bytes(), "12 V, ready");
    assert_eq!(registers::<2>(&mut bus, ADDRESS, 3), [0, 0], "no calibration, no power");
    assert_eq!(ready(&mut bus), (3000_u16 << 3).to_be_bytes(), "reading the power clears it");
}

#[test]
fn values_beyond_the_range_stay_at_its_end() {
    for (gain, limit) in [(0, 4000), (1, 8000), (2, 16_000), (3, 32_000)] {
        for sign in [1.0, -1.0] {
            let (mut bus, mut clock) = bus_with(Ina219::new(ADDRESS, world(sign * 0.5, 40.0)));
            bus.write(ADDRESS, &[0, 0x20 | gain << 3 | 1, 0x9F]).unwrap();
            clock.delay_ms(2);
            let shunt = i16::from_be_bytes(registers::<2>(&mut bus, ADDRESS, 1));
            assert_eq!(shunt, limit * if sign > 0.0 { 1 } else { -1 });
            assert_eq!(u16::from_be_bytes(registers::<2>(&mut bus, ADDRESS, 2)) >> 3, 8000);
        }
    }
}

#[test]
fn sums_that_do_not_fit_raise_the_overflow_flag() {
    let (mut bus, mut clock) = bus_with(Ina219::new(ADDRESS, world(0.3, 12.0)));
    bus.write(ADDRESS, &[5, 0xFF, 0xFF]).unwrap();
    assert_eq!(registers::<2>(&mut bus, ADDRESS, 5), [0xFF, 0xFE], "the last bit cannot be set");
    clock.delay_ms(2);
    assert_eq!(registers::<2>(&mut bus, ADDRESS, 2)[1] & 1, 1);
}
