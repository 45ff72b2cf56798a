"""When a replay is over: nothing left twice in a row, or nothing but what merges hold back."""

from collections.abc import Mapping
from threading import Event
from types import SimpleNamespace
from typing import Any

import pytest

from headrace import limits
from headrace.errors import TransientError
from headrace.kafka.fetched import Place
from headrace.versions import replay
from headrace.versions.replay import _until_done

GIVEN, INNER = ("t.in.v1", 0), ("t.inner.v1", 0)


class FakeProgress:
    """What is left at one look after the other; the last stays."""

    given = frozenset({GIVEN})

    def __init__(self, *left: Mapping[Place, int]) -> None:
        self._left = list(left)
        self.looks = 0
        self.is_closed = False

    def left(self) -> Mapping[Place, int]:
        self.looks += 1
        return self._left.pop(0) if len(self._left) > 1 else self._left[0]

    def close(self) -> None:
        self.is_closed = True


def until_done(progress: FakeProgress, *, held: Place | None = None, ended: bool = False) -> bool:
    intake: Any = SimpleNamespace(held={} if held is None else {held: 3})
    event = Event()
    if ended:
        event.set()
    return _until_done(progress, lambda: True, [intake], event)  # type: ignore[arg-type]  # a fake


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay, "CHECK_S", 0.0)


def test_it_is_over_when_nothing_is_left_twice_in_a_row() -> None:
    progress = FakeProgress({GIVEN: 2}, {}, {INNER: 1}, {}, {})

    assert until_done(progress)
    assert (progress.looks, progress.is_closed) == (5, True)


def test_it_is_not_done_when_somebody_ends_it() -> None:
    progress = FakeProgress({GIVEN: 2})

    assert not until_done(progress, ended=True)
    assert progress.is_closed


def test_what_a_merge_holds_of_an_input_is_left_once_nothing_moves(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, "REPLAY_HELD_S", 0.0)

    assert until_done(FakeProgress({GIVEN: 2}), held=GIVEN)


@pytest.mark.parametrize("held", [None, INNER])
def test_what_nobody_holds_or_a_step_before_wrote_is_waited_for_and_named(
    monkeypatch: pytest.MonkeyPatch, held: Place | None
) -> None:
    monkeypatch.setattr(limits, "REPLAY_HELD_S", 0.0)
    monkeypatch.setattr(limits, "REPLAY_STILL_S_MAX", 0.0)

    with pytest.raises(TransientError, match=r"1 offsets of topic t\.inner\.v1, partition 0"):
        until_done(FakeProgress({INNER: 1}), held=held)
