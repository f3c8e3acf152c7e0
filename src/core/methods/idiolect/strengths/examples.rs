//! Texts from which strengths are estimated: the newest visible text of some users, and all that
//! the method would know when it generates it.

use std::collections::{BTreeSet, HashMap};

use sha2::{Digest, Sha256};

use super::likelihood::{ExpectedToken, ListedCounts, ObservedExample, TokenCount};
use crate::client::ScoreCall;
use crate::corpus::{ReviewId, Target, View};
use crate::methods::idiolect::example_selection::ExampleSelection;
use crate::methods::idiolect::leave_one_out::without;
use crate::methods::{MethodContext, PastReview, Result};
use crate::steering::{
    AuthorWords, ExpectedCounts, LengthBackground, NgramCache, UnigramCounts, Vocabulary,
};
use crate::task::Draft;

/// Number of users whose newest text is read.
const MAX_USERS: usize = 32;
/// Number of tokens of each text that count.
const TOKENS: usize = 64;
/// Number of visible texts that a user needs: one to hold out, and two for the prompt.
const MIN_TEXTS: usize = 3;

/// A held-out text of a user, and what the method would know.
pub(super) struct StrengthExample {
    /// The text, with its item.
    pub(super) own: PastReview,
    target: Target,
    /// The user's other texts, oldest first.
    pub(super) rest: Vec<PastReview>,
    /// Another user whose texts are about as long, and their older texts on other items.
    pub(super) other: (String, Vec<PastReview>),
    /// Others' texts on the item.
    on_item: Vec<(ReviewId, String)>,
}

impl StrengthExample {
    /// The reviews that the example reads.
    pub(super) fn sources(&self) -> impl Iterator<Item = ReviewId> {
        let own = std::iter::once(self.own.0.id);
        let shown = self.rest.iter().chain(&self.other.1);
        own.chain(shown.map(|(review, _)| review.id)).chain(self.on_item.iter().map(|(id, _)| *id))
    }

    /// The prompts for which the text would be generated after some of the past texts in `texts`, and the
    /// reviews that they show.
    pub(super) fn prompts(
        &self,
        context: &MethodContext<'_>,
        choice: &PromptChoice,
        texts: &[PastReview],
    ) -> (Vec<Draft>, Vec<ReviewId>) {
        let PromptChoice { selection, n_prompts } = choice;
        let target = Some(&self.target);
        let past = selection.past_of_prompts(context, target, texts, *n_prompts);
        let shown = past.iter().flatten().map(|(review, _)| review.id);
        let sources = shown.chain([self.own.0.id]).collect();
        (past.iter().map(|past| selection.draft(target, past)).collect(), sources)
    }

    /// The call that scores the example's text after a prompt.
    pub(super) fn call<'a>(
        &'a self,
        context: &MethodContext<'_>,
        draft: Draft,
        sources: &'a [ReviewId],
    ) -> ScoreCall<'a> {
        ScoreCall {
            stage: context.options.idiolect.form.stage(),
            draft,
            sources,
            text: &self.own.0.review.text,
            limit: Some(TOKENS),
            // The task's limit, so that the prompts do not depend on a caller's.
            max_tokens: None,
            top: 0,
        }
    }
}

/// The past texts of the user's prompts.
pub(super) struct PromptChoice {
    pub(super) selection: ExampleSelection,
    pub(super) n_prompts: usize,
}

/// The whole corpus but what an evaluation holds out, whatever the context's target is.
pub(super) fn corpus_view<'c>(context: &MethodContext<'c>) -> View<'c> {
    View::all(context.view.store()).without_all(context.held_out.iter().copied())
}

