//! Range, presence and load against geometry and weight.

use super::*;
use crate::{
    physics::{
        ViewDef,
        feel::{LoadCell, Presence, Range, TIME_OUT_M},
    },
    time::Span,
};
use proptest::prelude::*;

fn sonar() -> ViewDef {
    ViewDef::of_quantity("distance").unwrap()
}

/// A sensor on a post at the origin that looks along +x, and what stands around it.
fn around_post(bodies: &str) -> Scene {
    scene(&format!(
        r#"(gravity_m_s2: 0, bodies: [(id: "post", kind: Fixed, shape: Box(size_m: (0.1, 0.1, 0.1))), {bodies}])"#
    ))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn range_to_a_wall_is_its_distance(distance in 0.1f64..3.9) {
        let s = around_post(&format!(
            r#"(id: "wall", kind: Fixed, shape: Box(size_m: (0.2, 5, 5)), position_m: ({}, 0, 0))"#, distance + 0.1
        ));
        let range = Range::new(Mount::centre(0), sonar());
        prop_assert!((range.distance_m(&s) - distance).abs() < 1e-4);
    }

    #[test]
    fn range_to_a_ball_on_the_axis_is_to_its_nearest_point(distance in 0.2f64..3.5, radius in 0.05f64..0.5, turn in -180f64..180.0) {
        // The sensor and the ball turn together about z: the reading does not.
        let (sin, cos) = turn.to_radians().sin_cos();
        let d = distance + radius;
        let s = around_post(&format!(
            r#"(id: "ball", kind: Fixed, shape: Sphere(radius_m: {radius}), position_m: ({}, {}, 0))"#, d * cos, d * sin
        ));
        let range = Range::new(Mount::new(0, (0.0, 0.0, 0.0), (0.0, 0.0, turn)), sonar());
        prop_assert!((range.distance_m(&s) - distance).abs() < 1e-4);
    }
}

#[test]
fn what_lies_outside_the_beam_or_the_range_is_not_heard() {
    let ball = |x: f64, y: f64| {
        let s = around_post(&format!(
            r#"(id: "ball", kind: Fixed, shape: Sphere(radius_m: 0.1), position_m: ({x}, {y}, 0))"#
        ));
        Range::new(Mount::centre(0), sonar()).distance_m(&s)
    };
    // The rim of a 15° beam is 0.263 m off the axis at 2 m.
    assert!(ball(2.0, 0.3) < 2.05, "a ball that reaches into the beam");
    assert_eq!(ball(2.0, 0.4), TIME_OUT_M);
    assert_eq!(ball(-2.0, 0.0), TIME_OUT_M);
    assert!(ball(4.0, 0.0) < 4.0);
    assert_eq!(ball(4.2, 0.0), TIME_OUT_M);
}

#[test]
fn a_presence_sensor_sees_motion_in_its_cone_unless_something_hides_it() {
    let view =
        ViewDef { hold: Span::ZERO, lock_out: Span::ZERO, ..ViewDef::of_quantity("presence").unwrap() };
    let sees = |bodies: &str| Presence::new(Mount::centre(0), view).is_high(&around_post(bodies));
    let ball = |kind: &str, x: f64, y: f64, speed: f64| {
        let mass = if kind == "Dynamic" { "mass_kg: 1," } else { "" };
        format!(
            r#"(id: "ball", kind: {kind}, {mass} shape: Sphere(radius_m: 0.2), position_m: ({x}, {y}, 0), velocity_m_s: (0, {speed}, 0)),"#
        )
    };
    assert!(sees(&ball("Dynamic", 3.0, 0.0, 1.0)));
    assert!(sees(&ball("Kinematic", 3.0, 0.0, 1.0)));
    assert!(!sees(&ball("Fixed", 3.0, 0.0, 0.0)), "a thing that stands still");
    assert!(!sees(&ball("Dynamic", 3.0, 0.0, 0.05)), "a thing that creeps");
    assert!(!sees(&ball("Dynamic", 7.5, 0.0, 1.0)), "a thing out of range");
    assert!(!sees(&ball("Dynamic", -3.0, 0.0, 1.0)), "a thing behind");
    // The rim of a 110° cone lies at 55°.
    assert!(sees(&ball("Dynamic", 2.0, 2.5, 1.0)));
    assert!(!sees(&ball("Dynamic", 2.0, 4.0, 1.0)));
    let wall = |y: f64| {
        format!(r#"(id: "wall", kind: Fixed, shape: Box(size_m: (0.1, 2, 2)), position_m: (1.5, {y}, 0)),"#)
    };
    assert!(!sees(&(ball("Dynamic", 3.0, 0.0, 1.0) + &wall(0.0))), "a thing behind a wall");
    assert!(sees(&(ball("Dynamic", 3.0, 0.0, 1.0) + &wall(1.5))), "a thing beside a wall");
}

#[test]
fn a_presence_sensor_holds_and_then_is_blind() {
    let view = ViewDef {
        hold: Span(100_000_000),
        lock_out: Span(200_000_000),
        ..ViewDef::of_quantity("presence").unwrap()
    };
    // It moves from 50 ms to 100 ms, and again from 250 ms to 450 ms.
    let mut s = around_post(
        r#"(id: "flag", kind: Kinematic, shape: Box(size_m: (0.2, 0.2, 0.2)), position_m: (2, 0, 0), moves: [
            (at: "50ms", velocity_m_s: (0, 1, 0)), (at: "100ms"), (at: "250ms", velocity_m_s: (0, 1, 0)), (at: "450ms"),
        ])"#,
    );
    let mut pir = Presence::new(Mount::centre(0), view);
    let mut edges = Vec::new();
    let mut was = false;
    for _ in 0..800 {
        let high = pir.is_high(&s);
        if high != was {
            edges.push(s.now().0 / 1_000_000);
        }
        was = high;
        s.advance();
    }
    // High with the first motion; low 100 ms after the last; then blind until 400 ms, when the second still goes on.
    assert_eq!(edges.len(), 4, "edges at {edges:?} ms");
    for (edge, expected) in edges.iter().zip([51, 200, 400, 550]) {
        assert!((edge - expected).abs() <= 1, "edges at {edges:?} ms");
    }
}

