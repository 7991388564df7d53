//! A queue of samples of a fixed form that keeps old ones packed: what is read is what came, bit for bit, in a fraction of the
//! room. The last ones stand as they came, and can be changed.

mod block;

use self::block::{Block, Column};
use std::collections::VecDeque;

/// Samples of a whole packed stretch, and by how many the last one grows.
const BLOCK: usize = 32;
const GROW: usize = 4;

/// What the words of a sample are, in their order. It is the same for all of a strip's life, and its owner's to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Form {
    /// Whole numbers that lie near a line: times [ns].
    pub lines: usize,
    /// Readings; NaN: missing.
    pub reals: usize,
    /// Two numbers of 32 bits in each.
    pub pairs: usize,
}

impl Form {
    pub fn words(self) -> usize {
        self.lines + self.reals + self.pairs
    }

    /// The columns of a packed stretch: those of the words, pairs apart.
    fn columns(self) -> impl ExactSizeIterator<Item = Column> {
        (0..self.words() + self.pairs).map(move |c| match c {
            c if c < self.lines => Column::Line,
            c if c < self.lines + self.reals => Column::Real,
            _ => Column::Single,
        })
    }

    /// The word of a column, and by how many bits it is shifted there.
    fn place(self, column: usize) -> (usize, usize) {
        let whole = self.lines + self.reals;
        column.checked_sub(whole).map_or((column, 0), |s| (whole + s / 2, 32 * (s % 2)))
    }
}

/// Two numbers of 32 bits in one word.
pub(crate) fn pair(a: f32, b: f32) -> u64 {
    u64::from(a.to_bits()) | u64::from(b.to_bits()) << 32
}

fn halves(word: u64) -> [f32; 2] {
    [f32::from_bits(word as u32), f32::from_bits((word >> 32) as u32)]
}

/// Samples, the oldest first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Strip {
    /// Packed stretches of [`BLOCK`] samples each, but for the last; of the first, `gone` samples are no longer kept.
    packed: VecDeque<Block>,
    /// Samples in all stretches, those no longer kept included.
    in_packed: u32,
    gone: u32,
    /// Words of the samples after these.
    tail: Vec<u64>,
}

impl Strip {
    pub fn len(&self, form: Form) -> usize {
        self.packed_len() + self.tail.len() / form.words()
    }

    fn packed_len(&self) -> usize {
        (self.in_packed - self.gone) as usize
    }

    /// Where in the tail a sample begins, or in which stretch it is.
    #[inline]
    fn find(&self, i: usize, form: Form) -> Result<usize, (&Block, usize)> {
        match i.checked_sub(self.packed_len()) {
            Some(i) => Ok(i * form.words()),
            None => {
                let at = i + self.gone as usize;
                Err((&self.packed[at / BLOCK], at % BLOCK))
            }
        }
    }

    /// A word that is no pair, of the i-th sample kept.
    #[inline]
    pub fn word(&self, i: usize, word: usize, form: Form) -> u64 {
        match self.find(i, form) {
            Ok(at) => self.tail[at + word],
            Err((block, k)) if word < form.lines => block.bits(word, Column::Line, k),
            Err((block, k)) => block.bits(word, Column::Real, k),
        }
    }

    /// The two numbers of the i-th sample's n-th pair.
    #[inline]
    pub fn pair(&self, i: usize, n: usize, form: Form) -> [f32; 2] {
        let whole = form.lines + form.reals;
        match self.find(i, form) {
            Ok(at) => halves(self.tail[at + whole + n]),
            Err((block, k)) => {
                [0, 1].map(|half| f32::from_bits(block.bits(whole + 2 * n + half, Column::Single, k) as u32))
            }
        }
    }

    /// Changes a pair of a sample that is not packed: the last one, or one since [`Self::open`].
    pub fn set_pair(&mut self, i: usize, n: usize, numbers: [f32; 2], form: Form) {
        if let Ok(at) = self.find(i, form) {
            self.tail[at + form.lines + form.reals + n] = pair(numbers[0], numbers[1]);
        }
    }

    /// Appends a sample.
    pub fn push(&mut self, words: impl IntoIterator<Item = u64>, form: Form) {
        self.pack(form);
        let n = form.words();
        if self.tail.len() + n > self.tail.capacity() {
            // As much as will be used, and no more: half of it would be empty for ever.
            let wanted = (self.tail.len() / n * 3 / 2 + 1).clamp(self.tail.len() / n + 1, 2 * GROW);
            self.tail.reserve_exact((wanted * n).max(self.tail.len() + n) - self.tail.len());
        }
        let end = self.tail.len() + n;
        self.tail.extend(words);
        self.tail.resize(end, 0);
    }

