//! The net: pairs of one user to a vector z, and z with a text's vector to a score.
//!
//! Few-shot steerable alignment (arXiv 2412.13998, and the authors' code): each pair (chosen, rejected)
//! through a linear map, self-attention over the pairs, their mean, and two layers give z; a text
//! through two layers, and both together, give the score.
//!
//! Ours is a path beside the net: the mean difference of the user's chosen and rejected vectors, times a
//! learnt weight for each value, times the text's vector. It has one weight a value where the net has
//! thousands, with which a net that sees a few thousand texts remembers texts instead of styles. The
//! weights begin at 0, so that nothing is known of people but what the training texts tell.
//!
//! Shapes: B users, C pairs at most, T texts, D values of a text, H = 256.

use candle_core::{D, Device, Tensor};

use crate::{NetParameters, ParameterSpec, ParameterStart, Result};

/// Width of all layers.
pub(super) const H: usize = 256;
/// Attention heads.
const HEADS: usize = 8;

/// The net of a reward head over vectors of `n_values`.
#[derive(Debug, Clone)]
pub(super) struct NpNet {
    pub(super) parameters: NetParameters,
    n_values: usize,
}

/// Pairs of several users, padded to the same number.
#[derive(Debug, Clone)]
pub(super) struct ContextBatch {
    /// Vectors of chosen and rejected text side by side, `[B, C, 2 D]`; 0 where there is no pair.
    pub(super) pairs: Tensor,
    /// 1 where there is a pair, else 0; `[B, C]`.
    pub(super) mask: Tensor,
}

/// Codes of users, made from their pairs.
#[derive(Debug, Clone)]
pub(super) struct KnownUsers {
    /// `[B, H]`
    pub(super) z: Tensor,
    /// Mean of chosen minus rejected vector, times the weights of the direct path, `[B, D]`; 0 without
    /// pairs.
    direct: Tensor,
}

/// Factors by which hidden values are multiplied while training, each 0 or `1 / (1 - rate)`.
#[derive(Debug, Clone)]
pub(super) struct Dropout {
    /// `[B, C, H]`
    pub(super) pairs: Tensor,
    /// `[B * T, H]`
    pub(super) texts: Tensor,
}

impl Dropout {
    /// Sizes of the factors: values of `pairs` and of `texts`.
    pub(super) fn sizes(b: usize, c: usize, t: usize) -> (usize, usize) {
        (b * c * H, b * t * H)
    }

    pub(super) fn new(
        (pairs, texts): (Vec<f32>, Vec<f32>),
        (b, c, t): (usize, usize, usize),
        device: &Device,
    ) -> Result<Self> {
        Ok(Self {
            pairs: Tensor::from_vec(pairs, (b, c, H), device)?,
            texts: Tensor::from_vec(texts, (b * t, H), device)?,
        })
    }
}

impl ContextBatch {
    /// Pads the pairs of each user, given as vectors of `2 D` values, to the greatest number, at
    /// least 1.
    pub(super) fn new(users: &[Vec<Vec<f32>>], n_values: usize, device: &Device) -> Result<Self> {
        let c = users.iter().map(Vec::len).max().unwrap_or(0).max(1);
        let (mut pairs, mut mask) = (Vec::new(), Vec::new());
        for user in users {
            for at in 0..c {
                match user.get(at) {
                    Some(pair) => pairs.extend(pair),
                    None => pairs.extend(std::iter::repeat_n(0.0, 2 * n_values)),
                }
                mask.push(f32::from(u8::from(at < user.len())));
            }
        }
        Ok(Self {
            pairs: Tensor::from_vec(pairs, (users.len(), c, 2 * n_values), device)?,
            mask: Tensor::from_vec(mask, (users.len(), c), device)?,
        })
    }
}

impl NpNet {
    pub(super) fn new(n_values: usize, seed: u64, device: &Device) -> Result<Self> {
        let specs = vec![
            ParameterSpec::weight("pair.w", 2 * n_values, H),
            ParameterSpec::bias("pair.b", H),
            ParameterSpec::weight("attention.w", H, 3 * H),
            ParameterSpec::bias("attention.b", 3 * H),
            ParameterSpec::weight("attended.w", H, H),
            ParameterSpec::bias("attended.b", H),
            ParameterSpec::weight("z1.w", H, H),
            ParameterSpec::bias("z1.b", H),
            ParameterSpec::weight("z2.w", H, H),
            ParameterSpec::bias("z2.b", H),
            // z without a pair.
            ParameterSpec {
                name: "nobody",
                shape: vec![1, H],
                start: ParameterStart::Uniform(0.06),
            },
            ParameterSpec::weight("text1.w", n_values, H),
            ParameterSpec::bias("text1.b", H),
            ParameterSpec::weight("text2.w", H, H),
            ParameterSpec::bias("text2.b", H),
            ParameterSpec::weight("both.text", H, H),
            ParameterSpec::weight("both.z", H, H),
            ParameterSpec::bias("both.b", H),
            ParameterSpec::weight("score.w", H, 1),
            ParameterSpec {
                name: "direct",
                shape: vec![1, n_values],
                start: ParameterStart::Zeros,
            },
        ];
        Ok(Self { parameters: NetParameters::new(specs, seed, device)?, n_values })
    }

