//! Builds a report from results.

use std::collections::BTreeMap;

use rayon::prelude::*;

use super::{EvalReport, Example, Figure, MeanCost, MethodComparison, MethodReport, Provenance};
use crate::encoder_space::EncoderSpace;
use crate::identification::{IdentificationTrial, identify};
use crate::metric_groups::{MetricGroup, MetricSet};
use crate::per_user::{
    self, CopySources, GrammarScores, PerUserValues, Population, StyleSpaces, SwapScoresByTest,
    WINS, Wins,
};
use crate::plan::Plan;
use crate::run::{MethodResults, PlanResults};
use crate::swap::{SwapScores, swap_test};
use crate::{Result, cases::CaseResult};
use idiolect_core::corpus::Store;
use idiolect_core::difference::SentenceVectors;
use idiolect_metrics::lambda_g::c_llr;
use idiolect_metrics::overlap::{BleuCounts, Meteor};
use idiolect_metrics::statistics::{PerUser, Settings, bootstrap, compare};

/// Most held-out texts that are shown as examples.
const EXAMPLES: usize = 12;

/// Name of the measure: calibrated log10 likelihood ratio of a text by LambdaG, its user against
/// others.
const AUTHORSHIP: &str = "lambda_g_llr";

/// Name of the cost of these ratios on real texts, in bits.
const AUTHORSHIP_COST: &str = "lambda_g_cllr";

/// Inputs of a report.
#[derive(Clone, Copy)]
pub struct ReportInputs<'a> {
    /// Store with the corpus.
    pub store: &'a Store,
    /// The plan.
    pub plan: &'a Plan,
    /// Results of the plan.
    pub results: &'a PlanResults,
    /// Metrics of the report.
    pub metrics: &'a MetricSet,
    /// Number of seeds per text.
    pub seeds: u64,
    /// METEOR with its data.
    pub meteor: &'a Meteor,
    /// Sentence encoder for the swap test, which must not have selected anything; `None` skips it.
    pub encoder: Option<&'a dyn SentenceVectors>,
}

/// Builds the report of a plan's results.
///
/// # Errors
/// Error if the store cannot be read, the encoder fails, a figure is not finite, or there are too
/// few users for a statistic.
pub fn build_report(inputs: &ReportInputs<'_>, provenance: Provenance) -> Result<EvalReport> {
    let ReportInputs { store, plan, results, metrics, seeds, meteor, encoder } = *inputs;
    let settings = provenance.statistics;
    let copy_sources = CopySources::read(store, plan)?;
    let spaces = match metrics.swaps() && !plan.swaps.is_empty() {
        true => {
            let embedded = encoder.map(|encoder| embedded(encoder, plan, results)).transpose()?;
            let population = population(store, plan)?;
            let grammar = match metrics.has(MetricGroup::Swap) {
                true => GrammarScores::of(plan, results, &population),
                false => GrammarScores::default(),
            };
            Some(StyleSpaces::fit(plan, &population, embedded, grammar)?)
        }
        false => None,
    };
    let wins = Wins::of(plan, results);
    let wins = &wins;
    let builder =
        ReportBuilder { plan, results, wins, metrics, meteor, copy_sources, spaces, settings };
    let mut methods = BTreeMap::new();
    for of_method in &results.methods {
        methods.insert(of_method.method.name(), builder.method(of_method)?);
    }
    let order: Vec<&'static str> = results.methods.iter().map(|m| m.method.name()).collect();
    Ok(EvalReport {
        users: plan.n_users(),
        texts: plan.cases.len(),
        seeds,
        pairs: plan.swaps.len(),
        ceiling: builder.ceiling()?,
        comparisons: comparisons(&methods, &order, wins, &settings)?,
        examples: examples(plan, results),
        methods,
        provenance,
        order,
    })
}

/// Texts of the split's users that are not held out.
fn population(store: &Store, plan: &Plan) -> Result<Population> {
    let mut texts = Population::new();
    for (user, own) in &plan.own {
        let written = store.history(user)?;
        let rest = written.into_iter().filter(|r| own.iter().all(|held_out| held_out.id != r.id));
        texts.insert(user.clone(), rest.map(|r| r.review.text).collect());
    }
    Ok(texts)
}

