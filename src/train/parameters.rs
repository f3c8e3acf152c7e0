//! NetParameters of a net, and their bytes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use candle_core::{Device, Shape, Tensor, Var};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::{Error, Result};

/// Name, shape and first values of a parameter.
#[derive(Debug, Clone)]
pub struct ParameterSpec {
    /// Name, unique in the net.
    pub name: &'static str,
    /// Sizes of its dimensions.
    pub shape: Vec<usize>,
    /// First values.
    pub start: ParameterStart,
}

/// First values of a parameter.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ParameterStart {
    /// All zero.
    Zeros,
    /// Uniform in `-a..a`.
    Uniform(f32),
}

impl ParameterSpec {
    /// Weight `[n_in, n_out]` of a linear map, uniform within `1/sqrt(n_in)`.
    #[must_use]
    pub fn weight(name: &'static str, n_in: usize, n_out: usize) -> Self {
        let bound = 1.0 / (n_in as f32).sqrt();
        Self { name, shape: vec![n_in, n_out], start: ParameterStart::Uniform(bound) }
    }

    /// Bias `[n]`, all zero.
    #[must_use]
    pub fn bias(name: &'static str, n: usize) -> Self {
        Self { name, shape: vec![n], start: ParameterStart::Zeros }
    }
}

/// Parameters of a net in a fixed order, f32, on one device.
#[derive(Debug, Clone)]
pub struct NetParameters {
    specs: Vec<ParameterSpec>,
    vars: Vec<Var>,
}

impl NetParameters {
    /// Makes the parameters with the first values that `seed` draws.
    ///
    /// # Errors
    /// The device has no memory for them.
    pub fn new(specs: Vec<ParameterSpec>, seed: u64, device: &Device) -> Result<Self> {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut vars = Vec::with_capacity(specs.len());
        for spec in &specs {
            let n: usize = spec.shape.iter().product();
            let values: Vec<f32> = match spec.start {
                ParameterStart::Zeros => vec![0.0; n],
                ParameterStart::Uniform(a) => {
                    (0..n).map(|_| (2.0 * random.random::<f32>() - 1.0) * a).collect()
                }
            };
            let shape = Shape::from(spec.shape.as_slice());
            vars.push(Var::from_tensor(&Tensor::from_vec(values, shape, device)?)?);
        }
        Ok(Self { specs, vars })
    }

    /// The parameter with this name.
    ///
    /// # Panics
    /// If the net has no such parameter.
    #[must_use]
    pub fn get(&self, name: &str) -> &Tensor {
        let at = self.specs.iter().position(|spec| spec.name == name);
        let at = at.unwrap_or_else(|| panic!("the net has no parameter `{name}`"));
        self.vars[at].as_tensor()
    }

    /// All parameters, in their order.
    #[must_use]
    pub fn vars(&self) -> &[Var] {
        &self.vars
    }

    /// Number of values of all parameters.
    #[must_use]
    pub fn n_values(&self) -> usize {
        self.specs.iter().map(|spec| spec.shape.iter().product::<usize>()).sum()
    }

    /// All values, parameter by parameter, each in row-major order.
    ///
    /// # Errors
    /// The device fails.
    pub fn values(&self) -> Result<Vec<f32>> {
        let mut values = Vec::with_capacity(self.n_values());
        for var in &self.vars {
            values.extend(var.as_tensor().flatten_all()?.to_vec1::<f32>()?);
        }
        Ok(values)
    }

    /// Sets all values, in the order of [`NetParameters::values`].
    ///
    /// # Errors
    /// [`Error::Stored`] if their number is another.
    pub fn set(&self, values: &[f32]) -> Result<()> {
        if values.len() != self.n_values() {
            let (got, expected) = (values.len().to_string(), self.n_values().to_string());
            return Err(Error::Stored { what: "number of parameters", got, expected });
        }
        let mut rest = values;
        for (spec, var) in self.specs.iter().zip(&self.vars) {
            let (own, after) = rest.split_at(spec.shape.iter().product());
            rest = after;
            let shape = Shape::from(spec.shape.as_slice());
            var.set(&Tensor::from_slice(own, shape, var.device())?)?;
        }
        Ok(())
    }
}

/// Values as text: base64 of their little-endian bytes.
#[must_use]
pub fn to_base64(values: &[f32]) -> String {
    let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    STANDARD.encode(bytes)
}

/// Values of a text that [`to_base64`] made.
///
/// # Errors
/// [`Error::Stored`] if it is another text.
pub fn from_base64(text: &str) -> Result<Vec<f32>> {
    let fail = |got: String| Error::Stored {
        what: "numbers",
        got,
        expected: "base64 of four bytes each".to_owned(),
    };
    let bytes = STANDARD.decode(text).map_err(|error| fail(error.to_string()))?;
    let (values, rest) = bytes.as_chunks::<4>();
    match rest.is_empty() {
        true => Ok(values.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()),
        false => Err(fail(format!("{} bytes", bytes.len()))),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn values_are_those_of_the_seed_and_can_be_set() {
        let specs = || vec![ParameterSpec::weight("w", 4, 3), ParameterSpec::bias("b", 3)];
        let made = |seed| NetParameters::new(specs(), seed, &Device::Cpu).unwrap();
        let (one, other) = (made(1), made(2));
        let values = one.values().unwrap();
        assert_eq!(values, made(1).values().unwrap());
        assert_ne!(values, other.values().unwrap());
        assert!(values[..12].iter().all(|x| x.abs() <= 0.5) && values[12..] == [0.0; 3]);
        other.set(&values).unwrap();
        assert_eq!(other.values().unwrap(), values);
        assert_eq!(one.get("w").dims(), [4, 3]);
        assert!(other.set(&values[1..]).is_err());
        assert_eq!(from_base64(&to_base64(&values)).unwrap(), values);
        assert!(from_base64("AAA").is_err() && from_base64("AAAA").is_err());
    }
}
