"""A storm strikes and heals when it is due, waits for what heals slowly, and skips what is gone."""

import signal
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from headrace.faults import limits
from headrace.faults.kinds import KINDS, Stage, fault_of
from headrace.faults.schedule import Planned, Roster
from headrace.faults.storm import Storm
from headrace.servers import ServerState
from headrace.topology import Drill, Proof


@dataclass
class FakeFleet:
    """Workers that do what signals say at once, but drain only when told they have."""

    running: dict[str, bool] = field(default_factory=lambda: {"w-1": True, "w-2": True})
    said: list[tuple[str, str]] = field(default_factory=list)
    starting: set[str] = field(default_factory=set)
    speeches: list["FakeSpeech"] = field(default_factory=list)

    def is_at_work(self, name: str) -> bool:
        return name not in self.starting

    def signal(self, name: str, number: signal.Signals, *, comes_back: bool = True) -> bool:
        del comes_back
        if not self.running[name]:
            return False
        self.said.append((name, number.name))
        if number == signal.SIGKILL:
            self.running[name] = False
        return True

    def revive(self, name: str) -> None:
        self.said.append((name, "start"))
        self.running[name] = True

    def has_left(self, name: str) -> bool:
        return not self.running[name]

    def lane(self, name: str) -> str:
        return name

    def add(self, name: str, lane: str) -> None:
        del lane
        self.revive(name)

    @property
    def topology(self) -> Any:
        return SimpleNamespace(proof=Proof(drill=Drill("halt", "resume")))

    def say(self, word: str) -> "FakeSpeech":
        self.speeches.append(FakeSpeech(self.said, word))
        self.speeches[-1].revive(1)
        return self.speeches[-1]


@dataclass
class FakeSpeech:
    """A control being said; ends when it is made to."""

    said: list[tuple[str, str]]
    word: str
    exit_code: int | None = None

    def revive(self, restarts_max: int) -> bool:
        del restarts_max
        self.said.append(("operator", self.word))
        self.exit_code = None
        return True


@dataclass
class FakeServers:
    """A server that is back only when it is made to be."""

    state: str = "running"
    said: list[tuple[str, bool]] = field(default_factory=list)

    def take_down(self, name: str, *, politely: bool) -> None:
        self.said.append((name, politely))
        self.state = "stopped"

    def bring_back(self, name: str) -> None:
        self.said.append((name, True))

    def states(self) -> list[ServerState]:
        state: Any = self.state
        return [ServerState("kafka", "", True, state, 0, 1 if state == "running" else None)]


@dataclass
class FakeRepeater:
    """Notes which topics are repeated."""

    wanted: set[str] = field(default_factory=set)

    def begin(self, topic: str) -> None:
        self.wanted.add(topic)

    def end(self, topic: str) -> None:
        self.wanted.discard(topic)


def stage() -> Any:
    fakes: Any = (FakeFleet(), FakeServers(), FakeRepeater())
    return Stage(*fakes)


def test_a_fault_strikes_when_due_and_is_healed_after_its_time() -> None:
    on = stage()
    storm = Storm(on, [Planned(5.0, "worker killed", "w-1", 2.0)])

    for now_s in (0.0, 4.9, 5.1, 6.9):
        storm.step(now_s)
    assert on.fleet.said == [("w-1", "SIGKILL")]
    for now_s in (7.2, 7.3):
        storm.step(now_s)

    assert on.fleet.said == [("w-1", "SIGKILL"), ("w-1", "start")]
    assert storm.is_over
    (each,) = storm.happened
    assert (each.was_applied, each.injected_s, each.healed_s) == (True, 5.1, 7.3)
    assert each.counted_from_s == 5.1


def test_the_schedule_waits_for_a_worker_that_is_starting_and_all_else_with_it() -> None:
    on = stage()
    on.fleet.starting.add("w-1")
    storm = Storm(
        on, [Planned(5.0, "worker killed", "w-1", 2.0), Planned(8.0, "zombie", "w-2", 9.0)]
    )

    for now_s in (0.0, 5.0, 10.0, 15.0):
        storm.step(now_s)
    assert on.fleet.said == []
    on.fleet.starting.clear()
    for now_s in (16.0, 17.9):
        storm.step(now_s)
    assert on.fleet.said == [("w-1", "SIGKILL")]
    storm.step(18.0)

    assert on.fleet.said == [("w-1", "SIGKILL"), ("w-1", "start"), ("w-2", "SIGSTOP")]


