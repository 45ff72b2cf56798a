"""Two versions of a graph on real Kafka: replayed beside the main line, compared, taken over."""

import json
from pathlib import Path
from typing import Any

import pytest

from headrace.kafka.admin import Admin
from headrace.servers import Servers
from tests.integration import peaks_run as run
from tests.integration import sample_run as sample

pytestmark = pytest.mark.long

TICKS_A_PEAK, OTHER_TICKS_A_PEAK = 10, 15


class Main:
    """The main line on a Kafka of its own, with 700 ticks done, and commands on it."""

    def __init__(self, bootstrap: str, home: Path) -> None:
        self.bootstrap = bootstrap
        self.home = home
        self.new = run.changed_project(
            home / "new", f"TICKS_A_PEAK = {TICKS_A_PEAK}", f"TICKS_A_PEAK = {OTHER_TICKS_A_PEAK}"
        )
        run.make_topics(bootstrap)
        self.ticks = 0
        self.go_on(700)

    def go_on(self, ticks: int, project: Path = run.PROJECT) -> None:
        """Have the main line process so many ticks more."""
        sample.send_ticks(self.bootstrap, sample.ticks(ticks, first=self.ticks))
        self.ticks += ticks
        run.run_until_done(self.bootstrap, self.home, project)

    def told(self, *arguments: str, project: Path = run.PROJECT, code: int = 0) -> Any:
        """Return what a command says as JSON."""
        return json.loads(self.done(*arguments, "--json", project=project, code=code))

    def done(self, *arguments: str, project: Path = run.PROJECT, code: int = 0) -> str:
        """Return what a command prints, on both ways out."""
        found = run.headrace(self.bootstrap, self.home, *arguments, project=project)
        assert found.returncode == code, found.stderr
        return found.stdout if code in {0, 1} else found.stderr


@pytest.fixture
def main(own_servers: Servers, tmp_path: Path) -> Main:
    return Main(own_servers.endpoints.kafka, tmp_path)


def test_a_version_is_compared_and_takes_over_where_the_main_line_ended(main: Main) -> None:
    replayed = main.told("replay", "peaks", "--version=same")
    main.told("replay", "peaks", "--version=next", project=main.new)
    again = main.done("replay", "peaks", "--version=next", code=2)
    same = main.told("versions", "compare", "peaks", "main", "same")
    other = main.told("versions", "compare", "peaks", "main", "next", code=1)

    assert replayed["read"] == {sample.TICK_TOPIC: 700}
    assert replayed["written"] == {"sample.tally.v1.same": 700, "sample.peak.v1.same": 70}
    assert "expected a new version, found state in headrace.peaks.next.tally" in again
    assert run.peaks(main.bootstrap) == run.expected_peaks(700)
    assert [(t["equal"], t["outside"]) for t in same["topics"]] == [(700, 0), (70, 0)]
    tallies, peaks = other["topics"]
    assert (tallies["equal"], tallies["differing"], tallies["only_left"]) == (700, 0, 0)
    assert (peaks["equal"], peaks["differing"], peaks["only_left"]) == (0, 42, 28)
    assert peaks["differences"][0]["left"]["sequence"] == TICKS_A_PEAK

    main.go_on(700)
    switched = main.done("versions", "switch", "peaks", "next", "--yes", project=main.new)
    main.go_on(700, main.new)

    assert "next reads 700 offsets more" in switched
    assert run.peaks(main.bootstrap) == sorted(expected_after_the_switch(1_400, 2_100))
    assert {row["version"] for row in main.told("versions", "list", "peaks")} == {
        "main", "next", "same",
    }  # fmt: skip
    for version in ("same", "next"):
        main.done("versions", "drop", "peaks", version, "--yes")
    sample.wait_for("topics gone", lambda: not version_topics(main, "same", "next"))


def version_topics(main: Main, *versions: str) -> list[str]:
    """Return the topics whose names have one of these in them."""
    names = Admin(main.bootstrap).partitions()
    return [name for name in names if not set(versions).isdisjoint(name.split("."))]


def expected_after_the_switch(switched: int, count: int) -> list[tuple[str, int, int, int]]:
    """Return the peaks of ticks before the switch by the old code, of those behind by the new.

    The first behind it tells what was traded since the last of the new code's, which only the
    version has written.
    """
    last = switched // 7
    old = [row for row in run.expected_peaks(count) if row[1] <= last]
    new = run.expected_peaks(count, every=OTHER_TICKS_A_PEAK)
    return old + [row for row in new if row[1] > last]


def test_a_range_is_replayed_and_nothing_behind_it(main: Main) -> None:
    whole = main.told("replay", "peaks", "--version=a", "--from=0", "--to=20", "--steps=tally")
    middle = main.told("replay", "peaks", "--version=b", "--from=5", "--to=20", "--steps=tally")

    partitions = whole["read"][sample.TICK_TOPIC] // 20
    assert 1 <= partitions <= 4
    assert middle["read"] == {sample.TICK_TOPIC: 15 * partitions}
    assert middle["written"] == {"sample.tally.v1.b": 15 * partitions}
    with run.worker(main.bootstrap, main.home, run.PROJECT, "--version=b", "--step=tally") as going:
        going.wait_until_ready()
        refused = main.done("versions", "drop", "peaks", "b", "--yes", code=2)
        sample.wait_for("all ticks", lambda: lag(main, "b") == 0)
        assert going.end() == 0
    ahead = main.done("versions", "list", "peaks", "--json")

    assert "headrace.peaks.b.tally has 1" in refused
    assert len(run.records(main.bootstrap, "sample.tally.v1.b", "tally.v1")) == 700 - 5 * partitions
    assert json.loads(ahead)[-1]["lag"] == 0


def lag(main: Main, version: str) -> int:
    """Return how far a version of the first step is behind."""
    rows = main.told("versions", "list", "peaks")
    return sum(row["lag"] for row in rows if row["version"] == version)
