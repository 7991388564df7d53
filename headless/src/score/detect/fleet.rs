//! `--fdr Q` over all streams: of the alarms told, at most this share is false, on average.
//!
//! Each stretch of rows of each stream is one test, in order of the time at which it begins, at the level that the discoveries
//! before it allow ([`twinfleet_engine::detect::fdr::Online`]). An alarm begins with the first of its rows that passes; one of
//! which none does is taken back. A row's probability becomes that of the least among as many as the stretch has rows.

use super::{files::Stream, stream::Watched};
use twinfleet_engine::detect::{contract::EVENT_ROWS, fdr::Online};

/// Takes back alarms that the rate does not allow.
pub fn control(streams: &mut [(Stream, Watched)], rate: f64) {
    let mut tests: Vec<(f64, usize, usize)> = Vec::new();
    for (k, (stream, watched)) in streams.iter().enumerate() {
        let t0_s = stream.table.t0_unix_ns.unwrap_or(0) as f64 / 1e9;
        for from in (watched.from..stream.rows()).step_by(EVENT_ROWS) {
            tests.push((t0_s + stream.table.t_s[from], k, from));
        }
    }
    tests.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)).then(a.2.cmp(&b.2)));
    let mut online = Online::new(rate);
    let mut passes: Vec<Vec<bool>> = streams.iter().map(|(s, _)| vec![false; s.rows()]).collect();
    for (_, k, from) in tests {
        let level = online.level();
        let (stream, watched) = &streams[k];
        let mut least = 1.0f64;
        let to = (from + EVENT_ROWS).min(stream.rows());
        for (step, passes) in watched.steps[from..to].iter().zip(&mut passes[k][from..to]) {
            let p = of_the_least(10f64.powf(-step.score));
            *passes = p <= level;
            least = least.min(p);
        }
        online.test(least);
    }
    for ((_, watched), passes) in streams.iter_mut().zip(&passes) {
        let mut open = false;
        for (step, pass) in watched.steps.iter_mut().zip(passes) {
            let begins = step.alarm && !open && *pass;
            open = step.alarm && (open || *pass);
            (step.onset, step.alarm) = (begins, open);
        }
    }
}

/// The probability that the least of a stretch's rows is as small: exact where they are independent, and too large where
/// they are alike.
fn of_the_least(p: f64) -> f64 {
    -(EVENT_ROWS as f64 * (-p.min(1.0)).ln_1p()).exp_m1()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_of_many_is_small_more_often() {
        assert!((of_the_least(1e-9) / (1e-9 * EVENT_ROWS as f64) - 1.0).abs() < 1e-4);
        assert!((of_the_least(0.01) - 0.700_64).abs() < 1e-4);
        assert_eq!((of_the_least(0.0), of_the_least(1.0)), (0.0, 1.0));
    }
}
