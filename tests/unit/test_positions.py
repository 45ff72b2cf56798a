"""What is taken of what was fetched: in order, once, and nothing of what is read no more."""

import numpy as np
import pyarrow as pa

from headrace.byte_column import ByteColumn
from headrace.kafka.fetched import Place, RawPart
from headrace.kafka.positions import Positions

A, B = ("topic", 0), ("topic", 1)


def part(place: Place, first: int, count: int) -> RawPart:
    offsets = np.arange(first, first + count)
    values = ByteColumn(pa.array([b"%d" % offset for offset in offsets], pa.binary()))
    return RawPart(*place, values, values, offsets, np.zeros_like(offsets))


def reading(*places: Place) -> Positions:
    positions = Positions()
    positions.start(dict.fromkeys(places, 0))
    return positions


def add(positions: Positions, place: Place, first: int, count: int, end: int) -> None:
    number = positions.by_place[place].reading
    positions.add(place, number, part(place, first, count), first + count, end)


def taken(positions: Positions, rows: int) -> list[tuple[Place, list[int]]]:
    return [(each.place, each.offsets.tolist()) for each in positions.take(rows).parts]


def test_what_came_first_is_taken_first_and_cut_where_it_is_too_much() -> None:
    positions = reading(A, B)
    add(positions, A, 0, 3, 9)
    add(positions, B, 0, 2, 9)
    add(positions, A, 3, 2, 9)

    assert taken(positions, 4) == [(A, [0, 1, 2]), (B, [0])]
    assert taken(positions, 9) == [(B, [1]), (A, [3, 4])]
    assert taken(positions, 9) == []
    assert positions.waiting_bytes == 0


def test_a_word_overtakes_what_it_is_about_and_keeps_its_own_order() -> None:
    word = ("word", 0)
    positions = Positions(frozenset({"word"}))
    positions.start(dict.fromkeys([A, word], 0))
    add(positions, A, 0, 5, 5)
    add(positions, word, 0, 1, 9)
    add(positions, word, 1, 2, 3)
    add(positions, A, 5, 1, 6)

    assert positions.is_readable()
    assert taken(positions, 2) == [(word, [0, 1])]
    assert taken(positions, 3) == [(word, [2]), (A, [0, 1])]
    assert positions.take(9).ends == {A: 6}
    assert positions.waiting_bytes == 0


def test_what_is_paused_takes_no_room_and_is_fetched_again_from_where_it_was_taken_to() -> None:
    positions = reading(A, B)
    add(positions, A, 0, 3, 9)
    add(positions, A, 3, 2, 9)
    before = positions.by_place[A].reading
    assert taken(positions, 1) == [(A, [0])]

    positions.pause([A], is_paused=True)
    assert positions.waiting_bytes == 0
    assert not positions.is_readable()
    positions.add(A, before, part(A, 5, 2), 7, 9)  # it was on its way
    assert not positions.is_readable()

    positions.pause([A], is_paused=False)
    assert positions.by_place[A].offset == 1
    add(positions, A, 1, 2, 3)
    assert taken(positions, 9) == [(A, [1, 2])]


def test_an_end_is_told_again_after_a_pause() -> None:
    positions = reading(A)
    add(positions, A, 0, 2, 2)
    positions.pause([A], is_paused=True)
    positions.pause([A], is_paused=False)
    add(positions, A, 0, 2, 2)

    assert positions.take(9).ends == {A: 2}


def test_parts_of_one_partition_come_as_one_with_the_headers_of_each() -> None:
    positions = reading(A)
    plain, headed = part(A, 0, 2), part(A, 2, 1)
    headed.headers = [[("name", b"content")]]
    number = positions.by_place[A].reading
    positions.add(A, number, plain, 2, 9)
    positions.add(A, number, headed, 3, 9)

    (found,) = positions.take(9).parts

    assert found.offsets.tolist() == [0, 1, 2]
    assert list(found.values) == [b"0", b"1", b"2"]
    assert found.headers == [[], [], [("name", b"content")]]


def test_an_end_is_told_once_when_all_before_it_is_taken() -> None:
    positions = reading(A)
    add(positions, A, 0, 3, 3)

    assert positions.take(2).ends == {}
    assert positions.take(2).ends == {A: 3}
    positions.add(A, positions.by_place[A].reading, None, 3, 3)
    assert positions.take(2).ends == {}
    positions.add(A, positions.by_place[A].reading, None, 4, 4)  # a marker
    assert positions.take(2).ends == {A: 4}


def test_an_end_that_more_came_behind_is_none() -> None:
    positions = reading(A)
    add(positions, A, 0, 2, 2)
    add(positions, A, 2, 2, 9)

    found = positions.take(9)

    assert found.ends == {}
    assert found.read_to() == {A: 4}


def test_nothing_is_taken_of_a_partition_that_is_read_anew_or_no_more() -> None:
    positions = reading(A, B)
    old = positions.by_place[A].reading
    add(positions, A, 0, 2, 9)
    add(positions, B, 0, 2, 9)
    positions.start({A: 1})
    positions.stop([B])
    positions.add(A, old, part(A, 2, 2), 4, 9)
    add(positions, A, 1, 1, 9)

    assert taken(positions, 9) == [(A, [1])]
    assert positions.by_place[A].offset == 2
    assert positions.waiting_bytes == 0


def test_what_is_paused_holds_nothing_else_up() -> None:
    positions = reading(A, B)
    add(positions, A, 0, 1, 9)
    add(positions, B, 0, 1, 9)
    positions.pause([A], is_paused=True)

    assert positions.is_readable()
    assert taken(positions, 9) == [(B, [0])]
    assert not positions.is_readable()
