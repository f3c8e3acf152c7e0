//! `tiers`: the instructions of an operator, the wishes of a user and those of a request as tiers of the
//! prompt.
//!
//! Source: MetaAlign (arXiv 2410.14184), whose models are trained to follow a prompt of two tiers,
//! *system info* and *user info*, and to let the first win. Here nothing is trained: the template says
//! in one sentence that the operator wins, and a contrast ([`Contrast::Tier`]) makes the user's tier count
//! more for models that do not obey by themselves.
//!
//! 1. *Operator.* Rules of the task (`[tiers]`) or of the settings, in the system turn.
//! 2. *User.* Wishes of the task or the settings, then the statements of the user's profile that prompts
//!    show: those that a person pinned, then those that validation accepted. They begin the user's turn,
//!    or follow the operator's rules; if the user has written texts, whichever makes the newest of these
//!    likelier.
//! 3. *Request.* Instructions for this text, after the item.
//!
//! The text of an instruction is data: one line, which cannot open another tier.

use super::idiolect::{Statements, stated};
use super::{Error, History, MethodContext, MethodInfo, MethodSpec, PastReview, PreparedPrompt};
use super::{Result, TierPlace, TiersOptions, ids};
use crate::client::{ContrastPrompts, ScoreCall, Steered};
use crate::corpus::{ReviewId, Target};
use crate::difference::statements::{StatementProfile, StatementStatus};
use crate::steering::{Contrast, Steering};
use crate::task::{Block, Draft, Part, Stage, TaskTiers};

/// Number of the user's newest texts by which the place of the wishes is chosen.
const N_SCORED: usize = 2;
/// Number of tokens of each that count.
const TOKENS: usize = 100;

const PARTS: &[Part] = &[Part::Operator, Part::Wishes, Part::Target, Part::Request];
/// Generates with the user's wishes at the start of the user's turn.
const STAGE: Stage = Stage::new("tiers", PARTS);
/// Generates with the user's wishes after the operator's rules.
const APPENDED: Stage = Stage::new("tiers-appended", PARTS);

pub(super) static TIERS: MethodSpec = MethodSpec {
    info: MethodInfo {
        name: "tiers",
        about: "rules of the operator, wishes of the user and of the request",
        source: "arXiv 2410.14184",
        stages: &[APPENDED, STAGE],
        needs_history: false,
        needs_peers: |options| options.idiolect.statements != Statements::None,
        extracts_differences: false,
        own_unconditional: true,
    },
    prepare: |context| Box::pin(prepare(context)),
};

impl TiersOptions {
    /// The instructions of each tier: these, or the task's where there are none.
    fn over(&self, task: &TaskTiers) -> TaskTiers {
        let of = |own: &Vec<String>, task: &Vec<String>| match own.is_empty() {
            true => task.clone(),
            false => own.clone(),
        };
        TaskTiers {
            operator: of(&self.operator, &task.operator),
            user: of(&self.user, &task.user),
            request: of(&self.request, &task.request),
        }
    }
}

async fn prepare(context: &MethodContext<'_>) -> Result<PreparedPrompt> {
    let history = match context.history() {
        Err(Error::NoHistory { .. }) => Vec::new(),
        history => history?,
    };
    let tiers = context.options.tiers.over(&context.task.tiers);
    let (profile, of_profile) = match context.options.history {
        History::None => (None, Vec::new()),
        _ => {
            let (profile, sources) = stated(context, &history).await?;
            (Some(profile), sources)
        }
    };
    let said = profile.iter().flat_map(in_order);
    let tiers = TierBlocks {
        operator: blocks(&tiers.operator),
        wishes: blocks(tiers.user.iter().map(String::as_str).chain(said)),
        request: blocks(&tiers.request),
    };
    let (stage, scored) = place(context, &tiers, &history).await?;
    let draft = tiers.draft(context.target);
    let prepared = PreparedPrompt::of(context, stage, draft, &[]);
    let prepared = PreparedPrompt { stated: profile, ..prepared };
    let contrast = context.options.idiolect.contrast;
    let sources = of_profile.into_iter().chain(scored);
    if contrast == Contrast::None || tiers.wishes.is_empty() {
        return Ok(PreparedPrompt { sources: sources.collect(), ..prepared });
    }
    let without = TierBlocks { wishes: Vec::new(), ..tiers };
    let contrast_prompts =
        ContrastPrompts { unconditional: without.draft(context.target), ..Default::default() };
    let steering = Steering { contrast, ..Steering::default() };
    let steered = Steered { contrast: contrast_prompts, steering, ..Steered::default() };
    Ok(prepared.steered_by(steered, sources))
}

/// The statements that prompts show, those that a person pinned first.
fn in_order(profile: &StatementProfile) -> impl Iterator<Item = &str> {
    let of = |status| profile.shown().filter(move |entry| entry.status == status);
    of(StatementStatus::Pinned)
        .chain(of(StatementStatus::Accepted))
        .map(|entry| entry.statement.text.as_str())
}

/// Blocks of instructions; blank ones are left out.
fn blocks(texts: impl IntoIterator<Item = impl AsRef<str>>) -> Vec<Block> {
    let blocks = texts.into_iter().map(|text| Block::of_instruction(text.as_ref()));
    blocks.filter(|block| !block.text.is_empty()).collect()
}

/// The instructions of a prompt by tier.
#[derive(Clone)]
struct TierBlocks {
    operator: Vec<Block>,
    wishes: Vec<Block>,
    request: Vec<Block>,
}

impl TierBlocks {
    fn draft(&self, target: Option<&Target>) -> Draft {
        Draft::new()
            .with_all(Part::Operator, self.operator.clone())
            .with_all(Part::Wishes, self.wishes.clone())
            .with_all(Part::Target, target.map(Block::of_target))
            .with_all(Part::Request, self.request.clone())
    }
}

/// The stage whose prompt has the wishes in their place, and the reviews by which it was chosen.
async fn place(
    context: &MethodContext<'_>,
    tiers: &TierBlocks,
    history: &[PastReview],
) -> Result<(Stage, Vec<ReviewId>)> {
    let newest = &history[history.len().saturating_sub(N_SCORED)..];
    let is_open = !tiers.wishes.is_empty() && !newest.is_empty();
    match context.options.tiers.place {
        TierPlace::System => return Ok((APPENDED, Vec::new())),
        TierPlace::Likelihood if is_open => {}
        TierPlace::Turn | TierPlace::Likelihood => return Ok((STAGE, Vec::new())),
    }
    let sources = ids(newest);
    let mut bits = [0.0; 2];
    for (stage, bits) in [STAGE, APPENDED].into_iter().zip(&mut bits) {
        for (review, item) in newest {
            context.check_stop()?;
            let call = ScoreCall {
                stage,
                draft: tiers.draft(Some(&review.as_target(item.clone()))),
                sources: &sources,
                text: &review.review.text,
                limit: Some(TOKENS),
                max_tokens: context.options.max_tokens,
                top: 0,
            };
            *bits += context.calls.score(call).await?.bits_per_token().unwrap_or(0.0);
        }
    }
    Ok((if bits[1] < bits[0] { APPENDED } else { STAGE }, sources))
}
