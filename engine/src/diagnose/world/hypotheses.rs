//! What may have happened since a row, each with its odds against nothing: an event, a sensor that is off, a single wild reading,
//! something without a name.

use super::{
    ALIKE_NATS, Event, Found, OFFSET_NOISES, SENSOR_NATS, SLOPE_NATS, SPIKE_NATS, UNKNOWN_NATS, What, World,
    carry,
};
use crate::{
    compare::noise::{Calibration, cost},
    predict::{Estimator, Innovation, kalman::Filter},
};

impl World {
    /// Log-likelihood that a filter gains over what was believed, from row `onset` on, diluted; and the filter after it.
    pub(super) fn gain(
        &self,
        filter: Filter,
        onset: u64,
        skip: Option<usize>,
    ) -> (f64, Filter, Vec<Innovation>) {
        self.gain_until(filter, (onset, self.next), skip)
    }

    /// The same up to a row, which is not taken in.
    pub(super) fn gain_until(
        &self,
        mut filter: Filter,
        (onset, until): (u64, u64),
        skip: Option<usize>,
    ) -> (f64, Filter, Vec<Innovation>) {
        let from = (onset - self.first()) as usize;
        let rows = until.saturating_sub(onset) as usize;
        let dilution = self.scale.iter().map(Calibration::dilution).fold(1.0, f64::max);
        let mut nats = 0.0;
        let mut skipped = Vec::new();
        for row in self.rows.iter().skip(from).take(rows) {
            let mut outputs = row.outputs.clone();
            if let Some(o) = skip {
                outputs[o] = f64::NAN;
            }
            carry(&mut filter, (row.dt, row.unknown), &row.inputs);
            for (o, value) in outputs.iter().enumerate() {
                if value.is_finite() {
                    let tried = filter.update(o, *value);
                    let believed = row.innovations[o];
                    if believed.var.is_finite() {
                        let z = |v: Innovation| v.whitened() / self.scale[o].scale();
                        nats += cost(z(believed)) - cost(z(tried)) + 0.5 * (believed.var / tried.var).ln();
                    }
                }
            }
            if let Some(o) = skip {
                let g = filter.expected(o);
                skipped.push(Innovation { residual: row.outputs[o] - g.mean, var: g.var });
            }
        }
        (nats / dilution, filter, skipped)
    }

    pub(super) fn before(&self, onset: u64) -> Option<&Filter> {
        onset.checked_sub(1).filter(|k| *k >= self.first()).map(|k| &self.row(k).after)
    }

    pub(super) fn event_since(&self, e: usize, onset: u64) -> Option<Found> {
        self.event_found(&self.known.events[e], What::Event(e), onset)
    }

    pub(super) fn event_found(&self, event: &Event, what: What, onset: u64) -> Option<Found> {
        let fresh = [event.happening.parameter.clone()];
        let start = self.before(onset)?.carried_to(&event.def, &self.known.covariates, &fresh).ok()?;
        let (gain, filter, _) = self.gain(start, onset, None);
        let at = filter.model().parameter(&event.happening.parameter)?;
        let (size, share) = event.size(filter.parameters()[at]);
        let found = Found { what, nats: gain + event.nats, onset, size, share, event: None };
        Some(found).filter(|f| f.nats.is_finite() && event.is_possible(size, share))
    }

    /// The same event at its likeliest onset, those between the ones that were examined included. Of onsets that cannot be told
    /// apart it is the last: a fan that is blocked while it stands leaves no trace before it should turn.
    pub(super) fn refined(&self, best: Found, examined: &[u64]) -> Found {
        let What::Event(e) = best.what else { return best };
        let earliest = examined.iter().filter(|k| **k < best.onset).max().map_or(best.onset, |k| k + 1);
        let latest = examined.iter().copied().fold(best.onset, u64::max);
        let mut found: Vec<Found> = (earliest..=latest).filter_map(|k| self.event_since(e, k)).collect();
        let most = found.iter().map(|f| f.nats).fold(best.nats, f64::max);
        found.retain(|f| f.nats >= most - ALIKE_NATS);
        found.pop().unwrap_or(best)
    }

