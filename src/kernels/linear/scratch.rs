//! Memory of a thread for weights in the form that a kernel multiplies.

use std::cell::RefCell;

/// Alignment in bytes.
const LINE: usize = 64;

thread_local! {
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Returns at least `n_bytes` bytes, aligned to 64, whose content is arbitrary. They may be used until
/// the thread calls this function again.
pub(super) fn scratch(n_bytes: usize) -> *mut u8 {
    SCRATCH.with_borrow_mut(|bytes| {
        if bytes.len() < n_bytes + LINE {
            bytes.resize(n_bytes + LINE, 0);
        }
        let start = bytes.as_mut_ptr();
        start.wrapping_add(start.align_offset(LINE))
    })
}

#[cfg(test)]
mod tests {
    #![allow(unsafe_code)]
    use super::*;

    #[test]
    fn scratch_is_aligned_and_large_enough() {
        for n_bytes in [0, 1, 64, 4096, 100] {
            let bytes = scratch(n_bytes);
            assert!(bytes.addr().is_multiple_of(64));
            // SAFETY: `scratch` grants this many bytes.
            unsafe { bytes.write_bytes(7, n_bytes) };
        }
    }
}