    /// `x` `[N, n_in]` times a weight and plus a bias.
    fn linear(&self, x: &Tensor, weight: &str, bias: &str) -> Result<Tensor> {
        Ok(x.matmul(self.parameters.get(weight))?.broadcast_add(self.parameters.get(bias))?)
    }

    /// Code of each user by the pairs.
    pub(super) fn known(
        &self,
        context: &ContextBatch,
        dropout: Option<&Dropout>,
    ) -> Result<KnownUsers> {
        let (b, c, _) = context.pairs.dims3()?;
        let pairs = context.pairs.reshape((b * c, 2 * self.n_values))?;
        let mut hidden = self.linear(&pairs, "pair.w", "pair.b")?.reshape((b, c, H))?;
        if let Some(dropout) = dropout {
            hidden = (hidden * &dropout.pairs)?;
        }
        let projected = self.linear(&hidden.reshape((b * c, H))?, "attention.w", "attention.b")?;
        // [3, B, heads, C, H / heads]
        let projected = projected.reshape((b, c, 3, HEADS, H / HEADS))?;
        let projected = projected.permute((2, 0, 3, 1, 4))?.contiguous()?;
        let part = |i| projected.get(i)?.reshape((b * HEADS, c, H / HEADS));
        let (q, k, v) = (part(0)?, part(1)?, part(2)?);
        let weights = (q.matmul(&k.transpose(1, 2)?)? / ((H / HEADS) as f64).sqrt())?;
        // A large negative number where there is no pair.
        let absent = context.mask.affine(1e9, -1e9)?.reshape((b, 1, 1, c))?;
        let weights = weights.reshape((b, HEADS, c, c))?.broadcast_add(&absent)?;
        let attended = softmax(&weights)?.reshape((b * HEADS, c, c))?.matmul(&v)?;
        let attended = attended.reshape((b, HEADS, c, H / HEADS))?.transpose(1, 2)?;
        let attended = attended.contiguous()?.reshape((b * c, H))?;
        let attended = self.linear(&attended, "attended.w", "attended.b")?.reshape((b, c, H))?;
        let hidden = (hidden + attended)?;
        let mask = context.mask.reshape((b, c, 1))?;
        let n = context.mask.sum_keepdim(1)?;
        let mean = hidden.broadcast_mul(&mask)?.sum(1)?.broadcast_div(&n.maximum(1.0)?)?;
        let z = self.linear(&mean, "z1.w", "z1.b")?.relu()?;
        let z = self.linear(&z, "z2.w", "z2.b")?;
        let has = n.minimum(1.0)?;
        let nobody = has.affine(-1.0, 1.0)?.matmul(self.parameters.get("nobody"))?;
        let z = (z.broadcast_mul(&has)? + nobody)?;
        let chosen = context.pairs.narrow(2, 0, self.n_values)?;
        let rejected = context.pairs.narrow(2, self.n_values, self.n_values)?;
        let difference = (chosen - rejected)?.broadcast_mul(&mask)?.sum(1)?;
        let difference = difference.broadcast_div(&n.maximum(1.0)?)?;
        let direct = difference.broadcast_mul(self.parameters.get("direct"))?;
        Ok(KnownUsers { z, direct })
    }

    /// Scores `[B, T]` of texts `[B, T, D]` for the users.
    pub(super) fn scores(
        &self,
        known: &KnownUsers,
        texts: &Tensor,
        dropout: Option<&Dropout>,
    ) -> Result<Tensor> {
        let (b, t, n_values) = texts.dims3()?;
        let direct = known.direct.reshape((b, n_values, 1))?;
        let direct = texts.matmul(&direct)?.reshape((b, t))?;
        let texts = texts.reshape((b * t, n_values))?;
        let mut hidden = self.linear(&texts, "text1.w", "text1.b")?.relu()?;
        if let Some(dropout) = dropout {
            hidden = (hidden * &dropout.texts)?;
        }
        let hidden = self.linear(&hidden, "text2.w", "text2.b")?;
        let of_text = hidden.matmul(self.parameters.get("both.text"))?.reshape((b, t, H))?;
        let of_user = self.linear(&known.z, "both.z", "both.b")?.reshape((b, 1, H))?;
        let both = of_text.broadcast_add(&of_user)?.relu()?.reshape((b * t, H))?;
        let by_net = both.matmul(self.parameters.get("score.w"))?.reshape((b, t))?;
        Ok((by_net + direct)?)
    }
}

/// Softmax over the last dimension.
fn softmax(x: &Tensor) -> Result<Tensor> {
    // The greatest value cancels, so no gradient runs through it.
    let powers = x.broadcast_sub(&x.max_keepdim(D::Minus1)?.detach())?.exp()?;
    Ok(powers.broadcast_div(&powers.sum_keepdim(D::Minus1)?)?)
}

