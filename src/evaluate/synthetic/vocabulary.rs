//! Words and phrases of the synthetic texts.

/// Kinds of items, by category.
pub(super) const KINDS: [(&str, [&str; 6]); 3] = [
    ("kitchen", ["kettle", "toaster", "skillet", "grinder", "teapot", "scale"]),
    ("garden", ["spade", "hose", "lantern", "bench", "barrow", "trellis"]),
    ("desk", ["lamp", "clock", "stapler", "globe", "drawer", "speaker"]),
];

/// Parts that an item may have.
pub(super) const PARTS: [&str; 18] = [
    "handle", "lid", "cord", "base", "switch", "finish", "spout", "hinge", "dial", "label", "foot",
    "screw", "manual", "box", "colour", "weight", "grip", "seam",
];

/// Words for a part that the author likes (`GOOD`) or dislikes (`BAD`), by index.
pub(super) const GOOD: [&str; 10] = [
    "solid", "handsome", "quiet", "sturdy", "neat", "clever", "smooth", "pleasant", "tidy",
    "bright",
];
pub(super) const BAD: [&str; 10] =
    ["flimsy", "ugly", "loud", "wobbly", "messy", "silly", "rough", "annoying", "dull", "brittle"];

/// Sentence frames of a statement, with the placeholders `{part}` and `{word}`.
pub(super) const FRAMES: [&str; 8] = [
    "the {part} is {word}",
    "i would call the {part} {word}",
    "the {part} looks {word} to me",
    "my sister says that the {part} is {word}",
    "it has a {word} {part}",
    "as for the {part}, it is {word}",
    "you get a {part} which is {word}",
    "there is something {word} about the {part}",
];

pub(super) const HEDGES: [&str; 6] = [
    "perhaps",
    "i think",
    "it seems to me that",
    "as far as i can tell",
    "if i am not mistaken,",
    "maybe it is just me, but",
];

pub(super) const INTENSIFIERS: [&str; 8] =
    ["really", "quite", "so", "utterly", "rather", "awfully", "pretty", "remarkably"];

pub(super) const OPENERS: [&str; 8] = [
    "well",
    "right then",
    "hello all",
    "where do i begin",
    "bought this for my father",
    "second one of these",
    "a short note",
    "after three weeks",
];

pub(super) const CLOSERS: [&str; 8] = [
    "there you have it",
    "make of that what you will",
    "enough said",
    "would i buy it again? ask me in spring",
    "that is all",
    "my cat agrees",
    "so it goes",
    "thanks for reading",
];

pub(super) const ENDINGS: [&str; 6] = [".", "!", "!!!", "...", " :)", " -"];
