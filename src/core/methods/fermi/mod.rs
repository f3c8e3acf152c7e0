//! `fermi`: an instruction for one user, improved by what went wrong on the user's own past texts.
//!
//! Source: Fermi (arXiv 2406.18678), which keeps a memory of prompts, each with its score and the
//! requests that it got wrong, lets a language model propose better ones, and at a request takes the
//! prompt that did best on the user's most similar requests. There a judge scores answers. Here the
//! score is a likelihood: by how many bits a token the user's own texts become likelier than under the
//! task's own prompt, minus the same of peers' texts on the same items, so that what makes everybody's
//! texts likelier does not count.
//!
//! 1. *Split by time.* The older two thirds of the past texts are those that prompts are improved on;
//!    the newest third chooses (`tried_prompt`).
//! 2. *Rounds.* Of the best prompts new ones are made (`proposals`): by recombining measured statements,
//!    or by a language model that is shown the best prompts with their scores, and the texts that they
//!    helped least beside a draft. The five best are kept. It ends after two rounds without a better one.
//! 3. *Choose.* A prompt counts only if it makes the newest third likelier too.
//! 4. *At a request* the three past texts that are most relevant decide among these prompts; if none
//!    helps there, the task's own prompt stays.

mod proposals;
mod tried_prompt;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

use super::retrieval::most_relevant;
use super::{FermiOptimiser, Method, MethodContext, MethodInfo, MethodInputs, MethodOptions};
use super::{MethodSpec, PastReview, PreparedPrompt, Result};
use crate::corpus::ReviewId;
use crate::task::{Part, Stage};
use proposals::{PROPOSE, Proposer};
use tried_prompt::{FermiText, TriedPrompt, draft, seed_bits};

pub use tried_prompt::FermiGain;

/// Generates with an instruction about the user, or without one.
const STAGE: Stage = Stage::new("fermi", &[Part::Notes, Part::Target]);
/// Fewest past texts that can be divided.
const MIN_TEXTS: usize = 3;
/// Most texts that prompts are improved on, and that choose; the newest of each.
const N_IMPROVE: usize = 6;
const N_CHOOSE: usize = 4;
/// Number of prompts that are kept after a round.
const N_KEPT: usize = 5;
/// Rounds without a better prompt that end the search.
const PATIENCE: usize = 2;
/// Past texts that decide at a request.
const N_NEAR: usize = 3;

pub(super) static FERMI: MethodSpec = MethodSpec {
    info: MethodInfo {
        name: "fermi",
        about: "an instruction that made the user's own past texts likelier",
        source: "arXiv 2406.18678",
        stages: &[PROPOSE, STAGE],
        needs_history: true,
        needs_peers: |options| options.fermi.optimiser == FermiOptimiser::Measured,
        extracts_differences: false,
        own_unconditional: true,
    },
    prepare: |context| Box::pin(prepare(context)),
};

/// A prompt of a search.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FermiPrompt {
    /// The instruction, one sentence a line; empty for the task's own prompt.
    pub lines: Vec<String>,
    /// Gain on the texts that prompts were improved on.
    pub improve: FermiGain,
    /// Gain on the newer texts.
    pub choose: FermiGain,
}

/// The best prompts of a search.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FermiSearch {
    /// The prompts, best first by the texts that they were improved on; the task's own one is among them
    /// unless better ones took its place.
    pub prompts: Vec<FermiPrompt>,
    /// Reviews that prompts were improved on, oldest first.
    pub improve: Vec<ReviewId>,
    /// Newer reviews that choose, oldest first.
    pub choose: Vec<ReviewId>,
    /// Number of rounds.
    pub rounds: usize,
    /// Number of prompts tried, the task's own one included.
    pub tried: usize,
}

/// A search with what a request needs of it.
struct Searched {
    kept: Vec<TriedPrompt>,
    improve: Vec<FermiText>,
    choose: Vec<FermiText>,
    rounds: usize,
    tried: usize,
    /// Reviews that anything was made from.
    sources: Vec<ReviewId>,
}

/// Searches for the best instruction for a user on the visible past texts, without a target.
///
/// # Errors
/// [`Error::NoHistory`](super::Error::NoHistory) if the view shows no text of the user; otherwise an error of the store, the
/// encoder or the language model.
pub async fn fermi_search(
    inputs: &MethodInputs<'_>,
    user: &str,
    options: &MethodOptions,
) -> Result<FermiSearch> {
    let task = options.task(inputs.task)?;
    let inputs = inputs.with_task(&task);
    let context = MethodContext::of_user(Method::FERMI, &inputs, user, options);
    let history = context.author_history()?;
    let Some(searched) = search(&context, &history).await? else {
        let (prompts, improve, choose) = (Vec::new(), Vec::new(), Vec::new());
        return Ok(FermiSearch { prompts, improve, choose, rounds: 0, tried: 0 });
    };
    let ids = |texts: &[FermiText]| texts.iter().map(|text| text.own.0.id).collect();
    let prompts = searched.kept.iter().map(|prompt| FermiPrompt {
        lines: prompt.lines.clone(),
        improve: FermiGain::of(&prompt.improve),
        choose: FermiGain::of(&prompt.choose),
    });
    Ok(FermiSearch {
        prompts: prompts.collect(),
        improve: ids(&searched.improve),
        choose: ids(&searched.choose),
        rounds: searched.rounds,
        tried: searched.tried,
    })
}

