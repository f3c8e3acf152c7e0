//! The loop of training: steps, validation, early stopping and checkpoints.

use std::time::Instant;

use candle_core::Tensor;
use idiolect_core::corpus::{Key, ReviewId, Store};
use idiolect_engine::progress::{Progress, ProgressStage};
use serde::{Deserialize, Serialize};

use crate::adamw::AdamW;
use crate::parameters::{from_base64, to_base64};
use crate::{Error, NetParameters, Result};

/// Something that can be trained. The same step of the same seed must give the same loss, whatever
/// was computed before, so that a training that was interrupted gives the same bytes.
pub trait Trainable {
    /// The parameters.
    fn parameters(&self) -> &NetParameters;
    /// Loss, a scalar, of the batch of a step, from 0.
    ///
    /// # Errors
    /// A tensor operation fails.
    fn loss(&self, step: u64) -> Result<Tensor>;
    /// Loss on data that no step sees; lower is better.
    ///
    /// # Errors
    /// A tensor operation fails.
    fn validation_loss(&self) -> Result<f64>;
}

/// End of a training.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TrainingBudget {
    /// Number of steps.
    Steps(u64),
    /// Minutes of computing, over all runs. The result then depends on the machine's speed.
    Minutes(f64),
}

/// Settings of a training.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct TrainingSettings {
    /// End of the training, if validation does not end it before.
    pub budget: TrainingBudget,
    /// Learning rate of AdamW.
    pub learning_rate: f64,
    /// Number of steps in which the learning rate rises from 0.
    pub warm_up: u64,
    /// Weight decay of AdamW.
    pub weight_decay: f64,
    /// Number of steps from one validation, and checkpoint, to the next.
    pub validate_every: u64,
    /// Number of validations in a row without a lower loss that end the training.
    pub patience: u64,
}

/// Place of the checkpoints of one training in a store. They are deleted with any of its sources.
pub struct Checkpoints<'a> {
    /// The store.
    pub store: &'a Store,
    /// Key of what is trained.
    pub key: &'a Key,
    /// Reviews that it is trained on.
    pub sources: &'a [ReviewId],
}

/// Kind of checkpoints in the store.
const KIND: &str = "training";

/// Result of a training.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainedValues {
    /// Values of the parameters at the step with the lowest validation loss.
    pub values: Vec<f32>,
    /// That step.
    pub best_step: u64,
    /// That loss.
    pub validation_loss: f64,
    /// Number of steps.
    pub steps: u64,
    /// Seconds of computing, over all runs.
    pub seconds: f64,
}

/// State of a training.
#[derive(Debug, Clone, PartialEq)]
struct TrainingState {
    step: u64,
    seconds: f64,
    values: Vec<f32>,
    optimizer: AdamW,
    best: Vec<f32>,
    best_step: u64,
    best_loss: f64,
    /// Validations in a row that were not better.
    n_worse: u64,
}

/// A [`TrainingState`] as it is stored.
#[derive(Serialize, Deserialize)]
struct StoredState {
    step: u64,
    seconds: f64,
    values: String,
    first: String,
    second: String,
    best: String,
    best_step: u64,
    best_loss: f64,
    n_worse: u64,
}

impl Checkpoints<'_> {
    fn load(&self) -> Result<Option<TrainingState>> {
        let Some(text) = self.store.derived(KIND, self.key)? else { return Ok(None) };
        // A checkpoint of another version is not continued.
        let Ok(stored) = serde_json::from_str::<StoredState>(&text) else { return Ok(None) };
        Ok(Some(TrainingState {
            step: stored.step,
            seconds: stored.seconds,
            values: from_base64(&stored.values)?,
            optimizer: AdamW {
                first: from_base64(&stored.first)?,
                second: from_base64(&stored.second)?,
            },
            best: from_base64(&stored.best)?,
            best_step: stored.best_step,
            best_loss: stored.best_loss,
            n_worse: stored.n_worse,
        }))
    }

    fn save(&self, state: &TrainingState) -> Result<()> {
        let stored = StoredState {
            step: state.step,
            seconds: state.seconds,
            values: to_base64(&state.values),
            first: to_base64(&state.optimizer.first),
            second: to_base64(&state.optimizer.second),
            best: to_base64(&state.best),
            best_step: state.best_step,
            best_loss: state.best_loss,
            n_worse: state.n_worse,
        };
        let text = serde_json::to_string(&stored).unwrap_or_default();
        Ok(self.store.put_derived(KIND, self.key, &text, self.sources)?)
    }

    /// Deletes the checkpoint, after what was trained is stored.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn remove(&self) -> Result<()> {
        Ok(self.store.remove_derived(KIND, self.key)?)
    }
}

