//! Maximum likelihood of the strengths over observed texts, with cross-validation over users.

use super::likelihood::ObservedExample;
use super::mean_and_error;
use crate::methods::LexicalOptions;
use crate::methods::idiolect::rule::{Rule, Term};
use crate::steering::ExpectedScore;
use idiolect_engine::progress::Progress;

/// Number of folds of the users.
const FOLDS: usize = 4;
/// Sweeps over all strengths; each is searched with the others as they are.
const SWEEPS: usize = 3;
/// Sweeps of a fit that starts from the strengths of all users.
const FOLD_SWEEPS: usize = 1;
/// Steps of each search; a step leaves 0.62 of the interval.
const STEPS: usize = 7;
/// Number of strengths of each term that are tried in a search for lift.
const LIFT_STEPS: usize = 24;
/// Sweeps of that search over all strengths.
const LIFT_SWEEPS: usize = 2;
/// Priors that are tried for a choice of words, in tokens.
const PRIORS: [f64; 5] = [100.0, 300.0, 1000.0, 3000.0, 10000.0];
/// Priors that are tried for counts against expectations, in expected occurrences.
const EXPECTED_PRIORS: [f64; 5] = [0.3, 1.0, 3.0, 10.0, 30.0];

/// Range of each term's strength.
fn range(term: Term) -> (f64, f64) {
    match term {
        Term::Power => (0.6, 1.25),
        Term::Lexical | Term::Item => (0.0, 1.0),
        Term::Corpus | Term::Expected => (0.0, 1.5),
        Term::Phrases | Term::ItemPhrases => (0.0, 0.5),
    }
}

/// Observed texts and their probabilities before the caches, under the last rule that was asked for.
struct Likelihood<'e> {
    examples: Vec<&'e ObservedExample>,
    rule: Option<Rule>,
    probabilities: Vec<Vec<f64>>,
}

impl<'e> Likelihood<'e> {
    fn new(examples: impl Iterator<Item = &'e ObservedExample>) -> Self {
        Self { examples: examples.collect(), rule: None, probabilities: Vec::new() }
    }

    /// Bits per token of each text.
    fn bits(&mut self, rule: &Rule) -> Vec<f64> {
        let model = Rule { phrases: 0.0, item_phrases: 0.0, ..*rule };
        if self.rule != Some(model) {
            self.probabilities = probabilities(&self.examples, &model);
            self.rule = Some(model);
        }
        let texts = self.examples.iter().zip(&self.probabilities);
        texts.map(|(example, probabilities)| example.bits(probabilities, rule)).collect()
    }

    fn sum_of_bits(&mut self, rule: &Rule) -> f64 {
        self.bits(rule).iter().sum::<f64>()
    }
}

/// Probabilities of each text's tokens, computed on all cores.
fn probabilities(examples: &[&ObservedExample], rule: &Rule) -> Vec<Vec<f64>> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let chunk = examples.len().div_ceil(threads).max(1);
    std::thread::scope(|scope| {
        let of = |texts: &[&ObservedExample]| {
            texts.iter().map(|text| text.probabilities(rule)).collect::<Vec<_>>()
        };
        let workers: Vec<_> =
            examples.chunks(chunk).map(|texts| scope.spawn(move || of(texts))).collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap_or_default()).collect()
    })
}

/// The strengths of the terms in `active` under which the texts are likeliest, each strength in its
/// range; the others have no effect. Coordinate ascent from `start`.
fn fit(likelihood: &mut Likelihood<'_>, active: &[Term], start: Rule, sweeps: usize) -> Rule {
    let inactive = Term::ALL.into_iter().filter(|term| !active.contains(term));
    let mut rule = inactive.fold(start, Rule::without);
    for _ in 0..sweeps {
        for term in active {
            rule = rule.with(*term, search(likelihood, rule, *term));
        }
        // A fold keeps the priors.
        if sweeps > FOLD_SWEEPS {
            for prior in EXPECTED_PRIORS {
                let corpus = ExpectedScore { prior, ..rule.corpus };
                rule = better(likelihood, rule, Rule { corpus, ..rule });
                let expected = ExpectedScore { prior, ..rule.expected };
                rule = better(likelihood, rule, Rule { expected, ..rule });
            }
            for prior in PRIORS {
                let lexical = LexicalOptions { prior, ..rule.lexical };
                rule = better(likelihood, rule, Rule { lexical, ..rule });
                let item = LexicalOptions { prior, ..rule.item };
                rule = better(likelihood, rule, Rule { item, ..rule });
            }
        }
    }
    rule
}

fn better(likelihood: &mut Likelihood<'_>, rule: Rule, other: Rule) -> Rule {
    if other == rule || likelihood.sum_of_bits(&other) >= likelihood.sum_of_bits(&rule) {
        return rule;
    }
    other
}

