//! Fits prompts to the window by the steps that the task declares, and lists what was cut.

use serde::Serialize;

use super::draft::{BlockSource, Draft, Field};
use super::render::Rendered;
use super::shorten::WordCounter;
use super::{End, Error, Result, Stage, Step, Task, share_of};
use idiolect_engine::lm::{self, Lm, Prompt};
use idiolect_engine::model;

/// Token counts that fitting needs; [`Lm`] implements it, and tests have their own.
pub trait Window {
    /// Maximum length of prompt and answer together, in tokens.
    fn context(&self) -> usize;
    /// Returns the number of tokens of a prompt.
    fn count(&self, prompt: &Prompt) -> lm::Result<usize>;
    /// Returns the number of tokens of a text inside a prompt.
    fn count_text(&self, text: &str) -> lm::Result<usize>;
}

impl Window for Lm {
    fn context(&self) -> usize {
        Lm::context(self)
    }
    fn count(&self, prompt: &Prompt) -> lm::Result<usize> {
        Lm::count(self, prompt)
    }
    fn count_text(&self, text: &str) -> lm::Result<usize> {
        Lm::count_text(self, text)
    }
}

/// A text that was shortened or left out of a prompt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Cut {
    /// Stage of the prompt, e.g. `generation`.
    pub stage: &'static str,
    /// The field, e.g. `past.item_description`, or the part, e.g. `past`, if a whole block was
    /// dropped.
    pub field: String,
    /// Source of the text.
    pub of: BlockSource,
    /// Number of tokens of it in the prompt.
    pub kept_tokens: usize,
    /// Number of tokens of the whole text.
    pub of_tokens: usize,
}

/// A prompt that fits the window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fitted {
    /// The conversation or document.
    pub prompt: Prompt,
    /// Text that ends the answer; see [`Rendered::stop`].
    pub stop: Option<String>,
    /// Number of tokens of the prompt.
    pub prompt_tokens: usize,
    /// The cuts, in the order of the draft.
    pub cut: Vec<Cut>,
}

/// Renders a draft so that the prompt and an answer of `max_tokens` fit the window.
///
/// Each field is first cut to the task's share of the window, so that one very long text does not
/// fill it. While the prompt is too long, the task's steps are then applied in order, each no
/// further than needed. A shortening step cuts the longest of its fields to a common length; a
/// dropping step drops one block after another. Texts are cut at ends of sentences or words. The
/// same draft and window always give the same prompt.
///
/// # Errors
/// [`Error::TooSmall`] if the prompt is too long after all steps; [`Error::NoTemplate`] if it is a
/// conversation and the model has no chat template.
pub fn fit(
    task: &Task,
    stage: Stage,
    draft: &Draft,
    window: &dyn Window,
    max_tokens: usize,
) -> Result<Fitted> {
    let draft = &match task.shows_context() {
        true => draft.clone(),
        false => draft.clone().without_context(),
    };
    let count = |text: &str| window.count_text(text);
    let mut words = WordCounter::new(&count);
    let mut short = draft.clone();
    limit_fields(&mut short, share_of(window.context(), task.field_share), &mut words)?;
    let mut steps = task.stage(stage)?.shorten.iter().peekable();
    loop {
        let Rendered { prompt, stop } = task.render(stage, &short)?;
        let prompt_tokens = window.count(&prompt).map_err(|error| match error {
            lm::Error::Model(model::Error::NoTemplate(_)) => {
                Error::NoTemplate { stage: stage.name(), source: Box::new(error) }
            }
            other => other.into(),
        })?;
        let excess = (prompt_tokens + max_tokens).saturating_sub(window.context());
        if excess == 0 {
            let cut = cuts(stage, draft, &short, window)?;
            return Ok(Fitted { prompt, stop, prompt_tokens, cut });
        }
        // If a step can free nothing more, continue with the next one.
        loop {
            let Some(&&step) = steps.peek() else {
                let (stage, context) = (stage.name(), window.context());
                return Err(Error::TooSmall { stage, prompt: prompt_tokens, max_tokens, context });
            };
            if take(step, &mut short, excess, &mut words)? {
                break;
            }
            steps.next();
        }
    }
}

/// Upper bound of the tokens that dropping a block frees: `TIMES` times the tokens of its words,
/// plus `AROUND` for the template around it. With this bound, several blocks are dropped between
/// two token counts only if all of them must go.
const TIMES: usize = 2;
const AROUND: usize = 64;

