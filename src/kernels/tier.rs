//! Instruction sets that kernels are compiled for, and detection of those this machine supports.

use super::{Error, Result};

/// Instruction set that kernels run on. Only [`Tier::detect`], [`Tier::available`] and
/// [`Tier::parse`] create one besides [`Tier::PLAIN`], so the machine supports every value of this
/// type.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Tier(pub(crate) Set);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Set {
    #[cfg(target_arch = "x86_64")]
    Avx512Vnni,
    #[cfg(target_arch = "x86_64")]
    AvxVnni,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "aarch64")]
    Neon,
    Plain,
}

impl Tier {
    /// Ordinary Rust, on every machine: the reference for all others.
    pub const PLAIN: Self = Self(Set::Plain);

    /// Returns the widest instruction set of this machine.
    #[must_use]
    pub fn detect() -> Self {
        Self::available()[0]
    }

    /// Returns all instruction sets of this machine, widest first; `plain` is always the last.
    #[must_use]
    pub fn available() -> Vec<Self> {
        Self::known().into_iter().filter(|(_, there)| *there).map(|(tier, _)| tier).collect()
    }

    /// Parses the name of an instruction set as [`Tier::name`] gives it; `auto` is the widest.
    ///
    /// # Errors
    /// The name is unknown, or the machine lacks the instruction set.
    pub fn parse(name: &str) -> Result<Self> {
        if name == "auto" {
            return Ok(Self::detect());
        }
        let known = Self::known();
        if let Some((tier, there)) = known.iter().find(|(tier, _)| tier.name() == name) {
            return if *there { Ok(*tier) } else { Err(missing(tier.name())) };
        }
        match ["avx512vnni", "avxvnni", "avx2", "neon"].into_iter().find(|n| *n == name) {
            Some(elsewhere) => Err(missing(elsewhere)),
            None => Err(Error::UnknownTier(name.to_owned())),
        }
    }

    /// Returns the name that [`Tier::parse`] accepts.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Set::Avx512Vnni => "avx512vnni",
            #[cfg(target_arch = "x86_64")]
            Set::AvxVnni => "avxvnni",
            #[cfg(target_arch = "x86_64")]
            Set::Avx2 => "avx2",
            #[cfg(target_arch = "aarch64")]
            Set::Neon => "neon",
            Set::Plain => "plain",
        }
    }

    #[cfg(all(target_arch = "x86_64", not(miri)))]
    fn known() -> Vec<(Self, bool)> {
        let avx2 = is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("fma")
            && is_x86_feature_detected!("f16c");
        let avx512 = avx2
            && is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx512vnni");
        let avx_vnni = avx2 && is_x86_feature_detected!("avxvnni");
        vec![
            (Self(Set::Avx512Vnni), avx512),
            (Self(Set::AvxVnni), avx_vnni),
            (Self(Set::Avx2), avx2),
            (Self::PLAIN, true),
        ]
    }

    #[cfg(all(target_arch = "aarch64", not(miri)))]
    fn known() -> Vec<(Self, bool)> {
        let neon = std::arch::is_aarch64_feature_detected!("neon")
            && std::arch::is_aarch64_feature_detected!("dotprod");
        vec![(Self(Set::Neon), neon), (Self::PLAIN, true)]
    }

    #[cfg(any(miri, not(any(target_arch = "x86_64", target_arch = "aarch64"))))]
    fn known() -> Vec<(Self, bool)> {
        vec![(Self::PLAIN, true)]
    }
}

impl std::fmt::Debug for Tier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl std::fmt::Display for Tier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

fn missing(name: &'static str) -> Error {
    let there: Vec<&str> = Tier::available().into_iter().map(Tier::name).collect();
    Error::MissingTier(name, there.join(", "))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn every_available_tier_is_parsed_back_from_its_name() {
        for tier in Tier::available() {
            assert_eq!(Tier::parse(tier.name()).unwrap(), tier);
        }
        assert_eq!(Tier::available().last(), Some(&Tier::PLAIN));
        assert_eq!(Tier::parse("auto").unwrap(), Tier::detect());
    }

    #[test]
    fn unknown_and_missing_names_are_told_apart() {
        assert!(matches!(Tier::parse("sse9"), Err(Error::UnknownTier(_))));
        let elsewhere = if cfg!(target_arch = "aarch64") { "avx2" } else { "neon" };
        assert!(matches!(Tier::parse(elsewhere), Err(Error::MissingTier(..))));
    }
}
