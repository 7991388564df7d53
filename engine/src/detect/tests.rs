//! Laws of the detectors: what is promised of false alarms, counted over many seeds; and what has to be seen.

use super::{
    Contract, Detector,
    contract::EVENT_ROWS,
    fdr::{Online, benjamini_hochberg},
    metrics::{Counts, events, vus_pr},
    novelty::Novelty,
    pca::Pca,
    ranked::{self, Ranked},
    standstill::{self, Standstill},
    trained::{FEWEST_ROWS, Trained},
};
use rand::SeedableRng;
use rand_distr::{Distribution, StandardNormal};
use rand_xoshiro::Xoshiro256PlusPlus;

fn noise(seed: u64) -> impl FnMut() -> f64 {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
    move || StandardNormal.sample(&mut rng)
}

/// A stream that remembers: each value is `phi` of the last, and news.
fn remembering(seed: u64, phi: f64) -> impl FnMut() -> f64 {
    let (mut white, mut x) = (noise(seed), 0.0);
    move || {
        x = phi * x + (1.0 - phi * phi).sqrt() * white();
        x
    }
}

/// Six signals of which two move together.
fn rig(seed: u64) -> impl FnMut() -> Vec<f64> {
    let mut own: Vec<_> = (0..6).map(|k| remembering(seed * 10 + k, 0.15 * k as f64)).collect();
    move || {
        let mut row: Vec<f64> = own.iter_mut().map(|f| f()).collect();
        row[1] = 0.9 * row[0] + 0.4 * row[1];
        row.iter().enumerate().map(|(k, v)| v * 10f64.powi(k as i32 - 2) + 100.0 * k as f64).collect()
    }
}

#[test]
fn novelty_keeps_its_contract_on_streams_that_stay_what_they_are() {
    for (phi, rows) in [(0.0, 500.0), (0.0, 1000.0), (0.8, 500.0), (0.8, 1000.0)] {
        let (mut told, mut seen) = (0, 0);
        for seed in 0..6 {
            let mut next = remembering(seed, phi);
            let mut watch = Novelty::new(1, Contract { rows });
            for _ in 0..6000 {
                told += usize::from(watch.take(&[next()]).onset);
                seen += 1;
            }
        }
        let promised = seen as f64 / rows;
        // While it has seen less than the contract's rows it tells what beats all before it.
        let early = 6.0 * (rows / (2.0 * EVENT_ROWS as f64)).ln();
        println!(
            "phi {phi}, one in {rows} rows: promised {promised:.0} and {early:.0} in the beginning, counted {told}"
        );
        assert!(f64::from(told as u32) <= 1.4 * promised + early + 3.0, "phi {phi}: {told} of {promised}");
        assert!(told > 0, "a detector that never tells anything keeps every contract");
    }
}

#[test]
fn normal_behaviour_keeps_its_contract() {
    // Few clean rows, whose tail is extrapolated, and many, in which onsets are counted.
    for (rows, clean_rows) in [(300.0, 600), (1000.0, 600), (10_000.0, 600), (300.0, 3000), (1000.0, 8000)] {
        let (mut told, mut seen) = (0, 0);
        for seed in 0..40 {
            let mut next = rig(seed);
            let clean: Vec<Vec<f64>> = (0..clean_rows).map(|_| next()).collect();
            let mut watch = Trained::fit(&clean, Contract { rows }).unwrap();
            for _ in 0..2000 {
                told += usize::from(watch.take(&next()).onset);
                seen += 1;
            }
        }
        let promised = seen as f64 / rows;
        println!("one in {rows} rows, {clean_rows} clean: promised {promised:.0}, counted {told}");
        assert!(f64::from(told as u32) <= 1.5 * promised + 3.0, "{told} of {promised}");
    }
}

