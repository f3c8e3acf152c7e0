//! Texts that an adapter is trained on, each with what was known of its user before it and what is known of
//! another one.

use std::collections::{BTreeMap, BTreeSet};

use idiolect_core::corpus::{ReviewId, Target, View};
use idiolect_core::methods::{History, Method, MethodInputs, MethodOptions};
use idiolect_core::task::Task;
use idiolect_engine::encoder::Encoder;
use idiolect_engine::lm::Lm;
use idiolect_engine::progress::{Progress, ProgressStage, Silent};
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::AdapterSettings;
use super::vectors::{TextVectors, UserVectors};
use crate::np::StyleTexts;
use crate::{Error, Result};

/// Fewest own texts before one that is trained on.
const MIN_PAST: usize = 2;
/// Most texts of one user, the newest.
const MOST_TEXTS: usize = 4;

/// Inputs of the training of an adapter.
#[derive(Clone, Copy)]
pub struct AdapterInputs<'a> {
    /// The visible texts.
    pub view: &'a View<'a>,
    /// The language model.
    pub lm: &'a Lm,
    /// The sentence encoder; needed by `pplug`.
    pub encoder: Option<&'a Encoder>,
    /// The task, whose prompt without past texts is used.
    pub task: &'a Task,
    /// Settings of methods; the sampling has no effect.
    pub options: &'a MethodOptions,
    /// Progress.
    pub progress: &'a dyn Progress,
}

/// A text and its place among its user's, before it is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DrawnText {
    pub(super) user: usize,
    /// Index of the text.
    text: usize,
    /// Indices of the texts before it that count, oldest first.
    past: Vec<usize>,
    /// The other user's texts that count.
    other: Vec<usize>,
}

/// A text in the form in which the language model reads it.
pub(super) struct AdapterExample {
    pub(super) user: usize,
    /// Tokens of the prompt and of the label before the text, if there is one.
    pub(super) prompt: Vec<u32>,
    /// Tokens of the text that count.
    pub(super) text: Vec<u32>,
    pub(super) own: UserVectors,
    pub(super) other: UserVectors,
}

/// Draws texts of users of `among` that have at least two before them.
pub(super) fn draw_texts(
    texts: &StyleTexts,
    among: &BTreeSet<usize>,
    settings: &AdapterSettings,
) -> Vec<DrawnText> {
    let mut random = ChaCha8Rng::seed_from_u64(settings.seed);
    let newest = |own: &[usize]| own[own.len().saturating_sub(settings.n_past)..].to_vec();
    let with_past: Vec<usize> =
        among.iter().copied().filter(|user| texts.texts_of(*user).len() > MIN_PAST).collect();
    let mut drawn = Vec::new();
    for &user in &with_past {
        let own = texts.texts_of(user);
        for place in (MIN_PAST..own.len()).rev().take(MOST_TEXTS) {
            drawn.push((user, own[place], newest(&own[..place])));
        }
    }
    drawn.shuffle(&mut random);
    drawn.truncate(settings.texts);
    let mut someone = |not: usize| loop {
        let user = with_past[random.random_range(0..with_past.len())];
        if user != not || with_past.len() == 1 {
            return newest(texts.texts_of(user));
        }
    };
    let with_other = drawn.into_iter().map(|(user, text, past)| {
        let other = someone(user);
        let past = if settings.shuffled { someone(user) } else { past };
        DrawnText { user, text, past, other }
    });
    with_other.collect()
}

impl DrawnText {
    /// The review of the text.
    pub(super) fn review(&self, texts: &StyleTexts) -> ReviewId {
        texts.id_of(self.text)
    }
}

/// Makes the examples: prompts, tokens and vectors. Texts with prompts that are too long, and those without a
/// token, are left out.
pub(super) async fn read_examples(
    inputs: &AdapterInputs<'_>,
    texts: &StyleTexts,
    drawn: &[DrawnText],
    vectors: TextVectors<'_>,
    settings: &AdapterSettings,
) -> Result<Vec<AdapterExample>> {
    let needed: BTreeSet<usize> =
        drawn.iter().flat_map(|drawn| drawn.past.iter().chain(&drawn.other)).copied().collect();
    let stage = ProgressStage::begin(inputs.progress, "reading texts", Some(needed.len() as u64));
    let mut known: BTreeMap<usize, Vec<f32>> = BTreeMap::new();
    let needed: Vec<usize> = needed.into_iter().collect();
    for some in needed.chunks(64) {
        if stage.stop_requested() {
            return Err(Error::Stopped);
        }
        let made = vectors.of(&some.iter().map(|at| texts.text_of(*at)).collect::<Vec<_>>())?;
        known.extend(some.iter().copied().zip(made));
        stage.advance(some.len() as u64);
    }
    let rows = |of: &[usize]| of.iter().filter_map(|at| known.get(at).cloned()).collect();
    let mut examples = Vec::new();
    for drawn in drawn {
        let user = texts.name_of(drawn.user);
        let own = texts.texts_of(drawn.user);
        let place = own.iter().position(|at| *at == drawn.text).unwrap_or(0);
        // Nothing of the user that came later, and nothing of others that did.
        let Some(stored) = inputs.view.reviews(&[drawn.review(texts)])?.pop() else { continue };
        let hidden = own[place..].iter().map(|at| texts.id_of(*at));
        let view = inputs.view.clone().without_all(hidden);
        let view = view.others_before(stored.review.time, &[user]);
        let item = view.item(&stored.review.item)?;
        let (rating, title, context) = (None, None, None);
        let target = Target { user: user.to_owned(), item, rating, title, context };
        let method_inputs = MethodInputs {
            view,
            model: inputs.lm,
            peers: None,
            reward: None,
            task: inputs.task,
            progress: &Silent as &dyn Progress,
            held_out: &[],
        };
        let options = MethodOptions {
            history: History::Own,
            score_limit: Some(settings.tokens),
            ..inputs.options.clone()
        };
        let prepared = Method::NON_PERSO.prepare(&method_inputs, &target, &options).await?;
        let prompted = prepared.prompted(&method_inputs, &options, &stored.review.text)?;
        let mut prompt = inputs.lm.prompt_tokens(&prompted.prompt)?;
        let whole = inputs.lm.tokenize(&prompted.text)?;
        let (opening, text) = whole.split_at(prompted.n_opening.min(whole.len()));
        prompt.extend_from_slice(opening);
        let text = &text[..text.len().min(settings.tokens)];
        if text.is_empty() || prompt.len() > settings.prompt_tokens {
            continue;
        }
        let request = vectors.request(Some(&target.item))?;
        examples.push(AdapterExample {
            user: drawn.user,
            prompt,
            text: text.to_vec(),
            own: vectors.user(rows(&drawn.past), request.as_deref()),
            other: vectors.user(rows(&drawn.other), request.as_deref()),
        });
    }
    Ok(examples)
}
