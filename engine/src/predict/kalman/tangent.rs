//! How small deviations of the joint state pass through the step just made. Inputs are told rather than estimated, so they
//! are no entries of their own; over a time in which one was not known, deviations of it are left out.

use super::{Filter, Tangent, propagate::Scratch};
use crate::dynamics::step::Reversion;

impl Filter {
    /// Writes the tangent of the step that is in `s`, or of none.
    pub(super) fn trace(&self, moved: bool, s: &Scratch, tangent: &mut Tangent) {
        let (n, q, m) = (self.fixed.model.states(), self.fixed.learnt.len(), self.loads.len());
        let (a, b) = (&mut tangent.by_state, &mut tangent.by_input);
        a.clear();
        a.resize(n * (n + q), 0.0);
        b.clear();
        b.resize(n * m, 0.0);
        for i in 0..n {
            a[i * (n + q) + i] = 1.0;
        }
        if !moved {
            return;
        }
        let (flow, d) = (&s.linear.flow, s.linear.joint.len());
        let whole = flow.m(s.doublings);
        for i in 0..n {
            let row = &mut a[i * (n + q)..(i + 1) * (n + q)];
            for (a, m) in row[..n].iter_mut().zip(&whole[i * d..]) {
                *a += m;
            }
            row[n..].copy_from_slice(&s.by[i * q..(i + 1) * q]);
            for k in (0..m).filter(|k| s.moves[*k] == Reversion::HELD) {
                let driven = s.linear.driven.iter().skip(k).step_by(m);
                b[i * m + k] = flow.phi[i * d..i * d + n].iter().zip(driven).map(|(p, g)| p * g).sum();
            }
        }
    }

    /// The gain of a reading of an output taken now, over states and learnt parameters.
    pub(super) fn gain_into(&self, output: usize, gain: &mut [f64]) {
        let o = &self.fixed.model.outputs[output];
        let (n, first) = (self.fixed.model.states(), self.y.len());
        let row = self.p.row(o.state);
        let var = row[o.state] + o.variance();
        for (to, from) in gain.iter_mut().zip(row[..n].iter().chain(&row[first..])) {
            *to = from / var;
        }
    }
}
