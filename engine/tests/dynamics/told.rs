//! What was fitted where an input was measured goes with a recording in which it is not, and the other way round.

use twinfleet_engine::dynamics::{DynamicsDef, params::Params};

const BOX: &str = r#"(
    parameters: {"c": (value: 100.0, prior: Log(0.4)), "g": (value: 1.0, prior: Log(0.4))},
    inputs: [(signal: "room.temperature", unit: "degC", range: (-30.0, 60.0), unless_said: Some(Learnt(22.0, 4.0)))],
    boundaries: [(name: "room", at: Input("room.temperature"))],
    storages: [(name: "box", capacity: "c")],
    conductances: [(between: ("box", "room"), value: "g")],
    outputs: [(signal: "probe.temperature", node: "box", noise_std: 0.1)],
)"#;

#[test]
fn parameters_of_a_box_go_with_and_without_a_sensor_of_its_room() {
    let measured = DynamicsDef::from_ron(BOX).unwrap();
    let learnt = measured.told_only(|_| false);
    let with_room = r#"(format: 1, thing: "box", parameters: {"c": (value: 120.0, sd: 0.1, identified: true)},
        inputs: {"room.temperature": (mean: 17.5, std: 1.0, correlation_s: 60.0)})"#;
    let without = r#"(format: 1, thing: "box", parameters: {"c": (value: 120.0, sd: 0.1, identified: true),
        "room_temperature": (value: 17.5, sd: 0.2, identified: true)})"#;
    for text in [with_room, without] {
        let params = Params::from_ron(text).unwrap();
        let (as_measured, as_learnt) =
            (params.applied_to(&measured).unwrap(), params.applied_to(&learnt).unwrap());
        assert_eq!(as_measured.parameters["c"].value, 120.0);
        assert_eq!(as_learnt.parameters["c"].value, 120.0);
        assert_eq!(as_learnt.parameters["room_temperature"].value, 17.5);
    }
    let wrong = without.replace("room_temperature", "roof_temperature");
    assert!(Params::from_ron(&wrong).unwrap().applied_to(&measured).is_err());
}
