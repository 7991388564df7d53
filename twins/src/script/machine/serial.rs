//! A board's serial ports: which part is at one, and what goes over it at which rate.

use super::{Machine, Serial, hex, unhex};
use crate::parts::serial::byte_ns;

impl Machine {
    /// The part at a serial port: `TX/RX` as the script names the pins, `-` for one that it does not use; the number of a port on its
    /// usual pins; or `any`, of which there is one.
    fn uart(&mut self, port: &str) -> Option<&mut Serial> {
        let usual: &[(&str, &str)] = match self.board.name.as_str() {
            "esp32-devkit" => &[("GPIO1", "GPIO3"), ("GPIO10", "GPIO9"), ("GPIO17", "GPIO16")],
            "raspberry-pi-pico-w" => &[("GP0", "GP1"), ("GP4", "GP5")],
            _ => &[],
        };
        let number = port.parse::<usize>().ok();
        let wires = port.split_once('/').or_else(|| usual.get(number?).copied());
        let Some((tx, rx)) = wires else { return self.uarts.get_mut(number.unwrap_or(0)) };
        let own = |pin: &str| (pin != "-").then(|| self.pin(pin).unwrap_or_else(|| pin.to_owned()));
        let (tx, rx) = (own(tx), own(rx));
        // What is named has to be wired.
        let fits = |named: &Option<String>, wired: &str| named.as_ref().is_none_or(|named| named == wired);
        let named = tx.is_some() || rx.is_some();
        self.uarts.iter_mut().find(|u| named && fits(&tx, &u.tx) && fits(&rx, &u.rx))
    }

    pub(super) fn serial_read(&mut self, port: &str, baud: &str, most: &str) -> Result<String, String> {
        let at_ns = self.clock.now_ns();
        let most = most.parse::<usize>().unwrap_or(1).min(65_536);
        let Some(Serial { part, .. }) = self.uart(port) else { return Ok(hex([])) };
        // At another rate the bits of what is sent are cut in the wrong places.
        let keeps_pace = is_rate(baud, part.baud());
        let cut = |byte: u8| if keeps_pace { byte } else { byte.rotate_left(3) | 0x80 };
        Ok(hex(std::iter::from_fn(|| part.send(at_ns)).take(most).map(cut)))
    }

    /// Until when nothing comes over a serial port on which nothing has, within this turn of its device, [ns]: None where nobody
    /// can tell.
    pub fn silent_until_ns(&mut self, port: &str) -> Option<u64> {
        self.uart(port).map_or(Some(u64::MAX), |of| of.part.silent_until_ns())
    }

    pub(super) fn serial_write(&mut self, port: &str, baud: &str, bytes: &str) -> Result<String, String> {
        let byte_ns = byte_ns(baud.parse::<u32>().unwrap_or(9600).max(1));
        for byte in unhex(bytes)? {
            self.clock.advance_ns(byte_ns);
            let at_ns = self.clock.now_ns();
            if let Some(Serial { part, .. }) = self.uart(port)
                && is_rate(baud, part.baud())
            {
                part.receive(at_ns, byte);
            }
        }
        Ok(String::new())
    }
}

/// Whether a receiver at one rate makes out what is sent at the other: over a byte's ten bits it may be off by less than half a bit.
fn is_rate(said: &str, rate: u32) -> bool {
    said.parse::<u32>().is_ok_and(|said| said.abs_diff(rate) * 25 <= rate)
}
