//! Pendulums, shaking motors and rovers against closed forms.

use super::*;
use std::f64::consts::{PI, TAU};

/// A bob of 1 kg on a rod of 1 m, let go at `angle_deg` towards +x; the hinge is at (0, 0, 1).
fn pendulum(angle_deg: f64, substep: &str) -> Scene {
    let (sin, cos) = angle_deg.to_radians().sin_cos();
    let (x, z) = (sin, 1.0 - cos);
    scene(&format!(
        r#"(substep: "{substep}", bodies: [
            (id: "hook", kind: Fixed, shape: Sphere(radius_m: 0.02), position_m: (0, 0, 1)),
            (id: "bob", kind: Dynamic, shape: Sphere(radius_m: 0.03), position_m: ({x}, 0, {z}),
                rotation_deg: (0, {}, 0), mass_kg: 1),
        ], joints: [(id: "pivot", between: ("hook", "bob"), at_m: (0, 0, 1), axis: (0, -1, 0))])"#,
        -angle_deg
    ))
}

/// The bob turns with its rod, which makes it a physical pendulum: its inertia about the hinge is that of a point and a
/// ball's 2/5·r² more.
const INERTIA: f64 = 1.0 + 0.4 * 0.03 * 0.03;

/// Complete elliptic integral of the first kind, by the arithmetic-geometric mean.
fn elliptic_k(k: f64) -> f64 {
    let (mut a, mut b) = (1.0, (1.0 - k * k).sqrt());
    for _ in 0..20 {
        (a, b) = (0.5 * (a + b), (a * b).sqrt());
    }
    PI / (2.0 * a)
}

/// Mean period from the upward zero crossings of the hinge's angle, which starts at 0 where the bob is let go.
fn period_s(s: &mut Scene, start_rad: f64, seconds: f64) -> f64 {
    let h = s.substep().as_secs_f64();
    let mut crossings = Vec::new();
    let mut last = start_rad;
    let n = (seconds / h) as usize;
    for k in 0..n {
        s.advance();
        let angle = start_rad + s.joint_angle_rad(0);
        if last < 0.0 && angle >= 0.0 {
            crossings.push((k as f64 + last / (last - angle)) * h);
        }
        last = angle;
    }
    (crossings[crossings.len() - 1] - crossings[0]) / (crossings.len() - 1) as f64
}

#[test]
fn a_pendulum_swings_with_the_period_of_the_closed_form() {
    for angle_deg in [2.0f64, 20.0, 45.0, 90.0] {
        let angle = angle_deg.to_radians();
        let small = TAU * (INERTIA / G).sqrt();
        let exact = small * elliptic_k((0.5 * angle).sin()) / (0.5 * PI);
        let measured = period_s(&mut pendulum(angle_deg, "1ms"), angle, 10.0);
        let off = measured / exact - 1.0;
        println!("{angle_deg}°: {measured} s, exact {exact} s, small-angle {small} s, off by {off:e}");
        // Of the widest swing, what its energy loses over ten seconds shows in the period.
        let bound = if angle_deg < 60.0 { 1e-4 } else { 2e-3 };
        assert!(off.abs() < bound, "{angle_deg}°: {measured} s, exact {exact} s");
    }
}

#[test]
fn a_pendulum_keeps_its_energy() {
    for substep in ["2ms", "1ms", "500us"] {
        let mut s = pendulum(45.0, substep);
        let (start, h) = (s.energy_j(), s.substep().as_secs_f64());
        let mut worst = 0f64;
        for k in 0..(20.0 / h) as usize {
            s.advance();
            let off = (s.energy_j() - start) / start;
            worst = if off.abs() > worst.abs() { off } else { worst };
            let state = s.state(1);
            let arm = (Vector3::from(state.position_m) - Vector3::new(0.0, 0.0, 1.0)).norm();
            assert!((arm - 1.0).abs() < 1e-3, "the rod is {arm} m long in sub-step {k}");
        }
        println!(
            "{substep}: energy off by {worst:e} at most, at the end {:e}",
            (s.energy_j() - start) / start
        );
        // In proportion to the sub-step: 0.04 % a second at 1 ms.
        assert!(worst.abs() < 0.4 * h * 20.0, "{substep}: energy off by {worst:e} of {start} J");
    }
}

