"""What is not acknowledged is sent again as it was; nothing follows what is refused."""

import struct
from threading import Thread, current_thread
from time import sleep
from typing import Any

import pytest
from confluent_kafka import KafkaError

from headrace.kafka import produce_wire as wire
from headrace.kafka import sender as sender_module
from headrace.kafka.batch_writing import rows_of
from headrace.kafka.fetch_wire import Leaders
from headrace.kafka.produce_wire import Producer
from headrace.kafka.sender import Sender
from tests.sender_fakes import HERE, LEADERS, TOPIC, UNKNOWN, Cluster

WAIT_S = 20.0


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Cluster:
    found = Cluster()
    found.stand_in(monkeypatch)
    return found


def sender() -> Sender:
    return Sender("here:1", "test", None, 3.0)


def settled(cluster: Cluster) -> Sender:
    """Return a sender that knows the topic, so that nothing goes before it is pushed."""
    to = sender()
    assert to.partition_count(TOPIC) == 2
    cluster.requests.clear()
    return to


def add(to: Sender, value: bytes, partition: int = 0) -> None:
    to.add(TOPIC, rows_of([value], [None], 5), partition)


def test_what_is_added_soon_after_another_goes_with_it(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sender_module, "GATHER_S", WAIT_S)
    to = settled(cluster)
    for number in range(6):
        add(to, b"%d" % number, number % 2)
    to.push()

    assert to.flush(WAIT_S) == 0
    (request,) = cluster.requests
    assert request.keys() == {(TOPIC, 0), (TOPIC, 1)}


def test_what_a_push_follows_waits_for_it(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sender_module, "GATHER_S", 0.0)
    to = settled(cluster)
    for number in range(6):
        to.add(TOPIC, rows_of([b"%d" % number], [None], 5), number % 2, is_followed=True)
    sleep(0.1)
    assert cluster.requests == []
    to.push()

    assert to.flush(WAIT_S) == 0
    assert len(cluster.requests) == 1


def test_a_flush_sends_what_a_push_was_to_follow(cluster: Cluster) -> None:
    to = settled(cluster)
    to.add(TOPIC, rows_of([b"1"], [None], 5), 0, is_followed=True)

    assert to.flush(WAIT_S) == 0
    assert len(cluster.requests) == 1


def test_after_a_lost_answer_the_same_batch_is_sent_and_taken_once(cluster: Cluster) -> None:
    lost = ConnectionError("gone")
    duplicate = {0: int(KafkaError.DUPLICATE_SEQUENCE_NUMBER)}
    cluster.answers = lambda number: lost if number == 1 else duplicate
    to = sender()
    add(to, b"1")

    assert to.flush(WAIT_S) == 0
    assert to.take_failure() is None
    first, second = cluster.requests
    assert first == second


def test_a_partition_that_moved_is_asked_for_and_sent_again_alone(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sender_module, "GATHER_S", WAIT_S)
    moved = {1: int(KafkaError.NOT_LEADER_FOR_PARTITION)}
    cluster.answers = lambda number: moved if number == 1 else {}
    to = settled(cluster)
    add(to, b"1", 0)
    add(to, b"2", 1)

    assert to.flush(WAIT_S) == 0
    first, second = cluster.requests
    assert second == {(TOPIC, 1): first[TOPIC, 1]}
    assert cluster.asked_for_leaders == 2


def test_what_is_refused_is_told_once_and_nothing_that_waited_follows(cluster: Cluster) -> None:
    cluster.answers = lambda number: {0: int(KafkaError.MSG_SIZE_TOO_LARGE)} if number == 1 else {}
    to = sender()
    add(to, b"1", 0)

    assert to.flush(WAIT_S) == 0
    failure = to.take_failure()
    assert failure is not None
    assert "topic a.v1, partition 0: 1 records refused" in str(failure)
    assert to.take_failure() is None
    add(to, b"2", 0)
    assert to.flush(WAIT_S) == 0
    first, second = (request[TOPIC, 0] for request in cluster.requests)
    # Another producer, whose first record it is: whether the broker had the other is not known.
    assert first[43:57] != second[43:57]
    assert second[53:57] == bytes(4)


def test_what_is_added_before_a_failure_was_heard_does_not_overtake_what_failed(
    cluster: Cluster,
) -> None:
    cluster.answers = lambda number: {0: int(KafkaError.MSG_SIZE_TOO_LARGE)} if number == 1 else {}
    to = settled(cluster)
    add(to, b"1", 0)
    assert to.flush(WAIT_S) == 0

    add(to, b"2", 0)

    assert to.records == 0
    assert to.take_failure() is not None
    assert to.flush(WAIT_S) == 0
    assert len(cluster.requests) == 1


class Pauses:
    """Notes whose each pause before another try is, and makes it short."""

    def __init__(self) -> None:
        self.threads: list[Thread] = []

    def uniform(self, least: float, most: float) -> float:
        assert 0 < least < most
        self.threads.append(current_thread())
        return least


