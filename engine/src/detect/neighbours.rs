//! How unlike everything before it a row is: the distance to its nearest neighbours among the remembered rows.

/// Rows remembered.
const MEMORY: usize = 4096;
/// Distance to this many-th neighbour: one strange row alone does not make the next one like it usual.
const NEIGHBOURS: usize = 3;
/// Rows compared at a time.
const LANES: usize = 64;

/// Remembered rows, in columns so that many are compared at once.
#[derive(Clone, Debug)]
pub struct Neighbours {
    columns: Vec<Vec<f32>>,
    /// Rows too recent to be compared with: a row is always like the one before it.
    pending: Vec<f32>,
    exclude: usize,
    next: usize,
    /// Rows taken in all.
    taken: usize,
}

impl Neighbours {
    /// Of rows with this many entries, each compared with those at least `exclude` rows before it.
    pub fn new(entries: usize, exclude: usize) -> Self {
        Self { columns: vec![Vec::new(); entries], pending: Vec::new(), exclude, next: 0, taken: 0 }
    }

    /// The distance of a row to those before it, 0 while there are too few; then it is remembered.
    pub fn take(&mut self, row: &[f32]) -> f64 {
        let distance = self.distance(row);
        self.pending.extend_from_slice(row);
        self.taken += 1;
        if self.pending.len() > self.exclude * row.len() {
            let rest = self.pending.split_off(row.len());
            let oldest = std::mem::replace(&mut self.pending, rest);
            self.remember(&oldest);
        }
        distance
    }

    fn remember(&mut self, row: &[f32]) {
        let full = self.columns.first().is_none_or(|c| c.len() == MEMORY);
        for (column, v) in self.columns.iter_mut().zip(row) {
            if full {
                column[self.next] = *v;
            } else {
                column.push(*v);
            }
        }
        if full {
            self.next = (self.next + 1) % MEMORY;
        }
    }

    fn distance(&self, row: &[f32]) -> f64 {
        let n = self.columns.first().map_or(0, Vec::len);
        if n < NEIGHBOURS {
            return 0.0;
        }
        let mut best = [f32::MAX; NEIGHBOURS];
        let mut from = 0;
        while from < n {
            let to = (from + LANES).min(n);
            let mut sums = [0f32; LANES];
            for (column, v) in self.columns.iter().zip(row) {
                for (sum, c) in sums.iter_mut().zip(&column[from..to]) {
                    let d = c - v;
                    *sum += d * d;
                }
            }
            let bar = best[NEIGHBOURS - 1];
            // Most stretches hold nothing nearer, and all of one are compared at once.
            let nearer = sums.iter().fold(false, |any, sum| any | (*sum < bar));
            for sum in sums[..to - from].iter().filter(|_| nearer) {
                if *sum < best[NEIGHBOURS - 1] {
                    best[NEIGHBOURS - 1] = *sum;
                    let mut k = NEIGHBOURS - 1;
                    while k > 0 && best[k] < best[k - 1] {
                        best.swap(k, k - 1);
                        k -= 1;
                    }
                }
            }
            from = to;
        }
        f64::from(best[NEIGHBOURS - 1]).sqrt()
    }
}
