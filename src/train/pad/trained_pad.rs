//! Training of a token reward.

use std::collections::BTreeSet;

use candle_core::Tensor;
use idiolect_core::corpus::{Key, ReviewId};
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::PadSettings;
use super::head::{PAD, PadFacts, PadHead, VERSION};
use super::net::{HeadRows, PadNet, TraceBatch};
use super::pairs::{PadInputs, PadPair, codes, draw_pairs, exchanged};
use super::traces::{PairTraces, forget_traces, trace_pairs};
use crate::np::{HeadTraining, NpHead, StyleTexts};
use crate::{Checkpoints, Error, NetParameters, Result, Trainable, train};

/// Pairs in the batch of a step.
const BATCH: usize = 16;
/// One of so many users is for validation.
const VALIDATION_SHARE: usize = 10;
/// Most texts of a user that are in pairs, and most peers of each.
const MOST_TEXTS: usize = 4;
const MOST_PEERS: usize = 1;

/// Trains a token reward on the visible texts of all users but `without`, or returns the stored one if
/// the same was trained before. `np` gates it if the settings ask for a gate; it must have been trained
/// without these users too. The result is stored with all texts that it or `np` saw as its sources. A call
/// that was stopped or killed is continued by the next one.
///
/// # Errors
/// [`Error::TooLittle`] if too few users have texts beside peers' as long; [`Error::Stopped`]; or the
/// store or the language model fails.
pub async fn train_pad(
    inputs: &PadInputs<'_>,
    without: &[String],
    np: Option<&NpHead>,
    settings: &PadSettings,
) -> Result<PadHead> {
    let texts = StyleTexts::read(inputs.view)?;
    let without: BTreeSet<&str> = without.iter().map(String::as_str).collect();
    let among = (0..texts.n_users()).filter(|user| !without.contains(texts.name_of(*user)));
    let among: BTreeSet<usize> = among.collect();
    let amount = (settings.pairs, MOST_TEXTS, MOST_PEERS);
    let pairs = draw_pairs(inputs.view, &texts, &among, amount, settings)?;
    let np = np.filter(|_| settings.gated);
    let key = key(inputs, PAD, &pairs, np, settings)?;
    if let Some(head) = PadHead::stored(inputs.view.store(), PAD, &key)? {
        return Ok(head);
    }
    let traces = trace_pairs(inputs, &pairs, settings).await?;
    let codes = codes(inputs.view, &pairs, np)?;
    let traced = TracedPairs { pairs: &pairs, traces: &traces, codes: &codes };
    let head = train_on(inputs, &traced, np, settings, (PAD, &key))?;
    forget_traces(inputs, &pairs, settings)?;
    Ok(head)
}

/// Pairs with what the model computed and what is known of their users.
pub(super) struct TracedPairs<'a> {
    pub(super) pairs: &'a [PadPair],
    pub(super) traces: &'a [PairTraces],
    pub(super) codes: &'a [Vec<f32>],
}

/// Key of a token reward: everything that determines it.
pub(super) fn key(
    inputs: &PadInputs<'_>,
    kind: &str,
    pairs: &[PadPair],
    np: Option<&NpHead>,
    settings: &PadSettings,
) -> Result<Key> {
    let key = Key::of(kind)
        .with("version", VERSION.to_le_bytes())
        .with("model", inputs.model.fingerprint())
        .with("task", inputs.task.hash())
        .with("settings", serde_json::to_vec(settings).unwrap_or_default())
        .with("np", np.map(NpHead::to_text).transpose()?.unwrap_or_default());
    let reviews = pairs.iter().flat_map(PadPair::reviews);
    Ok(reviews.fold(key, |key, id| key.with("text", id.0.to_le_bytes())).finish())
}

