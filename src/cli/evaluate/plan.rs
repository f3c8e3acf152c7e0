//! Options that choose the held-out texts and the controls of an evaluation.

use std::collections::HashMap;

use idiolect::corpus::Store;
use idiolect::corpus::split::{Split, SplitPart};
use idiolect::encoder::Encoder;
use idiolect::evaluate::{MetricSet, Plan, PlanOptions};
use idiolect::peers::PeerIndex;

use super::super::values;

#[derive(Debug, clap::Args)]
pub(super) struct PlanArgs {
    /// Held-out texts to evaluate; use val to choose settings, and test for the final figures
    #[arg(long, default_value = "test", value_parser = values::named::<PartName>())]
    split: PartName,
    /// Name of the split, as given to `idiolect split`; change it if you made several
    #[arg(
        long,
        value_name = "NAME",
        default_value = "default",
        hide = true,
        allow_hyphen_values = true
    )]
    split_name: String,
    /// Maximum number of users, drawn at random; lower it for a quick run [default: all of the
    /// split]
    #[arg(long, value_name = "N", value_parser = values::rows(1))]
    users: Option<usize>,
    /// Number of other, similar users whose histories each held-out text is also evaluated with;
    /// lower it to save time
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = values::number(0..=1000))]
    wrong_users: usize,
    /// Maximum number of pairs of users for each half of the swap test (random pairs and nearest
    /// pairs); raise it for narrower intervals
    #[arg(long, value_name = "N", default_value_t = 60, value_parser = values::rows(0), hide = true)]
    pairs: usize,
    /// Let peers' texts be newer than the held-out text, as in DPL's published code; use it to
    /// reproduce DPL
    #[arg(long, hide = true)]
    peers_any_time: bool,
}

#[derive(Debug, Clone, Copy, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
enum PartName {
    Train,
    Val,
    Test,
}

impl PlanArgs {
    pub(super) fn split(&self, store: &Store) -> anyhow::Result<Split> {
        Ok(store.split(&self.split_name)?)
    }

    pub(super) fn plan(
        &self,
        store: &Store,
        split: &Split,
        measures: &MetricSet,
        encoder: Option<&Encoder>,
        seed: u64,
    ) -> anyhow::Result<Plan> {
        let options = PlanOptions {
            part: match self.split {
                PartName::Train => SplitPart::Train,
                PartName::Val => SplitPart::Val,
                PartName::Test => SplitPart::Test,
            },
            users: self.users,
            wrong_users: self.wrong_users,
            pairs: if measures.swaps() { self.pairs } else { 0 },
            peers_any_time: self.peers_any_time,
            seed,
        };
        let embeddings = match encoder.filter(|_| options.pairs > 0) {
            Some(encoder) => Some(embeddings(&PeerIndex::open(store, encoder)?, split)),
            None => None,
        };
        Ok(Plan::new(store, split, &options, embeddings.as_ref())?)
    }
}

fn embeddings(index: &PeerIndex, split: &Split) -> HashMap<String, Vec<f32>> {
    let users = split.users.iter();
    let of = |user: &str| index.embedding(user).map(<[f32]>::to_vec);
    users.filter_map(|user| Some((user.user.clone(), of(&user.user)?))).collect()
}
