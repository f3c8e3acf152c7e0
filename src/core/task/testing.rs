//! Test helpers of this module and of the methods.

#![allow(missing_docs, clippy::unwrap_used)]

use super::{Block, BlockSource, Draft, Order, Part, Stage, Window};
use crate::corpus::ReviewId;
use idiolect_engine::lm::{self, Prompt};

use Part::{
    Compared, Judged, Notes, Operator, Others, Own, Past, Profile, Request, Target, Wishes,
};

pub const DIFFERENCE: Stage = Stage::new("difference", &[Own, Others]);
pub const SUMMARY: Stage = Stage::new("summary", &[Compared, Past]);
pub const GENERATION: Stage = Stage::new("generation", &[Target, Past, Profile]);
pub const RAG: Stage = Stage::new("rag", &[Target, Past]);
pub const SCP: Stage = Stage::new("scp", &[Target, Past]);
pub const COMPLETION: Stage = Stage::new("completion", &[Target, Past, Notes]);

/// The stages of the built-in tasks. The modules that make the calls declare the same ones.
pub const STAGES: [Stage; 29] = [
    DIFFERENCE,
    SUMMARY,
    GENERATION,
    Stage::new("non-perso", &[Target]),
    RAG,
    SCP,
    COMPLETION,
    Stage::new("ccp", &[Target, Past]),
    Stage::new("idiolect", &[Target, Past, Notes]),
    Stage::new("intsum-summary", &[Past]),
    Stage::new("trsr-block", &[Past]),
    Stage::new("trsr-update", &[Notes, Past]),
    Stage::new("trsr-merge", &[Notes]),
    Stage::new("cicl-analysis", &[Past]),
    Stage::new("cicl", &[Target, Past, Notes]),
    Stage::new("persona-extract", &[Past]),
    Stage::new("persona-refine", &[Notes, Past]),
    Stage::new("persona-db", &[Target, Notes, Past, Others]),
    Stage::new("drp-difference", &[Own, Others]),
    Stage::new("drp-validation", &[Own, Others, Notes]),
    Stage::new("hyperalign-hypotheses", &[Past]),
    Stage::new("hyperalign", &[Target, Past, Notes]),
    Stage::new("tiers", &[Operator, Wishes, Target, Request]),
    Stage::new("tiers-appended", &[Operator, Wishes, Target, Request]),
    Stage::new("fermi-propose", &[Notes, Past]),
    Stage::new("fermi", &[Notes, Target]),
    Stage::new("portable", &[Past, Notes]),
    Stage::new("judge", &[Target, Own, Judged]),
    Stage::new("judge-pair", &[Target, Own, Judged]),
];

/// Returns a built-in task as the text of a single file.
pub fn as_one_file(name: &str) -> String {
    super::sources::TaskFiles::open(name.as_ref(), "".as_ref()).unwrap().as_one_file()
}

/// Returns a draft with all parts of a stage, two blocks of each list.
pub fn draft(stage: Stage, order: Order) -> Draft {
    stage.parts().iter().fold(Draft::new().ordered(order), |draft, &part| {
        let n = if part.is_list() { 2 } else { 1 };
        draft.with_all(part, (1..=n).map(|i| block(&format!("{}{i}", part.name()), 0)))
    })
}

/// The text of a prompt, with a newline after each message.
pub fn text_of(prompt: &Prompt) -> String {
    match prompt {
        Prompt::Chat(chat) => chat.messages.iter().map(|m| format!("{}\n", m.content)).collect(),
        Prompt::Text(text) | Prompt::Raw(text) => text.clone(),
        Prompt::Tokens(ids) => format!("{ids:?}"),
    }
}

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
            context: None,
        },
        item_title: format!("{name}-item"),
        item_description: format!("{name}-description"),
        rating: "4".to_owned(),
        title: format!("{name}-title"),
        text: format!("{name}-text {}", "and so on. ".repeat(words / 3)).trim_end().to_owned(),
        other: format!("{name}-other"),
        context: format!("{name}-context"),
    }
}
