//! Parses a task: its tables, what it inherits, and the checks that need no stage.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use serde::Deserialize;
use toml::Spanned;

use super::draft::{Field, Part};
use super::error::Mistake;
use super::sources::{Sources, TaskFiles, built_in};
use super::standard::Dimension;
use super::statements::{LanguageTables, MeasureTable, StatementTemplates};
use super::{Ask, End, Error, Result, StagePlaces, StageSpec, Step, Task, TaskTiers};
use crate::corpus::Key;
use idiolect_engine::lm::Sampling;

/// Maximum number of tasks that inherit from each other in a row.
const MAX_INHERITED: usize = 8;

/// Opens and parses a task and the tasks that it inherits from.
pub(super) fn load(name_or_path: &Path) -> Result<Task> {
    let files = TaskFiles::open(name_or_path, Path::new("")).map_err(|source| Error::Unknown {
        name: name_or_path.display().to_string(),
        known: built_in().collect(),
        source,
    })?;
    parse(files)
}

/// Parses a task and opens the tasks that it inherits from.
pub(super) fn parse(mut files: TaskFiles) -> Result<Task> {
    let mut sources = Sources::default();
    let mut tables: Vec<TaskTable> = Vec::new();
    loop {
        let mut table: TaskTable = sources.add(&files)?;
        let base = table.inherits.take();
        tables.push(table);
        let Some(base) = base else { break };
        let wrong = |message: String| sources.wrong(base.span(), "inherits", &message);
        if tables.len() > MAX_INHERITED {
            let message = format!("more than {MAX_INHERITED} tasks in a row; is it a circle?");
            return Err(wrong(message));
        }
        files = TaskFiles::open(base.get_ref().as_ref(), files.folder()).map_err(|error| {
            let (name, known) = (base.get_ref(), built_in().collect::<Vec<_>>().join(", "));
            wrong(format!("`{name}` is neither built in ({known}) nor can it be read: {error}"))
        })?;
    }
    let mut whole = TaskTable::default();
    for table in tables.into_iter().rev() {
        whole = table
            .over(whole)
            .map_err(|(span, field, message)| sources.wrong(span, &field, &message))?;
    }
    task_of(whole, sources)
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct TaskTable {
    inherits: Option<Spanned<String>>,
    name: Option<Spanned<String>>,
    about: Option<String>,
    n: Option<Spanned<usize>>,
    k: Option<Spanned<usize>>,
    field_share: Option<Spanned<f64>>,
    retrieval: Option<Spanned<Vec<Field>>>,
    shared: Option<Spanned<String>>,
    /// Shared macros of the inherited tasks, the first task's first.
    #[serde(skip)]
    inherited_macros: Vec<Spanned<String>>,
    #[serde(default)]
    fields: FieldNames,
    standard: Option<Spanned<Vec<Dimension>>>,
    statement_characters: Option<Spanned<usize>>,
    tiers: Option<TaskTiers>,
    #[serde(default)]
    stages: BTreeMap<String, Spanned<StageTable>>,
    #[serde(default)]
    measures: MeasureTable,
    #[serde(default)]
    statements: LanguageTables,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct FieldNames {
    item_title: Option<String>,
    item_description: Option<String>,
    rating: Option<String>,
    title: Option<String>,
    text: Option<String>,
    context: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct StageTable {
    max_tokens: Option<Spanned<usize>>,
    share_of_window: Option<Spanned<f64>>,
    label: Option<String>,
    sampling: Option<Spanned<Sampling>>,
    system: Option<Spanned<String>>,
    user: Option<Spanned<String>>,
    turn: Option<Spanned<String>>,
    reject: Option<Spanned<String>>,
    preamble: Option<Spanned<String>>,
    separator: Option<Spanned<String>>,
    header: Option<Spanned<String>>,
    shorten: Option<Vec<Spanned<StepTable>>>,
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

impl TaskTable {
    /// Adds what the table itself does not say from the table of the task that it inherits from.
    /// Name and description are not inherited. The macros of both are kept; of two with the same
    /// name the table's own counts.
    fn over(self, base: Self) -> std::result::Result<Self, Mistake> {
        let mut stages = base.stages;
        for (name, own) in self.stages {
            let of_base = stages.remove(&name).map(Spanned::into_inner).unwrap_or_default();
            let span = own.span();
            stages.insert(name, Spanned::new(span, own.into_inner().over(of_base)));
        }
        let mut macros = base.inherited_macros;
        macros.extend(base.shared);
        Ok(Self {
            inherits: None,
            name: self.name,
            about: self.about,
            n: self.n.or(base.n),
            k: self.k.or(base.k),
            field_share: self.field_share.or(base.field_share),
            retrieval: self.retrieval.or(base.retrieval),
            shared: self.shared,
            inherited_macros: macros,
            fields: FieldNames {
                item_title: self.fields.item_title.or(base.fields.item_title),
                item_description: self.fields.item_description.or(base.fields.item_description),
                rating: self.fields.rating.or(base.fields.rating),
                title: self.fields.title.or(base.fields.title),
                text: self.fields.text.or(base.fields.text),
                context: self.fields.context.or(base.fields.context),
            },
            standard: self.standard.or(base.standard),
            tiers: self.tiers.or(base.tiers),
            statement_characters: self.statement_characters.or(base.statement_characters),
            stages,
            statements: self.statements.over(base.statements, &self.measures)?,
            measures: MeasureTable::default(),
        })
    }
}

impl StageTable {
    /// As [`TaskTable::over`]; of `user`, `turn` and `header` one replaces an inherited other one,
    /// with what belongs to it.
    fn over(self, mut base: Self) -> Self {
        if self.user.is_some() {
            (base.turn, base.reject, base.header) = (None, None, None);
        }
        if self.turn.is_some() {
            (base.user, base.header) = (None, None);
        }
        if self.header.is_some() {
            (base.user, base.turn, base.reject) = (None, None, None);
        }
        if self.user.is_some() || self.turn.is_some() {
            (base.preamble, base.separator) = (None, None);
        }
        Self {
            max_tokens: self.max_tokens.or(base.max_tokens),
            share_of_window: self.share_of_window.or(base.share_of_window),
            label: self.label.or(base.label),
            sampling: self.sampling.or(base.sampling),
            system: self.system.or(base.system),
            user: self.user.or(base.user),
            turn: self.turn.or(base.turn),
            reject: self.reject.or(base.reject),
            preamble: self.preamble.or(base.preamble),
            separator: self.separator.or(base.separator),
            header: self.header.or(base.header),
            shorten: self.shorten.or(base.shorten),
        }
    }
}

/// Byte range, if it is not the whole stage, field and message of a mistake in a stage.
type StageMistake = (Option<Range<usize>>, &'static str, &'static str);

impl StageTable {
    /// Takes the templates of the prompt, with the byte range of the one that asks.
    fn take_ask(&mut self) -> std::result::Result<(Ask, Range<usize>), StageMistake> {
        let given = (self.user.take(), self.turn.take(), self.header.take());
        let reject = self.reject.take().map(Spanned::into_inner);
        let (preamble, separator) = (self.preamble.take(), self.separator.take());
        let of_document = preamble.is_some() || separator.is_some();
        match given {
            (Some(user), None, None) if reject.is_none() && !of_document => {
                let span = user.span();
                Ok((Ask::Once(user.into_inner()), span))
            }
            (None, Some(turn), None) if !of_document => {
                let span = turn.span();
                Ok((Ask::EachPast { turn: turn.into_inner(), reject }, span))
            }
            (None, None, Some(header)) if reject.is_none() => {
                let separator = separator.ok_or((None, "separator", "is missing"))?;
                let line = separator.get_ref().trim().to_owned();
                if line.is_empty() || line.contains('\n') {
                    let message = "is empty or has several lines; one line is needed";
                    return Err((Some(separator.span()), "separator", message));
                }
                let (span, preamble) = (header.span(), preamble.map(Spanned::into_inner));
                let header = header.into_inner();
                Ok((Ask::Document { preamble, separator: line, header }, span))
            }
            _ => {
                let message = "give either `user`, `turn` or `header`; `reject` goes with `turn`, \
                               `preamble` and `separator` with `header`";
                Err((None, "user", message))
            }
        }
    }
}

fn task_of(table: TaskTable, sources: Sources) -> Result<Task> {
    let required = |field: &str| sources.wrong(0..0, field, "is missing");
    let name = table.name.ok_or_else(|| required("name"))?;
    if name.get_ref().is_empty() {
        return Err(sources.wrong(name.span(), "name", "is empty"));
    }
    let about = table.about.ok_or_else(|| required("about"))?;
    let [n, k] = [(table.n, "n"), (table.k, "k")].map(|(value, field)| {
        let value = value.ok_or_else(|| required(field))?;
        match value.get_ref() {
            0 => Err(sources.wrong(value.span(), field, "is 0; at least 1 is needed")),
            n => Ok(*n),
        }
    });
    let field_share = table.field_share.ok_or_else(|| required("field_share"))?;
    check_share(&sources, &field_share, "field_share")?;
    let standard = table.standard.ok_or_else(|| required("standard"))?;
    check_standard(&sources, &standard)?;
    let retrieval = table.retrieval.ok_or_else(|| required("retrieval"))?;
    check_retrieval(&sources, &retrieval)?;
    let statement_characters = statement_characters(&sources, table.statement_characters)?;

    let dimensions: Vec<&str> = standard.get_ref().iter().map(|d| d.key.as_str()).collect();
    let statements = StatementTemplates::of(table.statements, &dimensions)
        .map_err(|(span, field, message)| sources.wrong(span, &field, &message))?;

    let mut stages = BTreeMap::new();
    for (name, table) in table.stages {
        let spec = stage_spec(&sources, &name, table)?;
        stages.insert(name, spec);
    }
    let names = table.fields;
    let fields = [
        (Field::ItemTitle, names.item_title),
        (Field::ItemDescription, names.item_description),
        (Field::Rating, names.rating),
        (Field::Title, names.title),
        (Field::Text, names.text),
    ]
    .map(|(field, name)| match name {
        Some(name) => Ok((field.name(), name)),
        None => Err(required(&format!("fields.{}", field.name()))),
    });
    // An empty name takes an inherited one back.
    let context = names.context.filter(|name| !name.is_empty());
    let context = context.map(|name| Ok((Field::Context.name(), name)));
    let mut macros = table.inherited_macros;
    macros.extend(table.shared);
    let shared: Vec<&str> = macros.iter().map(|text| text.get_ref().as_str()).collect();
    Ok(Task {
        name: name.into_inner(),
        about,
        n: n?,
        k: k?,
        field_share: field_share.into_inner(),
        standard: standard.into_inner(),
        statement_characters,
        retrieval: retrieval.into_inner(),
        hash: Key::of("task").with("file", sources.text()).finish(),
        tiers: table.tiers.unwrap_or_default(),
        fields: fields.into_iter().chain(context).collect::<Result<_>>()?,
        shared: shared.join("\n"),
        macro_places: macros.iter().map(|text| (text.span(), n_lines(text.get_ref()))).collect(),
        stages,
        statements,
        sources: Arc::new(sources),
    })
}

fn n_lines(text: &str) -> usize {
    text.split('\n').count()
}

fn check_standard(sources: &Sources, standard: &Spanned<Vec<Dimension>>) -> Result<()> {
    let wrong = |message: &str| Err(sources.wrong(standard.span(), "standard", message));
    let dimensions = standard.get_ref();
    if dimensions.is_empty() {
        return wrong("has no dimension");
    }
    for (i, dimension) in dimensions.iter().enumerate() {
        let Dimension { key, name, .. } = dimension;
        if key.is_empty() || name.trim().is_empty() {
            return wrong("a key or name is empty");
        }
        if dimensions[..i].iter().any(|d| d.key == *key || d.name == *name) {
            return wrong(&format!("dimension `{key}` or its name `{name}` occurs twice"));
        }
    }
    Ok(())
}

/// Default and maximum of the task's `statement_characters`. The maximum bounds the automaton that
/// counts the characters, which has one state per character.
const STATEMENT_CHARACTERS: usize = 240;
const MAX_STATEMENT_CHARACTERS: usize = 2000;

fn statement_characters(sources: &Sources, given: Option<Spanned<usize>>) -> Result<usize> {
    let Some(given) = given else { return Ok(STATEMENT_CHARACTERS) };
    let span = given.span();
    match given.into_inner() {
        n @ 1..=MAX_STATEMENT_CHARACTERS => Ok(n),
        n => {
            let message = format!("is {n}; 1 to {MAX_STATEMENT_CHARACTERS} are possible");
            Err(sources.wrong(span, "statement_characters", &message))
        }
    }
}

fn check_retrieval(sources: &Sources, retrieval: &Spanned<Vec<Field>>) -> Result<()> {
    if retrieval.get_ref().is_empty() {
        return Err(sources.wrong(retrieval.span(), "retrieval", "names no field"));
    }
    if retrieval.get_ref().iter().any(|field| matches!(field, Field::Text | Field::Other)) {
        let message = "names `text` or `other`, which a target does not have";
        return Err(sources.wrong(retrieval.span(), "retrieval", message));
    }
    Ok(())
}

fn stage_spec(sources: &Sources, stage: &str, table: Spanned<StageTable>) -> Result<StageSpec> {
    let at = |key: &str| format!("stages.{stage}.{key}");
    let span = table.span();
    let mut table = table.into_inner();
    let required = |field: &str| sources.wrong(span.clone(), &at(field), "is missing");
    let reject_span = table.reject.as_ref().map(Spanned::span);
    let preamble_span = table.preamble.as_ref().map(Spanned::span);
    let asked = table.take_ask();
    let max_tokens = table.max_tokens.ok_or_else(|| required("max_tokens"))?;
    if *max_tokens.get_ref() == 0 {
        return Err(sources.wrong(max_tokens.span(), &at("max_tokens"), "is 0"));
    }
    let share_of_window = table.share_of_window.ok_or_else(|| required("share_of_window"))?;
    check_share(sources, &share_of_window, &at("share_of_window"))?;
    let sampling = table.sampling.ok_or_else(|| required("sampling"))?;
    check_sampling(sources, &sampling, &at("sampling"))?;
    let (ask, ask_span) = asked.map_err(|(wrong, field, message)| {
        sources.wrong(wrong.unwrap_or(span.clone()), &at(field), message)
    })?;
    let (mut shorten, mut steps) = (Vec::new(), Vec::new());
    for step in table.shorten.into_iter().flatten() {
        let span = step.span();
        shorten.push(
            step_of(step.into_inner())
                .map_err(|message| sources.wrong(span.clone(), &at("shorten"), &message))?,
        );
        steps.push(span);
    }
    Ok(StageSpec {
        places: StagePlaces {
            stage: span,
            system: table.system.as_ref().map(Spanned::span).unwrap_or_default(),
            ask: ask_span,
            reject: reject_span.unwrap_or_default(),
            preamble: preamble_span.unwrap_or_default(),
            steps,
        },
        sampling: sampling.into_inner(),
        label: table.label.unwrap_or_default().trim().to_owned(),
        max_tokens: max_tokens.into_inner(),
        share_of_window: share_of_window.into_inner(),
        system: table.system.map(Spanned::into_inner),
        ask,
        shorten,
    })
}

fn check_share(sources: &Sources, share: &Spanned<f64>, field: &str) -> Result<()> {
    let value = *share.get_ref();
    if value > 0.0 && value < 1.0 {
        return Ok(());
    }
    let message = format!("is {value}; a number between 0 and 1 is needed");
    Err(sources.wrong(share.span(), field, &message))
}

fn check_sampling(sources: &Sources, sampling: &Spanned<Sampling>, field: &str) -> Result<()> {
    let s = sampling.get_ref();
    let wrong = |message: &str| Err(sources.wrong(sampling.span(), field, message));
    if s.seed != 0 {
        return wrong("the seed is the caller's; leave it out");
    }
    if let Err(error) = s.check() {
        return wrong(&error.to_string());
    }
    Ok(())
}

/// A step of shortening. Without `to` a text is shortened to nothing, without `keep` all blocks are
/// dropped, and without `from` the last block is dropped first.
fn step_of(step: StepTable) -> Result<Step, String> {
    match step {
        StepTable { field: Some(name), to, drop: None, keep: None, from: None } => {
            let (part, field) = name
                .split_once('.')
                .and_then(|(part, field)| {
                    let part = Part::ALL.into_iter().find(|p| p.name() == part)?;
                    Some((part, Field::ALL.into_iter().find(|f| f.name() == field)?))
                })
                .ok_or_else(|| format!("`{name}` is no field; write e.g. `past.text`"))?;
            Ok(Step::Shorten { part, field, to: to.unwrap_or(0) })
        }
        StepTable { field: None, to: None, drop: Some(part), keep, from } => {
            if !part.is_list() {
                return Err(format!("`{}` is one block and cannot be dropped", part.name()));
            }
            Ok(Step::Drop { part, keep: keep.unwrap_or(0), from: from.unwrap_or(End::Last) })
        }
        _ => Err("a step is either `field` with `to`, or `drop` with `keep` and `from`".to_owned()),
    }
}
