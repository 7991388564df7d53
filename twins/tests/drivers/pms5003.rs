//! PMS5003, by its manual's frames; Adafruit's Python driver reads it in the system tests.
//!
//! The part's quantum is 1 µg/m³.

use twinfleet_twins::parts::{
    MS,
    clock::Clock,
    pms5003::Pms5003,
    serial::{SerialPart, Uart},
    stimulus::Quantity,
};

/// Dust that is there from an instant on \[ns\].
fn dust(from_ns: u64) -> impl FnMut(Quantity, u64) -> f64 + Send {
    move |quantity, at_ns| match quantity {
        _ if at_ns < from_ns => 0.0,
        Quantity::DustUgM3(k) => [11.2, 24.6, 1300.0][usize::from(k)],
        other => panic!("{other:?}"),
    }
}

/// What comes in within some time, each byte with when it came \[ms\].
fn listen<P: SerialPart>(uart: &mut Uart<P>, clock: &Clock, ms: u64) -> Vec<(u64, u8)> {
    let mut heard = Vec::new();
    for _ in 0..ms {
        clock.advance_ns(MS);
        while let Some(byte) = uart.read_byte() {
            heard.push((clock.now_ns() / MS, byte));
        }
    }
    heard
}

fn sum(bytes: &[u8]) -> [u8; 2] {
    bytes.iter().map(|b| u16::from(*b)).sum::<u16>().to_be_bytes()
}

fn command<P: SerialPart>(uart: &mut Uart<P>, command: u8, data: u8) {
    let bytes = [0x42, 0x4D, command, 0, data];
    bytes.into_iter().chain(sum(&bytes)).for_each(|byte| uart.write_byte(byte));
}

#[test]
fn frames_come_by_themselves_and_faster_while_the_air_changes() {
    let clock = Clock::new();
    let mut uart = Uart::new(Pms5003::new(dust(3000 * MS)), clock.clone());
    let heard = listen(&mut uart, &clock, 9000);
    let bytes: Vec<u8> = heard.iter().map(|(_, byte)| *byte).collect();
    let frames: Vec<&[u8]> = bytes.chunks(32).collect();
    let words =
        |frame: &[u8]| -> Vec<u16> { frame.chunks(2).map(|w| u16::from_be_bytes([w[0], w[1]])).collect() };
    for frame in &frames {
        assert_eq!((frame.len(), &frame[..4]), (32, &[0x42, 0x4D, 0, 28][..]));
        assert_eq!(frame[30..], sum(&frame[..30]));
    }
    assert_eq!(words(frames[0])[2..14], [0; 12]);
    assert_eq!(words(frames[1])[2..8], [11, 25, 1300, 11, 25, 1300]);
    // In calm air every 2.3 s; the frame that shows a change is followed after 0.8 s, and a byte takes a millisecond.
    let first: Vec<u64> = heard.chunks(32).map(|f| f[0].0).collect();
    assert_eq!(first, [2302, 4602, 5402, 7702]);
}

#[test]
fn it_is_asked_in_passive_mode_and_sleeps_when_told() {
    let clock = Clock::new();
    let mut uart = Uart::new(Pms5003::new(dust(0)), clock.clone());
    // What is no command goes unheard, and one whose sum is wrong.
    [0x42, 0x42, 0x4D, 0xE1, 0, 0, 9, 9].into_iter().for_each(|byte| uart.write_byte(byte));
    assert!(listen(&mut uart, &clock, 1000).is_empty());
    command(&mut uart, 0xE1, 0);
    let answer: Vec<u8> = listen(&mut uart, &clock, 5000).into_iter().map(|(_, byte)| byte).collect();
    assert_eq!(answer, [0x42, 0x4D, 0, 4, 0xE1, 0, 0x01, 0x74]);
    command(&mut uart, 0xE2, 0);
    assert_eq!(listen(&mut uart, &clock, 5000).len(), 32);
    command(&mut uart, 0xE4, 0);
    assert_eq!(listen(&mut uart, &clock, 5000).len(), 8);
    command(&mut uart, 0xE2, 0);
    assert!(listen(&mut uart, &clock, 5000).is_empty(), "it sleeps");
    command(&mut uart, 0xE4, 1);
    command(&mut uart, 0xE1, 1);
    assert_eq!(listen(&mut uart, &clock, 3000).len(), 8 + 8 + 32, "two answers and a frame");
}
