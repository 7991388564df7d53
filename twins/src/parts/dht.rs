//! DHT22 (AM2302) and DHT11 (temperature and humidity) on one wire of their own.
//!
//! Source: Aosong AM2302 product manual: interval and "the result of the last measurement" §7.1, single-bus
//! communication, timing and data format §7.2 and following; Aosong DHT11 product manual: data format, timing, and an
//! interval of 1 s.
//!
//! A start signal is answered with the result of the measurement before, and a new one begins with the end of the
//! answer. Where the manuals leave room: asked sooner than the interval allows, the part answers with the same result
//! again and measures nothing new; the response comes 30 µs (AM2302: 20 to 200) after the line is let go, see
//! [`Dht::set_response_ns`]; bits take the typical times.
//!
//! ```
//! use embedded_hal::{delay::DelayNs, digital::{InputPin, OutputPin}};
//! use twinfleet_twins::parts::{clock::Clock, dht::Dht, line::Wires, stimulus::Quantity};
//!
//! let mut clock = Clock::new();
//! let wires = Wires::new(Dht::dht22(|_: Quantity, _| 20.0), clock.clone(), 200);
//! let mut pin = wires.pin(0);
//! clock.delay_ms(2_000);
//! pin.set_low()?;
//! clock.delay_ms(1);
//! pin.set_high()?;
//! clock.delay_us(50);
//! assert!(pin.is_low()?, "it responds");
//! # Ok::<(), std::convert::Infallible>(())
//! ```

use super::{
    MS, US,
    line::{Edge, Edges, LinePart},
    stimulus::{Quantity, Stimulus},
};

const RESPONSE_LOW_NS: u64 = 80 * US;
const RESPONSE_HIGH_NS: u64 = 80 * US;
const BIT_LOW_NS: u64 = 50 * US;
const ZERO_HIGH_NS: u64 = 26 * US;
const ONE_HIGH_NS: u64 = 70 * US;

/// The part. See the module's text for its sources.
#[derive(Debug)]
pub struct Dht<S> {
    stimulus: S,
    fine: bool,
    response_ns: u64,
    /// What the next answer tells.
    frame: [u8; 5],
    measured: bool,
    measured_ns: u64,
    edges: Edges,
    /// When the running or last answer began (its first low), and what it tells.
    answer_ns: Option<u64>,
    answer: [u8; 5],
}

impl<S: Stimulus> Dht<S> {
    /// A DHT22 that gets its supply at time zero.
    pub fn dht22(stimulus: S) -> Self {
        Self {
            stimulus,
            fine: true,
            response_ns: 30 * US,
            frame: [0; 5],
            measured: false,
            measured_ns: 0,
            edges: Edges::idle(),
            answer_ns: None,
            answer: [0; 5],
        }
    }

    /// A DHT11: whole degrees and percents, 0 to 50 °C, 20 to 90 %.
    pub fn dht11(stimulus: S) -> Self {
        Self { fine: false, ..Self::dht22(stimulus) }
    }

    /// How long after the start signal it pulls the line low \[ns\]; 20 µs to 40 µs are usual.
    pub fn set_response_ns(&mut self, ns: u64) {
        self.response_ns = ns;
    }

    /// The shortest start signal, the time to settle after power-on, and the least interval between measurements
    /// \[ns\].
    fn times_ns(&self) -> (u64, u64, u64) {
        if self.fine { (800 * US, 2000 * MS, 2000 * MS) } else { (18 * MS, 1000 * MS, 1000 * MS) }
    }

    fn measure(&mut self, at_ns: u64) {
        let c = self.stimulus.value(Quantity::TemperatureC, at_ns);
        let pct = self.stimulus.value(Quantity::HumidityPct, at_ns);
        let [h0, h1, t0, t1] = if self.fine {
            let tenths = (c.clamp(-40.0, 80.0) * 10.0).round() as i16;
            let [h0, h1] = ((pct.clamp(0.0, 99.9) * 10.0).round() as u16).to_be_bytes();
            let [t0, t1] = tenths.unsigned_abs().to_be_bytes();
            // Sign and size, not two's complement.
            [h0, h1, t0 | u8::from(tenths < 0) << 7, t1]
        } else {
            [pct.clamp(20.0, 90.0).round() as u8, 0, c.clamp(0.0, 50.0).round() as u8, 0]
        };
        let sum = h0.wrapping_add(h1).wrapping_add(t0).wrapping_add(t1);
        self.frame = [h0, h1, t0, t1, sum];
        (self.measured, self.measured_ns) = (true, at_ns);
    }

    /// Measures what it would have measured by now: once after power-on, and after each answer.
    fn advance(&mut self, at_ns: u64) {
        let (_, settling_ns, interval_ns) = self.times_ns();
        if !self.measured && at_ns >= settling_ns {
            self.measure(settling_ns);
        }
        if let Some(answer_ns) = self.answer_ns {
            let end_ns = answer_ns + length_ns(&self.answer);
            if end_ns <= at_ns {
                self.answer_ns = None;
                if end_ns >= self.measured_ns + interval_ns {
                    self.measure(end_ns);
                }
            }
        }
    }
}

/// Where in a bit's stretch an answer ends after so many bits \[ns\].
fn length_ns(frame: &[u8; 5]) -> u64 {
    let ones: u32 = frame.iter().map(|b| b.count_ones()).sum();
    let highs = u64::from(ones) * ONE_HIGH_NS + u64::from(40 - ones) * ZERO_HIGH_NS;
    RESPONSE_LOW_NS + RESPONSE_HIGH_NS + 41 * BIT_LOW_NS + highs
}

impl<S: Stimulus> LinePart for Dht<S> {
    fn drive(&mut self, at_ns: u64, _line: u8, high: bool) {
        self.advance(at_ns);
        let Some(Edge::Rose { low_ns }) = self.edges.drive(at_ns, high) else { return };
        let (start_ns, settling_ns, _) = self.times_ns();
        let heard = at_ns >= settling_ns && self.answer_ns.is_none();
        if heard && low_ns >= start_ns {
            (self.answer_ns, self.answer) = (Some(at_ns + self.response_ns), self.frame);
        }
    }

    fn level(&mut self, at_ns: u64, _line: u8) -> bool {
        self.advance(at_ns);
        let Some(mut left_ns) = self.answer_ns.and_then(|from| at_ns.checked_sub(from)) else { return true };
        if left_ns < RESPONSE_LOW_NS + RESPONSE_HIGH_NS {
            return left_ns >= RESPONSE_LOW_NS;
        }
        left_ns -= RESPONSE_LOW_NS + RESPONSE_HIGH_NS;
        for bit in 0..40 {
            let one = self.answer[bit / 8] >> (7 - bit % 8) & 1 != 0;
            let bit_ns = BIT_LOW_NS + if one { ONE_HIGH_NS } else { ZERO_HIGH_NS };
            if left_ns < bit_ns {
                return left_ns >= BIT_LOW_NS;
            }
            left_ns -= bit_ns;
        }
        false // the low that ends the answer
    }
}
