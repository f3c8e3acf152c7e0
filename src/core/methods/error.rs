use crate::{client, corpus, difference, peers, task};
use idiolect_engine::lm;

/// Errors that can occur while a method prepares, writes or scores a text.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The store failed.
    #[error(transparent)]
    Corpus(#[from] corpus::Error),
    /// No representatives could be chosen.
    #[error(transparent)]
    Peers(#[from] peers::Error),
    /// The task has no such prompt or dimension.
    #[error(transparent)]
    Task(#[from] task::Error),
    /// Texts could not be counted.
    #[error(transparent)]
    Lm(#[from] lm::Error),
    /// A call to the language model failed.
    #[error(transparent)]
    Client(#[from] client::Error),
    /// A difference or the profile failed.
    #[error(transparent)]
    Difference(#[from] difference::Error),
    /// The user has no visible past text to learn from.
    #[error(
        "user `{user}` has no past text that may be seen, and method `{method}` needs at least \
         one; import more reviews of this user, or write with method `non-perso`"
    )]
    NoHistory {
        /// The user.
        user: String,
        /// The method.
        method: &'static str,
    },
    /// The method compares users, but was given no source of representatives.
    #[error("method `{method}` compares users and needs a sentence encoder, but none was given")]
    NoPeers {
        /// The method.
        method: &'static str,
    },
    /// The language model returned fewer scores than were asked for.
    #[error(
        "method `{method}` asked the language model for the scores of a text and got fewer than it \
         asked for; this is a fault of the model's implementation"
    )]
    NoScore {
        /// The method.
        method: &'static str,
    },
    /// Drafts are to be ranked by a trained head, but none was given.
    #[error(
        "method `{method}` is to rank its texts by `np` and was given no trained head; run `idiolect \
         train np` first"
    )]
    NoReward {
        /// The method.
        method: &'static str,
    },
    /// Tokens are to be rewarded by a trained head, but none was given.
    #[error(
        "method `{method}` rewards tokens by a trained head and was given none; run `idiolect train pad` \
         first"
    )]
    NoTokenReward {
        /// The method.
        method: &'static str,
    },
    /// A method needs a trained adapter, but none was given.
    #[error(
        "method `{method}` needs what `idiolect train {method}` trains for this language model and was given \
         none; run that first"
    )]
    NoAdapter {
        /// The method.
        method: &'static str,
    },
    /// Drafts could not be ranked, or tokens not be rewarded.
    #[error("apply the trained head to {n} texts for user `{user}`")]
    Reward {
        /// The user.
        user: String,
        /// Number of texts.
        n: usize,
        /// Error of the judge.
        source: super::RewardError,
    },
    /// Stopped on request.
    #[error("stopped; what was done is kept")]
    Stopped,
}
