//! Strengths of the rules, estimated once for a corpus and a language model.
//!
//! Of up to 32 users the newest visible text is held out and scored with the user's other texts in
//! the prompt, as the method would, and once more with another user's. Of the strengths under which
//! these texts are about as likely as they can be, those are taken that depend most on whose texts are
//! in the prompt (`estimate`); a term that saves nothing on users that it was not fitted on has no
//! effect. The result is stored, and texts that an evaluation holds out are never read.

mod estimate;
mod examples;
mod likelihood;

use serde::{Deserialize, Serialize};

use super::Texts;
use super::example_selection::ExampleSelection;
use super::expectation::{self, Reading};
use super::lexical::{others_counts, sample_of};
use super::rule::{Rule, Term};
use crate::client::{ContrastPrompts, Scored};
use crate::corpus::{Key, Store};
use crate::methods::{Error, IdiolectOptions, MethodContext, Result};
use crate::steering::{LengthBackground, Steering};
use examples::{PromptChoice, StrengthExample};
use idiolect_engine::progress::{Progress, ProgressStage, Silent};

/// Kind under which strengths are stored.
const KIND: &str = "strengths";
/// Number of users from which strengths are estimated; with fewer the defaults are used.
const MIN_USERS: usize = 8;
/// Number of tokens of prompts with others' texts after which no further user's are read.
const CORPUS_TOKENS: usize = 8192;
/// Number of users whose texts are read even if these have more tokens.
const CORPUS_USERS: usize = 4;
/// Number of tokens whose counts over all users are kept, the most frequent: the others have too few.
const MAX_WORDS: usize = 4096;

/// Strengths of a corpus and a language model, and how they were found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct CorpusStrengths {
    /// The language model's name for messages: the start of its fingerprint.
    pub model: String,
    /// Number of users that they were estimated from; 0 if the defaults are used.
    pub users: usize,
    /// Maximum number of past texts in the prompts.
    pub n: usize,
    /// Whether the prompt has the most relevant texts instead of the newest.
    pub relevant: bool,
    /// Bits per token that the most relevant texts save against the newest, and the standard error; 0
    /// if that was not asked for.
    pub relevant_gain: (f64, f64),
    /// Number of prompts with texts of the user.
    pub prompts: usize,
    /// Bits per token that a second prompt saves, and the standard error; 0 if that was not asked for.
    pub prompts_gain: (f64, f64),
    /// The strengths.
    pub rule: Rule,
    /// Lengths of texts, and the model's chance of an end.
    pub length: LengthBackground,
    /// Bits per token of the held-out texts under the model alone.
    pub bits: f64,
    /// Bits per token that the rule saves on users that it was not fitted on.
    pub gain: f64,
    /// Bits per token that each term saves beside the others.
    pub gains: Vec<(Term, f64)>,
    /// Bits per token that the held-out texts cost more after another user's texts, under the model
    /// alone and under the rule, on the users that it was fitted on.
    pub lift: (f64, f64),
}

impl CorpusStrengths {
    /// The defaults, for a corpus of too few users.
    fn defaults(model: String, n: usize) -> Self {
        Self {
            model,
            users: 0,
            n,
            relevant: false,
            relevant_gain: (0.0, 0.0),
            prompts: 1,
            prompts_gain: (0.0, 0.0),
            rule: Rule::default(),
            length: LengthBackground::default(),
            bits: 0.0,
            gain: 0.0,
            gains: Vec::new(),
            lift: (0.0, 0.0),
        }
    }

    /// All strengths that are stored, the newest last.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn stored(store: &Store) -> crate::corpus::Result<Vec<Self>> {
        let values = store.derived_values(KIND)?;
        Ok(values.iter().filter_map(|value| serde_json::from_str(value).ok()).collect())
    }

    /// With the strengths and the choice of texts that the options give instead.
    pub(super) fn given(self, options: &IdiolectOptions) -> Self {
        let relevant = match options.texts {
            Texts::Estimated => self.relevant,
            Texts::Relevant => true,
            Texts::Newest | Texts::Chosen => false,
        };
        let rule = if options.estimate { self.rule } else { Rule::default() };
        let prompts = if options.prompts > 0 { options.prompts } else { self.prompts };
        Self { rule: rule.given(options), relevant, prompts, ..self }
    }
}

