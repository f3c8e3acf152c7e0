//! Methods of personalized text generation: one file per method, each readable as its paper's
//! algorithm.
//!
//! A method reads users, items and texts, puts fields into prompts and awaits the answers; it never
//! handles a tensor, a token id or a template. It reads the corpus through a
//! [`View`](crate::corpus::View), so that no held-out text can reach a prompt.
//!
//! The file of a method declares its `MethodSpec`: name, description, stages of its prompts, needs,
//! and the function that prepares the prompt of its last call. A line of the list below adds it to
//! [`Method::ALL`], and so to the command line, evaluations and the table of methods.

mod attribution;
mod completion;
mod context;
mod error;
mod generated;
mod live_attribution;
mod method;
mod negative_examples;
mod options;
mod peer_text;
mod phrase_source;
mod portable;
mod prepared;
mod retrieval;
mod reward;
mod run;
mod settings;
mod spec;
mod summaries;
#[cfg(test)]
mod tests;

/// Declares the modules of the methods and lists their specs. A line is `file: SPEC, ...;`.
macro_rules! methods {
    ($($file:ident: $($spec:ident),+;)+) => {
        $(mod $file;)+

        /// The methods by name.
        #[allow(missing_docs)]
        impl Method {
            $($(pub const $spec: Self = Self::of(&$file::$spec.info);)+)+

            /// All methods, the simpler ones first.
            pub const ALL: &[Self] = &[$($(Self::$spec),+),+];
        }

        static SPECS: &[&MethodSpec] = &[$($(&$file::$spec),+),+];
    };
}

methods! {
    non_perso: NON_PERSO;
    rag: RAG;
    scp: SCP;
    ccp: CCP;
    intsum: INTSUM;
    llm_trsr: LLM_TRSR_RECURRENT, LLM_TRSR_HIERARCHICAL;
    cicl: CICL;
    persona_db: PERSONA_DB;
    hyperalign: HYPERALIGN;
    dpl: DPL;
    drp: DRP;
    idiolect: IDIOLECT;
    interact: INTERACT;
    tiers: TIERS;
    fermi: FERMI;
    pad: PAD;
    pplug: PPLUG;
    reclora: RECLORA;
}

pub use attribution::{AlternativeToken, TokenAttribution};
pub use context::MethodInputs;
pub use dpl::{Profiled, profile};
pub use error::Error;
pub use fermi::{FermiGain, FermiPrompt, FermiSearch, fermi_gain, fermi_search};
pub use generated::Generated;
pub use idiolect::{
    CorpusStrengths, Extraction, Form, IdiolectOptions, LexicalOptions, RankedBy, Rule, Statements,
    Term, Texts, measured_differences, stated_profile,
};
pub use idiolect_metrics::Bm25;
pub use live_attribution::LiveAttribution;
pub use method::Method;
pub use options::{
    FermiOptimiser, FermiOptions, History, MethodOptions, PadOptions, PplugOptions, ProductMixture,
    RecloraOptions, SamplingOverrides, ScpOptions, TierPlace, TiersOptions,
};
pub use phrase_source::PhraseSource;
pub use portable::{PortableProfile, portable_bias, portable_profile};
pub use prepared::{Given, PreparedPrompt};
pub use reward::{AdapterKind, RewardError, TextReward};
pub use run::{stages, table};
pub use settings::SettingsError;

use context::{MethodContext, PastReview, ids};
use method::MethodInfo;
use spec::MethodSpec;

/// This module's `Result`.
pub type Result<T, E = Error> = std::result::Result<T, E>;
