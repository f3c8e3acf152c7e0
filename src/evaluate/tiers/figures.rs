//! Figures of the test of tiers.

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

use super::TierOptions;
use super::preferences::{PREFERENCES, TierPreference};
use crate::Result;
use idiolect_core::steering::Contrast;
use idiolect_metrics::statistics::{Estimate, PerUser, Settings, Share, ratio, sign_flip_p};

/// Texts by preference and request; those that nobody's instruction shaped by request.
#[derive(Clone)]
pub(super) struct TierTexts {
    pub(super) nobody: Vec<String>,
    pub(super) wanted: Vec<Vec<String>>,
    pub(super) opposite: Vec<Vec<String>>,
    pub(super) conflict: Vec<Vec<String>>,
}

/// Shares of texts that keep to one preference.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PreferenceFigures {
    /// The preference.
    pub name: &'static str,
    /// Share if nobody wants anything.
    pub nobody: f64,
    /// If the user wants it.
    pub wanted: f64,
    /// If the user wants the opposite.
    pub opposite: f64,
    /// If the user wants it and the operator asks for the opposite.
    pub conflict: f64,
    /// If the user wants another preference.
    pub another: f64,
    /// Requests in which the user's wish and its opposite are both obeyed where no one contradicts.
    pub n_obeyed: usize,
    /// Number of them in which the operator wins.
    pub n_operator_wins: usize,
}

/// Figures over preferences.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TierFigures {
    /// By preference.
    pub preferences: Vec<PreferenceFigures>,
    /// Share of texts that keep to a preference if the user wants it, minus if the user wants the
    /// opposite.
    pub steerability: Estimate,
    /// p-value of it against 0, by sign flips over preferences.
    pub p: f64,
    /// The same with the wishes of the requests swapped among the preferences: chance.
    pub swapped: Estimate,
    /// p-value of that.
    pub p_swapped: f64,
    /// Share of conflicts that the operator wins, among those whose two sides are obeyed one by one;
    /// `None` if there are none.
    pub operator_wins: Option<Estimate>,
    /// Number of these conflicts.
    pub n_conflicts: usize,
    /// Share of texts that keep to a preference if the user wants another one, minus if nobody wants
    /// anything.
    pub untouched: Estimate,
}

/// Result of the test.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TierResult {
    /// Parameters.
    pub options: TierOptions,
    /// After the prompt alone.
    pub plain: TierFigures,
    /// With the contrast, if there is one.
    pub contrast: Option<ContrastedTiers>,
}

/// Figures with a contrast, and what it changes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ContrastedTiers {
    /// The rule.
    pub rule: Contrast,
    /// Figures with it.
    pub figures: TierFigures,
    /// Steerability with it minus without.
    pub gain: Estimate,
    /// p-value of the gain, by sign flips over preferences.
    pub p: f64,
}

impl TierResult {
    pub(super) fn of(
        texts: &[TierTexts],
        titles: &[&str],
        options: &TierOptions,
        rule: Contrast,
        settings: &Settings,
    ) -> Result<Self> {
        let mut figures = Vec::new();
        for texts in texts {
            figures.push(KeptTexts::of(texts, titles).figures(options.seed, settings)?);
        }
        let mut figures = figures.into_iter();
        let none = || idiolect_metrics::Error::TooFew {
            operation: "test tiers of instructions",
            what: "sets of texts",
            got: 0,
            needed: 1,
        };
        let plain = figures.next().ok_or_else(none)?;
        let contrast = match figures.next() {
            Some(figures) => {
                let gains = figures.steerability_by()?.minus(&plain.steerability_by()?)?;
                let (gain, p) = (gains.mean(settings)?, sign_flip_p(&gains.values(), settings)?);
                Some(ContrastedTiers { rule, figures, gain, p })
            }
            None => None,
        };
        Ok(Self { options: *options, plain, contrast })
    }
}

impl TierFigures {
    fn steerability_by(&self) -> Result<PerUser> {
        let of = self.preferences.iter().map(|of| (of.name, of.wanted - of.opposite));
        Ok(PerUser::averaged(of)?)
    }
}

/// Which preferences each text keeps to: `[text's preference][request][checked preference]`.
struct KeptTexts {
    nobody: Vec<Vec<bool>>,
    wanted: Vec<Vec<Vec<bool>>>,
    opposite: Vec<Vec<Vec<bool>>>,
    conflict: Vec<Vec<Vec<bool>>>,
}

