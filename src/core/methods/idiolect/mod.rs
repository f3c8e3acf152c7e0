//! `idiolect`: the user's past texts as the assistant's answers, and the difference from others
//! applied to the logits.
//!
//! 1. *Select past texts.* The prompt is a conversation, as in SCP (arXiv 2509.20805), of the newest
//!    past texts, so that all prompts of a user begin alike, whatever the target. Optionally, the
//!    selection, number and order of the texts are validated on the user's own past
//!    (`selection_validation`).
//! 2. *State differences.* Optionally, statements about the user that validation accepted
//!    (`statements`) are shown before the target. There, unlike in the system turn, everything
//!    before them is the same with and without them, and is computed once for all candidates.
//! 3. *Count words.* The model reads the user's texts, and every token is scored by how much more often
//!    the user writes it than the model expected (`expectation`). Optionally, by how much more often
//!    the user writes it than others do (`lexical`), and the user's continuations of the last one and
//!    two tokens are mixed in.
//! 4. *Fit strengths.* Optionally, the strengths of the rules are estimated once for the corpus
//!    (`strengths`). Contrast with peers counts in proportion to how distinct the user is
//!    (`distinct`). Optionally, the strengths of 3 and 5 and the number of peers are fitted on the
//!    user's own past (`fit`).
//! 5. *Build contrast prompts.* Optionally, prompts with peers' texts on the same items are added,
//!    and what sets the user's texts apart from them is amplified (`contrast_prompts`). No run of
//!    `guard_words` words of another user's text on these items is written, unless `guard_words` is
//!    0.
//! 6. *Assemble the prompt.* Optionally, the best of several texts is chosen (`best_of_n`).

pub(super) mod best_of_n;
mod contrast_prompts;
mod contrast_text;
mod distinct;
mod example_selection;
mod expectation;
mod fit;
mod leave_one_out;
mod lexical;
mod options;
mod rule;
mod selection_validation;
mod stage;
mod statements;
mod strengths;

pub use options::{Extraction, Form, IdiolectOptions, LexicalOptions, RankedBy, Statements, Texts};
pub use rule::{Rule, Term};
pub use statements::{measured_differences, stated_profile};
pub use strengths::CorpusStrengths;
use strengths::OthersTexts;

use super::{MethodContext, MethodInfo, MethodSpec, PastReview, PreparedPrompt, Result};
use super::{completion, intsum, rag, summaries};
use crate::client::Steered;
use crate::corpus::ReviewId;
use crate::difference::statements::{StatementProfile, StatementStatus, revisions};
use crate::difference::{DIFFERENCE, DRP_DIFFERENCE, DRP_VALIDATION};
use crate::steering::{
    ExpectedCounts, LengthBackground, LengthPrior, LogitBias, NeededPrompts, NgramBlocklist,
    Steering,
};
use crate::task::{Block, Part, Stage};
use contrast_prompts::PeerPrompts;
use example_selection::ExampleSelection;
use expectation::{ReadTexts, Reading};
use fit::Strengths;
use idiolect_engine::lm;
use lexical::{Lexica, on_item};

/// Facts of the method.
pub(super) const INFO: MethodInfo = MethodInfo {
    name: "idiolect",
    about: "as scp after two prompts, with the user's habits in the logits",
    source: "",
    stages: &[
        DIFFERENCE,
        DRP_DIFFERENCE,
        DRP_VALIDATION,
        intsum::SUMMARY,
        rag::STAGE,
        stage::STAGE,
        completion::STAGE,
    ],
    needs_history: true,
    needs_peers: |options| options.idiolect.needs_peers(),
    extracts_differences: false,
    own_unconditional: true,
};

pub(super) static IDIOLECT: MethodSpec =
    MethodSpec { info: INFO, prepare: |context| Box::pin(prepare(context)) };

/// The prompt without past texts, and without steering.
pub(super) fn without_past_texts(context: &MethodContext<'_>) -> PreparedPrompt {
    let draft = ExampleSelection::default().draft(context.target, &[]);
    let stage = context.options.idiolect.form.stage();
    PreparedPrompt::of(context, stage, draft, &[])
}