/// Visible texts of up to [`MAX_USERS`] users, oldest first, drawn by the hash of their names: the same
/// users again after others were added.
pub(super) fn histories(context: &MethodContext<'_>) -> Result<Vec<(String, Vec<PastReview>)>> {
    let store = context.view.store();
    let view = corpus_view(context);
    let mut users: Vec<([u8; 32], String)> = store
        .users(MIN_TEXTS as u64)?
        .into_iter()
        .map(|summary| (Sha256::digest(&summary.user).into(), summary.user))
        .collect();
    users.sort_unstable();
    let mut histories: Vec<(String, Vec<PastReview>)> = Vec::new();
    for (_, user) in users {
        if histories.len() == MAX_USERS {
            break;
        }
        let mut history = Vec::new();
        for review in view.history(&user)? {
            if !review.review.text.trim().is_empty() {
                let item = view.item(&review.review.item)?;
                history.push((review, item));
            }
        }
        if history.len() >= MIN_TEXTS {
            histories.push((user, history));
        }
    }
    Ok(histories)
}

/// An example of each of the users of [`histories`].
pub(super) fn of_corpus(context: &MethodContext<'_>) -> Result<Vec<StrengthExample>> {
    let view = corpus_view(context);
    let histories = histories(context)?;
    let mut examples = Vec::with_capacity(histories.len());
    for (user, history) in &histories {
        let Some(own) = history.last().cloned() else { continue };
        let (target, rest) = without(history, &own);
        // As in an evaluation: others' texts are visible if they are older.
        let visible = match own.0.review.time {
            0 => view.clone(),
            time => view.clone().others_before(time, &[user]),
        };
        let on_item = visible.reviews_of(&target.item.id)?.into_iter();
        let on_item = on_item
            .filter(|other| other.review.user != *user)
            .map(|other| (other.id, other.review.text))
            .collect();
        let other = other_user(&histories, user, &rest, &target.item.id);
        examples.push(StrengthExample { own, target, rest, other, on_item });
    }
    Ok(examples)
}

/// Of the other users the one whose texts on other items are nearest in length to `rest`, by the mean
/// logarithm, and these texts. Length alone must not tell the users apart.
fn other_user(
    histories: &[(String, Vec<PastReview>)],
    user: &str,
    rest: &[PastReview],
    item: &str,
) -> (String, Vec<PastReview>) {
    let log_length = |texts: &[PastReview]| {
        let length = |(review, _): &PastReview| (review.review.text.len() as f64).ln();
        texts.iter().map(length).sum::<f64>() / texts.len().max(1) as f64
    };
    let own = log_length(rest);
    let others =
        histories.iter().filter(|(other, _)| other != user).filter_map(|(other, texts)| {
            let elsewhere = texts.iter().filter(|(review, _)| review.review.item != item);
            let elsewhere: Vec<PastReview> = elsewhere.cloned().collect();
            let distance = (log_length(&elsewhere) - own).abs();
            (!elsewhere.is_empty()).then(|| (distance, other.clone(), elsewhere))
        });
    let nearest = others.min_by(|a, b| a.0.total_cmp(&b.0));
    nearest.map(|(_, other, texts)| (other, texts)).unwrap_or_default()
}

/// A text as the model saw it, and the summed probability of an end at its positions.
pub(super) struct ObservedEnds {
    pub(super) example: ObservedExample,
    pub(super) ends: f64,
}

