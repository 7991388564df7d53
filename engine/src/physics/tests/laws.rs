//! Motion against closed forms.

use super::*;

/// A floor whose top is at height 0, and one body of 1.2 kg on or above it.
fn over_floor(body: &str, material: &str) -> Scene {
    scene(&format!(
        r#"(bodies: [
            (id: "floor", kind: Fixed, shape: Box(size_m: (4, 4, 0.2)), position_m: (0, 0, -0.1), {material}),
            (id: "body", kind: Dynamic, mass_kg: 1.2, {material}, {body}),
        ])"#
    ))
}

#[test]
fn at_rest_a_part_reads_one_g_upwards_in_any_orientation() {
    let lying = [
        ("shape: Box(size_m: (0.3, 0.2, 0.1)), position_m: (0, 0, 0.05)", Vector3::new(0.0, 0.0, G)),
        (
            "shape: Box(size_m: (0.3, 0.2, 0.1)), position_m: (0, 0, 0.15), rotation_deg: (0, -90, 0)",
            Vector3::new(G, 0.0, 0.0),
        ),
        (
            "shape: Box(size_m: (0.3, 0.2, 0.1)), position_m: (0, 0, 0.1), rotation_deg: (-90, 0, 0)",
            Vector3::new(0.0, -G, 0.0),
        ),
        ("shape: Cylinder(radius_m: 0.1, length_m: 0.2), position_m: (0, 0, 0.1)", Vector3::new(0.0, 0.0, G)),
    ];
    for (body, expected) in lying {
        let mut s = over_floor(body, "friction: 0.5");
        // Far longer than rapier's two seconds until sleep: a sleeping body would read the same only by luck.
        let felt = ride(&mut s, Mount::new(1, (0.05, 0.03, 0.02), (0.0, 0.0, 0.0)), 4.0);
        let off = worst(&felt[1000..], expected);
        assert!(off < 0.01, "{body}: off by {off} m/s²");
    }
}

#[test]
fn a_turned_part_reads_the_same_force_in_its_own_axes() {
    let mut s = over_floor("shape: Box(size_m: (0.3, 0.2, 0.1)), position_m: (0, 0, 0.05)", "friction: 0.5");
    let felt = ride(&mut s, Mount::new(1, (0.0, 0.0, 0.0), (0.0, 30.0, 0.0)), 2.0);
    // Turned about y by +30° the part's x dips, so that upwards lies towards its −x and +z.
    let (sin, cos) = 30f64.to_radians().sin_cos();
    assert!(worst(&felt[1000..], Vector3::new(-G * sin, 0.0, G * cos)) < 0.01);
}

#[test]
fn in_free_fall_a_part_reads_nothing() {
    let mut s = over_floor(
        "shape: Sphere(radius_m: 0.1), position_m: (0, 0, 20), velocity_m_s: (3, 0, 0)",
        "friction: 0.5",
    );
    let felt = ride(&mut s, Mount::new(1, (0.05, 0.0, 0.0), (10.0, 20.0, 30.0)), 1.5);
    let off = worst(&felt, Vector3::zeros());
    assert!(off < 5e-3, "off by {off} m/s²");
}

#[test]
fn a_sliding_body_meets_the_closed_form_with_friction() {
    let (theta_deg, seconds) = (30f64, 0.8);
    let (sin, cos) = theta_deg.to_radians().sin_cos();
    for mu in [0.0, 0.1, 0.25, 0.4] {
        // Turned about y by +θ the slope falls towards +x; the crate's centre stands 0.15 m above its middle.
        let (up_x, up_z) = (0.15 * sin - cos, 0.15 * cos + sin);
        let mut s = scene(&format!(
            r#"(bodies: [
                (id: "chute", kind: Fixed, shape: Box(size_m: (6, 2, 0.1)), rotation_deg: (0, 30, 0), friction: {mu}),
                (id: "crate", kind: Dynamic, shape: Box(size_m: (0.3, 0.2, 0.2)), position_m: ({up_x}, 0, {up_z}),
                    rotation_deg: (0, 30, 0), mass_kg: 1.2, friction: {mu}),
            ])"#
        ));
        let felt = ride(&mut s, Mount::new(1, (0.1, 0.0, 0.05), (0.0, 0.0, 0.0)), seconds);
        let a = Vector3::from(s.state(1).velocity_m_s).norm() / seconds;
        let expected = G * (sin - mu * cos);
        assert!((a - expected).abs() < 2e-3, "μ = {mu}: a = {a}, expected {expected}");
        let off = worst(&felt[200..], Vector3::new(-mu * G * cos, 0.0, G * cos));
        assert!(off < 0.02, "μ = {mu}: specific force off by {off} m/s²");
    }
}

