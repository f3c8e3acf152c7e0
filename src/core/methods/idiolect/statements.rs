//! Statements about a user, validated on the user's own past.

use futures::future::try_join_all;

use super::occasions::occasions;
use super::options::{Extraction, Statements};
use super::showing::Showing;
use crate::client::CachedLm;
use crate::difference::measured::{MeasuredDifferences, measure};
use crate::difference::statements::{ProfileStatement, Revision, StatementProfile};
use crate::difference::{
    Compared, Difference, Statement, StatementSource, Trial, tell, tell_validated, verify,
};
use crate::methods::select::comparable;
use crate::methods::{Error, Material, Method, Options, Past, Result};
use crate::task::Telling;

/// Number of own texts on which statements are validated, the newest; statements are not made from
/// them.
const OCCASIONS: usize = 3;
/// Maximum number of measured statements that are used, the strongest.
const CANDIDATES: usize = 8;
/// Number of items on which differences are extracted, the newest.
const TOLD_ITEMS: usize = 3;
/// Maximum number of lines that are taken as statements from an answer without the standard's
/// dimensions, its first.
const MOST_LINES: usize = 6;
/// Minimum number of words of such a line; a shorter one is a heading.
const LEAST_WORDS: usize = 4;
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
/// [`Error::NoHistory`] if the view shows no text of the user; otherwise an error of the store, the
/// encoder or the language model.
pub async fn stated_profile(
    material: &Material<'_>,
    user: &str,
    options: &Options,
    revisions: &[Revision],
) -> Result<StatementProfile> {
    let task = options.task(material.task)?;
    let material = &Material { task: &task, ..material.clone() };
    let history = material.history_of(user, Method::Idiolect)?;
    let calls = material.calls(options);
    let showing = Showing::of(options.idiolect.texts);
    of_history(material, &calls, user, &history, options, &showing, revisions).await
}

/// Measures the differences between a user's texts and those of the representatives on the same
/// items, in all texts that can be compared; no language model is called.
///
/// # Errors
/// As [`stated_profile`].
pub fn measured_differences(
    material: &Material<'_>,
    user: &str,
    options: &Options,
) -> Result<MeasuredDifferences> {
    let task = options.task(material.task)?;
    let material = &Material { task: &task, ..material.clone() };
    let history = material.history_of(user, Method::Idiolect)?;
    let compared = try_compare(material, &comparable(&material.view, &history, 1)?, options)?;
    let vectors = material.peers.and_then(|peers| peers.sentence_vectors());
    Ok(measure(&compared, material.task, vectors)?)
}

pub(super) async fn of_history(
    material: &Material<'_>,
    calls: &CachedLm<'_>,
    user: &str,
    history: &[Past],
    options: &Options,
    showing: &Showing,
    revisions: &[Revision],
) -> Result<StatementProfile> {
    let profile =
        |computed, tried| StatementProfile::new(user, computed, tried, revisions, material.task);
    let wanted = options.idiolect.statements;
    if wanted == Statements::None {
        return Ok(profile(Vec::new(), 0));
    }
    let mut shared = comparable(&material.view, history, 1)?;
    shared.sort_by_key(|(review, _)| (review.review.time, review.id));
    let newest = match options.idiolect.verify {
        true => shared.split_off(shared.len().saturating_sub(OCCASIONS)),
        false => Vec::new(),
    };
    let compared = try_compare(material, &shared, options)?;
    let vectors = material.peers.and_then(|peers| peers.sentence_vectors());
    let measured = match wanted {
        Statements::Told => None,
        _ => Some(measure(&compared, material.task, vectors)?),
    };
    let mut tried = measured.as_ref().map_or(0, |measured| measured.n_measures);
    let mut statements: Vec<Statement> =
        measured.into_iter().flat_map(|m| m.statements).take(CANDIDATES).collect();
    if wanted != Statements::Measured {
        let told = told(material, calls, &compared, options).await?;
        tried += told.len();
        statements.extend(told);
    }
    if material.progress.stop_requested() {
        return Err(Error::Stopped);
    }
    let computed: Vec<ProfileStatement> = match options.idiolect.verify {
        true => {
            let occasions = occasions(material, history, &newest, options, showing)?;
            let stage = options.idiolect.form.stage();
            let trial = Trial { stage, tokens: TOKENS, max_tokens: options.max_tokens };
            verify(calls, trial, &occasions, statements).await?
        }
        false => statements.into_iter().map(ProfileStatement::unverified).collect(),
    };
    Ok(profile(computed, tried))
}

/// Own texts with the representatives chosen on their items; texts without any are left out.
fn try_compare(
    material: &Material<'_>,
    shared: &[Past],
    options: &Options,
) -> Result<Vec<Compared>> {
    let peers = material.peers.ok_or(Error::NoPeers { method: Method::Idiolect.name() })?;
    let mut all = Vec::with_capacity(shared.len());
    for (own, item) in shared {
        let choice = peers.choose(&material.view, &own.review.user, &item.id, &options.choice)?;
        if !choice.representatives.is_empty() {
            let representatives = choice.representatives;
            all.push(Compared { item: item.clone(), own: own.clone(), representatives });
        }
    }
    Ok(all)
}

/// Statements that the model extracts on the newest items: one per dimension, or one per line if
/// the answer does not keep to the dimensions.
async fn told(
    material: &Material<'_>,
    calls: &CachedLm<'_>,
    compared: &[Compared],
    options: &Options,
) -> Result<Vec<Statement>> {
    let newest = compared.iter().rev().take(TOLD_ITEMS);
    let told = newest.map(async |compared| -> Result<Vec<Statement>> {
        let (seed, most, order) = (options.profile_seed, options.profile_max_tokens, options.order);
        let difference = match options.idiolect.extraction {
            Extraction::Constrained => {
                tell(calls, compared, order, Telling::Constrained, seed, most).await?
            }
            Extraction::Free => tell(calls, compared, order, Telling::Free, seed, most).await?,
            Extraction::Open => tell_validated(calls, compared, order, seed, most).await?,
        };
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
            reviews: own.into_iter().collect(),
            against: against.to_vec(),
            evidence: Vec::new(),
        });
        Ok(said.collect())
    });
    let told: Vec<Vec<Statement>> = try_join_all(told.collect::<Vec<_>>()).await?;
    if material.progress.stop_requested() {
        return Err(Error::Stopped);
    }
    Ok(told.into_iter().flatten().collect())
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
            .filter(|line| line.split(' ').count() >= LEAST_WORDS)
            .take(MOST_LINES)
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
    use crate::task::Told;

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
        assert_eq!(by_dimension(&difference).len(), MOST_LINES);
        let told = |key: &str, text: &str| Told { dimension: key.into(), text: text.into() };
        difference.dimensions = Some(vec![told("writing", "Plain,\nshort."), told("tone", " ")]);
        let expected = ("writing".to_owned(), "writing".to_owned(), "Plain, short.".to_owned());
        assert_eq!(by_dimension(&difference), [expected]);
    }
}
