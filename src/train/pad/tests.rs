//! Tests of token rewards on synthetic authors, with a language model of a few thousand weights.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use candle_core::Tensor;
use futures::executor::block_on;

use super::head::PAD as PAD_KIND;
use super::*;
use crate::np::{NpSettings, train_head};
use crate::{TrainedParts, TrainingBudget, TrainingSettings};
use idiolect_core::corpus::{ForgetScope, Key, Store, Target, View};
use idiolect_core::methods::{Method, MethodInputs, MethodOptions, TextReward};
use idiolect_core::task::Task;
use idiolect_engine::lm::tiny::Tiny;
use idiolect_engine::lm::{Lm, LoadOptions};
use idiolect_engine::model::LmFiles;
use idiolect_engine::progress::Silent;
use idiolect_evaluate::synthetic::{World, WorldOptions};

struct Room {
    _folder: tempfile::TempDir,
    lm: Lm,
    head: Tensor,
    store: Store,
    task: Task,
    options: MethodOptions,
}

fn load(gguf: &Path) -> Lm {
    let files = LmFiles {
        name: "tiny".into(),
        gguf: gguf.to_owned(),
        tokenizer: None,
        sha256: "0".repeat(64),
    };
    Lm::load(&files, &LoadOptions { threads: 1, ..LoadOptions::default() }).unwrap()
}

impl Room {
    fn new(n_authors: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let gguf = folder.path().join("tiny.gguf");
        std::fs::write(&gguf, Tiny { context: 8192, ..Tiny::new("llama") }.bytes()).unwrap();
        let lm = load(&gguf);
        let store = Store::in_memory().unwrap();
        let options =
            WorldOptions { n_authors, n_without_rules: 0, n_items: 10, n_reviews: 7, seed: 7 };
        World::new(&options).put(&store).unwrap();
        let task = Task::load(Task::DEFAULT).unwrap();
        let options = MethodOptions { max_tokens: Some(24), ..MethodOptions::of(&task) };
        let head = lm.output_head().unwrap();
        Self { _folder: folder, lm, head, store, task, options }
    }

    fn inputs<'a>(&'a self, view: &'a View<'a>) -> PadInputs<'a> {
        PadInputs {
            view,
            model: &self.lm,
            output_head: &self.head,
            task: &self.task,
            options: &self.options,
            progress: &Silent,
        }
    }

    fn write(&self, method: Method, weight: f32, reward: Option<&dyn TextReward>) -> String {
        let user = "author-000";
        let own = self.store.history(user).unwrap();
        let item = self.store.item(&own[0].review.item).unwrap();
        let view = View::all(&self.store).without_text(user, &item.id).unwrap();
        let target = Target { user: user.into(), item, rating: None, title: None, context: None };
        let inputs = MethodInputs {
            view,
            model: &self.lm,
            peers: None,
            reward,
            task: &self.task,
            progress: &Silent,
            held_out: &[],
        };
        let mut options = self.options.clone();
        options.pad.weight = weight;
        block_on(method.write(&inputs, &target, &options, None)).unwrap().text
    }
}

fn short() -> PadSettings {
    let training = TrainingSettings {
        budget: TrainingBudget::Steps(40),
        learning_rate: 1e-2,
        ..PadSettings::default().training
    };
    PadSettings {
        pairs: 60,
        n_past: 2,
        tokens: 24,
        kept: 32,
        rank: 4,
        training,
        ..PadSettings::default()
    }
}

