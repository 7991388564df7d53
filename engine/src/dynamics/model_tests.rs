use super::*;
use num_dual::{Dual64, DualNum};
use proptest::prelude::*;

impl Real for Dual64 {
    fn from_f64(x: f64) -> Self {
        Self::from_re(x)
    }
    fn value(self) -> f64 {
        self.re
    }
    fn power(self, exponent: f64) -> Self {
        self.powf(exponent)
    }
}

/// Everything a network can hold: free convection, radiation, a lagging sensor, boundaries of all three kinds, a source
/// without input, products and powers of parameters, a covariate.
const EVERYTHING: &str = r#"(
    parameters: {
        "c": (value: 12.0, prior: Log(0.5)), "k": (value: 0.7, prior: Log(0.5)), "u": (value: 3.0, prior: Log(0.5)),
        "area": (value: 0.02, prior: Log(0.5)), "room": (value: 21.0, prior: Linear(2.0)),
        "tau": (value: 4.0, prior: Log(0.5)), "gain": (value: 0.05, prior: Linear(0.1)), "lid": (value: 0.5, prior: Log(0.5)),
    },
    covariates: {"closed": 2.0},
    inputs: [(signal: "heater.level", range: (0.0, 100.0)), (signal: "outside.temperature", range: (-20.0, 50.0))],
    boundaries: [(name: "room", at: Parameter("room")), (name: "outside", at: Input("outside.temperature")),
                 (name: "ice", at: Fixed(0.0))],
    storages: [(name: "a", capacity: "c"), (name: "b", capacity: "2.5 * c * k^0.5"), (name: "d", capacity: "7")],
    conductances: [
        (between: ("a", "b"), value: "k"), (between: ("b", "room"), value: "u * area * lid^closed", exponent: 1.25),
        (between: ("d", "ice"), value: "0.02"), (between: ("outside", "d"), value: "k * 0.1"),
        (between: ("b", "d"), value: "k^-1", exponent: 1.33),
    ],
    radiation: [(between: ("a", "outside"), area_m2: "area"), (between: ("d", "a"), area_m2: "0.5 * area")],
    sources: [(into: "a", gain: "gain", input: "heater.level"), (into: "d", gain: "u * 0.1")],
    outputs: [(signal: "one.temperature", node: "a", lag_s: "tau"), (signal: "two.temperature", node: "d")],
)"#;

fn model(text: &str) -> Model {
    Model::compile(&DynamicsDef::from_ron(text).unwrap(), &BTreeMap::new()).unwrap()
}

proptest! {
    /// The analytic Jacobians are those of dual numbers.
    #[test]
    fn jacobians_agree_with_dual_numbers(
        x in prop::collection::vec(-10.0f64..90.0, 4), u in (0.0f64..100.0, -20.0f64..45.0), scale in 0.3f64..3.0,
    ) {
        let m = model(EVERYTHING);
        let u = vec![u.0, u.1];
        let theta: Vec<f64> = m.values().iter().map(|v| v * scale).collect();
        let j = m.jacobians(&x, &theta, &u);
        let dual = |v: &[f64]| -> Vec<Dual64> { v.iter().map(|v| Dual64::from_re(*v)).collect() };
        let sides: [(usize, usize); 3] = [(0, x.len()), (1, u.len()), (2, theta.len())];
        for (side, count) in sides {
            for k in 0..count {
                let (mut x, mut u, mut theta) = (dual(&x), dual(&u), dual(&theta));
                let seed = [&mut x, &mut u, &mut theta];
                seed[side][k] = seed[side][k].derivative();
                let mut rate = vec![Dual64::from_re(0.0); 4];
                m.derivative(&x, &theta, &u, &mut rate);
                for (i, r) in rate.iter().enumerate() {
                    let ours = [&j.x, &j.u, &j.theta][side][(i, k)];
                    prop_assert!((ours - r.eps).abs() <= 1e-9 * (1.0 + r.eps.abs()), "side {side} {i} {k}: {ours} {}", r.eps);
                }
            }
        }
    }

    /// A network without boundary and source neither gains nor loses heat, whatever the step.
    #[test]
    fn a_closed_network_keeps_its_heat(
        x in prop::collection::vec(-20.0f64..120.0, 3), dt_s in 0.01f64..5000.0, c in 0.5f64..500.0, g in 0.01f64..5.0,
    ) {
        let m = model(r#"(
            parameters: {"c": (value: 1.0), "g": (value: 1.0)},
            storages: [(name: "a", capacity: "c"), (name: "b", capacity: "3 * c"), (name: "d", capacity: "2")],
            conductances: [(between: ("a", "b"), value: "g"), (between: ("b", "d"), value: "0.3"),
                           (between: ("a", "d"), value: "0.1 * g", exponent: 1.25)],
            radiation: [(between: ("a", "b"), area_m2: "0.01")],
            outputs: [(signal: "p.temperature", node: "a")],
        )"#);
        let theta = [c, g];
        let before = m.stored_j(&x, &theta);
        let mut end = x.clone();
        m.step(&mut end, &theta, &[], dt_s);
        let size: f64 = m.stored_j(&x.iter().map(|t| t.abs() + 1.0).collect::<Vec<_>>(), &theta);
        prop_assert!((m.stored_j(&end, &theta) - before).abs() < 1e-9 * size);
    }
}