    /// One sensor is off since a row; the others are as the twin, which does not look at it, expects.
    pub(super) fn sensor_since(&self, o: usize, onset: u64) -> Option<Found> {
        let (others, _, seen) = self.gain(self.before(onset)?.clone(), onset, Some(o));
        let from = (onset - self.first()) as usize;
        let dilution = self.scale.iter().map(Calibration::dilution).fold(1.0, f64::max);
        let scale = self.scale[o].scale();
        let time = |k: usize| k as f64;
        let reading = |k: usize| self.rows[from + k].outputs[o];
        // An offset, or one that grows with time or with the reading: whichever explains it better, the others at the price of
        // their second figure.
        let line = |x: &dyn Fn(usize) -> f64, slope: bool| {
            let (mut w, mut wk, mut wkk, mut wr, mut wkr) = (0.0, 0.0, 0.0, 0.0, 0.0);
            for (k, v) in seen.iter().enumerate().filter(|(_, v)| v.residual.is_finite()) {
                let (weight, k) = (1.0 / v.var, x(k));
                w += weight;
                wk += weight * k;
                wkk += weight * k * k;
                wr += weight * v.residual;
                wkr += weight * k * v.residual;
            }
            let det = w * wkk - wk * wk;
            if slope && det > 1e-9 * w * wkk {
                ((wkk * wr - wk * wkr) / det, (w * wkr - wk * wr) / det, w)
            } else {
                (wr / w, 0.0, w)
            }
        };
        let misfit = |x: &dyn Fn(usize) -> f64, (offset, slope, _): (f64, f64, f64)| {
            let mut own = 0.0;
            for ((row, v), k) in self.rows.iter().skip(from).zip(&seen).zip(0usize..) {
                let believed = row.innovations[o];
                if v.residual.is_finite() && believed.var.is_finite() {
                    let left = v.residual - offset - slope * x(k);
                    own += cost(believed.whitened() / scale) - cost(left / v.var.sqrt() / scale);
                    own += 0.5 * (believed.var / v.var).ln();
                }
            }
            own / dilution
        };
        let flat = line(&time, false);
        let (offset, weights) = (flat.0, flat.2);
        if weights.is_nan() || weights <= 0.0 {
            return None;
        }
        let grows = misfit(&time, line(&time, true)).max(misfit(&reading, line(&reading, true)));
        let own = misfit(&time, flat).max(grows - SLOPE_NATS);
        let output = &self.known.def.outputs[o];
        let noise = (output.noise_std.powi(2) + output.quantum.powi(2) / 12.0).max(1e-6).sqrt();
        let spread = OFFSET_NOISES * noise;
        let nats = others + own - 0.5 * (spread * spread * weights).ln_1p() + SENSOR_NATS;
        Some(Found { what: What::Sensor(o), nats, onset, size: offset, share: 1.0, event: None })
            .filter(|f| f.nats.is_finite())
    }

    /// A single reading was off.
    pub(super) fn spike_at(&self, o: usize, at: u64) -> Option<Found> {
        let row = self.row(at);
        let mut start = self.before(at)?.clone();
        carry(&mut start, (row.dt, row.unknown), &row.inputs);
        for (k, value) in row.outputs.iter().enumerate() {
            if k != o && value.is_finite() {
                start.update(k, *value);
            }
        }
        if at + 1 >= self.next {
            return None;
        }
        let (rest, ..) = self.gain(start, at + 1, None);
        let dilution = self.scale.iter().map(Calibration::dilution).fold(1.0, f64::max);
        let own = cost(row.innovations[o].whitened() / self.scale[o].scale()) / dilution;
        let nats = rest + own + SPIKE_NATS;
        Some(Found {
            what: What::Spike(o),
            nats,
            onset: at,
            size: row.innovations[o].residual,
            share: 1.0,
            event: None,
        })
        .filter(|f| f.nats.is_finite())
    }

    /// The states move as they like.
    pub(super) fn unknown_since(&self, onset: u64) -> Option<Found> {
        let start = self.before(onset)?.carried_to(&self.known.loose, &self.known.covariates, &[]).ok()?;
        let (gain, ..) = self.gain(start, onset, None);
        let found = Found {
            what: What::Unknown,
            nats: gain + UNKNOWN_NATS,
            onset,
            size: 0.0,
            share: 1.0,
            event: None,
        };
        Some(found).filter(|f| f.nats.is_finite())
    }
}