#[test]
fn friction_of_two_materials_is_their_geometric_mean() {
    let speed_after = |floor: f64, body: f64| {
        let mut s = scene(&format!(
            r#"(bodies: [
                (id: "floor", kind: Fixed, shape: Box(size_m: (9, 9, 0.2)), position_m: (0, 0, -0.1), friction: {floor}),
                (id: "puck", kind: Dynamic, shape: Box(size_m: (0.3, 0.3, 0.05)), position_m: (0, 0, 0.025),
                    velocity_m_s: (3, 0, 0), mass_kg: 1, friction: {body}),
            ])"#
        ));
        (0..500).for_each(|_| s.advance());
        s.state(1).velocity_m_s[0]
    };
    assert!((speed_after(0.1, 0.9) - (3.0 - 0.3 * G * 0.5)).abs() < 0.01);
    assert!((speed_after(0.0, 0.9) - 3.0).abs() < 1e-3);
}

#[test]
fn a_turning_part_reads_the_centripetal_force_of_its_arm() {
    // 720 °/s about z, in free fall: f = −ω²r towards the axis, and the gyroscope reads ω.
    let omega = 720f64.to_radians();
    let (r, gravity) = (0.08, [0.0, G]);
    for gravity in gravity {
        let mut s = scene(&format!(
            r#"(gravity_m_s2: {gravity}, bodies: [(id: "top", kind: Dynamic, shape: Cylinder(radius_m: 0.1, length_m: 0.1),
                rate_deg_s: (0, 0, 720), mass_kg: 1)])"#
        ));
        let felt = ride(&mut s, Mount::new(0, (r, 0.0, 0.0), (0.0, 0.0, 0.0)), 0.5);
        let off = worst(&felt, Vector3::new(-omega * omega * r, 0.0, 0.0));
        assert!(off < 0.02, "off by {off} of {} m/s²", omega * omega * r);
        for f in &felt {
            assert!((f.rate_rad_s[2] - omega).abs() < 1e-3 * omega);
        }
    }
}

#[test]
fn a_driven_body_keeps_to_its_moves() {
    let mut s = scene(
        r#"(bodies: [(id: "gate", kind: Kinematic, shape: Box(size_m: (0.1, 1, 0.5)),
            moves: [(at: "100ms", velocity_m_s: (0, 0, 2)), (at: "200ms", rate_deg_s: (0, 0, 90)), (at: "1200ms")])])"#,
    );
    let felt = ride(&mut s, Mount::centre(0), 2.0);
    let [x, y, z] = s.state(0).position_m;
    assert!(x.abs() < 1e-6 && y.abs() < 1e-6 && (z - 0.2).abs() < 1e-3, "ended at {x}, {y}, {z}");
    let q = s.state(0).rotation;
    let turned_deg = 2.0 * q[2].atan2(q[3]).to_degrees();
    assert!((turned_deg - 90.0).abs() < 0.1, "turned by {turned_deg}°");
    // Started at 100 ms: the velocity changes by 2 m/s in one sub-step.
    assert!((felt[100].specific_force_m_s2[2] - (G + 2000.0)).abs() < 1.0);
}

#[test]
fn an_impact_hands_over_the_same_impulse_at_any_sub_step() {
    let v = (2.0 * G * 0.5f64).sqrt();
    for e in [0.0, 0.6] {
        for substep in ["2ms", "1ms", "500us"] {
            let mut s = scene(&format!(
                r#"(substep: "{substep}", bodies: [
                    (id: "floor", kind: Fixed, shape: Box(size_m: (4, 4, 0.2)), position_m: (0, 0, -0.1), restitution: {e}),
                    (id: "ball", kind: Dynamic, shape: Sphere(radius_m: 0.1), position_m: (0, 0, 0.6), mass_kg: 1, restitution: {e}),
                ])"#
            ));
            let felt = ride(&mut s, Mount::centre(1), 0.4);
            let h = s.substep().as_secs_f64();
            // Longer than the impact by so much that gravity's part must be taken off: it counts while in contact only.
            let impulse: f64 =
                felt.iter().map(|f| f.specific_force_m_s2[2]).filter(|f| *f > 2.0 * G).sum::<f64>() * h;
            assert!(
                (impulse - (1.0 + e) * v).abs() < 0.02 * v,
                "e = {e}, h = {h}: {impulse}, approach at {v}"
            );
        }
    }
}

