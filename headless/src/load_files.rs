//! Scenario and catalog files of the command line, and how what is wrong with them is shown.

use crate::exit::Failure;
use std::{io::IsTerminal, sync::Arc};
use twinfleet_engine::{
    mirror::follow::{self, TwinSummary},
    run::Run,
    scenario::{
        Scenario, calendar,
        diagnostic::{Diagnostic, Report, Style},
    },
};
pub use twinfleet_twins::loaded::{Loaded, catalog, checked, dangling, scenario, unrecorded};

/// How diagnostics look on standard error.
pub fn style() -> Style {
    if std::io::stderr().is_terminal() {
        let width = std::env::var("COLUMNS").ok().and_then(|c| c.parse().ok()).unwrap_or(110);
        Style::Fancy { width, color: std::env::var_os("NO_COLOR").is_none() }
    } else {
        Style::Plain
    }
}

/// Bad input, with everything that is wrong with it.
pub fn refused(report: &Report) -> Failure {
    Failure::input(report.render(style()))
}

/// Bindings on whose topics nobody published in a run that is over.
pub fn unheard(loaded: &Loaded, run: &Run) -> Report {
    let mut report = Report::default();
    for deaf in follow::unheard(run.world(), &loaded.scenario.mirror) {
        let twin = &loaded.scenario.mirror[deaf.mirror].twin;
        let text = format!(
            "the twin `{twin}` heard nothing on `{}`: nobody published there in this run",
            deaf.topic
        );
        let span = loaded.source.span_of(&format!("mirror[{}].bind[{}].topic", deaf.mirror, deaf.bind));
        let help = deaf
            .near
            .unwrap_or_else(|| "there was no message on any topic: does a device publish?".to_owned());
        report.push(Diagnostic::warning(text).at(&loaded.source, span, "").help(help));
    }
    report
}

/// Twins that heard messages in a run that is over, and took nothing of theirs from any.
pub fn unread(loaded: &Loaded, run: &Run) -> Report {
    let mut report = Report::default();
    let scores = run.world().get_resource::<TwinSummary>().map_or(&[][..], |summary| &summary.0);
    for score in scores.iter().filter(|s| s.taken == 0 && s.bad > 0) {
        let text = format!(
            "the twin `{}` heard {} messages, and found nothing in them that it follows",
            score.twin, score.bad
        );
        let at = loaded.scenario.mirror.iter().position(|m| m.twin == score.twin);
        let span = loaded.source.span_of(&format!("mirror[{}].bind", at.unwrap_or_default()));
        let help =
            "a payload calls a signal what the twin's thing calls it, or `decode` says where it stands";
        report.push(Diagnostic::warning(text).at(&loaded.source, loaded.source.head(span), "").help(help));
    }
    report
}

/// The same scenario, begun now: what its devices say is stamped as real ones would stamp it.
pub fn starting_now(loaded: &mut Loaded) {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let mut scenario = Scenario::clone(&loaded.scenario);
    scenario.start = Some(calendar::text(since.as_nanos() as i64));
    loaded.scenario = Arc::new(scenario);
}