def test_the_schedule_does_not_wait_for_ever() -> None:
    on = stage()
    on.fleet.starting.add("w-1")
    storm = Storm(on, [Planned(5.0, "worker killed", "w-1", 2.0)])

    for now_s in range(5 + int(limits.HOLD_S_MAX) + 2):
        storm.step(float(now_s))

    assert on.fleet.said == [("w-1", "SIGKILL")]


def test_a_zombie_is_stopped_and_goes_on() -> None:
    on = stage()
    storm = Storm(on, [Planned(0.0, "zombie", "w-2", 12.0)])

    for now_s in (0.0, 11.9, 12.0, 12.1):
        storm.step(now_s)

    assert on.fleet.said == [("w-2", "SIGSTOP"), ("w-2", "SIGCONT")]
    assert storm.is_over


def test_a_worker_that_is_gone_cannot_be_struck_and_holds_nothing_up() -> None:
    on = stage()
    on.fleet.running["w-1"] = False
    storm = Storm(on, [Planned(0.0, "worker left", "w-1", 5.0)])

    storm.step(1.0)

    assert storm.is_over
    assert not storm.happened[0].was_applied
    assert on.fleet.said == []


def test_a_worker_that_drains_is_started_again_only_when_it_has_ended() -> None:
    on = stage()
    storm = Storm(on, [Planned(0.0, "worker left", "w-1", 4.0)])

    for now_s in (0.0, 4.0, 5.0):
        storm.step(now_s)
    assert on.fleet.said == [("w-1", "SIGTERM")]
    on.fleet.running["w-1"] = False
    storm.step(6.0)

    assert on.fleet.said == [("w-1", "SIGTERM"), ("w-1", "start")]
    assert storm.happened[0].healed_s == 6.0


def test_recovery_from_an_outage_counts_from_when_the_server_answers_again() -> None:
    on = stage()
    storm = Storm(on, [Planned(0.0, "broker killed", "kafka", 2.0)])

    for now_s in (0.0, 2.0, 4.0):
        storm.step(now_s)
    assert not storm.is_over
    on.servers.state = "running"
    storm.step(9.0)

    assert storm.happened[0].counted_from_s == 9.0
    assert on.servers.said == [("kafka", False), ("kafka", True)]


def test_an_extra_worker_joins_and_leaves() -> None:
    on = stage()
    storm = Storm(on, [Planned(0.0, "worker joined", "w", 8.0)])

    for now_s in (0.0, 8.0):
        storm.step(now_s)
    on.fleet.running["w-extra"] = False
    storm.step(9.0)

    assert on.fleet.said == [("w-extra", "start"), ("w-extra", "SIGTERM")]
    assert storm.is_over


def test_records_are_repeated_for_the_time_of_the_fault() -> None:
    on = stage()
    storm = Storm(on, [Planned(0.0, "replies repeated", "report.v1", 4.0)])

    storm.step(0.0)
    assert on.repeater.wanted == {"report.v1"}
    storm.step(4.0)
    assert on.repeater.wanted == set()


def test_a_control_is_taken_back_once_it_was_said_and_again_if_that_failed() -> None:
    on = stage()
    storm = Storm(on, [Planned(0.0, "control said", "halt", 4.0)])

    for now_s in (0.0, 4.0, 4.1):
        storm.step(now_s)
    assert on.fleet.said == [("operator", "halt")]
    on.fleet.speeches[0].exit_code = 0
    storm.step(4.2)
    on.fleet.speeches[1].exit_code = 1
    storm.step(4.3)
    assert not storm.is_over
    on.fleet.speeches[1].exit_code = 0
    storm.step(4.4)

    assert on.fleet.said == [("operator", w) for w in ("halt", "resume", "resume")]
    assert storm.is_over


def test_a_storm_that_is_given_up_leaves_nothing_stopped() -> None:
    on = stage()
    storm = Storm(on, [Planned(0.0, "zombie", "w-1", 12.0), Planned(50.0, "zombie", "w-2", 12.0)])
    storm.step(0.0)

    storm.heal_all()

    assert on.fleet.said == [("w-1", "SIGSTOP"), ("w-1", "SIGCONT")]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_every_kind_has_a_name_of_its_own_and_a_target(kind: Any) -> None:
    roster = Roster(
        {"w": ("w-1", "w-2")}, source="frame.v1", repeatable=("report.v1",), drill="halt"
    )

    assert isinstance(fault_of(kind.name), kind)
    assert kind.targets(roster)
    assert 0 <= kind.length_s[0] <= kind.length_s[1]
