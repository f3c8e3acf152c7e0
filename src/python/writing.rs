//! Texts as a user would write them: written, streamed, many at once, and scored.

use std::sync::mpsc::{Sender, SyncSender};

use futures::{StreamExt, stream};
use idiolect_core::client::{self, OnText, Scored};
use idiolect_core::corpus;
use idiolect_core::methods::{
    self, Generated, LiveAttribution, Method, MethodOptions, TokenAttribution,
};
use idiolect_core::steering::Vocabulary as _;
use idiolect_engine::progress::Progress;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::failure::{CallFailure, Result};
use crate::parts::EngineParts;
use crate::prepared_text::{HowArgs, TextArgs, TextMaker};
use crate::progress::CallProgress;
use crate::streams::{JsonLine, ReaderFlag};

/// The JSON object of `idiolect write --json`.
#[derive(Serialize)]
struct WrittenObject<'a> {
    #[serde(flatten)]
    written: &'a Generated,
    user: &'a str,
    item: &'a str,
    seed: u64,
    settings: &'a Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<&'a [TokenAttribution]>,
}

/// A score, and what follows from it.
#[derive(Serialize)]
struct ScoredTold<'a> {
    #[serde(flatten)]
    scored: &'a Scored,
    bits: f64,
    bits_per_token: Option<f64>,
    method: Method,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<&'a [TokenAttribution]>,
}

/// Tokens of a piece.
#[derive(Serialize)]
struct TokensTold<'a> {
    tokens: &'a [TokenAttribution],
}

/// A text to write, and how.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WriteArgs {
    text: TextArgs,
    how: HowArgs,
    why: bool,
}

/// Texts to write, and how.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WriteManyArgs {
    texts: Vec<TextArgs>,
    how: HowArgs,
    at_once: usize,
}

/// A text to score, and how.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ScoredTextArgs {
    text: TextArgs,
    how: HowArgs,
    given: String,
    why: bool,
    score_tokens: Option<usize>,
}

/// Writes one text.
pub(crate) fn write(
    work: &EngineParts,
    args: &WriteArgs,
    progress: &CallProgress,
) -> Result<String> {
    let maker = TextMaker::load(work, &args.how, std::slice::from_ref(&args.text), progress)?;
    let method = first(&maker.methods)?;
    progress.block_on(async {
        let of = maker.target(&args.text)?;
        let inputs = maker.inputs(&of, progress);
        let written = method.write(&inputs, &of.target, &maker.options, None).await?;
        let why = match args.why {
            true => {
                let prepared = method.prepare(&inputs, &of.target, &maker.options).await?;
                let text = written.text.as_str();
                Some(prepared.attribute(&inputs, &maker.options, text).await?)
            }
            false => None,
        };
        told(&maker, &args.text, &written, why.as_deref())
    })
}

/// Writes one text and sends it in pieces, then whole.
pub(crate) fn stream_text(
    work: &EngineParts,
    args: &WriteArgs,
    stop: &ReaderFlag,
    sink: &Sender<JsonLine>,
) -> Result<()> {
    let maker = TextMaker::load(work, &args.how, std::slice::from_ref(&args.text), stop)?;
    let method = first(&maker.methods)?;
    let pieces = sink.clone();
    // Whoever iterated may have gone; the request is then cancelled by the flag.
    let on_text: OnText = Box::new(move |piece: &str| {
        drop(pieces.send(Ok(json!({ "piece": piece }).to_string())));
    });
    let live = args.why.then(|| {
        let (lm, tokens) = (maker.lm().clone(), sink.clone());
        LiveAttribution {
            token_bytes: Box::new(move |id| lm.token_bytes(id)),
            on_tokens: Box::new(move |of_piece| {
                let told = serde_json::to_string(&TokensTold { tokens: &of_piece });
                drop(tokens.send(told.map_err(CallFailure::from)));
            }),
        }
    });
    let done = idiolect_engine::progress::block_on(stop, async {
        let of = maker.target(&args.text)?;
        let inputs = maker.inputs(&of, stop);
        let prepared = method.prepare(&inputs, &of.target, &maker.options).await?;
        let again = args.why.then(|| prepared.clone());
        let written =
            prepared.write_attributed(&inputs, &maker.options, Some(on_text), live).await?;
        let why = match again {
            Some(prepared) => {
                Some(prepared.attribute(&inputs, &maker.options, written.text.as_str()).await?)
            }
            None => None,
        };
        let done = told(&maker, &args.text, &written, why.as_deref())?;
        Ok::<_, CallFailure>(format!("{{\"done\":{done}}}"))
    });
    drop(sink.send(done.ok_or(CallFailure::Stopped)?));
    Ok(())
}

