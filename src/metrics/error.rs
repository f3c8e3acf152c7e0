/// What can go wrong while figures are computed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is less to work with than the work takes.
    #[error("{operation}: got {got} {what}, expected at least {needed}")]
    TooFew {
        /// What was tried.
        operation: &'static str,
        /// Of what there is too little.
        what: &'static str,
        /// How much there is.
        got: usize,
        /// How much there must be.
        needed: usize,
    },
    /// A value that cannot be computed with.
    #[error("{operation}: the value of `{of}` is {value}, expected a finite number")]
    NotFinite {
        /// What was tried.
        operation: &'static str,
        /// Whose value it is.
        of: String,
        /// The value.
        value: f64,
    },
    /// Two vectors of users that are compared are not about the same users.
    #[error(
        "compare users: `{user}` has a value on one side only; leave the user out on both sides, \
         or measure the missing one"
    )]
    Unpaired {
        /// The user.
        user: String,
    },
}