/// Classical Runge–Kutta with a step so short that its own error is nothing.
fn runge_kutta(m: &Model, x: &[f64], theta: &[f64], u: &[f64], dt_s: f64, steps: usize) -> Vec<f64> {
    let (n, h) = (x.len(), dt_s / steps as f64);
    let mut x = x.to_vec();
    for _ in 0..steps {
        let mut k = vec![vec![0.0; n]; 4];
        for (s, c) in [0.0, 0.5, 0.5, 1.0].into_iter().enumerate() {
            let at: Vec<f64> = (0..n).map(|i| x[i] + if s > 0 { c * h * k[s - 1][i] } else { 0.0 }).collect();
            m.derivative(&at, theta, u, &mut k[s]);
        }
        for (i, x) in x.iter_mut().enumerate() {
            *x += h / 6.0 * (k[0][i] + 2.0 * k[1][i] + 2.0 * k[2][i] + k[3][i]);
        }
    }
    x
}

#[test]
fn a_linear_network_is_integrated_exactly_over_any_step() {
    let m = model(
        r#"(
        parameters: {"c": (value: 0.8), "g": (value: 0.3)},
        inputs: [(signal: "h.level", range: (0.0, 100.0))],
        boundaries: [(name: "room", at: Fixed(22.0))],
        storages: [(name: "a", capacity: "c"), (name: "b", capacity: "8"), (name: "d", capacity: "120")],
        conductances: [(between: ("a", "b"), value: "g"), (between: ("b", "d"), value: "0.2"), (between: ("d", "room"), value: "0.1")],
        sources: [(into: "a", gain: "0.03", input: "h.level")],
        outputs: [(signal: "p.temperature", node: "a", lag_s: "5.0")],
    )"#,
    );
    assert!(m.is_linear());
    for dt_s in [0.5, 30.0, 1000.0] {
        let start = [60.0, 50.0, 40.0, 55.0];
        let mut exact = start.to_vec();
        m.step(&mut exact, &m.values(), &[70.0], dt_s);
        let fine = runge_kutta(&m, &start, &m.values(), &[70.0], dt_s, 200_000);
        for (a, b) in exact.iter().zip(&fine) {
            assert!((a - b).abs() < 1e-7, "{dt_s}: {a} {b}");
        }
    }
}

/// Radiation is integrated to a stated tolerance: at the default longest step of 1 s, 10 mK over ten minutes of heating,
/// and halving the step quarters what is left.
#[test]
fn radiation_meets_its_tolerance_when_the_step_is_halved() {
    let text = |step: &str| {
        format!(
            r#"(
            parameters: {{"c": (value: 2.0)}},
            inputs: [(signal: "h.level", range: (0.0, 100.0))],
            boundaries: [(name: "room", at: Fixed(23.0))],
            storages: [(name: "a", capacity: "c")],
            conductances: [(between: ("a", "room"), value: "0.01")],
            radiation: [(between: ("a", "room"), area_m2: "0.0009")],
            sources: [(into: "a", gain: "0.05", input: "h.level")],
            outputs: [(signal: "p.temperature", node: "a")],
            max_step: "{step}",
        )"#
        )
    };
    let end = |step: &str| {
        let m = model(&text(step));
        let mut x = vec![23.0];
        m.step(&mut x, &m.values(), &[100.0], 120.0);
        x[0]
    };
    let m = model(&text("1s"));
    let truth = runge_kutta(&m, &[23.0], &m.values(), &[100.0], 120.0, 100_000)[0];
    assert!((end("1s") - truth).abs() < 0.01, "{} {truth}", end("1s"));
    let (coarse, fine) = ((end("8s") - truth).abs(), (end("4s") - truth).abs());
    assert!(coarse > 1e-6 && (3.0..5.5).contains(&(coarse / fine)), "{coarse} {fine}");
}