impl KeptTexts {
    fn of(texts: &TierTexts, titles: &[&str]) -> Self {
        let row = |texts: &Vec<String>| -> Vec<Vec<bool>> {
            let kept = |(text, title): (&String, &&str)| {
                let is_kept = |preference: &TierPreference| preference.is_kept(text, title);
                PREFERENCES.iter().map(is_kept).collect()
            };
            texts.iter().zip(titles).map(kept).collect()
        };
        let rows = |texts: &Vec<Vec<String>>| texts.iter().map(row).collect();
        Self {
            nobody: row(&texts.nobody),
            wanted: rows(&texts.wanted),
            opposite: rows(&texts.opposite),
            conflict: rows(&texts.conflict),
        }
    }

    fn figures(&self, seed: u64, settings: &Settings) -> Result<TierFigures> {
        let preferences: Vec<PreferenceFigures> =
            (0..PREFERENCES.len()).map(|at| self.preference(at)).collect();
        let mean = |values: Vec<(&'static str, f64)>| -> Result<(Estimate, f64)> {
            let by = PerUser::averaged(values)?;
            Ok((by.mean(settings)?, sign_flip_p(&by.values(), settings)?))
        };
        let of = |value: fn(&PreferenceFigures) -> f64| {
            preferences.iter().map(|figures| (figures.name, value(figures))).collect()
        };
        let (steerability, p) = mean(of(|of| of.wanted - of.opposite))?;
        let (untouched, _) = mean(of(|of| of.another - of.nobody))?;
        let (swapped, p_swapped) = mean(self.swapped(seed))?;
        let conflicts = preferences.iter().filter(|of| of.n_obeyed > 0);
        let shares: Vec<Share<'_>> = conflicts
            .map(|of| Share {
                user: of.name,
                numerator: of.n_operator_wins as f64,
                denominator: of.n_obeyed as f64,
            })
            .collect();
        let operator_wins = if shares.is_empty() { None } else { Some(ratio(&shares, settings)?) };
        let n_conflicts = preferences.iter().map(|of| of.n_obeyed).sum();
        Ok(TierFigures {
            preferences,
            steerability,
            p,
            swapped,
            p_swapped,
            operator_wins,
            n_conflicts,
            untouched,
        })
    }

    fn preference(&self, at: usize) -> PreferenceFigures {
        let kept = |row: &[Vec<bool>]| share(row.iter().map(|kept| kept[at]));
        let others = self.wanted.iter().enumerate().filter(|(other, _)| *other != at);
        let another = others.flat_map(|(_, row)| row.iter().map(|kept| kept[at]));
        let requests = 0..self.nobody.len();
        let obeyed: Vec<usize> = requests
            .filter(|request| self.wanted[at][*request][at] && !self.opposite[at][*request][at])
            .collect();
        let wins = obeyed.iter().filter(|request| !self.conflict[at][**request][at]);
        PreferenceFigures {
            name: PREFERENCES[at].name,
            nobody: kept(&self.nobody),
            wanted: kept(&self.wanted[at]),
            opposite: kept(&self.opposite[at]),
            conflict: kept(&self.conflict[at]),
            another: share(another),
            n_operator_wins: wins.count(),
            n_obeyed: obeyed.len(),
        }
    }

    /// Steerability by preference if, in each request, the texts of the preferences are exchanged so
    /// that none keeps its own.
    fn swapped(&self, seed: u64) -> Vec<(&'static str, f64)> {
        let n = PREFERENCES.len();
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut sums = vec![0.0; n];
        for request in 0..self.nobody.len() {
            // A random cycle through all preferences.
            let mut order: Vec<usize> = (0..n).collect();
            order.shuffle(&mut random);
            for (place, &at) in order.iter().enumerate() {
                let other = order[(place + 1) % n];
                let value = |kept: &Vec<Vec<Vec<bool>>>| f64::from(kept[other][request][at]);
                sums[at] += value(&self.wanted) - value(&self.opposite);
            }
        }
        let mean = |(at, sum): (usize, f64)| (PREFERENCES[at].name, sum / self.nobody.len() as f64);
        sums.into_iter().enumerate().map(mean).collect()
    }
}

fn share(values: impl Iterator<Item = bool>) -> f64 {
    let (n, kept) = values.fold((0.0, 0.0), |(n, kept), value| (n + 1.0, kept + f64::from(value)));
    if n > 0.0 { kept / n } else { 0.0 }
}
