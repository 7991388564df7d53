//! Files of fitted parameters: whose they are, and whether their figures can be.

use super::{Place, check_numbers};
use crate::{
    catalog::Catalog,
    dynamics::{DynamicsDef, model::DynamicsError, params::Params},
    scenario::{
        definition::unknown,
        diagnostic::{Diagnostic, Report, with_advice},
        source::Source,
    },
};

/// Whether a text is one of parameters rather than a scenario: it says of which thing, and has no duration.
pub fn is_params(source: &Source) -> bool {
    let has = |key: &str| source.tree().get(key).is_some();
    has("thing") && has("parameters") && !has("duration")
}

/// What is wrong with a file of parameters, as `twinfleet fit --out` writes it: errors, sorted by place.
///
/// ```
/// use twinfleet_engine::{catalog::Catalog, scenario::{check, source::Source}};
/// let source = Source::embedded("p.ron", r#"(format: 1, thing: "box", parameters: {})"#);
/// assert!(check::is_params(&source));
/// let report = check::check_params(&source, &Catalog::default());
/// assert_eq!(report.items()[0].to_string(), "p.ron:1:20: error: there is no thing `box`");
/// ```
pub fn check_params(source: &Source, catalog: &Catalog) -> Report {
    let mut report = Report::default();
    let params = match source.parse::<Params>("Params") {
        Ok(params) => params,
        Err(errors) => return errors,
    };
    check_numbers(source, &mut report);
    let place = Place::new(source, "");
    match catalog.things.get(&params.thing) {
        None => {
            let error = unknown("thing", &params.thing, catalog.things.keys().map(String::as_str));
            report.push(error.at(source, place.span("thing"), ""));
        }
        Some(thing) => match &thing.dynamics {
            None => {
                let text = format!("`{}` has no dynamics that these could be parameters of", thing.name);
                report.push(place.error("thing", text).help("name the thing that was fitted"));
            }
            Some(network) => fits(&params, source, network, &mut report),
        },
    }
    report.sort();
    report
}

/// What is wrong with parameters as those of this network: names that it has not, and figures that cannot be.
pub(super) fn fits(params: &Params, source: &Source, network: &DynamicsDef, report: &mut Report) {
    if let Err(error) = params.applied_to(network) {
        let (message, help) = with_advice(&error.to_string());
        let span = match &error {
            DynamicsError::Unknown { name, .. } => source.key_span_anywhere(name),
            _ => 0..0,
        };
        let help = help
            .unwrap_or_else(|| "was the file fitted for another thing, or an older one? fit it anew".into());
        report.push(Diagnostic::error(message).at(source, span, "").help(help));
    }
    let place = Place::new(source, "");
    for (name, fitted) in &params.parameters {
        let place = place.inside(&format!("parameters[\"{name}\"]"));
        if let Some((low, high)) = network.parameters.get(name).map(|p| p.bounds)
            && !(low..=high).contains(&fitted.value)
        {
            let text = format!("`{name}` is {}, but the thing bounds it by {low} and {high}", fitted.value);
            report
                .push(place.error("value", text).help("fit it anew, or widen `bounds` in the thing's file"));
        }
        place.at_least("sd", fitted.sd, 0.0, report);
    }
    for (signal, figures) in &params.inputs {
        let place = place.inside(&format!("inputs[\"{signal}\"]"));
        place.at_least("std", figures.std, 0.0, report);
        place.at_least("correlation_s", figures.correlation_s, 0.0, report);
    }
    for (key, figures) in
        [("noise_k_per_sqrt_s", &params.noise_k_per_sqrt_s), ("noise_std", &params.noise_std)]
    {
        for (name, figure) in figures {
            place.at_least(&format!("{key}[\"{name}\"]"), *figure, 0.0, report);
        }
    }
}