#[test]
fn weight_0_writes_the_bytes_of_scp_and_a_reward_changes_them() {
    let room = Room::new(24);
    let view = View::all(&room.store);
    let head = block_on(train_pad(&room.inputs(&view), &[], None, &short())).unwrap();
    let reward = TrainedParts::new(None, Some((head, &room.head))).unwrap();
    let scp = room.write(Method::SCP, 0.0, None);
    assert_eq!(room.write(Method::PAD, 0.0, None), scp);
    assert_eq!(room.write(Method::PAD, 0.0, Some(&reward)), scp);
    assert_ne!(room.write(Method::PAD, 20.0, Some(&reward)), scp);
    // The store has it, and the same training again reads nothing.
    let stored = PadHead::newest(&room.store, room.lm.fingerprint(), &[]).unwrap().unwrap();
    let again = block_on(train_pad(&room.inputs(&view), &[], None, &short())).unwrap();
    assert_eq!(again.training(), stored.training());
    assert_eq!(again.sources(), stored.sources());
    assert!(room.store.derived_values("pad-trace").unwrap().is_empty());
    // It belongs to this language model, and to nobody who was in the training.
    assert!(PadHead::newest(&room.store, "another", &[]).unwrap().is_none());
    assert!(
        PadHead::newest(&room.store, room.lm.fingerprint(), stored.sources()).unwrap().is_none()
    );
    // Forgetting a user deletes it.
    room.store.forget(&stored.users()[0], &ForgetScope::User).unwrap();
    assert!(PadHead::newest(&room.store, room.lm.fingerprint(), &[]).unwrap().is_none());
}

#[test]
fn without_a_reward_the_method_says_what_to_do() {
    let room = Room::new(6);
    let user = "author-000";
    let own = room.store.history(user).unwrap();
    let item = room.store.item(&own[0].review.item).unwrap();
    let target = Target { user: user.into(), item, rating: None, title: None, context: None };
    let inputs = MethodInputs {
        view: View::all(&room.store),
        model: &room.lm,
        peers: None,
        reward: None,
        task: &room.task,
        progress: &Silent,
        held_out: &[],
    };
    let error = block_on(Method::PAD.prepare(&inputs, &target, &room.options)).unwrap_err();
    assert!(error.to_string().contains("idiolect train pad"), "{error}");
}

#[test]
fn a_gated_reward_differs_by_user_and_reads_back() {
    let room = Room::new(40);
    let view = View::all(&room.store);
    let np = NpSettings {
        training: TrainingSettings {
            budget: TrainingBudget::Steps(20),
            ..NpSettings::default().training
        },
        ..NpSettings::default()
    };
    let np = train_head(&view, &[], &np, &Silent).unwrap();
    let settings = PadSettings { gated: true, ..short() };
    let head = block_on(train_pad(&room.inputs(&view), &[], Some(&np), &settings)).unwrap();
    // The map of a model of random weights may stay as it began.
    let n = head.n_parameters();
    let values: Vec<f32> = (0..n).map(|at| ((at * 37) % 101) as f32 / 50.0 - 1.0).collect();
    head.net.parameters.set(&values).unwrap();
    let key = Key::of("changed").finish();
    head.store(&room.store, PAD_KIND, &key).unwrap();
    let stored = PadHead::newest(&room.store, room.lm.fingerprint(), &[]).unwrap().unwrap();
    assert_eq!(stored.net.parameters.values().unwrap(), values);
    let [made, read] =
        [head, stored].map(|head| TrainedParts::new(None, Some((head, &room.head))).unwrap());
    let of = |reward: &TrainedParts, user: &str| reward.token_reward(&view, user).unwrap().unwrap();
    assert_eq!(of(&made, "author-001"), of(&read, "author-001"));
    assert_ne!(of(&made, "author-001").hash(), of(&made, "author-002").hash());
}

#[test]
fn the_evaluation_has_its_controls_and_is_kept() {
    let room = Room::new(60);
    let view = View::all(&room.store);
    let options = PadEvaluationOptions { users: 20, seed: 3 };
    let np = NpSettings {
        training: TrainingSettings {
            budget: TrainingBudget::Steps(60),
            learning_rate: 2e-3,
            ..NpSettings::default().training
        },
        ..NpSettings::default()
    };
    let run = || block_on(evaluate_pad(&room.inputs(&view), &options, (&short(), &np))).unwrap();
    let evaluation = run();
    assert_eq!((evaluation.users, evaluation.rows.len()), (20, 4));
    for row in &evaluation.rows {
        assert!((0.0..=1.0).contains(&row.own.share), "{row:?}");
        assert_eq!(row.wrong.is_some(), row.name.starts_with("gated"), "{row:?}");
        if row.name.ends_with("shuffled") {
            assert!((row.own.share - 0.5).abs() < 0.2, "{row:?}");
        }
    }
    // The same again reads and trains nothing.
    assert_eq!(run(), evaluation);
}
