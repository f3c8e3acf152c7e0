//! Bytes that begin at a cache line.

#![allow(unsafe_code)]

#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([u8; 64]);

/// Zeroed bytes, aligned to 64.
pub(crate) struct Buffer(Vec<Line>);

impl Buffer {
    /// `n_bytes` zeros; a multiple of 64.
    pub(crate) fn zeroed(n_bytes: usize) -> Self {
        debug_assert!(n_bytes.is_multiple_of(64));
        Self(vec![Line([0; 64]); n_bytes / 64])
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        // SAFETY: a line is 64 initialised bytes without padding, and lines lie back to back.
        unsafe { std::slice::from_raw_parts(self.0.as_ptr().cast(), self.0.len() * 64) }
    }

    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above, borrowed mutably.
        unsafe { std::slice::from_raw_parts_mut(self.0.as_mut_ptr().cast(), self.0.len() * 64) }
    }
}