def test_a_partition_without_a_leader_is_asked_for_with_pauses(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses = Pauses()
    monkeypatch.setattr(sender_module, "_chance", pauses)
    nobody = Leaders({1: HERE}, {(TOPIC, 1): 1}, frozenset(), {TOPIC: 2})
    to = settled(cluster)
    cluster.answers = lambda number: (
        {0: int(KafkaError.NOT_LEADER_FOR_PARTITION)} if number == 1 else {}
    )
    asked_before = cluster.asked_for_leaders
    cluster.known = [nobody] * (asked_before + 4) + [LEADERS]
    add(to, b"1", 0)

    assert to.flush(WAIT_S) == 0
    assert cluster.asked_for_leaders - asked_before == 5
    # One after each try that was in vain: the refusal, and four questions. Senders of other tests
    # may still ask for their topics.
    mine = to._thread
    assert pauses.threads.count(mine) == 5


def test_a_topic_the_cluster_does_not_have_is_told(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sender_module.limits, "REQUEST_TIMEOUT_S", 0.3)
    cluster.known = [UNKNOWN]
    to = sender()
    add(to, b"1")

    assert to.flush(WAIT_S) == 0
    assert "create it with" in str(to.take_failure())
    assert not cluster.requests


def test_how_many_partitions_there_are_is_asked_over_an_outage(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sender_module.limits, "REQUEST_TIMEOUT_S", 0.0)
    cluster.known = [ConnectionError("gone"), ConnectionError("gone"), LEADERS]

    assert sender().partition_count(TOPIC) == 2


def test_a_topic_that_is_none_has_no_partitions(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sender_module.limits, "REQUEST_TIMEOUT_S", 0.3)
    monkeypatch.setattr(sender_module, "_LOOK_S", 0.05)
    cluster.known = [UNKNOWN]

    assert sender().partition_count(TOPIC) is None


def test_what_takes_too_long_is_given_up(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sender_module.limits, "RECONNECT_S_MAX", 0.05)
    cluster.answers = lambda _: ConnectionError("gone")
    to = Sender("here:1", "test", None, 0.3)
    add(to, b"1")

    assert to.flush(WAIT_S) == 0
    failure = to.take_failure()
    assert failure is not None
    assert failure.code == KafkaError.REQUEST_TIMED_OUT
    assert len({request[TOPIC, 0] for request in cluster.requests}) == 1


def test_a_fault_of_the_thread_is_raised_by_who_waits_for_it(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: Any, __: Any) -> Any:
        raise ZeroDivisionError("broken")

    monkeypatch.setattr(wire, "produce_body", broken)
    to = sender()
    add(to, b"1")

    with pytest.raises(ZeroDivisionError):
        to.flush(WAIT_S)
    assert not cluster.requests


def test_a_thread_without_work_ends_and_another_goes_on(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sender_module, "IDLE_S", 0.05)
    to = sender()
    add(to, b"1")
    assert to.flush(WAIT_S) == 0
    thread = to._thread
    if thread is not None:
        thread.join(WAIT_S)

    add(to, b"2")

    assert to.flush(WAIT_S) == 0
    assert [int.from_bytes(r[TOPIC, 0][53:57], "big") for r in cluster.requests] == [0, 1]


def test_no_more_waits_than_may(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sender_module.limits, "PRODUCER_RECORDS_MAX", 3)
    monkeypatch.setattr(sender_module, "GATHER_S", WAIT_S)
    to = settled(cluster)
    add(to, b"1")

    assert to.wait_for_room(2, 0.0)
    assert not to.wait_for_room(3, 0.05)
    to.push()
    assert to.wait_for_room(3, WAIT_S)


def test_in_a_transaction_what_failed_stays_failed_until_it_is_dropped(cluster: Cluster) -> None:
    cluster.answers = lambda _: {0: int(KafkaError.INVALID_PRODUCER_EPOCH)}
    to = Sender("here:1", "test", "named", 3.0)
    to.begin(Producer(9, 4))
    add(to, b"1")
    assert to.flush(WAIT_S) == 0

    assert to.take_failure() is not None
    assert to.take_failure() is not None
    to.drop()
    assert to.take_failure() is None


def test_nothing_starves_behind_what_is_larger_than_a_request(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sender_module.limits, "PRODUCE_BYTES_MAX", 1)
    to = sender()
    for number in range(4):
        add(to, b"%d" % number, number % 2)

    assert to.flush(WAIT_S) == 0
    assert [len(request) for request in cluster.requests] == [1] * len(cluster.requests)
    assert {place for request in cluster.requests[:2] for place in request} == {
        (TOPIC, 0),
        (TOPIC, 1),
    }


def test_in_a_transaction_what_is_dropped_is_not_sent(cluster: Cluster) -> None:
    to = Sender("here:1", "test", "named", 3.0)
    to.begin(Producer(9, 4))
    add(to, b"lost")
    to.drop()
    add(to, b"kept")

    assert to.flush(WAIT_S) == 0
    assert to.has_sent
    assert len(cluster.requests[-1]) == 1
    assert cluster.requests[-1][TOPIC, 0][43:53] == struct.pack(">qh", 9, 4)