/// Trains on traced pairs, or returns what is stored under the key.
pub(super) fn train_on(
    inputs: &PadInputs<'_>,
    traced: &TracedPairs<'_>,
    np: Option<&NpHead>,
    settings: &PadSettings,
    (kind, key): (&'static str, &Key),
) -> Result<PadHead> {
    let store = inputs.view.store();
    if let Some(head) = PadHead::stored(store, kind, key)? {
        return Ok(head);
    }
    let training = PadTraining::new(inputs.output_head, traced, np.is_some(), settings)?;
    let mut users: Vec<String> = traced.pairs.iter().map(|pair| pair.user.clone()).collect();
    users.sort_unstable();
    users.dedup();
    // Prompts show past texts of the users, so all of theirs count.
    let mut sources: Vec<ReviewId> = traced.pairs.iter().flat_map(PadPair::reviews).collect();
    for user in &users {
        sources.extend(inputs.view.history(user)?.into_iter().map(|stored| stored.id));
    }
    sources.extend(np.into_iter().flat_map(|np| np.sources().iter().copied()));
    sources.sort_unstable();
    sources.dedup();
    let checkpoints = Checkpoints { store, key, sources: &sources };
    let what = "training the token reward";
    let done = train(&training, &settings.training, &checkpoints, (inputs.progress, what))?;
    let facts = PadFacts {
        settings: settings.clone(),
        n_embd: training.n_embd,
        model: inputs.model.fingerprint().to_owned(),
        training: HeadTraining {
            users: users.len() - training.n_validation_users,
            validation_users: training.n_validation_users,
            steps: done.steps,
            best_step: done.best_step,
            validation_loss: done.validation_loss,
        },
        users,
        sources: sources.clone(),
    };
    let head = PadHead::new(training.net, np.cloned(), facts);
    head.store(store, kind, key)?;
    Checkpoints { store, key, sources: &sources }.remove()?;
    Ok(head)
}

/// Training of the map on traced pairs.
struct PadTraining<'a> {
    net: PadNet,
    head: HeadRows,
    n_embd: usize,
    traced: &'a TracedPairs<'a>,
    exchanged: Vec<bool>,
    learning: Vec<usize>,
    validation: Vec<TraceBatch>,
    n_validation_users: usize,
    beta: f64,
    seed: u64,
}

impl<'a> PadTraining<'a> {
    fn new(
        output_head: &Tensor,
        traced: &'a TracedPairs<'a>,
        is_gated: bool,
        settings: &PadSettings,
    ) -> Result<Self> {
        let mut users: Vec<&str> = traced.pairs.iter().map(|pair| pair.user.as_str()).collect();
        users.sort_unstable();
        users.dedup();
        if users.len() < 2 {
            let (operation, what) =
                ("train the token reward", "users with texts beside others' as long");
            return Err(Error::TooLittle { operation, what, got: users.len(), needed: 2 });
        }
        users.shuffle(&mut ChaCha8Rng::seed_from_u64(settings.seed));
        let n_validation_users = users.len().div_ceil(VALIDATION_SHARE);
        let of_validation: BTreeSet<&str> = users.into_iter().take(n_validation_users).collect();
        let is_used = |at: &usize| {
            let PairTraces { own, peer } = &traced.traces[*at];
            own.n() > 0 && peer.n() > 0
        };
        let all = (0..traced.pairs.len()).filter(is_used);
        let (validating, learning): (Vec<usize>, Vec<usize>) =
            all.partition(|at| of_validation.contains(traced.pairs[*at].user.as_str()));
        if learning.is_empty() {
            let (operation, what) = ("train the token reward", "pairs of texts");
            return Err(Error::TooLittle { operation, what, got: 0, needed: 1 });
        }
        let n_embd = output_head.dim(1)?;
        let n_code = if is_gated { NpHead::N_CODE } else { 0 };
        let mut training = Self {
            net: PadNet::new(n_embd, settings.rank, n_code, settings.seed)?,
            head: HeadRows::of(output_head, traced.traces)?,
            n_embd,
            traced,
            exchanged: exchanged(traced.pairs.len(), settings),
            learning,
            validation: Vec::new(),
            n_validation_users,
            beta: settings.beta,
            seed: settings.seed,
        };
        for chunk in validating.chunks(BATCH) {
            training.validation.push(training.batch(chunk)?);
        }
        Ok(training)
    }

    fn batch(&self, pairs: &[usize]) -> Result<TraceBatch> {
        let TracedPairs { traces, codes, .. } = self.traced;
        let pair = |at: &usize| (&traces[*at], codes[*at].as_slice(), self.exchanged[*at]);
        let pairs: Vec<_> = pairs.iter().map(pair).collect();
        TraceBatch::new(&pairs, &self.head, self.n_embd)
    }
}

