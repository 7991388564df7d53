//! Numbers that stand for no reading: -9999 and its like.

/// What loggers write where they have no reading: nines, the ends of 16 and 32 bits, and the signs of Campbell's loggers and
/// of a DS18B20 that is not there.
const EITHER_SIGN: [f64; 12] = [
    999.0,
    999.9,
    999.99,
    9999.0,
    9999.9,
    9999.99,
    99999.0,
    999_999.0,
    9_999_999.0,
    99_999_999.0,
    6999.0,
    7999.0,
];
const AS_THEY_ARE: [f64; 10] = [
    -99.0,
    -99.9,
    -99.99,
    -127.0,
    -32768.0,
    32767.0,
    65535.0,
    2_147_483_647.0,
    -2_147_483_648.0,
    4_294_967_295.0,
];

/// A number in a column that was taken for the sign of a missing reading.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Marker {
    /// As the cells say it.
    pub(super) value: f64,
    /// Cells that hold it.
    pub(super) cells: u64,
    /// Smallest and largest of the other values, in the column's unit.
    pub(super) others: (f64, f64),
}

/// Whether loggers write such a number where they have no reading.
pub(super) fn may_be(value: f64) -> bool {
    let size = value.abs();
    size >= 99.0 && (EITHER_SIGN.contains(&size) || AS_THEY_ARE.contains(&value))
}

/// Takes the signs of missing readings out of a column. `cells` are the rows with a number that may be one, and the number as it
/// stands there; it is one if it comes again and stands out: as far from all other values as these reach, or, of a column that
/// is never below zero, below zero and a good way off.
pub(super) fn take_out(values: &mut [f64], cells: &[(usize, f64)]) -> Vec<Marker> {
    let mut signs: Vec<f64> = cells.iter().map(|c| c.1).collect();
    signs.sort_by(|a, b| b.abs().total_cmp(&a.abs()).then(a.total_cmp(b)));
    signs.dedup();
    let mut found = Vec::new();
    for sign in signs {
        let rows: Vec<usize> = cells.iter().filter(|c| c.1 == sign).map(|c| c.0).collect();
        let Some(at) = rows.first().map(|row| values[*row]).filter(|_| rows.len() >= 2) else { continue };
        // Of two signs neither is a reading that the other is near.
        let mut others = values.to_vec();
        cells.iter().filter(|c| c.1.abs() >= sign.abs()).for_each(|c| others[c.0] = f64::NAN);
        others.retain(|v| v.is_finite());
        if others.len() >= 2 && stands_out(at, &mut others) {
            rows.iter().for_each(|row| values[*row] = f64::NAN);
            found.push(Marker {
                value: sign,
                cells: rows.len() as u64,
                others: (others[0], others[others.len() - 1]),
            });
        }
    }
    found
}

/// Whether a value is far from others, which it sorts. What a few of them do does not count as their reach.
fn stands_out(value: f64, others: &mut [f64]) -> bool {
    others.sort_unstable_by(f64::total_cmp);
    let (low, high) = (others[0], others[others.len() - 1]);
    let few = others.len() / 200;
    let reach = others[others.len() - 1 - few] - others[few];
    let gap = (low - value).max(value - high);
    // Where nothing else moves, its own size is the measure.
    let size = 0.5 * low.abs().max(high.abs());
    let below = value < 0.0 && low >= 0.0 && gap > 0.1 * reach;
    gap > 0.0 && (below || gap > reach) && (reach > 0.0 || gap > size)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(values: &[f64]) -> Vec<(f64, u64)> {
        let cells: Vec<(usize, f64)> =
            values.iter().copied().enumerate().filter(|(_, v)| may_be(*v)).collect();
        take_out(&mut values.to_vec(), &cells).iter().map(|m| (m.value, m.cells)).collect()
    }

    #[test]
    fn what_stands_out_and_comes_again_is_no_reading() {
        assert_eq!(found(&[20.1, -9999.0, 20.4, 21.0, -9999.0]), [(-9999.0, 2)]);
        assert_eq!(found(&[20.1, -9999.0, 20.4, 9999.0, 9999.0, -9999.0]), [(-9999.0, 2), (9999.0, 2)]);
        assert_eq!(found(&[1.0, 65535.0, 900.0, 65535.0, -127.0, -127.0]), [(65535.0, 2), (-127.0, 2)]);
        assert_eq!(found(&[60000.0, 0.0, -999.9, -999.9]), [], "too near for how far the others reach");
        assert_eq!(found(&[20.0, 20.0, -999.9, -999.9]), [(-999.9, 2)]);
    }

    #[test]
    fn readings_stay_readings() {
        assert_eq!(found(&[20.1, -9999.0, 20.4, 21.0]), [], "once is an outlier");
        assert_eq!(found(&[990.0, 999.0, 1003.0, 999.0, 1013.0]), [], "an air pressure");
        assert_eq!(found(&[0.0, 9000.0, 9999.0, 9999.0, 4000.0]), [], "the end of a scale that is used");
        assert_eq!(found(&[-99.0, -99.0, -98.0, -70.0]), [], "a signal strength");
        assert_eq!(found(&[-9999.0, -9999.0, -9999.0]), [], "nothing else");
    }
}