#[test]
fn an_imu_on_the_bob_feels_the_rods_tension() {
    let angle = 45f64.to_radians();
    let mut s = pendulum(45.0, "1ms");
    let mut imu = Inertial::new(Mount::centre(1), &s);
    let mut worst = (0f64, 0f64, 0f64);
    for k in 0..4000 {
        let before = s.joint_angle_rad(0);
        s.advance();
        let felt = imu.feel(&s);
        if k < 2 {
            continue;
        }
        let now = angle + 0.5 * (before + s.joint_angle_rad(0));
        // ω² = 2g(cos θ − cos θ₀)/I; along the rod g·cos θ + ω², across it g·sin θ less what the hinge gives way.
        let rate_squared = 2.0 * G * (now.cos() - angle.cos()) / INERTIA;
        let along = G * now.cos() + rate_squared;
        let across = G * now.sin() * (1.0 - 1.0 / INERTIA);
        worst.0 = worst.0.max((felt.specific_force_m_s2[2] - along).abs());
        worst.1 = worst.1.max((felt.specific_force_m_s2[0] - across).abs());
        worst.2 = worst.2.max((felt.rate_rad_s[1].powi(2) - rate_squared).abs());
    }
    println!("off by {} m/s² along, {} m/s² across, {} rad²/s²", worst.0, worst.1, worst.2);
    assert!(worst.0 < 0.02 && worst.1 < 0.01 && worst.2 < 0.02, "{worst:?}");
}

/// Amplitude of a tone in samples that lie `h` apart, by the discrete Fourier sum.
fn tone(samples: &[f64], h: f64, hz: f64) -> f64 {
    let (mut re, mut im) = (0.0, 0.0);
    for (k, x) in samples.iter().enumerate() {
        let (sin, cos) = (TAU * hz * (k as f64 + 0.5) * h).sin_cos();
        re += x * cos;
        im += x * sin;
    }
    2.0 * (re * re + im * im).sqrt() / samples.len() as f64
}

/// What an IMU on the housing of a motor feels over one second after two, along z.
fn shaken(body: &str, gravity: f64, rpm: f64) -> Vec<f64> {
    shaken_by(body, gravity, &format!("speeds: [(rpm: {rpm})]"), |_| ())
}

fn shaken_by(body: &str, gravity: f64, drive: &str, act: fn(&mut Scene)) -> Vec<f64> {
    let mut s = scene(&format!(
        r#"(gravity_m_s2: {gravity}, bodies: [
            (id: "housing", kind: Dynamic, shape: Cylinder(radius_m: 0.04, length_m: 0.1), mass_kg: 2, {body}),
        ], rotors: [(id: "motor", body: "housing", axis: (0, 1, 0), unbalance_g_mm: 400,
            drive: (tau: "100ms", {drive}))])"#
    ));
    act(&mut s);
    let felt = ride(&mut s, Mount::new(0, (0.02, 0.0, 0.0), (0.0, 0.0, 0.0)), 3.0);
    felt[2000..].iter().map(|f| f.specific_force_m_s2[2]).collect()
}

#[test]
fn a_rotor_that_follows_an_actuator_turns_as_its_level_says() {
    // A shaft of 6000 rpm at a quarter of its level shakes as one of 1500 rpm does, to the last bit.
    let follows = r#"follows: (actuator: "fan/motor", rpm: 6000)"#;
    let quarter = shaken_by("", 0.0, follows, |s| {
        assert_eq!(
            s.followed().map(|(n, f)| (n, f.device_part())).collect::<Vec<_>>(),
            [(0, ("fan", "motor"))]
        );
        s.set_level(0, 0.25);
    });
    assert_eq!(quarter, shaken("", 0.0, 1500.0));
    let still = shaken_by("", 0.0, follows, |_| ());
    assert!(still.iter().all(|f| f.abs() < 1e-9), "at level 0 it stands");
}

