//! Tests of adapters on synthetic authors, with a language model of a few thousand weights.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::sync::Arc;

use candle_core::Device;
use candle_core::quantized::GgmlDType;
use futures::executor::block_on;

use super::examples::{AdapterExample, draw_texts, read_examples};
use super::net::{AdapterNet, values_of};
use super::training::AdapterTraining;
use super::vectors::{TextVectors, UserVectors};
use super::*;
use crate::np::{StyleFeatures, StyleTexts};
use crate::{Checkpoints, TrainedParts, TrainingBudget, TrainingSettings, train};
use idiolect_core::corpus::{ForgetScope, Key, Store, Target, View};
use idiolect_core::methods::{
    AdapterKind, History, Method, MethodInputs, MethodOptions, TextReward,
};
use idiolect_core::task::Task;
use idiolect_engine::encoder::Encoder;
use idiolect_engine::encoder::testing::{other_tiny_encoder, tiny_encoder};
use idiolect_engine::lm::decoder::Twin;
use idiolect_engine::lm::tiny::Tiny;
use idiolect_engine::lm::{Lm, LoadOptions, Prompt, ScoreRequest, TextToScore};
use idiolect_engine::model::LmFiles;
use idiolect_engine::progress::Silent;
use idiolect_evaluate::synthetic::{World, WorldOptions};

const KINDS: [AdapterNetKind; 2] = [AdapterNetKind::Pplug, AdapterNetKind::Reclora];

struct Room {
    folder: tempfile::TempDir,
    lm: Lm,
    encoder: Encoder,
    store: Store,
    task: Task,
    options: MethodOptions,
}

impl Room {
    fn new(n_authors: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let gguf = folder.path().join("tiny.gguf");
        let tiny = Tiny { context: 8192, dtype: GgmlDType::F32, ..Tiny::new("llama") };
        std::fs::write(&gguf, tiny.bytes()).unwrap();
        let files = LmFiles { name: "tiny".into(), gguf, tokenizer: None, sha256: "0".repeat(64) };
        let lm = Lm::load(&files, &LoadOptions { threads: 1, ..LoadOptions::default() }).unwrap();
        let store = Store::in_memory().unwrap();
        let options =
            WorldOptions { n_authors, n_without_rules: 0, n_items: 10, n_reviews: 5, seed: 7 };
        World::new(&options).put(&store).unwrap();
        let task = Task::load(Task::DEFAULT).unwrap();
        let options = MethodOptions { max_tokens: Some(24), ..MethodOptions::of(&task) };
        Self { folder, lm, encoder: tiny_encoder(), store, task, options }
    }

    fn inputs<'a>(&'a self, view: &'a View<'a>) -> AdapterInputs<'a> {
        AdapterInputs {
            view,
            lm: &self.lm,
            encoder: Some(&self.encoder),
            task: &self.task,
            options: &self.options,
            progress: &Silent,
        }
    }

    fn train(&self, settings: &AdapterSettings) -> TrainedAdapter {
        let view = View::all(&self.store);
        block_on(train_adapter(&self.inputs(&view), &[], settings, &Device::Cpu)).unwrap()
    }

    fn parts(&self, trained: &TrainedAdapter) -> TrainedParts {
        let encoder = Some(Arc::new(tiny_encoder()));
        TrainedParts::default().with_adapter(trained.clone(), encoder).unwrap()
    }

    fn target(&self) -> Target {
        let user = "author-000";
        let own = self.store.history(user).unwrap();
        let item = self.store.item(&own[0].review.item).unwrap();
        Target { user: user.into(), item, rating: None, title: None, context: None }
    }

    fn method_inputs<'a>(&'a self, reward: Option<&'a dyn TextReward>) -> MethodInputs<'a> {
        let target = self.target();
        MethodInputs {
            view: View::all(&self.store).without_text(&target.user, &target.item.id).unwrap(),
            model: &self.lm,
            peers: None,
            reward,
            task: &self.task,
            progress: &Silent,
            held_out: &[],
        }
    }

    fn bits(&self, method: Method, options: &MethodOptions, reward: &dyn TextReward) -> f64 {
        let inputs = self.method_inputs(Some(reward));
        let target = self.target();
        let prepared = block_on(method.prepare(&inputs, &target, options)).unwrap();
        let score = block_on(prepared.score(&inputs, options, "It sings. It leaks twice."));
        score.unwrap().bits()
    }
}

/// Settings of few steps on few tokens.
fn short(kind: AdapterNetKind) -> AdapterSettings {
    let training = TrainingSettings {
        budget: TrainingBudget::Steps(6),
        warm_up: 1,
        learning_rate: 1e-2,
        validate_every: 3,
        ..AdapterSettings::of(kind).training
    };
    AdapterSettings {
        texts: 16,
        tokens: 8,
        prompt_tokens: 4096,
        n_soft: 2,
        n_products: 2,
        rank: 2,
        training,
        ..AdapterSettings::of(kind)
    }
}