/// What is new each day at first, and comes back each day: the stream's own past gives ever better scores, and none is news.
#[test]
fn novelty_keeps_its_contract_on_days_that_are_alike() {
    for rows in [300.0, 1000.0, 5000.0, 20_000.0] {
        let (mut told, mut seen) = (0, 0);
        for seed in 40..48 {
            let mut white = noise(seed);
            let mut watch = Novelty::new(1, Contract { rows });
            for t in 0..8640 {
                let day = (t as f64 * std::f64::consts::TAU / 288.0).sin();
                told += usize::from(watch.take(&[20.0 + 4.0 * day + 0.3 * white()]).onset);
                seen += 1;
            }
        }
        let promised = f64::from(seen) / rows;
        println!("days, one in {rows} rows: promised {promised:.1}, counted {told}");
        assert!(told as f64 <= 1.15 * promised + 2.0, "{told} of {promised}");
    }
}

#[test]
fn a_signal_that_counts_does_not_blind_the_others() {
    for seed in 0..5 {
        let mut next = rig(300 + seed);
        let mut row = |t: usize, off: f64| {
            let mut row = next();
            row[2] += off;
            row.push(t as f64);
            row
        };
        let clean: Vec<Vec<f64>> = (0..600).map(|t| row(t, 0.0)).collect();
        let mut watch = Trained::fit(&clean, Contract::default()).unwrap();
        assert_eq!(watch.counters(), [6]);
        let steps: Vec<_> =
            (600..1000).map(|t| watch.take(&row(t, if t < 800 { 0.0 } else { 5.0 }))).collect();
        let (before, during) = steps.split_at(200);
        let alarms = |of: &[super::Step]| of.iter().filter(|s| s.alarm).count();
        assert!(alarms(before) < 20 && alarms(during) > 150, "{} {}", alarms(before), alarms(during));
    }
}

#[test]
fn a_fault_is_seen_and_the_signal_that_has_it_named() {
    for signal in 0..6 {
        let mut right = 0;
        for seed in 0..20 {
            let mut next = rig(100 + seed);
            let clean: Vec<Vec<f64>> = (0..600).map(|_| next()).collect();
            let mut watch = Trained::fit(&clean, Contract::default()).unwrap();
            let spread = 10f64.powi(signal as i32 - 2);
            let mut named = [0; 6];
            for t in 0..200 {
                let mut row = next();
                if t >= 50 {
                    row[signal] += 4.0 * spread;
                }
                let step = watch.take(&row);
                if t >= 50 && step.alarm {
                    named[step.blame.unwrap()] += 1;
                }
            }
            let most = (0..6).max_by_key(|k| named[*k]).unwrap();
            right += usize::from(most == signal && named[signal] > 100);
        }
        assert!(right >= 18, "signal {signal}: {right} of 20");
    }
}

#[test]
fn two_signals_that_part_are_seen_though_each_is_in_its_range() {
    let mut next = rig(7);
    let clean: Vec<Vec<f64>> = (0..600).map(|_| next()).collect();
    let mut watch = Trained::fit(&clean, Contract::default()).unwrap();
    let mut alarms = 0;
    for t in 0..200 {
        let mut row = next();
        if t >= 100 {
            // The second signal goes on in its range, but against the first instead of with it.
            row[1] = 200.0 - row[1];
        }
        alarms += usize::from(watch.take(&row).alarm && t >= 100);
    }
    assert!(alarms > 50, "{alarms}");
}

/// Readings to the nearest half.
fn rounded(v: f64) -> f64 {
    (2.0 * v).round() / 2.0
}

