"""`headrace reference load`: what it may be asked for, and that it goes on after a failure."""

import json
from collections.abc import Sequence
from threading import Event
from typing import Any

import pytest

from headrace import Source, Step, Topic, Topology, limits
from headrace.cli.reference import (
    _Teller,
    keep_loading,
    parse_pause,
    reference_of,
    require_source,
)
from headrace.errors import AbortedError, FencedError, TransientError, UsageError
from headrace.reference.load import Loaded
from headrace.reference.rows import RefusedRow

TRADE = Topic("s.trade.v1", "trade.v1", key=("symbol",))
ROW = Topic("s.row.v1", "row.v1", key=("symbol",), cleanup="compact", reference=True)


def never(*_: Any) -> Any:
    raise AssertionError("nobody runs it here")


def test_only_a_reference_topic_is_loaded() -> None:
    graph = Topology("s", Source(TRADE, never, ()), (Step("s", never, reads=(TRADE, ROW)),))

    assert reference_of(graph, "s.row.v1") == ROW
    with pytest.raises(UsageError, match=r"it has s\.row\.v1"):
        reference_of(graph, "s.trade.v1")


@pytest.mark.parametrize(
    ("text", "seconds"), [("1s", 1), ("30s", 30), ("5m", 300), ("24h", 86_400)]
)
def test_a_pause_is_read(text: str, seconds: float) -> None:
    assert parse_pause(text) == seconds


@pytest.mark.parametrize("text", ["", "30", "0s", "25h", "-1s", "1.5s", "1d", "9999999s"])
def test_another_pause_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--every"):
        parse_pause(text)


@pytest.mark.parametrize(
    ("source", "table"), [("postgres", None), ("rows.csv", "t"), ("rows.txt", None), ("mysql", "t")]
)
def test_what_rows_cannot_be_read_from_is_refused(source: str, table: str | None) -> None:
    with pytest.raises(UsageError, match="--from"):
        require_source(source, table)


class Loaders:
    """Opens loaders of which each load does what comes next of a script, and then stops it all."""

    def __init__(self, script: Sequence[Exception | None]) -> None:
        self.script = list(script)
        self.opened = 0
        self.stop = Event()

    def open(self) -> Any:
        self.opened += 1
        return self

    def load(self, rows: Sequence[Any]) -> Loaded:
        found = self.script.pop(0)
        if not self.script:
            self.stop.set()
        if found is not None:
            raise found
        return Loaded(len(rows))


def run(loaders: Loaders) -> list[Loaded]:
    told: list[Loaded] = []
    keep_loading(loaders.open, lambda: [{}], told.append, 0.0, loaders.stop)
    return told


def test_one_loader_is_used_for_as_long_as_it_works() -> None:
    loaders = Loaders([None, None, None])

    assert len(run(loaders)) == 3
    assert loaders.opened == 1


def test_after_a_failure_what_the_topic_holds_is_read_anew() -> None:
    loaders = Loaders([None, TransientError("away"), AbortedError("taken back"), None])

    assert len(run(loaders)) == 2
    assert loaders.opened == 3


def test_failures_in_a_row_end_it_and_others_do_not() -> None:
    away: list[Exception | None] = [TransientError("away")] * (limits.REFERENCE_FAILURES_MAX - 1)
    assert len(run(Loaders([*away, None, *away, None]))) == 2

    with pytest.raises(TransientError):
        run(Loaders([*away, TransientError("away"), None]))


def test_a_loader_that_another_has_taken_over_from_ends_at_once() -> None:
    loaders = Loaders([FencedError("another"), None])

    with pytest.raises(FencedError):
        run(loaders)
    assert loaders.opened == 1


def test_what_was_loaded_is_told_as_data(capsys: pytest.CaptureFixture[str]) -> None:
    tell = _Teller(ROW, as_json=True)

    tell(Loaded(3, 1, 1, [RefusedRow(2, "a/b", "field x: expected text, found int")]))

    assert json.loads(capsys.readouterr().out.splitlines()[-1]) == {
        "topic": "s.row.v1",
        "partitions": 8,
        "rows": 3,
        "changed": 1,
        "removed": 1,
        "refused": [{"number": 2, "key": "a/b", "detail": "field x: expected text, found int"}],
    }
    assert len(tell.refused) == 1