fn method(kind: AdapterNetKind) -> Method {
    match kind {
        AdapterNetKind::Pplug => Method::PPLUG,
        AdapterNetKind::Reclora => Method::RECLORA,
    }
}

#[test]
fn what_was_trained_is_kept_serves_its_model_and_goes_with_its_users() {
    for kind in KINDS {
        let room = Room::new(8);
        let trained = room.train(&short(kind));
        assert!(trained.n_parameters() > 1000 && trained.training().steps == 6, "{kind:?}");
        // The same again is taken from the store, with the same values.
        let again = room.train(&short(kind));
        assert_eq!(again.training(), trained.training());
        let model = room.lm.fingerprint();
        let newest = |model: &str, unseen: &[_]| {
            TrainedAdapter::newest(&room.store, kind, model, unseen).unwrap()
        };
        let stored = newest(model, &[]).unwrap();
        let user = (&View::all(&room.store), "author-001", None);
        let which = match kind {
            AdapterNetKind::Pplug => AdapterKind::Pplug,
            AdapterNetKind::Reclora => AdapterKind::Reclora,
        };
        let of = |trained: &TrainedAdapter| {
            trained.of_user(which, user, Some(&room.encoder)).unwrap().key()
        };
        assert_eq!(of(&stored), of(&trained), "{kind:?}");
        assert!(newest("another", &[]).is_none());
        assert!(newest(model, &stored.sources()[..1]).is_none());
        // Another seed gives other values.
        let other = room.train(&AdapterSettings { seed: 5, ..short(kind) });
        assert_ne!(of(&other), of(&trained), "{kind:?}");
        room.store.forget(&stored.users()[0], &ForgetScope::User).unwrap();
        assert!(newest(model, &[]).is_none(), "{kind:?}");
    }
}

#[test]
fn the_method_reads_the_user_and_says_what_it_lacks() {
    for kind in KINDS {
        let room = Room::new(8);
        let method = method(kind);
        let target = room.target();
        let lacking = block_on(method.prepare(&room.method_inputs(None), &target, &room.options));
        let told = lacking.unwrap_err().to_string();
        assert!(told.contains(&format!("idiolect train {}", method.name())), "{told}");

        let trained = room.train(&short(kind));
        let parts = room.parts(&trained);
        let of = |history: History| {
            let options = MethodOptions { history, ..room.options.clone() };
            room.bits(method, &options, &parts)
        };
        let own = of(History::Own);
        let other = of(History::Of("author-001".to_owned()));
        let nobody = of(History::None);
        assert!(own != other && own != nobody, "{kind:?}: {own} {other} {nobody}");
        let plain = room.bits(Method::NON_PERSO, &room.options, &parts);
        assert_eq!(nobody, plain, "{kind:?}: nobody's adapter is none");
        // Past texts may stand in the prompt as well.
        let mut options = room.options.clone();
        options.set(&format!("{}.past", method.name()), "true").unwrap();
        let prepared =
            block_on(method.prepare(&room.method_inputs(Some(&parts)), &target, &options)).unwrap();
        assert!(!prepared.past.is_empty() && prepared.adapter.is_some());
    }
    // Mixed alike for everybody, products know nobody.
    let room = Room::new(8);
    let parts = room.parts(&room.train(&short(AdapterNetKind::Reclora)));
    let mut options = room.options.clone();
    options.set("reclora.gate", "uniform").unwrap();
    let own = room.bits(Method::RECLORA, &options, &parts);
    options.history = History::Of("author-001".to_owned());
    assert_eq!(room.bits(Method::RECLORA, &options, &parts), own);
}

#[test]
fn another_encoder_is_refused() {
    let room = Room::new(8);
    let trained = room.train(&short(AdapterNetKind::Pplug));
    assert!(trained.needs_encoder());
    let other =
        TrainedParts::default().with_adapter(trained.clone(), Some(Arc::new(other_tiny_encoder())));
    assert!(matches!(other, Err(crate::Error::Encoder { .. })));
    assert!(TrainedParts::default().with_adapter(trained, None).is_err());
    let view = View::all(&room.store);
    let inputs = AdapterInputs { encoder: None, ..room.inputs(&view) };
    let settings = short(AdapterNetKind::Pplug);
    let none = block_on(train_adapter(&inputs, &[], &settings, &Device::Cpu));
    assert!(matches!(none, Err(crate::Error::Encoder { .. })));
    let few = Room::new(3);
    let view = View::all(&few.store);
    let few = block_on(train_adapter(&few.inputs(&view), &[], &settings, &Device::Cpu));
    assert!(matches!(few, Err(crate::Error::TooLittle { .. })));
}