#[test]
fn a_signal_that_stops_is_told_and_one_that_rests_as_ever_is_not() {
    let mut told = 0;
    for seed in 0..8 {
        for (phi, coarse) in [(0.0, false), (0.7, false), (0.95, false), (0.7, true), (0.95, true)] {
            // One value for long, nothing for long, and a gap in time.
            for stop in 0..3 {
                let mut next = remembering(seed, phi);
                let mut watch = Novelty::new(1, Contract::default());
                let mut onset = None;
                let mut last = 0.0;
                let mut told_before = 0;
                for t in 0..2000 {
                    let fresh = if coarse { rounded(next()) } else { next() };
                    let still = (1800..1950).contains(&t);
                    if stop == 2 && t == 1800 {
                        watch.pause(150.0);
                    }
                    let value = match stop {
                        0 if still => last,
                        1 if still => f64::NAN,
                        _ => fresh,
                    };
                    last = if value.is_nan() { last } else { value };
                    let step = watch.take(&[value]);
                    told_before += usize::from(step.onset && t < 1800);
                    onset = onset.or((step.onset && t >= 1800).then_some(t));
                    assert!(!step.onset || step.alarm && step.score.is_finite());
                }
                assert!(
                    onset.is_some_and(|t| t < 1950),
                    "phi {phi}, coarse {coarse}, stop {stop}: {onset:?}"
                );
                told += told_before;
            }
        }
    }
    println!("{told} onsets before the stop, in 120 streams of 1,800 rows");
    // Rest after rest, a night or an idle machine, each some longer or shorter than another: none of them is told.
    let mut watch = Novelty::new(1, Contract::default());
    let mut white = noise(9);
    for t in 0..6000 {
        let rests = t % 150 < 60 + (t / 150 * 37) % 50;
        let step = watch.take(&[if rests { 0.0 } else { 5.0 + white() }]);
        assert!(!(rests && step.onset && t > 500), "{t}");
    }
}

#[test]
fn no_stop_is_told_twice_and_few_ever() {
    // A thousand rows of each kind of rounded stream: whether the runs alone would be told.
    let mut told = 0;
    for seed in 0..60 {
        for phi in [0.0, 0.7, 0.95, 0.99] {
            let mut next = remembering(seed, phi);
            let mut watch = Standstill::new(1);
            let mut was = false;
            for _ in 0..4000 {
                let is = watch.take(&[rounded(next())]).is_some();
                told += usize::from(is && !was);
                was = is;
            }
        }
    }
    println!(
        "runs of 240 rounded streams of 4,000 rows: {told} told, of {} rows at least",
        standstill::FEWEST_ROWS
    );
    assert!(told <= 24, "one in 40,000 rows: {told}");
    let mut next = rig(3);
    let clean: Vec<Vec<f64>> = (0..600).map(|_| next()).collect();
    let mut watch = Trained::fit(&clean, Contract::default()).unwrap();
    let mut onsets = Vec::new();
    for t in 0..400 {
        let mut row = next();
        if t >= 100 {
            row[4] = 400.0;
        }
        let step = watch.take(&row);
        if step.onset && t >= 100 {
            onsets.push((t, step.blame));
        }
    }
    assert!(onsets.iter().any(|(t, k)| *t < 125 && *k == Some(4)), "{onsets:?}");
}

#[test]
fn what_was_news_is_usual_when_it_comes_again() {
    let mut watch = Novelty::new(1, Contract::default());
    let mut white = noise(3);
    let mut first = Vec::new();
    for t in 0..6000 {
        let burst = t > 1000 && t % 500 < 20;
        let step = watch.take(&[0.3 * white() + if burst { 8.0 } else { 0.0 }]);
        first.extend(step.onset.then_some(t));
    }
    let bursts = first.iter().filter(|t| **t > 1000 && **t % 500 < 30).count();
    assert!(first.iter().any(|t| (1001..1020).contains(t)), "{first:?}");
    assert!(bursts <= 5, "of ten bursts the later ones are usual: {first:?}");
}

