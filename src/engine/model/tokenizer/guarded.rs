//! Calls of the crate `tokenizers`, which panics at some files that it should refuse.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Returns what `call` gives, or the reason why it gives nothing. A panic is such a reason: the file
/// contradicts itself, for example by a template that names a token which it does not define.
pub(crate) fn guarded<T>(call: impl FnOnce() -> tokenizers::Result<T>) -> Result<T, String> {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(result) => result.map_err(|error| error.to_string()),
        Err(panic) => {
            let said = panic.downcast_ref::<String>().map(String::as_str);
            let said = said.or_else(|| panic.downcast_ref::<&str>().copied());
            Err(format!("the file contradicts itself ({})", said.unwrap_or("a panic")))
        }
    }
}