/// Gain of an instruction over the task's own prompt on some past texts of a user, and on a peer's text
/// on the item of each.
///
/// # Errors
/// As [`fermi_search`].
pub async fn fermi_gain(
    inputs: &MethodInputs<'_>,
    user: &str,
    options: &MethodOptions,
    lines: &[String],
    texts: &[ReviewId],
) -> Result<FermiGain> {
    let task = options.task(inputs.task)?;
    let inputs = inputs.with_task(&task);
    let context = MethodContext::of_user(Method::FERMI, &inputs, user, options);
    let mut past = context.author_history()?;
    past.retain(|(review, _)| texts.contains(&review.id));
    let texts = FermiText::of(&context, past)?;
    let seed = seed_bits(&context, &texts).await?;
    Ok(FermiGain::of(&tried_prompt::gains(&context, lines, &texts, &seed).await?))
}

async fn prepare(context: &MethodContext<'_>) -> Result<PreparedPrompt> {
    let history = context.history()?;
    let searched = match history.is_empty() {
        true => None,
        false => search(context, &history).await?,
    };
    let lines = searched.as_ref().map(|searched| searched.for_target(context)).unwrap_or_default();
    let prepared = PreparedPrompt::of(context, STAGE, draft(&lines, context.target), &[]);
    let sources = searched.map(|searched| searched.sources).unwrap_or_default();
    Ok(PreparedPrompt { sources, ..prepared })
}

/// The search; `None` if there are too few texts.
async fn search(context: &MethodContext<'_>, history: &[PastReview]) -> Result<Option<Searched>> {
    if history.len() < MIN_TEXTS {
        return Ok(None);
    }
    let (older, newest) = history.split_at(history.len() - history.len() / 3);
    let last = |texts: &[PastReview], n: usize| texts[texts.len().saturating_sub(n)..].to_vec();
    let improve = FermiText::of(context, last(older, N_IMPROVE))?;
    let choose = FermiText::of(context, last(newest, N_CHOOSE))?;
    let seed = seed_bits(context, &improve).await?;
    let mut proposer = Proposer::of(context, older)?;
    let mut kept = vec![TriedPrompt::seed(improve.len())];
    let mut tried = vec![Vec::new()];
    let (mut rounds, mut idle) = (0, 0);
    let mut random = ChaCha8Rng::seed_from_u64(context.options.profile_seed);
    while rounds < context.options.fermi.rounds && idle < PATIENCE {
        context.check_stop()?;
        let proposed = proposer.propose(context, &kept, &improve, &mut random).await?;
        let before = kept[0].fitness();
        for lines in proposed {
            if tried.contains(&lines) {
                continue;
            }
            context.check_stop()?;
            let improve = tried_prompt::gains(context, &lines, &improve, &seed).await?;
            tried.push(lines.clone());
            kept.push(TriedPrompt { lines, improve, choose: Vec::new() });
        }
        // Of equals the first stays, and so the task's own prompt before one that changes nothing.
        kept.sort_by(|a, b| b.fitness().total_cmp(&a.fitness()));
        kept.truncate(N_KEPT);
        rounds += 1;
        idle = if kept[0].fitness() > before { 0 } else { idle + 1 };
    }
    let seed = seed_bits(context, &choose).await?;
    for prompt in &mut kept {
        prompt.choose = tried_prompt::gains(context, &prompt.lines, &choose, &seed).await?;
    }
    let mut sources = proposer.into_sources();
    sources.extend(improve.iter().chain(&choose).flat_map(FermiText::reviews));
    sources.sort_unstable();
    sources.dedup();
    Ok(Some(Searched { kept, improve, choose, rounds, tried: tried.len(), sources }))
}

impl Searched {
    /// The instruction for the context's target: of the prompts that help on the texts that choose, the
    /// one that helps most on the three past texts nearest to it; none if none does.
    fn for_target(&self, context: &MethodContext<'_>) -> Vec<String> {
        let texts: Vec<&FermiText> = self.improve.iter().chain(&self.choose).collect();
        let past: Vec<PastReview> = texts.iter().map(|text| text.own.clone()).collect();
        let near: Vec<ReviewId> = most_relevant(context.task, context.target, &past, N_NEAR)
            .iter()
            .map(|(review, _)| review.id)
            .collect();
        let gain_near = |prompt: &TriedPrompt| {
            let gains = prompt.improve.iter().chain(&prompt.choose).zip(&texts);
            let near = gains.filter(|(_, text)| near.contains(&text.own.0.id));
            near.map(|(gain, _)| gain.own).sum::<f64>()
        };
        let mut best: (f64, &[String]) = (0.0, &[]);
        for prompt in self.kept.iter().filter(|prompt| FermiGain::of(&prompt.choose).helps()) {
            let gain = gain_near(prompt);
            if gain > best.0 {
                best = (gain, &prompt.lines);
            }
        }
        best.1.to_vec()
    }
}
