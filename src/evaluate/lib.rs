//! Evaluation of methods: how well generated texts match the user's real ones, and controls that
//! show whether personalization is the cause.
//!
//! A [`Plan`] chooses held-out texts of a split, wrong users for each of them, and pairs of users
//! who wrote about one item. [`run()`] takes each method over the plan; every answer and score is
//! stored, so that a run can be interrupted, or divided by [`Shard`] among machines. [`report`]
//! computes the requested metrics ([`MetricSet`]) with intervals and paired tests over users.
//!
//! Three controls separate personalization from properties of any good text: the gain over wrong
//! users' histories, the swap test (which of two texts belongs to which of two users), and
//! identification of the user among others. They compare style with measures that no method uses,
//! among them LambdaG, a measure of authorship.
//! The feature `testing` adds `synthetic`: users with known styles, on which the controls
//! themselves are tested.
//!
//! ```no_run
//! use idiolect_core::{corpus::Store, methods::{Method, MethodOptions}, task::Task};
//! use idiolect_engine::{lm::{Lm, LoadOptions}, model::catalog::{Catalog, default_models_dir}};
//! use idiolect_engine::progress::Silent;
//! use idiolect_evaluate::{EvalContext, MetricGroup, MetricSet, Plan, PlanOptions, Shard, run};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let catalog = Catalog::load(&default_models_dir()?)?;
//! let lm = Lm::load(&catalog.lm("smollm2-135m-instruct")?, &LoadOptions::default())?;
//! let store = Store::open_existing("idiolect.sqlite".as_ref())?;
//! let task = Task::load(Task::DEFAULT)?;
//! let options = PlanOptions {
//!     part: idiolect_core::corpus::split::SplitPart::Test,
//!     users: Some(60),
//!     wrong_users: 3,
//!     pairs: 0,
//!     peers_any_time: false,
//!     seed: 42,
//! };
//! let plan = Plan::new(&store, &store.split("default")?, &options, None)?;
//! let context = EvalContext {
//!     store: &store,
//!     model: &lm,
//!     judge: None,
//!     peers: None,
//!     reward: None,
//!     task: &task,
//!     options: &MethodOptions::of(&task),
//!     n_seeds: 1,
//!     score_limit: Some(200),
//!     metrics: &MetricSet::new(&[MetricGroup::Likelihood]),
//!     held_out: &plan.held_out(),
//! };
//! let methods = [Method::NON_PERSO, Method::RAG];
//! let results = run(&context, &plan, &methods, Shard::WHOLE, &Silent);
//! println!("{} methods", futures::executor::block_on(results)?.methods.len());
//! # Ok(())
//! # }
//! ```

mod announce;
#[cfg(test)]
mod authorship_tests;
mod best_of;
#[cfg(test)]
mod best_of_tests;
mod cases;
#[cfg(test)]
mod controls_tests;
mod encoder_space;
mod error;
mod fermi;
#[cfg(test)]
mod fermi_tests;
#[cfg(test)]
mod flow_tests;
mod identification;
mod interact;
#[cfg(test)]
mod interact_tests;
mod judge;
#[cfg(test)]
mod measured_tests;
mod metric_groups;
mod pairs;
mod per_user;
mod plan;
#[cfg(test)]
mod plan_tests;
pub mod report;
mod run;
mod seed;
mod swap;
#[cfg(any(test, feature = "testing"))]
pub mod synthetic;
mod tiers;
mod wrong_users;

pub use announce::announced;
pub use best_of::{BestOfEvaluation, BestOfMeasure, BestOfPick, evaluate_best_of};
pub use cases::EvalContext;
pub use error::Error;
pub use fermi::{FermiEvalOptions, FermiEvaluation, FermiFigure, FermiUser, evaluate_fermi};
pub use interact::{
    InteractCurves, InteractMemory, InteractOptions, InteractSummary, InteractTurn, InteractUser,
    interact_curves,
};
pub use judge::stages;
pub use metric_groups::{MetricGroup, MetricSet};
pub use plan::{Plan, PlanOptions};
pub use run::{MethodResults, PlanResults, Shard, run};
pub use tiers::{
    ContrastedTiers, PreferenceFigures, TierFigures, TierOptions, TierResult, evaluate_tiers,
};

/// This crate's `Result`.
pub type Result<T, E = Error> = std::result::Result<T, E>;
