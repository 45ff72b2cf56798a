"""What `headrace up --reload` does when files change: check first, then the workers, or neither."""

import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from headrace import Step, Topology
from headrace.checks.finding import Finding
from headrace.errors import TransientError
from headrace.project import Project
from headrace.up.reload import FINDINGS_SHOWN, Reloader, findings_of, reloader_of
from headrace.up.run import Run
from headrace.up.sources import PATHS_MAX, SourceWatch
from tests.sample_project import FILES, as_only_project, write
from topologies.candles import TOPOLOGY

AGENT = "agents/build_candles.py"
SEEN_S_MAX = 60.0


@dataclass
class FakeChanges:
    """Files that change when the test says so."""

    files: list[str] = field(default_factory=list)

    def take(self) -> list[str]:
        found, self.files = self.files, []
        return found


@dataclass
class FakeCheck:
    """A check that knows when the test tells it."""

    found: Sequence[str] | None = None
    is_stopped: bool = False

    def findings(self) -> Sequence[str] | None:
        return self.found

    def stop(self) -> None:
        self.is_stopped = True


@dataclass
class FakeRun:
    """Counts how often its workers were replaced; fails if it is told to."""

    topology: Topology = TOPOLOGY
    replaced: list[Topology] = field(default_factory=list)
    error: str = ""

    def replace_workers(self, topology: Topology) -> None:
        self.replaced.append(topology)
        if self.error:
            raise TransientError(self.error)


class World:
    """A reloader among fakes; `on_disk` is what loading gives."""

    def __init__(self) -> None:
        self.run = FakeRun()
        self.changes = FakeChanges()
        self.checks: list[FakeCheck] = []
        self.on_disk: Topology | list[str] = replace(TOPOLOGY)
        self.reloader = Reloader(self.run, self.changes, self._check, lambda: self.on_disk)

    def _check(self) -> FakeCheck:
        self.checks.append(FakeCheck())
        return self.checks[-1]

    def save(self, *files: str) -> None:
        self.changes.files += files
        self.reloader.look()

    def checked(self, *findings: str) -> None:
        self.checks[-1].found = findings
        self.reloader.look()


@pytest.fixture
def world() -> World:
    return World()


def test_nothing_happens_while_nothing_changes(world: World) -> None:
    world.reloader.look()

    assert not world.checks
    assert not world.run.replaced


def test_workers_are_replaced_once_the_check_has_found_nothing(world: World) -> None:
    world.save(AGENT)
    world.reloader.look()
    waited = not world.run.replaced
    world.checked()

    assert waited
    assert world.run.replaced == [world.on_disk]
    assert f"{AGENT} reloaded" in world.reloader.note


def test_a_finding_is_told_and_the_old_code_goes_on(world: World) -> None:
    world.save(AGENT)
    world.checked("agents/x.py:3: step x: a clock [agent-impure]")

    assert not world.run.replaced
    assert "the code before goes on" in world.reloader.note
    assert "[agent-impure]" in world.reloader.note


def test_the_next_change_after_a_finding_is_checked_anew(world: World) -> None:
    world.save(AGENT)
    world.checked("a finding")
    world.save(AGENT)
    world.checked()

    assert len(world.checks) == 2
    assert len(world.run.replaced) == 1


def test_saves_that_come_together_are_one_reload(world: World) -> None:
    world.save(*(f"agents/a{number}.py" for number in range(20)))
    world.checked()

    assert len(world.run.replaced) == 1
    assert "and 17 more" in world.reloader.note


def test_what_changes_during_a_check_is_checked_before_anything_is_replaced(world: World) -> None:
    world.save(AGENT)
    world.changes.files = ["agents/other.py"]
    world.checked()
    between = list(world.run.replaced)
    world.checked()

    assert not between
    assert len(world.checks) == 2
    assert len(world.run.replaced) == 1
    assert "agents/other.py" in world.reloader.note


def test_a_worker_that_does_not_get_ready_is_named_and_the_next_change_tried(world: World) -> None:
    world.run.error = "rolling ended with exit code 1 after 0 restarts"
    world.save(AGENT)
    world.checked()
    told = world.reloader.note
    world.run.error = ""
    world.save(AGENT)
    world.checked()

    assert "rolling ended with exit code 1" in told
    assert len(world.run.replaced) == 2
    assert "does not run" not in world.reloader.note


