"""When a merge has waited too long, it is asked where the logs end, and remembered."""

from collections.abc import Sequence
from typing import Any

from headrace import limits
from headrace.errors import TransientError
from headrace.kafka.fetched import Offsets, Place
from headrace.runtime.gaps import GapWatch
from headrace.runtime.merge import NOT_ASKED

LATE_S = limits.MERGE_WAIT_S_MAX + 1
PARTITION = 3


class Broker:
    """Logs that grow, and a count of the questions for their ends."""

    def __init__(self) -> None:
        self.ends = {"left": 10, "right": 20}
        self.questions = 0
        self.is_away = False

    def __call__(self, places: Sequence[Place]) -> Offsets:
        self.questions += 1
        if self.is_away:
            raise TransientError("away")
        assert {partition for _, partition in places} == {PARTITION}
        return {(topic, PARTITION): self.ends[topic] for topic, _ in places}


class FakeTask:
    """A task whose merge misses a record since time 0."""

    def __init__(self) -> None:
        self.read_to: dict[str, int] = {"left": 10}
        self.chain: Any = self

    def misses(self, now_s: float, asked_s: float) -> list[str]:
        is_unknown = asked_s < limits.MERGE_WAIT_S_MAX < now_s
        return ["left", "right"] if is_unknown else []


def test_nothing_is_asked_before_a_merge_waits_too_long() -> None:
    broker = Broker()

    assert GapWatch(broker).look(PARTITION, FakeTask(), 1.0) == NOT_ASKED  # type: ignore[arg-type]
    assert broker.questions == 0


def test_a_log_counts_as_read_once_it_was_read_to_where_it_ended_when_asked() -> None:
    broker, task = Broker(), FakeTask()
    watch = GapWatch(broker)

    first = watch.look(PARTITION, task, LATE_S)  # type: ignore[arg-type]
    broker.ends["right"] = 1_000
    task.read_to["right"] = 20
    second = watch.look(PARTITION, task, LATE_S + 5)  # type: ignore[arg-type]

    assert (first.asked_s, first.topics) == (LATE_S, {"left"})
    assert (second.asked_s, second.topics) == (LATE_S, {"left", "right"})
    assert broker.questions == 1


def test_while_nobody_answers_nothing_counts_as_read_and_it_is_asked_again_later() -> None:
    broker, task = Broker(), FakeTask()
    broker.is_away = True
    watch = GapWatch(broker)

    away = watch.look(PARTITION, task, LATE_S)  # type: ignore[arg-type]
    watch.look(PARTITION, task, LATE_S + 1)  # type: ignore[arg-type]

    assert away.topics == set()
    assert broker.questions == 1


def test_an_answer_is_not_kept_for_the_next_time_the_partition_is_ours() -> None:
    broker, task = Broker(), FakeTask()
    watch = GapWatch(broker)
    watch.look(PARTITION, task, LATE_S)  # type: ignore[arg-type]

    watch.forget(PARTITION)

    assert watch.look(PARTITION, task, 1.0) == NOT_ASKED  # type: ignore[arg-type]