#[test]
fn a_box_that_lands_flat_bounces_less_than_its_restitution_says_and_never_more() {
    let e = 0.8;
    for (shape, least) in [("Sphere(radius_m: 0.1)", 0.98 * e), ("Box(size_m: (0.4, 0.4, 0.2))", 0.5 * e)] {
        let mut s = scene(&format!(
            r#"(substep: "1ms", bodies: [
                (id: "floor", kind: Fixed, shape: Box(size_m: (4, 4, 0.2)), position_m: (0, 0, -0.1), restitution: {e}),
                (id: "body", kind: Dynamic, shape: {shape}, position_m: (0, 0, 1.1), mass_kg: 1, restitution: {e}),
            ])"#
        ));
        let mut fastest = 0.0_f64;
        for _ in 0..600 {
            s.advance();
            fastest = fastest.max(s.state(1).velocity_m_s[2]);
        }
        let share = fastest / (2.0 * G).sqrt();
        assert!((least..=1.02 * e).contains(&share), "{shape} leaves with {share} of its speed");
    }
}

#[test]
fn energy_never_grows() {
    let mut s = scene(
        r#"(bodies: [
            (id: "floor", kind: Fixed, shape: Box(size_m: (20, 20, 0.2)), position_m: (0, 0, -0.1), restitution: 0.8),
            (id: "brick", kind: Dynamic, shape: Box(size_m: (0.3, 0.2, 0.1)), position_m: (0, 0, 1), rotation_deg: (20, 30, 40),
                rate_deg_s: (300, 200, 100), mass_kg: 2, restitution: 0.8),
            (id: "ball", kind: Dynamic, shape: Sphere(radius_m: 0.1), position_m: (0.1, 0, 1.6), mass_kg: 0.5, restitution: 0.8),
            (id: "can", kind: Dynamic, shape: Capsule(radius_m: 0.05, length_m: 0.1), position_m: (0, 0.1, 2), mass_kg: 0.3),
        ])"#,
    );
    let start = s.energy_j();
    let mut least = start;
    for k in 0..4000 {
        s.advance();
        let now = s.energy_j();
        assert!(now < least + 2e-3 * start, "energy grew from {least} to {now} J in sub-step {k}");
        least = least.min(now);
    }
    assert!(least < 0.5 * start, "nothing was lost in the bounces");
}

#[test]
fn a_free_asymmetric_top_keeps_its_angular_momentum() {
    // About its middle axis a brick is unstable: it flips, which no solver without gyroscopic torques shows.
    let mut s = scene(
        r#"(gravity_m_s2: 0, bodies: [(id: "brick", kind: Dynamic, shape: Box(size_m: (0.3, 0.2, 0.1)),
            rate_deg_s: (3, 720, 0), mass_kg: 1.2)])"#,
    );
    let inertia = |a: f64, b: f64| 1.2 / 12.0 * (a * a + b * b);
    let inertia = Vector3::new(inertia(0.2, 0.1), inertia(0.3, 0.1), inertia(0.3, 0.2));
    let momentum = |s: &Scene| {
        let state = s.state(0);
        let r = state.world_from_body().rotation;
        r * r.inverse_transform_vector(&Vector3::from(state.rate_rad_s)).component_mul(&inertia)
    };
    let start = momentum(&s);
    let mut flipped = false;
    for _ in 0..2000 {
        s.advance();
        let y = s.state(0).world_from_body().rotation * Vector3::y();
        flipped |= y.y < -0.9;
        assert!((momentum(&s) - start).norm() < 0.02 * start.norm());
    }
    assert!(flipped, "the brick did not flip");
}

#[test]
fn half_the_sub_step_halves_the_error_of_a_fall() {
    let error_m = |substep: &str| {
        let mut s = scene(&format!(
            r#"(substep: "{substep}", bodies: [(id: "stone", kind: Dynamic, shape: Sphere(radius_m: 0.1), mass_kg: 1)])"#
        ));
        while s.now().as_secs_f64() < 0.8 - 1e-9 {
            s.advance();
        }
        (s.state(0).position_m[2] + 0.5 * G * 0.8 * 0.8).abs()
    };
    let errors = ["16ms", "8ms", "4ms"].map(error_m);
    for pair in errors.windows(2) {
        let ratio = pair[0] / pair[1];
        assert!((1.8..2.2).contains(&ratio), "errors {errors:?} m");
    }
}
