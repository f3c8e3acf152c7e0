//! Sentences sorted by the tokens before each token, of which many small models are made.

use std::collections::HashMap;
use std::ops::Range;

use rayon::prelude::*;

/// Padding before a sentence.
const BEGIN: u32 = 0;
/// Padding after a sentence.
const END: u32 = 1;
/// A token that no indexed sentence has.
const UNKNOWN: u32 = u32::MAX;

/// Sentences of all authors that are compared, as token ids.
///
/// All positions are sorted once by the tokens before them, the nearest first. The positions after
/// one context of up to `order - 1` tokens are then a range of ranks, in every model of any of
/// the sentences; a model is no more than the sorted ranks of its sentences.
#[derive(Debug, Clone)]
pub struct SentenceIndex {
    order: usize,
    ids: HashMap<String, u32>,
    /// All sentences, each after `order - 1` times [`BEGIN`] and before [`END`].
    tokens: Vec<u32>,
    /// Positions of each sentence in `tokens`, its [`END`] included.
    sentences: Vec<Range<usize>>,
    /// Positions that are predicted, sorted by the tokens before them.
    by_context: Vec<u32>,
    /// Rank in `by_context` of each position; 0 for padding.
    rank: Vec<u32>,
}

impl SentenceIndex {
    /// Indexes sentences for models of `order`, at least 1: tokens are predicted from up to
    /// `order - 1` tokens before them.
    pub fn new<'s>(order: usize, sentences: impl IntoIterator<Item = &'s Vec<String>>) -> Self {
        let order = order.max(1);
        let mut index = Self {
            order,
            ids: HashMap::new(),
            tokens: Vec::new(),
            sentences: Vec::new(),
            by_context: Vec::new(),
            rank: Vec::new(),
        };
        for sentence in sentences {
            index.tokens.extend(std::iter::repeat_n(BEGIN, order - 1));
            let start = index.tokens.len();
            for token in sentence {
                let next = index.ids.len() as u32 + END + 1;
                let id = *index.ids.entry(token.clone()).or_insert(next);
                index.tokens.push(id);
            }
            index.tokens.push(END);
            index.sentences.push(start..index.tokens.len());
        }
        let Self { tokens, sentences, .. } = &index;
        let mut by_context: Vec<u32> =
            sentences.iter().flat_map(|positions| positions.clone().map(|p| p as u32)).collect();
        let context = |position: u32| {
            let position = position as usize;
            tokens[position + 1 - order..position].iter().rev()
        };
        by_context.par_sort_unstable_by(|a, b| context(*a).cmp(context(*b)).then(a.cmp(b)));
        let mut rank = vec![0; tokens.len()];
        for (at, position) in (0..).zip(&by_context) {
            rank[*position as usize] = at;
        }
        Self { by_context, rank, ..index }
    }

    /// Number of sentences.
    #[must_use]
    pub fn len(&self) -> usize {
        self.sentences.len()
    }

    /// Whether there are no sentences.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sentences.is_empty()
    }

    /// Highest number of tokens of an n-gram.
    #[must_use]
    pub fn order(&self) -> usize {
        self.order
    }

    /// Number of token ids; all ids but that of unknown tokens are below it.
    pub(super) fn n_ids(&self) -> usize {
        self.ids.len() + END as usize + 1
    }

    /// Ranks of all positions of a sentence, its end included. No ranks if there is no such
    /// sentence.
    pub(super) fn ranks_of(&self, sentence: usize) -> &[u32] {
        self.sentences.get(sentence).map_or(&[], |positions| &self.rank[positions.clone()])
    }

    /// Token at the position of a rank, and the token `back` places before it.
    pub(super) fn token_and_earlier(&self, rank: u32, back: usize) -> (u32, u32) {
        let position = self.by_context[rank as usize] as usize;
        (self.tokens[position], self.tokens[position - back])
    }

    /// Prepares a text for scoring by models of this index's sentences.
    #[must_use]
    pub fn questioned(&self, sentences: &[Vec<String>]) -> QuestionedText {
        let mut text = QuestionedText::default();
        let mut known: HashMap<(usize, usize), usize> = HashMap::new();
        let mut slots: HashMap<(usize, u32), usize> = HashMap::new();
        for sentence in sentences {
            let id = |token: &String| self.ids.get(token).copied().unwrap_or(UNKNOWN);
            let mut tokens = vec![BEGIN; self.order - 1];
            tokens.extend(sentence.iter().map(id));
            tokens.push(END);
            for position in self.order - 1..tokens.len() {
                let mut steps = Vec::new();
                let mut ranks = 0..self.by_context.len();
                let mut shorter = None;
                for length in 0..self.order {
                    if length > 0 {
                        ranks = self.narrowed(&ranks, length, tokens[position - length]);
                        if ranks.is_empty() {
                            break;
                        }
                    }
                    let context = *known.entry((length, ranks.start)).or_insert_with(|| {
                        let ranks = ranks.start as u32..ranks.end as u32;
                        let next = Vec::new();
                        text.contexts.push(QuestionedContext { length, ranks, shorter, next });
                        text.contexts.len() - 1
                    });
                    let token = tokens[position];
                    let slot = *slots.entry((context, token)).or_insert_with(|| {
                        text.contexts[context].next.push((token, text.n_slots));
                        text.n_slots += 1;
                        text.n_slots - 1
                    });
                    steps.push((context, slot));
                    shorter = Some(context);
                }
                text.tokens.push(steps);
            }
        }
        text
    }

    /// Ranks, among those after a context of `length - 1` tokens, whose next token back is `token`.
    fn narrowed(&self, ranks: &Range<usize>, length: usize, token: u32) -> Range<usize> {
        let within = &self.by_context[ranks.clone()];
        let back = |position: &u32| self.tokens[*position as usize - length];
        let start = ranks.start + within.partition_point(|position| back(position) < token);
        let end = ranks.start + within.partition_point(|position| back(position) <= token);
        start..end
    }
}

/// A text as the contexts that its tokens are predicted from, prepared for models of one
/// [`SentenceIndex`].
#[derive(Debug, Clone, Default)]
pub struct QuestionedText {
    /// Distinct contexts that some indexed sentence has, each after its shorter one.
    pub(super) contexts: Vec<QuestionedContext>,
    /// Contexts of each token, shortest first, each with the slot for its counts of the token.
    pub(super) tokens: Vec<Vec<(usize, usize)>>,
    /// Number of slots: distinct pairs of a context and a token after it.
    pub(super) n_slots: usize,
}

impl QuestionedText {
    /// Number of predicted tokens: those of all sentences, and the end of each.
    #[must_use]
    pub fn n_tokens(&self) -> usize {
        self.tokens.len()
    }
}

/// A context of a [`QuestionedText`].
#[derive(Debug, Clone)]
pub(super) struct QuestionedContext {
    /// Number of tokens.
    pub(super) length: usize,
    /// Ranks of the positions after the context in the whole index.
    pub(super) ranks: Range<u32>,
    /// Index of the context without its first token; `None` if this one has no tokens.
    pub(super) shorter: Option<usize>,
    /// Tokens that the text has after the context, each with its slot.
    pub(super) next: Vec<(u32, usize)>,
}
