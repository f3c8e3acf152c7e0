//! Memory for packed weights: whole cache lines, in contiguous slabs for which huge pages are
//! requested.
//!
//! Generation reads all weights for every token. With pages of 4 KiB, that touches more pages than
//! a core's translation buffer (TLB) holds.

#![allow(unsafe_code)]

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use memmap2::MmapMut;

/// Bytes of a slab. Pages that are never written take no memory.
const SLAB: usize = 32 << 20;
const LINE: usize = 64;

/// Zero-initialised bytes, aligned to 64.
pub(crate) struct Buffer {
    slab: Arc<Slab>,
    range: Range<usize>,
}

/// Memory that is allocated from front to back; no part is allocated twice.
struct Slab {
    start: *mut u8,
    len: usize,
    _memory: Memory,
}

/// Owner of a slab's memory.
enum Memory {
    Mapped(MmapMut),
    /// Used if the system cannot map memory.
    Allocated(Vec<[u8; LINE]>),
}

// SAFETY: a slab's bytes are accessed only through buffers, and the ranges of buffers are disjoint.
unsafe impl Send for Slab {}
// SAFETY: as above.
unsafe impl Sync for Slab {}

/// The slab that buffers are allocated from, and the number of its bytes in use.
static OPEN: Mutex<(Weak<Slab>, usize)> = Mutex::new((Weak::new(), 0));

impl Buffer {
    /// Allocates `n_bytes` zeros; `n_bytes` is a multiple of 64.
    pub(crate) fn zeroed(n_bytes: usize) -> Self {
        debug_assert!(n_bytes.is_multiple_of(LINE));
        if n_bytes > SLAB / 2 {
            return Self { slab: Arc::new(Slab::new(n_bytes)), range: 0..n_bytes };
        }
        let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        let (slab, taken) = &mut *open;
        if let Some(slab) = slab.upgrade().filter(|slab| slab.len - *taken >= n_bytes) {
            let range = *taken..*taken + n_bytes;
            *taken = range.end;
            return Self { slab, range };
        }
        let new = Arc::new(Slab::new(SLAB));
        *open = (Arc::downgrade(&new), n_bytes);
        Self { slab: new, range: 0..n_bytes }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        // SAFETY: the range lies in the slab, whose bytes are initialised and live as long as the
        // slab. Only this buffer has the range, and the buffer is borrowed.
        unsafe {
            std::slice::from_raw_parts(self.slab.start.add(self.range.start), self.range.len())
        }
    }

    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above, with the buffer borrowed mutably.
        unsafe {
            std::slice::from_raw_parts_mut(self.slab.start.add(self.range.start), self.range.len())
        }
    }
}

impl Slab {
    fn new(len: usize) -> Self {
        let mut memory = match MmapMut::map_anon(len) {
            Ok(mapped) if !cfg!(miri) => Memory::Mapped(mapped),
            _ => Memory::Allocated(vec![[0; LINE]; len / LINE + 1]),
        };
        let start = match &mut memory {
            Memory::Mapped(mapped) => {
                // An error means that there are no huge pages; everything works without them.
                #[cfg(target_os = "linux")]
                let _ = mapped.advise(memmap2::Advice::HugePage);
                mapped.as_mut_ptr()
            }
            Memory::Allocated(lines) => {
                let start = lines.as_mut_ptr().cast::<u8>();
                start.wrapping_add(start.align_offset(LINE))
            }
        };
        Self { start, len, _memory: memory }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_are_zeroed_aligned_and_apart() {
        let mut buffers: Vec<Buffer> =
            [64, 0, 128, SLAB / 2, SLAB / 2, SLAB, 64].map(Buffer::zeroed).into();
        for (mark, buffer) in buffers.iter_mut().enumerate() {
            assert!(buffer.bytes().iter().all(|byte| *byte == 0));
            assert!(buffer.bytes().as_ptr().addr().is_multiple_of(LINE));
            buffer.bytes_mut().fill(mark as u8 + 1);
        }
        for (mark, buffer) in buffers.iter().enumerate() {
            assert!(buffer.bytes().iter().all(|byte| *byte == mark as u8 + 1));
        }
    }
}
