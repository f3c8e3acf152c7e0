//! Traces: hidden states and likeliest tokens of the language model over both texts of a pair.

use futures::stream::{self, StreamExt, TryStreamExt};
use idiolect_core::client::TextTrace;
use idiolect_core::corpus::{Key, ReviewId};
use idiolect_core::methods::{History, Method, MethodInputs, MethodOptions};
use idiolect_engine::progress::{Progress, ProgressStage, Silent};
use serde::{Deserialize, Serialize};

use super::PadSettings;
use super::pairs::{PadInputs, PadPair};
use crate::parameters::{from_base64, to_base64};
use crate::{Error, Result};

/// Kind of traces in the store.
const KIND: &str = "pad-trace";
/// Number of pairs that are traced concurrently.
const CONCURRENT_PAIRS: usize = 2;

/// A text as the map sees it.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Trace {
    /// Hidden states, `[n][n_embd]`.
    pub(super) hidden: Vec<f32>,
    /// Kept tokens at each position, `[n][kept]`; the text's own token is among them.
    pub(super) ids: Vec<u32>,
    /// Their log-probabilities, normalised among the kept, `[n][kept]`.
    pub(super) logprobs: Vec<f32>,
    /// Column of the text's own token, `[n]`.
    pub(super) column: Vec<u32>,
}

/// A [`Trace`] as it is stored.
#[derive(Serialize, Deserialize)]
struct StoredTrace {
    hidden: String,
    ids: Vec<u32>,
    logprobs: String,
    column: Vec<u32>,
}

/// Traces of the own text and the peer's.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct PairTraces {
    pub(super) own: Trace,
    pub(super) peer: Trace,
}

impl Trace {
    /// Keeps the text's own token in the place of the least likely one if it is not among the kept.
    fn of(trace: &TextTrace, kept: usize) -> Self {
        let mut made = Self::default();
        for (((token, logprob), hidden), top) in
            trace.tokens.iter().zip(&trace.logprobs).zip(&trace.hidden).zip(&trace.top)
        {
            let mut row: Vec<(u32, f32)> = top.iter().copied().take(kept).collect();
            let column = row.iter().position(|(id, _)| id == token).unwrap_or_else(|| {
                if row.len() == kept {
                    row.pop();
                }
                row.push((*token, *logprob));
                row.len() - 1
            });
            if row.len() < kept {
                continue;
            }
            let largest = row.iter().map(|(_, l)| *l).fold(f32::NEG_INFINITY, f32::max);
            let total = row.iter().map(|(_, l)| (l - largest).exp()).sum::<f32>().ln() + largest;
            made.hidden.extend(hidden);
            made.column.push(column as u32);
            made.ids.extend(row.iter().map(|(id, _)| *id));
            made.logprobs.extend(row.iter().map(|(_, logprob)| logprob - total));
        }
        made
    }

    pub(super) fn n(&self) -> usize {
        self.column.len()
    }

    fn to_text(&self) -> String {
        let stored = StoredTrace {
            hidden: to_base64(&self.hidden),
            ids: self.ids.clone(),
            logprobs: to_base64(&self.logprobs),
            column: self.column.clone(),
        };
        serde_json::to_string(&stored).unwrap_or_default()
    }

    fn of_text(text: &str) -> Option<Self> {
        let StoredTrace { hidden, ids, logprobs, column } = serde_json::from_str(text).ok()?;
        let (hidden, logprobs) = (from_base64(&hidden).ok()?, from_base64(&logprobs).ok()?);
        Some(Self { hidden, ids, logprobs, column })
    }
}

/// Keys under which the two traces of a pair are stored.
fn keys(inputs: &PadInputs<'_>, pair: &PadPair, settings: &PadSettings) -> [Key; 2] {
    pair.reviews().map(|text| {
        Key::of(KIND)
            .with("model", inputs.model.fingerprint())
            .with("task", inputs.task.hash())
            .with("own", pair.own.id.0.to_le_bytes())
            .with("text", text.0.to_le_bytes())
            .with("past", settings.n_past.to_le_bytes())
            .with("tokens", settings.tokens.to_le_bytes())
            .with("kept", settings.kept.to_le_bytes())
            .finish()
    })
}

