//! Options of the methods.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::idiolect::{Form, IdiolectOptions};
use crate::client::CachePolicy;
use crate::corpus::{self, Target, View};
use crate::difference::AnswerSettings;
use crate::peers::{ChoiceOptions, Selector};
use crate::task::{self, DifferenceFormat, Order, Task};
use idiolect_engine::lm::Sampling;

/// User whose past texts are used.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum History {
    /// The target's user.
    #[default]
    Own,
    /// Another user, as a control: a method that distinguishes users must not take this one for the
    /// right one. The other user's own texts about the target's item are hidden, and the target's
    /// user is not visible at all, not even as a peer. Item, rating and title stay the target's.
    Of(String),
    /// Nobody: the method's prompt without past texts and without a profile.
    None,
}

/// Settings of a method. [`MethodOptions::set`] and [`MethodOptions::set_toml`] set them by key, e.g. `n` or
/// `idiolect.lexical`; keys are in kebab case.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct MethodOptions {
    /// Maximum number of past texts in a prompt, and of items compared (N).
    pub n: usize,
    /// Maximum number of representatives per item, and number of other reviewers that an item must
    /// have to be compared (K).
    pub k: usize,
    /// Method of selecting representatives.
    pub selector: Selector,
    /// Order of the user's and the representatives' texts when they are compared.
    pub order: Order,
    /// Form of DPL's differences.
    #[serde(rename = "difference-form")]
    pub difference_format: DifferenceFormat,
    /// Whether texts are compared at all; otherwise DPL's profile is made from past texts alone.
    pub differences: bool,
    /// Keys of dimensions that are left out of the task's standard.
    pub without_dimensions: Vec<String>,
    /// Seed of the text.
    pub seed: u64,
    /// Seed of the representatives, of the differences and of the profile. It is separate from `seed`, so that a second
    /// text of the same user needs no second profile.
    pub profile_seed: u64,
    /// Sampling settings of the text that replace the task's.
    pub sampling: SamplingOverrides,
    /// Maximum number of tokens of the text; `None` takes the task's limit.
    pub max_tokens: Option<usize>,
    /// Maximum number of tokens of each difference and of the profile; `None` takes the task's
    /// limit.
    pub profile_max_tokens: Option<usize>,
    /// Options of the method `scp`.
    pub scp: ScpOptions,
    /// Options of the method `idiolect`.
    pub idiolect: IdiolectOptions,
    /// Options of the method `tiers`.
    pub tiers: TiersOptions,
    /// Options of the method `fermi`.
    pub fermi: FermiOptions,
    /// Options of the method `pad`.
    pub pad: PadOptions,
    /// Options of the method `pplug`.
    pub pplug: PplugOptions,
    /// Options of the method `reclora`.
    pub reclora: RecloraOptions,
    /// User whose past texts are used. Not a setting: it has no key.
    #[serde(skip)]
    pub history: History,
    /// Number of tokens of a text that count in its score, from its first; `None` counts all. It
    /// has no key.
    #[serde(skip)]
    pub score_limit: Option<usize>,
    /// Whether stored answers are used. It has no key.
    #[serde(skip)]
    pub reuse: CachePolicy,
}

impl MethodOptions {
    /// The task without the dimensions that are left out.
    pub(super) fn task<'a>(&self, task: &'a Task) -> task::Result<Cow<'a, Task>> {
        match self.without_dimensions.as_slice() {
            [] => Ok(Cow::Borrowed(task)),
            without => Ok(Cow::Owned(task.without_dimensions(without)?)),
        }
    }

    /// The visible part of the corpus. If another user's past is used, it hides that user's texts
    /// about the target's item and everything of the target's user.
    pub(super) fn seen<'a>(&self, view: &View<'a>, target: &Target) -> corpus::Result<View<'a>> {
        match &self.history {
            History::Of(user) if *user != target.user => {
                view.clone().without_text(user, &target.item.id)?.without_user(&target.user)
            }
            _ => Ok(view.clone()),
        }
    }

    /// User whose past is used; the target's user also if nobody's past is used.
    pub(super) fn author<'a>(&'a self, target: &'a Target) -> &'a str {
        match &self.history {
            History::Of(user) => user,
            History::Own | History::None => &target.user,
        }
    }

    /// Seed and limit of differences and profiles.
    pub(super) fn profile_answers(&self) -> AnswerSettings {
        AnswerSettings { seed: self.profile_seed, max_tokens: self.profile_max_tokens }
    }

    /// Settings of the choice of representatives.
    #[must_use]
    pub fn choice(&self) -> ChoiceOptions {
        ChoiceOptions { k: self.k, selector: self.selector, seed: self.profile_seed }
    }

    /// Default options for a task: its N and K.
    #[must_use]
    pub fn of(task: &Task) -> Self {
        Self { n: task.n, k: task.k, ..Self::default() }
    }
}

