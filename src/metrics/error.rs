/// Error of a metric or a statistic.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The input has fewer elements than the operation needs.
    #[error("{operation}: got {got} {what}, expected at least {needed}")]
    TooFew {
        /// Operation that failed.
        operation: &'static str,
        /// Kind of element, in the plural.
        what: &'static str,
        /// Number of elements given.
        got: usize,
        /// Least number of elements needed.
        needed: usize,
    },
    /// A value is not a finite number.
    #[error("{operation}: the value of `{of}` is {value}, expected a finite number")]
    NotFinite {
        /// Operation that failed.
        operation: &'static str,
        /// User, pair or statistic that the value belongs to.
        of: String,
        /// The value.
        value: f64,
    },
    /// Two compared sides do not have values for the same users.
    #[error(
        "compare users: `{user}` has a value on one side only; leave the user out on both sides, \
         or measure the missing one"
    )]
    Unpaired {
        /// User with a value on one side only.
        user: String,
    },
}
