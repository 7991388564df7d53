//! A linear network of storages and conductances, stepped exactly under held inputs: heat and water vapour both use it.
//!
//! C_i·dx_i/dt = Σ_j g_ij·(x_j − x_i) + b_i·(x_out − x_i) + q_i, so x(t + Δt) = Φ·x(t) + Γ·(b_i·x_out + q_i)/C_i with
//! Φ = exp(A·Δt) and Γ = ∫ exp(A·s) ds over the step. Both are kept while no conductance changes.
//!
//! The exponential is our own few lines rather than a library's: a general matrix product may choose other instructions
//! on another machine, and shards of one run must agree to the last bit.
//!
//! ```
//! use twinfleet_engine::environment::network::Network;
//! // 1 J/K behind 1 W/K to an outside of 10: after one time constant 1/e of the difference is left.
//! let mut net = Network::new(vec![Some(1.0)]);
//! net.set_boundary(0, 1.0);
//! let mut x = [0.0];
//! net.advance(&mut x, 10.0, &[0.0], 1.0);
//! assert!((x[0] - 10.0 * (1.0 - (-1.0f64).exp())).abs() < 1e-12);
//! ```

/// A network; its state is held by the caller.
#[derive(Clone, Debug)]
pub struct Network {
    capacity: Vec<Option<f64>>,
    links: Vec<(usize, usize, f64)>,
    boundary: Vec<f64>,
    /// Exponentials of the conductances and step they were made for.
    exact: Option<Exact>,
}

#[derive(Clone, Debug)]
struct Exact {
    dt: f64,
    phi: Vec<f64>,
    gamma: Vec<f64>,
}

/// A link of a [`Network`], to change its conductance later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkId(usize);

impl Network {
    /// Nodes with these capacities (J/K, or m³); `None`: the node keeps its value whatever flows.
    pub fn new(capacity: Vec<Option<f64>>) -> Self {
        let boundary = vec![0.0; capacity.len()];
        Self { capacity, links: Vec::new(), boundary, exact: None }
    }

    /// Number of nodes.
    pub fn len(&self) -> usize {
        self.capacity.len()
    }

    /// Whether there is no node.
    pub fn is_empty(&self) -> bool {
        self.capacity.is_empty()
    }

    /// Joins two nodes with a conductance (W/K, or m³/s).
    pub fn link(&mut self, a: usize, b: usize, conductance: f64) -> LinkId {
        self.links.push((a, b, conductance));
        self.exact = None;
        LinkId(self.links.len() - 1)
    }

    /// Changes a link's conductance.
    pub fn set_link(&mut self, id: LinkId, conductance: f64) {
        if self.links[id.0].2 != conductance {
            self.links[id.0].2 = conductance;
            self.exact = None;
        }
    }

    /// Sets a node's conductance to the outside.
    pub fn set_boundary(&mut self, node: usize, conductance: f64) {
        if self.boundary[node] != conductance {
            self.boundary[node] = conductance;
            self.exact = None;
        }
    }

    /// Steps the state over `dt` seconds with the outside at `outside` and `source` (W, or g/s) into each node held.
    pub fn advance(&mut self, state: &mut [f64], outside: f64, source: &[f64], dt: f64) {
        let n = self.len();
        if self.exact.as_ref().is_none_or(|e| e.dt != dt) {
            self.exact = Some(self.exponentials(dt));
        }
        let Some(exact) = &self.exact else { return };
        let forcing: Vec<f64> = (0..n)
            .map(|i| self.capacity[i].map_or(0.0, |c| (self.boundary[i] * outside + source[i]) / c))
            .collect();
        let next: Vec<f64> = (0..n)
            .map(|i| {
                let row = i * n..(i + 1) * n;
                dot(&exact.phi[row.clone()], state) + dot(&exact.gamma[row], &forcing)
            })
            .collect();
        for (i, x) in next.into_iter().enumerate() {
            if self.capacity[i].is_some() {
                state[i] = x;
            }
        }
    }

