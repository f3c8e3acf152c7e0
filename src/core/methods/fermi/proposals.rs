//! New instructions made of the best ones so far.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use serde_json::{Map, Value, json};

use super::STAGE;
use super::tried_prompt::{FermiGain, FermiText, TriedPrompt, draft};
use crate::client::LmCall;
use crate::corpus::ReviewId;
use crate::difference::measured::{Strictness, measure_with};
use crate::methods::retrieval::comparable;
use crate::methods::{FermiOptimiser, MethodContext, PastReview, Result};
use crate::task::{Block, Draft, Part, Stage};
use idiolect_engine::lm::Constraint;

/// Proposes instructions from the best ones and from the texts that they help least.
pub(super) const PROPOSE: Stage = Stage::new("fermi-propose", &[Part::Notes, Part::Past]);

/// Number of instructions that a round proposes.
const N_PROPOSED: usize = 4;
/// Most measured statements that are recombined, the strongest.
const MAX_STATEMENTS: usize = 12;
/// Most statements of an instruction.
const MAX_LINES: usize = 4;
/// Number of best instructions, and of texts that they help least, that the language model sees.
const N_SHOWN: usize = 3;
/// Maximum number of words of a proposed instruction.
const MAX_WORDS: usize = 60;
/// Maximum number of characters of it while it is written.
const MAX_CHARACTERS: usize = 400;
/// Maximum number of tokens of a draft.
const DRAFT_TOKENS: usize = 150;

/// A maker of instructions.
pub(super) enum Proposer {
    /// Statements that were measured in the texts that prompts are improved on, strongest first.
    Measured {
        statements: Vec<String>,
        sources: Vec<ReviewId>,
        begun: bool,
    },
    Model,
}

impl Proposer {
    /// The maker that the settings ask for. Statements are measured in `older`, the texts that do not
    /// choose; those that are not significant are taken as well, since the search tries each.
    pub(super) fn of(context: &MethodContext<'_>, older: &[PastReview]) -> Result<Self> {
        if context.options.fermi.optimiser == FermiOptimiser::Model {
            return Ok(Self::Model);
        }
        let peers = context.peers()?;
        let shared = comparable(&context.view, older, 1)?;
        let compared = shared.iter().filter_map(|past| context.compared(past).transpose());
        let compared = compared.collect::<Result<Vec<_>>>()?;
        let vectors = peers.sentence_vectors();
        let measured = measure_with(&compared, context.task, vectors, Strictness::CANDIDATES)?;
        let mut statements = measured.statements;
        statements.truncate(MAX_STATEMENTS);
        let sources = compared.iter().flat_map(|compared| compared.reviews()).collect();
        let statements = statements.into_iter().map(|statement| statement.text).collect();
        Ok(Self::Measured { statements, sources, begun: false })
    }

    /// The reviews that the statements were made from.
    pub(super) fn into_sources(self) -> Vec<ReviewId> {
        match self {
            Self::Measured { sources, .. } => sources,
            Self::Model => Vec::new(),
        }
    }

    /// Instructions to try, some perhaps known. `kept` are the best ones, best first.
    pub(super) async fn propose(
        &mut self,
        context: &MethodContext<'_>,
        kept: &[TriedPrompt],
        improve: &[FermiText],
        random: &mut ChaCha8Rng,
    ) -> Result<Vec<Vec<String>>> {
        match self {
            Self::Model => from_model(context, kept, improve).await,
            Self::Measured { statements, .. } if statements.is_empty() => Ok(Vec::new()),
            Self::Measured { statements, begun, .. } => match std::mem::replace(begun, true) {
                true => Ok((0..N_PROPOSED).map(|_| recombined(kept, statements, random)).collect()),
                false => {
                    Ok(statements.iter().take(N_PROPOSED).map(|one| vec![one.clone()]).collect())
                }
            },
        }
    }
}

/// One of the best instructions with a statement added, left out or without its figures, or joined with
/// another one.
fn recombined(kept: &[TriedPrompt], statements: &[String], random: &mut ChaCha8Rng) -> Vec<String> {
    let any = |n: usize, random: &mut ChaCha8Rng| random.random_range(0..n);
    let parent = &kept[any(kept.len(), random)].lines;
    let mut lines = parent.clone();
    match any(4, random) {
        0 if lines.len() > 1 => {
            lines.remove(any(parent.len(), random));
        }
        1 if !lines.is_empty() => {
            let line = any(parent.len(), random);
            lines[line] = without_figures(&parent[line]);
        }
        2 => {
            let other = &kept[any(kept.len(), random)].lines;
            lines.extend(other.iter().filter(|line| !parent.contains(line)).cloned());
        }
        _ => {
            let new = &statements[any(statements.len(), random)];
            if !lines.contains(new) {
                lines.push(new.clone());
            }
        }
    }
    lines.truncate(MAX_LINES);
    lines
}

/// A statement without brackets and without what others do.
fn without_figures(statement: &str) -> String {
    let mut kept = String::new();
    let mut depth = 0usize;
    for c in statement.chars() {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            c if depth == 0 => kept.push(c),
            _ => {}
        }
    }
    let mut words: Vec<&str> = kept.split_whitespace().collect();
    // "..., where others write 15." and "..., 3 in 100 words" compare.
    if let Some(at) = words.windows(2).position(|pair| pair == ["where", "others"]) {
        words.truncate(at);
    }
    let text = words.join(" ");
    format!("{}.", text.trim_end_matches([',', '.', ' ', ':']))
}

