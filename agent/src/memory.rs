//! What the C library's allocator is told, so that it keeps little for itself.
//!
//! Each thread would otherwise get an arena of its own, and what an update needed for a while would
//! stay resident until the next one.

/// One arena for all threads. To be called first.
pub(crate) fn keep_little() {
    #[cfg(target_env = "gnu")]
    #[expect(unsafe_code, reason = "the allocator is told this in no other way")]
    // SAFETY: the call takes two numbers, and there is no other thread yet.
    unsafe {
        const ARENAS: i32 = -8;
        nix::libc::mallopt(ARENAS, 1);
    }
}

/// Gives back what is free.
pub(crate) fn give_back() {
    #[cfg(target_env = "gnu")]
    #[expect(unsafe_code, reason = "the allocator is told this in no other way")]
    // SAFETY: the allocator may be called at any time, by any thread.
    unsafe {
        nix::libc::malloc_trim(0);
    }
}