#[test]
fn nothing_breaks_them() {
    let huge = [0.0, 1e300, -1e300, f64::MAX, f64::MIN, f64::NAN, f64::INFINITY, 1e-300, 5e-324];
    for case in 0..6 {
        let (mut white, mut other) = (noise(1), noise(2));
        let mut value = |t: usize| match case {
            0 => 45.0,
            1 => huge[t % huge.len()],
            2 => f64::NAN,
            3 => t as f64,
            4 => (t % 2) as f64,
            _ => {
                if t < 700 {
                    white()
                } else {
                    1e308
                }
            }
        };
        let mut watch = Novelty::new(1, Contract::default());
        let mut onsets = 0;
        for t in 0..1500 {
            let step = watch.take(&[value(t)]);
            assert!(step.score.is_finite() && step.score >= 0.0, "case {case}: {step:?}");
            onsets += usize::from(step.onset);
        }
        assert!(case != 0 && case != 2 || onsets == 0, "case {case}");
        let rows: Vec<Vec<f64>> = (0..300).map(|t| vec![value(t), t as f64 * 0.01, other()]).collect();
        if let Ok(mut watch) = Trained::fit(&rows, Contract::default()) {
            for t in 300..900 {
                let step = watch.take(&[value(t), t as f64 * 0.01, f64::NAN]);
                assert!(step.score.is_finite(), "case {case}: {step:?}");
            }
        }
    }
    assert_eq!(Trained::fit(&[], Contract::default()).unwrap_err().found, 0);
    let few = vec![vec![1.0, 2.0]; FEWEST_ROWS - 1];
    assert!(Trained::fit(&few, Contract::default()).is_err());
}

#[test]
fn figures_of_rows_and_events() {
    let labels = [false, true, true, true, false, false, true, false];
    let alarms = [true, false, true, true, true, false, false, false];
    let onsets = [true, false, true, false, false, false, false, false];
    let c = Counts::of(&labels, &alarms, &onsets);
    assert_eq!((c.hits, c.missed, c.false_alarms, c.calm), (2, 2, 2, 2));
    assert_eq!((c.delays_rows.as_slice(), c.events_missed, c.false_onsets), (&[1][..], 1, 1));
    assert_eq!((c.f1(), c.false_alarm_rate()), (Some(0.5), Some(0.5)));
    assert_eq!(events(&labels), [(1, 4), (6, 7)]);
    assert_eq!(Counts::default().f1(), None);
}

#[test]
fn the_volume_under_precision_and_recall_orders_detectors() {
    let labels: Vec<bool> = (0..1000).map(|t| (400..500).contains(&t)).collect();
    let of = |f: &dyn Fn(usize) -> f64| vus_pr(&labels, &(0..1000).map(f).collect::<Vec<_>>()).unwrap();
    let mut white = noise(5);
    let random: Vec<f64> = (0..1000).map(|_| white()).collect();
    let (perfect, late, blind) = (
        of(&|t| f64::from(u8::from(labels[t]))),
        of(&|t| f64::from(u8::from((450..550).contains(&t)))),
        of(&|t| random[t]),
    );
    println!("perfect {perfect:.3}, late {late:.3}, random {blind:.3}");
    assert!(perfect > 0.8 && perfect > late + 0.2 && late > blind, "{perfect} {late} {blind}");
    assert!((0.05..0.25).contains(&blind), "about the share of labelled rows: {blind}");
    assert_eq!(vus_pr(&[false; 9], &[0.0; 9]), None);
}

#[test]
fn the_textbooks_detectors_see_a_change_and_keep_to_the_contract() {
    for (name, _) in ranked::NAMES {
        let (mut found, mut told) = (0, 0);
        for seed in 0..10 {
            let mut next = remembering(seed, 0.3);
            let mut watch = Ranked::new(name, 1, Contract { rows: 2000.0 }).unwrap();
            let mut seen = false;
            for t in 0..4000 {
                let onset = watch.take(&[next() + if t >= 3900 { 6.0 } else { 0.0 }]).onset;
                seen |= onset && t >= 3900;
                told += usize::from(onset && t < 3900);
            }
            found += usize::from(seen);
        }
        println!("{name}: found {found} of 10, told {told} falsely, promised {}", 10 * 3900 / 2000);
        assert!(found >= 9 && told <= 50, "{name}: {found} {told}");
    }
    assert!(Ranked::new("oracle", 1, Contract::default()).is_none());
}

#[test]
fn principal_components_see_what_leaves_them() {
    for lags in [0, 2] {
        let mut next = rig(11);
        let clean: Vec<Vec<f64>> = (0..600).map(|_| next()).collect();
        let mut watch = Pca::fit(&clean, lags, Contract { rows: 100.0 }).unwrap();
        let (mut before, mut during, mut named) = (0, 0, 0);
        for t in 0..400 {
            let mut row = next();
            if t >= 200 {
                row[1] = 200.0 - row[1];
            }
            let step = watch.take(&row);
            before += usize::from(step.alarm && t < 200);
            during += usize::from(step.alarm && t >= 200);
            named += usize::from(step.alarm && t >= 200 && step.blame.is_some_and(|b| b <= 1));
        }
        assert!(before < 20 && during > 80 && named > 60, "{lags}: {before} {during} {named}");
    }
}

