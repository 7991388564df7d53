//! What is promised over a fleet, counted: of its alarms no larger share is false than stated, though few clean rows were learnt from.

use rand::SeedableRng;
use rand_distr::{Distribution, StandardNormal};
use rand_xoshiro::Xoshiro256PlusPlus;
use twinfleet_engine::detect::{
    Contract, Detector, Step,
    fdr::{Told, control},
    trained::Trained,
};

fn noise(seed: u64) -> impl FnMut() -> f64 {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
    move || StandardNormal.sample(&mut rng)
}

/// Six signals, each remembering in its own way, of which two move together.
fn rig(seed: u64) -> impl FnMut() -> Vec<f64> {
    let mut own: Vec<_> = (0..6)
        .map(|k| {
            let (phi, mut white, mut x) = (0.15 * k as f64, noise(seed * 10 + k), 0.0);
            move || {
                x = phi * x + (1.0 - phi * phi).sqrt() * white();
                x
            }
        })
        .collect();
    move || {
        let mut row: Vec<f64> = own.iter_mut().map(|f| f()).collect();
        row[1] = 0.9 * row[0] + 0.4 * row[1];
        row.iter().enumerate().map(|(k, v)| v * 10f64.powi(k as i32 - 2) + 100.0 * k as f64).collect()
    }
}

/// Rows that are watched, and those in which something is wrong.
const ROWS: usize = 800;
const FAULTY: std::ops::Range<usize> = 300..600;
/// Rows after a fault in which what is told may still be about it.
const AFTER: usize = 60;

/// What a fleet told.
#[derive(Debug, Default)]
struct Count {
    /// Alarms that begin where nothing is wrong.
    wrong: usize,
    /// Those that begin where something is.
    right: usize,
    /// Faulty streams with one of these.
    found: usize,
}

/// A fleet of six rigs that learnt from 400 clean rows each; in the first `faulty` of them a signal is off by so many of its
/// standard deviations for a while. `heavy` is noise of Student's t with five degrees of freedom: what is rare is far out.
fn fleet(seed: u64, faulty: usize, off: f64, heavy: bool, rate: f64) -> Count {
    let t_s: Vec<f64> = (0..ROWS).map(|i| i as f64).collect();
    let mut all: Vec<Vec<Step>> = (0..6)
        .map(|k| {
            let mut next = rig(seed * 6 + k as u64);
            let mut wild = noise(7 + seed * 6 + k as u64);
            let mut row = move || {
                let mut row = next();
                if heavy {
                    let chi = (0..5).map(|_| wild().powi(2)).sum::<f64>() / 5.0;
                    row.iter_mut().enumerate().for_each(|(k, v)| *v = (*v - 100.0 * k as f64) / chi.sqrt());
                }
                row
            };
            let clean: Vec<Vec<f64>> = (0..400).map(|_| row()).collect();
            let mut watch = Trained::fit(&clean, Contract { rows: 400.0 }).unwrap();
            let steps = (0..ROWS).map(|t| {
                let mut row = row();
                if k < faulty && FAULTY.contains(&t) {
                    row[k] += off * 10f64.powi(k as i32 - 2);
                }
                watch.take(&row)
            });
            steps.collect()
        })
        .collect();
    let mut told: Vec<Told<'_>> = all.iter_mut().map(|steps| Told { t_s: &t_s, from: 0, steps }).collect();
    control(&mut told, rate);
    let mut count = Count::default();
    for (k, steps) in all.iter().enumerate() {
        let onsets = |rows: std::ops::Range<usize>| steps[rows].iter().filter(|s| s.onset).count();
        if k < faulty {
            let within = onsets(FAULTY);
            count.right += within;
            count.found += usize::from(within > 0);
            count.wrong += onsets(0..FAULTY.start) + onsets(FAULTY.end + AFTER..ROWS);
        } else {
            count.wrong += onsets(0..ROWS);
        }
    }
    count
}

/// Of few clean rows no share tells how rare the rarest is: what lies beyond them is extrapolated, and has to keep the promise.
#[test]
fn a_short_fleet_that_learnt_from_few_rows_tells_what_is_clear_and_little_else() {
    let (fleets, rate) = (80, 0.1);
    for (heavy, off, least) in [(false, 5.0, 0.9), (true, 10.0, 0.7)] {
        let (mut share, mut all) = (0.0, Count::default());
        for seed in 0..fleets {
            let c = fleet(seed, 3, off, heavy, rate);
            share += c.wrong as f64 / (c.wrong + c.right).max(1) as f64 / fleets as f64;
            all =
                Count { wrong: all.wrong + c.wrong, right: all.right + c.right, found: all.found + c.found };
        }
        let quiet = (0..fleets).filter(|seed| fleet(1000 + seed, 0, 0.0, heavy, rate).wrong > 0).count();
        println!(
            "heavy tails {heavy}: false share {share:.3} ({} of {} alarms), {} of {} faults found; of {fleets} fleets without a \
             fault {quiet} told one",
            all.wrong,
            all.wrong + all.right,
            all.found,
            3 * fleets
        );
        assert!(share <= rate && quiet as f64 <= rate * fleets as f64, "{share} {quiet}");
        assert!(all.found as f64 >= least * 3.0 * fleets as f64, "{all:?}");
    }
}
