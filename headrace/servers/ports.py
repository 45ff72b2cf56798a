"""Loopback ports for embedded servers: a fixed one checked, a remembered one kept, a free one."""

import secrets
import socket

import psutil

from headrace.errors import TransientError, UsageError

HOST = "127.0.0.1"
# Below Linux's ephemeral range (32768…): the kernel must not hand a server's port to somebody's
# outgoing connection while the server is being restarted.
_PORT_MIN, _PORT_MAX = 20_000, 32_000
_TRIES_MAX = 200


def is_free(port: int) -> bool:
    """Say whether a server could listen on that loopback port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As servers do: connections that linger from the last run do not count as taken.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except (OSError, OverflowError):  # taken, or no port at all
            return False
    return True


def holder(port: int) -> str:
    """Say who listens on a port, as far as this user may know."""
    try:
        listening = [
            connection
            for connection in psutil.net_connections(kind="tcp")
            if connection.status == psutil.CONN_LISTEN
            and connection.laddr
            and connection.laddr.port == port
        ]
        if listening and listening[0].pid is not None:
            process = psutil.Process(listening[0].pid)
            return f"pid {process.pid} ({process.name()})"
    except psutil.Error:  # it ended meanwhile, or belongs to somebody else
        pass
    return "another program (which one cannot be seen by this user)"


def choose(variable: str, fixed: int | None, remembered: int | None, taken: set[int]) -> int:
    """Return the port a server shall listen on, and add it to `taken`.

    Raises:  UsageError if the fixed port is not free; TransientError if none is.
    """
    if fixed is not None:
        if fixed in taken:
            raise UsageError(f"{variable}={fixed}: another server of this home has that port")
        if not is_free(fixed):
            raise UsageError(
                f"{variable}={fixed}: expected a free port on {HOST}, found it held by "
                f"{holder(fixed)}; stop that, choose another port, or unset {variable}"
            )
        taken.add(fixed)
        return fixed
    drawn = (_PORT_MIN + secrets.randbelow(_PORT_MAX - _PORT_MIN) for _ in range(_TRIES_MAX))
    for port in ([] if remembered is None else [remembered]) + list(drawn):
        if port not in taken and is_free(port):
            taken.add(port)
            return port
    raise TransientError(f"no free port on {HOST} among {_TRIES_MAX} of {_PORT_MIN}…{_PORT_MAX}")
