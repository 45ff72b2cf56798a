"""Record batches are read as they were written, and a damaged one is never taken for another."""

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.errors import InvariantError
from headrace.kafka import crc_kernel
from headrace.kafka.fetched import RawPart
from headrace.kafka.lz4_kernel import SLACK_BYTES
from headrace.kafka.record_batches import Aborted, Bytes, read_part
from tests.record_batches import CODECS, Written, batch, crc32c, marker, sealed

PLACE = ("test.number.v1", 3)
BYTES = st.one_of(st.none(), st.binary(max_size=40))
HEADERS = st.lists(st.tuples(st.text(max_size=5), st.binary(max_size=9)), max_size=2)


def in_memory(content: bytes) -> Bytes:
    return np.frombuffer(content + bytes(SLACK_BYTES), np.uint8).copy()


def read(
    content: bytes, wanted_from: int = 0, aborted: tuple[Aborted, ...] = ()
) -> tuple[RawPart | None, int]:
    return read_part(in_memory(content), len(content), PLACE, wanted_from, aborted)


def rows(part: RawPart | None) -> list[Written]:
    if part is None:
        return []
    headers = part.headers if part.headers is not None else [[]] * len(part.offsets)
    return [
        Written(*row)
        for row in zip(
            part.offsets.tolist(),
            part.timestamps_ms.tolist(),
            part.keys,
            part.values,
            [list(of) for of in headers],
            strict=True,
        )
    ]


def numbers(first: int, count: int) -> list[Written]:
    return [Written(first + n, 100 + n, b"k", b"%d" % (first + n), []) for n in range(count)]


@st.composite
def logs(draw: st.DrawFn) -> list[tuple[str, list[Written]]]:
    offset, found = draw(st.integers(0, 2**40)), []
    for _ in range(draw(st.integers(1, 4))):
        records = []
        for _ in range(draw(st.integers(1, 5))):
            stamp_ms = draw(st.integers(0, 2**42))
            records.append(Written(offset, stamp_ms, draw(BYTES), draw(BYTES), draw(HEADERS)))
            offset += draw(st.integers(1, 300))  # what is compacted leaves gaps
        found.append((draw(st.sampled_from(list(CODECS))), records))
    return found


@given(logs())
def test_what_was_written_is_read(log: list[tuple[str, list[Written]]]) -> None:
    written = [one for _, records in log for one in records]

    part, next_offset = read(b"".join(batch(records, codec) for codec, records in log))

    assert rows(part) == written
    assert part is not None
    assert (part.topic, part.partition) == PLACE
    assert (part.headers is None) == (not any(one.headers for one in written))
    assert next_offset == written[-1].offset + 1


@pytest.mark.parametrize("codec", CODECS)
def test_what_lies_before_the_offset_wanted_is_left_out(codec: str) -> None:
    content = batch(numbers(0, 5), codec) + batch(numbers(5, 5), codec)

    part, next_offset = read(content, 7)

    assert [row.offset for row in rows(part)] == [7, 8, 9]
    assert next_offset == 10


def test_a_batch_that_is_cut_off_comes_again() -> None:
    whole, cut = batch(numbers(0, 2)), batch(numbers(2, 2))[:-1]

    assert [row.offset for row in rows(read(whole + cut)[0])] == [0, 1]
    assert read(whole + cut)[1] == 2
    assert read(cut, 2) == (None, 2)


def test_time_of_the_log_stands_for_that_of_all_records() -> None:
    part, _ = read(batch(numbers(0, 2), log_time_ms=77))

    assert [row.stamp_ms for row in rows(part)] == [77, 77]


def test_what_was_taken_back_and_markers_are_left_out() -> None:
    content = b"".join(
        [
            batch(numbers(0, 2), producer=1),
            batch(numbers(2, 1), producer=2),
            marker(3, 1, is_abort=True),
            batch(numbers(4, 1), producer=1),
            marker(5, 2, is_abort=False),
            batch(numbers(6, 1)),
            marker(7, 1, is_abort=False),
        ]
    )

    part, next_offset = read(content, aborted=(Aborted(1, 0),))

    assert [row.offset for row in rows(part)] == [2, 4, 6]
    assert next_offset == 8
    assert [row.offset for row in rows(read(content)[0])] == [0, 1, 2, 4, 6]


def test_a_marker_of_many_records_is_none_and_writes_nowhere() -> None:
    records = [Written(number, 5, b"\0\0\0\0", b"\0" * 6) for number in range(100)]
    content = batch(records, producer=7, is_control=True)

    assert read(content, aborted=(Aborted(7, 0),)) == (None, 100)


def test_a_wrong_checksum_is_seen() -> None:
    content = bytearray(batch(numbers(0, 2)))
    content[-1] ^= 1

    with pytest.raises(InvariantError, match=r"partition 3, at offset 0 or behind: .*checksum"):
        read(bytes(content))


@pytest.mark.parametrize("codec", CODECS)
def test_damage_under_a_right_checksum_is_an_error_or_a_record_never_a_crash(codec: str) -> None:
    chance = random.Random(codec)  # noqa: S311  (no secret)
    whole = batch(numbers(0, 30), codec)
    seen = 0
    for _ in range(400):
        spoiled = bytearray(whole[21:])
        for _ in range(chance.randint(1, 3)):
            spoiled[chance.randrange(len(spoiled))] = chance.randrange(256)
        end = chance.choice([len(spoiled), chance.randrange(41, len(spoiled))])
        try:
            read(sealed(0, bytes(spoiled[:end])))
        except InvariantError:
            seen += 1
    assert seen > 100


def test_a_batch_that_promises_more_records_than_fit_is_refused_before_room_is_made() -> None:
    spoiled = bytearray(batch(numbers(0, 2))[21:])
    spoiled[2:6] = spoiled[36:40] = b"\x7f\xff\xff\xf0"

    with pytest.raises(InvariantError, match="more records than fit"):
        read(sealed(0, bytes(spoiled)))


def test_a_snappy_block_that_promises_too_much_is_refused_before_room_is_made() -> None:
    spoiled = batch(numbers(0, 2))[21:61] + b"\xff\xff\xff\xff\x7f" + b"x" * 9
    spoiled = b"\0\x02" + spoiled[2:]

    with pytest.raises(InvariantError, match="a block of 14 bytes says it unpacks to 34359738367"):
        read(sealed(0, spoiled))


@given(st.binary(max_size=300))
def test_checksum_is_that_of_the_polynomial(content: bytes) -> None:
    found = in_memory(content)

    assert crc_kernel.crc32c(found.ctypes.data, len(content)) == crc32c(content)


@given(st.integers(0, 2**32 - 1), st.binary(min_size=8, max_size=8))
def test_the_machine_has_the_checksum_the_tables_have(crc: int, word: bytes) -> None:
    words = np.uint64(crc), np.uint64(int.from_bytes(word, "little"))

    assert crc_kernel.word_by_tables(*words) == crc_kernel.take_word(*words)
