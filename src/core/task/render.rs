//! Renders templates and fields to a conversation.

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{Environment, UndefinedBehavior, Value};

use super::draft::{Block, Draft, Part};
use super::{Ask, Error, Field, Result, Stage, StageSpec, Task};
use idiolect_engine::lm::{Chat, Role};

impl Task {
    /// Returns the conversation of a draft at one stage.
    ///
    /// Fields are values, not templates: their text appears unchanged in the prompt.
    pub fn render(&self, stage: Stage, draft: &Draft) -> Result<Chat> {
        self.try_render(stage, self.stage(stage)?, draft).map_err(|error| Error::Render {
            task: self.name.clone(),
            stage: stage.name(),
            message: error.message,
        })
    }

    /// As [`Task::render`]; the error names the template and its line.
    pub(super) fn try_render(
        &self,
        stage: Stage,
        spec: &StageSpec,
        draft: &Draft,
    ) -> Result<Chat, TemplateError> {
        let mut chat = Chat::default();
        let context = |turn| self.context(stage, &spec.label, draft, turn);
        if let Some(system) = &spec.system {
            chat = chat.with(Role::System, self.text(Slot::System, system, &context(None))?);
        }
        match &spec.ask {
            Ask::Once(user) => {
                Ok(chat.with(Role::User, self.text(Slot::User, user, &context(None))?))
            }
            Ask::EachPast { turn, reject } => {
                let n_past = draft.part(Part::Past).count();
                let asked = draft.part(Part::Past).chain(draft.part(Part::Target)).enumerate();
                for (i, block) in asked {
                    let context = context(Some((block, i)));
                    chat = chat.with(Role::User, self.text(Slot::Turn, turn, &context)?);
                    if i < n_past {
                        let wrong = block.get(Field::Other);
                        if let (Some(reject), false) = (reject, wrong.is_empty()) {
                            let reject = self.text(Slot::Reject, reject, &context)?;
                            chat = chat.with(Role::Assistant, wrong).with(Role::User, reject);
                        }
                        chat = chat.with(Role::Assistant, block.get(Field::Text));
                    }
                }
                Ok(chat)
            }
        }
    }

    fn context(
        &self,
        stage: Stage,
        label: &str,
        draft: &Draft,
        turn: Option<(&Block, usize)>,
    ) -> Value {
        let parts = stage.parts().iter().filter_map(|&part| {
            let mut blocks = draft.part(part);
            let value = if part.is_list() {
                Value::from(Serde(blocks.collect::<Vec<_>>()))
            } else {
                Value::from(Serde(blocks.next()?))
            };
            Some((part.name(), value))
        });
        let turn = turn.into_iter().flat_map(|(block, i)| {
            [("turn", Value::from(Serde(block))), ("turn_number", Value::from(i + 1))]
        });
        let labels = self.stages.iter().map(|(stage, spec)| (stage, spec.label.as_str()));
        let always = [
            ("fields", Value::from(Serde(&self.fields))),
            ("standard", Value::from(Serde(&self.standard))),
            ("labels", Value::from_pairs(labels)),
            ("label", Value::from(label)),
            ("order", Value::from(Serde(draft.order))),
            ("differences", Value::from(Serde(draft.difference_format))),
            ("statement_characters", Value::from(self.statement_characters)),
        ];
        Value::from_pairs(parts.chain(turn).chain(always))
    }

    fn text(&self, slot: Slot, template: &str, context: &Value) -> Result<String, TemplateError> {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
        let syntax =
            syntax.map_err(|error| TemplateError { slot, line: 1, message: error.to_string() })?;
        environment.set_syntax(syntax);
        // The shared macros precede the template, so that every template can use them.
        let source = format!("{}\n{template}", self.shared);
        let n_shared = self.shared.split('\n').count();
        let rendered = environment.render_str(&source, context).map_err(|error| {
            let (line, message) = place_of(&error);
            let (slot, line) = match line.checked_sub(n_shared) {
                None | Some(0) => (Slot::Shared, line),
                Some(line) => (slot, line),
            };
            TemplateError { slot, line, message }
        })?;
        Ok(rendered.trim().to_owned())
    }
}

/// A template of a stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Slot {
    Shared,
    System,
    User,
    Turn,
    Reject,
}

/// An error of a template and its place.
#[derive(Debug)]
pub(super) struct TemplateError {
    pub(super) slot: Slot,
    /// Line of the template, from 1.
    pub(super) line: usize,
    pub(super) message: String,
}

/// Returns the line of the error in the joined source, and the message.
fn place_of(error: &minijinja::Error) -> (usize, String) {
    let line = error.line().unwrap_or(1);
    let Some(detail) = error.detail() else { return (line, error.kind().to_string()) };
    // An undefined name fails in the macro that receives it; the engine's detail names the line it
    // came from.
    let origin = detail
        .rsplit_once(" (from line ")
        .and_then(|(what, line)| Some((line.strip_suffix(')')?.parse().ok()?, what)));
    let (line, detail) = origin.unwrap_or((line, detail));
    (line, format!("{}: {detail}", error.kind()))
}