@pytest.mark.parametrize(
    "steps",
    [
        TOPOLOGY.steps[:-1],
        (*TOPOLOGY.steps[:-1], replace(TOPOLOGY.steps[-1], name="renamed")),
    ],
    ids=["a step less", "a step of another name"],
)
def test_other_lanes_need_a_run_of_their_own(world: World, steps: tuple[Step, ...]) -> None:
    world.on_disk = replace(TOPOLOGY, steps=steps)
    world.save("topologies/candles.py")
    world.checked()

    assert not world.run.replaced
    assert "end the run and start it again" in world.reloader.note


def test_what_cannot_be_loaded_after_all_is_told(world: World) -> None:
    world.on_disk = ["topologies/candles.py: SyntaxError"]
    world.save(AGENT)
    world.checked()

    assert not world.run.replaced
    assert "SyntaxError" in world.reloader.note


def test_many_findings_are_told_in_part(world: World) -> None:
    world.save(AGENT)
    world.checked(*(f"finding {number}" for number in range(FINDINGS_SHOWN + 4)))

    assert "and 4 more: headrace check" in world.reloader.note


def test_a_check_that_nobody_waits_for_is_ended(world: World) -> None:
    world.save(AGENT)
    world.reloader.close()

    assert world.checks[0].is_stopped


def test_what_a_check_prints_is_read_and_what_it_dies_of_too() -> None:
    finding = Finding("f.py", "step a", "agent-impure", "a clock", "take it out")
    said = json.dumps({"findings": [vars_of(finding)], "recorded": []})

    assert findings_of(said, "a warning", 1) == [finding.text()]
    assert findings_of("", "", 0) == []
    (died,) = findings_of("", "Traceback: no such thing", 2)
    assert "exit code 2" in died
    assert "no such thing" in died


def vars_of(finding: Finding) -> dict[str, Any]:
    return {name: getattr(finding, name) for name in ("file", "part", "rule", "problem", "mend")}


def test_changed_modules_are_loaded_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Saved twice within a second, of one size: what is compiled is not kept."""
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    write(tmp_path, FILES)
    with as_only_project():
        project = Project(tmp_path)
        run = FakeRun(project.topology("sample"))
        page = tmp_path / "topologies" / "sample.py"
        page.write_text(page.read_text().replace('{"size": 1}', '{"size": 2}'))

        reloader = reloader_of(run, project, FakeChanges())
        loaded = reloader._load()
        page.write_text("no python at all")
        refused = reloader._load()

    assert isinstance(loaded, Topology)
    assert loaded.step("bars").parameters == {"size": 2}
    assert run.topology.step("bars").parameters == {"size": 1}
    assert isinstance(refused, list)
    assert "SyntaxError" in refused[0]


def test_the_engine_is_not_forgotten_with_a_project_beside_it() -> None:
    engine = sys.modules["headrace.up.reload"]
    modules = dict(sys.modules)
    try:
        Project(Path(__file__).parents[2]).forget()
        left = set(sys.modules)
    finally:
        sys.modules.update(modules)

    assert sys.modules["headrace.up.reload"] is engine
    assert "headrace.up.reload" in left
    assert "topologies.candles" not in left


def test_a_watch_tells_of_sources_and_of_nothing_that_python_leaves_behind(tmp_path: Path) -> None:
    write(tmp_path, FILES | {"infra/other.py": "", "agents/__pycache__/read.pyc": ""})
    with SourceWatch(tmp_path) as watch:
        seen = set()

        def touch() -> bool:
            # Again and again: the watch may not have begun.
            for name in ("infra/other.py", "agents/__pycache__/read.pyc", "agents/read.py"):
                (tmp_path / name).write_text("# another\n")
            seen.update(watch.take())
            return "agents/read.py" in seen

        wait_for(touch)

    assert seen == {"agents/read.py"}


def wait_for(is_so: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + SEEN_S_MAX
    while not is_so():
        assert time.monotonic() < deadline_s
        time.sleep(0.05)


def test_a_watch_remembers_a_bounded_number_of_files(tmp_path: Path) -> None:
    watch = SourceWatch(tmp_path)
    watch.note(str(tmp_path / f"{number}") for number in range(PATHS_MAX + 10))

    assert len(watch.take()) == PATHS_MAX
    assert watch.take() == []


def test_a_worker_that_dies_too_often_waits_for_other_code_only_where_it_may_come() -> None:
    run = Run.__new__(Run)
    process = DeadProcess()

    run.may_change = True
    waits = run._revive(process)  # type: ignore[arg-type]
    run.may_change = False

    assert not waits
    with pytest.raises(TransientError, match="bars died"):
        run._revive(process)  # type: ignore[arg-type]


class DeadProcess:
    """A process that died as often as it may."""

    name, exit_code, restarts = "bars", 1, 5

    def revive(self) -> bool:
        return False

    def fail(self) -> TransientError:
        return TransientError("bars died")
