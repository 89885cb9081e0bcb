//! Which questions to the kernel a caged process may ask.
//!
//! The lists name what our own code, the standard library and the C library need to read and write
//! files, keep threads, wait, and talk over sockets that exist. What is missing in them is the point:
//! no program is started, no process looked into, nothing mounted, no module loaded, and (for the
//! installer) no socket made.

#![expect(clippy::cast_possible_truncation, reason = "numbers of system calls are small")]

use nix::libc;

macro_rules! calls {
    ($($name:ident)*) => { &[$(libc::$name as u32),*] };
}

/// On every kind of processor.
pub(super) const ALWAYS: &[u32] = calls![
    // Often, so first.
    SYS_read SYS_write SYS_pread64 SYS_pwrite64 SYS_readv SYS_writev SYS_preadv SYS_pwritev SYS_lseek SYS_futex
    SYS_close SYS_openat SYS_fsync SYS_fdatasync SYS_ppoll SYS_recvfrom SYS_sendto SYS_recvmsg SYS_sendmsg
    // Files.
    SYS_statx SYS_fstat SYS_statfs SYS_fstatfs SYS_faccessat SYS_faccessat2 SYS_readlinkat SYS_getdents64 SYS_getcwd
    SYS_mkdirat SYS_unlinkat SYS_renameat2 SYS_symlinkat SYS_linkat SYS_fchmod SYS_fchmodat
    SYS_fchown SYS_fchownat SYS_truncate SYS_ftruncate SYS_fallocate SYS_sync SYS_syncfs SYS_flock SYS_fcntl SYS_ioctl
    SYS_dup SYS_dup3 SYS_pipe2 SYS_utimensat SYS_umask SYS_copy_file_range SYS_sendfile SYS_splice SYS_close_range
    SYS_getxattr SYS_lgetxattr SYS_fgetxattr SYS_setxattr SYS_lsetxattr SYS_fsetxattr
    SYS_listxattr SYS_llistxattr SYS_flistxattr SYS_removexattr SYS_lremovexattr SYS_fremovexattr
    // Memory.
    SYS_mprotect SYS_munmap SYS_mremap SYS_madvise SYS_brk
    // Threads, signals and the end.
    SYS_set_robust_list SYS_get_robust_list SYS_set_tid_address SYS_gettid SYS_getpid SYS_getppid SYS_exit
    SYS_exit_group SYS_sched_yield SYS_sched_getaffinity SYS_rt_sigaction SYS_rt_sigprocmask SYS_rt_sigreturn
    SYS_rt_sigtimedwait SYS_rt_sigpending SYS_sigaltstack SYS_restart_syscall SYS_wait4 SYS_waitid SYS_prctl
    SYS_membarrier SYS_rseq SYS_getcpu SYS_ioprio_set SYS_ioprio_get SYS_setpriority SYS_getpriority
    // Waiting and time.
    SYS_pselect6 SYS_epoll_create1 SYS_epoll_ctl SYS_epoll_pwait SYS_eventfd2 SYS_signalfd4 SYS_timerfd_create
    SYS_timerfd_settime SYS_timerfd_gettime SYS_clock_gettime SYS_clock_getres SYS_clock_nanosleep SYS_nanosleep
    SYS_gettimeofday
    // Sockets that exist.
    SYS_accept4 SYS_getsockopt SYS_setsockopt SYS_getsockname SYS_getpeername SYS_shutdown
    // Who and what we are.
    SYS_getuid SYS_geteuid SYS_getgid SYS_getegid SYS_getgroups SYS_getresuid SYS_getresgid SYS_uname SYS_sysinfo
    SYS_prlimit64 SYS_getrusage SYS_getrandom
];

/// What the process with the network needs beyond that.
pub(super) const NETWORK: &[u32] = calls![SYS_connect SYS_bind SYS_listen SYS_sendmmsg SYS_recvmmsg];

#[cfg(target_arch = "x86_64")]
pub(super) const HERE: &[u32] = calls![
    SYS_mmap SYS_open SYS_stat SYS_lstat SYS_newfstatat SYS_access SYS_readlink SYS_mkdir SYS_rmdir SYS_unlink
    SYS_rename SYS_renameat SYS_symlink SYS_link SYS_chmod SYS_chown SYS_lchown SYS_poll SYS_select SYS_dup2 SYS_pipe
    SYS_fadvise64 SYS_sync_file_range SYS_getdents SYS_epoll_wait SYS_accept SYS_time SYS_arch_prctl SYS_getrlimit
    SYS_creat
];

#[cfg(target_arch = "aarch64")]
pub(super) const HERE: &[u32] =
    calls![SYS_mmap SYS_newfstatat SYS_renameat SYS_fadvise64 SYS_sync_file_range SYS_accept];

#[cfg(target_arch = "arm")]
pub(super) const HERE: &[u32] = calls![
        SYS_mmap2 SYS_open SYS_stat64 SYS_lstat64 SYS_fstat64 SYS_fstatat64 SYS_access SYS_readlink SYS_mkdir
        SYS_rmdir SYS_unlink SYS_rename SYS_renameat SYS_symlink SYS_link SYS_chmod SYS_poll SYS__newselect SYS_dup2 SYS_pipe
        SYS_arm_fadvise64_64 SYS_arm_sync_file_range SYS_epoll_wait SYS_accept SYS__llseek SYS_fcntl64 SYS_statfs64
        SYS_fstatfs64 SYS_truncate64 SYS_ftruncate64 SYS_sendfile64 SYS_ugetrlimit SYS_getuid32 SYS_geteuid32
        SYS_getgid32 SYS_getegid32 SYS_getgroups32 SYS_getresuid32 SYS_getresgid32 SYS_chown32 SYS_fchown32
        SYS_lchown32 SYS_sigreturn
];

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "arm")))]
pub(super) const HERE: &[u32] = &[];

/// The calls with 64-bit times, which have the same numbers on every processor of 32 bits; and the
/// processor's own, which set its thread pointer and tell it about new code.
#[cfg(target_arch = "arm")]
pub(super) const BY_NUMBER: &[u32] =
    &[403, 406, 407, 408, 410, 411, 412, 413, 414, 417, 421, 422, 0x0f_0002, 0x0f_0005];
#[cfg(not(target_arch = "arm"))]
pub(super) const BY_NUMBER: &[u32] = &[];
