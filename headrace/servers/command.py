"""A program to run as a child: as whom, with what environment, tied to our life."""

import importlib.util
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from headrace.errors import TransientError, UsageError
from headrace.settings import ENV_PREFIX

_GUARD = Path(__file__).with_name("guard.py")
_ENVIRONMENT = frozenset({"PATH", "TMPDIR", "LD_LIBRARY_PATH"})
_OUTPUT_CHARS_MAX = 2_000
"""Of a failed program's output that its error quotes: the end, where the cause is."""


@dataclass(frozen=True, slots=True)
class Command:
    """A program to become, as whom, and how it must end if we end first."""

    program: Path
    argv: tuple[str, ...]
    cwd: Path
    owner: tuple[int, int] | None = None
    death_signal: signal.Signals = signal.SIGKILL
    inherit: bool = False
    """Whether it sees our environment, for one that goes through a proxy; never HEADRACE_*."""

    def guarded(self) -> list[str]:
        """Return the command line that execs it tied to the calling thread's life."""
        owner = "-" if self.owner is None else f"{self.owner[0]}:{self.owner[1]}"
        tie = [str(os.getpid()), str(int(self.death_signal)), owner, str(self.program)]
        return [sys.executable, "-I", "-S", str(_GUARD), *tie, *self.argv]

    def environment(self) -> dict[str, str]:
        """Return what it sees of our environment: nothing that could change or betray anything."""
        kept = {
            name: value
            for name, value in os.environ.items()
            if name in _ENVIRONMENT or (self.inherit and not name.startswith(ENV_PREFIX))
        }
        return kept | {"LANG": "C.UTF-8", "LC_ALL": "C.UTF-8", "TZ": "UTC"}


def package_folder(name: str) -> Path:
    """Return where an installed package lies, without importing it.

    Raises:  UsageError if it is not installed.
    """
    found = importlib.util.find_spec(name)
    if found is None or found.origin is None:
        raise UsageError(
            f"an embedded server needs the package {name}, which is not installed; install "
            "headrace[embedded] (make setup does), or name real servers (HEADRACE_KAFKA, "
            "HEADRACE_POSTGRES, HEADRACE_REDIS)"
        )
    return Path(found.origin).parent


def run_to_end(command: Command, what: str, timeout_s: float, stdin: str = "") -> str:
    """Run a program to its end; return its output.

    Raises:  TransientError if it fails or takes longer than `timeout_s`.
    """
    try:
        done = subprocess.run(
            command.guarded(),
            input=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=command.environment(),
            cwd=command.cwd,
            start_new_session=True,
            timeout=timeout_s,
            check=False,
            encoding="utf-8",
            errors="replace",
        )
    except subprocess.TimeoutExpired:
        raise TransientError(f"{what}: not done within {timeout_s:g} s") from None
    if done.returncode != 0:
        said = done.stdout.strip()[-_OUTPUT_CHARS_MAX:]
        raise TransientError(f"{what}: exit code {done.returncode}: {said}")
    return done.stdout
