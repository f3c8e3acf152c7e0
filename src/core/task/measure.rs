//! What differences can be measured in.

use serde::{Deserialize, Serialize};

/// What can be measured of a text and compared with others' texts on the same item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// Words a sentence.
    SentenceWords,
    /// Spread of the lengths of a text's sentences in shares of their mean.
    SentenceSpread,
    /// Letters a word.
    WordLetters,
    /// Distinct words in a moving window.
    LexicalVariety,
    /// Sentences that end with one full stop.
    FullStops,
    /// Sentences that end with an exclamation mark.
    Exclamations,
    /// Sentences that end with several marks in a row, one of them an exclamation mark.
    ExclamationRuns,
    /// Sentences that end with a question mark.
    Questions,
    /// Ellipses.
    Ellipses,
    /// Dashes between words.
    Dashes,
    /// Parentheses.
    Parentheses,
    /// Quotation marks.
    Quotes,
    /// Semicolons.
    Semicolons,
    /// Commas.
    Commas,
    /// Sentences that end without any mark.
    BareEndings,
    /// Words in capitals.
    Capitals,
    /// Sentences that begin with a small letter.
    LowerStarts,
    /// `i` for `I`.
    LowerI,
    /// `dont` and the like.
    DroppedApostrophes,
    /// `it's` where `it is` could stand.
    Contractions,
    /// Spellings that no dictionary has.
    Spellings,
    /// Emoji.
    Emoji,
    /// Faces made of punctuation.
    Emoticons,
    /// How often one function word is used.
    FunctionWord,
    /// A favourite word or phrase.
    Phrase,
    /// What texts begin with.
    Opening,
    /// What texts end with.
    Closing,
    /// Paragraphs a text.
    Paragraphs,
    /// Lines of lists.
    Lists,
    /// Words of praise against words of blame.
    Tone,
    /// Spread of the tone over the sentences of a text.
    ToneRange,
    /// Words of praise or blame.
    FeelingWords,
    /// Words that make others stronger.
    Boosters,
    /// Words that soften.
    Hedges,
    /// Tone against what the rating says.
    ToneAgainstRating,
    /// The rating.
    Rating,
    /// Words addressed to the reader.
    Address,
    /// Marks of humour.
    Humour,
    /// Words a text.
    Words,
    /// Words that are no function words.
    ContentWords,
    /// Numbers.
    Numbers,
    /// Names.
    Names,
    /// First person.
    FirstPerson,
    /// First person against words that stand for the item.
    FirstPersonAgainstItem,
    /// Comparisons with other things.
    Comparisons,
    /// What sentences are about.
    Aspect,
    /// How near neighbouring sentences are in meaning.
    Coherence,
}
