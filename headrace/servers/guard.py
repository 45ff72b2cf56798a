"""Become a server that cannot outlive its parent: run as a script, this execs its arguments.

A small program instead of a `preexec_fn`, which may deadlock in a process with threads. It keeps
its pid, so that who started it can signal the server. Standard library only: it runs with -I -S.
Arguments: parent pid, death signal, uid:gid or `-`, program, argv[0], arguments….
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Drop privileges, tie this process to its parent's life, become the server."""
    parent, death_signal, owner, program, *argv = sys.argv[1:]
    if owner != "-":
        uid, gid = (int(part) for part in owner.split(":"))
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
    if sys.platform == "linux":  # elsewhere the next start reaps what was left behind
        # After setuid, which clears it. It fires when the THREAD that forked ends, so each server
        # is forked by the thread that watches it.
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(_PR_SET_PDEATHSIG, int(death_signal), 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
    if os.getppid() != int(parent):  # it died before the line above
        sys.exit(1)
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # Python ignores it, and exec would keep that
    os.execv(program, argv)  # noqa: S606  # becoming the server is the point


if __name__ == "__main__":
    main()