fn limit_fields(
    draft: &mut Draft,
    most: usize,
    words: &mut WordCounter<'_, lm::Error>,
) -> Result<()> {
    for placed in &mut draft.blocks {
        for field in Field::ALL {
            let text = placed.block.get_mut(field);
            // No tokenizer makes more tokens than bytes, so most texts are short enough without
            // counting.
            if text.len() > most {
                let measured = words.measure(text)?;
                if measured.tokens > most {
                    text.truncate(measured.head(text, most).len());
                }
            }
        }
    }
    Ok(())
}

/// Applies one step, to free `excess` tokens if possible; returns whether it shortened anything.
fn take(
    step: Step,
    draft: &mut Draft,
    excess: usize,
    words: &mut WordCounter<'_, lm::Error>,
) -> Result<bool> {
    match step {
        Step::Shorten { part, field, to } => {
            let placed = draft.blocks.iter_mut().filter(|p| p.part == part && !p.dropped);
            shorten(placed.map(|placed| placed.block.get_mut(field)), to, excess, words)
        }
        Step::Drop { part, keep, from } => {
            let mut kept: Vec<_> =
                draft.blocks.iter_mut().filter(|p| p.part == part && !p.dropped).collect();
            if kept.len() <= keep {
                return Ok(false);
            }
            if from == End::Last {
                kept.reverse();
            }
            let n_most = kept.len() - keep;
            let mut freed = 0;
            for placed in kept.into_iter().take(n_most) {
                if freed >= excess {
                    break;
                }
                placed.dropped = true;
                for field in Field::ALL {
                    freed += TIMES * words.measure(placed.block.get(field))?.tokens;
                }
                freed += AROUND;
            }
            Ok(true)
        }
    }
}

/// Shortens the longest of these texts to a common length of at least `to` tokens, to free `excess`
/// tokens if possible; returns whether it shortened anything.
fn shorten<'t>(
    whole: impl Iterator<Item = &'t mut String>,
    to: usize,
    excess: usize,
    words: &mut WordCounter<'_, lm::Error>,
) -> Result<bool> {
    let mut texts = Vec::new();
    for text in whole {
        let measured = words.measure(text)?;
        texts.push((text, measured));
    }
    let lengths: Vec<usize> = texts.iter().map(|(_, m)| m.tokens).collect();
    let limit = common_limit(&lengths, to, excess);
    let mut shorter = false;
    for (text, measured) in texts.into_iter().filter(|(_, m)| m.tokens > limit) {
        let head = measured.head(text, limit).len();
        shorter |= head < text.len();
        text.truncate(head);
    }
    Ok(shorter)
}

/// Returns the largest limit, at least `to`, that removes `excess` tokens from texts of these
/// lengths; `to` if none does.
fn common_limit(lengths: &[usize], to: usize, excess: usize) -> usize {
    let freed = |limit: usize| lengths.iter().map(|n| n.saturating_sub(limit)).sum::<usize>();
    let (mut enough, mut too_little) = (to, lengths.iter().copied().max().unwrap_or(0));
    while enough + 1 < too_little {
        let middle = usize::midpoint(enough, too_little);
        if freed(middle) >= excess {
            enough = middle;
        } else {
            too_little = middle;
        }
    }
    enough
}

