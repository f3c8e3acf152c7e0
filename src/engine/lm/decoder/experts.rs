//! Choice of the experts of each row (Qwen3, arXiv 2505.09388, section 2).

use super::config::ExpertCounts;

/// Experts of the rows of a batch.
pub(super) struct ChosenExperts {
    /// Rows of each expert: index of the row, and the expert's rank among those of the row.
    pub(super) rows: Vec<Vec<(usize, usize)>>,
    /// Weights of the experts of each row, `[n_rows, n_used]`, in the order of ranks.
    pub(super) weights: Vec<f32>,
}

/// Chooses for each row the `n_used` experts with the highest scores, of equal ones the first. Their
/// weights are the softmax of their scores, which is the softmax over all experts, scaled to the sum
/// 1. `scores`: `[n_rows, n_experts]`.
pub(super) fn choose(scores: &[f32], counts: ExpertCounts) -> ChosenExperts {
    let ExpertCounts { n_experts, n_used } = counts;
    let mut rows = vec![Vec::new(); n_experts];
    let mut weights = Vec::with_capacity(scores.len() / n_experts * n_used);
    for (row, scores) in scores.chunks_exact(n_experts).enumerate() {
        let mut order: Vec<usize> = (0..n_experts).collect();
        order.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]));
        let largest = scores[order[0]];
        let chosen = &order[..n_used];
        let powers = chosen.iter().map(|expert| (scores[*expert] - largest).exp());
        let sum: f32 = powers.clone().sum();
        weights.extend(powers.map(|power| power / sum));
        for (rank, expert) in chosen.iter().enumerate() {
            rows[*expert].push((row, rank));
        }
    }
    ChosenExperts { rows, weights }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_are_chosen_and_weighted_by_their_softmax() {
        let counts = ExpertCounts { n_experts: 4, n_used: 2 };
        let chosen = choose(&[0.0, 2.0, 1.0, -1.0, 3.0, 3.0, 3.0, 0.0], counts);
        assert_eq!(chosen.rows, [vec![(1, 0)], vec![(0, 0), (1, 1)], vec![(0, 1)], vec![]]);
        let first = 1.0 / (1.0 + (-1.0_f32).exp());
        for (got, want) in chosen.weights.iter().zip([first, 1.0 - first, 0.5, 0.5]) {
            assert!((got - want).abs() < 1e-6, "{got} {want}");
        }
    }

    #[test]
    fn a_score_that_is_no_number_reaches_the_weights() {
        let counts = ExpertCounts { n_experts: 2, n_used: 2 };
        assert!(choose(&[f32::NAN, 0.0], counts).weights.iter().all(|weight| weight.is_nan()));
    }
}
