"""Workers come, go, hang and come back: every record counts once, and little moves."""

import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from headrace.kafka.admin import Admin
from headrace.runtime.topics import plans
from headrace.servers import Servers
from headrace.settings import Settings
from tests.integration import sample_run as sample
from tests.integration.test_worker import expected_trades, last_trades, vwap_topology

pytestmark = pytest.mark.long

ALL = set(range(sample.PARTITIONS))


@pytest.fixture
def bootstrap(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    home = tmp_path_factory.mktemp("home")
    with Servers(Settings.load(home=home, kafka=None), only=frozenset({"kafka"})) as running:
        Admin(running.endpoints.kafka).ensure(plans(vwap_topology()))
        yield running.endpoints.kafka


class Fleet:
    """Workers of one lane, by name."""

    def __init__(self, bootstrap: str, home: Path, stack: ExitStack) -> None:
        self._bootstrap = bootstrap
        self._home = home
        self._stack = stack
        self.workers: dict[str, sample.WorkerProcess] = {}

    def start(self, name: str, **settings: str) -> sample.WorkerProcess:
        """Start a worker and wait until it is ready."""
        settings = {"instance": name, "session_timeout_ms": "3000"} | settings
        running = self._stack.enter_context(
            sample.worker(self._bootstrap, self._home / name, **settings)
        )
        self.workers[name] = running
        running.wait_until_ready()
        return running

    def settle(self) -> None:
        """Wait until the workers share all partitions and every tick is processed."""
        sample.wait_for("all partitions owned", self._is_shared)
        sample.wait_for("all ticks done", lambda: sample.lag(self._bootstrap) == 0)

    def _is_shared(self) -> bool:
        alive = [w.partitions() for w in self.workers.values() if w.process.poll() is None]
        return sum(map(len, alive)) == len(ALL) and set().union(*alive) == ALL


@pytest.fixture
def fleet(bootstrap: str, tmp_path: Path) -> Iterator[Fleet]:
    with ExitStack() as stack:
        yield Fleet(bootstrap, tmp_path, stack)


def assert_each_counted_once(bootstrap: str, ticks: int) -> None:
    rows = sample.read_vwaps(bootstrap)
    counted = Counter((row["symbol"], row["trades"]) for row in rows)
    again = {key: count for key, count in counted.items() if count > 1}
    assert not again, f"{len(again)} counted again, from {min(again)} to {max(again)}"
    assert len(rows) == ticks
    assert last_trades(bootstrap) == expected_trades(ticks)


def test_a_killed_worker_is_replaced_and_what_it_left_open_does_not_count(
    bootstrap: str, fleet: Fleet
) -> None:
    first, second = fleet.start("a"), fleet.start("b")
    fleet.settle()
    for block in range(10):
        sample.send_ticks(bootstrap, sample.ticks(1_000, first=1_000 * block))
        if block == 4:
            first.end(signal.SIGKILL)
    fleet.settle()

    assert second.partitions() == ALL
    assert second.logged("producer_fenced")
    assert_each_counted_once(bootstrap, 10_000)


def test_a_worker_that_hung_beyond_its_session_is_fenced_and_doubles_nothing(
    bootstrap: str, fleet: Fleet
) -> None:
    hung, other = fleet.start("a"), fleet.start("b")
    fleet.settle()
    sample.send_ticks(bootstrap, sample.ticks(5_000))
    hung.process.send_signal(signal.SIGSTOP)
    sample.send_ticks(bootstrap, sample.ticks(5_000, first=5_000))
    sample.wait_for("the other has taken over", lambda: other.partitions() == ALL)
    sample.wait_for("all ticks done", lambda: sample.lag(bootstrap) == 0)
    hung.process.send_signal(signal.SIGCONT)
    sample.send_ticks(bootstrap, sample.ticks(2_000, first=10_000))
    sample.wait_for("all ticks done", lambda: sample.lag(bootstrap) == 0)

    assert_each_counted_once(bootstrap, 12_000)


def test_a_rolling_restart_of_named_workers_moves_nothing(bootstrap: str, fleet: Fleet) -> None:
    sample.send_ticks(bootstrap, sample.ticks(1_000))
    for name in "abc":
        fleet.start(name, session_timeout_ms="30000")
    fleet.settle()
    before = {name: worker.partitions() for name, worker in fleet.workers.items()}
    for name in "abc":
        assert fleet.workers[name].end(signal.SIGTERM) == 0
        fleet.workers[name].log.unlink()
        fleet.start(name, session_timeout_ms="30000")
        sample.send_ticks(bootstrap, sample.ticks(500, first=1_000 + 500 * "abc".index(name)))
    fleet.settle()

    assert {name: worker.partitions() for name, worker in fleet.workers.items()} == before
    assert_each_counted_once(bootstrap, 2_500)


def test_only_partitions_that_move_are_given_back_when_a_worker_joins(
    bootstrap: str, fleet: Fleet
) -> None:
    first = fleet.start("a")
    fleet.settle()
    sample.send_ticks(bootstrap, sample.ticks(1_000))
    fleet.start("b")
    fleet.settle()
    sample.send_ticks(bootstrap, sample.ticks(1_000, first=1_000))
    fleet.settle()

    given_back = [set(entry["partitions"]) for entry in first.logged("partitions_revoked")]
    assert len(given_back) == 1
    assert given_back[0] == ALL - first.partitions()
    assert_each_counted_once(bootstrap, 2_000)


def test_a_standby_has_the_state_on_its_disk_before_it_is_needed(
    bootstrap: str, fleet: Fleet
) -> None:
    first = fleet.start("a")
    second = fleet.start("b", standby="true")
    fleet.settle()
    sample.send_ticks(bootstrap, sample.ticks(5_000))
    fleet.settle()
    moved = first.partitions()
    first.end(signal.SIGKILL)
    sample.send_ticks(bootstrap, sample.ticks(1_000, first=5_000))
    fleet.settle()

    restored = {e["partition"]: e for e in second.logged("state_restored")}
    assert moved
    assert all(restored[partition]["was_standby"] for partition in moved)
    assert all(restored[partition]["records_read"] <= 50 for partition in moved)
    assert_each_counted_once(bootstrap, 6_000)


def test_more_workers_than_partitions_are_ready_and_wait(bootstrap: str, fleet: Fleet) -> None:
    for number in range(sample.PARTITIONS + 1):
        fleet.start(f"w{number}")
    sample.send_ticks(bootstrap, sample.ticks(500))
    fleet.settle()

    assert sorted(len(w.partitions()) for w in fleet.workers.values()) == [0, 1, 1, 1, 1]
    assert_each_counted_once(bootstrap, 500)


def test_state_tells_owner_lag_and_size_of_each_partition(bootstrap: str, fleet: Fleet) -> None:
    sample.send_ticks(bootstrap, sample.ticks(700))
    running = fleet.start("a")
    fleet.settle()
    running.end(signal.SIGTERM)
    sample.send_ticks(bootstrap, sample.ticks(70, first=700))

    told = sample.headrace(bootstrap, running.log.parent, "state", "vwap", "--json")

    assert {task["partition"] for task in told} == ALL
    assert {(task["owner"], task["is_released"]) for task in told} == {("a", True)}
    assert sum(task["lag_records"] for task in told) >= 70
    assert all(task["disk_bytes"] > 0 for task in told)