/// Trains from the last checkpoint, or from the start, to the end of the budget, or until validation
/// stops improving. A checkpoint is stored at each validation; an interrupted call loses the steps
/// after the last one, and the next call gives the same bytes as an uninterrupted one, unless the
/// budget is in minutes. The parameters end with the best values.
///
/// # Errors
/// [`Error::Stopped`] if a stop is requested; [`Error::Diverged`]; or the store or the net fails.
pub fn train(
    trained: &dyn Trainable,
    settings: &TrainingSettings,
    checkpoints: &Checkpoints<'_>,
    (progress, what): (&dyn Progress, &str),
) -> Result<TrainedValues> {
    let parameters = trained.parameters();
    let mut state = match checkpoints.load()? {
        Some(state) => state,
        None => {
            let values = parameters.values()?;
            let optimizer = AdamW::new(values.len());
            let best = values.clone();
            let (step, best_step, n_worse, best_loss) = (0, 0, 0, trained.validation_loss()?);
            let seconds = 0.0;
            TrainingState { step, seconds, values, optimizer, best, best_step, best_loss, n_worse }
        }
    };
    parameters.set(&state.values)?;
    let total = match settings.budget {
        TrainingBudget::Steps(steps) => Some(steps),
        TrainingBudget::Minutes(_) => None,
    };
    let stage = ProgressStage::begin(progress, what, total);
    stage.advance(state.step);
    let (began, before) = (Instant::now(), state.seconds);
    let mut stored = state.step;
    while !is_over(settings, &state) {
        if stage.stop_requested() {
            return Err(Error::Stopped);
        }
        let loss = trained.loss(state.step)?;
        let value = loss.to_scalar::<f32>()?;
        if !value.is_finite() {
            return Err(Error::Diverged { step: state.step, loss: value });
        }
        let gradients = loss.backward()?;
        let warm = (state.step + 1) as f64 / settings.warm_up.max(1) as f64;
        let rates = (settings.learning_rate * warm.min(1.0), settings.weight_decay);
        state.optimizer.step(parameters, &gradients, state.step, rates)?;
        state.step += 1;
        state.seconds = before + began.elapsed().as_secs_f64();
        let ends = total == Some(state.step) || is_over(settings, &state);
        if state.step.is_multiple_of(settings.validate_every.max(1)) || ends {
            state.values = parameters.values()?;
            validated(&mut state, trained.validation_loss()?);
            checkpoints.save(&state)?;
            stage.advance(state.step - stored);
            stored = state.step;
        }
    }
    parameters.set(&state.best)?;
    Ok(TrainedValues {
        values: state.best,
        best_step: state.best_step,
        validation_loss: state.best_loss,
        steps: state.step,
        seconds: state.seconds,
    })
}

/// Keeps the values of a state if their validation loss is the lowest so far.
fn validated(state: &mut TrainingState, loss: f64) {
    if loss < state.best_loss {
        state.best.clone_from(&state.values);
        (state.best_loss, state.best_step, state.n_worse) = (loss, state.step, 0);
    } else {
        state.n_worse += 1;
    }
}

