#![allow(clippy::unwrap_used)]

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::estimate::estimate;
use super::likelihood::{ExpectedToken, ListedCounts, ObservedExample, TokenCount};
use crate::methods::LexicalOptions;
use crate::methods::idiolect::rule::{Rule, Term};
use crate::steering::{
    AuthorWords, DistributionRecorder, ExpectedCounts, ExpectedScore, NgramCache, ObservedPosition,
    Steering, UnigramCounts, expected_bias,
};
use idiolect_engine::lm::{CombineLogits, Distributions};
use idiolect_engine::progress::Silent;

const VOCABULARY: u32 = 60;

/// A user's texts, others' texts on the item, everybody's counts, and the model's distributions.
#[derive(Clone)]
struct Corpus {
    own: Vec<u32>,
    on_item: Vec<u32>,
    everybody: UnigramCounts,
    /// Expectations of the model in the user's and in all other users' texts.
    read: ExpectedCounts,
    all: ExpectedCounts,
    model: Vec<Vec<f32>>,
}

impl Corpus {
    fn new(random: &mut ChaCha8Rng, n: usize) -> Self {
        let favourite = random.random_range(0..VOCABULARY - 4);
        let mut own: Vec<u32> = (0..200).map(|_| random.random_range(0..VOCABULARY)).collect();
        own.extend((0..200).map(|_| favourite + random.random_range(0..4)));
        let on_item = (0..80).map(|_| random.random_range(0..VOCABULARY / 2)).collect();
        let mut everybody = UnigramCounts::new(VOCABULARY as usize);
        (0..VOCABULARY).for_each(|id| everybody.add(id, 40 + id % 7));
        let model = (0..n).map(|_| {
            let scores: Vec<f32> =
                (0..VOCABULARY).map(|_| random.random_range(-3.0..0.0)).collect();
            let norm = Distributions::new(&[], &[]).log_sum_exp(&scores);
            scores.iter().map(|score| score - norm).collect()
        });
        let model = model.collect();
        let mut expected =
            |n: f32| -> Vec<f32> { (0..VOCABULARY).map(|_| random.random_range(0.0..n)).collect() };
        let read = ExpectedCounts::of(&own[100..300], &expected(7.0));
        let counted: Vec<u32> = (0..VOCABULARY / 3).flat_map(|id| [id; 20]).collect();
        let all = ExpectedCounts::of(&counted, &expected(40.0));
        Self { own, on_item, everybody, read, all, model }
    }

    fn words(&self) -> AuthorWords {
        AuthorWords::of(&self.read, &Self::counts(&self.own), &self.everybody)
    }

    fn counts(texts: &[u32]) -> UnigramCounts {
        let mut counts = UnigramCounts::new(VOCABULARY as usize);
        texts.iter().for_each(|id| counts.add(*id, 1));
        counts
    }

    fn steering(&self, rule: &Rule) -> Steering {
        let bias = |texts: &[u32], bias: LexicalOptions| {
            Some((bias.strength, Self::counts(texts).against(&self.everybody, bias.prior)))
        };
        let cache = |texts: &[u32], share| Some((share, NgramCache::of_tokens(&[texts.to_vec()])));
        Steering {
            power: Some(rule.power),
            expected: Some((
                1.0,
                expected_bias(
                    VOCABULARY as usize,
                    (&rule.expected, &self.words()),
                    (&rule.corpus, &self.all),
                ),
            )),
            lexical: bias(&self.own, rule.lexical),
            item: bias(&self.on_item, rule.item),
            phrases: cache(&self.own, rule.phrases),
            item_phrases: cache(&self.on_item, rule.item_phrases),
            ..Steering::default()
        }
    }

    /// Distribution of the next token, by the rule that generates texts.
    fn distribution(&self, steering: &Steering, at: usize, written: &[u32]) -> Vec<f64> {
        let logprobs: [&[f32]; 1] = [&self.model[at]];
        let mut combined = vec![0.0; VOCABULARY as usize];
        let mut rule = steering.rule();
        rule.combine(&Distributions::new(written, &logprobs), &mut combined);
        let norm = Distributions::new(&[], &[]).log_sum_exp(&combined);
        combined.iter().map(|score| f64::from(score - norm).exp()).collect()
    }

    fn listed(&self) -> Vec<u32> {
        // Some tokens of neither text are left out.
        (0..VOCABULARY).filter(|id| self.own.contains(id) || self.on_item.contains(id)).collect()
    }

