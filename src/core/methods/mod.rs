//! One file per method, each readable as its paper's algorithm.
//!
//! A method reads users, items and texts, puts fields into prompts and awaits the answers; it never
//! handles a tensor, a token id or a template. It reads the corpus through a
//! [`View`](crate::corpus::View), so that no held-out text can reach a prompt.

mod ccp;
mod cicl;
mod contrast;
mod dpl;
mod drp;
mod error;
mod hyperalign;
mod idiolect;
mod intsum;
mod llm_trsr;
mod material;
mod non_perso;
mod options;
mod persona_db;
mod prepared;
mod rag;
mod scp;
mod select;
#[cfg(test)]
mod tests;
mod told;
mod why;
mod written;

pub use dpl::{Profiled, profile};
pub use error::Error;
pub use idiolect::{
    Extraction, Form, IdiolectOptions, LexicalOptions, Statements, Texts, measured_differences,
    stated_profile,
};
pub use idiolect_metrics::Bm25;
pub use material::Material;
pub use options::{History, Options, SamplingOverrides};
pub use prepared::{Given, Prepared};
pub use why::Reason;
pub use written::Written;

use serde::Serialize;

use crate::client::OnText;
use crate::corpus::Target;
use crate::task::Stage;
use material::{Past, ids};

/// This module's `Result`.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A method of personalized text generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// From the item alone, without anything of the user.
    NonPerso,
    /// From the user's past texts on the most similar items, in one prompt.
    Rag,
    /// From a conversation in which the user's past texts are the assistant's answers.
    Scp,
    /// As [`Method::Scp`], with a wrong answer that is rejected before each text.
    Ccp,
    /// From past texts and a summary of everything the user wrote.
    Intsum,
    /// From past texts and a summary that is updated block by block.
    LlmTrsrRecurrent,
    /// From past texts and a summary of the summaries of blocks.
    LlmTrsrHierarchical,
    /// From past texts paired with others' on the same items, and an analysis of what separates
    /// them.
    Cicl,
    /// From past texts, a structured persona, and the personas of near users.
    PersonaDb,
    /// From past texts and hypotheses about the writer.
    Hyperalign,
    /// From past texts and a profile of what sets the user apart from others.
    Dpl,
    /// As [`Method::Dpl`], with further dimensions that the model proposes and then validates.
    Drp,
    /// As [`Method::Scp`], with the user's difference from others applied to the logits.
    Idiolect,
}

impl Method {
    /// All methods, the simpler ones first.
    pub const ALL: [Self; 13] = [
        Self::NonPerso,
        Self::Rag,
        Self::Scp,
        Self::Ccp,
        Self::Intsum,
        Self::LlmTrsrRecurrent,
        Self::LlmTrsrHierarchical,
        Self::Cicl,
        Self::PersonaDb,
        Self::Hyperalign,
        Self::Dpl,
        Self::Drp,
        Self::Idiolect,
    ];

    /// Name on the command line and in results.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::NonPerso => "non-perso",
            Self::Rag => "rag",
            Self::Scp => "scp",
            Self::Ccp => "ccp",
            Self::Intsum => "intsum",
            Self::LlmTrsrRecurrent => "llm-trsr-recurrent",
            Self::LlmTrsrHierarchical => "llm-trsr-hierarchical",
            Self::Cicl => "cicl",
            Self::PersonaDb => "persona-db",
            Self::Hyperalign => "hyperalign",
            Self::Dpl => "dpl",
            Self::Drp => "drp",
            Self::Idiolect => "idiolect",
        }
    }

    /// Returns the method with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|method| method.name() == name)
    }

    /// The stage of its last call.
    #[must_use]
    pub fn stage(self) -> Stage {
        match self {
            Self::NonPerso => Stage::NonPerso,
            Self::Rag => Stage::Rag,
            Self::Scp => Stage::Scp,
            Self::Idiolect => Stage::Idiolect,
            Self::Ccp => Stage::Ccp,
            Self::Cicl => Stage::Cicl,
            Self::PersonaDb => Stage::PersonaDb,
            Self::Hyperalign => Stage::Hyperalign,
            Self::Intsum | Self::LlmTrsrRecurrent | Self::LlmTrsrHierarchical => Stage::Generation,
            Self::Dpl | Self::Drp => Stage::Generation,
        }
    }

    /// Whether it extracts differences between the user and representatives.
    #[must_use]
    pub fn tells_differences(self) -> bool {
        matches!(self, Self::Dpl | Self::Drp)
    }

    /// Whether it compares the user with peers, and so needs a sentence encoder.
    #[must_use]
    pub fn needs_peers(self, options: &Options) -> bool {
        match self {
            Self::Ccp | Self::Cicl | Self::PersonaDb => true,
            Self::Idiolect => options.idiolect.needs_peers(),
            _ => self.tells_differences(),
        }
    }

    /// Does everything before the last call: retrieval, differences, summaries.
    ///
    /// # Errors
    /// [`Error::NoHistory`] if the method needs past texts and the view shows none; otherwise an
    /// error of the store, the encoder or the language model.
    pub async fn prepare(
        self,
        material: &Material<'_>,
        target: &Target,
        options: &Options,
    ) -> Result<Prepared> {
        let task = options.task(material.task)?;
        let view = options.seen(&material.view, target)?;
        let material = &Material { task: &task, view, ..*material };
        // DPL and DRP report two stages of progress themselves: differences and summary.
        let at_once = !self.tells_differences();
        if at_once {
            material.progress.begin("preparing", None);
        }
        let prepared = match self {
            Self::NonPerso => Ok(non_perso::prepare(target)),
            Self::Rag => rag::prepare(material, target, options),
            Self::Scp => scp::prepare(material, target, options),
            Self::Ccp => ccp::prepare(material, target, options).await,
            Self::Intsum => intsum::prepare(material, target, options).await,
            Self::LlmTrsrRecurrent | Self::LlmTrsrHierarchical => {
                llm_trsr::prepare(self, material, target, options).await
            }
            Self::Cicl => cicl::prepare(material, target, options).await,
            Self::PersonaDb => persona_db::prepare(material, target, options).await,
            Self::Hyperalign => hyperalign::prepare(material, target, options).await,
            Self::Dpl => dpl::prepare(Self::Dpl, material, target, options).await,
            Self::Drp => drp::prepare(material, target, options).await,
            Self::Idiolect => idiolect::prepare(material, target, options).await,
        };
        if at_once {
            material.progress.end();
        }
        prepared
    }

    /// Generates the target's text: [`Method::prepare`], then [`Prepared::write`]. The same
    /// material, options and seeds give the same text.
    ///
    /// `on_text`, if given, gets the text as [`Prepared::write`] describes.
    ///
    /// # Errors
    /// As [`Method::prepare`] and [`Prepared::write`].
    pub async fn write(
        self,
        material: &Material<'_>,
        target: &Target,
        options: &Options,
        on_text: Option<OnText>,
    ) -> Result<Written> {
        let prepared = self.prepare(material, target, options).await?;
        prepared.write(material, options, on_text).await
    }
}
