//! The language model of a command: in this process, or on a server.

use std::ffi::OsStr;

use idiolect::client::{Model, PrefixSavingLm};
use idiolect::corpus::Store;
use idiolect::lm::Lm;

use super::context::Context;

/// The language model of `--lm`.
pub(crate) enum CommandLm {
    /// It runs in this process.
    Local(Lm),
    /// It runs on a server.
    #[cfg(feature = "remote")]
    Remote {
        /// The model.
        lm: idiolect::remote::RemoteLm,
        /// Whether notes are left out.
        quiet: bool,
    },
}

impl CommandLm {
    /// Loads the language model of `--lm` and starts its engine, or connects to its servers.
    pub(crate) fn of(context: &Context) -> anyhow::Result<Self> {
        Self::named(&context.globals.lm, context)
    }

    /// Loads a language model by name or path, or connects to its servers.
    pub(crate) fn named(name: &OsStr, context: &Context) -> anyhow::Result<Self> {
        #[cfg(feature = "remote")]
        if super::context::is_address(name) {
            let lm = super::remote::connect(name, context)?;
            return Ok(Self::Remote { lm, quiet: context.globals.quiet });
        }
        Ok(Self::Local(context.lm_named(name)?))
    }

    /// The model, as methods take it.
    pub(crate) fn model(&self) -> &dyn Model {
        match self {
            Self::Local(lm) => lm,
            #[cfg(feature = "remote")]
            Self::Remote { lm, .. } => lm,
        }
    }

    /// The model, if it runs in this process.
    pub(crate) fn local(&self) -> Option<&Lm> {
        match self {
            Self::Local(lm) => Some(lm),
            #[cfg(feature = "remote")]
            Self::Remote { .. } => None,
        }
    }

    /// The model with what is kept of the user's last prompt, if it runs in this process and the store can
    /// hold such files.
    pub(crate) fn with_saved_prefix<'a>(
        &'a self,
        store: &'a Store,
        user: &str,
    ) -> Option<PrefixSavingLm<'a>> {
        match self {
            Self::Local(lm) => PrefixSavingLm::of_user(lm, store, user),
            #[cfg(feature = "remote")]
            Self::Remote { .. } => None,
        }
    }

    /// Catalog name, file stem, or name on the server.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Local(lm) => lm.name(),
            #[cfg(feature = "remote")]
            Self::Remote { lm, .. } => lm.name(),
        }
    }

    /// Name and fingerprint; of a server also its program, since its results need not be reproducible
    /// to the bit.
    pub(crate) fn described(&self) -> String {
        let described = format!("{} {}", self.name(), self.model().fingerprint());
        match self {
            Self::Local(_) => described,
            #[cfg(feature = "remote")]
            Self::Remote { lm, .. } => {
                format!("{described} ({}, not reproducible to the bit)", lm.kind().name())
            }
        }
    }

    /// Warns on stderr if the model is known to be small.
    pub(crate) fn note_if_small(&self, context: &Context) {
        match self {
            Self::Local(lm) => context.note_small_model(lm),
            #[cfg(feature = "remote")]
            Self::Remote { .. } => {}
        }
    }
}

#[cfg(feature = "remote")]
impl Drop for CommandLm {
    /// A command ends in several places; each has to say what was lost.
    fn drop(&mut self) {
        if let Self::Remote { lm, quiet } = self {
            super::remote::note_lost_shift(lm, *quiet);
        }
    }
}
