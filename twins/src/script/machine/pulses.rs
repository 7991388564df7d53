//! What a board's firmware times itself on one line: the forty bits of a DHT, and 1-Wire.

use super::{Machine, hex, unhex};

impl Machine {
    /// What `dht_readinto` does: a start signal of 18 ms, then forty bits by their length.
    pub(super) fn dht(&mut self, pin: &str) -> Result<String, String> {
        let pin = self.known(pin)?;
        let clock = self.clock.clone();
        let Some((part, line)) = self.line(&pin) else { return Err("timeout".to_owned()) };
        part.drive(clock.now_ns(), line, false);
        clock.advance_ns(18_000_000);
        part.drive(clock.now_ns(), line, true);
        // How long the line stays at a level, [µs].
        let mut lasts = |level: bool, most_us: u32| {
            for us in 0..most_us {
                if part.level(clock.now_ns(), line) != level {
                    return Ok(us);
                }
                clock.advance_ns(1_000);
            }
            Err("timeout")
        };
        lasts(true, 250)?;
        lasts(false, 250)?;
        lasts(true, 250)?;
        let mut bytes = [0u8; 5];
        for bit in 0..40 {
            lasts(false, 250)?;
            let one = lasts(true, 250)? > 48;
            bytes[bit / 8] = bytes[bit / 8] << 1 | u8::from(one);
        }
        clock.advance_ns(60_000);
        part.level(clock.now_ns(), line);
        Ok(hex(bytes))
    }

    /// 1-Wire at standard speed, with the slots of Maxim's application note 126.
    pub(super) fn one_wire(&mut self, pin: &str, words: &[&str]) -> Result<String, String> {
        let pin = self.known(pin)?;
        let clock = self.clock.clone();
        let Some((part, line)) = self.line(&pin) else {
            // Nobody pulls the line down.
            clock.advance_ns(960_000);
            return match words {
                ["reset"] => Ok("0".to_owned()),
                ["r", n] => Ok(hex((0..many(n)?).map(|_| 0xFF))),
                ["rbit"] => Ok("1".to_owned()),
                _ => Ok(String::new()),
            };
        };
        let mut pull = |low_us: u64, sample_us: u64, rest_us: u64| {
            part.drive(clock.now_ns(), line, false);
            clock.advance_ns(low_us * 1_000);
            part.drive(clock.now_ns(), line, true);
            clock.advance_ns(sample_us * 1_000);
            let level = part.level(clock.now_ns(), line);
            clock.advance_ns(rest_us * 1_000);
            // The part lives through the rest of the slot.
            part.level(clock.now_ns(), line);
            level
        };
        let mut bit = |one: bool| if one { pull(6, 9, 55) } else { pull(60, 5, 5) };
        match words {
            ["reset"] => Ok(u8::from(!pull(480, 70, 410)).to_string()),
            ["w", bytes] => {
                for byte in unhex(bytes)? {
                    (0..8).for_each(|i| {
                        bit(byte >> i & 1 != 0);
                    });
                }
                Ok(String::new())
            }
            ["wbit", one] => {
                bit(*one == "1");
                Ok(String::new())
            }
            ["r", n] => {
                let n = many(n)?;
                Ok(hex((0..n).map(|_| (0..8).fold(0, |byte, i| byte | u8::from(bit(true)) << i))))
            }
            ["rbit"] => Ok(u8::from(bit(true)).to_string()),
            _ => Err("nodata".to_owned()),
        }
    }
}

/// How many bytes are asked for; a script that speaks the protocol itself asks for any number.
fn many(said: &str) -> Result<u16, String> {
    said.parse().map_err(|_| "nodata".to_owned())
}