pub(super) async fn prepare(context: &MethodContext<'_>) -> Result<PreparedPrompt> {
    let history = context.history()?;
    if history.is_empty() {
        return Ok(without_past_texts(context));
    }
    let mut strengths = strengths::of_corpus(context).await?;
    if !context.model.tells_distributions() {
        strengths.rule = strengths.rule.counted(&context.options.idiolect);
        strengths.prompts = 1;
    }
    let selection = select_past_texts(context, &history, &strengths).await?;
    let profile = state_differences(context, &history, &selection).await?;
    let counts = count_words(context)?;
    let fitted = fit_strengths(context, &history, &selection, &counts, &strengths).await?;
    let n_prompts = strengths.prompts;
    let mut prompts = selection.past_of_prompts(context, context.target, &history, n_prompts);
    let past = prompts.remove(0);
    let mut steered = build_contrast_prompts(context, &past, fitted)?;
    steered.sources.extend(sources(&history, &profile));
    Ok(assemble_prompt(context, selection, (&past, &prompts), profile, steered))
}

/// The past texts that a profile for other programs shows.
pub(super) struct PortableParts {
    /// The past texts of a prompt without a target, in its order.
    pub(super) past: Vec<Block>,
    /// The stage whose prompt has past texts as answers.
    pub(super) conversation: Stage,
}

/// Selects the user's newest texts for another program.
pub(super) fn portable_parts(context: &MethodContext<'_>) -> Result<PortableParts> {
    let history = context.author_history()?;
    let past = ExampleSelection::of(Texts::Newest).past(context, None, &history);
    Ok(PortableParts { past: summaries::blocks(&past).collect(), conversation: stage::STAGE })
}

/// Strength and bias of the user's choice of words; `None` if the strength is 0.
pub(super) async fn lexical_bias(context: &MethodContext<'_>) -> Result<Option<(f32, LogitBias)>> {
    let history = context.author_history()?;
    let strengths = strengths::of_corpus(context).await?;
    let none = ExpectedCounts::default();
    let rule = strengths.rule.counted(&context.options.idiolect);
    Ok(count_words(context)?.steering(&history, (&none, &none), &[], &rule)?.lexical)
}

/// The profile in statements of the context's user, with what a person changed in it, and the reviews that
/// it was made from.
pub(super) async fn stated(
    context: &MethodContext<'_>,
    history: &[PastReview],
) -> Result<(StatementProfile, Vec<ReviewId>)> {
    let selection = ExampleSelection::of(Texts::Newest);
    let profile = state_differences(context, history, &selection).await?;
    // Statements are validated on the history.
    let read = match context.options.idiolect.statements {
        Statements::None => &[],
        _ => history,
    };
    let sources = sources(read, &profile);
    Ok((profile, sources))
}

/// Step 1: the selection of past texts.
async fn select_past_texts(
    context: &MethodContext<'_>,
    history: &[PastReview],
    strengths: &CorpusStrengths,
) -> Result<ExampleSelection> {
    match context.options.idiolect.texts {
        Texts::Chosen => selection_validation::validated_selection(context, history).await,
        _ if strengths.relevant => Ok(ExampleSelection::of(Texts::Relevant)),
        _ => Ok(ExampleSelection::of(Texts::Newest)),
    }
}

/// Step 2: the profile in statements, with what a person changed in it.
async fn state_differences(
    context: &MethodContext<'_>,
    history: &[PastReview],
    selection: &ExampleSelection,
) -> Result<StatementProfile> {
    let revisions = revisions(context.view.store(), context.author)?;
    statements::of_history(context, history, selection, &revisions).await
}

/// Step 3: counts of words in everybody else's texts.
fn count_words<'c>(context: &MethodContext<'c>) -> Result<Lexica<'c>> {
    Lexica::read(context)
}

/// Steering of the logits, and the reviews that its strengths were made from.
struct FittedSteering {
    steering: Steering,
    /// Maximum number of prompts with peers' texts; `None` takes one for each representative.
    peers: Option<usize>,
    length: Option<LengthPrior>,
    sources: Vec<ReviewId>,
}

/// Step 4: the strengths, given or fitted, and the steering and the length prior with them.
async fn fit_strengths(
    context: &MethodContext<'_>,
    history: &[PastReview],
    selection: &ExampleSelection,
    counts: &Lexica<'_>,
    strengths: &CorpusStrengths,
) -> Result<FittedSteering> {
    let settings = &context.options.idiolect;
    let (contrast, sources) = distinct::scaled_contrast(context, history)?;
    let given = Strengths { rule: strengths.rule, words: 1.0, contrast, peers: None };
    let others = match strengths.rule.corpus.strength > 0.0 {
        true => strengths::texts_of_others(context, &[context.author], context.progress).await?,
        false => OthersTexts::default(),
    };
    let own_texts = match strengths.rule.expected.strength > 0.0 {
        true => expectation::of_history(context, history).await?,
        false => ReadTexts::default(),
    };
    let usual = strengths.length;
    let read = (counts, &own_texts, &others.reading.words);
    let strengths = match settings.fit {
        true => fit::fitted_strengths(context, history, selection, read, given).await?,
        false => given,
    };
    let on_item = on_item(context, context.target)?;
    let own = own_texts.without(None);
    let words = (&own.words, &others.reading.words);
    let steering = counts.steering(history, words, &on_item, &strengths.rule)?;
    let steering = fit::with_words(&steering, strengths.words);
    let steering = Steering { contrast: strengths.contrast, ..steering };
    let sources = sources.into_iter().chain(on_item.iter().map(|review| review.id)).collect();
    let length = match settings.as_long {
        true => length_prior(context, history, usual, (&own, &others))?,
        false => None,
    };
    Ok(FittedSteering { steering, peers: strengths.peers, length, sources })
}

