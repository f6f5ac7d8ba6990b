"""`no_flock.py ERRNO COMMAND …` runs a command for which the kernel answers flock(2) as on a disk without locks.

A seccomp filter gives the answer: an errno, or 0 for a lock that is granted and does not exist (`mount -o nolock`).
"""

import ctypes
import os
import platform
import struct
import sys

FLOCK = {"x86_64": 73, "aarch64": 32}.get(platform.machine()) if sys.platform == "linux" else None
_SET_NO_NEW_PRIVS, _SET_SECCOMP, _FILTER = 38, 22, 2
_LOAD, _JUMP_IF_EQUAL, _RETURN = 0x20, 0x15, 0x06
_ANSWER, _ALLOW = 0x00050000, 0x7FFF0000


def answer_flock(errno):
    """From now on flock(2) does nothing but answer so, in this process and what it starts."""
    steps = [(_LOAD, 0, 0, 0), (_JUMP_IF_EQUAL, 0, 1, FLOCK), (_RETURN, 0, 0, _ANSWER | errno), (_RETURN, 0, 0, _ALLOW)]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
    program = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(steps), ctypes.addressof(code)))
    libc = ctypes.CDLL(None, use_errno=True)
    for arguments in ((_SET_NO_NEW_PRIVS, 1, 0, 0, 0), (_SET_SECCOMP, _FILTER, program, 0, 0)):
        if libc.prctl(*arguments):
            raise OSError(ctypes.get_errno(), "prctl")


if __name__ == "__main__":
    answer_flock(int(sys.argv[1]))
    os.execv(sys.argv[2], sys.argv[2:])
