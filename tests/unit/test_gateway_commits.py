"""What a gateway has written counts with its transaction, or is read and asked for again."""

import pytest

from headrace.errors import AbortedError
from tests.gateway_bench import PLACE, Bench
from tests.gateway_fakes import adopt, order


def test_idle_gateway_commits_nothing(bench: Bench) -> None:
    processor = bench.start()
    bench.send(processor, [order(1)])
    bench.venue.fill_all()
    bench.idle(processor, 2)
    commits = bench.log.commits

    bench.idle(processor, 20)

    assert bench.log.commits == commits


def test_the_group_is_told_how_far_it_is_by_the_transaction_alone(bench: Bench) -> None:
    """Told once more, outside of it, a late word could undo the next transaction's."""
    processor = bench.start()
    processor.process([], [], {PLACE: 7})

    assert processor.commit(None) == {}
    assert bench.log.offsets == {PLACE: 7}


def test_released_partition_is_committed_and_restored(bench: Bench) -> None:
    processor = bench.start()
    bench.send(processor, [order(1)])
    processor.release([0], None)
    bench.venue.fill_all()

    assert adopt(processor, 0) == {PLACE: 1}
    bench.idle(processor, 2)
    assert bench.log.sequences() == {"order-1": [1, 2]}


def test_aborted_intent_is_not_sent_and_read_again(bench: Bench) -> None:
    processor = bench.start()

    def refuse() -> None:
        bench.journal.before_commit = lambda: None
        raise AbortedError("the member was not known")

    bench.journal.before_commit = refuse
    with pytest.raises(AbortedError):
        bench.send(processor, [order(1)])
    sent = bench.venue.calls["send"]
    bench.starts = processor.rollback()
    bench.send(processor, [order(1)])

    assert sent == 0
    assert bench.venue.created == {"order-1": 1}
    assert bench.log.offsets == {PLACE: 1}


def test_order_whose_outcome_was_not_committed_is_asked_for(bench: Bench) -> None:
    processor = bench.start()
    commits = iter([True, False])

    def refuse_second() -> None:
        if not next(commits, True):
            raise AbortedError("the member was not known")

    bench.journal.before_commit = refuse_second
    with pytest.raises(AbortedError):
        bench.send(processor, [order(1)])
    bench.starts = processor.rollback()
    bench.venue.log.clear()  # nothing is pushed either
    bench.idle(processor, 3)

    assert bench.starts == {PLACE: 1}
    assert (bench.venue.calls["send"], bench.venue.calls["query"]) == (1, 1)
    assert bench.log.sequences() == {"order-1": [1]}


def test_partition_that_was_lost_again_is_not_adopted(bench: Bench) -> None:
    processor = bench.start()

    def refuse() -> None:
        raise AbortedError("the member was not known")

    bench.journal.before_commit = refuse

    with pytest.raises(AbortedError):
        processor.adopt(1, processor.restore(1, lambda: False), None)

    assert list(processor._desks) == [0]


def test_release_that_does_not_count_takes_the_others_back(bench: Bench) -> None:
    processor = bench.start()
    adopt(processor, 1)
    bench.send(processor, [order(1)])

    def refuse() -> None:
        raise AbortedError("the member was not known")

    bench.journal.before_commit = refuse

    assert processor.release([1], None) == {PLACE: 1}
    assert list(processor._desks) == [0]


def test_abandoned_partitions_are_dropped_without_a_commit(bench: Bench) -> None:
    processor = bench.start()
    bench.send(processor, [order(1)])
    commits = bench.log.commits

    processor.abandon()

    assert bench.log.commits == commits
    assert not processor.is_dirty
