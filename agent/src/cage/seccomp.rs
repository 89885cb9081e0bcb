//! A filter in the kernel: what is not on the list is refused with `EPERM`.
//!
//! The program is a list of comparisons, in the classic form of the Berkeley packet filter. It sees a
//! call's number, the processor's convention and six arguments, and no memory.

use std::io;
use std::mem::offset_of;

use nix::libc::{self, seccomp_data, sock_filter, sock_fprog};

use super::syscalls::{ALWAYS, BY_NUMBER, HERE, NETWORK};

/// Who the filter is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum For {
    /// Makes no socket at all.
    Installd,
    /// Makes sockets of the families that it needs.
    Fetchd,
}

#[cfg(target_arch = "x86_64")]
const ARCHITECTURE: u32 = 0xc000_003e;
#[cfg(target_arch = "aarch64")]
const ARCHITECTURE: u32 = 0xc000_00b7;
#[cfg(target_arch = "arm")]
const ARCHITECTURE: u32 = 0x4000_0028;
/// Its calls are not listed, so there is no filter.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "arm")))]
const ARCHITECTURE: u32 = 0;

const LOAD: u32 = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
const IS: u32 = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
const HAS: u32 = libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K;
const AT_LEAST: u32 = libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K;
const RETURN: u32 = libc::BPF_RET | libc::BPF_K;
/// x86-64 has a second convention with numbers from here on, which nobody needs.
const X32: u32 = 0x4000_0000;

/// Puts the filter in place, for this thread and those that it will start.
#[expect(unsafe_code, reason = "the kernel is asked for this in no other way")]
pub(super) fn restrict(whose: For) -> io::Result<()> {
    if ARCHITECTURE == 0 {
        return Err(io::ErrorKind::Unsupported.into());
    }
    let mut program = filter(whose, std::process::id());
    let length = u16::try_from(program.len()).map_err(io::Error::other)?;
    let program = sock_fprog { len: length, filter: program.as_mut_ptr() };
    // SAFETY: the kernel copies the program, which lives until this call is over.
    let done = unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, 0, &raw const program) };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn filter(whose: For, pid: u32) -> Vec<sock_filter> {
    let allow = step(RETURN, libc::SECCOMP_RET_ALLOW, 0, 0);
    let refuse = |errno: i32| step(RETURN, libc::SECCOMP_RET_ERRNO | errno.cast_unsigned(), 0, 0);
    let mut program = vec![
        load(offset_of!(seccomp_data, arch)),
        step(IS, ARCHITECTURE, 1, 0),
        step(RETURN, libc::SECCOMP_RET_KILL_PROCESS, 0, 0),
        load(offset_of!(seccomp_data, nr)),
    ];
    if cfg!(target_arch = "x86_64") {
        program.extend([step(AT_LEAST, X32, 0, 1), refuse(libc::ENOSYS)]);
    }
    let network = if whose == For::Fetchd { NETWORK } else { &[] };
    for number in [ALWAYS, HERE, BY_NUMBER, network].concat() {
        program.extend([step(IS, number, 0, 1), allow]);
    }
    // Its flags are in memory, where no filter looks: the C library then takes the old one.
    program.extend([step(IS, call(libc::SYS_clone3), 0, 1), refuse(libc::ENOSYS)]);
    let thread = libc::CLONE_THREAD.cast_unsigned();
    program.extend(when(call(libc::SYS_clone), &[step(HAS, thread, 0, 1), allow]));
    let unix = libc::AF_UNIX.cast_unsigned();
    program.extend(when(call(libc::SYS_socketpair), &[step(IS, unix, 0, 1), allow]));
    for number in [libc::SYS_kill, libc::SYS_tgkill] {
        program.extend(when(call(number), &[step(IS, pid, 0, 1), allow]));
    }
    if whose == For::Fetchd {
        for family in [libc::AF_UNIX, libc::AF_INET, libc::AF_INET6] {
            let family = family.cast_unsigned();
            program.extend(when(call(libc::SYS_socket), &[step(IS, family, 0, 1), allow]));
        }
    }
    program.push(refuse(libc::EPERM));
    program
}