    fn observed(&self, text: &[u32]) -> ObservedExample {
        let mut listed = self.listed();
        listed.extend(text.iter().filter(|id| !self.own.contains(id)));
        listed.extend(self.words().tokens().chain(self.all.tokens()));
        listed.sort_unstable();
        listed.dedup();
        let of = |texts: &[u32]| ListedCounts {
            tokens: listed
                .iter()
                .map(|id| TokenCount {
                    n: texts.iter().filter(|other| *other == id).count() as f64,
                    background: self.everybody.share(*id),
                })
                .collect(),
            total: texts.len() as f64,
        };
        let words = self.words();
        let expected = |id: &u32| ExpectedToken { own: words.get(*id), all: self.all.get(*id) };
        let (own, on_item) = (&self.own, &self.on_item);
        let own_cache = NgramCache::of_tokens(std::slice::from_ref(own));
        let item_cache = NgramCache::of_tokens(std::slice::from_ref(on_item));
        let positions: Vec<ObservedPosition> = (0..text.len())
            .map(|at| {
                let (mut recorder, seen) = DistributionRecorder::new(listed.clone());
                let mut combined = vec![0.0; VOCABULARY as usize];
                let logprobs: [&[f32]; 1] = [&self.model[at]];
                recorder.combine(&Distributions::new(&text[..at], &logprobs), &mut combined);
                seen.lock().unwrap().pop().unwrap()
            })
            .collect();
        ObservedExample {
            positions,
            observed: text.iter().map(|id| listed.binary_search(id).unwrap()).collect(),
            own: of(own),
            expected: listed.iter().map(expected).collect(),
            item: of(on_item),
            phrases: (0..text.len()).map(|at| own_cache.counts(&text[..at], text[at])).collect(),
            item_phrases: (0..text.len())
                .map(|at| item_cache.counts(&text[..at], text[at]))
                .collect(),
        }
    }

    /// A text drawn from the rule.
    fn draw(&self, random: &mut ChaCha8Rng, rule: &Rule) -> Vec<u32> {
        let steering = self.steering(rule);
        let mut text = Vec::new();
        for at in 0..self.model.len() {
            let mut left = random.random_range(0.0..1.0);
            let distribution = self.distribution(&steering, at, &text);
            let id = distribution.iter().position(|p| {
                left -= p;
                left <= 0.0
            });
            text.push(id.unwrap_or(0) as u32);
        }
        text
    }
}

fn score(strength: f32, prior: f64) -> ExpectedScore {
    ExpectedScore { strength, prior }
}

fn bias(strength: f32) -> LexicalOptions {
    LexicalOptions { strength, prior: 300.0 }
}

#[test]
fn the_likelihood_is_that_of_the_rule_that_generates() {
    let mut random = ChaCha8Rng::seed_from_u64(5);
    let rules = [
        Rule::NONE,
        Rule { power: 0.8, ..Rule::NONE },
        Rule { lexical: bias(0.7), ..Rule::NONE },
        Rule { item: bias(0.4), item_phrases: 0.2, ..Rule::NONE },
        Rule { corpus: score(0.7, 10.0), ..Rule::NONE },
        Rule { expected: score(1.2, 1.0), corpus: score(1.0, 3.0), ..Rule::NONE },
        Rule {
            power: 1.1,
            corpus: score(0.4, 3.0),
            expected: score(0.5, 2.0),
            lexical: bias(0.3),
            item: bias(0.6),
            phrases: 0.3,
            item_phrases: 0.1,
        },
    ];
    for rule in rules {
        let corpus = Corpus::new(&mut random, 12);
        let text = corpus.draw(&mut random, &rule);
        let steering = corpus.steering(&rule);
        let expected: f64 = (0..text.len())
            .map(|at| {
                let of_rule = corpus.distribution(&steering, at, &text[..at]);
                -of_rule[text[at] as usize].log2()
            })
            .sum();
        let observed = corpus.observed(&text);
        let got = observed.bits(&observed.probabilities(&rule), &rule) * text.len() as f64;
        assert!((got - expected).abs() < 0.02, "{rule:?}: {got} {expected}");
    }
}

