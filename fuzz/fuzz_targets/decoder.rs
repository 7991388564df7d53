//! One decoder, by the name of the target: see `twinfleet_twins::decoders`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use twinfleet_twins::decoders;

fuzz_target!(|data: &[u8]| decoders::take(env!("CARGO_BIN_NAME"), data));
