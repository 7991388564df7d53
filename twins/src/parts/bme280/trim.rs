//! A unit's trim words and the datasheet's compensation, both ways: raw to value as a driver does it, and value to
//! raw by searching the code that compensates to it best. Appendix 8.1 of the datasheet; table 16 for the words'
//! places.

/// The trim words of one unit, by the datasheet's names (`dig_T1` …).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the datasheet's")]
pub struct Trim {
    pub t1: u16,
    pub t2: i16,
    pub t3: i16,
    pub p1: u16,
    pub p: [i16; 8],
    pub h1: u8,
    pub h2: i16,
    pub h3: u8,
    /// 12 bits, signed.
    pub h4: i16,
    /// 12 bits, signed.
    pub h5: i16,
    pub h6: i8,
}

impl Default for Trim {
    /// Temperature and pressure are those of the BMP280 datasheet's worked example (§3.12), humidity of an ordinary
    /// unit.
    fn default() -> Self {
        Self {
            t1: 27504,
            t2: 26435,
            t3: -1000,
            p1: 36477,
            p: [-10685, 3024, 2855, 140, -7, 15500, -14600, 6000],
            h1: 75,
            h2: 370,
            h3: 0,
            h4: 313,
            h5: 50,
            h6: 30,
        }
    }
}

impl Trim {
    /// Words of a unit of its own, by a number that is its own: the ordinary ones, each off by what units of a batch are
    /// apart, some hundredths. What it compensates to stays the same, which is what they are for.
    pub fn of_unit(number: u64) -> Self {
        let mut state = number;
        // SplitMix64.
        let mut off = |most: f64| {
            state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let mixed = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            let share = ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1u64 << 53) as f64;
            ((2.0 * share - 1.0) * most).round() as i16
        };
        let mut unit = Self::default();
        unit.t1 = unit.t1.wrapping_add_signed(off(600.0));
        unit.t2 += off(400.0);
        unit.p1 = unit.p1.wrapping_add_signed(off(600.0));
        for (word, most) in unit.p.iter_mut().zip([150.0, 40.0, 120.0, 60.0, 4.0, 200.0, 200.0, 120.0]) {
            *word += off(most);
        }
        unit.h2 += off(12.0);
        unit.h4 += off(12.0);
        unit.h5 += off(12.0);
        unit
    }

    /// What a calibration register holds.
    pub(super) fn register(&self, register: u8, humid: bool) -> u8 {
        let of = |word: u16| word.to_le_bytes()[usize::from(register & 1)];
        match register {
            0x88 | 0x89 => of(self.t1),
            0x8A | 0x8B => of(self.t2 as u16),
            0x8C | 0x8D => of(self.t3 as u16),
            0x8E | 0x8F => of(self.p1),
            0x90..=0x9F => of(self.p[usize::from(register - 0x90) / 2] as u16),
            0xA1 if humid => self.h1,
            0xE1 if humid => self.h2.to_le_bytes()[0],
            0xE2 if humid => self.h2.to_le_bytes()[1],
            0xE3 if humid => self.h3,
            0xE4 if humid => (self.h4 >> 4) as u8,
            0xE5 if humid => (self.h4 & 15 | (self.h5 & 15) << 4) as u8,
            0xE6 if humid => (self.h5 >> 4) as u8,
            0xE7 if humid => self.h6 as u8,
            _ => 0,
        }
    }

    /// The fine temperature \[1/5120 °C\] of a 20-bit raw value.
    pub fn t_fine(&self, raw: u32) -> f64 {
        let linear = f64::from(raw) / 16384.0 - f64::from(self.t1) / 1024.0;
        let squared = (linear / 8.0) * (linear / 8.0);
        linear * f64::from(self.t2) + squared * f64::from(self.t3)
    }

    /// Temperature \[°C\] of a 20-bit raw value.
    pub fn temperature_c(&self, raw: u32) -> f64 {
        self.t_fine(raw) / 5120.0
    }

    /// Pressure \[Pa\] of a 20-bit raw value; zero where the formula would divide by zero.
    pub fn pressure_pa(&self, raw: u32, t_fine: i32) -> f64 {
        let [p2, p3, p4, p5, p6, p7, p8, p9] = self.p.map(f64::from);
        let t = f64::from(t_fine) / 2.0 - 64000.0;
        let offset = (t * t * p6 / 32768.0 + t * p5 * 2.0) / 4.0 + p4 * 65536.0;
        let sensitivity = (p3 * t * t / 524_288.0 + p2 * t) / 524_288.0;
        let scale = (1.0 + sensitivity / 32768.0) * f64::from(self.p1);
        if scale == 0.0 {
            return 0.0;
        }
        let linear = (1_048_576.0 - f64::from(raw) - offset / 4096.0) * 6250.0 / scale;
        linear + (p9 * linear * linear / 2_147_483_648.0 + linear * p8 / 32768.0 + p7) / 16.0
    }

    /// Relative humidity \[%\] of a 16-bit raw value, between 0 and 100.
    pub fn humidity_pct(&self, raw: u32, t_fine: i32) -> f64 {
        self.unbounded_humidity_pct(raw, t_fine).clamp(0.0, 100.0)
    }

    fn unbounded_humidity_pct(&self, raw: u32, t_fine: i32) -> f64 {
        let t = f64::from(t_fine) - 76800.0;
        let offset = f64::from(self.h4) * 64.0 + f64::from(self.h5) / 16384.0 * t;
        let bend = 1.0 + f64::from(self.h3) / 67_108_864.0 * t;
        let gain = f64::from(self.h2) / 65536.0 * (1.0 + f64::from(self.h6) / 67_108_864.0 * t * bend);
        let linear = (f64::from(raw) - offset) * gain;
        linear * (1.0 - f64::from(self.h1) * linear / 524_288.0)
    }

    /// The raw temperature of `bits` significant bits that compensates to `c` best.
    pub(super) fn raw_temperature(&self, c: f64, bits: u32) -> u32 {
        nearest(bits, |code| self.temperature_c(code << (20 - bits)) - c) << (20 - bits)
    }

    /// The raw pressure of `bits` significant bits that compensates to `pa` best; a rising pressure lowers it.
    pub(super) fn raw_pressure(&self, pa: f64, t_fine: i32, bits: u32) -> u32 {
        nearest(bits, |code| pa - self.pressure_pa(code << (20 - bits), t_fine)) << (20 - bits)
    }

    /// The raw humidity that compensates to `pct` best.
    pub(super) fn raw_humidity(&self, pct: f64, t_fine: i32) -> u32 {
        nearest(16, |code| self.unbounded_humidity_pct(code, t_fine) - pct)
    }
}

/// The code of so many bits at which a rising function is nearest to zero.
fn nearest(bits: u32, f: impl Fn(u32) -> f64) -> u32 {
    let (mut low, mut high) = (0, (1 << bits) - 1);
    while low < high {
        let middle = (low + high) / 2;
        if f(middle) < 0.0 { low = middle + 1 } else { high = middle }
    }
    if low > 0 && -f(low - 1) < f(low).abs() { low - 1 } else { low }
}