/// Instructions that the language model proposes.
async fn from_model(
    context: &MethodContext<'_>,
    kept: &[TriedPrompt],
    improve: &[FermiText],
) -> Result<Vec<Vec<String>>> {
    let shown = kept.iter().take(N_SHOWN).map(|prompt| {
        let gain = FermiGain::of(&prompt.improve).specific();
        let instruction = match prompt.lines.is_empty() {
            true => "(no instruction)".to_owned(),
            false => prompt.lines.join(" "),
        };
        Block::of_note(&format!("{gain:+.3}: {instruction}"))
    });
    let best = &kept[0];
    let mut order: Vec<usize> = (0..improve.len()).collect();
    let gain = |text: &usize| best.improve[*text].own;
    order.sort_by(|a, b| gain(a).total_cmp(&gain(b)).then(a.cmp(b)));
    let (mut wrong, mut sources) = (Vec::new(), Vec::new());
    for text in order.into_iter().take(N_SHOWN).map(|at| &improve[at]) {
        let (review, item) = &text.own;
        let call = LmCall {
            stage: STAGE,
            draft: draft(&best.lines, Some(&text.target())),
            sources: &[review.id],
            sampling: context.profile_sampling(STAGE)?,
            max_tokens: Some(DRAFT_TOKENS),
            constraint: None,
            steered: None,
            on_text: None,
        };
        let written = context.calls.answer(call).await?;
        wrong.push(Block::of_review(review, item).against(&written.text));
        sources.push(review.id);
    }
    let call = LmCall {
        stage: PROPOSE,
        draft: Draft::new().with_all(Part::Notes, shown).with_all(Part::Past, wrong),
        sources: &sources,
        sampling: context.profile_sampling(PROPOSE)?,
        max_tokens: context.options.profile_max_tokens,
        constraint: Some(constraint()),
        steered: None,
        on_text: None,
    };
    let answer = context.calls.answer(call).await?;
    Ok(parse(&answer.text))
}

fn names() -> impl Iterator<Item = String> {
    (1..=N_PROPOSED).map(|n| format!("instruction {n}"))
}

/// A JSON object with one line for each proposal.
fn constraint() -> Constraint {
    let more = MAX_CHARACTERS - 1;
    let line = format!(r"^[^\s\x00-\x1F\x7F][^\x00-\x1F\x7F]{{0,{more}}}$");
    let properties: Map<String, Value> =
        names().map(|name| (name, json!({ "type": "string", "pattern": line }))).collect();
    Constraint::JsonSchema(json!({
        "type": "object",
        "properties": properties,
        "required": names().collect::<Vec<_>>(),
        "additionalProperties": false,
    }))
}

/// The proposals of an answer, each cut to its first words; none if the answer was cut off.
fn parse(answer: &str) -> Vec<Vec<String>> {
    let fields: Map<String, Value> = serde_json::from_str(answer).unwrap_or_default();
    let texts = names().filter_map(|name| fields.get(&name)?.as_str().map(str::to_owned));
    let cut = |text: String| text.split_whitespace().take(MAX_WORDS).collect::<Vec<_>>().join(" ");
    texts.map(cut).filter(|text| !text.is_empty()).map(|text| vec![text]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    #[test]
    fn figures_and_comparisons_are_left_out() {
        for (statement, bare) in [
            (
                "Writes short sentences of about 8 words, where others write 15.",
                "Writes short sentences of about 8 words.",
            ),
            (
                "Ends sentences with a plain full stop (91 %; others 70 %).",
                "Ends sentences with a plain full stop.",
            ),
            ("Asks (now (and) then).", "Asks."),
            ("Never asks.", "Never asks."),
        ] {
            assert_eq!(without_figures(statement), bare);
        }
    }

    #[test]
    fn recombinations_consist_of_known_statements() {
        let statements: Vec<String> =
            ["One (1).", "Two (2).", "Three (3).", "Four (4)."].map(str::to_owned).to_vec();
        let prompt = |lines: &[usize]| TriedPrompt {
            lines: lines.iter().map(|at| statements[*at].clone()).collect(),
            ..TriedPrompt::seed(1)
        };
        let kept = [prompt(&[0, 1, 2, 3]), prompt(&[]), prompt(&[2])];
        let mut random = ChaCha8Rng::seed_from_u64(1);
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..200 {
            let lines = recombined(&kept, &statements, &mut random);
            assert!(lines.len() <= MAX_LINES);
            let known = |line: &String| {
                statements.iter().any(|one| one == line || without_figures(one) == *line)
            };
            assert!(lines.iter().all(known), "{lines:?}");
            seen.insert(lines);
        }
        assert!(seen.len() > 10, "{}", seen.len());
    }

    #[test]
    fn an_answer_is_taken_by_its_names_and_cut() {
        let long = "word ".repeat(100);
        let answer = json!({ "instruction 1": "Be  short.", "instruction 3": long, "other": "x" });
        let proposed = parse(&answer.to_string());
        assert_eq!(proposed[0], ["Be short."]);
        assert_eq!(proposed[1][0].split(' ').count(), MAX_WORDS);
        assert_eq!(proposed.len(), 2);
        assert_eq!(parse("{\"instruction 1\": \"cut o"), Vec::<Vec<String>>::new());
    }
}
