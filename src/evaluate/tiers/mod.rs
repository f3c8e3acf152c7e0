//! Whether a model keeps the tiers of instructions apart: what changes if the user wants something or its
//! opposite, and who wins if the operator and the user contradict each other.
//!
//! Source: the layout of MetaAlign (arXiv 2410.14184); the test is ours. All preferences are checked by
//! a program.

mod figures;
mod preferences;
#[cfg(test)]
mod tests;

pub use figures::{ContrastedTiers, PreferenceFigures, TierFigures, TierResult};

use futures::stream::{self, StreamExt, TryStreamExt};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

use super::cases::{EvalContext, method_error};
use super::run::CaseProgress;
use super::{Error, Result};
use figures::TierTexts;
use idiolect_core::corpus::{Item, Target, View};
use idiolect_core::methods::{History, Method, MethodOptions, TiersOptions};
use idiolect_core::steering::Contrast;
use idiolect_engine::progress::{Progress, ProgressStage};
use idiolect_metrics::statistics::Settings;
use preferences::{PREFERENCES, TierPreference};

/// Number of texts that are written concurrently.
const CONCURRENT_TEXTS: usize = 8;
/// Most words of a title by which a text can name its item.
const MAX_TITLE_WORDS: usize = 6;
/// Author of the texts; nobody's history is read.
const NOBODY: &str = "nobody";

/// Parameters of the test.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct TierOptions {
    /// Number of requests: items of the store with short titles, drawn at random.
    pub requests: usize,
    /// Maximum number of tokens of a text.
    pub max_tokens: usize,
    /// Seed of the choice of items and of the swapped preferences.
    pub seed: u64,
}

/// Instructions with which a text is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TierCondition {
    /// No instruction.
    Nobody,
    /// The user wants the preference.
    Wanted,
    /// The user wants the opposite.
    Opposite,
    /// The user wants the preference, and the operator asks for the opposite.
    Conflict,
}

impl TierCondition {
    const OF_PREFERENCE: [Self; 3] = [Self::Wanted, Self::Opposite, Self::Conflict];

    fn tiers(self, preference: &TierPreference) -> TiersOptions {
        let (wanted, opposite) =
            (vec![preference.wanted.to_owned()], vec![preference.opposite.to_owned()]);
        let (operator, user) = match self {
            Self::Nobody => (Vec::new(), Vec::new()),
            Self::Wanted => (Vec::new(), wanted),
            Self::Opposite => (Vec::new(), opposite),
            Self::Conflict => (opposite, wanted),
        };
        TiersOptions { operator, user, ..TiersOptions::default() }
    }
}

/// Writes texts about items of the store for each of 16 preferences: nobody wants anything, the user wants
/// it, the user wants the opposite, and the user wants it while the operator asks for the opposite. With a
/// contrast in the options, the texts with instructions are written without and with it. All texts are
/// stored, so that a stopped call is continued by the next one.
///
/// # Errors
/// Error if the store has fewer than two items with short titles; [`Error::Stopped`]; or the error of a
/// text.
pub async fn evaluate_tiers(
    context: &EvalContext<'_>,
    options: &TierOptions,
    progress: &dyn Progress,
) -> Result<TierResult> {
    let items = requests(context, options)?;
    let contrast = context.options.idiolect.contrast;
    let rules = match contrast {
        Contrast::None => vec![Contrast::None],
        rule => vec![Contrast::None, rule],
    };
    let n_conditions = PREFERENCES.len() * TierCondition::OF_PREFERENCE.len();
    let total = items.len() * (1 + rules.len() * n_conditions);
    let stage = ProgressStage::begin(progress, "writing in tiers", Some(total as u64));
    let write = async |condition, preference: &TierPreference, rule, item: &Item| {
        if stage.stop_requested() {
            return Err(Error::Stopped);
        }
        let place = context.options.tiers.place;
        let mut options = MethodOptions {
            tiers: TiersOptions { place, ..TierCondition::tiers(condition, preference) },
            max_tokens: Some(options.max_tokens),
            ..context.options(History::None, context.options.seed)
        };
        options.idiolect.contrast = rule;
        let quiet = CaseProgress(progress);
        let inputs = context.material(View::all(context.store), &quiet);
        let target = Target {
            user: NOBODY.to_owned(),
            item: item.clone(),
            rating: None,
            title: None,
            context: None,
        };
        let written = Method::TIERS.write(&inputs, &target, &options, None).await;
        let written =
            written.map_err(|source| method_error(Method::TIERS, NOBODY, item, source))?;
        stage.advance(1);
        Ok(written.text)
    };
    let without = items
        .iter()
        .map(|item| write(TierCondition::Nobody, &PREFERENCES[0], Contrast::None, item));
    let nobody: Vec<String> =
        stream::iter(without).buffered(CONCURRENT_TEXTS).try_collect().await?;
    let mut of_rules = Vec::new();
    for rule in rules {
        let mut by_condition = Vec::new();
        for condition in TierCondition::OF_PREFERENCE {
            let calls = PREFERENCES
                .iter()
                .flat_map(|preference| items.iter().map(move |item| (preference, item)))
                .map(|(preference, item)| write(condition, preference, rule, item));
            let texts: Vec<String> =
                stream::iter(calls).buffered(CONCURRENT_TEXTS).try_collect().await?;
            let rows = texts.chunks(items.len()).map(<[String]>::to_vec);
            by_condition.push(rows.collect::<Vec<_>>());
        }
        let [wanted, opposite, conflict]: [Vec<Vec<String>>; 3] =
            by_condition.try_into().unwrap_or_default();
        of_rules.push(TierTexts { nobody: nobody.clone(), wanted, opposite, conflict });
    }
    let titles: Vec<&str> = items.iter().map(|item| item.title.as_str()).collect();
    let settings = Settings { seed: options.seed, ..Settings::default() };
    TierResult::of(&of_rules, &titles, options, contrast, &settings)
}

/// Items with short titles, drawn at random.
fn requests(context: &EvalContext<'_>, options: &TierOptions) -> Result<Vec<Item>> {
    let mut items = context.store.items()?;
    items.retain(|item| (1..=MAX_TITLE_WORDS).contains(&item.title.split_whitespace().count()));
    items.sort_unstable_by(|a, b| a.item.cmp(&b.item));
    items.shuffle(&mut ChaCha8Rng::seed_from_u64(options.seed));
    items.truncate(options.requests);
    if items.len() < 2 {
        let (operation, what) = ("test tiers of instructions", "items with titles of few words");
        let got = items.len();
        return Err(idiolect_metrics::Error::TooFew { operation, what, got, needed: 2 }.into());
    }
    items.iter().map(|item| Ok(context.store.item(&item.item)?)).collect()
}
