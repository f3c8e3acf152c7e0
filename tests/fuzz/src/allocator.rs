//! Bounds of memory: an input of some kilobytes must not take hundreds of megabytes.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Largest size of one piece of memory, and of all together, in bytes. Models and stores that targets hold
/// take some tens of megabytes.
const MAX_PIECE: usize = 256 << 20;
const MAX_ALL: usize = 768 << 20;

static HELD: AtomicUsize = AtomicUsize::new(0);

/// The system's allocator, which ends the program above the bounds, so that libFuzzer keeps the input.
pub struct Bounded;

fn take(size: usize) {
    let held = HELD.fetch_add(size, Ordering::Relaxed) + size;
    if size > MAX_PIECE || held > MAX_ALL {
        // Without memory of its own: the panic that tells more would ask for some.
        HELD.store(0, Ordering::Relaxed);
        eprintln!("memory: {size} bytes asked for, {held} held in all");
        std::process::abort();
    }
}

// SAFETY: every call is passed on to the system's allocator with what the caller gave.
unsafe impl GlobalAlloc for Bounded {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        take(layout.size());
        // SAFETY: as above.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        take(layout.size());
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        take(size);
        HELD.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }
}
