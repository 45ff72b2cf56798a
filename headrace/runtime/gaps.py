"""Finds out whether what a merge misses can still come: by where the logs end."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import inf

import structlog

from headrace import limits
from headrace.errors import TransientError
from headrace.kafka.fetched import Offsets, Place
from headrace.runtime.merge import ReadOut
from headrace.runtime.task import Task

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Answer:
    """Where a task's logs ended at a time (monotonic); nothing is known before it was asked."""

    asked_s: float = -inf
    ends: dict[str, int] = field(default_factory=dict)


class GapWatch:
    """Asks for the ends of a task's logs when one of its merges has waited too long.

    Seldom: once for each record that is missed, and no sooner again than after
    `MERGE_WAIT_S_MAX`. `ends` counts what open transactions have written.
    """

    def __init__(self, ends: Callable[[Sequence[Place]], Offsets]) -> None:
        self._ends = ends
        self._answers: dict[int, _Answer] = {}

    def look(self, partition: int, task: Task, now_s: float) -> ReadOut:
        """Return which logs a task has read to where they ended when that was last asked."""
        answer = self._answers.get(partition, _Answer())
        if now_s - answer.asked_s > limits.MERGE_WAIT_S_MAX:
            topics = task.chain.misses(now_s, answer.asked_s)
            if topics:
                answer = self._answers[partition] = self._ask(partition, topics, now_s)
        reached = (t for t, end in answer.ends.items() if task.read_to.get(t, 0) >= end)
        return ReadOut(answer.asked_s, frozenset(reached))

    def forget(self, partition: int) -> None:
        """Forget a task that is somebody else's now."""
        self._answers.pop(partition, None)

    def _ask(self, partition: int, topics: Sequence[str], now_s: float) -> _Answer:
        try:
            ends = self._ends([(topic, partition) for topic in topics])
        except TransientError as error:
            # The record is waited for: it may well be there.
            log.warning("gap_unknown", partition=partition, topics=topics, error=str(error))
            return _Answer(now_s)
        log.warning("gap_waits", partition=partition, ends={t: e for (t, _), e in ends.items()})
        return _Answer(now_s, {topic: end for (topic, _), end in ends.items()})