/// Everything that acts on the logits, and the reviews that it was made from.
struct SteeredPrompts {
    steered: Steered,
    sources: Vec<ReviewId>,
}

/// Step 5: the contrast prompts and the texts that must not be copied.
fn build_contrast_prompts(
    context: &MethodContext<'_>,
    past: &[PastReview],
    fitted: FittedSteering,
) -> Result<SteeredPrompts> {
    let settings = &context.options.idiolect;
    let FittedSteering { steering, peers, length, mut sources } = fitted;
    let with_peers = steering.needs().peers || settings.ranks_by_peers();
    let needed = NeededPrompts { peers: with_peers, ..steering.needs() };
    let mut prompts = PeerPrompts::of(context, past, context.target, needed)?;
    prompts.contrast.peers.truncate(peers.unwrap_or(usize::MAX));
    let blocklist = match settings.guard_words {
        0 => None,
        n => Some(NgramBlocklist::new(&prompts.guarded, n)),
    };
    sources.extend(prompts.reviews);
    let steered = Steered { contrast: prompts.contrast, steering, blocklist, length };
    Ok(SteeredPrompts { steered, sources })
}

/// Length prior from the lengths of the user's texts, and from what was read of the user's and others'.
fn length_prior(
    context: &MethodContext<'_>,
    history: &[PastReview],
    usual: LengthBackground,
    (own, others): (&Reading, &OthersTexts),
) -> Result<Option<LengthPrior>> {
    let lengths = history.iter().map(|(past, _)| context.model.count_text(&past.review.text));
    let lengths = lengths.collect::<lm::Result<Vec<usize>>>()?;
    let spread = others.spread.unwrap_or(usual.spread);
    let background = [own, &others.reading]
        .into_iter()
        .fold(LengthBackground { spread, ..usual }, |background, reading| {
            background.informed(reading.ends, reading.tokens)
        });
    Ok(LengthPrior::of_lengths(&lengths, background))
}

/// The reviews that the counts and the statements were made from.
fn sources(history: &[PastReview], profile: &StatementProfile) -> Vec<ReviewId> {
    let own = history.iter().map(|(review, _)| review.id);
    let statements = profile.statements.iter().map(|stated| &stated.statement);
    let of_statements = statements.flat_map(|s| s.reviews.iter().chain(&s.against)).copied();
    own.chain(of_statements).collect()
}

/// Step 6: the prompt with past texts and statements, and the steering beside it.
fn assemble_prompt(
    context: &MethodContext<'_>,
    selection: ExampleSelection,
    (past, further): (&[PastReview], &[Vec<PastReview>]),
    profile: StatementProfile,
    mut steered: SteeredPrompts,
) -> PreparedPrompt {
    let settings = &context.options.idiolect;
    let shown = profile.statements.iter().filter(|stated| {
        let unverified = !settings.verify && stated.status == StatementStatus::Unverified;
        stated.status.is_shown() || unverified
    });
    let notes = shown.map(|stated| Block::of_note(&stated.statement.text));
    let notes: Vec<Block> = notes.collect();
    let with_notes = |past: &[PastReview]| {
        selection.draft(context.target, past).with_all(Part::Notes, notes.iter().cloned())
    };
    let draft = with_notes(past);
    steered.steered.contrast.further = further.iter().map(|past| with_notes(past)).collect();
    steered.steered.steering.further = further.len();
    let prepared = PreparedPrompt::of(context, settings.form.stage(), draft, past);
    let cut_before = selection.summary.map(|summary| summary.cut).unwrap_or_default();
    let prepared = PreparedPrompt { stated: Some(profile), cut_before, ..prepared };
    prepared.steered_by(steered.steered, steered.sources)
}
