//! Peer contrast: `l0 + a (lU − l0) + b·gate·(lU − mean lP)`, the last term only on tokens
//! plausible after U.
//!
//! U and P have items, genre and form in common, so that their remaining difference is the writer.
//! The gate is `min(1, JS(U, P) / τ) · min(1, (position + 1) / ramp)`, with the Jensen-Shannon
//! divergence (Lin 1991, eq. 4.1) of U and the normalised mean of P. The caller scales `b` by the
//! user's distinctness.

use super::plausible::least_plausible;
use super::{PeerContrast, Rule};
use idiolect_kernels::Isa;

pub(super) struct PeerContrastRule {
    settings: PeerContrast,
    peers: Vec<f32>,
}

impl PeerContrastRule {
    pub(super) fn new(settings: PeerContrast) -> Self {
        Self { settings, peers: Vec::new() }
    }

    /// Factor of the contrast at a position, 0 to 1.
    fn gate(&self, position: usize, user: &[f32]) -> f32 {
        let PeerContrast { divergence, ramp, .. } = self.settings;
        let risen = match ramp {
            0 => 1.0,
            ramp => ((position + 1) as f32 / ramp as f32).min(1.0),
        };
        let apart = match divergence > 0.0 {
            true => (jensen_shannon(user, &self.peers) / divergence).min(1.0),
            false => 1.0,
        };
        apart * risen
    }
}

impl Rule for PeerContrastRule {
    fn combine(&mut self, written: &[u32], logprobs: &[&[f32]], combined: &mut [f32], _isa: Isa) {
        let [user, rest @ ..] = logprobs else { return combined.fill(0.0) };
        let PeerContrast { a, b, plausible, .. } = self.settings;
        let Some((nobody, peers)) = rest.split_first() else {
            return combined.copy_from_slice(user);
        };
        for ((score, u), z) in combined.iter_mut().zip(*user).zip(*nobody) {
            *score = z + a * (u - z);
        }
        if peers.is_empty() || b == 0.0 {
            return;
        }
        self.peers.clear();
        self.peers.resize(user.len(), 0.0);
        let share = 1.0 / peers.len() as f32;
        for peer in peers {
            self.peers.iter_mut().zip(*peer).for_each(|(mean, l)| *mean += share * l);
        }
        let strength = b * self.gate(written.len(), user);
        let least = least_plausible(user, plausible);
        for ((score, &u), p) in combined.iter_mut().zip(*user).zip(&self.peers) {
            if u >= least {
                *score += strength * (u - p);
            }
        }
    }
}

/// Jensen-Shannon divergence, nats, of the log-probabilities `user` and the scores `peers`, which
/// are normalised first.
fn jensen_shannon(user: &[f32], peers: &[f32]) -> f32 {
    let total: f64 = peers.iter().map(|l| f64::from(l.exp())).sum();
    let half_apart = |p: f64, mean: f64| if p > 0.0 { 0.5 * p * (p / mean).ln() } else { 0.0 };
    let sum: f64 = user
        .iter()
        .zip(peers)
        .map(|(u, p)| {
            let (u, p) = (f64::from(u.exp()), f64::from(p.exp()) / total);
            let mean = f64::midpoint(u, p);
            half_apart(u, mean) + half_apart(p, mean)
        })
        .sum();
    sum as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_divergence_is_nothing_for_equals_and_ln_2_for_strangers() {
        let (p, q) = ([0.5_f32.ln(), 0.5_f32.ln()], [0.9_f32.ln(), 0.1_f32.ln()]);
        assert!(jensen_shannon(&p, &p).abs() < 1e-7);
        // By hand: 0.5·(0.5 ln(0.5/0.7) + 0.5 ln(0.5/0.3))
        // + 0.5·(0.9 ln(0.9/0.7) + 0.1 ln(0.1/0.3)).
        assert!((jensen_shannon(&p, &q) - 0.101_749).abs() < 1e-5);
        let strangers = jensen_shannon(&[0.0, -200.0], &[-200.0, 0.0]);
        assert!((strangers - std::f32::consts::LN_2).abs() < 1e-6);
    }
}