/// Embeddings of all texts of the swap test: generated, real, and held-out.
fn embedded(
    encoder: &dyn SentenceVectors,
    plan: &Plan,
    results: &PlanResults,
) -> Result<EncoderSpace> {
    let own = plan.own.values().flatten().chain(plan.swaps.iter().flat_map(|swap| &swap.real));
    let written = results.methods.iter().flat_map(|method| method.swaps.iter().flatten());
    let written = written.flat_map(|swap| swap.texts.iter().flatten());
    let own = own.map(|stored| stored.review.text.as_str());
    EncoderSpace::of(encoder, own.chain(written.map(String::as_str)))
}

struct ReportBuilder<'a> {
    plan: &'a Plan,
    results: &'a PlanResults,
    wins: &'a Wins,
    metrics: &'a MetricSet,
    meteor: &'a Meteor,
    copy_sources: CopySources,
    spaces: Option<StyleSpaces>,
    settings: Settings,
}

impl ReportBuilder<'_> {
    fn method(&self, results: &MethodResults) -> Result<MethodReport> {
        let mut values = PerUserValues::default();
        per_user::add_likelihood(self.plan, results, &mut values);
        self.wins.add_to(results.method.name(), &mut values);
        let (plan, meteor) = (self.plan, self.meteor);
        let corpus = per_user::add_lexical(plan, results, &self.copy_sources, meteor, &mut values);
        let mut figures = BTreeMap::new();
        if !corpus.bleu.is_empty() {
            self.corpus_bleu(&corpus.bleu, &mut figures)?;
            let distinct = [corpus.distinct.distinct1, corpus.distinct.distinct2];
            for (name, mean) in ["distinct1", "distinct2"].into_iter().zip(distinct) {
                let n = corpus.bleu.len();
                figures.insert(name.to_owned(), Figure { mean, low: None, high: None, n, p: None });
            }
        }
        if let Some(spaces) = &self.spaces {
            let scores = spaces.scores(plan, &results.swaps);
            self.swap_tests(scores, Some(&mut values), &mut figures)?;
            for (number, (swap, result)) in plan.swaps.iter().zip(&results.swaps).enumerate() {
                for [a, b] in result.iter().flat_map(|result| &result.texts) {
                    let Some([[to_a, _], [_, to_b]]) = spaces.log10_lr(number, [a, b]) else {
                        continue;
                    };
                    values.push(AUTHORSHIP, &swap.pair.a, to_a);
                    values.push(AUTHORSHIP, &swap.pair.b, to_b);
                }
            }
            let texts = plan.swaps.iter().zip(&results.swaps).flat_map(|(swap, result)| {
                let texts = result.iter().flat_map(|result| &result.texts);
                texts.flat_map(|[a, b]| {
                    [(swap.pair.a.as_str(), a.as_str()), (swap.pair.b.as_str(), b.as_str())]
                })
            });
            let trials = spaces.trials(texts, self.settings.seed)?;
            self.identification(&trials, Some(&mut values), &mut figures)?;
        }
        let per_user = values.per_user()?;
        for (measure, of_users) in &per_user {
            if !figures.contains_key(measure) {
                figures.insert(measure.clone(), of_users.mean(&self.settings)?.into());
            }
        }
        let cases = results.cases.iter().flatten();
        let costs: Vec<_> = cases.clone().flat_map(|result| result.cost.clone()).collect();
        Ok(MethodReport {
            figures,
            cost: MeanCost::of(&costs),
            without_history: match self.metrics.cases() {
                true => cases.filter(|result| **result == CaseResult::default()).count(),
                false => 0,
            },
            per_user,
            seconds: results.seconds,
        })
    }

    /// Corpus BLEU, brevity penalty and length ratio; bootstrap intervals draw whole users.
    fn corpus_bleu(
        &self,
        of_texts: &[(String, BleuCounts)],
        figures: &mut BTreeMap<String, Figure>,
    ) -> Result<()> {
        let mut of_users: BTreeMap<&str, Vec<BleuCounts>> = BTreeMap::new();
        for (user, counts) in of_texts {
            of_users.entry(user).or_default().push(*counts);
        }
        let sums: Vec<BleuCounts> =
            of_users.into_values().map(|counts| counts.into_iter().sum()).collect();
        let of =
            |units: &[usize]| units.iter().map(|unit| sums[*unit]).sum::<BleuCounts>().corpus();
        let score = bootstrap(sums.len(), |units| of(units).score, &self.settings)?;
        let penalty = bootstrap(sums.len(), |units| of(units).brevity_penalty, &self.settings)?;
        let length = bootstrap(sums.len(), |units| of(units).length_ratio, &self.settings)?;
        figures.insert("bleu".to_owned(), score.into());
        figures.insert("corpus_length_ratio".to_owned(), length.into());
        figures.insert("brevity_penalty".to_owned(), penalty.into());
        Ok(())
    }

    fn swap_tests(
        &self,
        scores: SwapScoresByTest,
        mut values: Option<&mut PerUserValues>,
        figures: &mut BTreeMap<String, Figure>,
    ) -> Result<()> {
        if !self.metrics.has(MetricGroup::Swap) {
            return Ok(());
        }
        for (name, scores) in scores.0 {
            let test = swap_test(&scores, &self.settings)?;
            figures.insert(name.clone(), Figure { p: Some(test.p), ..test.accuracy.into() });
            if let Some(values) = values.as_deref_mut() {
                for of_pair in &scores {
                    let SwapScores { a, b, .. } = of_pair;
                    [a, b].into_iter().for_each(|user| values.push(&name, user, of_pair.correct()));
                }
            }
        }
        Ok(())
    }

    fn identification(
        &self,
        trials: &[IdentificationTrial],
        values: Option<&mut PerUserValues>,
        figures: &mut BTreeMap<String, Figure>,
    ) -> Result<()> {
        if !self.metrics.has(MetricGroup::Identification) || trials.is_empty() {
            return Ok(());
        }
        let found = identify(trials, &self.settings)?;
        figures.insert("identified_mrr".to_owned(), found.mrr.into());
        figures.insert("identified_first".to_owned(), found.recall_at_1.into());
        figures.insert("identified_auc".to_owned(), found.auc.into());
        if let Some(values) = values {
            for trial in trials {
                values.push("identified_mrr", &trial.user, trial.reciprocal_rank());
                values.push("identified_first", &trial.user, trial.recall_at_1());
                values.push("identified_auc", &trial.user, trial.auc());
            }
        }
        Ok(())
    }

    /// Figures of the users' real texts in the controls.
    fn ceiling(&self) -> Result<BTreeMap<String, Figure>> {
        let mut figures = BTreeMap::new();
        let Some(spaces) = &self.spaces else { return Ok(figures) };
        self.swap_tests(spaces.real_scores(self.plan, self.results), None, &mut figures)?;
        self.real_authorship(spaces, &mut figures)?;
        let texts = self.plan.swaps.iter().flat_map(|swap| {
            swap.real.iter().map(|r| (r.review.user.as_str(), r.review.text.as_str()))
        });
        self.identification(&spaces.trials(texts, self.settings.seed)?, None, &mut figures)?;
        Ok(figures)
    }

    /// LambdaG on the users' real texts: the likelihood ratio of a text by its writer, and the cost
    /// of the ratios, C_llr, of all texts against both users of their pair.
    fn real_authorship(
        &self,
        spaces: &StyleSpaces,
        figures: &mut BTreeMap<String, Figure>,
    ) -> Result<()> {
        let (mut by_user, mut same, mut different) = (Vec::new(), Vec::new(), Vec::new());
        for (number, swap) in self.plan.swaps.iter().enumerate() {
            let texts = swap.real.each_ref().map(|real| real.review.text.as_str());
            let Some([[a_to_a, a_to_b], [b_to_a, b_to_b]]) = spaces.log10_lr(number, texts) else {
                continue;
            };
            by_user.push((swap.pair.a.as_str(), a_to_a));
            by_user.push((swap.pair.b.as_str(), b_to_b));
            same.extend([a_to_a, b_to_b]);
            different.extend([a_to_b, b_to_a]);
        }
        let Some(mean) = c_llr(&same, &different) else { return Ok(()) };
        let n = same.len() + different.len();
        let cost = Figure { mean, low: None, high: None, n, p: None };
        figures.insert(AUTHORSHIP_COST.to_owned(), cost);
        let ratio = PerUser::averaged(by_user)?.mean(&self.settings)?;
        figures.insert(AUTHORSHIP.to_owned(), ratio.into());
        Ok(())
    }
}

