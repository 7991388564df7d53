//! JUnit XML, the form in which CI services read results: one test case an expectation.

use super::{Report, escape};
use std::fmt::Write;
use twinfleet_engine::expect::{Outcome, Status};

/// The report as JUnit XML.
pub(super) fn xml(report: &Report) -> String {
    let failures = report.expectations.iter().filter(|o| !o.held()).count();
    let skipped = usize::from(report.unjudged.is_some());
    let (name, n) = (escape(&report.scenario), report.expectations.len() + skipped);
    let (n, errors) = (n + usize::from(report.error.is_some()), usize::from(report.error.is_some()));
    let counts =
        format!("tests=\"{n}\" failures=\"{failures}\" errors=\"{errors}\" time=\"{:.3}\"", report.wall_s);
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    // Writing into a string cannot fail.
    let _ = writeln!(xml, "<testsuites name=\"twinfleet\" {counts}>");
    let _ = writeln!(xml, "  <testsuite name=\"{name}\" {counts} skipped=\"{skipped}\">");
    let _ = writeln!(xml, "    <properties>");
    let state = report.state_hash.clone().unwrap_or_default();
    for (key, value) in
        [("seed", report.seed.to_string()), ("replay", report.replay.clone()), ("state_hash", state)]
    {
        let _ = writeln!(xml, "      <property name=\"{key}\" value=\"{}\"/>", escape(&value));
    }
    let _ = writeln!(xml, "    </properties>");
    for outcome in &report.expectations {
        case(&mut xml, report, outcome);
    }
    if report.unjudged.is_some() {
        let (class, why) = (escape(&format!("twinfleet.{}", report.scenario)), escape(&report.headline()));
        let _ = writeln!(
            xml,
            "    <testcase classname=\"{class}\" name=\"expectations\" time=\"0\">\n      \
             <skipped message=\"{why}\"/>\n    </testcase>"
        );
    }
    if let Some(error) = &report.error {
        let (class, why) = (escape(&format!("twinfleet.{}", report.scenario)), escape(error));
        let _ = writeln!(
            xml,
            "    <testcase classname=\"{class}\" name=\"it comes to its end\" time=\"0\">\n      \
             <error message=\"{why}\"/>\n    </testcase>"
        );
    }
    let _ = writeln!(xml, "  </testsuite>\n</testsuites>");
    xml
}

fn case(xml: &mut String, report: &Report, outcome: &Outcome) {
    let class = escape(&format!("twinfleet.{}", report.scenario));
    let _ = write!(xml, "    <testcase classname=\"{class}\" name=\"{}\" time=\"0\"", escape(&outcome.name));
    let kind = match outcome.status {
        Status::Held => {
            let _ = writeln!(
                xml,
                ">\n      <system-out>{}</system-out>\n    </testcase>",
                escape(&outcome.sentence)
            );
            return;
        }
        Status::Failed => "failed",
        Status::NoData => "no_data",
    };
    let text =
        format!("{}\n{}\nseed {}\nreplay: {}", outcome.claim, outcome.sentence, report.seed, report.replay);
    let _ = writeln!(
        xml,
        ">\n      <failure type=\"{kind}\" message=\"{}\">{}</failure>\n    </testcase>",
        escape(&outcome.sentence),
        escape(&text)
    );
}
