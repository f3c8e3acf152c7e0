//! Parses and checks a task file.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use serde::Deserialize;
use toml::Spanned;

use super::draft::{Block, Draft, Field, Order, Part, Telling};
use super::render::{Slot, TemplateError};
use super::standard::Dimension;
use super::statements::{LanguageTable, StatementTemplates};
use super::{Ask, End, Error, Result, Stage, StageSpec, Step, Task};
use crate::corpus::Key;
use idiolect_engine::lm::Sampling;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TaskFile {
    name: Spanned<String>,
    about: String,
    n: Spanned<usize>,
    k: Spanned<usize>,
    field_share: Spanned<f64>,
    retrieval: Spanned<Vec<Field>>,
    shared: Spanned<String>,
    fields: FieldNames,
    standard: Spanned<Vec<Dimension>>,
    #[serde(default)]
    statement_characters: Option<Spanned<usize>>,
    stages: BTreeMap<String, Spanned<StageTable>>,
    #[serde(default)]
    statements: BTreeMap<String, Spanned<LanguageTable>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FieldNames {
    item_title: String,
    item_description: String,
    rating: String,
    title: String,
    text: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StageTable {
    max_tokens: Spanned<usize>,
    share_of_window: Spanned<f64>,
    #[serde(default)]
    label: String,
    sampling: Spanned<Sampling>,
    system: Option<Spanned<String>>,
    user: Option<Spanned<String>>,
    turn: Option<Spanned<String>>,
    reject: Option<Spanned<String>>,
    #[serde(default)]
    shorten: Vec<Spanned<StepTable>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StepTable {
    field: Option<String>,
    to: Option<usize>,
    drop: Option<Part>,
    keep: Option<usize>,
    from: Option<End>,
}

/// The file's path and text, for messages with line numbers.
struct TemplatePlace<'a> {
    file: &'a Path,
    text: &'a str,
}

pub(super) fn parse(file: &Path, text: &str) -> Result<Task> {
    let place = TemplatePlace { file, text };
    let table: TaskFile = toml::from_str(text).map_err(|error| {
        place.wrong(error.span().unwrap_or(0..0), "format", error.message().trim())
    })?;
    if table.name.get_ref().is_empty() {
        return Err(place.wrong(table.name.span(), "name", "is empty"));
    }
    for (value, field) in [(&table.n, "n"), (&table.k, "k")] {
        if *value.get_ref() == 0 {
            return Err(place.wrong(value.span(), field, "is 0; at least 1 is needed"));
        }
    }
    check_share(&place, &table.field_share, "field_share")?;
    check_standard(&place, &table.standard)?;
    check_retrieval(&place, &table.retrieval)?;
    let statement_characters = statement_characters(&place, table.statement_characters)?;

    let dimensions: Vec<&str> = table.standard.get_ref().iter().map(|d| d.key.as_str()).collect();
    let statements = StatementTemplates::of(table.statements, &dimensions)
        .map_err(|(span, field, message)| place.wrong(span, &field, &message))?;

    let mut stages = BTreeMap::new();
    let mut spots = BTreeMap::new();
    for (name, table) in table.stages {
        let Some(stage) = Stage::ALL.into_iter().find(|stage| stage.name() == name) else {
            let known = Stage::ALL.map(Stage::name).join(", ");
            let message = format!("there is no such stage; there are {known}");
            return Err(place.wrong(table.span(), &format!("stages.{name}"), &message));
        };
        let (spec, spans) = stage_spec(&place, stage, table)?;
        stages.insert(stage, spec);
        spots.insert(stage, spans);
    }
    let fields = &table.fields;
    let task = Task {
        name: table.name.into_inner(),
        about: table.about,
        n: table.n.into_inner(),
        k: table.k.into_inner(),
        field_share: table.field_share.into_inner(),
        standard: table.standard.into_inner(),
        statement_characters,
        retrieval: table.retrieval.into_inner(),
        hash: Key::of("task").with("file", text).finish(),
        fields: [
            (Field::ItemTitle, &fields.item_title),
            (Field::ItemDescription, &fields.item_description),
            (Field::Rating, &fields.rating),
            (Field::Title, &fields.title),
            (Field::Text, &fields.text),
        ]
        .into_iter()
        .map(|(field, name)| (field.name(), name.clone()))
        .collect(),
        shared: table.shared.get_ref().clone(),
        stages,
        statements,
    };
    for (&stage, spec) in &task.stages {
        for draft in samples(stage) {
            task.try_render(stage, spec, &draft).map_err(|error| {
                let (span, field) = match error.slot {
                    Slot::Shared => (table.shared.span(), "shared".to_owned()),
                    slot => spots[&stage].place(stage, slot),
                };
                place.wrong_in_template(span, &field, &error)
            })?;
        }
    }
    Ok(task)
}

fn check_standard(place: &TemplatePlace<'_>, standard: &Spanned<Vec<Dimension>>) -> Result<()> {
    let dimensions = standard.get_ref();
    if dimensions.is_empty() {
        return Err(place.wrong(standard.span(), "standard", "has no dimension"));
    }
    for (i, dimension) in dimensions.iter().enumerate() {
        let Dimension { key, name, .. } = dimension;
        if key.is_empty() || name.trim().is_empty() {
            return Err(place.wrong(standard.span(), "standard", "a key or name is empty"));
        }
        if dimensions[..i].iter().any(|d| d.key == *key || d.name == *name) {
            let message = format!("dimension `{key}` or its name `{name}` occurs twice");
            return Err(place.wrong(standard.span(), "standard", &message));
        }
    }
    Ok(())
}

/// Default and maximum of the task's `statement_characters`. The maximum bounds the automaton that
/// counts the characters, which has one state per character.
const STATEMENT_CHARACTERS: usize = 240;
const LONGEST_STATEMENT: usize = 2000;

fn statement_characters(place: &TemplatePlace<'_>, given: Option<Spanned<usize>>) -> Result<usize> {
    let Some(given) = given else { return Ok(STATEMENT_CHARACTERS) };
    let span = given.span();
    match given.into_inner() {
        n @ 1..=LONGEST_STATEMENT => Ok(n),
        n => {
            let message = format!("is {n}; 1 to {LONGEST_STATEMENT} are possible");
            Err(place.wrong(span, "statement_characters", &message))
        }
    }
}

fn check_retrieval(place: &TemplatePlace<'_>, retrieval: &Spanned<Vec<Field>>) -> Result<()> {
    if retrieval.get_ref().is_empty() {
        return Err(place.wrong(retrieval.span(), "retrieval", "names no field"));
    }
    if retrieval.get_ref().iter().any(|field| matches!(field, Field::Text | Field::Other)) {
        let message = "names `text` or `other`, which a target does not have";
        return Err(place.wrong(retrieval.span(), "retrieval", message));
    }
    Ok(())
}

/// Byte ranges of a stage's templates in the file.
struct Spots {
    system: Option<Range<usize>>,
    ask: Range<usize>,
    reject: Option<Range<usize>>,
}

impl Spots {
    fn place(&self, stage: Stage, slot: Slot) -> (Range<usize>, String) {
        let (span, key) = match slot {
            Slot::System => (self.system.clone().unwrap_or_default(), "system"),
            Slot::Turn => (self.ask.clone(), "turn"),
            Slot::Reject => (self.reject.clone().unwrap_or_default(), "reject"),
            Slot::User | Slot::Shared => (self.ask.clone(), "user"),
        };
        (span, format!("stages.{}.{key}", stage.name()))
    }
}

fn stage_spec(
    place: &TemplatePlace<'_>,
    stage: Stage,
    table: Spanned<StageTable>,
) -> Result<(StageSpec, Spots)> {
    let at = |key: &str| format!("stages.{}.{key}", stage.name());
    let span = table.span();
    let table = table.into_inner();
    if *table.max_tokens.get_ref() == 0 {
        return Err(place.wrong(table.max_tokens.span(), &at("max_tokens"), "is 0"));
    }
    check_share(place, &table.share_of_window, &at("share_of_window"))?;
    check_sampling(place, &table.sampling, &at("sampling"))?;
    let reject_span = table.reject.as_ref().map(Spanned::span);
    let (ask, ask_span) = match (table.user, table.turn, table.reject) {
        (Some(user), None, None) => (Ask::Once(user.get_ref().clone()), user.span()),
        (None, Some(turn), reject) if stage.parts().contains(&Part::Past) => {
            let span = turn.span();
            let (turn, reject) = (turn.into_inner(), reject.map(Spanned::into_inner));
            (Ask::EachPast { turn, reject }, span)
        }
        (None, Some(turn), _) => {
            let message = "this stage has no past texts to take turns over; give `user`";
            return Err(place.wrong(turn.span(), &at("turn"), message));
        }
        _ => {
            let message = "give either `user` or `turn`; `reject` goes with `turn`";
            return Err(place.wrong(span, &at("user"), message));
        }
    };
    let shorten = table
        .shorten
        .into_iter()
        .map(|step| {
            let span = step.span();
            step_of(stage, step.into_inner())
                .map_err(|message| place.wrong(span, &at("shorten"), &message))
        })
        .collect::<Result<Vec<_>>>()?;
    let spots = Spots {
        system: table.system.as_ref().map(Spanned::span),
        ask: ask_span,
        reject: reject_span,
    };
    let spec = StageSpec {
        sampling: table.sampling.into_inner(),
        label: table.label.trim().to_owned(),
        max_tokens: table.max_tokens.into_inner(),
        share_of_window: table.share_of_window.into_inner(),
        system: table.system.map(Spanned::into_inner),
        ask,
        shorten,
    };
    Ok((spec, spots))
}

fn check_share(place: &TemplatePlace<'_>, share: &Spanned<f64>, field: &str) -> Result<()> {
    let value = *share.get_ref();
    if value > 0.0 && value < 1.0 {
        return Ok(());
    }
    let message = format!("is {value}; a number between 0 and 1 is needed");
    Err(place.wrong(share.span(), field, &message))
}

fn check_sampling(
    place: &TemplatePlace<'_>,
    sampling: &Spanned<Sampling>,
    field: &str,
) -> Result<()> {
    let s = sampling.get_ref();
    let wrong = |message: &str| Err(place.wrong(sampling.span(), field, message));
    if s.seed != 0 {
        return wrong("the seed is the caller's; leave it out");
    }
    if let Err(error) = s.check() {
        return wrong(&error.to_string());
    }
    Ok(())
}

fn step_of(stage: Stage, step: StepTable) -> Result<Step, String> {
    let known = |part: Part| {
        if stage.parts().contains(&part) {
            return Ok(part);
        }
        let parts: Vec<_> = stage.parts().iter().map(|p| p.name()).collect();
        Err(format!("this stage has no part `{}`; it has {}", part.name(), parts.join(", ")))
    };
    match step {
        StepTable { field: Some(name), to, drop: None, keep: None, from: None } => {
            let (part, field) = name
                .split_once('.')
                .and_then(|(part, field)| {
                    let part = Part::ALL.into_iter().find(|p| p.name() == part)?;
                    Some((part, Field::ALL.into_iter().find(|f| f.name() == field)?))
                })
                .ok_or_else(|| format!("`{name}` is no field; write e.g. `past.text`"))?;
            Ok(Step::Shorten { part: known(part)?, field, to: to.unwrap_or(0) })
        }
        StepTable { field: None, to: None, drop: Some(part), keep, from } => {
            if !part.is_list() {
                return Err(format!("`{}` is one block and cannot be dropped", part.name()));
            }
            let (keep, from) = (keep.unwrap_or(0), from.unwrap_or(End::Last));
            Ok(Step::Drop { part: known(part)?, keep, from })
        }
        _ => Err("a step is either `field` with `to`, or `drop` with `keep` and `from`".to_owned()),
    }
}

/// Drafts with every kind of missing part or field, to test a stage's templates.
fn samples(stage: Stage) -> Vec<Draft> {
    let full = Block {
        item_title: "t".into(),
        item_description: "d".into(),
        rating: "4".into(),
        title: "h".into(),
        text: "x".into(),
        other: "y".into(),
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
        fill(&full, 2, Order::UserFirst).told(Telling::Constrained),
    ]
}

impl TemplatePlace<'_> {
    fn wrong(&self, span: Range<usize>, field: &str, message: &str) -> Error {
        self.wrong_at(self.line(span.start), field, message)
    }

    fn wrong_in_template(&self, span: Range<usize>, field: &str, error: &TemplateError) -> Error {
        // The first line of a multi-line string is the line after its opening quotes.
        let opens_with_newline = self
            .text
            .get(span.clone())
            .is_some_and(|s| s.trim_start_matches(['"', '\'']).starts_with(['\n', '\r']));
        let first = self.line(span.start) + usize::from(opens_with_newline);
        self.wrong_at(first + error.line.saturating_sub(1), field, &error.message)
    }

    fn wrong_at(&self, line: usize, field: &str, message: &str) -> Error {
        let (file, field, message) = (self.file.into(), field.to_owned(), message.to_owned());
        Error::Wrong { file, line, field, message }
    }

    fn line(&self, byte: usize) -> usize {
        self.text.as_bytes().iter().take(byte).filter(|b| **b == b'\n').count() + 1
    }
}
