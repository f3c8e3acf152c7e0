//! Instruction sets that kernels are compiled for, and detection of those this machine supports.

use super::{Error, Result};

/// Instruction set that kernels run on. Only [`Isa::detect`], [`Isa::available`] and
/// [`Isa::parse`] create one besides [`Isa::PLAIN`], so the machine supports every value of this
/// type.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Isa {
    pub(crate) set: InstructionSet,
    /// Whether the CPU also multiplies pairs of bf16 in vectors of 512 bits (`vdpbf16ps`).
    pub(crate) has_bf16: bool,
    /// Whether the kernels also use matrix tiles (AMX).
    pub(crate) has_tiles: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum InstructionSet {
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

impl Isa {
    /// Ordinary Rust, on every machine: the reference for all others.
    pub const PLAIN: Self = Self::of(InstructionSet::Plain);

    const fn of(set: InstructionSet) -> Self {
        Self { set, has_bf16: false, has_tiles: false }
    }

    /// Detects the CPU's features and returns the widest instruction set. Call it once, when a model
    /// is loaded, and pass the value on.
    #[must_use]
    pub fn detect() -> Self {
        Self::available()[0]
    }

    /// Returns all instruction sets of this machine, widest first; `plain` is always the last.
    #[must_use]
    pub fn available() -> Vec<Self> {
        Self::known().into_iter().filter(|(_, there)| *there).map(|(isa, _)| isa).collect()
    }

    /// Parses the name of an instruction set as [`Isa::name`] gives it; `auto` is the widest.
    ///
    /// # Errors
    /// The name is unknown, or the machine lacks the instruction set.
    pub fn parse(name: &str) -> Result<Self> {
        if name == "auto" {
            return Ok(Self::detect());
        }
        let known = Self::known();
        if let Some((isa, there)) = known.iter().find(|(isa, _)| isa.name() == name) {
            return if *there { Ok(*isa) } else { Err(missing(isa.name())) };
        }
        match ["amx", "avx512vnni", "avxvnni", "avx2", "neon"].into_iter().find(|n| *n == name) {
            Some(elsewhere) => Err(missing(elsewhere)),
            None => Err(Error::UnknownIsa(name.to_owned())),
        }
    }

    /// Whether products of prompt rows ([`linear::ProductRows`](crate::linear::ProductRows)) differ
    /// in their last bits from those of the other instruction sets.
    #[must_use]
    pub fn has_prompt_products(self) -> bool {
        self.has_tiles
    }

    /// Returns the name that [`Isa::parse`] accepts.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self.set {
            #[cfg(target_arch = "x86_64")]
            InstructionSet::Avx512Vnni if self.has_tiles => "amx",
            #[cfg(target_arch = "x86_64")]
            InstructionSet::Avx512Vnni => "avx512vnni",
            #[cfg(target_arch = "x86_64")]
            InstructionSet::AvxVnni => "avxvnni",
            #[cfg(target_arch = "x86_64")]
            InstructionSet::Avx2 => "avx2",
            #[cfg(target_arch = "aarch64")]
            InstructionSet::Neon => "neon",
            InstructionSet::Plain => "plain",
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
        let has_bf16 = avx512 && is_x86_feature_detected!("avx512bf16");
        let has_tiles = has_bf16 && crate::amx::is_available();
        let avx_vnni = avx2 && is_x86_feature_detected!("avxvnni");
        let with_bf16 = Self { has_bf16, ..Self::of(InstructionSet::Avx512Vnni) };
        vec![
            (Self { has_tiles: true, ..with_bf16 }, has_tiles),
            (with_bf16, avx512),
            (Self::of(InstructionSet::AvxVnni), avx_vnni),
            (Self::of(InstructionSet::Avx2), avx2),
            (Self::PLAIN, true),
        ]
    }

    #[cfg(all(target_arch = "aarch64", not(miri)))]
    fn known() -> Vec<(Self, bool)> {
        let neon = std::arch::is_aarch64_feature_detected!("neon")
            && std::arch::is_aarch64_feature_detected!("dotprod");
        vec![(Self::of(InstructionSet::Neon), neon), (Self::PLAIN, true)]
    }

    #[cfg(any(miri, not(any(target_arch = "x86_64", target_arch = "aarch64"))))]
    fn known() -> Vec<(Self, bool)> {
        vec![(Self::PLAIN, true)]
    }
}

impl std::fmt::Debug for Isa {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl std::fmt::Display for Isa {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

fn missing(name: &'static str) -> Error {
    let there: Vec<&str> = Isa::available().into_iter().map(Isa::name).collect();
    Error::MissingIsa(name, there.join(", "))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn every_available_tier_is_parsed_back_from_its_name() {
        for isa in Isa::available() {
            assert_eq!(Isa::parse(isa.name()).unwrap(), isa);
        }
        assert_eq!(Isa::available().last(), Some(&Isa::PLAIN));
        assert_eq!(Isa::parse("auto").unwrap(), Isa::detect());
    }

    #[test]
    fn unknown_and_missing_names_are_told_apart() {
        assert!(matches!(Isa::parse("sse9"), Err(Error::UnknownIsa(_))));
        let elsewhere = if cfg!(target_arch = "aarch64") { "avx2" } else { "neon" };
        assert!(matches!(Isa::parse(elsewhere), Err(Error::MissingIsa(..))));
    }
}