/// A platform with a load cell, and bodies that fall on it.
fn scale(bodies: &str) -> Scene {
    scene(&format!(
        r#"(bodies: [(id: "platform", kind: Fixed, shape: Box(size_m: (2, 2, 0.1)), position_m: (0, 0, -0.05)), {bodies}])"#
    ))
}

#[test]
fn a_load_cell_reads_the_weight_of_what_rests_on_it() {
    let mut s = scale(
        r#"(id: "a", kind: Dynamic, shape: Box(size_m: (0.3, 0.2, 0.2)), position_m: (0, 0, 0.1), mass_kg: 1.2),
           (id: "b", kind: Dynamic, shape: Box(size_m: (0.2, 0.2, 0.2)), position_m: (0, 0, 0.3), mass_kg: 0.5),
           (id: "c", kind: Dynamic, shape: Cylinder(radius_m: 0.1, length_m: 0.2), position_m: (0.5, 0, 0.1), mass_kg: 3),
           (id: "far", kind: Dynamic, shape: Sphere(radius_m: 0.1), position_m: (5, 0, 0.1), mass_kg: 3),"#,
    );
    let mut cell = LoadCell::new(Mount::centre(0));
    (0..1000).for_each(|_| s.advance());
    for _ in 0..10 {
        s.advance();
        cell.feel(&s);
    }
    let load = cell.read_n();
    assert!((load - 4.7 * G).abs() < 0.005 * 4.7 * G, "reads {load} N of {} N", 4.7 * G);
}

#[test]
fn the_impulse_of_an_impact_is_the_change_of_momentum() {
    // ∫F dt over the flight, the bounces and the tumbling = m·(v_end − v_start) + m·g·t.
    for body in [
        "shape: Sphere(radius_m: 0.1), restitution: 0.7",
        "shape: Box(size_m: (0.3, 0.2, 0.1)), rotation_deg: (20, 30, 0), friction: 0.8",
    ] {
        let mut s = scale(&format!(
            r#"(id: "body", kind: Dynamic, mass_kg: 2, position_m: (0, 0, 0.8), velocity_m_s: (0.2, 0, 0), {body})"#
        ));
        let mut cell = LoadCell::new(Mount::centre(0));
        let mut impulse_n_s = 0.0;
        for k in 1..=1500 {
            s.advance();
            cell.feel(&s);
            impulse_n_s += cell.read_n() * 1e-3;
            let momentum = 2.0 * (s.state(1).velocity_m_s[2] + G * 1e-3 * f64::from(k));
            assert!(
                (impulse_n_s - momentum).abs() < 0.02 + 0.005 * momentum.abs(),
                "{body}, {k} ms: {impulse_n_s} N s taken up, {momentum} N s handed over"
            );
        }
        assert!(impulse_n_s > 20.0);
    }
}

fn any_body() -> impl Strategy<Value = String> {
    let size = || prop_oneof![Just(0.001), Just(1000.0), 0.01f64..2.0];
    let shape = (0..4, size(), size(), size()).prop_map(|(k, a, b, c)| match k {
        0 => format!("Box(size_m: ({a}, {b}, {c}))"),
        1 => format!("Sphere(radius_m: {a})"),
        2 => format!("Cylinder(radius_m: {a}, length_m: {b})"),
        _ => format!("Capsule(radius_m: {a}, length_m: {b})"),
    });
    let mass = prop_oneof![Just(1e-3), Just(1e6), 0.1f64..10.0];
    let kind = prop_oneof![
        Just("Fixed".to_owned()),
        (-400f64..400.0).prop_map(|v| format!("Kinematic, velocity_m_s: ({v}, 0, 0)")),
        (mass, -400f64..400.0, -36000f64..36000.0).prop_map(|(m, v, w)| format!(
            "Dynamic, mass_kg: {m}, velocity_m_s: (0, {v}, 0), rate_deg_s: ({w}, 0, {w})"
        )),
    ];
    let place = prop_oneof![Just(0.0), Just(1000.0), -2f64..2.0];
    (shape, kind, place, 0f64..10.0, 0f64..1.0).prop_map(|(shape, kind, x, friction, restitution)| {
        format!(
            "kind: {kind}, shape: {shape}, position_m: ({x}, 0, 0.1), friction: {friction}, restitution: {restitution}"
        )
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_scene_that_was_taken_panics_or_gives_nonsense(bodies in proptest::collection::vec(any_body(), 1..6)) {
        let bodies: String = bodies.iter().enumerate().map(|(i, b)| format!(r#"(id: "b{i}", {b}),"#)).collect();
        let mut s = scene(&format!("(bodies: [{bodies}])"));
        let last = s.len() - 1;
        let mut imu = Inertial::new(Mount::centre(last), &s);
        let range = Range::new(Mount::centre(last), sonar());
        let mut pir = Presence::new(Mount::centre(last), ViewDef::of_quantity("presence").unwrap());
        let mut cell = LoadCell::new(Mount::centre(0));
        for _ in 0..50 {
            pir.is_high(&s);
            prop_assert!(range.distance_m(&s) >= 0.0);
            s.advance();
            cell.feel(&s);
            prop_assert!(force(&imu.feel(&s)).iter().all(|f| f.is_finite()));
            prop_assert!(cell.read_n().is_finite());
        }
    }
}
