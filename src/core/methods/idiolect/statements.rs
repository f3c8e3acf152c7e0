//! Statements about a user, validated on the user's own past.

use std::collections::HashSet;

use futures::future::try_join_all;

use super::example_selection::ExampleSelection;
use super::leave_one_out::held_out_examples;
use super::options::{Extraction, Statements};
use crate::difference::measured::{MeasuredDifferences, measure};
use crate::difference::statements::{ProfileStatement, Revision, StatementProfile};
use crate::difference::{
    Compared, Difference, Statement, StatementSource, ValidationSettings, validate,
};
use crate::methods::dpl::Extractor;
use crate::methods::retrieval::comparable;
use crate::methods::{Method, MethodContext, MethodInputs, MethodOptions, PastReview, Result};
use crate::task::DifferenceFormat;

/// Number of own texts on which statements are validated, the newest; statements are not made from
/// them.
const N_HELD_OUT: usize = 3;
/// Maximum number of measured statements that are used, the strongest.
const MAX_MEASURED: usize = 8;
/// Number of items on which differences are extracted, the newest.
const N_EXTRACTED_ITEMS: usize = 3;
/// Maximum number of lines that are taken as statements from an answer without the standard's
/// dimensions, its first.
const MAX_LINES: usize = 6;
/// Minimum number of words of such a line; a shorter one is a heading.
const MIN_WORDS: usize = 4;
/// Characters that are stripped from the start of such a line.
const MARKS: [char; 6] = ['-', '*', '•', '–', '#', ' '];
/// Key of the dimension of such a line.
const OPEN: &str = "open";
/// Number of tokens of each text that count.
const TOKENS: usize = 100;

/// Makes a user's profile in statements. They are measured and extracted on the older part of the
/// comparable reviews and validated on the newer part; then a person's changes are applied: those
/// of `revisions`, all of them or the first few for an older version.
///
/// # Errors
/// [`Error::NoHistory`](crate::methods::Error::NoHistory) if the view shows no text of the user; otherwise an error of the store, the
/// encoder or the language model.
pub async fn stated_profile(
    inputs: &MethodInputs<'_>,
    user: &str,
    options: &MethodOptions,
    revisions: &[Revision],
) -> Result<StatementProfile> {
    let task = options.task(inputs.task)?;
    let inputs = inputs.with_task(&task);
    let context = MethodContext::of_user(Method::IDIOLECT, &inputs, user, options);
    let history = context.author_history()?;
    let selection = ExampleSelection::of(options.idiolect.texts);
    of_history(&context, &history, &selection, revisions).await
}

/// Measures the differences between a user's texts and those of the representatives on the same
/// items, in all texts that can be compared; no language model is called.
///
/// # Errors
/// As [`stated_profile`].
pub fn measured_differences(
    inputs: &MethodInputs<'_>,
    user: &str,
    options: &MethodOptions,
) -> Result<MeasuredDifferences> {
    let task = options.task(inputs.task)?;
    let inputs = inputs.with_task(&task);
    let context = MethodContext::of_user(Method::IDIOLECT, &inputs, user, options);
    let history = context.author_history()?;
    measured(&context, &compared(&context, &comparable(&context.view, &history, 1)?)?)
}

/// Makes the profile of a history; held-out texts are scored under the prompts of `selection`.
pub(super) async fn of_history(
    context: &MethodContext<'_>,
    history: &[PastReview],
    selection: &ExampleSelection,
    revisions: &[Revision],
) -> Result<StatementProfile> {
    let settings = &context.options.idiolect;
    let profile = |computed, tried| {
        StatementProfile::new(context.author, computed, tried, revisions, context.task)
    };
    if settings.statements == Statements::None {
        return Ok(profile(Vec::new(), 0));
    }
    let mut shared = comparable(&context.view, history, 1)?;
    shared.sort_by_key(|(review, _)| (review.review.time, review.id));
    let newest = match settings.verify {
        true => shared.split_off(shared.len().saturating_sub(N_HELD_OUT)),
        false => Vec::new(),
    };
    let compared = compared(context, &shared)?;
    let measured = match settings.statements {
        Statements::Told => None,
        _ => Some(measured(context, &compared)?),
    };
    let mut tried = measured.as_ref().map_or(0, |measured| measured.n_measures);
    let mut statements: Vec<Statement> =
        measured.into_iter().flat_map(|m| m.statements).take(MAX_MEASURED).collect();
    if settings.statements != Statements::Measured {
        let extracted = extracted(context, &compared).await?;
        tried += extracted.len();
        statements.extend(extracted);
    }
    context.check_stop()?;
    let computed: Vec<ProfileStatement> = match settings.verify {
        true => {
            let examples = held_out_examples(context, history, &newest, selection)?;
            let (stage, max_tokens) = (settings.form.stage(), context.options.max_tokens);
            let validation = ValidationSettings { stage, tokens: TOKENS, max_tokens };
            validate(&context.calls, validation, &examples, statements).await?
        }
        false => statements.into_iter().map(ProfileStatement::unverified).collect(),
    };
    Ok(profile(computed, tried))
}