/// The strengths for the context's corpus and model: stored ones, or new ones.
///
/// # Errors
/// The store or the model fails, or a stop is requested.
pub(super) async fn of_corpus(context: &MethodContext<'_>) -> Result<CorpusStrengths> {
    let options = &context.options.idiolect;
    let model: String = context.model.fingerprint().chars().take(12).collect();
    if options.nothing_estimated() || !context.model.tells_distributions() {
        return Ok(CorpusStrengths::defaults(model, context.options.n).given(options));
    }
    let examples = examples::of_corpus(context)?;
    if examples.len() < MIN_USERS {
        return Ok(CorpusStrengths::defaults(model, context.options.n).given(options));
    }
    let key = key(context, &examples);
    let store = context.view.store();
    // They belong to the corpus, as the index does, so that they are read even if stored answers are
    // not. A value in an older format is computed again.
    let stored = store.derived(KIND, &key)?;
    let stored = stored.and_then(|value| serde_json::from_str::<CorpusStrengths>(&value).ok());
    if let Some(strengths) = stored {
        return Ok(strengths.given(options));
    }
    let strengths = estimated(context, model, &examples).await?;
    let sources: Vec<_> = examples.iter().flat_map(StrengthExample::sources).collect();
    let stored = serde_json::to_string(&strengths).unwrap_or_default();
    store.put_derived(KIND, &key, &stored, &sources)?;
    Ok(strengths.given(options))
}

/// Key of the strengths: the texts that they are estimated from, those that are held out, the
/// model, the prompt, and the seed of the sample of others' texts.
fn key(context: &MethodContext<'_>, examples: &[StrengthExample]) -> Key {
    let stage = context.options.idiolect.form.stage();
    let spec = context.task.stage(stage).map(|spec| format!("{spec:?}")).unwrap_or_default();
    let key = Key::of(KIND)
        .with("version", "4")
        .with("model", context.model.fingerprint())
        .with("stage", spec)
        .with("n", context.options.n.to_le_bytes())
        .with("texts", format!("{:?}", context.options.idiolect.texts))
        .with("prompts", context.options.idiolect.prompts.to_le_bytes())
        .with("seed", context.options.profile_seed.to_le_bytes());
    let held_out = context.held_out.iter();
    let key = held_out.fold(key, |key, id| key.with("held out", id.0.to_le_bytes()));
    let sources = examples.iter().flat_map(StrengthExample::sources);
    sources.fold(key, |key, id| key.with("id", id.0.to_le_bytes())).finish()
}

async fn estimated(
    context: &MethodContext<'_>,
    model: String,
    examples: &[StrengthExample],
) -> Result<CorpusStrengths> {
    let settings = &context.options.idiolect;
    let choices = candidates(settings);
    let total = Some((choices.len() + 2) as u64 * examples.len() as u64);
    let stage = ProgressStage::begin(context.progress, "estimating strengths", total);
    let mut bits = vec![Vec::with_capacity(examples.len()); choices.len()];
    if choices.len() > 1 {
        for example in examples {
            for (bits, choice) in bits.iter_mut().zip(&choices) {
                context.check_stop()?;
                bits.push(plain_bits(context, example, choice).await?);
                stage.advance(1);
            }
        }
    }
    let compared = |of: fn(&PromptChoice) -> bool| gain_of(&choices, &bits, of);
    let relevant_gain = compared(|choice| choice.selection.relevant);
    let prompts_gain = compared(|choice| choice.n_prompts > 1);
    let relevant = match settings.texts {
        Texts::Estimated => relevant_gain.0 > 0.0,
        texts => texts == Texts::Relevant,
    };
    let prompts = match settings.prompts {
        0 => 1 + usize::from(prompts_gain.0 > 0.0),
        given => given,
    };
    let selection = ExampleSelection { relevant, ..ExampleSelection::default() };
    let choice = PromptChoice { selection, n_prompts: prompts };

    let view = examples::corpus_view(context);
    let reviews = sample_of(&view, context.options.profile_seed)?;
    let (mut observed, mut under_others) = (Vec::new(), Vec::new());
    let (mut chance, mut n_positions) = (0.0, 0);
    for example in examples {
        context.check_stop()?;
        let own = &example.own.0.review.user;
        let (other, texts) = &example.other;
        let all = texts_of_others(context, &[own, other], &Silent).await?.reading.words;
        let words = expectation::of_corpus_user(context, &example.rest).await?.without(None).words;
        let background = others_counts(context.model, &reviews, own)?;
        let (rest, of) = (&example.rest, (&words, &all));
        let text = examples::observe(context, example, &choice, rest, &background, of).await?;
        chance += text.ends;
        n_positions += text.example.positions.len();
        observed.push(text.example);
        stage.advance(1);
        context.check_stop()?;
        let words = expectation::of_corpus_user(context, texts).await?.without(None).words;
        let background = others_counts(context.model, &reviews, other)?;
        let of = (&words, &all);
        let text = examples::observe(context, example, &choice, texts, &background, of).await?;
        under_others.push(text.example);
        stage.advance(1);
    }
    let estimate =
        estimate::estimate(&observed, &under_others, context.progress).ok_or(Error::Stopped)?;
    let length = LengthBackground {
        spread: examples::spread(&examples::histories(context)?)
            .unwrap_or(LengthBackground::default().spread),
        chance: (chance / n_positions.max(1) as f64).clamp(1e-6, 0.5),
    };
    Ok(CorpusStrengths {
        model,
        users: examples.len(),
        n: context.options.n,
        relevant,
        relevant_gain,
        prompts,
        prompts_gain,
        rule: estimate.rule,
        length,
        bits: estimate.bits,
        gain: estimate.gain,
        gains: estimate.gains,
        lift: estimate.lift,
    })
}

