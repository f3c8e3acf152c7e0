//! AdamW (Loshchilov and Hutter, "Decoupled weight decay regularization", 2019, algorithm 2), with
//! moments that can be stored.

use candle_core::backprop::GradStore;

use crate::{NetParameters, Result};

const BETA1: f32 = 0.9;
const BETA2: f32 = 0.999;
const EPSILON: f32 = 1e-8;

/// Moments of all parameters, in the order of [`NetParameters::values`].
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct AdamW {
    pub(crate) first: Vec<f32>,
    pub(crate) second: Vec<f32>,
}

impl AdamW {
    pub(crate) fn new(n_values: usize) -> Self {
        Self { first: vec![0.0; n_values], second: vec![0.0; n_values] }
    }

    /// Step number `step`, from 0, with the gradients of a loss. A parameter that the loss does not
    /// depend on has the gradient 0.
    pub(crate) fn step(
        &mut self,
        parameters: &NetParameters,
        gradients: &GradStore,
        step: u64,
        (learning_rate, weight_decay): (f64, f64),
    ) -> Result<()> {
        let mut values = parameters.values()?;
        let mut at = 0;
        let t = (step + 1).min(i32::MAX as u64) as i32;
        let unbiased = |beta: f32| 1.0 - beta.powi(t);
        let (scale1, scale2) = (1.0 / unbiased(BETA1), 1.0 / unbiased(BETA2));
        let (rate, decay) = (learning_rate as f32, (learning_rate * weight_decay) as f32);
        for var in parameters.vars() {
            let n = var.elem_count();
            let range = at..at + n;
            at += n;
            let gradient = match gradients.get(var) {
                Some(gradient) => gradient.flatten_all()?.to_vec1::<f32>()?,
                None => vec![0.0; n],
            };
            let moments = self.first[range.clone()].iter_mut().zip(&mut self.second[range.clone()]);
            for ((value, gradient), (first, second)) in
                values[range].iter_mut().zip(gradient).zip(moments)
            {
                *first = BETA1 * *first + (1.0 - BETA1) * gradient;
                *second = BETA2 * *second + (1.0 - BETA2) * gradient * gradient;
                let toward = *first * scale1 / ((*second * scale2).sqrt() + EPSILON);
                *value -= rate * toward + decay * *value;
            }
        }
        parameters.set(&values)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::ParameterSpec;
    use candle_core::Device;

    #[test]
    fn a_square_is_minimized() {
        let specs = vec![ParameterSpec::weight("w", 3, 1)];
        let parameters = NetParameters::new(specs, 5, &Device::Cpu).unwrap();
        let mut optimizer = AdamW::new(3);
        let aim = candle_core::Tensor::new(&[[1.0f32], [-2.0], [0.5]], &Device::Cpu).unwrap();
        for step in 0..600 {
            let off = (parameters.get("w") - &aim).unwrap();
            let gradients = off.sqr().unwrap().sum_all().unwrap().backward().unwrap();
            optimizer.step(&parameters, &gradients, step, (0.02, 0.0)).unwrap();
        }
        let values = parameters.values().unwrap();
        let off = values.iter().zip([1.0, -2.0, 0.5]).map(|(a, b)| (a - b).abs());
        assert!(off.fold(0.0, f32::max) < 1e-2, "{values:?}");
    }

    #[test]
    fn the_first_step_has_the_learning_rates_length_and_decay_pulls_to_zero() {
        let specs = vec![ParameterSpec::weight("w", 1, 1)];
        let parameters = NetParameters::new(specs, 5, &Device::Cpu).unwrap();
        parameters.set(&[2.0]).unwrap();
        let gradients =
            parameters.get("w").affine(3.0, 0.0).unwrap().sum_all().unwrap().backward().unwrap();
        AdamW::new(1).step(&parameters, &gradients, 0, (0.1, 0.5)).unwrap();
        // 2 - 0.1 - 0.1 * 0.5 * 2
        assert!((parameters.values().unwrap()[0] - 1.8).abs() < 1e-6);
    }
}