/// Own texts with the representatives chosen on their items; texts without any are left out.
fn compared(context: &MethodContext<'_>, shared: &[PastReview]) -> Result<Vec<Compared>> {
    // An error even if there is no text to compare.
    context.peers()?;
    let compared = shared.iter().filter_map(|past| context.compared(past).transpose());
    compared.collect()
}

/// Differences measured in all of these texts.
fn measured(context: &MethodContext<'_>, compared: &[Compared]) -> Result<MeasuredDifferences> {
    let vectors = context.peers()?.sentence_vectors();
    Ok(measure(compared, context.task, vectors)?)
}

/// Statements that the model extracts on the newest items, of several texts on one item from the
/// newest: one per dimension, or one per line if the answer does not keep to the dimensions.
async fn extracted(context: &MethodContext<'_>, compared: &[Compared]) -> Result<Vec<Statement>> {
    let extractor = match context.options.idiolect.extraction {
        Extraction::Constrained => Extractor::Standard(DifferenceFormat::Constrained),
        Extraction::Free => Extractor::Standard(DifferenceFormat::Free),
        Extraction::Open => Extractor::Validated,
    };
    let mut items = HashSet::new();
    let of_items = compared.iter().rev().filter(|compared| items.insert(&compared.item.id));
    let newest = of_items.take(N_EXTRACTED_ITEMS);
    let extracted = newest.map(async |compared| -> Result<Vec<Statement>> {
        let difference = extractor.extract(context, compared).await?;
        let item = &difference.item;
        let reviews = compared.reviews();
        let (own, against) =
            reviews.split_first().map_or((None, &[][..]), |(own, others)| (Some(*own), others));
        let said = by_dimension(&difference).into_iter().map(|(key, dimension, text)| Statement {
            key: format!("told-{key}-{item}"),
            dimension,
            text,
            source: StatementSource::Told,
            effect: None,
            figures: None,
            reviews: own.into_iter().collect(),
            against: against.to_vec(),
            evidence: Vec::new(),
        });
        Ok(said.collect())
    });
    let extracted = try_join_all(extracted.collect::<Vec<_>>()).await?;
    context.check_stop()?;
    Ok(extracted.into_iter().flatten().collect())
}

/// Key, dimension and text of each statement of an answer.
fn by_dimension(difference: &Difference) -> Vec<(String, String, String)> {
    let in_one_line = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let said: Vec<_> = match &difference.dimensions {
        Some(told) => told
            .iter()
            .map(|told| (told.dimension.clone(), told.dimension.clone(), in_one_line(&told.text)))
            .collect(),
        None => difference
            .text
            .lines()
            .map(|line| in_one_line(line.trim_start_matches(MARKS)))
            .filter(|line| line.split(' ').count() >= MIN_WORDS)
            .take(MAX_LINES)
            .enumerate()
            .map(|(n, line)| ((n + 1).to_string(), OPEN.to_owned(), line))
            .collect(),
    };
    said.into_iter().filter(|(_, _, text)| !text.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::corpus::ReviewId;
    use crate::task::DimensionText;

    #[test]
    fn an_answer_is_taken_by_dimension_or_line_by_line() {
        let mut difference = Difference {
            item: "kettle".into(),
            item_title: String::new(),
            review: ReviewId(1),
            representatives: Vec::new(),
            dimensions: None,
            text: "Differences:\n\n- Writes in *short* lines.\n  * Uses no  commas at all\n## So\n"
                .into(),
            cut: Vec::new(),
            reused: false,
        };
        let said = |n: &str, text: &str| (n.to_owned(), OPEN.to_owned(), text.to_owned());
        let expected = [said("1", "Writes in *short* lines."), said("2", "Uses no commas at all")];
        assert_eq!(by_dimension(&difference), expected);
        difference.text = "Says the same thing again.\n".repeat(20);
        assert_eq!(by_dimension(&difference).len(), MAX_LINES);
        let told =
            |key: &str, text: &str| DimensionText { dimension: key.into(), text: text.into() };
        difference.dimensions = Some(vec![told("writing", "Plain,\nshort."), told("tone", " ")]);
        let expected = ("writing".to_owned(), "writing".to_owned(), "Plain, short.".to_owned());
        assert_eq!(by_dimension(&difference), [expected]);
    }
}
