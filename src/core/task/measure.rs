//! Measures of differences between texts.

use serde::{Deserialize, Serialize};

/// A measure of a text that is compared with others' texts on the same item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// Words per sentence.
    SentenceWords,
    /// Standard deviation of a text's sentence lengths divided by their mean.
    SentenceSpread,
    /// Mean length of a word, in characters.
    WordLetters,
    /// Share of distinct words in a moving window (moving-average type-token ratio).
    LexicalVariety,
    /// Sentences that end with one full stop.
    FullStops,
    /// Sentences that end with an exclamation mark, alone or among several marks.
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
    /// `i` written for `I`.
    LowerI,
    /// Words without their apostrophe, e.g. `dont`.
    DroppedApostrophes,
    /// Contractions, e.g. `it's`, as a share of all places that allow one.
    Contractions,
    /// Spellings that are in no dictionary.
    Spellings,
    /// Emoji.
    Emoji,
    /// Emoticons: faces made of punctuation.
    Emoticons,
    /// Frequency of one function word.
    FunctionWord,
    /// A favourite word or phrase.
    Phrase,
    /// Phrase that texts begin with.
    Opening,
    /// Phrase that texts end with.
    Closing,
    /// Paragraphs per text.
    Paragraphs,
    /// List lines.
    Lists,
    /// Tone: balance of positive and negative words, -1 to 1.
    Tone,
    /// Standard deviation of the tone over the sentences of a text.
    ToneRange,
    /// Positive or negative words.
    FeelingWords,
    /// Boosters: words that intensify others.
    Boosters,
    /// Hedges: words that soften a statement.
    Hedges,
    /// Tone minus the tone that the rating implies.
    ToneAgainstRating,
    /// The rating.
    Rating,
    /// Words that address the reader.
    Address,
    /// Marks of humour.
    Humour,
    /// Words per text.
    Words,
    /// Content words: words that are not function words.
    ContentWords,
    /// Numbers.
    Numbers,
    /// Names.
    Names,
    /// First person.
    FirstPerson,
    /// First-person words as a share of first-person words and words that refer to the item.
    FirstPersonAgainstItem,
    /// Comparisons with other things.
    Comparisons,
    /// Topic of the sentences.
    Aspect,
    /// Mean cosine of the embeddings of neighbouring sentences.
    Coherence,
}
