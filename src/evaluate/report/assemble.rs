//! Builds a report from outcomes.

use std::collections::BTreeMap;

use rayon::prelude::*;

use super::{Compared, Example, Facts, Figure, MeanCost, MethodReport, Report};
use crate::Embedded;
use crate::figures::{self, Crossings, LexicalInputs, Rows, Spaces, WINS, Wins};
use crate::identification::{Trial, identify};
use crate::measures::{Measure, Measures};
use crate::plan::Plan;
use crate::run::{MethodOutcomes, Outcomes};
use crate::swap::{Crossing, swap_test};
use crate::{Result, trial::Outcome};
use idiolect_core::corpus::Store;
use idiolect_core::difference::SentenceVectors;
use idiolect_metrics::overlap::{BleuCounts, Meteor};
use idiolect_metrics::statistics::{PerUser, Settings, bootstrap, compare};

/// Most held-out texts that are shown as examples.
const EXAMPLES: usize = 12;

/// External resources for measuring texts.
#[derive(Clone, Copy)]
pub struct Instruments<'a> {
    /// METEOR with its data.
    pub meteor: &'a Meteor,
    /// Sentence encoder for the swap test, which must not have selected anything; `None` skips it.
    pub encoder: Option<&'a dyn SentenceVectors>,
}

/// Builds the report of a plan's outcomes.
///
/// # Errors
/// Error if the store cannot be read, the encoder fails, a figure is not finite, or there are too
/// few users for a statistic.
pub fn assemble(
    store: &Store,
    plan: &Plan,
    outcomes: &Outcomes,
    measures: &Measures,
    instruments: Instruments<'_>,
    seeds: u64,
    facts: Facts,
) -> Result<Report> {
    let settings = facts.statistics;
    let material = LexicalInputs::read(store, plan)?;
    let spaces = match measures.swaps() && !plan.swaps.is_empty() {
        true => {
            let embedded = instruments.encoder.map(|encoder| embedded(encoder, plan, outcomes));
            Some(Spaces::fit(plan, &population(store, plan)?, embedded.transpose()?)?)
        }
        false => None,
    };
    let meteor = instruments.meteor;
    let wins = Wins::of(plan, outcomes);
    let maker = Maker { plan, outcomes, wins: &wins, measures, meteor, material, spaces, settings };
    let mut methods = BTreeMap::new();
    for of_method in &outcomes.methods {
        methods.insert(of_method.method.name(), maker.method(of_method)?);
    }
    let order: Vec<&'static str> = outcomes.methods.iter().map(|m| m.method.name()).collect();
    Ok(Report {
        users: plan.n_users(),
        texts: plan.cases.len(),
        seeds,
        pairs: plan.swaps.len(),
        ceiling: maker.ceiling()?,
        comparisons: comparisons(&methods, &order, &wins, &settings)?,
        examples: examples(plan, outcomes),
        methods,
        facts,
        order,
    })
}

/// Texts of the split's users that are not held out.
fn population(store: &Store, plan: &Plan) -> Result<Vec<String>> {
    let mut texts = Vec::new();
    for (user, own) in &plan.own {
        let written = store.history(user)?;
        let rest = written.into_iter().filter(|r| own.iter().all(|held_out| held_out.id != r.id));
        texts.extend(rest.map(|r| r.review.text));
    }
    Ok(texts)
}

/// Embeddings of all texts of the swap test: generated, real, and held-out.
fn embedded(encoder: &dyn SentenceVectors, plan: &Plan, outcomes: &Outcomes) -> Result<Embedded> {
    let own = plan.own.values().flatten().chain(plan.swaps.iter().flat_map(|swap| &swap.real));
    let written = outcomes.methods.iter().flat_map(|method| method.swaps.iter().flatten());
    let written = written.flat_map(|swap| swap.texts.iter().flatten());
    let own = own.map(|stored| stored.review.text.as_str());
    Embedded::of(encoder, own.chain(written.map(String::as_str)))
}

struct Maker<'a> {
    plan: &'a Plan,
    outcomes: &'a Outcomes,
    wins: &'a Wins,
    measures: &'a Measures,
    meteor: &'a Meteor,
    material: LexicalInputs,
    spaces: Option<Spaces>,
    settings: Settings,
}