/// Figures of texts of other users.
#[derive(Debug, Default)]
pub(super) struct OthersTexts {
    /// Words of those that the model read, and its expectation of each.
    pub(super) reading: Reading,
    /// Spread of the lengths of one user's texts; `None` if there are not enough users.
    pub(super) spread: Option<f64>,
}

/// Lets the model read texts of users of the corpus, without some of them: of as many as have some
/// thousand tokens, and of none if there are not enough users. They are read once, which takes up to minutes
/// with a large model.
pub(super) async fn texts_of_others(
    context: &MethodContext<'_>,
    without: &[&str],
    progress: &dyn Progress,
) -> Result<OthersTexts> {
    let histories = examples::histories(context)?;
    if histories.len() < MIN_USERS {
        return Ok(OthersTexts::default());
    }
    let stage = ProgressStage::begin(
        progress,
        "reading others' texts (once for a corpus and a model)",
        Some(CORPUS_TOKENS as u64),
    );
    let others = histories.iter().filter(|(user, _)| !without.contains(&user.as_str()));
    let (mut sum, mut n_read) = (Reading::default(), 0);
    for (i, (_, history)) in others.enumerate() {
        if i >= CORPUS_USERS && n_read >= CORPUS_TOKENS {
            break;
        }
        let texts = expectation::of_corpus_user(context, history).await?;
        sum.add(&texts.without(None));
        let before = n_read;
        n_read += texts.tokens_read();
        let shown = |n: usize| n.min(CORPUS_TOKENS) as u64;
        stage.advance(shown(n_read) - shown(before));
    }
    let reading = Reading { words: sum.words.largest(MAX_WORDS), ..sum };
    Ok(OthersTexts { reading, spread: examples::spread(&histories) })
}

/// The past texts of prompts between which the corpus decides.
fn candidates(settings: &IdiolectOptions) -> Vec<PromptChoice> {
    let relevant = match settings.texts {
        Texts::Estimated => vec![false, true],
        texts => vec![texts == Texts::Relevant],
    };
    let prompts = match settings.prompts {
        0 => vec![1, 2],
        given => vec![given],
    };
    let of = |relevant| {
        let selection = move || ExampleSelection { relevant, ..ExampleSelection::default() };
        prompts.iter().map(move |n| PromptChoice { selection: selection(), n_prompts: *n })
    };
    relevant.into_iter().flat_map(of).collect()
}

/// Bits per token that the choices with a property save against those without, and the standard error;
/// 0 if all choices are alike in it. `bits` are those of each text under each choice.
fn gain_of(
    choices: &[PromptChoice],
    bits: &[Vec<f64>],
    has: fn(&PromptChoice) -> bool,
) -> (f64, f64) {
    let n_with = choices.iter().filter(|choice| has(choice)).count();
    if n_with == 0 || n_with == choices.len() {
        return (0.0, 0.0);
    }
    let n_texts = bits.first().map_or(0, Vec::len);
    let saved = |text: usize| {
        let of = |choice: &PromptChoice, bits: &Vec<f64>| match has(choice) {
            true => -bits[text] / n_with as f64,
            false => bits[text] / (choices.len() - n_with) as f64,
        };
        choices.iter().zip(bits).map(|(choice, bits)| of(choice, bits)).sum()
    };
    mean_and_error(&(0..n_texts).map(saved).collect::<Vec<f64>>())
}

/// Bits per token of an example's text under the user's prompts alone.
async fn plain_bits(
    context: &MethodContext<'_>,
    example: &StrengthExample,
    choice: &PromptChoice,
) -> Result<f64> {
    let (drafts, sources) = example.prompts(context, choice, &example.rest);
    let mut drafts = drafts.into_iter();
    let call = example.call(context, drafts.next().unwrap_or_default(), &sources);
    let contrast = ContrastPrompts { further: drafts.collect(), ..ContrastPrompts::default() };
    let mixed = Steering { further: contrast.further.len(), ..Steering::default() };
    let scored = context.calls.score_steered(call, &contrast, &[mixed]).await?;
    Ok(scored.first().and_then(Scored::bits_per_token).unwrap_or(0.0))
}

/// Mean and its standard error.
fn mean_and_error(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n.max(1.0);
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    let variance = squares / (n - 1.0).max(1.0);
    (mean, (variance / n.max(1.0)).sqrt())
}

#[cfg(test)]
mod tests;
