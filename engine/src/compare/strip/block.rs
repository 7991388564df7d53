//! A stretch of samples in few bytes, without loss: each column as whole numbers above a level or a line, in as many bytes as
//! the largest needs. Times of a steady stream lie on a line, readings are multiples of some power of ten, and what a
//! settled filter says of its own variance stays the same; what is none of this costs what it cost before.
//!
//! A column is found by a table at the block's head, and a sample within it by its place: nothing is unpacked to read one.

/// Digits after the point that a reading may have to be told as a whole number.
const MOST_DIGITS: u32 = 6;
/// A real that is no multiple of a power of ten is told by its bits.
const BITS: u8 = 0xff;

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Column {
    /// Whole numbers that lie near a line.
    Line,
    /// Readings; NaN: missing.
    Real,
    /// The bits of a number of 32.
    Single,
}

/// Samples, column by column.
#[derive(Clone, Debug)]
pub(super) struct Block(Box<[u8]>);

/// Bytes that a number needs.
fn width(n: u64) -> u8 {
    (64 - n.leading_zeros()).div_ceil(8) as u8
}

fn put(out: &mut Vec<u8>, n: u64, width: u8) {
    out.extend_from_slice(&n.to_le_bytes()[..usize::from(width)]);
}

/// A number of so many bytes, at most eight, that begins at `at`.
#[inline]
fn get(bytes: &[u8], at: usize, width: usize) -> u64 {
    // Where there is room, all eight are read and the rest is masked: one load in place of a copy of unknown length.
    if let Some(eight) = bytes.get(at..at + 8).and_then(|b| b.first_chunk::<8>()) {
        let all = u64::from_le_bytes(*eight);
        return if width == 8 { all } else { all & ((1 << (8 * width)) - 1) };
    }
    let mut eight = [0; 8];
    eight[..width].copy_from_slice(&bytes[at..at + width]);
    u64::from_le_bytes(eight)
}

/// `level + slope · place + rest`, the rest in as few bytes as it can be: width, level, slope, rests.
fn put_whole(out: &mut Vec<u8>, all: &[i64], slope: i64) {
    let above = |i: usize, n: i64| n.wrapping_sub(slope.wrapping_mul(i as i64));
    let level = all.iter().enumerate().map(|(i, n)| above(i, *n)).min().unwrap_or(0);
    let rest = |(i, n): (usize, &i64)| above(i, *n).wrapping_sub(level) as u64;
    let width = all.iter().enumerate().map(rest).max().map_or(0, width);
    out.push(width);
    out.extend_from_slice(&level.to_le_bytes());
    out.extend_from_slice(&slope.to_le_bytes());
    all.iter().enumerate().map(rest).for_each(|n| put(out, n, width));
}

/// The fewest digits with which all these readings are whole numbers again.
fn digits(all: &[f64]) -> Option<(u32, Vec<i64>)> {
    (0..=MOST_DIGITS).find_map(|digits| {
        let by = 10f64.powi(digits as i32);
        let whole = |v: &f64| {
            let n = (v * by).round();
            let fits =
                n.abs() < 9e15 && (n / by).to_bits() == v.to_bits() && !(n == 0.0 && v.is_sign_negative());
            fits.then_some(n as i64)
        };
        let told: Option<Vec<i64>> = all.iter().filter(|v| !v.is_nan()).map(whole).collect();
        told.map(|told| (digits, told))
    })
}

impl Block {
    /// Packs columns of the same length, each as the bits of its values.
    pub fn pack(kinds: impl ExactSizeIterator<Item = Column>, columns: &[Vec<u64>]) -> Self {
        let mut out = vec![0; 4 * kinds.len()];
        for (c, (kind, column)) in kinds.zip(columns).enumerate() {
            let at = out.len() as u32;
            out[4 * c..4 * c + 4].copy_from_slice(&at.to_le_bytes());
            match kind {
                Column::Line => {
                    let all: Vec<i64> = column.iter().map(|b| *b as i64).collect();
                    let steps = all.len().saturating_sub(1).max(1) as i64;
                    let rise = all.last().zip(all.first()).map_or(0, |(b, a)| b.wrapping_sub(*a));
                    put_whole(&mut out, &all, rise / steps);
                }
                Column::Single => {
                    let level = column.iter().min().copied().unwrap_or(0);
                    let width = column.iter().map(|b| b - level).max().map_or(0, width);
                    out.push(width);
                    put(&mut out, level, 4);
                    column.iter().for_each(|b| put(&mut out, b - level, width));
                }
                Column::Real => put_reals(&mut out, column),
            }
        }
        Self(out.into())
    }

