//! MCP3008 against its datasheet. No driver that others published can judge it here: adc-mcp3008 0.1.1 and mcp320x
//! 0.1.1 want a nightly compiler, mcp3008 1.0.0 opens a Linux device and no trait, and mcp300x 0.1.0 is under the
//! GPL.
//!
//! The part's quantum is the reference voltage over 1024 (DS21295D, equation 4-1).

use super::common::{assert_near, cases};
use embedded_hal::{
    digital::OutputPin,
    spi::{Operation, SpiBus, SpiDevice},
};
use embedded_hal_02::{blocking::spi::Transfer, digital::v2::OutputPin as OutputPin02};
use proptest::prelude::*;
use twinfleet_twins::parts::{
    clock::Clock,
    eh02::V02,
    mcp3008::Mcp3008,
    spi::SpiWire,
    stimulus::Quantity::{self, Volts},
};

fn world(v: [f64; 8]) -> impl FnMut(Quantity, u64) -> f64 + Send {
    move |q, _| match q {
        Volts(i) => v[usize::from(i)],
        other => panic!("{other:?}"),
    }
}

/// Figure 6-1: a 1 that ends the first byte; SGL/DIFF and three channel bits; ten bits that end the third.
fn frame(single: bool, channel: u8) -> [u8; 3] {
    [0x01, u8::from(single) << 7 | channel << 4, 0x00]
}

fn code(answer: &[u8]) -> u16 {
    assert_eq!(answer[1] & 0x04, 0, "the null bit");
    u16::from(answer[1] & 3) << 8 | u16::from(answer[2])
}

proptest! {
    #![proptest_config(cases(500))]

    #[test]
    fn a_code_is_within_its_step_of_the_truth(v in prop::array::uniform8(0.0..5.0_f64), reference in 2.5..5.5_f64,
            channel in 0..8_u8, single: bool) {
        let clock = Clock::new();
        let wire = SpiWire::new(Mcp3008::new(reference, world(v)), clock.clone(), 1_000_000);
        let mut bytes = frame(single, channel);
        wire.device().transfer_in_place(&mut bytes).unwrap();
        prop_assert_eq!(clock.now_ns(), 24_000);
        // Table 5-2: of a pair, the channel bits name the positive input.
        let i = usize::from(channel);
        let truth = if single { v[i] } else { v[i] - v[i ^ 1] };
        let lsb = reference / 1024.0;
        let read = f64::from(code(&bytes)) * lsb;
        assert_near("voltage", read + lsb / 2.0, truth.clamp(lsb / 2.0, 1023.5 * lsb), lsb * 0.5000001);

        // The same by bus and chip select, by 0.2, and with more leading zeros.
        let (mut bus, mut select) = (wire.bus(), wire.chip_select());
        let mut apart = frame(single, channel);
        select.set_low().unwrap();
        bus.transfer_in_place(&mut apart).unwrap();
        select.set_high().unwrap();
        prop_assert_eq!(apart, bytes);
        let (mut bus, mut select) = (V02(wire.bus()), V02(wire.chip_select()));
        let mut old = frame(single, channel);
        OutputPin02::set_low(&mut select).unwrap();
        bus.transfer(&mut old).unwrap();
        OutputPin02::set_high(&mut select).unwrap();
        prop_assert_eq!(old, bytes);
        let mut late = [0, 0, 0, bytes[1], 0];
        late[2..].copy_from_slice(&frame(single, channel));
        wire.device().transfer_in_place(&mut late).unwrap();
        prop_assert_eq!(code(&late[2..]), code(&bytes));
    }
}

#[test]
fn the_code_comes_back_the_other_way_round_and_then_zeros() {
    // Figure 5-2 of the datasheet: least significant bit first after B0, which is not repeated.
    let wire = SpiWire::new(Mcp3008::new(5.0, world([5.0 * 693.5 / 1024.0; 8])), Clock::new(), 1_000_000);
    let mut bytes = [0x01, 0x80, 0, 0, 0, 0];
    wire.device().transfer_in_place(&mut bytes).unwrap();
    assert_eq!(code(&bytes), 693);
    // 693 is 10_1011_0101: from B1 up to B9, then nothing.
    assert_eq!(bytes[3..], [0b0101_1010, 0b1000_0000, 0]);
}

#[test]
fn without_chip_select_it_hears_nothing_and_a_new_select_begins_anew() {
    let wire = SpiWire::new(Mcp3008::new(5.0, world([2.5; 8])), Clock::new(), 1_000_000);
    let mut bytes = frame(true, 0);
    wire.bus().transfer_in_place(&mut bytes).unwrap();
    assert_eq!(bytes, [0xFF; 3]);
    let (mut first, mut rest) = ([0x01], [0x80, 0x00]);
    wire.device().transaction(&mut [Operation::TransferInPlace(&mut first)]).unwrap();
    wire.device().transaction(&mut [Operation::TransferInPlace(&mut rest)]).unwrap();
    // A start bit of its own, then differential 0 of equal voltages: no code.
    assert_eq!(rest, [0, 0]);
    let mut whole = frame(true, 0);
    wire.device().transfer_in_place(&mut whole).unwrap();
    assert_eq!(code(&whole), 512);
}