/// Compares every pair of methods on every measure that both have, on the users that both have;
/// p-values are corrected over the pairs of a measure. Judge preferences are compared only within
/// each pair of methods.
fn comparisons(
    methods: &BTreeMap<&'static str, MethodReport>,
    order: &[&'static str],
    wins: &Wins,
    settings: &Settings,
) -> Result<Vec<MethodComparison>> {
    let mut measures: Vec<&String> =
        methods.values().flat_map(|method| method.per_user.keys()).collect();
    measures.sort_unstable();
    measures.dedup();
    let of_measures = measures.into_par_iter().map(|measure| {
        let of = |name: &str| methods.get(name).and_then(|method| method.per_user.get(measure));
        let mut names = Vec::new();
        let mut sides = Vec::new();
        for (number, a) in order.iter().copied().enumerate() {
            for b in order[number + 1..].iter().copied() {
                if measure == WINS {
                    if let Some(both) = wins.of_two(a, b)? {
                        names.push((a, b));
                        sides.push(both);
                    }
                    continue;
                }
                let (Some(of_a), Some(of_b)) = (of(a), of(b)) else { continue };
                let both = |one: &PerUser, other: &PerUser| {
                    let shared = one.iter().filter(|(user, _)| other.get(user).is_some());
                    PerUser::averaged(shared)
                };
                let both = (both(of_a, of_b)?, both(of_b, of_a)?);
                if !both.0.is_empty() {
                    names.push((a, b));
                    sides.push(both);
                }
            }
        }
        let family: Vec<(&PerUser, &PerUser)> = sides.iter().map(|(a, b)| (a, b)).collect();
        let compared = compare(&family, settings)?.into_iter().zip(names).map(|(found, (a, b))| {
            let interval = found.difference.interval;
            MethodComparison {
                a,
                b,
                measure: measure.clone(),
                difference: found.difference.value,
                low: interval.map(|ends| ends.low),
                high: interval.map(|ends| ends.high),
                n: found.difference.n,
                p: found.p,
                p_holm: found.p_corrected,
                verdict: found.verdict,
            }
        });
        Ok(compared.collect::<Vec<_>>())
    });
    Ok(of_measures.collect::<Result<Vec<_>>>()?.into_iter().flatten().collect())
}

/// Examples: held-out texts, evenly spaced over the cases, with the texts generated for them.
fn examples(plan: &Plan, results: &PlanResults) -> Vec<Example> {
    let step = plan.cases.len().div_ceil(EXAMPLES).max(1);
    let mut examples = Vec::new();
    for (number, case) in plan.cases.iter().enumerate().step_by(step) {
        let written: Vec<_> = results
            .methods
            .iter()
            .filter_map(|of_method| {
                let result = of_method.cases.get(number)?.as_ref()?;
                let wrong = result.wrong_texts.first().cloned();
                Some((of_method.method.name(), result.texts.first()?.clone(), wrong))
            })
            .collect();
        if written.is_empty() {
            continue;
        }
        let title = case.item.title.trim();
        let item = if title.is_empty() { case.item.id.clone() } else { title.to_owned() };
        let review = &case.review.review;
        examples.push(Example {
            user: review.user.clone(),
            item,
            real: review.text.clone(),
            written,
        });
    }
    examples
}