    /// The bits of a column's value at a place.
    #[inline]
    pub fn bits(&self, column: usize, kind: Column, place: usize) -> u64 {
        let b = &*self.0;
        let at = get(b, 4 * column, 4) as usize;
        let width = usize::from(b[at]);
        match kind {
            Column::Line => whole(b, at, width, place) as u64,
            Column::Single => get(b, at + 1, 4) + get(b, at + 5 + place * width, width),
            Column::Real => {
                let digits = b[at];
                let (width, at) = (usize::from(b[at + 1]), at + 2);
                let n = get(b, at + 8 + place * width, width);
                // All ones: missing.
                if width > 0 && digits != BITS && n == u64::MAX >> (64 - 8 * width) {
                    return f64::NAN.to_bits();
                }
                let n = (get(b, at, 8) as i64).wrapping_add(n as i64);
                if digits == BITS {
                    return n as u64;
                }
                (n as f64 / 10f64.powi(i32::from(digits))).to_bits()
            }
        }
    }

    /// What it takes, [bytes].
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.0.len()
    }
}

#[inline]
fn whole(b: &[u8], at: usize, width: usize, place: usize) -> i64 {
    let (level, slope) = (get(b, at + 1, 8) as i64, get(b, at + 9, 8) as i64);
    let rest = get(b, at + 17 + place * width, width) as i64;
    level.wrapping_add(slope.wrapping_mul(place as i64)).wrapping_add(rest)
}

/// Digits, width, level, what each is above it; the largest number of that width is what is missing.
fn put_reals(out: &mut Vec<u8>, column: &[u64]) {
    let all: Vec<f64> = column.iter().map(|b| f64::from_bits(*b)).collect();
    if let Some((digits, told)) = digits(&all) {
        let (level, most) =
            (told.iter().min().copied().unwrap_or(0), told.iter().max().copied().unwrap_or(0));
        // One more than the largest, so that all ones stay free.
        let width = width((most - level) as u64 + 1).max(1);
        out.extend_from_slice(&[digits as u8, width]);
        out.extend_from_slice(&level.to_le_bytes());
        let mut told = told.iter();
        for v in &all {
            let n = if v.is_nan() { u64::MAX } else { told.next().map_or(0, |n| (n - level) as u64) };
            put(out, n, width);
        }
        return;
    }
    let level = column.iter().map(|b| *b as i64).min().unwrap_or(0);
    let rest = |b: &u64| (*b as i64).wrapping_sub(level) as u64;
    let width = column.iter().map(rest).max().map_or(0, width);
    out.extend_from_slice(&[BITS, width]);
    out.extend_from_slice(&level.to_le_bytes());
    column.iter().map(rest).for_each(|n| put(out, n, width));
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn back(kind: Column, column: Vec<u64>) -> Vec<u64> {
        let n = column.len();
        let columns = [column, (0..n as u64).collect()];
        let block = Block::pack([kind, Column::Line].into_iter(), &columns);
        assert_eq!(block.bits(1, Column::Line, n - 1), n as u64 - 1);
        (0..n).map(|place| block.bits(0, kind, place)).collect()
    }

    proptest! {
        #[test]
        fn all_comes_back_as_it_was(
            times in prop::collection::vec(any::<i64>(), 1..40),
            singles in prop::collection::vec(any::<f32>(), 1..40),
            reals in prop::collection::vec(any::<f64>(), 1..40),
            readings in prop::collection::vec(prop::option::weighted(0.9, -40_000i64..80_000), 1..40),
            digits in 0i32..7,
        ) {
            let bits: Vec<u64> = times.iter().map(|t| *t as u64).collect();
            prop_assert_eq!(back(Column::Line, bits.clone()), bits);
            let bits: Vec<u64> = singles.iter().map(|v| u64::from(v.to_bits())).collect();
            prop_assert_eq!(back(Column::Single, bits.clone()), bits);
            // One missing is as good as another.
            let same = |a: &u64, b: &u64| a == b || f64::from_bits(*a).is_nan() && f64::from_bits(*b).is_nan();
            let decimal = readings.iter().map(|n| n.map_or(f64::NAN, |n| n as f64 / 10f64.powi(digits)));
            for all in [reals.iter().map(|v| v.to_bits()).collect(), decimal.map(f64::to_bits).collect::<Vec<u64>>()] {
                let told = back(Column::Real, all.clone());
                prop_assert!(told.iter().zip(&all).all(|(a, b)| same(a, b)), "{:?} {:?}", told, all);
            }
        }
    }

    #[test]
    fn a_steady_stream_of_decimals_costs_a_byte_or_two_a_reading() {
        let n = 32;
        let times: Vec<u64> = (0..n).map(|k| 1_700_000_000_000_000_000 + k * 1_000_000_000).collect();
        let reals: Vec<u64> = (0..n).map(|k| (20.0 + (k * 37 % 100) as f64 / 100.0).to_bits()).collect();
        let same = vec![u64::from(0.1f32.to_bits()); n as usize];
        let kinds = [Column::Line, Column::Real, Column::Single];
        let block = Block::pack(kinds.into_iter(), &[times, reals, same]);
        assert!(block.len() < 48 + n as usize, "{} bytes", block.len());
    }
}
