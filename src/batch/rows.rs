//! Writes the targets of a shard.

use futures::{StreamExt, TryStreamExt, stream};
use idiolect_core::client::{self, Model};
use idiolect_core::corpus::{self, Background, Target, View};
use idiolect_core::difference::Peers;
use idiolect_core::methods::{self, Generated, Method, MethodInputs, MethodOptions, TextReward};
use idiolect_core::task::Task;
use idiolect_engine::lm::Finish;
use idiolect_engine::progress::{Progress, ProgressStage};
use idiolect_tables::{ParquetTable, TableColumn};

use crate::{Error, Result, ShardStore, TargetRow};

/// Everything that the texts of a shard are made from.
pub struct BatchInputs<'a> {
    /// The shard.
    pub shard: &'a ShardStore,
    /// The language model.
    pub model: &'a dyn Model,
    /// Source of representatives, for methods that need peers.
    pub peers: Option<&'a dyn Peers>,
    /// The task.
    pub task: &'a Task,
    /// The methods; each writes each target.
    pub methods: &'a [Method],
    /// Their settings.
    pub options: &'a MethodOptions,
    /// Counts of the whole corpus; without them words are counted against the shard.
    pub background: Option<&'a Background>,
    /// Maximum number of texts at once; results do not depend on it.
    pub at_once: usize,
    /// Receives the progress, in texts.
    pub progress: &'a dyn Progress,
}

/// One text.
#[derive(Debug, Clone, PartialEq)]
pub struct BatchRow {
    /// Its target.
    pub target: TargetRow,
    /// Its method.
    pub method: Method,
    /// The text, or the reason why this target has none.
    pub text: Result<Generated, String>,
}

/// Writes each target with each method, in the order of the targets.
///
/// A target that cannot be written (its user has no texts, its item is unknown, its prompt does not fit) has
/// the reason in its row.
///
/// # Errors
/// Any other failure, of the store or the language model, or a requested stop: then there are no rows, and
/// the shard is to be written again.
pub async fn write_rows(inputs: &BatchInputs<'_>) -> Result<Vec<BatchRow>> {
    let targets = inputs.shard.targets();
    let jobs = targets
        .iter()
        .flat_map(|target| inputs.methods.iter().map(move |method| (target, *method)));
    let n = (targets.len() * inputs.methods.len()) as u64;
    let stage = ProgressStage::begin(inputs.progress, "writing texts", Some(n));
    let rows = stream::iter(jobs.map(|(target, method)| one_row(inputs, target, method)));
    let rows = rows.buffered(inputs.at_once.max(1)).inspect_ok(|_| stage.advance(1));
    rows.try_collect().await
}

async fn one_row(inputs: &BatchInputs<'_>, target: &TargetRow, method: Method) -> Result<BatchRow> {
    if inputs.progress.stop_requested() {
        return Err(Error::Stopped);
    }
    let text = match write_one(inputs, target, method).await {
        Ok(written) => Ok(written),
        Err(error) => Err(reason(error)?),
    };
    Ok(BatchRow { target: target.clone(), method, text })
}

async fn write_one(
    inputs: &BatchInputs<'_>,
    row: &TargetRow,
    method: Method,
) -> Result<Generated, methods::Error> {
    let store = inputs.shard.store();
    let target = Target {
        user: row.user.clone(),
        item: store.item(&row.item)?,
        rating: row.rating,
        title: row.title.clone(),
        context: None,
    };
    let view = match inputs.background {
        Some(background) => View::all(store).within(background),
        None => View::all(store),
    };
    let method_inputs = MethodInputs {
        view: view.without_text(&row.user, &row.item)?,
        model: inputs.model,
        peers: inputs.peers,
        reward: None::<&dyn TextReward>,
        task: inputs.task,
        progress: inputs.progress,
        held_out: &[],
    };
    method.write(&method_inputs, &target, inputs.options, None).await
}

/// The reason why one target has no text.
///
/// # Errors
/// The failure is not the target's.
fn reason(error: methods::Error) -> Result<String> {
    match &error {
        methods::Error::NoHistory { .. }
        | methods::Error::Task(_)
        | methods::Error::Client(client::Error::Task(_))
        | methods::Error::Corpus(
            corpus::Error::UnknownItem { .. } | corpus::Error::UnknownUser { .. },
        ) => Ok(error.to_string()),
        methods::Error::Stopped => Err(Error::Stopped),
        _ => Err(error.into()),
    }
}

/// The table of some rows: `user, item, method, text, finish, prompt_tokens, completion_tokens, cut, error`.
/// `cut` lists the fields that were left out of prompts. The same texts give the same bytes.
#[must_use]
pub fn rows_table(rows: &[BatchRow]) -> ParquetTable {
    let texts = |name: &str, of: &dyn Fn(&BatchRow) -> Option<String>| {
        TableColumn::texts(name, rows.iter().map(of).collect())
    };
    let counts = |name: &str, of: &dyn Fn(&Generated) -> usize| {
        let count = |row: &BatchRow| row.text.as_ref().ok().map(|text| of(text) as i64);
        TableColumn::integers(name, rows.iter().map(count).collect())
    };
    let cut = |row: &BatchRow| match &row.text {
        Ok(text) => text.cut.iter().map(|cut| format!("{}: {}", cut.stage, cut.field)).collect(),
        Err(_) => Vec::new(),
    };
    // Tokens that an empty store would have cost, so that they do not depend on what was stored.
    ParquetTable::new(vec![
        texts("user", &|row| Some(row.target.user.clone())),
        texts("item", &|row| Some(row.target.item.clone())),
        texts("method", &|row| Some(row.method.name().to_owned())),
        texts("text", &|row| row.text.as_ref().ok().map(|text| text.text.clone())),
        texts("finish", &|row| row.text.as_ref().ok().map(|text| finish(text.finish).to_owned())),
        counts("prompt_tokens", &|text| text.usage().tokens_when_cold().0),
        counts("completion_tokens", &|text| text.usage().tokens_when_cold().1),
        TableColumn::text_lists("cut", rows.iter().map(cut).collect()),
        texts("error", &|row| row.text.as_ref().err().cloned()),
    ])
}

fn finish(finish: Finish) -> &'static str {
    match finish {
        Finish::End => "end",
        Finish::Stop => "stop",
        Finish::Length => "length",
    }
}
