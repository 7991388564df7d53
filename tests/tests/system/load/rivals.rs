//! Two loads with the same client ids on one broker: each takes the other's connections, and neither measures anything.

use super::*;

#[test]
fn a_load_beside_another_of_the_same_ids_is_no_measurement() {
    let test = "a_load_beside_another_of_the_same_ids_is_no_measurement";
    let Some(mosquitto) = Mosquitto::start(test) else { return };
    let dir = scratch();
    let load = r#"
        protocol: PROTOCOL,
        devices: [(id: "d-{}", count: 10, topic: "t/{device}", qos: 1, schedule: Constant("20ms"))],
        subscribers: [(id: "s", filter: "t/#", qos: 1)],
        stages: [Hold(for: "6s")], drain: "1s""#;
    let url = format!("mqtt://{}", mosquitto.addr);
    for protocol in ["V311", "V5"] {
        let file = scenario(dir.path(), "same.ron", &load.replace("PROTOCOL", protocol));
        let begun = |_| {
            let mut command = twinfleet_command();
            command.args(["--json", "load", &file, "--broker", &url, "--set", PATIENT, "--quiet"]);
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the command starts")
        };
        // Both are there before either is waited for.
        for child in [0, 1].map(begun) {
            let output = child.wait_with_output().expect("it ends");
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            // One that never had all of its connections at a time says so instead.
            if output.status.code() == Some(3) {
                assert!(said.contains("the same client ids"), "{protocol}: {said}");
                continue;
            }
            let result: Value = serde_json::from_slice(&output.stdout).expect("JSON");
            assert_eq!(output.status.code(), Some(4), "{protocol}: {result}\n{said}");
            let accusations = result["accusations"].as_array().expect("accusations");
            assert!(accusations.iter().any(|a| a["of"] == "client_ids"), "{protocol}: {result}");
            assert!(said.contains("somebody else runs this load"), "{protocol}: {said}");
        }
    }
    // One after the other, what the first left is no rival.
    let file = scenario(dir.path(), "same.ron", &load.replace("PROTOCOL", "V311"));
    let alone = command(&["load", &file, "--broker", &url, "--set", PATIENT, "--quiet"]);
    assert_eq!(alone.code(), 0, "{}\n{}", alone.stdout(), alone.stderr());
}