/// The derivatives of a whole step are those of its end by its start and by the parameters.
#[test]
fn step_derivatives_agree_with_differences() {
    let m = model(EVERYTHING);
    let (theta, y) = (m.values(), vec![50.0, 40.0, 10.0, 45.0, 60.0, 5.0]);
    let held = [super::super::step::Reversion::HELD; 2];
    let end = |y: &[f64], theta: &[f64]| {
        let mut y = y.to_vec();
        m.advance(&mut y, theta, &held, 0.05);
        y
    };
    let j = m.advance_with_jacobians(&mut y.clone(), &theta, &held, 0.05);
    for k in 0..y.len() {
        let (mut up, mut down) = (y.clone(), y.clone());
        up[k] += 1e-3;
        down[k] -= 1e-3;
        for (i, (a, b)) in end(&up, &theta).iter().zip(end(&down, &theta)).enumerate() {
            let d = (a - b) / 2e-3;
            assert!((j.y[(i, k)] - d).abs() < 1e-3, "state {i} {k}: {} {d}", j.y[(i, k)]);
        }
    }
    for k in 0..theta.len() {
        let (mut up, mut down) = (theta.clone(), theta.clone());
        let e = 1e-4 * theta[k];
        up[k] += e;
        down[k] -= e;
        for (i, (a, b)) in end(&y, &up).iter().zip(end(&y, &down)).enumerate() {
            let d = (a - b) / (2.0 * e);
            let ours = j.theta[(i, k)];
            assert!((ours - d).abs() < 0.01 * (0.01 + d.abs()), "{i} {}: {ours} {d}", m.parameters[k].name);
        }
    }
}

#[test]
fn a_covariate_changes_what_it_is_the_power_of() {
    let def = DynamicsDef::from_ron(EVERYTHING).unwrap();
    let rate = |closed: f64| {
        let m = Model::compile(&def, &[("closed".to_owned(), closed)].into()).unwrap();
        let mut r = [0.0; 4];
        m.derivative(&[30.0, 60.0, 20.0, 30.0], &m.values(), &[0.0, 10.0], &mut r);
        r[1]
    };
    // Each closed lid halves the loss.
    assert!(((rate(0.0) - rate(1.0)) / (rate(1.0) - rate(2.0)) - 2.0).abs() < 1e-9);
}

#[test]
fn what_cannot_be_compiled_is_named() {
    let error = |from: &str, to: &str| {
        let text = EVERYTHING.replacen(from, to, 1);
        assert_ne!(text, EVERYTHING);
        Model::compile(&DynamicsDef::from_ron(&text).unwrap(), &BTreeMap::new()).unwrap_err().to_string()
    };
    let cases = [
        (error("value: \"k\"", "value: \"kk\""), "there is no parameter `kk`"),
        (error("(\"a\", \"b\")", "(\"a\", \"rom\")"), "did you mean `room`?"),
        (error("value: \"k\"", "value: \"k + 1\""), "there is no parameter `k + 1`"),
        (error("value: \"k\"", "value: \"\""), "is no coefficient"),
        (error("\"heater.level\"", "\"heater.levl\""), "did you mean `heater.levl`?"),
        (error("name: \"b\"", "name: \"a\""), "`a` is defined twice"),
        (error("capacity: \"7\"", "capacity: \"-7\""), "its capacity must be above 0 J/K"),
        (error("exponent: 1.25", "exponent: 0.5"), "its exponent must be between 1 and 4"),
        (error("lid^closed", "lid^clsed"), "there is no covariate `clsed`"),
        (error("Log(0.5)", "Log(0.0)"), "a Log prior needs"),
    ];
    for (message, part) in cases {
        assert!(message.contains(part), "{message}");
    }
}
