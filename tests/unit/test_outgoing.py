"""What waits is sent in order, in batches that stay the same until they are acknowledged."""

from headrace.kafka.batch_writing import Rows, rows_of
from headrace.kafka.outgoing import BATCH_BYTES_MAX, Outgoing, Sent
from headrace.kafka.produce_wire import Producer

PLACE = ("a.v1", 0)
OTHER = ("a.v1", 1)
WRITER = Producer(1, 0)


def rows(count: int, size: int = 4) -> Rows:
    values = [b"x" * size] * count
    return rows_of(values, values, 5)


def sent_of(outgoing: Outgoing) -> Sent:
    sent = outgoing.lines[PLACE].fill()
    assert sent is not None
    return sent


def test_what_came_in_several_pieces_goes_out_in_one() -> None:
    outgoing = Outgoing()
    for count in (2, 3):
        outgoing.add(PLACE, rows(count), 0.0)

    sent = sent_of(outgoing)

    assert len(sent.rows) == outgoing.records == 5
    assert sent.sequence == 0


def test_until_it_is_acknowledged_the_same_batch_is_sent_again() -> None:
    outgoing = Outgoing()
    outgoing.add(PLACE, rows(2), 0.0)
    first = sent_of(outgoing).seal(WRITER, is_transactional=False)
    outgoing.add(PLACE, rows(3), 1.0)

    again = sent_of(outgoing).seal(WRITER, is_transactional=False)

    assert again is first


def test_what_follows_an_acknowledged_batch_counts_on_from_it() -> None:
    outgoing = Outgoing()
    outgoing.add(PLACE, rows(2), 0.0)
    sent = sent_of(outgoing)
    outgoing.add(PLACE, rows(3), 0.0)

    outgoing.done(PLACE, sent, 7.0)

    assert outgoing.records == 3
    assert sent_of(outgoing).sequence == 2
    assert outgoing.lines[PLACE].since_s == 7.0


def test_a_batch_is_bounded_but_for_a_record_that_is_larger() -> None:
    outgoing = Outgoing()
    outgoing.add(PLACE, rows(3, BATCH_BYTES_MAX), 0.0)
    outgoing.add(OTHER, rows(100_000), 0.0)

    large, many = sent_of(outgoing), outgoing.lines[OTHER].fill()

    assert len(large.rows) == 1
    assert many is not None
    assert 0 < many.rows.bytes <= BATCH_BYTES_MAX


def test_what_is_dropped_is_not_acknowledged_later() -> None:
    outgoing = Outgoing()
    outgoing.add(PLACE, rows(2), 0.0)
    sent = sent_of(outgoing)
    outgoing.add(OTHER, rows(1), 0.0)

    dropped = outgoing.drop([PLACE])
    outgoing.done(PLACE, sent, 1.0)

    assert dropped == 2
    assert outgoing.records == 1
    assert outgoing.busy() == [OTHER]
    assert outgoing.lines[PLACE].sequence == 0


def test_nothing_left_is_nothing_that_waits() -> None:
    outgoing = Outgoing()
    outgoing.add(PLACE, rows(50_000, 60), 0.0)
    while outgoing.busy():
        outgoing.done(PLACE, sent_of(outgoing), 1.0)

    assert (outgoing.records, outgoing.bytes) == (0, 0)
    assert outgoing.lines[PLACE].sequence == 50_000


def test_the_sequence_goes_on_from_0_as_kafka_has_it() -> None:
    outgoing = Outgoing()
    outgoing.add(PLACE, rows(3), 0.0)
    outgoing.lines[PLACE].sequence = 2**31 - 2

    outgoing.done(PLACE, sent_of(outgoing), 1.0)

    assert outgoing.lines[PLACE].sequence == 1


def test_a_new_producer_begins_from_the_first_sequence() -> None:
    outgoing = Outgoing()
    outgoing.add(PLACE, rows(2), 0.0)
    outgoing.done(PLACE, sent_of(outgoing), 1.0)

    outgoing.begin()
    outgoing.add(PLACE, rows(2), 0.0)

    assert sent_of(outgoing).sequence == 0
