//! Contrast prompts and the rules by which the distributions after several prompts become one.

use super::Model;
use super::watch::Watcher;
use crate::corpus::KeyBuilder;
use crate::steering::{LengthPrior, NgramBlocklist, Steering, WithLengthPrior};
use crate::task::{Cut, Draft, Fitted};
use idiolect_engine::lm::{self, CombineLogits, MaskLogits, Prompt};

/// Contrast prompts: prompts of the same stage that are combined with the user's.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ContrastPrompts {
    /// Further prompts with texts of the user; see [`Steering::further`].
    pub further: Vec<Draft>,
    /// Unconditional prompt, without any user's texts.
    pub unconditional: Draft,
    /// Prompts with peers' texts on the same items, any number.
    pub peers: Vec<Draft>,
}

/// Settings of steered generation.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Steered {
    /// The contrast prompts.
    pub contrast: ContrastPrompts,
    /// The rule and its strengths.
    pub steering: Steering,
    /// Texts from which a generated text must not copy.
    pub blocklist: Option<NgramBlocklist>,
    /// Length prior of a generated text.
    pub length: Option<LengthPrior>,
}

impl Steered {
    /// The combination of the prompts' distributions, with the length prior. `watcher`, if given,
    /// watches it without the prior.
    pub(super) fn combine(
        &self,
        model: &dyn Model,
        watcher: Option<&Watcher>,
    ) -> lm::Result<Box<dyn CombineLogits>> {
        let rule = match watcher {
            Some(watcher) if self.steering != Steering::default() => {
                watcher.watched(self.steering.rule())
            }
            _ => self.steering.rule(),
        };
        let Some(length) = self.length else { return Ok(rule) };
        let ends = model.vocabulary()?.end_tokens();
        Ok(Box::new(WithLengthPrior { rule, length, ends }))
    }

    pub(super) fn mask(&self) -> Option<Box<dyn MaskLogits>> {
        self.blocklist.clone().map(|blocklist| Box::new(blocklist) as _)
    }

    /// Adds all settings but the contrast prompts, which are added in their fitted form.
    pub(super) fn add_to(&self, key: KeyBuilder) -> KeyBuilder {
        let Self { contrast: _, steering, blocklist, length } = self;
        key.with("steering", steering.key())
            .with("guard", blocklist.as_ref().map_or("", NgramBlocklist::hash))
            .with("ending", length.map(|length| length.key()).unwrap_or_default())
    }
}

/// Fitted prompts, the user's first.
pub(super) struct FittedPrompts(Vec<Fitted>);

impl FittedPrompts {
    pub(super) fn new(fitted: Vec<Fitted>) -> Self {
        Self(fitted)
    }

    /// Number of tokens of all prompts.
    pub(super) fn prompt_tokens(&self) -> usize {
        self.0.iter().map(|fitted| fitted.prompt_tokens).sum()
    }

    pub(super) fn prompts(&self) -> Vec<Prompt> {
        self.0.iter().map(|fitted| fitted.prompt.clone()).collect()
    }

    /// Texts that end the answer: the separator of the user's document.
    pub(super) fn stop(&self) -> Vec<String> {
        self.0.first().and_then(|fitted| fitted.stop.clone()).into_iter().collect()
    }

    /// Parts left out of the user's prompt. Those left out of the contrast prompts are not
    /// reported.
    pub(super) fn cut(&self) -> Vec<Cut> {
        self.0.first().map(|fitted| fitted.cut.clone()).unwrap_or_default()
    }

    /// Adds the prompts in their order.
    pub(super) fn add_to(&self, key: KeyBuilder) -> KeyBuilder {
        self.0.iter().fold(key, with_prompt)
    }

    /// The user's prompt and the others.
    pub(super) fn split(&self) -> Option<(&Fitted, &[Fitted])> {
        self.0.split_first()
    }
}

/// Adds one prompt to a key.
pub(super) fn with_prompt(key: KeyBuilder, fitted: &Fitted) -> KeyBuilder {
    match &fitted.prompt {
        Prompt::Chat(chat) => key.with("prompt", serde_json::to_vec(chat).unwrap_or_default()),
        Prompt::Text(text) | Prompt::Raw(text) => {
            key.with("document", text).with("stop", fitted.stop.as_deref().unwrap_or_default())
        }
        Prompt::Tokens(ids) => key.with("tokens", serde_json::to_vec(ids).unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::corpus::Key;
    use idiolect_engine::lm::{Chat, Role};

    fn key(prompt: Prompt, stop: Option<&str>) -> Key {
        let stop = stop.map(str::to_owned);
        let fitted = Fitted { prompt, stop, prompt_tokens: 1, cut: Vec::new() };
        with_prompt(Key::of("scp"), &fitted).finish()
    }

    #[test]
    fn conversations_have_the_keys_of_before_there_were_documents() {
        let chat = Chat::default().with(Role::System, "Be \"you\".").with(Role::User, "Hi");
        let json = r#"{"messages":[{"role":"system","content":"Be \"you\"."},{"role":"user","content":"Hi"}],"answer_start":""}"#;
        let before = Key::of("scp").with("prompt", json).finish();
        assert_eq!(key(Prompt::Chat(chat), None), before);
    }

    #[test]
    fn keys_of_documents_differ_by_text_and_separator() {
        let document = |text: &str, stop| key(Prompt::Text(text.to_owned()), Some(stop));
        let one = document("a", "***");
        assert_eq!(document("a", "***"), one);
        assert_ne!(document("b", "***"), one);
        assert_ne!(document("a", "---"), one);
    }
}