    /// Forgets the oldest sample; there must be packed ones, or none is forgotten.
    pub fn drop_first(&mut self) {
        if self.packed_len() == 0 {
            return;
        }
        self.gone += 1;
        if self.gone as usize == BLOCK {
            self.packed.pop_front();
            self.gone = 0;
            self.in_packed -= BLOCK as u32;
        }
    }

    /// Packs what has come since, but for the last samples.
    fn pack(&mut self, form: Form) {
        let words = form.words();
        let waiting = self.tail.len() / words;
        if waiting < 2 * GROW {
            return;
        }
        let mut taken = 0;
        while waiting - taken >= 2 * GROW {
            let in_last = self.in_packed as usize % BLOCK;
            let more = ((waiting - taken - GROW) / GROW * GROW).min(BLOCK - in_last);
            let last = if in_last > 0 { self.packed.pop_back() } else { None };
            let tail = &self.tail[taken * words..(taken + more) * words];
            let column = |(c, kind): (usize, Column)| -> Vec<u64> {
                let (word, shift) = form.place(c);
                let before = last.iter().flat_map(|b| (0..in_last).map(move |k| b.bits(c, kind, k)));
                let mask = if kind == Column::Single { u64::from(u32::MAX) } else { u64::MAX };
                before.chain(tail.chunks_exact(words).map(|w| w[word] >> shift & mask)).collect()
            };
            let columns: Vec<Vec<u64>> = form.columns().enumerate().map(column).collect();
            if self.packed.len() == self.packed.capacity() {
                self.packed.reserve_exact(1 + self.packed.len() / 4);
            }
            self.packed.push_back(Block::pack(form.columns(), &columns));
            self.in_packed += more as u32;
            taken += more;
        }
        self.tail.drain(..taken * words);
        self.tail.shrink_to(2 * GROW * words);
    }

    /// Unpacks the samples from the i-th on, so that they can be changed.
    pub fn open(&mut self, i: usize, form: Form) {
        if i >= self.packed_len() {
            return;
        }
        let words = form.words();
        let stretch = (i + self.gone as usize) / BLOCK;
        let (from, all) = (stretch * BLOCK, self.in_packed as usize);
        let mut opened = vec![0; (all - from) * words];
        for (b, block) in self.packed.iter().enumerate().skip(stretch) {
            for (c, kind) in form.columns().enumerate() {
                let (word, shift) = form.place(c);
                for at in b * BLOCK..all.min((b + 1) * BLOCK) {
                    opened[(at - from) * words + word] |= block.bits(c, kind, at % BLOCK) << shift;
                }
            }
        }
        opened.extend_from_slice(&self.tail);
        self.packed.truncate(stretch);
        self.in_packed = from as u32;
        // What is no longer kept is forgotten with its stretch.
        if stretch == 0 {
            opened.drain(..self.gone as usize * words);
            self.gone = 0;
        }
        self.tail = opened;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FORM: Form = Form { lines: 1, reals: 2, pairs: 2 };

    fn sample(k: u64, odd: u64) -> [u64; 5] {
        let reading = if k % 7 == odd % 7 { f64::NAN } else { (k * 31 % 400) as f64 / 100.0 };
        let other = (k as f64 + 0.1 * odd as f64).sin();
        [k * 1_000_000_007, reading.to_bits(), other.to_bits(), pair(k as f32, f32::NAN), pair(-0.1, 0.25)]
    }

    proptest! {
        /// What is read is what came, however much was packed, dropped, opened and changed.
        #[test]
        fn it_is_a_queue(steps in prop::collection::vec((0u8..8, any::<u64>()), 1..400)) {
            let mut strip = Strip::default();
            let mut plain: VecDeque<[u64; 5]> = VecDeque::new();
            let mut k = 0;
            for (what, odd) in steps {
                match what {
                    0 if plain.len() > 16 => {
                        let before = strip.len(FORM);
                        strip.drop_first();
                        if strip.len(FORM) < before {
                            plain.pop_front();
                        }
                    }
                    1 if !plain.is_empty() => {
                        let from = odd as usize % plain.len();
                        strip.open(from, FORM);
                        for (i, words) in plain.iter_mut().enumerate().skip(from) {
                            strip.set_pair(i, 1, [odd as f32, i as f32], FORM);
                            words[4] = pair(odd as f32, i as f32);
                        }
                    }
                    _ => for _ in 0..4 {
                        plain.push_back(sample(k, odd));
                        strip.push(sample(k, odd), FORM);
                        k += 1;
                    }
                }
            }
            prop_assert_eq!(strip.len(FORM), plain.len());
            for (i, words) in plain.iter().enumerate() {
                let told: Vec<u64> = (0..3).map(|w| strip.word(i, w, FORM)).collect();
                prop_assert_eq!(&told[..], &words[..3]);
                for n in 0..2 {
                    let [a, b] = strip.pair(i, n, FORM);
                    prop_assert_eq!(pair(a, b), words[3 + n]);
                }
            }
        }
    }
}
