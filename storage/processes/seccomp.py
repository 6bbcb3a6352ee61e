"""Forbid this process system calls that reach the network, other processes or the kernel's settings, with seccomp(2).

The filter is a program for the kernel's classic BPF machine: it returns for each system call whether it may run.
"""

import ctypes
import errno
import os
import platform
import struct

from storage.processes.system_calls import call, machine

# Each name with its number on x86_64 and in the generic table (Linux 6.18). None: the table has no such call.
_NETWORK = {
    "socket": (41, 198),
    "socketpair": (53, 199),
    "bind": (49, 200),
    "listen": (50, 201),
    "accept": (43, 202),
    "connect": (42, 203),
    "accept4": (288, 242),
    "sendto": (44, 206),
    "sendmsg": (46, 211),
    "sendmmsg": (307, 269),
    "io_uring_setup": (425, 425),  # its operations pass by every filter
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
}
_PROCESSES = {
    "fork": (57, None),
    "vfork": (58, None),
    "execve": (59, 221),
    "execveat": (322, 281),
    "kill": (62, 129),
    "tkill": (200, 130),
    "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240),
    "pidfd_open": (434, 434),
    "pidfd_getfd": (438, 438),
    "pidfd_send_signal": (424, 424),
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "process_madvise": (440, 440),
    "process_mrelease": (448, 448),
    "kcmp": (312, 272),
    "setpriority": (141, 140),
    "shmget": (29, 194),  # memory and queues that any process of this account may use
    "shmat": (30, 196),
    "msgget": (68, 186),
    "semget": (64, 190),
    "mq_open": (240, 180),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
}
_KERNEL = {
    "unshare": (272, 97),
    "setns": (308, 268),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
    "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
    "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    "fanotify_init": (300, 262),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    "reboot": (169, 142),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "sethostname": (170, 161),
    "setdomainname": (171, 162),
    "settimeofday": (164, 170),
    "clock_settime": (227, 112),
    "clock_adjtime": (305, 266),
    "adjtimex": (159, 171),
    "acct": (163, 89),
    "syslog": (103, 116),
    "vhangup": (153, 58),
    "personality": (135, 92),
    "iopl": (172, None),
    "ioperm": (173, None),
    "modify_ldt": (154, None),
    "mknod": (133, None),
    "mknodat": (259, 33),
}
_CLONE, _CLONE3, _TGKILL, _PRLIMIT, _IOCTL, _PRCTL = (56, 220), (435, 435), (234, 131), (302, 261), (16, 29), (157, 167)
_SECCOMP = (317, 277)
_LAST = 462
"""The last number that was read for this list (mseal, Linux 6.10). Later calls fail as on a kernel without them."""
_X32 = 0x40000000
"""Numbers from here on are those of a second table on x86_64."""
_CLONE_THREAD, _PR_SET_PDEATHSIG = 0x10000, 1
_TERMINAL_INPUT = (0x5412, 0x541C)
"""TIOCSTI and TIOCLINUX: they type into the terminal from which Mingcha was started."""
_ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7, "riscv64": 0xC00000F3, "loongarch64": 0xC0000102}

_ALLOW, _KILL = 0x7FFF0000, 0x80000000
_REFUSE, _UNKNOWN = 0x00050000 | errno.EPERM, 0x00050000 | errno.ENOSYS
_LOAD, _EQUAL, _AT_LEAST, _HAS_BITS, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER_AT, _ARCHITECTURE_AT, _ARGUMENTS_AT = 0, 4, 16
_SET_FILTER, _SPEC_ALLOW = 1, 4
Code = list[tuple[int, int, int, int]]
"""Instructions: operation, instructions to skip if true, and if false, and operand."""


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("code", ctypes.c_char_p))


def is_offered() -> bool:
    """Return whether the filter is written for this machine. The kernel may still lack seccomp."""
    return machine() is not None


def restrict() -> None:
    """Apply the filter to this process and its later threads. It can't be removed.

    The calling thread must be the only one, and must have given up the right to gain privileges. Raise `OSError` if the
    kernel refuses.
    """
    install(_filter(os.getpid()))


def install(code: Code) -> None:
    packed = b"".join(struct.pack("<HBBI", *instruction) for instruction in code)
    program = _Program(len(code), packed)
    # Without this flag, kernels before 5.16 also switch off speculation, which slows decoding by a tenth.
    for flags in (_SPEC_ALLOW, 0):
        try:
            call(_SECCOMP[_column()], _SET_FILTER, flags, program)
        except OSError as error:
            if error.errno != errno.EINVAL or not flags:
                raise
        else:
            return


def refusing(number: int, code: int = errno.ENOSYS) -> Code:
    """Return a filter that fails one system call with an error code, and permits all others."""
    return [(_LOAD, 0, 0, _NUMBER_AT), *_if(number, _return(0x00050000 | code)), *_return(_ALLOW)]


def _column() -> int:
    return 0 if machine() == "x86_64" else 1


def _filter(own_pid: int) -> Code:
    column = _column()
    wanted = _ARCHITECTURES[platform.machine()]
    code: Code = [(_LOAD, 0, 0, _ARCHITECTURE_AT), (_EQUAL, 1, 0, wanted), *_return(_KILL), (_LOAD, 0, 0, _NUMBER_AT)]
    if column == 0:
        code += [(_AT_LEAST, 0, 1, _X32), *_return(_REFUSE)]
    for numbers in (_NETWORK | _PROCESSES | _KERNEL).values():
        if (number := numbers[column]) is not None:
            code += _if(number, _return(_REFUSE))
    code += _if(_CLONE[column], _by_argument(0, _HAS_BITS, (_CLONE_THREAD,), then=_ALLOW, otherwise=_REFUSE))
    code += _if(_CLONE3[column], _return(_UNKNOWN))  # glibc then calls clone, whose flags can be read
    code += _if(_TGKILL[column], _by_argument(0, _EQUAL, (own_pid,), then=_ALLOW, otherwise=_REFUSE))
    code += _if(_PRLIMIT[column], _by_argument(0, _EQUAL, (0, own_pid), then=_ALLOW, otherwise=_REFUSE))
    code += _if(_IOCTL[column], _by_argument(1, _EQUAL, _TERMINAL_INPUT, then=_REFUSE, otherwise=_ALLOW))
    code += _if(_PRCTL[column], _by_argument(0, _EQUAL, (_PR_SET_PDEATHSIG,), then=_REFUSE, otherwise=_ALLOW))
    return [*code, (_AT_LEAST, 0, 1, _LAST + 1), *_return(_UNKNOWN), *_return(_ALLOW)]


def _return(value: int) -> Code:
    return [(_RETURN, 0, 0, value)]


def _if(number: int, body: Code) -> Code:
    """Run `body`, which returns, for the system call with this number."""
    return [(_EQUAL, 0, len(body), number), *body]


def _by_argument(index: int, test: int, values: tuple[int, ...], *, then: int, otherwise: int) -> Code:
    """Return `then` if the lower half of an argument passes the test with one of `values`."""
    tests = [instruction for value in values for instruction in ((test, 0, 1, value), (_RETURN, 0, 0, then))]
    return [(_LOAD, 0, 0, _ARGUMENTS_AT + 8 * index), *tests, *_return(otherwise)]