fn cuts(stage: Stage, draft: &Draft, short: &Draft, window: &dyn Window) -> Result<Vec<Cut>> {
    let mut cuts = Vec::new();
    for (whole, short) in draft.blocks.iter().zip(&short.blocks) {
        let mut cut = |field: String, kept_tokens, of_tokens| {
            let of = whole.block.source.clone();
            cuts.push(Cut { stage: stage.name(), field, of, kept_tokens, of_tokens });
        };
        if short.dropped {
            let mut of_tokens = 0;
            for field in Field::ALL {
                of_tokens += window.count_text(whole.block.get(field))?;
            }
            cut(whole.part.name().to_owned(), 0, of_tokens);
            continue;
        }
        for field in Field::ALL {
            let (before, after) = (whole.block.get(field), short.block.get(field));
            if before != after {
                let (kept, of) = (window.count_text(after)?, window.count_text(before)?);
                cut(format!("{}.{}", whole.part.name(), field.name()), kept, of);
            }
        }
    }
    Ok(cuts)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::draft::Part;
    use super::super::testing::{ByWords, COMPLETION, RAG, SCP, block, text_of};
    use super::*;
    use proptest::prelude::*;

    fn task() -> Task {
        // Most of these tests are about the steps, so the limit per field is high.
        Task { field_share: 0.9, ..Task::load("review").unwrap() }
    }

    fn rag(description_words: usize, n_past: usize, words: usize) -> Draft {
        let past = (0..n_past).map(|i| {
            let mut past = block(&format!("past{i}"), words);
            past.item_description = "of this kind. ".repeat(description_words / 3);
            past
        });
        let mut target = block("target", 0);
        target.item_description = "what it is. ".repeat(20);
        Draft::new().with(Part::Target, target).with_all(Part::Past, past)
    }

    #[test]
    fn a_prompt_with_room_is_left_alone() {
        let fitted = fit(&task(), RAG, &rag(60, 3, 40), &ByWords(10_000), 100).unwrap();
        assert_eq!(fitted.cut, []);
        assert!(text_of(&fitted.prompt).contains("past2"));
    }

    #[test]
    fn descriptions_of_past_items_go_first_and_only_as_far_as_needed() {
        let draft = rag(300, 3, 40);
        let whole = fit(&task(), RAG, &draft, &ByWords(100_000), 100).unwrap();
        let window = ByWords(whole.prompt_tokens + 100 - 50);
        let fitted = fit(&task(), RAG, &draft, &window, 100).unwrap();
        assert_eq!(fitted.cut.len(), 3);
        for cut in &fitted.cut {
            assert_eq!(cut.field, "past.item_description");
            assert_eq!(cut.of_tokens, 300);
            assert!((270..300).contains(&cut.kept_tokens), "{cut:?}");
        }
        assert_eq!(fitted.cut[0].of.item.as_deref(), Some("past0-item"));
        assert_eq!(fitted.cut[0].stage, "rag");
    }

    #[test]
    fn the_least_relevant_past_texts_are_dropped_and_reported() {
        let draft = rag(90, 6, 100);
        let fitted = fit(&task(), RAG, &draft, &ByWords(420), 100).unwrap();
        let dropped: Vec<_> = fitted.cut.iter().filter(|c| c.field == "past").collect();
        assert!(!dropped.is_empty());
        assert_eq!(dropped.last().unwrap().of.item.as_deref(), Some("past5-item"));
        assert!(dropped.iter().all(|c| c.kept_tokens == 0 && c.of_tokens > 190), "{dropped:?}");
        assert!(!text_of(&fitted.prompt).contains("past5"));
        assert!(text_of(&fitted.prompt).contains("past0"));
    }

    #[test]
    fn a_window_that_is_too_small_is_an_error_with_the_figures() {
        let error = fit(&task(), RAG, &rag(9, 2, 9), &ByWords(40), 30).unwrap_err();
        let Error::TooSmall { stage, prompt, max_tokens, context } = error else {
            panic!("{error}");
        };
        assert_eq!((stage, max_tokens, context), ("rag", 30, 40));
        assert!(prompt > 10);
    }

    #[test]
    fn one_review_of_100_kb_fits() {
        let draft = rag(0, 1, 30_000);
        let fitted = fit(&task(), RAG, &draft, &ByWords(2048), 256).unwrap();
        assert!(fitted.prompt_tokens + 256 <= 2048);
        let [cut] = fitted.cut.as_slice() else { panic!("{:?}", fitted.cut) };
        assert_eq!(cut.field, "past.text");
        assert!(cut.of_tokens > 20_000);
        assert!(cut.kept_tokens > 1300, "{cut:?}");
        // With the shipped limit per field, the text may take only a share of the window.
        let task = Task::load("review").unwrap();
        let fitted = fit(&task, RAG, &draft, &ByWords(2048), 256).unwrap();
        assert!((192..=256).contains(&fitted.cut[0].kept_tokens), "{:?}", fitted.cut);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn never_exceeds_the_window_and_reports_exactly(
            description in 0usize..400, n in 0usize..9, words in 0usize..400, context in 250usize..4000,
        ) {
            let (task, window) = (task(), ByWords(context));
            let draft = rag(description, n, words);
            for stage in [RAG, SCP, COMPLETION] {
                match fit(&task, stage, &draft, &window, 100) {
                    Ok(fitted) => {
                        let tokens = window.count(&fitted.prompt).unwrap();
                        prop_assert_eq!(tokens, fitted.prompt_tokens);
                        prop_assert!(tokens + 100 <= context);
                        let text = text_of(&fitted.prompt);
                        for i in 0..n {
                            let mark = format!("past{i}-item");
                            let dropped = fitted.cut.iter().any(|c| {
                                c.field == "past" && c.of.item.as_deref() == Some(&mark)
                            });
                            prop_assert_eq!(!dropped, text.contains(&mark), "{} {}", i, text);
                        }
                        prop_assert!(fitted.cut.iter().all(|c| c.kept_tokens < c.of_tokens));
                        prop_assert_eq!(fit(&task, stage, &draft, &window, 100).unwrap(), fitted);
                    }
                    Err(Error::TooSmall { prompt, .. }) => prop_assert!(prompt + 100 > context),
                    Err(other) => prop_assert!(false, "{}", other),
                }
            }
        }
    }
}
