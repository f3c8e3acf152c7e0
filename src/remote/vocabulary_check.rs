//! Whether a server's model has the expected vocabulary.

use idiolect_engine::lm::PromptTokenizer;
use serde_json::{Value, json};

use crate::ServerKind;
use crate::http::{Failure, HttpClient};

/// Text whose tokens differ between vocabularies: cases, digits, spaces, accents, scripts, symbols.
const PROBE: &str = "The quick brown fox's 1234567 jumps; naïve Ärger über Öl.\n\n  Тихий вечер, \
                     東京の夜 🙂🙃 -- internationalization != tokenization() {x: [3.14]}\tend";

/// Maximum number of control tokens that are compared.
const MAX_MARKERS: usize = 4;

/// A server whose vocabulary is checked.
pub(crate) struct CheckedServer<'a> {
    pub(crate) http: &'a HttpClient,
    /// Its address without `/v1`.
    pub(crate) root: &'a str,
    pub(crate) kind: ServerKind,
    pub(crate) model: &'a str,
}

/// Outcome of a check.
pub(crate) enum VocabularyFound {
    Same,
    /// It differs in this.
    Differs(String),
}

impl CheckedServer<'_> {
    /// Compares the ids of a text and of the tokens that end texts. A server without a route for that
    /// must give back the text of our ids.
    ///
    /// # Errors
    /// The server fails, or there is no way to compare.
    pub(crate) fn compare(&self, prompts: &PromptTokenizer) -> Result<VocabularyFound, Failure> {
        let ours = prompts.tokenize(PROBE).map_err(|error| Failure::Final(error.to_string()))?;
        let ids = match self.tokenize(PROBE) {
            Ok(ids) => ids,
            Err(Failure::Final(_)) => return self.compare_echo(&ours),
            Err(failure) => return Err(failure),
        };
        if ids != ours {
            return Ok(VocabularyFound::Differs(first_difference(prompts, &ours, &ids)));
        }
        let tokenizer = prompts.tokenizer();
        for end in tokenizer.ends().take(MAX_MARKERS) {
            let Some(marker) = tokenizer.marker_text(end) else { continue };
            let ids = self.tokenize(marker)?;
            if ids != [end] {
                let what = format!("`{marker}` is token {end} here and {ids:?} there");
                return Ok(VocabularyFound::Differs(what));
            }
        }
        Ok(VocabularyFound::Same)
    }

    fn tokenize(&self, text: &str) -> Result<Vec<u32>, Failure> {
        let body = match self.kind {
            ServerKind::LlamaServer => {
                json!({ "content": text, "add_special": false, "parse_special": true })
            }
            _ => json!({ "model": self.model, "prompt": text, "add_special_tokens": false }),
        };
        let answer = self.http.post(&format!("{}/tokenize", self.root), &body)?;
        let ids = answer.get("tokens").and_then(Value::as_array).map(|list| {
            list.iter().map(|id| u32::try_from(id.as_u64()?).ok()).collect::<Option<Vec<_>>>()
        });
        ids.flatten().ok_or_else(|| Failure::Final("/tokenize gave no token ids".to_owned()))
    }

    fn compare_echo(&self, ours: &[u32]) -> Result<VocabularyFound, Failure> {
        let body = json!({
            "model": self.model,
            "prompt": ours,
            "max_tokens": 1,
            "temperature": 0,
            "echo": true,
        });
        let answer = self.http.post(&format!("{}/v1/completions", self.root), &body)?;
        let text = answer["choices"][0]["text"].as_str().unwrap_or_default();
        if text.starts_with(PROBE) {
            return Ok(VocabularyFound::Same);
        }
        let common = PROBE.chars().zip(text.chars()).take_while(|(a, b)| a == b).count();
        // A server that drops `echo` answers with other words; they say nothing about its vocabulary.
        match common {
            0 => Err(Failure::Final(
                "the server has neither /tokenize nor `echo`, so its vocabulary cannot be checked"
                    .to_owned(),
            )),
            _ => Ok(VocabularyFound::Differs(format!(
                "the ids of a text of {} characters are another text there from character {common} on",
                PROBE.chars().count()
            ))),
        }
    }
}

fn first_difference(prompts: &PromptTokenizer, ours: &[u32], theirs: &[u32]) -> String {
    let at = ours.iter().zip(theirs).take_while(|(a, b)| a == b).count();
    let shown = |ids: &[u32]| match ids.get(at) {
        Some(id) => format!("token {id}"),
        None => "no token".to_owned(),
    };
    let before = prompts.tokenizer().decode(&ours[..at]).unwrap_or_default();
    let context: String = before.chars().rev().take(20).collect();
    let context: String = context.chars().rev().collect();
    let (here, there) = (shown(ours), shown(theirs));
    format!("after `{}` comes {here} here and {there} there", context.trim())
}
