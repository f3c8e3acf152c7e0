//! Test helpers of this module and of the methods.

#![allow(missing_docs, clippy::unwrap_used)]

use super::{Block, BlockSource, Window};
use crate::corpus::ReviewId;
use idiolect_engine::lm::{self, Prompt};

/// A window that counts each word as one token; holds its length in tokens.
pub struct ByWords(pub usize);

impl Window for ByWords {
    fn context(&self) -> usize {
        self.0
    }
    fn count(&self, prompt: &Prompt) -> lm::Result<usize> {
        match prompt {
            // Two tokens of markup per message.
            Prompt::Chat(chat) => {
                chat.messages.iter().map(|m| Ok(self.count_text(&m.content)? + 2)).sum()
            }
            Prompt::Text(text) | Prompt::Raw(text) => self.count_text(text),
            Prompt::Tokens(ids) => Ok(ids.len()),
        }
    }
    fn count_text(&self, text: &str) -> lm::Result<usize> {
        Ok(text.split_whitespace().count())
    }
}

/// Returns a block whose fields begin with `name`, except the rating; its text has about `words`
/// words.
pub fn block(name: &str, words: usize) -> Block {
    Block {
        source: BlockSource {
            user: Some(format!("{name}-user")),
            item: Some(format!("{name}-item")),
            review: Some(ReviewId(1)),
        },
        item_title: format!("{name}-item"),
        item_description: format!("{name}-description"),
        rating: "4".to_owned(),
        title: format!("{name}-title"),
        text: format!("{name}-text {}", "and so on. ".repeat(words / 3)).trim_end().to_owned(),
        other: format!("{name}-other"),
    }
}
