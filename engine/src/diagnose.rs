//! What is wrong, of which part, since when and how large: verdicts as an outsider reads and judges them.
//!
//! [`doctor`] follows one stream with a judge of its sensors and an eye on the thing itself ([`world`]).
//! [`Said`] is a verdict with the device it is on, [`Label`] what was put wrong; [`score`] holds one against the other. A run
//! leaves a verdict's figures in an event of kind [`EVENT`], since the event `verdict` has room for one figure only.
//!
//! ```
//! use twinfleet_engine::{compare::Verdict, diagnose, time::SimTime};
//! let verdict = Verdict {
//!     part: "soc.temperature".to_owned(), kind: "bias", onset: SimTime(90_000_000_000), end: None,
//!     size: 3.5, posterior: 0.99, decided_at: SimTime(97_000_000_000),
//! };
//! let said = diagnose::Said::from_detail("pi-1", "soc.temperature", &diagnose::detail(&verdict)).unwrap();
//! assert_eq!((said.kind.as_str(), said.onset_s, said.size), ("bias", 90.0, 3.5));
//! ```

pub mod doctor;
mod replay;
pub mod score;
mod shift;
pub mod world;

use crate::{compare::Verdict, time::SimTime};

/// Kind of the event that carries a verdict's figures.
pub const EVENT: &str = "diagnosis";

/// A verdict, as it was last.
#[derive(Clone, Debug, PartialEq)]
pub struct Said {
    /// Device, or the recording's name.
    pub subject: String,
    /// `part.quantity`; empty: the device as a whole.
    pub part: String,
    /// Kind.
    pub kind: String,
    /// Since when, [s].
    pub onset_s: f64,
    /// Until when, [s]; None: it lasts.
    pub end_s: Option<f64>,
    /// How large; see [`Verdict::size`].
    pub size: f64,
    /// Probability, as far as the likelihoods can say.
    pub posterior: f64,
    /// When it was decided, [s].
    pub decided_at_s: f64,
}

/// Something that was put wrong.
#[derive(Clone, Debug, PartialEq)]
pub struct Label {
    /// Device.
    pub subject: String,
    /// `part.quantity`; empty: the device as a whole.
    pub part: String,
    /// Kind.
    pub kind: String,
    /// Since when, [s].
    pub from_s: f64,
    /// Until when, [s].
    pub until_s: f64,
    /// How large.
    pub size: f64,
}

impl Said {
    /// A verdict on a device.
    pub fn new(subject: &str, v: &Verdict) -> Self {
        Self {
            subject: subject.to_owned(),
            part: v.part.clone(),
            kind: v.kind.to_owned(),
            onset_s: v.onset.as_secs_f64(),
            end_s: v.end.map(SimTime::as_secs_f64),
            size: v.size,
            posterior: v.posterior,
            decided_at_s: v.decided_at.as_secs_f64(),
        }
    }

    /// From what [`detail`] wrote; None where it is no such text.
    pub fn from_detail(subject: &str, part: &str, detail: &str) -> Option<Self> {
        let mut words = detail.split(' ');
        let kind = words.next()?.to_owned();
        let mut figures = [f64::NAN; 5];
        for word in words {
            let (name, figure) = word.split_once('=')?;
            let at = FIGURES.iter().position(|f| *f == name)?;
            figures[at] = figure.parse().ok()?;
        }
        let [onset_s, end_s, size, posterior, decided_at_s] = figures;
        Some(Self {
            subject: subject.to_owned(),
            part: part.to_owned(),
            kind,
            onset_s,
            end_s: Some(end_s).filter(|e| e.is_finite()),
            size,
            posterior,
            decided_at_s,
        })
        .filter(|s| s.onset_s.is_finite() && s.decided_at_s.is_finite())
    }
}

const FIGURES: [&str; 5] = ["onset_s", "end_s", "size", "posterior", "decided_at_s"];

/// A verdict's figures as the event's text.
pub fn detail(v: &Verdict) -> String {
    let said = Said::new("", v);
    let figures =
        [Some(said.onset_s), said.end_s, Some(said.size), Some(said.posterior), Some(said.decided_at_s)];
    let written = FIGURES.iter().zip(figures).filter_map(|(name, f)| Some(format!(" {name}={}", f?)));
    said.kind + &written.collect::<String>()
}
