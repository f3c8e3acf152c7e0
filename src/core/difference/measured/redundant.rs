//! Removal of differences that repeat what another difference says better.

use super::finding::Finding;
use crate::task::Direction::{self, Less, More};
use crate::task::Measure::{self, *};

type RedundancyKey = (Measure, Direction);

/// Each difference that can be redundant, with the differences that make it so.
const SAID_BY: [(RedundancyKey, &[RedundancyKey]); 13] = [
    (
        (FullStops, Less),
        &[
            (ExclamationRuns, More),
            (Exclamations, More),
            (Ellipses, More),
            (Emoticons, More),
            (Emoji, More),
            (Questions, More),
            (BareEndings, More),
        ],
    ),
    ((Exclamations, Less), &[(FullStops, More)]),
    ((ExclamationRuns, Less), &[(FullStops, More), (Exclamations, Less)]),
    ((BareEndings, Less), &[(FullStops, More), (Exclamations, More)]),
    ((BareEndings, More), &[(Dashes, More)]),
    ((Exclamations, More), &[(ExclamationRuns, More)]),
    ((LowerI, More), &[(LowerStarts, More)]),
    ((LowerI, Less), &[(LowerStarts, Less)]),
    ((LowerStarts, Less), &[(Capitals, More)]),
    ((Capitals, Less), &[(LowerStarts, More)]),
    ((FirstPersonAgainstItem, More), &[(FirstPerson, More)]),
    ((FirstPersonAgainstItem, Less), &[(FirstPerson, Less)]),
    ((Tone, More), &[(FeelingWords, More)]),
];

/// Removes the differences that another found difference makes redundant.
pub(super) fn remove(found: &mut Vec<Finding>) {
    let said: Vec<RedundancyKey> =
        found.iter().map(|f| (f.measure, f.difference.direction())).collect();
    found.retain(|f| {
        let this = (f.measure, f.difference.direction());
        let by = SAID_BY.iter().find(|(what, _)| *what == this).map_or(&[][..], |(_, by)| by);
        let contracts = said.iter().any(|(measure, _)| *measure == Contractions);
        let little = f.measure == FunctionWord && contracts && f.phrase.contains('\'');
        !little && !by.iter().any(|other| said.contains(other))
    });
}
