//! Prompts and texts to token ids: tokenizer, chat template and the tokens that begin and end a text.

use std::path::Path;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::token_counts::{CountedTexts, TokenCounts};
use super::{Error, Prompt, Result};
use crate::model::chat::ChatTemplate;
use crate::model::gguf::Gguf;
use crate::model::tokenizer::{Piece, Tokenizer};

/// The part of a language model that turns prompts into token ids, without its weights.
pub struct PromptTokenizer {
    tokenizer: Arc<Tokenizer>,
    template: ChatTemplate,
    /// Token that replaces an empty prompt.
    start_token: Option<u32>,
    /// Token that the file names as its EOS token.
    end_token: Option<u32>,
    /// The context window that the file names, tokens.
    context: Option<usize>,
    counted: CountedTexts,
}

impl PromptTokenizer {
    /// Reads the vocabulary and the chat template of a GGUF file; its weights are not needed and need
    /// not be there.
    ///
    /// # Errors
    /// The file cannot be read, or its vocabulary or template is invalid.
    pub fn open(path: &Path) -> Result<Self> {
        let gguf = Gguf::open(path)?;
        let tokenizer = Tokenizer::from_gguf(&gguf)?;
        let template = ChatTemplate::from_gguf(&gguf)?;
        let n_vocab = tokenizer.n_vocab();
        Ok(Self::new(&gguf, tokenizer, template, n_vocab))
    }

    /// A tokenizer with the special tokens of a GGUF file, as far as they are below `n_vocab`.
    pub(super) fn new(
        gguf: &Gguf,
        tokenizer: Tokenizer,
        template: ChatTemplate,
        n_vocab: usize,
    ) -> Self {
        let named = |key: &str| {
            let id = gguf.value(key)?.as_u64()?;
            (id < n_vocab as u64).then_some(id as u32)
        };
        let end_token = named("tokenizer.ggml.eos_token_id");
        let start_token = named("tokenizer.ggml.bos_token_id").or(end_token);
        let context = || {
            let key = format!("{}.context_length", gguf.architecture().ok()?);
            usize::try_from(gguf.value(&key)?.as_u64()?).ok()
        };
        Self {
            tokenizer: Arc::new(tokenizer),
            template,
            start_token,
            end_token,
            context: context(),
            counted: CountedTexts::default(),
        }
    }

    /// The tokenizer.
    #[must_use]
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    pub(super) fn shared_tokenizer(&self) -> &Arc<Tokenizer> {
        &self.tokenizer
    }

    /// Token that a prompt without text is replaced by: the BOS token, or the EOS token if there is no
    /// BOS.
    #[must_use]
    pub fn start_token(&self) -> Option<u32> {
        self.start_token
    }

    /// The EOS token, if the file names one.
    #[must_use]
    pub fn end_token(&self) -> Option<u32> {
        self.end_token
    }

    /// The context window that the file names, tokens.
    #[must_use]
    pub fn context(&self) -> Option<usize> {
        self.context
    }

    /// Hash of everything that determines the ids of a prompt: SHA-256, lower-case hexadecimal.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let mut hash = Sha256::new();
        hash.update(self.tokenizer.fingerprint());
        hash.update(self.template.fingerprint());
        hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Number of tokens of a prompt.
    ///
    /// # Errors
    /// The template cannot render the conversation, the tokenizer refuses a text, or a token id is
    /// unknown.
    pub fn count(&self, prompt: &Prompt) -> Result<usize> {
        Ok(self.encode(prompt)?.len())
    }

    /// Token ids of a prompt, at least one: an empty prompt is replaced by the start token.
    ///
    /// # Errors
    /// As [`PromptTokenizer::count`]; the prompt is empty and there is no token to begin with.
    pub fn prompt_tokens(&self, prompt: &Prompt) -> Result<Vec<u32>> {
        let tokens = self.encode(prompt)?;
        if !tokens.is_empty() {
            return Ok(tokens);
        }
        self.start_token.map(|id| vec![id]).ok_or(Error::EmptyPrompt)
    }

    /// Token ids of a text encoded as data.
    ///
    /// # Errors
    /// The tokenizer refuses the text.
    pub fn tokenize(&self, text: &str) -> Result<Vec<u32>> {
        Ok(self.tokenizer.encode(text)?)
    }

    /// Counts the distinct tokens of a text as it stands inside another one: without white space
    /// around it, after one space. Sorted by token id; kept in memory, up to 64 MiB in all.
    ///
    /// # Errors
    /// The tokenizer refuses the text.
    pub fn token_counts(&self, text: &str) -> Result<TokenCounts> {
        self.counted.counts(text.trim(), |text| self.tokenize(&format!(" {text}")))
    }

    /// Returns the ids.
    ///
    /// # Errors
    /// [`Error::Token`] if one is outside of the vocabulary.
    pub fn known(&self, ids: &[u32]) -> Result<Vec<u32>> {
        let n_vocab = self.tokenizer.n_vocab();
        match ids.iter().find(|id| **id as usize >= n_vocab) {
            Some(id) => Err(Error::Token { id: *id, n_vocab }),
            None => Ok(ids.to_vec()),
        }
    }

    /// Forgets the counts of earlier texts.
    pub(super) fn drop_counts(&self) {
        self.counted.clear();
    }

    fn encode(&self, prompt: &Prompt) -> Result<Vec<u32>> {
        let pieces = match prompt {
            Prompt::Chat(chat) => self.template.render(chat)?,
            Prompt::Text(text) => vec![Piece::Data(text.clone())],
            Prompt::Raw(text) => vec![Piece::Markup(text.clone())],
            Prompt::Tokens(ids) => return self.known(ids),
        };
        Ok(self.tokenizer.encode_pieces(&pieces)?)
    }
}