#[test]
fn a_loss_of_the_twin_is_that_of_the_engine() {
    for kind in KINDS {
        let room = Room::new(8);
        let settings = short(kind);
        let view = View::all(&room.store);
        let texts = StyleTexts::read(&view).unwrap();
        let everybody: BTreeSet<usize> = (0..texts.n_users()).collect();
        let drawn = draw_texts(&texts, &everybody, &settings);
        let features = StyleFeatures::fit(&texts.all_of(&everybody), true).unwrap();
        let encoder = (kind == AdapterNetKind::Pplug).then_some(&room.encoder);
        let vectors = TextVectors { features: &features, encoder };
        let examples =
            block_on(read_examples(&room.inputs(&view), &texts, &drawn, vectors, &settings))
                .unwrap();
        assert!(examples.len() > 8, "{}", examples.len());
        let asked: Vec<(Vec<u32>, Vec<u32>, UserVectors)> = examples
            .iter()
            .take(4)
            .map(|AdapterExample { prompt, text, own, .. }| {
                (prompt.clone(), text.clone(), own.clone())
            })
            .collect();
        let twin = Twin::open(room.lm.path(), &Device::Cpu).unwrap();
        let training =
            AdapterTraining::new(&twin, examples, vectors.n_values(), &settings).unwrap();
        // Other values than the first ones, of which some are 0.
        let n = training.net.parameters.n_values();
        let values: Vec<f32> = (0..n).map(|i| ((i * 37) % 101) as f32 / 500.0 - 0.1).collect();
        training.net.parameters.set(&values).unwrap();
        for (at, (prompt, text, own)) in asked.into_iter().enumerate() {
            let by_twin = training.losses(at, false).unwrap().0.to_scalar::<f32>().unwrap();
            let adapter = values_of(&training.net.adapter(&own, false).unwrap()).unwrap();
            let request = ScoreRequest {
                adapter: Some(Arc::new(adapter)),
                ..ScoreRequest::new(Prompt::Tokens(prompt), TextToScore::Tokens(text))
            };
            let score = block_on(room.lm.score(request)).unwrap().remove(0);
            let by_engine = -score.total() / score.tokens.len() as f64;
            assert!((f64::from(by_twin) - by_engine).abs() < 0.01, "{by_twin} {by_engine}");
        }
    }
}

/// Users who write one of two letters again and again; the first value of their vectors tells which.
fn crowd(n: usize, shuffled: bool) -> Vec<AdapterExample> {
    let vectors = |likes: usize, noise: usize| UserVectors {
        rows: vec![vec![2.0 * likes as f32 - 1.0, (noise % 7) as f32 / 7.0 - 0.5]],
        weights: vec![1.0],
    };
    let letters = [b'a', b'z'];
    (0..n)
        .map(|user| {
            let likes = user % 2;
            let told = if shuffled { user / 2 % 2 } else { likes };
            AdapterExample {
                user,
                prompt: vec![u32::from(b'>')],
                text: vec![u32::from(letters[likes]); 6],
                own: vectors(told, user),
                other: vectors(1 - told, user + 3),
            }
        })
        .collect()
}

#[test]
fn both_kinds_learn_whose_text_it_is_and_nothing_from_shuffled_owners() {
    let room = Room::new(4);
    let twin = Twin::open(room.lm.path(), &Device::Cpu).unwrap();
    for kind in KINDS {
        let lift = |shuffled: bool| {
            let training = TrainingSettings {
                budget: TrainingBudget::Steps(60),
                learning_rate: 2e-2,
                validate_every: 30,
                patience: 100,
                ..short(kind).training
            };
            let settings = AdapterSettings { training, margin: 1.0, ..short(kind) };
            let training = AdapterTraining::new(&twin, crowd(40, shuffled), 2, &settings).unwrap();
            let key = Key::of("crowd").finish();
            let store = Store::in_memory().unwrap();
            let checkpoints = Checkpoints { store: &store, key: &key, sources: &[] };
            train(&training, &settings.training, &checkpoints, (&Silent, "training")).unwrap();
            // Users who were in no training: the loss with another's adapter less that with the own.
            let unseen = AdapterTraining::new(&twin, crowd(8, false), 2, &settings).unwrap();
            let values = training.net.parameters.values().unwrap();
            unseen.net.parameters.set(&values).unwrap();
            let each = (0..8).map(|at| {
                let (own, other) = unseen.losses(at, true).unwrap();
                other.unwrap().to_scalar::<f32>().unwrap() - own.to_scalar::<f32>().unwrap()
            });
            each.sum::<f32>() / 8.0
        };
        let (own, shuffled) = (lift(false), lift(true));
        assert!(own > 0.2, "{kind:?}: {own}");
        assert!(shuffled.abs() < 0.3 * own, "{kind:?}: {shuffled} beside {own}");
    }
    drop(room.folder);
}

#[test]
fn the_first_products_change_nothing() {
    let room = Room::new(4);
    let twin = Twin::open(room.lm.path(), &Device::Cpu).unwrap();
    let settings = short(AdapterNetKind::Reclora);
    let of_model = (twin.adapter_shape(), 1.0);
    let net = AdapterNet::new(&settings, 2, of_model, &Device::Cpu).unwrap();
    let user = UserVectors { rows: vec![vec![1.0, -1.0]], weights: vec![1.0] };
    let loss = |adapter| twin.losses(&[62], &[97, 98], &adapter).unwrap().to_vec1::<f32>().unwrap();
    assert_eq!(loss(net.adapter(&user, false).unwrap()), loss(Default::default()));
}