#[test]
fn strengths_of_drawn_texts_are_found_and_what_does_nothing_is_left_out() {
    let mut random = ChaCha8Rng::seed_from_u64(11);
    let truth = Rule { lexical: bias(0.6), ..Rule::NONE };
    let examples: Vec<ObservedExample> = (0..24)
        .map(|_| {
            let corpus = Corpus::new(&mut random, 40);
            let text = corpus.draw(&mut random, &truth);
            corpus.observed(&text)
        })
        .collect();
    let estimated = estimate(&examples, &[], &Silent).unwrap();
    let rule = estimated.rule;
    // Strength and prior can make up for each other: the texts are as likely as under the truth.
    let bits = |rule: &Rule| {
        let of = |text: &ObservedExample| text.bits(&text.probabilities(rule), rule);
        examples.iter().map(of).sum::<f64>() / examples.len() as f64
    };
    assert!((bits(&rule) - bits(&truth)).abs() < 0.01, "{rule:?}");
    assert!(bits(&rule) < bits(&Rule::NONE) - 0.05, "{rule:?}");
    assert!(estimated.gain > 0.05, "{estimated:?}");
    assert!(estimated.gains.iter().all(|(_, gain)| *gain > 0.0), "{estimated:?}");
    let lexical = estimated.gains.iter().find(|(term, _)| *term == Term::Lexical).unwrap().1;
    assert!(estimated.gains.iter().all(|(_, gain)| *gain <= lexical), "{estimated:?}");
    let score = |score: ExpectedScore| score.strength;
    assert!(score(rule.corpus) < 0.2 && score(rule.expected) < 0.2, "{rule:?}");
    assert!(rule.item.strength < 0.2 && rule.phrases < 0.1, "{rule:?}");
}

#[test]
fn texts_of_the_model_itself_need_no_strengths() {
    let mut random = ChaCha8Rng::seed_from_u64(3);
    let examples: Vec<ObservedExample> = (0..16)
        .map(|_| {
            let corpus = Corpus::new(&mut random, 30);
            let text = corpus.draw(&mut random, &Rule::NONE);
            corpus.observed(&text)
        })
        .collect();
    let estimated = estimate(&examples, &[], &Silent).unwrap();
    assert!(estimated.gain < 0.02, "{estimated:?}");
    let rule = estimated.rule;
    assert!((0.8..1.2).contains(&rule.power) && rule.lexical.strength < 0.2, "{rule:?}");
}

#[test]
fn of_strengths_that_are_as_likely_those_with_more_lift_are_taken() {
    let mut random = ChaCha8Rng::seed_from_u64(17);
    let truth = Rule { lexical: bias(0.5), ..Rule::NONE };
    let (mut right, mut others) = (Vec::new(), Vec::new());
    let mut texts_of_before: Option<Corpus> = None;
    for _ in 0..24 {
        let corpus = Corpus::new(&mut random, 40);
        let text = corpus.draw(&mut random, &truth);
        right.push(corpus.observed(&text));
        // The same model and item, another user's texts.
        let own = texts_of_before.as_ref().map_or(&corpus, |before| before).own.clone();
        others.push(Corpus { own, ..corpus.clone() }.observed(&text));
        texts_of_before = Some(corpus);
    }
    let likeliest = estimate(&right, &[], &Silent).unwrap();
    let estimated = estimate(&right, &others, &Silent).unwrap();
    assert!(estimated.lift.1 > estimated.lift.0 + 0.05, "{estimated:?}");
    assert!(estimated.rule.lexical.strength > likeliest.rule.lexical.strength, "{estimated:?}");
    let bits = |rule: &Rule| -> Vec<f64> {
        right.iter().map(|text| text.bits(&text.probabilities(rule), rule)).collect()
    };
    let (best, taken) = (bits(&likeliest.rule), bits(&estimated.rule));
    let costs: Vec<f64> = taken.iter().zip(&best).map(|(taken, best)| taken - best).collect();
    let (cost, error) = super::mean_and_error(&costs);
    assert!(cost <= error, "{cost} {error}");
    assert_eq!((likeliest.gain, &likeliest.gains), (estimated.gain, &estimated.gains));
}

#[test]
fn a_requested_stop_ends_the_estimate() {
    struct Stop;
    impl idiolect_engine::progress::Progress for Stop {
        fn begin(&self, _: &str, _: Option<u64>) {}
        fn advance(&self, _: u64) {}
        fn end(&self) {}
        fn stop_requested(&self) -> bool {
            true
        }
    }
    let mut random = ChaCha8Rng::seed_from_u64(3);
    let corpus = Corpus::new(&mut random, 5);
    let text = corpus.draw(&mut random, &Rule::NONE);
    assert_eq!(estimate(&[corpus.observed(&text)], &[], &Stop), None);
}
