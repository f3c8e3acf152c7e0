//! The map of the last hidden state, `h' = h + A diag(g) B h`, and its loss.
//!
//! Shapes: N positions of all texts of a batch, d values of a hidden state, r rank, K kept tokens, V rows
//! of the output head that any trace needs, T texts.

use std::collections::HashMap;

use candle_core::{D, Device, Tensor};

use super::traces::{PairTraces, Trace};
use crate::np::bradley_terry;
use crate::{NetParameters, ParameterSpec, ParameterStart, Result};

/// The trained map.
#[derive(Debug, Clone)]
pub(super) struct PadNet {
    pub(super) parameters: NetParameters,
    is_gated: bool,
}

/// Tensors of both texts of some pairs: first all own texts, then all peers'.
pub(super) struct TraceBatch {
    /// `[N, d]`
    hidden: Tensor,
    /// Rows of the output head, `[N * K]`.
    rows: Tensor,
    /// `[N, K]`
    logprobs: Tensor,
    /// `[N, 1]`
    column: Tensor,
    /// 1 where a position belongs to a text, `[T, N]`.
    texts: Tensor,
    /// Pair of each position, `[N]`.
    pair: Tensor,
    /// z by pair, `[T / 2, H]`; `None` without a gate.
    codes: Option<Tensor>,
}

/// The rows of an output head that traces need, `[V, d]`.
pub(super) struct HeadRows {
    pub(super) values: Tensor,
    of_id: HashMap<u32, u32>,
}

impl HeadRows {
    pub(super) fn of(output_head: &Tensor, traces: &[PairTraces]) -> Result<Self> {
        let each = traces.iter().flat_map(|pair| pair.own.ids.iter().chain(&pair.peer.ids));
        let mut ids: Vec<u32> = each.copied().collect();
        ids.sort_unstable();
        ids.dedup();
        let wanted = Tensor::new(ids.as_slice(), output_head.device())?;
        let values = output_head.index_select(&wanted, 0)?;
        let of_id = ids.into_iter().zip(0..).collect();
        Ok(Self { values, of_id })
    }
}

impl TraceBatch {
    /// The batch of some pairs. Of an exchanged pair the peer's text counts as the own one.
    pub(super) fn new(
        pairs: &[(&PairTraces, &[f32], bool)],
        head: &HeadRows,
        n_embd: usize,
    ) -> Result<Self> {
        let own =
            pairs.iter().map(|(traces, _, swap)| if *swap { &traces.peer } else { &traces.own });
        let peers =
            pairs.iter().map(|(traces, _, swap)| if *swap { &traces.own } else { &traces.peer });
        let all: Vec<&Trace> = own.chain(peers).collect();
        let n: usize = all.iter().map(|trace| trace.n()).sum();
        let (mut hidden, mut logprobs): (Vec<f32>, Vec<f32>) = Default::default();
        let (mut rows, mut column, mut pair): (Vec<u32>, Vec<u32>, Vec<u32>) = Default::default();
        let mut texts = vec![0.0_f32; all.len() * n];
        for (text, trace) in all.iter().enumerate() {
            texts[text * n + pair.len()..][..trace.n()].fill(1.0);
            hidden.extend(&trace.hidden);
            rows.extend(trace.ids.iter().map(|id| head.of_id[id]));
            logprobs.extend(&trace.logprobs);
            column.extend(&trace.column);
            pair.extend(std::iter::repeat_n((text % pairs.len()) as u32, trace.n()));
        }
        let kept = rows.len() / n.max(1);
        let device = &Device::Cpu;
        let codes: Vec<f32> = pairs.iter().flat_map(|(_, code, _)| code.iter().copied()).collect();
        let codes = match codes.len() / pairs.len().max(1) {
            0 => None,
            h => Some(Tensor::from_vec(codes, (pairs.len(), h), device)?),
        };
        Ok(Self {
            hidden: Tensor::from_vec(hidden, (n, n_embd), device)?,
            rows: Tensor::from_vec(rows, n * kept, device)?,
            logprobs: Tensor::from_vec(logprobs, (n, kept), device)?,
            column: Tensor::from_vec(column, (n, 1), device)?,
            texts: Tensor::from_vec(texts, (all.len(), n), device)?,
            pair: Tensor::from_vec(pair, n, device)?,
            codes,
        })
    }
}

