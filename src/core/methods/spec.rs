//! A method's facts and the function that prepares it.

use futures::future::LocalBoxFuture;

use super::method::MethodInfo;
use super::{MethodContext, PreparedPrompt, Result};

/// Description of a method, declared in the method's file.
pub(super) struct MethodSpec {
    pub(super) info: MethodInfo,
    /// Does everything before the last call.
    pub(super) prepare: for<'c> fn(&'c MethodContext<'c>) -> Preparation<'c>,
}

/// Future of a prepared prompt.
pub(super) type Preparation<'c> = LocalBoxFuture<'c, Result<PreparedPrompt>>;
