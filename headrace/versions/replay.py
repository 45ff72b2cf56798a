"""A range of the input once more, by a version, as fast as it goes, in this process."""

import os
import signal
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Event
from time import monotonic

from headrace import limits
from headrace.errors import TransientError
from headrace.kafka.fetched import Offsets, Place
from headrace.kafka.offsets import OffsetQuery
from headrace.runtime.app import HeadraceApp, is_ready, run_worker
from headrace.runtime.intake import Intake
from headrace.versions.chains import KeptChain, input_places

CHECK_S = 0.2
"""How often it is looked at how far a replay is."""

SETTLED_CHECKS = 2
"""How often in a row nothing may be left: a step may write what one before it reads."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a replay has done: records read, and those still held back, by topic.

    `is_done` says whether it came to its end before somebody ended it.
    """

    is_done: bool
    read: Mapping[str, int]
    held: Mapping[str, int]


def replay(
    app: HeadraceApp, bootstrap: str, chains: Sequence[KeptChain], ends: Mapping[str, Offsets]
) -> Replayed:
    """Run a worker's app until its chains have read their inputs to `ends`, and all comes of it.

    The app's assembly was given the same `ends`, by group.

    What a merge still holds back then, because what it waits for lies behind the ends, counts as
    not read.
    Raises:  TransientError if nothing moves for `REPLAY_STILL_S_MAX`; what made a lane fail.
    """
    progress = Progress(bootstrap, chains, ends)
    intakes = [service.lane.intake for service in app.lane_services]
    ended = Event()

    def watch() -> bool:
        return _until_done(progress, lambda: is_ready(app), intakes, ended)

    with ThreadPoolExecutor(1, "replay-end") as watching:
        is_done = watching.submit(watch)
        is_done.add_done_callback(lambda _: None if ended.is_set() else _end_worker())
        try:
            run_worker(app)
        finally:
            ended.set()
    read: Counter[str] = Counter()
    held: Counter[str] = Counter()
    for intake in intakes:
        read += intake.records
        for (topic, _), count in intake.held.items():
            held[topic] += count
    return Replayed(is_done.result(), read, held)


class Progress:
    """How far chains are from the ends of what they read, as Kafka has it.

    Their inputs end at `ends`, by group; what they write and read themselves, where it ends.
    """

    def __init__(
        self, bootstrap: str, chains: Sequence[KeptChain], ends: Mapping[str, Offsets]
    ) -> None:
        self._ends = ends
        self._logs = OffsetQuery(bootstrap)
        self._chains = [(chain, OffsetQuery(bootstrap, chain.group)) for chain in chains]
        self.given = frozenset(input_places(chains)[0])

    def left(self) -> dict[Place, int]:
        """Return by place how many offsets are not done with; nothing of those that have none."""
        found: dict[Place, int] = {}
        for chain, group in self._chains:
            # In flow order, ends first: what is read to its end was written by who has ended.
            inner = [place for place in chain.places if place not in self.given]
            ends = self._logs.ends(inner)
            ends |= self._ends[chain.group]
            committed = group.committed(chain.places)
            for place, end in ends.items():
                if (offsets := end - committed.get(place, 0)) > 0:
                    found[place] = max(offsets, found.get(place, 0))
        return found

    def close(self) -> None:
        """Disconnect."""
        self._logs.close()
        for _, group in self._chains:
            group.close()


def _until_done(
    progress: Progress, is_up: Callable[[], bool], intakes: Sequence[Intake], ended: Event
) -> bool:
    """Wait until nothing is left; return False if the worker ends before."""
    moved_at_s, settled = monotonic(), 0
    before: Mapping[Place, int] | None = None
    try:
        while not ended.wait(CHECK_S):
            left = progress.left() if is_up() else None
            if left != before:
                moved_at_s, before = monotonic(), left
            still_s = monotonic() - moved_at_s
            if left is not None and still_s >= limits.REPLAY_HELD_S:
                left = _not_held(left, progress, intakes)
            settled = settled + 1 if left == {} else 0
            if settled == SETTLED_CHECKS:
                return True
            if still_s > limits.REPLAY_STILL_S_MAX:
                raise TransientError(_words(left, still_s))
    finally:
        progress.close()
    return False


def _not_held(
    left: Mapping[Place, int], progress: Progress, intakes: Sequence[Intake]
) -> dict[Place, int]:
    """Leave out the inputs that are read, and wait in a merge for what lies behind their ends."""
    held = {place for intake in intakes for place, count in intake.held.items() if count}
    return {
        place: offsets
        for place, offsets in left.items()
        if not (place in held and place in progress.given)
    }


def _words(left: Mapping[Place, int] | None, still_s: float) -> str:
    if left is None:
        return f"replay: expected its steps ready within {still_s:.0f} s; the log above says more"
    (topic, partition), offsets = next(iter(left.items()))
    return (
        f"replay: expected it to get on, found {offsets} offsets of topic {topic}, partition "
        f"{partition} not done with for {still_s:.0f} s; a transaction may be open there, or "
        "another worker of the version at work"
    )


def _end_worker() -> None:
    """Ask this process's worker to finish, as its supervisor would."""
    os.kill(os.getpid(), signal.SIGTERM)
