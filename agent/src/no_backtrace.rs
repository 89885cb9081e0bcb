//! No backtrace of a panic where panics abort, which is in a product's image.
//!
//! That program has neither symbols nor unwind tables to make one from; it says where it panicked, and
//! ends. But the standard library brings what would read them, a twentieth of the whole. It finds the
//! frames by this function of the C compiler's; with ours there are none, and all that goes.

#[cfg(panic = "abort")]
#[expect(unsafe_code, reason = "the linker knows the function by this name")]
// SAFETY: it is declared like this in every C compiler's unwind.h, and may end at any frame.
#[unsafe(no_mangle)]
extern "C" fn _Unwind_Backtrace(_each: *const std::ffi::c_void, _argument: *const std::ffi::c_void) -> std::ffi::c_int {
    const END_OF_STACK: std::ffi::c_int = 5;
    END_OF_STACK
}
