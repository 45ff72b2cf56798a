"""New code for a run while it runs: what changed is checked, then the workers are replaced."""

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryFile
from time import monotonic
from typing import Protocol

import structlog

from headrace.checks.finding import Finding
from headrace.checks.project import load_topology
from headrace.errors import HeadraceError
from headrace.project import Project
from headrace.runtime.assemble import Choice
from headrace.topology import Topology
from headrace.up.lag import lane_groups

log = structlog.get_logger(__name__)

CHECK_S_MAX = 120.0
"""A module that hangs while it is imported would be waited for for ever."""

FILES_SHOWN = 3
FINDINGS_SHOWN = 5
SAID_SHOWN = 500
"""Characters of what a check said that ended otherwise."""


class Check(Protocol):
    """A check of the code on disk that is under way."""

    def findings(self) -> Sequence[str] | None:
        """Return what is wrong, nothing if the code may run; None while that is not known."""

    def stop(self) -> None:
        """End it: nobody waits for it any more."""


class Changes(Protocol):
    """Who knows which files have changed."""

    def take(self) -> list[str]:
        """Return the files that changed since the last call."""


class Workers(Protocol):
    """A run whose workers can be replaced."""

    topology: Topology

    def replace_workers(self, topology: Topology) -> None:
        """Drain the workers and start those of a topology's new code."""


class Reloader:
    """Brings a run to the code on disk, if that passes its checks; `note` says how it stands.

    `check` starts a check of the topology; `load` returns it as its files are now, or what hinders
    that. Each call of `look` takes one step; but for replacing workers it waits for nothing.
    """

    def __init__(
        self,
        run: Workers,
        changes: Changes,
        check: Callable[[], Check],
        load: Callable[[], Topology | list[str]],
    ) -> None:
        self.note = "watching for changes"
        self._run = run
        self._changes = changes
        self._start_check = check
        self._load = load
        self._files: list[str] = []
        self._check: Check | None = None

    def look(self) -> None:
        """Check what changed, and reload once the check has found nothing."""
        if self._check is None:
            self._files = self._changes.take()
            if self._files:
                self._check = self._start_check()
                self.note = f"{self._words()} changed: checking"
            return
        findings = self._check.findings()
        if findings is None:
            return
        self._check = None
        more = self._changes.take()
        if more:  # what was checked is not on disk any more
            self._files = sorted({*self._files, *more})
            self._check = self._start_check()
        elif findings:
            self._refuse(findings)
        else:
            self._reload()

    def close(self) -> None:
        """End a check that is under way."""
        if self._check is not None:
            self._check.stop()

    def _reload(self) -> None:
        began_s = monotonic()
        topology = self._load()
        if isinstance(topology, list):
            self._refuse(topology)
            return
        gone, new = lanes_apart(self._run.topology, topology)
        if gone or new:
            self._refuse([_other_lanes(gone, new)])
            return
        try:
            self._run.replace_workers(topology)
        except HeadraceError as error:
            log.warning("reload_failed", files=self._files, error=str(error))
            self.note = f"{self._words()} reloaded, and it does not run: {error}"
        else:
            took_s = monotonic() - began_s
            log.info("reloaded", files=self._files, took_s=round(took_s, 3))
            self.note = f"{self._words()} reloaded in {took_s:.1f} s"

    def _refuse(self, findings: Sequence[str]) -> None:
        log.warning("reload_refused", files=self._files, findings=findings)
        shown = "\n".join(findings[:FINDINGS_SHOWN])
        left_out = len(findings) - FINDINGS_SHOWN
        more = f"\nand {left_out} more: headrace check" if left_out > 0 else ""
        self.note = f"{self._words()} not reloaded, the code before goes on:\n{shown}{more}"

    def _words(self) -> str:
        shown = ", ".join(self._files[:FILES_SHOWN])
        left_out = len(self._files) - FILES_SHOWN
        return f"{shown} and {left_out} more" if left_out > 0 else shown


def lanes_apart(before: Topology, after: Topology) -> tuple[list[str], list[str]]:
    """Return the consumer groups that only the one topology has, and those only the other has."""
    old, new = (
        {group.group for group in lane_groups(topology, Choice())} for topology in (before, after)
    )
    return sorted(old - new), sorted(new - old)


def _other_lanes(gone: Sequence[str], new: Sequence[str]) -> str:
    return (
        f"expected the lanes of the run, found that {', '.join(new) or 'none'} would come and "
        f"{', '.join(gone) or 'none'} would go: other steps, or another fusing, begin with other "
        "groups and empty state; end the run and start it again"
    )


class CheckProcess:
    """`headrace check` of one topology in a process of its own: this one has the old modules."""

    def __init__(self, project: Path, topology: str) -> None:
        arguments = ["check", topology, "--json", f"--project={project}"]
        # Files, for a pipe that nobody reads fills up, and the check would wait.
        self._said = TemporaryFile("w+")  # noqa: SIM115  (closed when the check has ended)
        self._complained = TemporaryFile("w+")  # noqa: SIM115
        self._child = subprocess.Popen(
            [sys.executable, "-m", "headrace", *arguments],
            stdout=self._said,
            stderr=self._complained,
        )
        self._deadline_s = monotonic() + CHECK_S_MAX

    def findings(self) -> Sequence[str] | None:
        """Return what it has found, None while it looks."""
        if self._child.poll() is None:
            if monotonic() < self._deadline_s:
                return None
            self.stop()
            return [f"the check did not end within {CHECK_S_MAX:g} s: does a module hang?"]
        self._said.seek(0)
        self._complained.seek(0)
        found = findings_of(self._said.read(), self._complained.read(), self._child.returncode)
        self._close()
        return found

    def stop(self) -> None:
        """End a check that nobody waits for any more."""
        self._child.kill()
        self._child.wait()
        self._close()

    def _close(self) -> None:
        self._said.close()
        self._complained.close()


def findings_of(said: str, complained: str, code: int) -> list[str]:
    """Return the findings that `headrace check --json` has printed, a line each.

    `complained` is what it said of itself: all there is to tell if it ended otherwise.
    """
    if code == 0:
        return []
    try:
        return [Finding(**each).text() for each in json.loads(said)["findings"]]
    except (ValueError, TypeError, KeyError):
        end = complained.strip()[-SAID_SHOWN:]
        return [f"headrace check ended with exit code {code}: {end}"]


def reloader_of(run: Workers, project: Project, changes: Changes) -> Reloader:
    """Return what reloads a run of a project's topology."""
    name = run.topology.name

    def load() -> Topology | list[str]:
        findings: list[Finding] = []
        project.forget()
        topology = load_topology(project, name, findings)
        return [finding.text() for finding in findings] if topology is None else topology

    return Reloader(run, changes, lambda: CheckProcess(project.folder, name), load)
