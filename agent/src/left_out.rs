//! What libraries bring and a product's image does not need, left out: these of their functions
//! are answered here, with what they may say, and all that only they use goes.
//!
//! This is so where a panic aborts, which is where the agent ships (`.cargo/device.toml` has the linker
//! take ours). Together it is close to half a megabyte of the program.

#![cfg(panic = "abort")]

use std::ffi::{c_int, c_void};

/// A panic's backtrace ends at once. The program has neither symbols nor tables to make one from; it says
/// where it panicked, and ends.
#[expect(unsafe_code, reason = "the linker knows the function by this name")]
// SAFETY: unwind.h of each C compiler declares it like this, and it may end at any frame.
#[unsafe(no_mangle)]
extern "C" fn _Unwind_Backtrace(_each: *const c_void, _argument: *const c_void) -> c_int {
    const END_OF_STACK: c_int = 5;
    END_OF_STACK
}

/// No frame is ever unwound: what Rust's runtime would ask of the unwinder ends the program instead, and with
/// the last call of it the unwinder goes.
#[cfg(target_env = "musl")]
macro_rules! no_unwinder {
    ($($name:ident),*) => {$(
        #[expect(unsafe_code, reason = "the linker knows the function by this name")]
        // SAFETY: whatever the arguments are, they are not looked at, and it does not return.
        #[unsafe(no_mangle)]
        extern "C" fn $name() -> ! {
            std::process::abort()
        }
    )*};
}
#[cfg(target_env = "musl")]
no_unwinder!(
    _Unwind_Resume,
    _Unwind_GetLanguageSpecificData,
    _Unwind_GetRegionStart,
    _Unwind_GetTextRelBase,
    _Unwind_GetDataRelBase,
    _Unwind_GetIP,
    _Unwind_GetIPInfo,
    _Unwind_SetGR,
    _Unwind_SetIP
);

/// Where a thread's stack is, is not known. Who runs over its end dies all the same, without Rust's word
/// for it; the C library would read `/proc/self/maps` for this by `sscanf`, which knows every number.
#[cfg(all(target_feature = "crt-static", target_env = "gnu"))]
#[expect(unsafe_code, reason = "the linker knows the function by this name")]
// SAFETY: pthread.h declares it like this, and it may fail; the attributes are not touched.
#[unsafe(no_mangle)]
extern "C" fn pthread_getattr_np(_thread: nix::libc::pthread_t, _attributes: *mut c_void) -> c_int {
    nix::libc::ENOSYS
}

/// No message of the C library's is translated.
#[cfg(all(target_feature = "crt-static", target_env = "gnu"))]
#[expect(unsafe_code, reason = "the linker knows the function by this name")]
// SAFETY: the C library declares it like this for itself, and a message may be its own translation.
#[unsafe(no_mangle)]
extern "C" fn __dcgettext(_domain: *const u8, message: *const u8, _category: c_int) -> *const u8 {
    message
}
