//! Renders templates and fields to a conversation or a document.

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{Environment, UndefinedBehavior, Value};

use super::draft::{Block, Draft, Part};
use super::{Ask, Error, Field, Result, Stage, StageSpec, Task};
use idiolect_engine::lm::{Chat, Prompt, Role};
use idiolect_engine::model::template;

/// A rendered draft.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// A conversation, or a document as a text that is encoded as data.
    pub prompt: Prompt,
    /// Text that ends the answer besides the model's end tokens: the separator of a document.
    pub stop: Option<String>,
}

impl Task {
    /// Returns the prompt of a draft at one stage.
    ///
    /// Fields are values, not templates: their text appears unchanged in the prompt. In a document
    /// the white space around past texts is left out, and the separator is repeated, joined by
    /// spaces, until no part of the document contains it, so that no text can look like a new entry.
    pub fn render(&self, stage: Stage, draft: &Draft) -> Result<Rendered> {
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
    ) -> Result<Rendered, TemplateError> {
        let shown = (!self.shows_context()).then(|| draft.clone().without_context());
        let draft = shown.as_ref().unwrap_or(draft);
        let mut chat = Chat::default();
        let context = |turn| self.context(stage, &spec.label, draft, turn);
        if let Some(system) = &spec.system {
            chat = chat.with(Role::System, self.text(Slot::System, system, &context(None))?);
        }
        match &spec.ask {
            Ask::Once(user) => {
                chat = chat.with(Role::User, self.text(Slot::User, user, &context(None))?);
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
            }
            Ask::Document { preamble, separator, header } => {
                let preamble = match preamble {
                    Some(preamble) => self.text(Slot::Preamble, preamble, &context(None))?,
                    None => String::new(),
                };
                // The text of the target is what the model writes.
                let mut targets: Vec<Block> = draft.part(Part::Target).cloned().collect();
                targets.iter_mut().for_each(|target| target.get_mut(Field::Text).clear());
                let blocks = draft.part(Part::Past).chain(&targets);
                let entries = blocks.enumerate().map(|(i, block)| {
                    let turn = Some((block, i));
                    let context = self.context(stage, &spec.label, draft, turn);
                    let header = self.text(Slot::Header, header, &context)?;
                    Ok([header, block.get(Field::Text).trim().to_owned()])
                });
                return Ok(document(
                    &preamble,
                    separator,
                    &entries.collect::<Result<Vec<_>, TemplateError>>()?,
                ));
            }
        }
        Ok(Rendered { prompt: Prompt::Chat(chat), stop: None })
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
        template::bound_steps(&mut environment);
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
        let syntax =
            syntax.map_err(|error| TemplateError { slot, line: 1, message: error.to_string() })?;
        environment.set_syntax(syntax);
        // The shared macros precede the template, so that every template can use them.
        let source = format!("{}\n{template}", self.shared);
        let n_shared = self.shared.split('\n').count();
        let compiled =
            template::check(&source).and_then(|()| environment.template_from_str(&source));
        let rendered = compiled.and_then(|compiled| template::render(&compiled, context.clone()));
        let rendered = rendered.map_err(|error| {
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

/// Joins the entries of a document, each a header and a text. The text of the last one is what
/// follows.
fn document(preamble: &str, separator: &str, entries: &[[String; 2]]) -> Rendered {
    let parts: Vec<&str> = entries.iter().flatten().map(String::as_str).chain([preamble]).collect();
    let stop = not_contained(separator, &parts);
    let mut text = preamble.to_owned();
    for [header, past] in entries {
        for (before, part) in
            [("\n\n", stop.as_str()), ("\n", header.as_str()), ("\n", past.as_str())]
        {
            if !part.is_empty() {
                text.push_str(if text.is_empty() { "" } else { before });
                text.push_str(part);
            }
        }
    }
    text.push('\n');
    Rendered { prompt: Prompt::Text(text), stop: Some(stop) }
}

/// The separator, repeated as often as it has to be so that no part contains it.
fn not_contained(separator: &str, parts: &[&str]) -> String {
    let repeated = |n: usize| vec![separator; n].join(" ");
    let is_contained = |n: usize| {
        let stop = repeated(n);
        parts.iter().any(|part| part.contains(&stop))
    };
    // A text may consist of separators, so the number is not counted up to.
    let mut free = 1;
    while is_contained(free) {
        free *= 2;
    }
    let mut contained = free / 2;
    while contained + 1 < free {
        let middle = usize::midpoint(contained, free);
        if is_contained(middle) {
            contained = middle;
        } else {
            free = middle;
        }
    }
    repeated(free)
}

/// A template of a stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Slot {
    Shared,
    System,
    User,
    Turn,
    Reject,
    Preamble,
    Header,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_separator_is_repeated_as_often_as_it_must_be() {
        for (parts, expected) in [
            (&["", "a"][..], "###"),
            (&["x ### y"], "### ###"),
            (&["### ###", "### ### ###", "###"], "### ### ### ###"),
            (&["####"], "### ###"),
        ] {
            assert_eq!(not_contained("###", parts), expected);
        }
        let many = "### ".repeat(100_000);
        assert_eq!(not_contained("###", &[&many]).len(), 4 * 100_001 - 1);
    }
}
