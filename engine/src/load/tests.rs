use super::*;
use crate::time::Span;
use proptest::prelude::*;

fn hold(s: i64, rate: f64) -> StageDef {
    StageDef::Hold { length: Span::from_secs(s), rate }
}

fn plan(def: &ScheduleDef, stages: &[StageDef], id: &str) -> Vec<i64> {
    Schedule::new(def, &Arc::new(Stages::new(stages)), 7, id).collect()
}

fn ms(n: i64) -> Span {
    Span(n * 1_000_000)
}

#[test]
fn doubling_the_rate_doubles_the_messages() {
    let day = ScheduleDef::Diurnal { mean: ms(10), day: Span::from_secs(20), swing: 0.8, from: 0.25 };
    let bursts = ScheduleDef::Bursty { every: ms(500), messages: 10, gap: ms(3) };
    for def in [ScheduleDef::Constant(ms(10)), ScheduleDef::Poisson(ms(10)), day, bursts] {
        let (once, twice) =
            (plan(&def, &[hold(20, 1.0)], "a").len(), plan(&def, &[hold(20, 2.0)], "a").len());
        let ratio = twice as f64 / once as f64;
        assert!((ratio - 2.0).abs() < 0.15, "{def:?}: {once} and {twice}");
    }
}

#[test]
fn a_ramp_from_nothing_holds_half_of_what_its_end_would() {
    let ramp = StageDef::Ramp { length: Span::from_secs(10), from: 0.0, to: 4.0 };
    let sent = plan(&ScheduleDef::Constant(ms(10)), &[ramp, hold(5, 0.0), hold(1, 1.0)], "a");
    assert_eq!(sent.len(), 2_000 + 100);
    // A quarter of the ramp's messages fall into its first half, none into the silence behind it.
    let before = |s: i64| sent.iter().filter(|t| **t < s * NS_PER_S).count();
    assert_eq!((before(5), before(10), before(15)), (500, 2_000, 2_000));
}

#[test]
fn a_poisson_process_has_its_mean_and_its_variance() {
    let gaps: Vec<f64> = plan(&ScheduleDef::Poisson(ms(1)), &[hold(50, 1.0)], "a")
        .windows(2)
        .map(|w| (w[1] - w[0]) as f64 * 1e-6)
        .collect();
    let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
    let var = gaps.iter().map(|g| (g - mean).powi(2)).sum::<f64>() / gaps.len() as f64;
    // 50,000 gaps: five standard errors.
    assert!(
        (mean - 1.0).abs() < 5.0 / 223.0 && (var - 1.0).abs() < 5.0 * 8f64.sqrt() / 223.0,
        "{mean} {var}"
    );
}

#[test]
fn a_day_has_its_peak_at_a_quarter() {
    let day = ScheduleDef::Diurnal { mean: ms(1), day: Span::from_secs(8), swing: 1.0, from: 0.0 };
    let sent = plan(&day, &[hold(8, 1.0)], "a");
    let between = |a: i64, b: i64| sent.iter().filter(|t| (a..b).contains(&(**t / NS_PER_S))).count() as f64;
    // The mean of 1 + sin over a quarter around the peak is 1 + 2√2/π, around the trough 1 − 2√2/π.
    let side = 2.0 * 2f64.sqrt() / std::f64::consts::PI;
    assert!((between(1, 3) / 2_000.0 - (1.0 + side)).abs() < 0.1);
    assert!((between(5, 7) / 2_000.0 - (1.0 - side)).abs() < 0.1);
}

#[test]
fn devices_of_another_name_or_seed_send_at_other_instants() {
    let def = ScheduleDef::Constant(ms(100));
    let stages = Arc::new(Stages::new(&[hold(1, 1.0)]));
    let of = |seed, id: &str| Schedule::new(&def, &stages, seed, id).next();
    assert_eq!(of(1, "a"), of(1, "a"));
    assert!(of(1, "a") != of(1, "b") && of(1, "a") != of(2, "a"));
}

#[test]
fn a_share_strikes_about_so_many() {
    let struck = (0..2_000).filter(|i| strikes(3, 0, &format!("d-{i}"), 0.25)).count();
    assert!((400..600).contains(&struck), "{struck}");
}

proptest! {
    #[test]
    fn instants_ascend_and_lie_within_the_stages(
        lengths in prop::collection::vec((1i64..5, 0.0f64..5.0, 0.0f64..5.0), 1..5), seed in 0u64..100,
    ) {
        let ramps: Vec<_> = lengths.iter()
            .map(|(s, from, to)| StageDef::Ramp { length: Span::from_secs(*s), from: *from, to: *to })
            .collect();
        let stages = Arc::new(Stages::new(&ramps));
        let end = stages.length_ns();
        let sent: Vec<i64> = Schedule::new(&ScheduleDef::Poisson(ms(20)), &stages, seed, "a").collect();
        prop_assert!(sent.windows(2).all(|w| w[0] <= w[1]));
        prop_assert!(sent.iter().all(|t| (0..=end).contains(t)));
        prop_assert!(sent.iter().all(|t| stages.of(*t) < stages.len()));
    }
}
