//! What the tests of parts share.

use embedded_hal::i2c::I2c;
use proptest::{prelude::ProptestConfig, test_runner::RngSeed};
use twinfleet_twins::parts::{
    clock::Clock,
    i2c::{I2cBus, I2cPart},
    stimulus::Quantity,
};

/// So many cases, the same in every run. To hunt for more: `PROPTEST_CASES=25600` has a hundred times as many,
/// `PROPTEST_RNG_SEED=7` others.
pub fn cases(cases: u32) -> ProptestConfig {
    let default = ProptestConfig::default();
    let rng_seed = match default.rng_seed {
        RngSeed::Random => RngSeed::Fixed(2026),
        asked => asked,
    };
    let cases = cases * (default.cases / 256).max(1);
    ProptestConfig { cases, rng_seed, failure_persistence: None, max_global_rejects: 1 << 24, ..default }
}

/// A bus at 400 kHz with one part on it, and its clock.
pub fn bus_with<P: I2cPart>(part: P) -> (I2cBus<P>, Clock) {
    let clock = Clock::new();
    let mut bus = I2cBus::new(clock.clone(), 400_000);
    bus.add(part).unwrap();
    (bus, clock)
}

/// A world that stands still, one value for each quantity that a part asks for.
pub fn still(values: &[(Quantity, f64)]) -> impl FnMut(Quantity, u64) -> f64 + Send + use<> {
    let values = values.to_vec();
    move |quantity, _| {
        values.iter().find(|(q, _)| *q == quantity).unwrap_or_else(|| panic!("{quantity:?} has no value")).1
    }
}

/// The bytes from a register on.
pub fn registers<const N: usize>(bus: &mut impl I2c, address: u8, register: u8) -> [u8; N] {
    let mut bytes = [0; N];
    bus.write_read(address, &[register], &mut bytes).unwrap();
    bytes
}

/// Whether a value is within `tolerance` of the truth; a message that says by how much it is not.
#[track_caller]
pub fn assert_near(what: &str, value: f64, truth: f64, tolerance: f64) {
    let off = (value - truth).abs();
    assert!(off <= tolerance, "{what}: {value} is {off} from the truth {truth}; allowed is {tolerance}");
}