/// Lets the model read an example's text after some of the past texts in `shown`, and records its
/// distributions. `background` counts the texts of all users but the one who wrote these; `words` are the
/// counts and expectations of these and of all other users' texts.
pub(super) async fn observe(
    context: &MethodContext<'_>,
    example: &StrengthExample,
    choice: &PromptChoice,
    shown: &[PastReview],
    background: &UnigramCounts,
    words: (&ExpectedCounts, &ExpectedCounts),
) -> Result<ObservedEnds> {
    let vocabulary = context.model.vocabulary()?;
    let texts = || shown.iter().map(|(review, _)| review.review.text.as_str());
    let on_item = || example.on_item.iter().map(|(_, text)| text.as_str());
    let own = counts(vocabulary, texts())?;
    let item = counts(vocabulary, on_item())?;
    let ends = vocabulary.end_tokens();
    let mut listed: BTreeSet<u32> = own.keys().chain(item.keys()).chain(&ends).copied().collect();
    let mut of_texts = UnigramCounts::new(vocabulary.n_tokens());
    own.iter().for_each(|(id, n)| of_texts.add(*id, *n));
    let author = AuthorWords::of(words.0, &of_texts, background);
    listed.extend(author.tokens().chain(words.1.tokens()));
    let (drafts, sources) = example.prompts(context, choice, shown);
    let mut drafts = drafts.into_iter();
    let call = example.call(context, drafts.next().unwrap_or_default(), &sources);
    listed.extend(vocabulary.tokenize(example.own.0.review.text.trim())?);
    let listed: Vec<u32> = listed.into_iter().collect();
    let further: Vec<Draft> = drafts.collect();
    let seen = context.calls.observe(call, &further, listed.clone()).await?;
    let index: HashMap<u32, usize> = listed.iter().enumerate().map(|(i, id)| (*id, i)).collect();

    let mut of_item_texts = UnigramCounts::new(vocabulary.n_tokens());
    item.iter().for_each(|(id, n)| of_item_texts.add(*id, *n));
    let of_own = listed_counts(&listed, &own, background);
    let of_item = listed_counts(&listed, &item, &background.without(&of_item_texts));
    let own_cache = NgramCache::of(vocabulary, texts())?;
    let item_cache = NgramCache::of(vocabulary, on_item())?;
    let expected = |id: &u32| ExpectedToken { own: author.get(*id), all: words.1.get(*id) };
    let expected = listed.iter().map(expected).collect();
    let mut observed =
        ObservedExample { own: of_own, item: of_item, expected, ..Default::default() };
    let mut chance = 0.0;
    for (at, position) in seen.positions.into_iter().enumerate() {
        let (before, id) = (&seen.tokens[..seen.first + at], seen.tokens[seen.first + at]);
        // A token that is not listed belongs to another tokenization of the text.
        let Some(place) = index.get(&id) else { break };
        let of_end =
            |end: &u32| index.get(end).map_or(0.0, |i| f64::from(position.listed()[*i]).exp());
        chance += ends.iter().map(of_end).sum::<f64>();
        observed.observed.push(*place);
        observed.phrases.push(own_cache.counts(before, id));
        observed.item_phrases.push(item_cache.counts(before, id));
        observed.positions.push(position);
    }
    Ok(ObservedEnds { example: observed, ends: chance })
}

/// Counts of each distinct token of some texts.
fn counts<'t>(
    vocabulary: &dyn Vocabulary,
    texts: impl Iterator<Item = &'t str>,
) -> Result<HashMap<u32, u32>> {
    let mut counts = HashMap::new();
    for text in texts {
        for (id, n) in vocabulary.token_counts(text)?.iter() {
            *counts.entry(*id).or_insert(0) += n;
        }
    }
    Ok(counts)
}

fn listed_counts(
    listed: &[u32],
    counts: &HashMap<u32, u32>,
    background: &UnigramCounts,
) -> ListedCounts {
    let of = |id: &u32| TokenCount {
        n: f64::from(counts.get(id).copied().unwrap_or(0)),
        background: background.share(*id),
    };
    let total = counts.values().map(|n| f64::from(*n)).sum();
    ListedCounts { tokens: listed.iter().map(of).collect(), total }
}

/// Spread of the lengths of one user's texts, in bytes: the median over the users; `None` if none has two
/// texts.
pub(super) fn spread(histories: &[(String, Vec<PastReview>)]) -> Option<f64> {
    let lengths = |texts: &Vec<PastReview>| -> Vec<usize> {
        texts.iter().map(|(review, _)| review.review.text.trim().len()).collect()
    };
    let spreads = histories.iter().map(|(_, texts)| LengthBackground::spread_of(&lengths(texts)));
    let mut spreads: Vec<f64> = spreads.flatten().collect();
    spreads.sort_by(f64::total_cmp);
    Some(spreads.get(spreads.len() / 2)?.max(0.05))
}
