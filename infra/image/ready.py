#!/usr/bin/env -S python3 -I -S
"""Say by exit code whether this container's process is well: the image's health check.

Without arguments: the worker's `/ready` answers 200. With `--connected PORT`: some socket of this
container is connected to that port, for processes that serve no page (a feed, to its broker).
Standard library only, and no site packages: it runs every few seconds.
"""

import os
import sys
import urllib.error
import urllib.request
from pathlib import Path

TIMEOUT_S = 4.0
"""Below the health check's own 5 s, so that the reason is told."""

_ESTABLISHED = "01"


def main(arguments: list[str]) -> int:
    """Return 0 if all is well, 1 if not, 2 if asked the wrong way."""
    if not arguments:
        return _say(*worker_is_ready(os.environ.get("HEADRACE_WEB_PORT", "6066")))
    if len(arguments) == 2 and arguments[0] == "--connected" and arguments[1].isdecimal():  # noqa: PLR2004
        tables = [Path("/proc/net/tcp"), Path("/proc/net/tcp6")]
        lines = [line for table in tables if table.exists() for line in table.open()]
        return _say(is_connected(lines, int(arguments[1])), f"connection to port {arguments[1]}")
    sys.stderr.write("usage: headrace-ready [--connected PORT]\n")
    return 2


def worker_is_ready(port: str) -> tuple[bool, str]:
    """Return whether the worker on this loopback port is ready, and what it said."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/ready", timeout=TIMEOUT_S) as answer:
            return answer.status == 200, f"/ready: {answer.status}"  # noqa: PLR2004
    except urllib.error.HTTPError as error:
        return False, f"/ready: {error.code}"
    except OSError as error:  # refused, reset or timed out
        return False, f"/ready: {error}"


def is_connected(lines: list[str], port: int) -> bool:
    """Return whether the kernel's table of sockets has one connected to this remote port.

    Source:  proc_pid_net(5): `sl local_address rem_address st …`, ports in hexadecimal.
    """
    rows = [line.split() for line in lines]
    return any(
        len(row) > 3 and row[3] == _ESTABLISHED and row[2].endswith(f":{port:04X}")  # noqa: PLR2004
        for row in rows
    )


def _say(is_well: bool, what: str) -> int:
    sys.stdout.write(f"{'ok' if is_well else 'not ok'}: {what}\n")
    return 0 if is_well else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
