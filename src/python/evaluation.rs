//! Evaluation of methods on held-out texts.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use idiolect_core::corpus::split::{Split, SplitPart};
use idiolect_core::corpus::{EvaluationSummary, Key, Store};
use idiolect_core::difference::SentenceVectors;
use idiolect_core::methods::MethodOptions;
use idiolect_core::peers::PeerIndex;
use idiolect_engine::encoder::Encoder;
use idiolect_evaluate::report::{
    EvalReport, Provenance, ReportInputs, build_report, to_csv, to_html,
};
use idiolect_evaluate::{
    EvalContext, MetricGroup, MetricSet, Plan, PlanOptions, Shard, announced, run as run_plan,
};
use idiolect_metrics::overlap::Meteor;
use idiolect_metrics::statistics;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::failure::{CallFailure, Result};
use crate::parts::EngineParts;
use crate::prepared_text::{check_peer_text, methods_of, trained_parts};
use crate::progress::CallProgress;
use crate::settings::{SettingsArgs, named};

/// The options of `idiolect evaluate`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EvaluateArgs {
    methods: Vec<String>,
    measures: Vec<String>,
    /// `train`, `val` or `test`.
    split: String,
    split_name: String,
    users: Option<usize>,
    wrong_users: usize,
    pairs: usize,
    peers_any_time: bool,
    seed: Option<u64>,
    seeds: u64,
    score_tokens: Option<usize>,
    max_tokens: Option<usize>,
    judge: Option<String>,
    closeness_encoder: Option<String>,
    wordnet: Option<PathBuf>,
    no_peer_text: bool,
    /// The call, for the report.
    call: String,
    settings: SettingsArgs,
}

/// A report in its three forms.
#[derive(Serialize)]
struct EvaluationTold<'a> {
    report: &'a EvalReport,
    html: &'a str,
    csv: String,
}

