//! Counting allocations, only while the benchmark asks for it.

#![expect(unsafe_code, reason = "an allocator cannot be wrapped without it")]

use std::alloc::{GlobalAlloc, Layout};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

static COUNTING: AtomicBool = AtomicBool::new(false);
static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

/// An allocator that counts calls while `count` is on. Otherwise that costs one look at a flag
/// that never changes.
#[derive(Debug)]
pub struct Counted<A>(pub A);

/// Switches counting on, for the rest of the process.
pub(crate) fn count() {
    COUNTING.store(true, Ordering::Relaxed);
}

/// Allocations and re-allocations since [`count`].
#[must_use]
pub(crate) fn counted() -> u64 {
    ALLOCATIONS.load(Ordering::Relaxed)
}

#[inline]
fn note() {
    if COUNTING.load(Ordering::Relaxed) {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
    }
}

// SAFETY: every call goes to the wrapped allocator unchanged.
unsafe impl<A: GlobalAlloc> GlobalAlloc for Counted<A> {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note();
        // SAFETY: as the caller promises.
        unsafe { self.0.alloc(layout) }
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        note();
        // SAFETY: as the caller promises.
        unsafe { self.0.alloc_zeroed(layout) }
    }

    #[inline]
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as the caller promises.
        unsafe { self.0.dealloc(pointer, layout) }
    }

    #[inline]
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note();
        // SAFETY: as the caller promises.
        unsafe { self.0.realloc(pointer, layout, size) }
    }
}
