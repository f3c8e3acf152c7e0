//! Options of the method `idiolect`.

use serde::{Deserialize, Serialize};

use super::contrast_text;
use crate::steering::Contrast;

/// Form of past texts in the prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Form {
    /// Each is an answer of the assistant.
    #[default]
    Conversation,
    /// All in one message.
    Flat,
    /// Each is an entry of a plain document that the model continues, without chat template.
    Completion,
}

/// Selection of the past texts in a prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Texts {
    /// The newest.
    #[default]
    Newest,
    /// The newest, or the most relevant to the target if these make texts of the corpus likelier;
    /// see [`CorpusStrengths`](super::CorpusStrengths).
    Estimated,
    /// The most relevant to the target.
    Relevant,
    /// The selection that validates best on the user's own newest texts: the most relevant or the
    /// newest, all or half as many, in either order, with or without a summary of the older ones.
    Chosen,
}

/// Weight of the user's choice of words.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct LexicalOptions {
    /// Strength of the score that each token gets, from 0.
    pub strength: f32,
    /// Pseudo-count of the background distribution (Dirichlet prior): number of tokens that the
    /// others' distribution counts as when the user's is shrunk towards it.
    pub prior: f64,
}

/// Kinds of statements about the user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Statements {
    /// None.
    #[default]
    None,
    /// Counted in the texts.
    Measured,
    /// Extracted by the language model.
    Told,
    /// Both.
    Both,
}

/// Form in which the language model extracts differences.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Extraction {
    /// One JSON field per dimension of the standard, so that every answer can be parsed.
    #[default]
    Constrained,
    /// Free text, as in DPL.
    Free,
    /// Free text along further dimensions too, which a second call checks, as in DRP.
    Open,
}

/// Measure by which the best of several texts is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RankedBy {
    /// Probability under the user's prompt against that under the peers' prompts.
    #[default]
    Likelihood,
    /// The reward head `np`, which learnt from other users how own texts differ from peers'; for all
    /// methods.
    Np,
}

/// Settings of the method `idiolect`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct IdiolectOptions {
    /// Form of past texts in the prompt.
    pub form: Form,
    /// Selection of past texts in the prompt.
    pub texts: Texts,
    /// Number of prompts with `n` past texts each, from 1; the mean of the distributions after them is
    /// the user's. 0 takes 1 or 2, whichever makes texts of the corpus likelier.
    pub prompts: usize,
    /// Whether strengths that are not given are estimated from the corpus; otherwise they are those
    /// of [`Rule::default`](super::Rule::default).
    pub estimate: bool,
    /// Power of the model's probabilities, above 0; 1 leaves them as they are.
    pub power: Option<f32>,
    /// Strength of what the user writes more or less often than the model expects, from 0; 0 turns it
    /// off.
    pub expected: Option<f32>,
    /// Number of expected occurrences at which the user's counts weigh as much as the prior, above 0;
    /// see [`ExpectedScore::prior`](crate::steering::ExpectedScore::prior).
    pub expected_prior: Option<f64>,
    /// Strength of what all users write more or less often than the model expects, from 0; 0 turns it
    /// off.
    pub corpus: Option<f32>,
    /// Strength of the user's choice of words against others', from 0; 0 turns it off.
    pub lexical: Option<f32>,
    /// Pseudo-count of the background distribution; see [`LexicalOptions::prior`].
    pub lexical_prior: Option<f64>,
    /// Strength of the choice of words in others' texts on the item, from 0; 0 turns it off.
    pub item: Option<f32>,
    /// Interpolation weight of the user's n-gram cache, 0 to 1; 0 turns it off.
    pub phrases: Option<f32>,
    /// Interpolation weight of the n-gram cache of others' texts on the item, 0 to 1; 0 turns it
    /// off.
    pub item_phrases: Option<f32>,
    /// Contrast of the user's prompt with the unconditional prompt and the peers' prompts.
    #[serde(with = "contrast_text")]
    pub contrast: Contrast,
    /// Distinctness of the user, 0 (like everybody) to 1, by which `b` of the contrast with peers
    /// is multiplied. `None` takes [`distinctness`](crate::peers::distinctness) of the past texts.
    pub distinct: Option<f32>,
    /// Whether the strengths of the choice of words and of the contrast, and the number of peers'
    /// prompts, are fitted on the user's own past. If not, or if there are too few past texts,
    /// `lexical` and `contrast` are used as given.
    pub fit: bool,
    /// Kinds of statements that the prompt shows.
    pub statements: Statements,
    /// Form in which the language model extracts statements.
    pub extraction: Extraction,
    /// Whether statements must be accepted by validation first; otherwise all are shown.
    pub verify: bool,
    /// Number of consecutive words of another user's text that must not be written; 0 allows any
    /// number.
    pub guard_words: usize,
    /// Whether texts become about as long as the user's.
    pub as_long: bool,
    /// Number of texts to generate. The one is returned that is best by `by`.
    pub best_of: usize,
    /// Measure by which the best text is chosen.
    pub by: RankedBy,
}

impl IdiolectOptions {
    /// Whether nothing has to be estimated from the corpus.
    pub(super) fn nothing_estimated(&self) -> bool {
        !self.estimate && self.texts != Texts::Estimated && self.prompts > 0
    }

    /// Whether representatives have to be chosen.
    #[must_use]
    pub fn needs_peers(&self) -> bool {
        let contrast = matches!(self.contrast, Contrast::Peers(_));
        contrast || self.statements != Statements::None || self.ranks_by_peers()
    }

    /// Whether texts are ranked by a trained reward head.
    #[must_use]
    pub fn ranks_by_np(&self) -> bool {
        self.best_of > 1 && self.by == RankedBy::Np
    }

    /// Whether texts are ranked by their probability under the peers' prompts.
    pub(super) fn ranks_by_peers(&self) -> bool {
        self.best_of > 1 && self.by == RankedBy::Likelihood
    }
}

impl Default for IdiolectOptions {
    /// Settings that helped in measurements with histories alone; see `benches/RESULTS.md`. The
    /// others are off.
    fn default() -> Self {
        Self {
            form: Form::Conversation,
            texts: Texts::Newest,
            prompts: 2,
            estimate: false,
            power: None,
            expected: None,
            expected_prior: None,
            corpus: None,
            lexical: None,
            lexical_prior: None,
            item: None,
            phrases: None,
            item_phrases: None,
            contrast: Contrast::None,
            distinct: None,
            fit: false,
            statements: Statements::None,
            extraction: Extraction::Constrained,
            verify: true,
            guard_words: 8,
            as_long: true,
            best_of: 1,
            by: RankedBy::Likelihood,
        }
    }
}
