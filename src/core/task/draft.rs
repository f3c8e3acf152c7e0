//! A prompt before it is text: typed fields in blocks, each of which knows where it comes from.

use serde::{Deserialize, Serialize};

use crate::corpus::{Item, Review, ReviewId, StoredReview, Target};

/// What a block is for. A template sees [`Part::Target`], [`Part::Own`] and [`Part::Profile`] as one
/// block each and the other parts as lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// The item to write about, with the rating and title that are given.
    Target,
    /// The user's own text that is compared, or that others are held against.
    Own,
    /// Texts of representatives about the same item.
    Others,
    /// Items that were compared; `text` is the difference that was told.
    Compared,
    /// The user's past texts.
    Past,
    /// The profile; `text` is its summary.
    Profile,
    /// Texts that are judged.
    Judged,
    /// What earlier calls answered; `text` is the answer.
    Notes,
}

impl Part {
    /// All parts.
    pub const ALL: [Self; 8] = [
        Self::Target,
        Self::Own,
        Self::Others,
        Self::Compared,
        Self::Past,
        Self::Profile,
        Self::Judged,
        Self::Notes,
    ];

    /// Name in templates and task files.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Target => "target",
            Self::Own => "own",
            Self::Others => "others",
            Self::Compared => "compared",
            Self::Past => "past",
            Self::Profile => "profile",
            Self::Judged => "judged",
            Self::Notes => "notes",
        }
    }

    /// Whether templates see a list.
    #[must_use]
    pub fn is_list(self) -> bool {
        matches!(self, Self::Others | Self::Compared | Self::Past | Self::Judged | Self::Notes)
    }
}

/// A field of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Field {
    /// Title of the item.
    ItemTitle,
    /// Description of the item.
    ItemDescription,
    /// Rating the text goes with.
    Rating,
    /// The text's own title.
    Title,
    /// The text.
    Text,
    /// What stands against the text, e.g. what somebody else wrote about the item.
    Other,
}

impl Field {
    /// All fields, in the order templates show them.
    pub const ALL: [Self; 6] = [
        Self::ItemTitle,
        Self::ItemDescription,
        Self::Rating,
        Self::Title,
        Self::Text,
        Self::Other,
    ];

    /// Name in templates and task files.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ItemTitle => "item_title",
            Self::ItemDescription => "item_description",
            Self::Rating => "rating",
            Self::Title => "title",
            Self::Text => "text",
            Self::Other => "other",
        }
    }
}

/// Where a block's text comes from.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Source {
    /// Who wrote it, or whom it describes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// What it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub item: Option<String>,
    /// Row of the review.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub review: Option<ReviewId>,
}

/// Fields that belong together. An absent field is an empty string.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Block {
    /// Where it comes from; never shown to the model.
    #[serde(skip)]
    pub source: Source,
    /// See [`Field::ItemTitle`].
    pub item_title: String,
    /// See [`Field::ItemDescription`].
    pub item_description: String,
    /// See [`Field::Rating`].
    pub rating: String,
    /// See [`Field::Title`].
    pub title: String,
    /// See [`Field::Text`].
    pub text: String,
    /// See [`Field::Other`].
    pub other: String,
}

impl Block {
    /// The item, rating and title of a text that is to be written.
    #[must_use]
    pub fn of_target(target: &Target) -> Self {
        Self {
            source: Source {
                user: Some(target.user.clone()),
                item: Some(target.item.id.clone()),
                review: None,
            },
            rating: target.rating.map(rating).unwrap_or_default(),
            title: target.title.clone().unwrap_or_default(),
            ..Self::of_item(&target.item)
        }
    }

    /// A review with the item it is about.
    #[must_use]
    pub fn of_review(stored: &StoredReview, item: &Item) -> Self {
        let Self { item_title, item_description, .. } = Self::of_item(item);
        Self { item_title, item_description, ..Self::of_peer(stored) }
    }

    /// A review whose item is shown elsewhere in the prompt.
    #[must_use]
    pub fn of_peer(stored: &StoredReview) -> Self {
        let Review { user, item, title, text, .. } = &stored.review;
        Self {
            source: Source {
                user: Some(user.clone()),
                item: Some(item.clone()),
                review: Some(stored.id),
            },
            rating: stored.review.rating.map(rating).unwrap_or_default(),
            title: title.clone(),
            text: text.clone(),
            ..Self::default()
        }
    }

    /// An item and what was told about it.
    #[must_use]
    pub fn of_told(item: &Item, text: &str, review: ReviewId) -> Self {
        let source = Source { user: None, item: Some(item.id.clone()), review: Some(review) };
        Self { source, text: text.to_owned(), ..Self::of_item(item) }
    }