    fn rates(&self) -> Vec<f64> {
        let n = self.len();
        let mut a = vec![0.0; n * n];
        for &(i, j, g) in &self.links {
            for (from, to) in [(i, j), (j, i)] {
                if let Some(c) = self.capacity[from] {
                    a[from * n + to] += g / c;
                    a[from * n + from] -= g / c;
                }
            }
        }
        for i in 0..n {
            if let Some(c) = self.capacity[i] {
                a[i * n + i] -= self.boundary[i] / c;
            }
        }
        a
    }

    /// Scaling and squaring. At a row sum of |A|·h ≤ 1/4 sixteen terms of the series are beyond rounding; then
    /// Γ(2h) = Γ(h) + Φ(h)·Γ(h) and Φ(2h) = Φ(h)².
    fn exponentials(&self, dt: f64) -> Exact {
        let n = self.len();
        let a = self.rates();
        let norm =
            (0..n).map(|i| a[i * n..(i + 1) * n].iter().map(|x| x.abs()).sum::<f64>()).fold(0.0, f64::max)
                * dt;
        let doublings = if norm > 0.25 { (norm / 0.25).log2().ceil() as i32 } else { 0 };
        let h = dt / 2f64.powi(doublings);
        let scaled: Vec<f64> = a.iter().map(|x| x * h).collect();
        let mut term = identity(n);
        let mut gamma = identity(n);
        for k in 2..=16 {
            term = product(&term, &scaled, n);
            term.iter_mut().for_each(|x| *x /= f64::from(k));
            add(&mut gamma, &term);
        }
        // Φ = I + A·h·(Γ/h).
        let mut phi = product(&scaled, &gamma, n);
        add(&mut phi, &identity(n));
        gamma.iter_mut().for_each(|x| *x *= h);
        for _ in 0..doublings {
            let more = product(&phi, &gamma, n);
            add(&mut gamma, &more);
            phi = product(&phi, &phi, n);
        }
        Exact { dt, phi, gamma }
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

fn add(a: &mut [f64], b: &[f64]) {
    a.iter_mut().zip(b).for_each(|(x, y)| *x += y);
}

fn identity(n: usize) -> Vec<f64> {
    (0..n * n).map(|k| if k / n == k % n { 1.0 } else { 0.0 }).collect()
}

fn product(a: &[f64], b: &[f64], n: usize) -> Vec<f64> {
    let mut c = vec![0.0; n * n];
    for i in 0..n {
        for k in 0..n {
            let x = a[i * n + k];
            if x != 0.0 {
                for j in 0..n {
                    c[i * n + j] += x * b[k * n + j];
                }
            }
        }
    }
    c
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A random connected network of `n` nodes: capacities, ring and chord conductances, start values.
    fn networks(outside: bool) -> impl Strategy<Value = (Network, Vec<f64>, Vec<f64>)> {
        (1usize..6)
            .prop_flat_map(|n| {
                let c = prop::collection::vec(1e3..1e7f64, n);
                let g = prop::collection::vec(0.1..1e4f64, 3 * n);
                let x = prop::collection::vec(-20.0..60.0f64, n);
                (c, g, x)
            })
            .prop_map(move |(c, g, x)| {
                let n = c.len();
                let mut net = Network::new(c.iter().copied().map(Some).collect());
                for i in 1..n {
                    net.link(i - 1, i, g[i]);
                    net.link(i, (i * 7) % i, g[n + i]);
                }
                if outside {
                    (0..n).for_each(|i| net.set_boundary(i, g[2 * n + i]));
                }
                (net, c, x)
            })
    }

    proptest! {
        #[test]
        fn a_closed_network_keeps_its_heat((mut net, c, start) in networks(false), dt in 0.1..1e5f64) {
            let heat = |x: &[f64]| dot(&c, &x.iter().map(|t| t + 273.15).collect::<Vec<_>>());
            let mut x = start.clone();
            let q = vec![0.0; x.len()];
            for _ in 0..100 {
                net.advance(&mut x, 5.0, &q, dt);
            }
            // A step's exponential rounds in proportion to how many time constants of its quickest node it spans.
            let quickest = c.iter().copied().fold(f64::INFINITY, f64::min);
            let conductance = net.links.iter().map(|l| l.2).sum::<f64>();
            let rounding = 100.0 * f64::EPSILON * conductance * dt / quickest;
            prop_assert!((heat(&x) / heat(&start) - 1.0).abs() < 1e-9 + rounding);
        }

        #[test]
        fn heat_put_in_is_found_again((mut net, c, start) in networks(false), dt in 0.1..1e4f64, w in 1.0..1e4f64) {
            let mut x = start.clone();
            let mut q = vec![0.0; x.len()];
            q[0] = w;
            net.advance(&mut x, 0.0, &q, dt);
            let gained: f64 = c.iter().zip(x.iter().zip(&start)).map(|(c, (a, b))| c * (a - b)).sum();
            let scale: f64 = c.iter().map(|c| c * 60.0).sum();
            prop_assert!((gained - w * dt).abs() < 1e-9 * scale, "{gained} J of {}", w * dt);
        }

        #[test]
        fn two_half_steps_are_one((net, _, start) in networks(true), dt in 0.1..1e4f64) {
            let q: Vec<f64> = start.iter().map(|x| 100.0 * x).collect();
            let (mut whole, mut halves) = (start.clone(), start.clone());
            net.clone().advance(&mut whole, 7.0, &q, dt);
            let mut net = net;
            net.advance(&mut halves, 7.0, &q, dt / 2.0);
            net.advance(&mut halves, 7.0, &q, dt / 2.0);
            for (a, b) in whole.iter().zip(&halves) {
                prop_assert!((a - b).abs() < 1e-9 * (1.0 + a.abs()), "{a} against {b}");
            }
        }

        #[test]
        fn a_long_step_reaches_the_steady_state((mut net, _, start) in networks(true), w in 0.0..1e4f64) {
            // In the steady state the flows into every node sum to nothing.
            let mut x = start.clone();
            let mut q = vec![0.0; x.len()];
            q[0] = w;
            for _ in 0..40 {
                net.advance(&mut x, 7.0, &q, 1e8);
            }
            let scale = net.links.iter().map(|l| l.2).chain(net.boundary.clone()).fold(w, f64::max);
            for i in 0..x.len() {
                let mut flow = q[i] + net.boundary[i] * (7.0 - x[i]);
                for &(a, b, g) in &net.links {
                    if a == i { flow += g * (x[b] - x[a]); }
                    if b == i { flow += g * (x[a] - x[b]); }
                }
                prop_assert!(flow.abs() < 1e-6 * scale * (1.0 + x[i].abs()), "{flow} W are left over");
            }
        }
    }

    #[test]
    fn one_node_follows_the_closed_form() {
        let (c, g, q, out) = (5e5, 130.0, 900.0, 4.0);
        let mut net = Network::new(vec![Some(c)]);
        net.set_boundary(0, g);
        let mut x = [21.0];
        for k in 1..=500 {
            net.advance(&mut x, out, &[q], 60.0);
            let end = out + q / g;
            let expected = end + (21.0 - end) * (-g / c * 60.0 * f64::from(k)).exp();
            assert!((x[0] - expected).abs() < 1e-10, "step {k}: {} against {expected}", x[0]);
        }
    }

    #[test]
    fn a_node_without_capacity_keeps_its_value() {
        let mut net = Network::new(vec![None, Some(10.0)]);
        net.link(0, 1, 3.0);
        let mut x = [50.0, 0.0];
        net.advance(&mut x, 0.0, &[1e9, 0.0], 1e4);
        assert_eq!(x[0], 50.0);
        assert!((x[1] - 50.0).abs() < 1e-9);
    }
}