#[test]
fn on_a_motors_housing_the_spectrum_peaks_at_the_shafts_speed() {
    // On its rubber mounts: 2 kg on 3·10⁴ N/m resonate at 19.5 Hz.
    let (k, c, mass) = (3e4, 40.0, 2.0);
    let mount = format!("suspension: (stiffness_n_m: {k}, damping_n_s_m: {c})");
    for (body, gravity, free) in [("", 0.0, true), (mount.as_str(), G, false)] {
        for rpm in [600.0, 1500.0, 3000.0, 7200.0] {
            let felt = shaken(body, gravity, rpm);
            let mean = felt.iter().sum::<f64>() / felt.len() as f64;
            assert!((mean - gravity).abs() < 0.01, "a mean of {mean} m/s² at {rpm} rpm");
            let alternating: Vec<f64> = felt.iter().map(|f| f - mean).collect();
            let spectrum: Vec<f64> = (1..500).map(|hz| tone(&alternating, 1e-3, f64::from(hz))).collect();
            let peak = (0..spectrum.len()).max_by(|a, b| spectrum[*a].total_cmp(&spectrum[*b])).unwrap() + 1;
            let w = rpm / 60.0 * TAU;
            let force = 400e-6 * w * w;
            let amplitude = if free {
                force / mass
            } else {
                force * w * w / ((k - mass * w * w).powi(2) + (c * w).powi(2)).sqrt()
            };
            let half = 0.5 * w * 1e-3;
            let expected = amplitude * half.sin() / half;
            let off = spectrum[peak - 1] / expected - 1.0;
            println!(
                "{rpm} rpm: peak at {peak} Hz of {} m/s², expected {expected}, off {off:e}",
                spectrum[peak - 1]
            );
            assert_eq!(peak as f64, rpm / 60.0);
            // A step of h follows the mount's oscillation to (ω·h)²/12, which its resonance magnifies.
            let bound = if free { 1e-5 } else { 1e-2 };
            assert!(off.abs() < bound, "{rpm} rpm: {} m/s², expected {expected}", spectrum[peak - 1]);
        }
    }
}

#[test]
fn a_mount_without_damping_keeps_its_energy() {
    let mut s = scene(
        r#"(bodies: [(id: "block", kind: Dynamic, shape: Box(size_m: (0.1, 0.1, 0.1)), position_m: (0, 0, 0.5), mass_kg: 2,
            velocity_m_s: (0.1, 0, 0.3), suspension: (stiffness_n_m: 2000))])"#,
    );
    let start = s.energy_j();
    for k in 0..20_000 {
        s.advance();
        let off = (s.energy_j() / start - 1.0).abs();
        // The energy of a symplectic step swings by ω·h/2 = 1.6 % and does not drift.
        assert!(off < 0.02, "off by {off} after {k} sub-steps");
    }
}

/// A rover of 1 kg on wheels of 5 cm that stand 20 cm apart, with a frictionless ball behind; speeds as `(at, rpm)`.
fn rover(left: &str, right: &str, friction: f64) -> Scene {
    let wheel = |id: &str, y: f64| {
        format!(
            r#"(id: "{id}", kind: Dynamic, shape: Cylinder(radius_m: 0.05, length_m: 0.01), position_m: (0, {y}, 0.05),
                rotation_deg: (90, 0, 0), mass_kg: 0.1, friction: {friction}),"#
        )
    };
    let axle = |id: &str, y: f64, speeds: &str| {
        format!(
            r#"(id: "{id}-axle", between: ("chassis", "{id}"), at_m: (0, {y}, 0.05), axis: (0, 1, 0), torque_n_m: 0.5,
                drive: (tau: "100ms", speeds: [{speeds}])),"#
        )
    };
    scene(&format!(
        r#"(bodies: [
            (id: "floor", kind: Fixed, shape: Box(size_m: (20, 20, 0.2)), position_m: (0, 0, -0.1), friction: {friction}),
            (id: "chassis", kind: Dynamic, shape: Box(size_m: (0.24, 0.16, 0.04)), position_m: (-0.04, 0, 0.06), mass_kg: 0.8),
            {}{}
            (id: "ball", kind: Dynamic, shape: Sphere(radius_m: 0.02), position_m: (-0.12, 0, 0.02), mass_kg: 0.02, friction: 0),
        ], joints: [{}{}
            (id: "caster", between: ("chassis", "ball"), at_m: (-0.12, 0, 0.02), axis: (0, 1, 0)),
        ], odometers: [(id: "odometer", body: "chassis", wheels: ("left-axle", "right-axle"), radius_m: 0.05, track_m: 0.2,
            counts_per_turn: 1440)])"#,
        wheel("left", 0.1),
        wheel("right", -0.1),
        axle("left", 0.1, left),
        axle("right", -0.1, right),
    ))
}

/// Where a drive ended: reckoned x, y, heading; true x, y of the point between the wheels and heading; the IMU's heading.
struct Drive {
    reckoned: [f64; 3],
    truth: [f64; 3],
    imu_rad: f64,
}