/// Loss of Bradley and Terry: the mean of `-ln sigmoid(chosen - rejected)`, of two tensors alike.
pub(crate) fn bradley_terry(chosen: &Tensor, rejected: &Tensor) -> Result<Tensor> {
    let margin = (rejected - chosen)?;
    // ln(1 + e^x) = max(x, 0) + ln(1 + e^-|x|)
    let tail = (margin.abs()?.neg()?.exp()? + 1.0)?.log()?;
    Ok((margin.relu()? + tail)?.mean_all()?)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    const N: usize = 5;

    fn pair(random: &mut ChaCha8Rng) -> Vec<f32> {
        (0..2 * N).map(|_| random.random::<f32>() - 0.5).collect()
    }

    fn setting() -> (NpNet, ContextBatch, Tensor) {
        let mut random = ChaCha8Rng::seed_from_u64(1);
        let users: Vec<Vec<Vec<f32>>> =
            [3, 0, 1].map(|n| (0..n).map(|_| pair(&mut random)).collect()).into();
        let context = ContextBatch::new(&users, N, &Device::Cpu).unwrap();
        let texts: Vec<f32> = (0..3 * 2 * N).map(|_| random.random::<f32>() - 0.5).collect();
        let texts = Tensor::from_vec(texts, (3, 2, N), &Device::Cpu).unwrap();
        (NpNet::new(N, 2, &Device::Cpu).unwrap(), context, texts)
    }

    fn loss(net: &NpNet, context: &ContextBatch, texts: &Tensor) -> Tensor {
        let scores = net.scores(&net.known(context, None).unwrap(), texts, None).unwrap();
        let column = |at| scores.narrow(1, at, 1).unwrap();
        bradley_terry(&column(0), &column(1)).unwrap()
    }

    #[test]
    fn gradients_are_those_of_finite_differences() {
        let (net, context, texts) = setting();
        let gradients = loss(&net, &context, &texts).backward().unwrap();
        let values = net.parameters.values().unwrap();
        let mut at = 0;
        for var in net.parameters.vars() {
            let gradient = gradients.get(var).unwrap().flatten_all().unwrap();
            let gradient = gradient.to_vec1::<f32>().unwrap();
            // The direction of the gradient: its slope is the gradient's length.
            let length = gradient.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
            let step = 1e-2;
            let moved = |sign: f64| {
                let mut moved = values.clone();
                for (value, slope) in moved[at..].iter_mut().zip(&gradient) {
                    *value += (sign * step * f64::from(*slope) / length.max(1e-12)) as f32;
                }
                net.parameters.set(&moved).unwrap();
                f64::from(loss(&net, &context, &texts).to_scalar::<f32>().unwrap())
            };
            let slope = (moved(1.0) - moved(-1.0)) / (2.0 * step);
            assert!((slope - length).abs() < 2e-4 + 0.03 * length, "{at}: {slope} {length}");
            at += gradient.len();
        }
        assert_eq!(at, net.parameters.n_values());
    }

    #[test]
    fn order_and_padding_of_pairs_do_not_matter() {
        let (net, ..) = setting();
        let mut random = ChaCha8Rng::seed_from_u64(4);
        let pairs: Vec<Vec<f32>> = (0..3).map(|_| pair(&mut random)).collect();
        let turned: Vec<Vec<f32>> = pairs.iter().rev().cloned().collect();
        let z = |users: &[Vec<Vec<f32>>]| {
            let context = ContextBatch::new(users, N, &Device::Cpu).unwrap();
            net.known(&context, None).unwrap().z.to_vec2::<f32>().unwrap()
        };
        let alone = &z(std::slice::from_ref(&pairs))[0];
        let more: Vec<Vec<f32>> = (0..6).map(|_| pair(&mut random)).collect();
        let beside = z(&[turned, more, Vec::new()]);
        assert!(alone.iter().zip(&beside[0]).all(|(a, b)| (a - b).abs() < 1e-5));
        let nobody = net.parameters.get("nobody").to_vec2::<f32>().unwrap();
        assert_eq!(beside[2], nobody[0]);
        assert_eq!(z(&[Vec::new()])[0], nobody[0]);
    }

    #[test]
    fn the_loss_is_ln_2_for_equals_and_falls_with_the_margin() {
        let at = |chosen: f32, rejected: f32| {
            let tensor = |x: f32| Tensor::new(&[x], &Device::Cpu).unwrap();
            bradley_terry(&tensor(chosen), &tensor(rejected)).unwrap().to_scalar::<f32>().unwrap()
        };
        assert!((at(1.0, 1.0) - std::f32::consts::LN_2).abs() < 1e-6);
        assert!((at(3.0, 1.0) - (1.0 + (-2.0_f32).exp()).ln()).abs() < 1e-6);
        assert!((at(-80.0, 80.0) - 160.0).abs() < 1e-3);
    }
}