impl Trainable for PadTraining<'_> {
    fn parameters(&self) -> &NetParameters {
        &self.net.parameters
    }

    fn loss(&self, step: u64) -> Result<Tensor> {
        let mut random = ChaCha8Rng::seed_from_u64(self.seed);
        random.set_stream(step);
        let drawn: Vec<usize> = (0..BATCH.min(self.learning.len()))
            .map(|_| self.learning[random.random_range(0..self.learning.len())])
            .collect();
        self.net.loss(&self.batch(&drawn)?, &self.head, self.beta)
    }

    fn validation_loss(&self) -> Result<f64> {
        let mut sum = 0.0;
        for batch in &self.validation {
            sum += f64::from(self.net.loss(batch, &self.head, self.beta)?.to_scalar::<f32>()?);
        }
        Ok(sum / self.validation.len().max(1) as f64)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::super::traces::Trace;
    use super::*;
    use candle_core::Device;
    use idiolect_core::corpus::Store;
    use idiolect_engine::progress::Silent;

    const EMBD: usize = 8;
    const KEPT: usize = 6;
    const USERS: usize = 40;

    /// Users like one of two tokens; z tells which, and the hidden state that the moment has come.
    struct Crowd {
        pairs: Vec<PadPair>,
        traces: Vec<PairTraces>,
        codes: Vec<Vec<f32>>,
        output: Tensor,
    }

    impl Crowd {
        fn new(seed: u64) -> Self {
            let mut random = ChaCha8Rng::seed_from_u64(seed);
            let (mut pairs, mut traces, mut codes) = (Vec::new(), Vec::new(), Vec::new());
            for user in 0..USERS {
                let likes = user % 2;
                let code = (0..NpHead::N_CODE).map(|at| match at {
                    0 => 2.0 * likes as f32 - 1.0,
                    _ => 0.2 * (random.random::<f32>() - 0.5),
                });
                let code: Vec<f32> = code.collect();
                for text in 0..6_i64 {
                    let mut trace = |column: usize| {
                        let mut trace = Trace::default();
                        for _ in 0..10 {
                            trace.hidden.push(1.0);
                            trace.hidden.extend((1..EMBD).map(|_| random.random::<f32>() - 0.5));
                            trace.ids.extend(0..KEPT as u32);
                            trace.logprobs.extend([-(KEPT as f32).ln(); KEPT]);
                            // One token in three is the liked one, the others are anything.
                            let is_liked = random.random_range(0..3) == 0;
                            let any = random.random_range(0..KEPT);
                            trace.column.push(if is_liked { column } else { any } as u32);
                        }
                        trace
                    };
                    traces.push(PairTraces { own: trace(likes), peer: trace(1 - likes) });
                    let id = 2 * (6 * user as i64 + text);
                    pairs.push(PadPair::of_ids(&format!("u{user:02}"), [id, id + 1]));
                    codes.push(code.clone());
                }
            }
            let values: Vec<f32> = (0..KEPT * EMBD).map(|_| random.random::<f32>() - 0.5).collect();
            let output = Tensor::from_vec(values, (KEPT, EMBD), &Device::Cpu).unwrap();
            Self { pairs, traces, codes, output }
        }

        /// Share of pairs of `judged` in which a map trained on this crowd raises the own text more, with
        /// its own codes and with those turned round.
        fn shares(&self, judged: &Self, settings: &PadSettings) -> [f64; 2] {
            let traced =
                TracedPairs { pairs: &self.pairs, traces: &self.traces, codes: &self.codes };
            let training =
                PadTraining::new(&self.output, &traced, settings.gated, settings).unwrap();
            let store = Store::in_memory().unwrap();
            let key = Key::of("crowd").finish();
            let checkpoints = Checkpoints { store: &store, key: &key, sources: &[] };
            train(&training, &settings.training, &checkpoints, (&Silent, "training")).unwrap();
            let rows = HeadRows::of(&self.output, &judged.traces).unwrap();
            [1.0_f32, -1.0].map(|sign| {
                let mut n_right = 0.0;
                for (traces, code) in judged.traces.iter().zip(&judged.codes) {
                    let code: Vec<f32> = match settings.gated {
                        true => code.iter().map(|value| sign * value).collect(),
                        false => Vec::new(),
                    };
                    let batch =
                        TraceBatch::new(&[(traces, &code[..], false)], &rows, EMBD).unwrap();
                    let raises: Vec<f32> =
                        training.net.raises(&batch, &rows).unwrap().to_vec1().unwrap();
                    n_right += match raises[0].total_cmp(&raises[1]) {
                        std::cmp::Ordering::Greater => 1.0,
                        std::cmp::Ordering::Equal => 0.5,
                        std::cmp::Ordering::Less => 0.0,
                    };
                }
                n_right / judged.traces.len() as f64
            })
        }
    }

    #[test]
    fn a_gate_finds_whose_tokens_are_whose_and_controls_are_at_chance() {
        let mut crowd = Crowd::new(1);
        let mut judged = Crowd::new(2);
        judged.output = crowd.output.clone();
        let training = crate::TrainingSettings {
            budget: crate::TrainingBudget::Steps(120),
            learning_rate: 2e-2,
            weight_decay: 0.0,
            ..PadSettings::default().training
        };
        let gated =
            PadSettings { gated: true, rank: 4, beta: 0.5, training, ..PadSettings::default() };
        let [own, turned] = crowd.shares(&judged, &gated);
        assert!(own > 0.8 && turned < 0.3, "{own} {turned}");
        let shuffled = PadSettings { shuffled: true, ..gated.clone() };
        let [own, _] = crowd.shares(&judged, &shuffled);
        assert!((own - 0.5).abs() < 0.2, "{own}");
        // Without a gate both tokens are as likely to be liked.
        crowd.codes.iter_mut().for_each(Vec::clear);
        let plain = PadSettings { gated: false, ..gated };
        let [own, _] = crowd.shares(&judged, &plain);
        assert!((own - 0.5).abs() < 0.2, "{own}");
    }
}