/// Evaluates, and returns the object of `idiolect evaluate --json`, the HTML page and the CSV table.
pub(crate) fn evaluate(
    work: &EngineParts,
    args: &EvaluateArgs,
    progress: &CallProgress,
) -> Result<String> {
    let task = args.settings.task()?;
    if args.no_peer_text && task.shows_context() {
        return Err(CallFailure::argument(format!(
            "no_peer_text: the prompts of the task `{}` show what a text answers, which others wrote",
            task.name
        )));
    }
    let groups: Vec<MetricGroup> =
        args.measures.iter().map(|name| named("measures", name)).collect::<Result<_>>()?;
    let measures = MetricSet::new(&groups);
    let part = part(&args.split)?;
    let methods = methods_of(&args.methods)?;
    let mut options = args.settings.options(&task)?;
    options.seed = args.seed.unwrap_or(options.seed);
    options.max_tokens = args.max_tokens.or(options.max_tokens);
    let options = if args.no_peer_text { options.without_peer_text() } else { options };
    check_peer_text(args.no_peer_text, &methods, &options)?;
    let seed = options.seed;
    let meteor = match &args.wordnet {
        Some(folder) => Meteor::open(folder)?,
        None => Meteor::exact_stem(),
    };
    let store = work.store()?;
    let split = store.split(&args.split_name)?;
    let lm = work.lm(progress)?;
    let compares = methods.iter().any(|method| method.needs_peers(&options));
    let encoder = (compares || measures.swaps()).then(|| work.encoder(progress)).transpose()?;
    let encoder = encoder.as_deref();
    let closeness = match (&args.closeness_encoder, measures.has(MetricGroup::Swap)) {
        (Some(name), true) => Some(work.load_encoder(name, progress)?),
        _ => None,
    };
    let stamps = closeness.as_ref().map(Encoder::stamp).zip(encoder.map(Encoder::stamp));
    if stamps.is_some_and(|(one, other)| one == other) {
        return Err(CallFailure::argument(
            "closeness_encoder is also the encoder that chooses peers; name another one, or leave it out",
        ));
    }
    let plan_options = PlanOptions {
        part,
        users: args.users,
        wrong_users: args.wrong_users,
        pairs: if measures.swaps() { args.pairs } else { 0 },
        peers_any_time: args.peers_any_time,
        seed,
    };
    let embeddings = match encoder.filter(|_| plan_options.pairs > 0) {
        Some(encoder) => Some(embeddings(&PeerIndex::open(&store, encoder)?, &split)),
        None => None,
    };
    let plan = Plan::new(&store, &split, &plan_options, embeddings.as_ref())?;
    let judges = measures.has(MetricGroup::Judge) || measures.has(MetricGroup::JudgePairs);
    let judge = match (&args.judge, judges) {
        (Some(name), true) => Some(work.other_lm(name, progress)?),
        _ => None,
    };
    let held_out = plan.held_out();
    let of_adapter = || work.encoder(progress);
    let head = trained_parts((&store, &held_out), &methods, &options, &lm, of_adapter)?;
    let context = EvalContext {
        store: &store,
        model: &lm,
        judge: judge.as_ref().map(|judge| judge as _),
        peers: encoder.map(|encoder| encoder as _),
        reward: head.as_ref().map(|head| head as _),
        task: &task,
        options: &options,
        n_seeds: args.seeds,
        score_limit: args.score_tokens.filter(|n| *n > 0),
        metrics: &measures,
        held_out: &held_out,
    };
    let results = announced(&store, &methods, progress, |told| {
        idiolect_engine::progress::block_on(
            told,
            run_plan(&context, &plan, &methods, Shard::WHOLE, told),
        )
    });
    let results = results.ok_or(CallFailure::Stopped)??;
    let mut models = BTreeMap::from([("lm", format!("{} {}", lm.name(), lm.fingerprint()))]);
    if let Some(judge) = &judge {
        models.insert("judge", format!("{} {}", judge.name(), judge.fingerprint()));
    }
    for (role, encoder) in [("encoder", encoder), ("closeness-encoder", closeness.as_ref())] {
        if let Some(encoder) = encoder {
            models.insert(role, format!("{} {}", encoder.name(), encoder.stamp()));
        }
    }
    let provenance = Provenance {
        command: args.call.clone(),
        version: env!("CARGO_PKG_VERSION"),
        models,
        task: format!("{} {}", args.settings.task_name(), task.hash()),
        split: json!({ "name": split.name, "parameters": split.parameters }),
        plan: json!(plan.options),
        settings: options.changed_from(&MethodOptions::of(&task)),
        seed,
        statistics: statistics::Settings { seed, ..Default::default() },
    };
    let inputs = ReportInputs {
        store: &store,
        plan: &plan,
        results: &results,
        metrics: &measures,
        seeds: args.seeds,
        meteor: &meteor,
        encoder: closeness.as_ref().map(|encoder| encoder as &dyn SentenceVectors),
    };
    let report = build_report(&inputs, provenance)?;
    let html = to_html(&report);
    keep(&store, &report, &html, &held_out)?;
    Ok(serde_json::to_string(&EvaluationTold {
        csv: to_csv(&report),
        report: &report,
        html: &html,
    })?)
}

/// Keeps the report in the store, as the program does, so that `idiolect serve` shows it.
fn keep(
    store: &Store,
    report: &EvalReport,
    html: &str,
    held_out: &[idiolect_core::corpus::ReviewId],
) -> Result<()> {
    let time = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
    let key = Key::of("evaluation").with("html", html).finish();
    let summary = EvaluationSummary {
        id: key.as_str().chars().take(16).collect(),
        name: format!("Evaluation of {}", report.order.join(", ")),
        time: time as i64,
        methods: report.order.iter().map(|name| (*name).to_owned()).collect(),
        users: report.users,
        texts: report.texts,
    };
    Ok(store.put_evaluation(&summary, html, held_out)?)
}

fn part(name: &str) -> Result<SplitPart> {
    match name {
        "train" => Ok(SplitPart::Train),
        "val" => Ok(SplitPart::Val),
        "test" => Ok(SplitPart::Test),
        other => {
            Err(CallFailure::argument(format!("split: got `{other}`, expected train, val or test")))
        }
    }
}

fn embeddings(index: &PeerIndex, split: &Split) -> HashMap<String, Vec<f32>> {
    let of = |user: &str| index.embedding(user).map(<[f32]>::to_vec);
    split.users.iter().filter_map(|user| Some((user.user.clone(), of(&user.user)?))).collect()
}