impl PadNet {
    /// A map that changes nothing yet. `n_code` is the number of values of z, 0 without a gate.
    pub(super) fn new(n_embd: usize, rank: usize, n_code: usize, seed: u64) -> Result<Self> {
        let zeros = |name, shape| ParameterSpec { name, shape, start: ParameterStart::Zeros };
        let mut specs =
            vec![ParameterSpec::weight("down", n_embd, rank), zeros("up", vec![rank, n_embd])];
        if n_code > 0 {
            specs.push(zeros("gate", vec![n_code, rank]));
        }
        let parameters = NetParameters::new(specs, seed, &Device::Cpu)?;
        Ok(Self { parameters, is_gated: n_code > 0 })
    }

    /// g of codes `[B, H]`: 1 and what z adds, `[B, r]`.
    pub(super) fn gates(&self, codes: &Tensor) -> Result<Tensor> {
        Ok((codes.matmul(self.parameters.get("gate"))? + 1.0)?)
    }

    /// By how much the map raises the log-probability of each text, `[T]`.
    pub(super) fn raises(&self, batch: &TraceBatch, head: &HeadRows) -> Result<Tensor> {
        let (n, kept) = batch.logprobs.dims2()?;
        let inner = batch.hidden.matmul(self.parameters.get("down"))?;
        let inner = match (&batch.codes, self.is_gated) {
            (Some(codes), true) => (inner * self.gates(codes)?.index_select(&batch.pair, 0)?)?,
            _ => inner,
        };
        let rank = inner.dim(1)?;
        // [V, d] [d, r]
        let up = head.values.matmul(&self.parameters.get("up").t()?)?;
        let rows = up.index_select(&batch.rows, 0)?.reshape((n, kept, rank))?;
        let added = rows.broadcast_mul(&inner.unsqueeze(1)?)?.sum(D::Minus1)?;
        // Kept log-probabilities are normalised, so the sum is 1 before the map.
        let after = (&batch.logprobs + &added)?;
        let largest = after.max_keepdim(1)?.detach();
        let total = (after.broadcast_sub(&largest)?.exp()?.sum_keepdim(1)?.log()? + largest)?;
        let raised = (added.gather(&batch.column, 1)? - total)?;
        Ok(batch.texts.matmul(&raised)?.squeeze(1)?)
    }

