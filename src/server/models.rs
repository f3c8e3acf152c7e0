//! The models that a server answers with.

use std::path::PathBuf;
use std::sync::Arc;

use idiolect_core::methods::MethodOptions;
use idiolect_core::task::Task;
use idiolect_engine::encoder::Encoder;
use idiolect_engine::lm::Lm;

/// The models, the store and the settings that a server answers with.
pub struct ServedModels {
    /// Language model.
    pub lm: Lm,
    /// Sentence encoder; without it there are no embeddings and no methods that compare users.
    pub encoder: Option<Arc<Encoder>>,
    /// Personal models; `None` serves the plain model only.
    pub personal: Option<PersonalSettings>,
}

/// The store, task and settings of personal models.
pub struct PersonalSettings {
    /// File of the store. Each request opens it.
    pub store: PathBuf,
    /// The task: what is written, and the prompts for it.
    pub task: Task,
    /// Settings of the methods, which a request's own fields replace.
    pub options: MethodOptions,
}

impl ServedModels {
    /// A language model alone.
    #[must_use]
    pub fn new(lm: Lm) -> Self {
        Self { lm, encoder: None, personal: None }
    }
}