fn drive(s: &mut Scene, seconds: f64) -> Drive {
    let chassis = s.find("chassis").unwrap();
    let felt = ride(s, Mount::centre(chassis), seconds);
    let imu_rad = felt.iter().map(|f| f.rate_rad_s[2] * s.substep().as_secs_f64()).sum();
    let values: Vec<f64> = s.assembly_values().last().unwrap();
    let between = s.state(chassis).world_from_body() * nalgebra::Point3::new(0.04, 0.0, 0.0);
    Drive { reckoned: [values[0], values[1], values[2]], truth: [between.x, between.y, values[3]], imu_rad }
}

#[test]
fn a_rovers_odometer_and_imu_agree_with_the_truth_on_a_circle_and_a_square() {
    // A circle of 0.5 m: v = 0.25 m/s at the middle, 0.3 and 0.2 m/s at the wheels.
    let rpm = |m_s: f64| m_s / 0.05 * 60.0 / TAU;
    let circle = (format!("(rpm: {})", rpm(0.2)), format!("(rpm: {})", rpm(0.3)), 12.0);
    // A square: four times 1 m ahead and a quarter turn in place.
    let (mut left, mut right) = (String::new(), String::new());
    let quarter_s = 0.1 * 0.5 * PI / 0.1;
    for side in 0..4 {
        let start = f64::from(side) * (4.0 + quarter_s);
        for (at, l, r) in [(start, 0.25, 0.25), (start + 4.0, -0.1, 0.1)] {
            let at_us = (at * 1e6).round();
            left += &format!(r#"(at: "{at_us}us", rpm: {}),"#, rpm(l));
            right += &format!(r#"(at: "{at_us}us", rpm: {}),"#, rpm(r));
        }
    }
    let seconds = 4.0 * (4.0 + quarter_s);
    for (name, (left, right, seconds)) in [("circle", circle), ("square", (left, right, seconds))] {
        let d = drive(&mut rover(&left, &right, 0.8), seconds);
        let apart = (d.reckoned[0] - d.truth[0]).hypot(d.reckoned[1] - d.truth[1]);
        println!("{name}: reckoned {:?}, true {:?}, imu {}; {apart} m apart", d.reckoned, d.truth, d.imu_rad);
        assert!(d.truth[2].abs() > 5.0, "{name}: it did not turn");
        assert!((d.imu_rad - d.truth[2]).abs() < 5e-3, "{name}: IMU {} rad, true {}", d.imu_rad, d.truth[2]);
        assert!((d.reckoned[2] - d.truth[2]).abs() < 0.02, "{name}: {:?} against {:?}", d.reckoned, d.truth);
        assert!(apart < 0.015, "{name}: {apart} m apart");
    }
}

#[test]
fn wheels_that_slip_part_the_odometer_from_the_imu() {
    // It turns in place on ice: the wheels turn, it does hardly.
    let d = drive(&mut rover("(rpm: -60)", "(rpm: 60)", 0.01), 1.0);
    println!("reckoned {:?}, true {:?}, imu {}", d.reckoned, d.truth, d.imu_rad);
    assert!(d.reckoned[2] > 2.0, "the wheels did not turn: {}", d.reckoned[2]);
    assert!((d.imu_rad - d.truth[2]).abs() < 5e-3, "the IMU feels the body, not the wheels");
    assert!(
        d.reckoned[2] - d.imu_rad > 0.3 * d.reckoned[2],
        "reckoned {}, felt {}",
        d.reckoned[2],
        d.imu_rad
    );
}

#[test]
fn joints_rotors_and_odometers_are_in_the_hash_and_the_same_at_any_thread_count() {
    let hash = |rpm: f64, threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let mut s = rover(&format!("(rpm: {rpm})"), "(rpm: 30)", 0.8);
            (0..500).for_each(|_| s.advance());
            let bodies: Vec<_> = (0..s.len()).map(|b| s.state_bytes(b)).collect();
            let rest: Vec<_> = s.assembly_bytes().map(|(id, bytes)| (id.to_owned(), bytes)).collect();
            (bodies, rest)
        })
    };
    let once = hash(30.0, 1);
    assert_eq!(once.1.len(), 4);
    for threads in [1, 2, 4] {
        assert_eq!(once, hash(30.0, threads), "{threads} threads");
    }
    assert_ne!(once, hash(30.001, 1));
}