/// p-values of which some are of faults: small ones.
fn p_values(seed: u64, n: usize, faulty: usize) -> Vec<(f64, bool)> {
    let mut white = noise(seed);
    // The probability of a normal that is as large, by the error function's series in the tail or a sum.
    let tail = |z: f64| 0.5 * erfc(z / std::f64::consts::SQRT_2);
    (0..n)
        .map(|i| {
            let is = i % (n / faulty.max(1)).max(1) == 0 && faulty > 0;
            (tail(white() + if is { 4.5 } else { 0.0 }), is)
        })
        .collect()
}

/// Complementary error function (Abramowitz and Stegun 7.1.26), good to 1.5e-7 of itself and its kind.
fn erfc(x: f64) -> f64 {
    let t = 1.0 / (1.0 + 0.5 * x.abs());
    let series = -1.265_512_23
        + t * (1.000_023_68
            + t * (0.374_091_96
                + t * (0.096_784_18
                    + t * (-0.186_288_06
                        + t * (0.278_868_07
                            + t * (-1.135_203_98
                                + t * (1.488_515_87 + t * (-0.822_152_23 + t * 0.170_872_77))))))));
    let y = t * (-x * x + series).exp();
    if x >= 0.0 { y } else { 2.0 - y }
}

#[test]
fn of_a_fleets_discoveries_no_larger_share_is_false_than_stated() {
    for rate in [0.05, 0.2] {
        let (mut batch, mut online) = ((0.0, 0), (0.0, 0));
        for seed in 0..200 {
            let all = p_values(seed, 1000, 50);
            let p: Vec<f64> = all.iter().map(|a| a.0).collect();
            let mut one_by_one = Online::new(rate);
            let said: Vec<bool> = p.iter().map(|p| one_by_one.test(*p)).collect();
            for (told, sum) in [(benjamini_hochberg(&p, rate), &mut batch), (said, &mut online)] {
                let found = told.iter().filter(|t| **t).count();
                let wrong = told.iter().zip(&all).filter(|(t, a)| **t && !a.1).count();
                sum.0 += wrong as f64 / found.max(1) as f64 / 200.0;
                sum.1 += found - wrong;
            }
        }
        println!(
            "rate {rate}: false share {:.3} of a batch, {:.3} online; found {} and {} of 10000",
            batch.0, online.0, batch.1, online.1
        );
        assert!(batch.0 <= rate && online.0 <= rate, "{batch:?} {online:?}");
        assert!(batch.1 > 7000 && online.1 > 4000, "{batch:?} {online:?}");
    }
    let nothing: usize = (0..200)
        .map(|seed| {
            let mut one_by_one = Online::new(0.1);
            usize::from(p_values(900 + seed, 500, 0).iter().any(|p| one_by_one.test(p.0)))
        })
        .sum();
    println!("of 200 fleets without a fault, {nothing} told one");
    assert!(nothing <= 20);
}

/// Two hours of six devices are some dozens of tests, nearly all of them of nothing: what is told must not be used up by then.
#[test]
fn a_short_fleet_can_still_tell_what_is_clear() {
    let mut online = Online::new(0.1);
    let mut white = noise(77);
    let tail = |z: f64| 0.5 * erfc(z / std::f64::consts::SQRT_2);
    // The least of a hundred quiet rows, put right for their number, is mostly near one.
    for _ in 0..40 {
        let least = (0..120).map(|_| tail(white())).fold(1.0, f64::min);
        online.test(1.0 - (1.0 - least).powi(120));
    }
    println!("level after forty quiet tests: {:.1e}", online.level());
    assert!(online.level() > 1e-4 && online.test(1e-4));
}