/// The best strength of one term, by golden-section search; the present one if none is better.
fn search(likelihood: &mut Likelihood<'_>, rule: Rule, term: Term) -> f64 {
    let ratio = (5.0_f64.sqrt() - 1.0) / 2.0;
    let now = rule.strength(term);
    let (mut low, mut high) = range(term);
    let mut at = |x: f64| likelihood.sum_of_bits(&rule.with(term, x));
    let (mut a, mut b) = (high - ratio * (high - low), low + ratio * (high - low));
    let (mut at_a, mut at_b) = (at(a), at(b));
    for _ in 0..STEPS {
        if at_a <= at_b {
            (high, b, at_b) = (b, a, at_a);
            a = high - ratio * (high - low);
            at_a = at(a);
        } else {
            (low, a, at_a) = (a, b, at_b);
            b = low + ratio * (high - low);
            at_b = at(b);
        }
    }
    let best = f64::midpoint(low, high);
    match at(best) < at(now) {
        true => best,
        false => now,
    }
}

/// Bits per token of each text under strengths that were fitted on the other folds.
fn held_out_bits(examples: &[ObservedExample], active: &[Term], start: Rule) -> Vec<f64> {
    let mut bits = vec![0.0; examples.len()];
    for fold in 0..FOLDS {
        let within = |i: &usize| i % FOLDS == fold;
        let rest = (0..examples.len()).filter(|i| !within(i)).map(|i| &examples[i]);
        let rule = fit(&mut Likelihood::new(rest), active, start, FOLD_SWEEPS);
        let inside: Vec<usize> = (0..examples.len()).filter(within).collect();
        let mut likelihood = Likelihood::new(inside.iter().map(|i| &examples[*i]));
        for (i, value) in inside.iter().zip(likelihood.bits(&rule)) {
            bits[*i] = value;
        }
    }
    bits
}

/// The strengths with the largest lift among those under which the texts are not clearly less likely
/// than under `best`: the mean difference of bits is at most its standard error. The lift is the bits
/// that the texts cost more after other users' texts. Coordinate ascent over the terms in `active`.
fn with_most_lift(
    likelihood: &mut Likelihood<'_>,
    under_others: &mut Likelihood<'_>,
    active: &[Term],
    best: Rule,
) -> Rule {
    let of_best = likelihood.bits(&best);
    let mut lift = |likelihood: &mut Likelihood<'_>, rule: &Rule| {
        let bits = likelihood.bits(rule);
        let costs: Vec<f64> = bits.iter().zip(&of_best).map(|(bits, best)| bits - best).collect();
        let (cost, error) = mean_and_error(&costs);
        (cost <= error).then(|| mean(&under_others.bits(rule)) - mean(&bits))
    };
    let mut rule = best;
    let mut most = lift(likelihood, &rule);
    for _ in 0..LIFT_SWEEPS {
        for term in active {
            let (low, high) = range(*term);
            for step in 0..=LIFT_STEPS {
                let x = low + (high - low) * step as f64 / LIFT_STEPS as f64;
                let other = rule.with(*term, x);
                let of_other = lift(likelihood, &other);
                if of_other > most {
                    (rule, most) = (other, of_other);
                }
            }
        }
    }
    rule
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

/// Strengths and what they gain, in bits per token, on users that they were not fitted on.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct StrengthEstimate {
    pub(super) rule: Rule,
    /// Bits per token of the model alone.
    pub(super) bits: f64,
    /// Bits per token that all terms save together.
    pub(super) gain: f64,
    /// Bits per token that each remaining term saves beside the others.
    pub(super) gains: Vec<(Term, f64)>,
    /// Bits per token that the texts cost more after other users' texts, under the model alone and
    /// under the rule; both on the users that it was fitted on.
    pub(super) lift: (f64, f64),
}

/// Estimates the strengths from one text per user; `None` if a stop is requested. A term that saves
/// nothing on users that it was not fitted on, beside the others, has no effect: the one that saves
/// least is left out first. `under_others` has the same texts after other users' texts.
pub(super) fn estimate(
    examples: &[ObservedExample],
    under_others: &[ObservedExample],
    progress: &dyn Progress,
) -> Option<StrengthEstimate> {
    let mut likelihood = Likelihood::new(examples.iter());
    let bits = mean(&likelihood.bits(&Rule::NONE));
    let mut active = Term::ALL.to_vec();
    loop {
        let start = fit(&mut likelihood, &active, Rule::NONE, SWEEPS);
        let all = mean(&held_out_bits(examples, &active, start));
        if progress.stop_requested() {
            return None;
        }
        let mut gains = Vec::with_capacity(active.len());
        for left_out in &active {
            let rest: Vec<Term> = active.iter().copied().filter(|term| term != left_out).collect();
            gains.push((*left_out, mean(&held_out_bits(examples, &rest, start)) - all));
            if progress.stop_requested() {
                return None;
            }
        }
        let worst = gains.iter().min_by(|a, b| a.1.total_cmp(&b.1)).copied();
        match worst {
            Some((term, gain)) if gain <= 0.0 => active.retain(|kept| *kept != term),
            _ => {
                let mut others = Likelihood::new(under_others.iter());
                let rule = with_most_lift(&mut likelihood, &mut others, &active, start);
                let mut lift = |rule| mean(&others.bits(rule)) - mean(&likelihood.bits(rule));
                let lift = (lift(&Rule::NONE), lift(&rule));
                return Some(StrengthEstimate { rule, bits, gain: bits - all, gains, lift });
            }
        }
    }
}