fn is_over(settings: &TrainingSettings, state: &TrainingState) -> bool {
    let spent = match settings.budget {
        TrainingBudget::Steps(steps) => state.step >= steps,
        TrainingBudget::Minutes(minutes) => state.seconds >= 60.0 * minutes,
    };
    spent || state.n_worse >= settings.patience.max(1)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::cell::Cell;

    use super::*;
    use crate::ParameterSpec;
    use candle_core::Device;
    use idiolect_engine::progress::Silent;

    /// Fits a vector to a noisy one; fails at a given step.
    struct Fit {
        parameters: NetParameters,
        fails_at: u64,
        n_steps: Cell<u64>,
    }

    impl Fit {
        fn new(fails_at: u64) -> Self {
            let specs = vec![ParameterSpec::weight("w", 16, 1)];
            let parameters = NetParameters::new(specs, 3, &Device::Cpu).unwrap();
            Self { parameters, fails_at, n_steps: Cell::new(0) }
        }

        fn to(&self, aim: &[f32]) -> Result<Tensor> {
            let aim = Tensor::from_slice(aim, (16, 1), &Device::Cpu)?;
            Ok((self.parameters.get("w") - aim)?.sqr()?.mean_all()?)
        }
    }

    impl Trainable for Fit {
        fn parameters(&self) -> &NetParameters {
            &self.parameters
        }

        fn loss(&self, step: u64) -> Result<Tensor> {
            if step == self.fails_at {
                return Err(Error::Stopped);
            }
            self.n_steps.set(self.n_steps.get() + 1);
            let noise = |i: u64| ((step * 31 + i * 17) % 11) as f32 / 11.0 - 0.5;
            self.to(&(0..16).map(|i| 1.0 + noise(i)).collect::<Vec<f32>>())
        }

        fn validation_loss(&self) -> Result<f64> {
            Ok(f64::from(self.to(&[1.0; 16])?.to_scalar::<f32>()?))
        }
    }

    const SETTINGS: TrainingSettings = TrainingSettings {
        budget: TrainingBudget::Steps(205),
        learning_rate: 0.01,
        warm_up: 10,
        weight_decay: 0.0,
        validate_every: 20,
        patience: 100,
    };

    fn run(store: &Store, fit: &Fit, settings: &TrainingSettings) -> Result<TrainedValues> {
        let key = Key::of("fit").finish();
        let checkpoints = Checkpoints { store, key: &key, sources: &[] };
        train(fit, settings, &checkpoints, (&Silent, "fitting"))
    }

    #[test]
    fn an_interrupted_training_gives_the_bytes_of_an_uninterrupted_one() {
        let whole = Store::in_memory().unwrap();
        let once = run(&whole, &Fit::new(u64::MAX), &SETTINGS).unwrap();
        assert_eq!(once.steps, 205);
        assert!(once.validation_loss < 0.01, "{once:?}");
        for fails_at in [1, 19, 20, 57, 204] {
            let store = Store::in_memory().unwrap();
            assert!(run(&store, &Fit::new(fails_at), &SETTINGS).is_err());
            let rest = Fit::new(u64::MAX);
            let again = run(&store, &rest, &SETTINGS).unwrap();
            assert_eq!(rest.n_steps.get(), 205 - fails_at / 20 * 20);
            assert_eq!(again.values, once.values, "after a stop at {fails_at}");
            assert_eq!((again.best_step, again.steps), (once.best_step, once.steps));
            // What is over stays as it is.
            let over = Fit::new(0);
            assert_eq!(run(&store, &over, &SETTINGS).unwrap().values, once.values);
            assert_eq!(over.parameters.values().unwrap(), once.values);
        }
    }

    #[test]
    fn validation_without_progress_ends_the_training() {
        let settings = TrainingSettings { learning_rate: 0.0, patience: 4, ..SETTINGS };
        let store = Store::in_memory().unwrap();
        let trained = run(&store, &Fit::new(u64::MAX), &settings).unwrap();
        assert_eq!((trained.steps, trained.best_step), (80, 0));
    }

    #[test]
    fn minutes_end_a_training_and_a_stop_is_heard() {
        let settings = TrainingSettings { budget: TrainingBudget::Minutes(0.0), ..SETTINGS };
        let store = Store::in_memory().unwrap();
        assert_eq!(run(&store, &Fit::new(u64::MAX), &settings).unwrap().steps, 0);

        struct Stop;
        impl Progress for Stop {
            fn begin(&self, _: &str, _: Option<u64>) {}
            fn advance(&self, _: u64) {}
            fn end(&self) {}
            fn stop_requested(&self) -> bool {
                true
            }
        }
        let key = Key::of("fit").finish();
        let checkpoints = Checkpoints { store: &store, key: &key, sources: &[] };
        let fit = Fit::new(u64::MAX);
        let stopped = train(&fit, &SETTINGS, &checkpoints, (&Stop, "fitting"));
        assert!(matches!(stopped, Err(Error::Stopped)));
    }
}