/// Writes texts, several at once, and sends them in the order of the targets, for each the methods in their
/// order.
pub(crate) fn write_many(
    work: &EngineParts,
    args: &WriteManyArgs,
    stop: &ReaderFlag,
    sink: &SyncSender<JsonLine>,
) -> Result<()> {
    let maker = TextMaker::load(work, &args.how, &args.texts, stop)?;
    let jobs =
        args.texts.iter().flat_map(|text| maker.methods.iter().map(move |method| (text, *method)));
    let rows = jobs.map(|(text, method)| one_of_many(&maker, text, method, stop));
    let mut rows = stream::iter(rows).buffered(args.at_once.max(1));
    let all = async {
        while let Some(row) = rows.next().await {
            let failed = row.is_err();
            if sink.send(row).is_err() || failed {
                break;
            }
        }
    };
    match idiolect_engine::progress::block_on(stop, all) {
        Some(()) => Ok(()),
        None => Err(CallFailure::Stopped),
    }
}

/// One of many texts. A target that cannot be written has the reason in `error`.
async fn one_of_many(
    maker: &TextMaker,
    text: &TextArgs,
    method: Method,
    progress: &dyn Progress,
) -> Result<String> {
    let written = async {
        let of = maker.target(text)?;
        let inputs = maker.inputs(&of, progress);
        Ok::<_, CallFailure>(method.write(&inputs, &of.target, &maker.options, None).await)
    };
    let reason = match written.await {
        Ok(Ok(written)) => return told(maker, text, &written, None),
        Ok(Err(error)) if is_of_target(&error) => error.to_string(),
        Ok(Err(error)) => return Err(error.into()),
        Err(CallFailure::Told { exception: "NotFoundError", message }) => message,
        Err(failure) => return Err(failure),
    };
    let row = json!({
        "user": text.user, "item": text.item, "method": method, "seed": maker.options.seed, "error": reason,
    });
    Ok(row.to_string())
}

/// Whether an error is that of a target, as `idiolect batch` takes it, and not of the store or the model.
fn is_of_target(error: &methods::Error) -> bool {
    matches!(
        error,
        methods::Error::NoHistory { .. }
            | methods::Error::Task(_)
            | methods::Error::Client(client::Error::Task(_))
            | methods::Error::Corpus(
                corpus::Error::UnknownItem { .. } | corpus::Error::UnknownUser { .. },
            )
    )
}

/// Scores a given text under the prompt that [`write`] would complete.
pub(crate) fn score(
    work: &EngineParts,
    args: &ScoredTextArgs,
    progress: &CallProgress,
) -> Result<String> {
    if args.given.trim().is_empty() {
        return Err(CallFailure::argument("text is empty: there is nothing to score"));
    }
    let mut maker = TextMaker::load(work, &args.how, std::slice::from_ref(&args.text), progress)?;
    maker.options.score_limit = args.score_tokens;
    let (maker, method) = (&maker, first(&maker.methods)?);
    progress.block_on(async {
        let of = maker.target(&args.text)?;
        let inputs = maker.inputs(&of, progress);
        let prepared = method.prepare(&inputs, &of.target, &maker.options).await?;
        let given = args.given.as_str();
        let scored = prepared.score(&inputs, &maker.options, given).await?;
        let why = match args.why {
            true => Some(prepared.attribute(&inputs, &maker.options, given).await?),
            false => None,
        };
        let told = ScoredTold {
            bits: scored.bits(),
            bits_per_token: scored.bits_per_token(),
            scored: &scored,
            method,
            why: why.as_deref(),
        };
        Ok::<_, CallFailure>(serde_json::to_string(&told)?)
    })
}

fn told(
    maker: &TextMaker,
    text: &TextArgs,
    written: &Generated,
    why: Option<&[TokenAttribution]>,
) -> Result<String> {
    let json = WrittenObject {
        written,
        user: &text.user,
        item: text.item.as_deref().unwrap_or_default(),
        seed: maker.options.seed,
        settings: &maker.options.changed_from(&MethodOptions::of(&maker.task)),
        why,
    };
    Ok(serde_json::to_string(&json)?)
}

fn first(methods: &[Method]) -> Result<Method> {
    methods.first().copied().ok_or_else(|| CallFailure::argument("a method is needed"))
}
