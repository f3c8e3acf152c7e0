//! Memory of packed weights: whole cache lines, side by side in slabs that the system is asked to
//! back with huge pages.
//!
//! A text that is written reads all weights for every token. In pages of 4 KiB that walks through
//! more pages than a core's translation buffer holds.

#![allow(unsafe_code)]

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use memmap2::MmapMut;

/// Bytes of a slab. What is not written to takes no memory.
const SLAB: usize = 32 << 20;
const LINE: usize = 64;

/// Zeroed bytes, aligned to 64.
pub(crate) struct Buffer {
    slab: Arc<Slab>,
    range: Range<usize>,
}

/// Memory whose parts are handed out once each.
struct Slab {
    start: *mut u8,
    len: usize,
    _memory: Memory,
}

/// What a slab keeps alive.
enum Memory {
    Mapped(MmapMut),
    /// Where the system maps none.
    Allocated(Vec<[u8; LINE]>),
}

// SAFETY: a slab's bytes are reached through buffers alone, and no two have the same.
unsafe impl Send for Slab {}
// SAFETY: as above.
unsafe impl Sync for Slab {}

/// The slab that has room, and how much of it is taken.
static OPEN: Mutex<(Weak<Slab>, usize)> = Mutex::new((Weak::new(), 0));

impl Buffer {
    /// `n_bytes` zeros; a multiple of 64.
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
        // SAFETY: the range lies in the slab, whose bytes are initialised and live as long as it;
        // only this buffer has the range, and it is borrowed.
        unsafe {
            std::slice::from_raw_parts(self.slab.start.add(self.range.start), self.range.len())
        }
    }

    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above, borrowed mutably.
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
                // A system without huge pages has its reasons; all works without.
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
