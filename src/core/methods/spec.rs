//! Description of a method, and the handle by which methods are named, listed and run.

use std::fmt;
use std::hash::{Hash, Hasher};

use futures::future::LocalBoxFuture;
use serde::{Serialize, Serializer};

use super::{Generated, MethodContext, MethodInputs, Options, PreparedPrompt, Result};
use crate::client::OnText;
use crate::corpus::Target;
use crate::difference;
use crate::task::Stage;

/// Description of a method, declared in the method's file.
pub(super) struct MethodSpec {
    /// Name on the command line and in results, in kebab case.
    pub(super) name: &'static str,
    /// Description of the prompt, in one line.
    pub(super) about: &'static str,
    /// The paper; empty if there is none.
    pub(super) source: &'static str,
    /// Stages whose prompts it uses; the last one is that of its last call.
    pub(super) stages: &'static [Stage],
    /// Whether it needs a past text of the user.
    pub(super) needs_history: bool,
    /// Whether it compares the user with peers, and so needs a sentence encoder.
    pub(super) needs_peers: fn(&Options) -> bool,
    /// Whether it extracts differences between the user and representatives. Such a method reports
    /// the progress of its steps itself.
    pub(super) extracts_differences: bool,
    /// Whether its own prompt without the user's texts is the unconditional prompt with which
    /// attribution compares; otherwise it is the prompt of non-perso.
    pub(super) own_unconditional: bool,
    /// Does everything before the last call.
    pub(super) prepare: for<'c> fn(&'c MethodContext<'c>) -> Preparation<'c>,
}

/// Future of a prepared prompt.
pub(super) type Preparation<'c> = LocalBoxFuture<'c, Result<PreparedPrompt>>;

/// A method of personalized text generation.
#[derive(Clone, Copy)]
pub struct Method(&'static MethodSpec);

impl Method {
    pub(super) const fn of(spec: &'static MethodSpec) -> Self {
        Self(spec)
    }

    /// All methods, the simpler ones first.
    pub fn all() -> impl Iterator<Item = Self> {
        Self::ALL.iter().copied()
    }

    /// Returns the method with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::all().find(|method| method.name() == name)
    }

    /// Name on the command line and in results.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.0.name
    }

    /// Description of the prompt, in one line.
    #[must_use]
    pub fn about(self) -> &'static str {
        self.0.about
    }

    /// The paper that describes it; empty if there is none.
    #[must_use]
    pub fn source(self) -> &'static str {
        self.0.source
    }

    /// Stages whose prompts it uses. The last one is that of its last call.
    #[must_use]
    pub fn stages(self) -> &'static [Stage] {
        self.0.stages
    }

    /// The stage of its last call.
    #[must_use]
    pub fn stage(self) -> Stage {
        self.0.stages[self.0.stages.len() - 1]
    }

    /// Whether it needs a past text of the user.
    #[must_use]
    pub fn needs_history(self) -> bool {
        self.0.needs_history
    }

    /// Whether it compares the user with peers, and so needs a sentence encoder.
    #[must_use]
    pub fn needs_peers(self, options: &Options) -> bool {
        (self.0.needs_peers)(options)
    }

    /// Whether it extracts differences between the user and representatives.
    #[must_use]
    pub fn extracts_differences(self) -> bool {
        self.0.extracts_differences
    }

    /// Whether its own prompt without the user's texts is the unconditional prompt.
    pub(super) fn own_unconditional(self) -> bool {
        self.0.own_unconditional
    }

    /// Does everything before the last call: retrieval, differences, summaries.
    ///
    /// # Errors
    /// [`Error::NoHistory`](super::Error::NoHistory) if the method needs past texts and the view
    /// shows none; otherwise an error of the store, the encoder or the language model.
    pub async fn prepare(
        self,
        inputs: &MethodInputs<'_>,
        target: &Target,
        options: &Options,
    ) -> Result<PreparedPrompt> {
        let task = options.task(inputs.task)?;
        let inputs = inputs.with_task(&task);
        let context = MethodContext::of_target(self, &inputs, target, options)?;
        if self.extracts_differences() {
            return (self.0.prepare)(&context).await;
        }
        inputs.progress.begin("preparing", None);
        let prepared = (self.0.prepare)(&context).await;
        inputs.progress.end();
        prepared
    }

    /// Generates the target's text: [`Method::prepare`], then [`PreparedPrompt::write`]. The same
    /// inputs, options and seeds give the same text.
    ///
    /// `on_text`, if given, gets the text as [`PreparedPrompt::write`] describes.
    ///
    /// # Errors
    /// As [`Method::prepare`] and [`PreparedPrompt::write`].
    pub async fn write(
        self,
        inputs: &MethodInputs<'_>,
        target: &Target,
        options: &Options,
        on_text: Option<OnText>,
    ) -> Result<Generated> {
        let prepared = self.prepare(inputs, target, options).await?;
        prepared.write(inputs, options, on_text).await
    }
}

impl PartialEq for Method {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name()
    }
}

impl Eq for Method {}

impl Hash for Method {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name().hash(state);
    }
}

impl fmt::Debug for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Serialize for Method {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// Stages of all methods' prompts, each once: first those of extracted differences.
/// [`Task::check`](crate::task::Task::check) needs them.
#[must_use]
pub fn stages() -> Vec<Stage> {
    let mut stages = difference::STAGES.to_vec();
    for stage in Method::all().flat_map(Method::stages) {
        if !stages.contains(stage) {
            stages.push(*stage);
        }
    }
    stages
}

/// Table of all methods in Markdown: name, description, needs with the options of `options`, and
/// paper.
#[must_use]
pub fn table(options: &Options) -> String {
    let mut table = "| method | prompt | needs | paper |\n|---|---|---|---|\n".to_owned();
    for method in Method::all() {
        let needs = match (method.needs_history(), method.needs_peers(options)) {
            (false, false) => "nothing",
            (true, false) => "past texts",
            (false, true) => "an encoder",
            (true, true) => "past texts, an encoder",
        };
        let (name, about, source) = (method.name(), method.about(), method.source());
        table.push_str(&format!("| `{name}` | {about} | {needs} | {source} |\n"));
    }
    table
}