/// Traces both texts of each pair. Traces are stored, so that a stopped call is continued by the next
/// one; [`forget_traces`] deletes them.
pub(super) async fn trace_pairs(
    inputs: &PadInputs<'_>,
    pairs: &[PadPair],
    settings: &PadSettings,
) -> Result<Vec<PairTraces>> {
    let stage =
        ProgressStage::begin(inputs.progress, "reading pairs of texts", Some(pairs.len() as u64));
    let traced = pairs.iter().map(async |pair| {
        let traces = trace_pair(inputs, pair, settings).await?;
        stage.advance(1);
        if stage.stop_requested() { Err(Error::Stopped) } else { Ok(traces) }
    });
    stream::iter(traced).buffered(CONCURRENT_PAIRS).try_collect().await
}

async fn trace_pair(
    inputs: &PadInputs<'_>,
    pair: &PadPair,
    settings: &PadSettings,
) -> Result<PairTraces> {
    let store = inputs.view.store();
    let keys = keys(inputs, pair, settings);
    let mut traces = Vec::new();
    for key in &keys {
        let stored = store.derived(KIND, key)?;
        traces.extend(stored.and_then(|text| Trace::of_text(&text)));
    }
    if let Ok([own, peer]) = <[Trace; 2]>::try_from(std::mem::take(&mut traces)) {
        return Ok(PairTraces { own, peer });
    }
    let view = pair.view(inputs.view);
    let target = pair.target(&view)?;
    let method_inputs = MethodInputs {
        view,
        model: inputs.model,
        peers: None,
        reward: None,
        task: inputs.task,
        progress: &Silent as &dyn Progress,
        held_out: &[],
    };
    let options = MethodOptions {
        n: settings.n_past,
        history: History::Own,
        score_limit: Some(settings.tokens),
        ..inputs.options.clone()
    };
    let prepared = Method::SCP.prepare(&method_inputs, &target, &options).await?;
    let mut made = Vec::with_capacity(2);
    for (text, key) in [&pair.own, &pair.peer].into_iter().zip(&keys) {
        let text = &text.review.text;
        let trace = prepared.trace(&method_inputs, &options, text, settings.kept).await?;
        let trace = Trace::of(&trace, settings.kept);
        let sources: Vec<ReviewId> =
            prepared.sources.iter().copied().chain(pair.reviews()).collect();
        store.put_derived(KIND, key, &trace.to_text(), &sources)?;
        made.push(trace);
    }
    let [own, peer] = <[Trace; 2]>::try_from(made).unwrap_or_default();
    Ok(PairTraces { own, peer })
}

/// Deletes the stored traces of pairs.
pub(super) fn forget_traces(
    inputs: &PadInputs<'_>,
    pairs: &[PadPair],
    settings: &PadSettings,
) -> Result<()> {
    for key in pairs.iter().flat_map(|pair| keys(inputs, pair, settings)) {
        inputs.view.store().remove_derived(KIND, &key)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_texts_own_token_is_kept_and_the_kept_are_normalised() {
        let top = |ids: [u32; 3]| ids.iter().map(|id| (*id, -(*id as f32))).collect();
        let trace = TextTrace {
            tokens: vec![2, 9],
            hidden: vec![vec![1.0, 2.0], vec![3.0, 4.0]],
            top: vec![top([1, 2, 3]), top([1, 2, 3])],
            logprobs: vec![-2.0, -9.0],
        };
        let made = Trace::of(&trace, 3);
        assert_eq!((made.n(), made.ids.as_slice()), (2, &[1, 2, 3, 1, 2, 9][..]));
        assert_eq!((made.column.as_slice(), made.hidden.len()), (&[1, 2][..], 4));
        for row in made.logprobs.chunks(3) {
            assert!((row.iter().map(|l| l.exp()).sum::<f32>() - 1.0).abs() < 1e-6);
        }
        assert_eq!(Trace::of_text(&made.to_text()), Some(made));
    }
}