impl Default for MethodOptions {
    /// DPL's N and K, choice of representatives, order and seed of 42.
    fn default() -> Self {
        Self {
            n: 8,
            k: 4,
            selector: Selector::Kmeans,
            order: Order::UserFirst,
            difference_format: DifferenceFormat::Free,
            differences: true,
            without_dimensions: Vec::new(),
            seed: 42,
            profile_seed: 42,
            sampling: SamplingOverrides::default(),
            max_tokens: None,
            profile_max_tokens: None,
            scp: ScpOptions::default(),
            idiolect: IdiolectOptions::default(),
            tiers: TiersOptions::default(),
            fermi: FermiOptions::default(),
            pad: PadOptions::default(),
            pplug: PplugOptions::default(),
            reclora: RecloraOptions::default(),
            history: History::Own,
            score_limit: None,
            reuse: CachePolicy::Stored,
        }
    }
}

/// Settings of the method `scp`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct ScpOptions {
    /// Form of past texts in the prompt; [`Form::Flat`] is the prompt of `rag`.
    pub form: Form,
}

/// Place of the user's wishes in the prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TierPlace {
    /// By the likelihood of the user's newest texts; as `turn` if there are none.
    #[default]
    Likelihood,
    /// At the start of the user's turn.
    Turn,
    /// In the system turn, after the operator's rules.
    System,
}

/// Settings of the method `tiers`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct TiersOptions {
    /// Rules of the operator in the place of the task's; empty keeps these.
    pub operator: Vec<String>,
    /// Wishes of the user in the place of the task's; empty keeps these.
    pub user: Vec<String>,
    /// Instructions for the request in the place of the task's; empty keeps these.
    pub request: Vec<String>,
    /// Place of the user's wishes.
    pub place: TierPlace,
}

/// Maker of new prompts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FermiOptimiser {
    /// Recombines measured statements: adds, drops, joins, and leaves figures out.
    #[default]
    Measured,
    /// The language model proposes instructions.
    Model,
}

/// Settings of the method `fermi`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct FermiOptions {
    /// Maker of new prompts.
    pub optimiser: FermiOptimiser,
    /// Most rounds.
    pub rounds: usize,
}

impl Default for FermiOptions {
    fn default() -> Self {
        Self { optimiser: FermiOptimiser::Measured, rounds: 5 }
    }
}

/// Settings of the method `pad`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct PadOptions {
    /// Weight of the reward, from 0; 0 is `scp`.
    pub weight: f32,
    /// Number of likeliest tokens that are rewarded.
    pub k: usize,
    /// Penalty of other tokens, nats.
    pub outside: f32,
}

impl Default for PadOptions {
    /// The authors' weight and number of tokens.
    fn default() -> Self {
        Self { weight: 0.8, k: 10, outside: 5.0 }
    }
}

/// Settings of the method `pplug`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct PplugOptions {
    /// Whether the prompt shows past texts as `scp` does; otherwise it is that of `non-perso`.
    pub past: bool,
}

/// Mixture of the products of `reclora`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProductMixture {
    /// By what is known of the user.
    #[default]
    Own,
    /// All alike: a control.
    Uniform,
}

/// Settings of the method `reclora`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct RecloraOptions {
    /// As [`PplugOptions::past`].
    pub past: bool,
    /// Mixture of the products.
    pub gate: ProductMixture,
}

/// Sampling settings that replace the task's; see [`Sampling`].
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
#[allow(missing_docs)]
pub struct SamplingOverrides {
    pub temperature: Option<f32>,
    pub top_k: Option<usize>,
    pub top_p: Option<f32>,
    pub min_p: Option<f32>,
    pub repetition_penalty: Option<f32>,
    pub dry_multiplier: Option<f32>,
}

impl SamplingOverrides {
    /// Returns `sampling` with the values that are set here.
    #[must_use]
    pub fn over(&self, sampling: &Sampling) -> Sampling {
        Sampling {
            temperature: self.temperature.unwrap_or(sampling.temperature),
            top_k: self.top_k.unwrap_or(sampling.top_k),
            top_p: self.top_p.unwrap_or(sampling.top_p),
            min_p: self.min_p.unwrap_or(sampling.min_p),
            repetition_penalty: self.repetition_penalty.unwrap_or(sampling.repetition_penalty),
            dry_multiplier: self.dry_multiplier.unwrap_or(sampling.dry_multiplier),
            ..sampling.clone()
        }
    }
}