impl Maker<'_> {
    fn method(&self, outcomes: &MethodOutcomes) -> Result<MethodReport> {
        let mut rows = Rows::default();
        figures::likelihood_rows(self.plan, outcomes, &mut rows);
        self.wins.rows(outcomes.method.name(), &mut rows);
        let (plan, meteor) = (self.plan, self.meteor);
        let corpus = figures::lexical_rows(plan, outcomes, &self.material, meteor, &mut rows);
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
            let crossings = spaces.crossings(plan, &outcomes.swaps);
            self.crossings(crossings, Some(&mut rows), &mut figures)?;
            let texts = plan.swaps.iter().zip(&outcomes.swaps).flat_map(|(swap, outcome)| {
                let texts = outcome.iter().flat_map(|outcome| &outcome.texts);
                texts.flat_map(|[a, b]| {
                    [(swap.pair.a.as_str(), a.as_str()), (swap.pair.b.as_str(), b.as_str())]
                })
            });
            let trials = spaces.trials(texts, self.settings.seed)?;
            self.identification(&trials, Some(&mut rows), &mut figures)?;
        }
        let per_user = rows.per_user()?;
        for (measure, values) in &per_user {
            if !figures.contains_key(measure) {
                figures.insert(measure.clone(), values.mean(&self.settings)?.into());
            }
        }
        let cases = outcomes.cases.iter().flatten();
        let costs: Vec<_> = cases.clone().flat_map(|outcome| outcome.cost.clone()).collect();
        Ok(MethodReport {
            figures,
            cost: MeanCost::of(&costs),
            without_history: match self.measures.cases() {
                true => cases.filter(|outcome| **outcome == Outcome::default()).count(),
                false => 0,
            },
            per_user,
            seconds: outcomes.seconds,
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

    fn crossings(
        &self,
        crossings: Crossings,
        mut rows: Option<&mut Rows>,
        figures: &mut BTreeMap<String, Figure>,
    ) -> Result<()> {
        if !self.measures.has(Measure::Swap) {
            return Ok(());
        }
        for (name, crossings) in crossings.0 {
            let test = swap_test(&crossings, &self.settings)?;
            figures.insert(name.clone(), Figure { p: Some(test.p), ..test.accuracy.into() });
            if let Some(rows) = rows.as_deref_mut() {
                for crossing in &crossings {
                    let Crossing { a, b, .. } = crossing;
                    [a, b].into_iter().for_each(|user| rows.push(&name, user, crossing.score()));
                }
            }
        }
        Ok(())
    }

    fn identification(
        &self,
        trials: &[Trial],
        rows: Option<&mut Rows>,
        figures: &mut BTreeMap<String, Figure>,
    ) -> Result<()> {
        if !self.measures.has(Measure::Identification) || trials.is_empty() {
            return Ok(());
        }
        let found = identify(trials, &self.settings)?;
        figures.insert("identified_mrr".to_owned(), found.mrr.into());
        figures.insert("identified_first".to_owned(), found.recall_at_1.into());
        figures.insert("identified_auc".to_owned(), found.auc.into());
        if let Some(rows) = rows {
            for trial in trials {
                rows.push("identified_mrr", &trial.user, trial.reciprocal_rank());
                rows.push("identified_first", &trial.user, trial.recall_at_1());
                rows.push("identified_auc", &trial.user, trial.auc());
            }
        }
        Ok(())
    }

    /// Figures of the users' real texts in the controls.
    fn ceiling(&self) -> Result<BTreeMap<String, Figure>> {
        let mut figures = BTreeMap::new();
        let Some(spaces) = &self.spaces else { return Ok(figures) };
        self.crossings(spaces.real_crossings(self.plan, self.outcomes), None, &mut figures)?;
        let texts = self.plan.swaps.iter().flat_map(|swap| {
            swap.real.iter().map(|r| (r.review.user.as_str(), r.review.text.as_str()))
        });
        self.identification(&spaces.trials(texts, self.settings.seed)?, None, &mut figures)?;
        Ok(figures)
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
) -> Result<Vec<Compared>> {
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
            Compared {
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
fn examples(plan: &Plan, outcomes: &Outcomes) -> Vec<Example> {
    let step = plan.cases.len().div_ceil(EXAMPLES).max(1);
    let mut examples = Vec::new();
    for (number, case) in plan.cases.iter().enumerate().step_by(step) {
        let written: Vec<_> = outcomes
            .methods
            .iter()
            .filter_map(|of_method| {
                let outcome = of_method.cases.get(number)?.as_ref()?;
                let wrong = outcome.wrong_texts.first().cloned();
                Some((of_method.method.name(), outcome.texts.first()?.clone(), wrong))
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