/// If the call is `number`: `then`, with the first argument loaded, and back again.
fn when(number: u32, then: &[sock_filter]) -> Vec<sock_filter> {
    let over = u8::try_from(then.len() + 1).unwrap_or(u8::MAX);
    let argument = offset_of!(seccomp_data, args) + if cfg!(target_endian = "big") { 4 } else { 0 };
    let mut steps = vec![step(IS, number, 0, over), load(argument)];
    steps.extend(then);
    // Whoever comes here by the jump has the number still, and reads it once more.
    steps.push(load(offset_of!(seccomp_data, nr)));
    steps
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "numbers of system calls are small")]
const fn call(number: libc::c_long) -> u32 {
    number as u32
}

fn load(offset: usize) -> sock_filter {
    step(LOAD, u32::try_from(offset).unwrap_or(u32::MAX), 0, 0)
}

fn step(code: u32, k: u32, jt: u8, jf: u8) -> sock_filter {
    sock_filter { code: u16::try_from(code).unwrap_or(u16::MAX), jt, jf, k }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs the program as the kernel would.
    fn judge(whose: For, number: libc::c_long, argument: u32) -> u32 {
        let program = filter(whose, 7);
        let value = |offset: u32| match offset as usize {
            offset if offset == offset_of!(seccomp_data, nr) => call(number),
            offset if offset == offset_of!(seccomp_data, arch) => ARCHITECTURE,
            _ => argument,
        };
        let (mut at, mut loaded) = (0, 0);
        loop {
            let step = program[at];
            at += 1;
            let jump = |yes: bool| usize::from(if yes { step.jt } else { step.jf });
            match u32::from(step.code) {
                LOAD => loaded = value(step.k),
                IS => at += jump(loaded == step.k),
                HAS => at += jump(loaded & step.k != 0),
                AT_LEAST => at += jump(loaded >= step.k),
                RETURN => return step.k,
                other => panic!("{other:#x} is not used"),
            }
        }
    }

    const YES: u32 = libc::SECCOMP_RET_ALLOW;
    const NO: u32 = libc::SECCOMP_RET_ERRNO | 1;

    #[test]
    fn the_installer_reads_and_writes_and_makes_no_socket_and_no_process() {
        for number in [libc::SYS_read, libc::SYS_pwrite64, libc::SYS_getrandom, libc::SYS_accept4, libc::SYS_exit_group]
        {
            assert_eq!(judge(For::Installd, number, 0), YES, "{number}");
        }
        for number in [
            libc::SYS_socket,
            libc::SYS_connect,
            libc::SYS_bind,
            libc::SYS_execve,
            libc::SYS_ptrace,
            libc::SYS_mount,
            libc::SYS_bpf,
            libc::SYS_unshare,
            libc::SYS_init_module,
            libc::SYS_process_vm_writev,
            libc::SYS_mknodat,
            libc::SYS_io_uring_setup,
        ] {
            assert_eq!(judge(For::Installd, number, 1), NO, "{number}");
        }
    }

    #[test]
    fn fetchd_makes_sockets_of_three_families() {
        for family in [libc::AF_UNIX, libc::AF_INET, libc::AF_INET6] {
            assert_eq!(judge(For::Fetchd, libc::SYS_socket, family.cast_unsigned()), YES);
        }
        for family in [libc::AF_NETLINK, libc::AF_PACKET, libc::AF_VSOCK] {
            assert_eq!(judge(For::Fetchd, libc::SYS_socket, family.cast_unsigned()), NO);
        }
        assert_eq!(judge(For::Fetchd, libc::SYS_execve, 0), NO);
    }

    #[test]
    fn threads_are_started_and_processes_are_not_and_signals_go_to_ourselves() {
        for whose in [For::Installd, For::Fetchd] {
            assert_eq!(judge(whose, libc::SYS_clone, libc::CLONE_THREAD.cast_unsigned()), YES);
            assert_eq!(judge(whose, libc::SYS_clone, libc::SIGCHLD.cast_unsigned()), NO);
            assert_eq!(judge(whose, libc::SYS_clone3, 0), libc::SECCOMP_RET_ERRNO | libc::ENOSYS.cast_unsigned());
            assert_eq!((judge(whose, libc::SYS_kill, 7), judge(whose, libc::SYS_kill, 1)), (YES, NO));
            assert_eq!(judge(whose, libc::SYS_socketpair, libc::AF_UNIX.cast_unsigned()), YES);
            assert_eq!(judge(whose, libc::SYS_socketpair, libc::AF_INET.cast_unsigned()), NO);
        }
    }
}
