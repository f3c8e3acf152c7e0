//! Selects representatives from the candidates' vectors alone.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::kmeans::{Clustering, kmeans, squared_distance};
use super::linear::cosine;
use super::{ChoiceOptions, Selector};

/// A selected candidate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Chosen {
    /// Index among the candidates.
    pub(super) candidate: usize,
    /// Cluster that it represents.
    pub(super) cluster: Option<usize>,
    /// Number of members of that cluster.
    pub(super) cluster_size: usize,
}

/// The selected candidates, and the number of candidates dropped with the user's own cluster.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Selection {
    pub(super) chosen: Vec<Chosen>,
    pub(super) n_dropped: usize,
    /// All clusters; none if the selector does not cluster.
    pub(super) clusters: Vec<Members>,
}

/// Candidates in one cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Members {
    /// Indices among the candidates, ascending.
    pub(super) candidates: Vec<usize>,
    /// The one that stands for them; `None` for the user's own cluster and for an empty one.
    pub(super) representative: Option<usize>,
    /// Whether the user's own text is in it.
    pub(super) is_own: bool,
}

/// Selects among `candidates` (vectors of the same dimension). The result depends on their order.
/// `own` is the vector of the user's own text. Similarities are measured to `anchor`. `nearness` is
/// the similarity of each candidate's user; only [`Selector::Neighbours`] reads it.
pub(super) fn select(
    own: Option<&[f32]>,
    anchor: &[f32],
    candidates: &[&[f32]],
    nearness: &[f32],
    options: &ChoiceOptions,
) -> Selection {
    match options.selector {
        Selector::Kmeans => of_clusters(own, candidates, options, ClusterMember::Nearest),
        Selector::RandomMember => of_clusters(own, candidates, options, ClusterMember::Random),
        Selector::Random => unclustered(at_random(candidates.len(), options)),
        Selector::Farthest => {
            let mut order: Vec<(f32, usize)> =
                candidates.iter().enumerate().map(|(i, c)| (cosine(anchor, c), i)).collect();
            order.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
            unclustered(order.into_iter().take(options.k).map(|(_, i)| i).collect())
        }
        Selector::Neighbours => {
            let mut order: Vec<usize> = (0..candidates.len().min(nearness.len())).collect();
            order.sort_by(|&a, &b| nearness[b].total_cmp(&nearness[a]).then(a.cmp(&b)));
            order.truncate(options.k);
            unclustered(order)
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ClusterMember {
    Nearest,
    Random,
}

/// DPL's step 3: clusters the user's own text and the others' into K+1 clusters, drops the own
/// cluster with all its members, and selects one member of each other cluster. Without an own text,
/// K clusters are formed and none is dropped.
fn of_clusters(
    own: Option<&[f32]>,
    candidates: &[&[f32]],
    options: &ChoiceOptions,
    member: ClusterMember,
) -> Selection {
    let points: Vec<&[f32]> = own.into_iter().chain(candidates.iter().copied()).collect();
    let n_own = points.len() - candidates.len();
    let clustering = cluster(&points, options.k + n_own, options.seed);
    let own_cluster = own.map(|_| clustering.assignment[0]);
    // A separate generator, so that the members drawn do not depend on the draws of k-means.
    let mut random = ChaCha8Rng::seed_from_u64(options.seed ^ 0x6d65_6d62_6572);
    let mut selection = Selection::default();
    for (cluster, centre) in clustering.centres.iter().enumerate() {
        let members: Vec<usize> =
            (n_own..points.len()).filter(|&i| clustering.assignment[i] == cluster).collect();
        let is_own = own_cluster == Some(cluster);
        let candidates = members.iter().map(|i| i - n_own).collect();
        selection.clusters.push(Members { candidates, representative: None, is_own });
        if is_own {
            selection.n_dropped = members.len();
            continue;
        }
        let distance = |&&i: &&usize| squared_distance(points[i], centre);
        let chosen = match member {
            ClusterMember::Nearest => {
                members.iter().min_by(|a, b| distance(a).total_cmp(&distance(b))).copied()
            }
            ClusterMember::Random if members.is_empty() => None,
            ClusterMember::Random => Some(members[random.random_range(0..members.len())]),
        };
        let chosen = chosen.map(|i| i - n_own);
        if let Some(last) = selection.clusters.last_mut() {
            last.representative = chosen;
        }
        selection.chosen.extend(chosen.map(|candidate| Chosen {
            candidate,
            cluster: Some(cluster),
            cluster_size: members.len(),
        }));
    }
    selection
}

/// k-means; but if there are no more points than clusters, each point is its own cluster, even if
/// two are equal. With exactly K others, all K are therefore used.
fn cluster(points: &[&[f32]], n_clusters: usize, seed: u64) -> Clustering {
    if points.len() > n_clusters {
        return kmeans(points, n_clusters, seed);
    }
    let widened = |p: &&[f32]| p.iter().map(|&x| f64::from(x)).collect();
    Clustering {
        assignment: (0..points.len()).collect(),
        centres: points.iter().map(widened).collect(),
        inertia: 0.0,
    }
}

fn unclustered(candidates: Vec<usize>) -> Selection {
    let chosen = candidates
        .into_iter()
        .map(|candidate| Chosen { candidate, cluster: None, cluster_size: 1 })
        .collect();
    Selection { chosen, ..Selection::default() }
}

/// Draws K of `n` indices without repetition; returns them in ascending order.
fn at_random(n: usize, options: &ChoiceOptions) -> Vec<usize> {
    let mut random = ChaCha8Rng::seed_from_u64(options.seed);
    let mut all: Vec<usize> = (0..n).collect();
    let k = options.k.min(n);
    for i in 0..k {
        all.swap(i, random.random_range(i..n));
    }
    all.truncate(k);
    all.sort_unstable();
    all
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    fn options(k: usize, selector: Selector, seed: u64) -> ChoiceOptions {
        ChoiceOptions { k, selector, seed }
    }

    fn refs(points: &[Vec<f32>]) -> Vec<&[f32]> {
        points.iter().map(Vec::as_slice).collect()
    }

    #[test]
    fn the_own_cluster_goes_with_everybody_in_it() {
        // Two points near the own text, then two groups with a middle point each.
        let own = [0.0, 0.0];
        let points = [
            [0.1, 0.0],
            [0.0, 0.1],
            [5.0, 0.0],
            [5.2, 0.0],
            [5.4, 0.0],
            [0.0, 7.0],
            [0.0, 7.2],
            [0.0, 7.4],
        ]
        .map(|p| p.to_vec());
        let got = select(Some(&own), &own, &refs(&points), &[], &options(2, Selector::Kmeans, 42));
        let mut chosen: Vec<usize> = got.chosen.iter().map(|c| c.candidate).collect();
        chosen.sort_unstable();
        assert_eq!((chosen, got.n_dropped), (vec![3, 6], 2));
        assert!(got.chosen.iter().all(|c| c.cluster_size == 3));
    }

    #[test]
    fn with_no_more_than_k_others_all_are_used_even_equal_ones() {
        let own = [1.0, 0.0];
        let points = vec![vec![1.0, 0.0]; 4];
        for selector in [Selector::Kmeans, Selector::RandomMember, Selector::Random] {
            let got = select(Some(&own), &own, &refs(&points), &[], &options(4, selector, 1));
            assert_eq!(got.chosen.len(), 4, "{selector:?}");
        }
    }

    #[test]
    fn a_text_equal_to_the_own_one_is_dropped_where_there_are_many() {
        let own = [1.0, 0.0];
        let points: Vec<Vec<f32>> =
            [[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]].map(|p| p.to_vec()).to_vec();
        let got = select(Some(&own), &own, &refs(&points), &[], &options(3, Selector::Kmeans, 1));
        assert_eq!(got.n_dropped, 1);
        assert!(got.chosen.iter().all(|c| c.candidate != 0));
    }

    #[test]
    fn the_farthest_are_the_least_similar() {
        let own = [1.0, 0.0];
        let points = [[1.0, 0.1], [-1.0, 0.0], [0.0, 1.0]].map(|p| p.to_vec());
        let got = select(Some(&own), &own, &refs(&points), &[], &options(2, Selector::Farthest, 1));
        assert_eq!(got.chosen.iter().map(|c| c.candidate).collect::<Vec<_>>(), [1, 2]);
    }

    #[test]
    fn no_candidates_give_no_choice() {
        for selector in
            [Selector::Kmeans, Selector::RandomMember, Selector::Random, Selector::Farthest]
        {
            for own in [None, Some(&[1.0_f32, 0.0][..])] {
                let got = select(own, &[1.0, 0.0], &[], &[], &options(4, selector, 1));
                assert_eq!((got.chosen, got.n_dropped), (Vec::new(), 0));
                let none = select(own, &[1.0, 0.0], &[&[0.0, 1.0]], &[], &options(0, selector, 1));
                assert!(none.chosen.is_empty());
            }
        }
    }

    proptest! {
        #[test]
        fn choices_are_sound(
            points in proptest::collection::vec(proptest::collection::vec(-4_i8..5, 3), 0..14),
            own in proptest::option::of(proptest::collection::vec(-4_i8..5, 3)),
            k in 0_usize..6,
            seed: u64,
            which in 0_usize..4,
        ) {
            let widen = |p: Vec<i8>| p.into_iter().map(f32::from).collect::<Vec<f32>>();
            let points: Vec<Vec<f32>> = points.into_iter().map(widen).collect();
            let own = own.map(widen);
            let selector = [Selector::Kmeans, Selector::RandomMember, Selector::Random,
                Selector::Farthest][which];
            let anchor = own.clone().unwrap_or_else(|| vec![1.0, 0.0, 0.0]);
            let settings = options(k, selector, seed);
            let got = select(own.as_deref(), &anchor, &refs(&points), &[], &settings);
            prop_assert!(got.chosen.len() <= k);
            prop_assert!(got.chosen.iter().all(|c| c.candidate < points.len()));
            let mut candidates: Vec<usize> = got.chosen.iter().map(|c| c.candidate).collect();
            candidates.sort_unstable();
            candidates.dedup();
            prop_assert_eq!(candidates.len(), got.chosen.len(), "nobody twice");
            let clustered = which < 2;
            if clustered {
                let clusters: Vec<usize> = got.chosen.iter().map(|c| c.cluster.unwrap()).collect();
                prop_assert!(clusters.windows(2).all(|w| w[0] < w[1]), "one a cluster, in order");
                let members: usize = got.chosen.iter().map(|c| c.cluster_size).sum();
                prop_assert_eq!(members + got.n_dropped, if k == 0 && own.is_none() {
                    0
                } else {
                    points.len()
                });
                if own.is_none() {
                    prop_assert_eq!(got.n_dropped, 0);
                }
                let standing: Vec<usize> =
                    got.clusters.iter().filter_map(|c| c.representative).collect();
                let chosen: Vec<usize> = got.chosen.iter().map(|c| c.candidate).collect();
                prop_assert_eq!(standing, chosen);
                let n_members: usize = got.clusters.iter().map(|c| c.candidates.len()).sum();
                prop_assert_eq!(n_members, members + got.n_dropped);
                for cluster in got.clusters.iter().filter(|cluster| cluster.is_own) {
                    prop_assert_eq!(cluster.candidates.len(), got.n_dropped);
                }
            }
            prop_assert_eq!(&got, &select(own.as_deref(), &anchor, &refs(&points), &[], &settings));

            // The k-means selection is checked against its clusters: no member of the own cluster,
            // and no other member of the cluster nearer to its centre.
            if selector == Selector::Kmeans && points.len() > k && k > 0 {
                let all: Vec<&[f32]> =
                    own.as_deref().into_iter().chain(points.iter().map(Vec::as_slice)).collect();
                let n_own = all.len() - points.len();
                let clustering = cluster(&all, k + n_own, seed);
                for chosen in &got.chosen {
                    let c = chosen.cluster.unwrap();
                    prop_assert_eq!(clustering.assignment[chosen.candidate + n_own], c);
                    prop_assert!(own.is_none() || clustering.assignment[0] != c);
                    let mine = squared_distance(all[chosen.candidate + n_own], &clustering.centres[c]);
                    for i in (n_own..all.len()).filter(|&i| clustering.assignment[i] == c) {
                        prop_assert!(mine <= squared_distance(all[i], &clustering.centres[c]));
                    }
                }
            }
        }
    }
}
