//! `--fdr Q` over all streams: of the alarms told, at most this share is false, on average.

use super::{files::Stream, stream::Watched};
use twinfleet_engine::detect::fdr::{Told, control as take_back};

/// Takes back alarms that the rate does not allow.
pub fn control(streams: &mut [(Stream, Watched)], rate: f64) {
    let times: Vec<Vec<f64>> = (streams.iter())
        .map(|(stream, _)| {
            let t0_s = stream.table.t0_unix_ns.unwrap_or(0) as f64 / 1e9;
            stream.table.t_s.iter().map(|t| t0_s + t).collect()
        })
        .collect();
    let told = streams.iter_mut().zip(&times).map(|((_, watched), t_s)| Told {
        t_s,
        from: watched.from,
        steps: &mut watched.steps,
    });
    take_back(&mut told.collect::<Vec<_>>(), rate);
}
