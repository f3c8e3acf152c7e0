//! Runs a method: prepares its prompt and generates the text.

use super::idiolect::best_of_n;
use super::spec::MethodSpec;
use super::{
    Generated, LiveAttribution, Method, MethodContext, MethodInputs, MethodOptions, PreparedPrompt,
    RankedBy, Result, SPECS, portable,
};
use crate::client::OnText;
use crate::corpus::Target;
use crate::difference;
use crate::task::Stage;

impl Method {
    fn spec(self) -> &'static MethodSpec {
        let spec = SPECS.iter().find(|spec| spec.info.name == self.name());
        spec.unwrap_or_else(|| unreachable!("the list of methods makes `{self:?}` from its spec"))
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
        options: &MethodOptions,
    ) -> Result<PreparedPrompt> {
        let spec = self.spec();
        let task = options.task(inputs.task)?;
        let inputs = inputs.with_task(&task);
        let context = MethodContext::of_target(self, &inputs, target, options)?;
        if self.extracts_differences() {
            return (spec.prepare)(&context).await;
        }
        inputs.progress.begin("preparing", None);
        let prepared = (spec.prepare)(&context).await;
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
        options: &MethodOptions,
        on_text: Option<OnText>,
    ) -> Result<Generated> {
        let prepared = self.prepare(inputs, target, options).await?;
        prepared.write(inputs, options, on_text).await
    }
}

impl PreparedPrompt {
    /// Generates the text with the last call. `on_text`, if given, gets it in pieces as it is
    /// generated, or all at once if it is the best of several texts.
    ///
    /// # Errors
    /// Error if the store or the language model fails.
    pub async fn write(
        self,
        inputs: &MethodInputs<'_>,
        options: &MethodOptions,
        on_text: Option<OnText>,
    ) -> Result<Generated> {
        self.write_attributed(inputs, options, on_text, None).await
    }

    /// Generates the text of [`PreparedPrompt::write`], and tells the attribution of each token as it
    /// is chosen. Nothing is told of a text that is in the store, of the best of several texts, and
    /// if the prompt without the user's texts does not fit the model's memory beside the others.
    ///
    /// # Errors
    /// As [`PreparedPrompt::write`].
    pub async fn write_attributed(
        self,
        inputs: &MethodInputs<'_>,
        options: &MethodOptions,
        on_text: Option<OnText>,
        live: Option<LiveAttribution>,
    ) -> Result<Generated> {
        let task = options.task(inputs.task)?;
        let inputs = &inputs.with_task(&task);
        let ranked = match options.idiolect.by {
            RankedBy::Likelihood => self.steered.is_some(),
            RankedBy::Np => true,
        };
        match ranked && options.idiolect.best_of > 1 {
            true => best_of_n::write(self, inputs, options, on_text).await,
            false => {
                let label = &inputs.task.stage(self.stage)?.label;
                let watch = live.map(|live| live.watch(&self, label));
                self.write_one(inputs, options, on_text, watch).await
            }
        }
    }
}

/// Stages of all methods' prompts, each once: first those of extracted differences, last that of
/// [`portable_profile`](super::portable_profile).
/// [`Task::check`](crate::task::Task::check) needs them.
#[must_use]
pub fn stages() -> Vec<Stage> {
    let mut stages = difference::STAGES.to_vec();
    for stage in Method::all().flat_map(Method::stages) {
        if !stages.contains(stage) {
            stages.push(*stage);
        }
    }
    stages.push(portable::STAGE);
    stages
}

/// Table of all methods in Markdown: name, description, needs with the options of `options`, and
/// paper.
#[must_use]
pub fn table(options: &MethodOptions) -> String {
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
