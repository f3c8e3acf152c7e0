//! The reason why a completion ended.

/// Reason why a completion ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Finish {
    /// The model ended its turn, or the constraint allows no further token.
    End,
    /// A stop text occurred.
    Stop,
    /// `max_tokens` tokens were generated. A constrained text was forced to an end within them and
    /// satisfies its constraint.
    Length,
}