    /// Loss of direct preference optimization with the unchanged model as the reference.
    pub(super) fn loss(&self, batch: &TraceBatch, head: &HeadRows, beta: f64) -> Result<Tensor> {
        let raises = (self.raises(batch, head)? * beta)?;
        let n_pairs = raises.dim(0)? / 2;
        bradley_terry(&raises.narrow(0, 0, n_pairs)?, &raises.narrow(0, n_pairs, n_pairs)?)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    const EMBD: usize = 6;
    const KEPT: usize = 4;

    fn trace(n: usize, random: &mut ChaCha8Rng) -> Trace {
        let mut trace = Trace::default();
        for _ in 0..n {
            trace.hidden.extend((0..EMBD).map(|_| random.random::<f32>() - 0.5));
            let first: u32 = random.random_range(0..20);
            trace.ids.extend((0..KEPT as u32).map(|i| first + 3 * i));
            let raw: Vec<f32> = (0..KEPT).map(|_| random.random::<f32>()).collect();
            let total: f32 = raw.iter().sum();
            trace.logprobs.extend(raw.iter().map(|p| (p / total).ln()));
            trace.column.push(random.random_range(0..KEPT as u32));
        }
        trace
    }

    struct Made {
        net: PadNet,
        head: HeadRows,
        pairs: Vec<PairTraces>,
        codes: Vec<Vec<f32>>,
        output: Tensor,
    }

    fn made() -> Made {
        let mut random = ChaCha8Rng::seed_from_u64(5);
        let pairs: Vec<PairTraces> = [(3, 2), (1, 4)]
            .map(|(a, b)| PairTraces { own: trace(a, &mut random), peer: trace(b, &mut random) })
            .to_vec();
        let values: Vec<f32> = (0..40 * EMBD).map(|_| random.random::<f32>() - 0.5).collect();
        let output = Tensor::from_vec(values, (40, EMBD), &Device::Cpu).unwrap();
        let head = HeadRows::of(&output, &pairs).unwrap();
        let net = PadNet::new(EMBD, 2, 3, 9).unwrap();
        let start = net.parameters.values().unwrap();
        let moved: Vec<f32> = start.iter().map(|x| x + random.random::<f32>() - 0.5).collect();
        net.parameters.set(&moved).unwrap();
        let codes = vec![vec![0.3, -0.2, 0.9], vec![-0.5, 0.1, 0.4]];
        Made { net, head, pairs, codes, output }
    }

    impl Made {
        fn batch(&self, swap: bool) -> TraceBatch {
            let pairs: Vec<(&PairTraces, &[f32], bool)> =
                self.pairs.iter().zip(&self.codes).map(|(p, c)| (p, &c[..], swap)).collect();
            TraceBatch::new(&pairs, &self.head, EMBD).unwrap()
        }
    }

    #[test]
    fn it_raises_texts_as_the_map_before_the_whole_head_does() {
        let made = made();
        let got: Vec<f32> =
            made.net.raises(&made.batch(false), &made.head).unwrap().to_vec1().unwrap();
        let values = made.net.parameters.values().unwrap();
        let (down, rest) = values.split_at(EMBD * 2);
        let (up, gate) = rest.split_at(2 * EMBD);
        let output: Vec<Vec<f32>> = made.output.to_vec2().unwrap();
        let texts =
            [&made.pairs[0].own, &made.pairs[1].own, &made.pairs[0].peer, &made.pairs[1].peer];
        for (text, trace) in texts.into_iter().enumerate() {
            let code = &made.codes[text % 2];
            let mut sum = 0.0;
            for at in 0..trace.n() {
                let h = &trace.hidden[at * EMBD..][..EMBD];
                let mut delta = [0.0_f32; EMBD];
                for r in 0..2 {
                    let inner: f32 = (0..EMBD).map(|i| h[i] * down[i * 2 + r]).sum();
                    let g: f32 = 1.0 + (0..3).map(|i| code[i] * gate[i * 2 + r]).sum::<f32>();
                    (0..EMBD).for_each(|i| delta[i] += up[r * EMBD + i] * g * inner);
                }
                let added = |id: u32| -> f32 {
                    output[id as usize].iter().zip(&delta).map(|(a, b)| a * b).sum()
                };
                let ids = &trace.ids[at * KEPT..][..KEPT];
                let base = &trace.logprobs[at * KEPT..][..KEPT];
                let total: f32 =
                    ids.iter().zip(base).map(|(id, l)| (l + added(*id)).exp()).sum::<f32>().ln();
                sum += added(ids[trace.column[at] as usize]) - total;
            }
            assert!((got[text] - sum).abs() < 1e-4, "{text}: {} {sum}", got[text]);
        }
        // Exchanged pairs have their texts the other way round.
        let other: Vec<f32> =
            made.net.raises(&made.batch(true), &made.head).unwrap().to_vec1().unwrap();
        assert!((0..4).all(|i| (other[i] - got[(i + 2) % 4]).abs() < 1e-5));
    }

    #[test]
    fn gradients_are_those_of_finite_differences() {
        let made = made();
        let batch = made.batch(false);
        let loss = || made.net.loss(&batch, &made.head, 0.7).unwrap();
        let gradients = loss().backward().unwrap();
        let values = made.net.parameters.values().unwrap();
        let mut flat = Vec::new();
        for var in made.net.parameters.vars() {
            let gradient = gradients.get(var).unwrap();
            flat.extend(gradient.flatten_all().unwrap().to_vec1::<f32>().unwrap());
        }
        assert_eq!(flat.len(), values.len());
        for (at, gradient) in flat.iter().enumerate() {
            let near = |step: f32| {
                let mut moved = values.clone();
                moved[at] += step;
                made.net.parameters.set(&moved).unwrap();
                f64::from(loss().to_scalar::<f32>().unwrap())
            };
            let slope = (near(1e-2) - near(-1e-2)) / 2e-2;
            assert!((slope - f64::from(*gradient)).abs() < 2e-3, "{at}: {slope} {gradient}");
        }
    }

    #[test]
    fn a_new_map_changes_nothing() {
        let made = made();
        let net = PadNet::new(EMBD, 2, 3, 1).unwrap();
        let raises: Vec<f32> =
            net.raises(&made.batch(false), &made.head).unwrap().to_vec1().unwrap();
        assert!(raises.iter().all(|raise| raise.abs() < 1e-5), "{raises:?}");
    }
}