    /// What was told about a user.
    #[must_use]
    pub fn of_profile(user: &str, summary: &str) -> Self {
        let source = Source { user: Some(user.to_owned()), ..Source::default() };
        Self { source, text: summary.to_owned(), ..Self::default() }
    }

    /// What an earlier call answered.
    #[must_use]
    pub fn of_note(text: &str) -> Self {
        Self { text: text.to_owned(), ..Self::default() }
    }

    /// The same with something against the text.
    #[must_use]
    pub fn against(self, other: &str) -> Self {
        Self { other: other.to_owned(), ..self }
    }

    fn of_item(item: &Item) -> Self {
        // Without a title and a description nothing would name the item at all.
        let nameless = item.title.is_empty() && item.description.is_empty();
        let item_title = if nameless { item.id.clone() } else { item.title.clone() };
        Self { item_title, item_description: item.description.clone(), ..Self::default() }
    }

    /// One field.
    #[must_use]
    pub fn get(&self, field: Field) -> &str {
        match field {
            Field::ItemTitle => &self.item_title,
            Field::ItemDescription => &self.item_description,
            Field::Rating => &self.rating,
            Field::Title => &self.title,
            Field::Text => &self.text,
            Field::Other => &self.other,
        }
    }

    /// One field, to be shortened.
    pub(super) fn get_mut(&mut self, field: Field) -> &mut String {
        match field {
            Field::ItemTitle => &mut self.item_title,
            Field::ItemDescription => &mut self.item_description,
            Field::Rating => &mut self.rating,
            Field::Title => &mut self.title,
            Field::Text => &mut self.text,
            Field::Other => &mut self.other,
        }
    }
}

/// Which comes first where texts of the user and of peers are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// The user's text, then the peers' (DPL as published).
    #[default]
    UserFirst,
    /// The peers' texts, then the user's: all users of an item share the start of the prompt.
    PeersFirst,
}

/// In which form differences are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Telling {
    /// As the model likes (DPL as published).
    #[default]
    Free,
    /// As a JSON object with one statement of bounded length for each dimension; the sampler keeps
    /// the model to it, so that it can always be read.
    Constrained,
}

/// The blocks of one prompt.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Draft {
    /// In the order in which they were added; a block that was dropped stays, marked.
    pub(super) blocks: Vec<Placed>,
    /// See [`Order`].
    pub(super) order: Order,
    /// See [`Telling`].
    pub(super) telling: Telling,
}

/// A block and its part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Placed {
    pub(super) part: Part,
    pub(super) block: Block,
    pub(super) dropped: bool,
}

impl Draft {
    /// An empty draft.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a block.
    #[must_use]
    pub fn with(mut self, part: Part, block: Block) -> Self {
        self.blocks.push(Placed { part, block, dropped: false });
        self
    }

    /// Adds blocks in order; for past texts the most relevant comes first.
    #[must_use]
    pub fn with_all(self, part: Part, blocks: impl IntoIterator<Item = Block>) -> Self {
        blocks.into_iter().fold(self, |draft, block| draft.with(part, block))
    }

    /// The blocks of one part alone.
    #[must_use]
    pub fn only(&self, part: Part) -> Self {
        let kept = self.blocks.iter().filter(|placed| placed.part == part).cloned();
        Self { blocks: kept.collect(), ..self.clone() }
    }

    /// Sets the order of user and peers.
    #[must_use]
    pub fn ordered(self, order: Order) -> Self {
        Self { order, ..self }
    }

    /// Sets the form of differences.
    #[must_use]
    pub fn told(self, telling: Telling) -> Self {
        Self { telling, ..self }
    }

    /// Blocks of one part that are still in the prompt.
    pub(super) fn part(&self, part: Part) -> impl Iterator<Item = &Block> {
        self.blocks.iter().filter(move |p| p.part == part && !p.dropped).map(|p| &p.block)
    }
}

/// A rating as people write it: `4`, `4.5`.
fn rating(rating: f32) -> String {
    rating.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratings_carry_no_needless_decimals() {
        assert_eq!([4.0, 4.5, 0.0].map(rating), ["4", "4.5", "0"]);
    }

    #[test]
    fn a_nameless_item_is_named_by_its_id() {
        let item = Item {
            id: "B01".into(),
            title: String::new(),
            description: String::new(),
            categories: Vec::new(),
        };
        let target = Target { user: "u".into(), item, rating: None, title: None };
        assert_eq!(Block::of_target(&target).item_title, "B01");
        assert_eq!(Block::of_target(&target).rating, "");
    }
}
