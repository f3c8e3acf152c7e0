//! Removal of differences that repeat what another difference says better.

use super::wording::Found;
use crate::task::Measure::{self, *};
use crate::task::Way::{self, Less, More};

type RedundancyKey = (Measure, Way);

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
pub(super) fn remove(found: &mut Vec<Found>) {
    let said: Vec<RedundancyKey> = found.iter().map(|f| (f.measure, f.difference.way())).collect();
    found.retain(|f| {
        let this = (f.measure, f.difference.way());
        let by = SAID_BY.iter().find(|(what, _)| *what == this).map_or(&[][..], |(_, by)| by);
        let contracts = said.iter().any(|(measure, _)| *measure == Contractions);
        let little = f.measure == FunctionWord && contracts && f.phrase.contains('\'');
        !little && !by.iter().any(|other| said.contains(other))
    });
}
