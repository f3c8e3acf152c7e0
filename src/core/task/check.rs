//! Checks of a task's prompts against the stages that use them.

use std::ops::Range;

use super::draft::{Block, DifferenceFormat, Draft, Order, Part};
use super::render::{Slot, TemplateError};
use super::{Ask, Error, Result, Stage, StageSpec, Step, Task};

impl Task {
    /// Checks the prompts: each belongs to one of the stages `known` and uses only its parts, and
    /// each template is rendered with samples.
    ///
    /// # Errors
    /// [`Error::Wrong`] with file, line and field of the first mistake.
    pub fn check(&self, known: &[Stage]) -> Result<()> {
        for (name, spec) in &self.stages {
            let Some(stage) = known.iter().find(|stage| stage.name() == name) else {
                let known: Vec<_> = known.iter().map(|stage| stage.name()).collect();
                let message = format!("there is no such stage; there are {}", known.join(", "));
                let span = spec.places.stage.clone();
                return Err(self.sources.wrong(span, &format!("stages.{name}"), &message));
            };
            self.check_stage(*stage, spec)?;
        }
        Ok(())
    }

    fn check_stage(&self, stage: Stage, spec: &StageSpec) -> Result<()> {
        let at = |key: &str| format!("stages.{}.{key}", stage.name());
        let of_past = match spec.ask {
            Ask::Once(_) => None,
            Ask::EachPast { .. } => Some("turn"),
            Ask::Document { .. } => Some("header"),
        };
        if let (Some(key), false) = (of_past, stage.parts().contains(&Part::Past)) {
            let message = "this stage has no past texts to take turns over; give `user`";
            return Err(self.sources.wrong(spec.places.ask.clone(), &at(key), message));
        }
        for (step, span) in spec.shorten.iter().zip(&spec.places.steps) {
            let (Step::Shorten { part, .. } | Step::Drop { part, .. }) = step;
            if !stage.parts().contains(part) {
                let parts: Vec<_> = stage.parts().iter().map(|p| p.name()).collect();
                let (part, parts) = (part.name(), parts.join(", "));
                let message = format!("this stage has no part `{part}`; it has {parts}");
                return Err(self.sources.wrong(span.clone(), &at("shorten"), &message));
            }
        }
        for draft in samples(stage) {
            self.try_render(stage, spec, &draft)
                .map_err(|error| self.wrong_template(stage, spec, error))?;
        }
        Ok(())
    }

    fn wrong_template(&self, stage: Stage, spec: &StageSpec, mut error: TemplateError) -> Error {
        let places = &spec.places;
        let (span, key) = match error.slot {
            Slot::System => (places.system.clone(), "system"),
            Slot::User => (places.ask.clone(), "user"),
            Slot::Turn => (places.ask.clone(), "turn"),
            Slot::Reject => (places.reject.clone(), "reject"),
            Slot::Preamble => (places.preamble.clone(), "preamble"),
            Slot::Header => (places.ask.clone(), "header"),
            Slot::Shared => {
                let (span, line) = self.macro_place(error.line);
                error.line = line;
                return self.sources.wrong_in_template(&span, "shared", &error);
            }
        };
        let field = format!("stages.{}.{key}", stage.name());
        self.sources.wrong_in_template(&span, &field, &error)
    }

    /// Byte range of the macros with this line of all shared macros, and the line in them.
    fn macro_place(&self, mut line: usize) -> (Range<usize>, usize) {
        for (span, n_lines) in &self.macro_places {
            if line <= *n_lines {
                return (span.clone(), line);
            }
            line -= n_lines;
        }
        (0..0, line)
    }
}

/// Drafts with every kind of missing part or field, to test a stage's templates.
pub(super) fn samples(stage: Stage) -> Vec<Draft> {
    let full = Block {
        item_title: "t".into(),
        item_description: "d".into(),
        rating: "4".into(),
        title: "h".into(),
        text: "x".into(),
        other: "y".into(),
        context: "c".into(),
        ..Block::default()
    };
    let fill = |block: &Block, n: usize, order| {
        stage.parts().iter().fold(Draft::new().ordered(order), |draft, &part| {
            let n = if part.is_list() { n } else { 1 };
            draft.with_all(part, std::iter::repeat_n(block.clone(), n))
        })
    };
    vec![
        fill(&full, 2, Order::UserFirst),
        fill(&full, 1, Order::PeersFirst),
        fill(&Block::default(), 2, Order::UserFirst),
        fill(&full, 0, Order::UserFirst),
        fill(&full, 2, Order::UserFirst).with_format(DifferenceFormat::Constrained),
    ]
}
