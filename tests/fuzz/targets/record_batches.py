"""Record batches as a broker answers them: whatever is in one, its checksum is right."""

import struct
from collections.abc import Sequence

import numpy as np

from headrace.errors import InvariantError
from headrace.kafka.crc_kernel import crc32c
from headrace.kafka.lz4_kernel import SLACK_BYTES
from headrace.kafka.record_batches import Bytes, read_part
from tests.fuzz.mutation import BYTE_TOKEN, ODD_BYTES, Mutator
from tests.fuzz.target import Target, require
from tests.record_batches import CODECS, Written, batch

PLACE = ("test.number.v1", 0)
WANTED_FROM = 3
CHECKED_AT = 21
HEAD_BYTES = 9


def _bytes(content: bytes) -> Bytes:
    return np.frombuffer(content + bytes(SLACK_BYTES), np.uint8).copy()


def _answer(checked: bytes) -> bytes:
    """Return a batch of what its checksum covers, as it may come in an answer."""
    crc = crc32c(_bytes(checked).ctypes.data, len(checked))
    return struct.pack(">qiibI", 0, len(checked) + HEAD_BYTES, 0, 2, crc) + checked


def _read(records: Sequence[bytes]) -> None:
    for checked in records:
        answer = _answer(checked)
        try:
            part, next_offset = read_part(_bytes(answer), len(answer), PLACE, WANTED_FROM, ())
        except InvariantError as error:
            require(len(str(error)) < 1_000, "an error without a limit")
            continue
        require(next_offset >= WANTED_FROM, "an offset that goes back")
        if part is not None:
            count = len(part.offsets)
            require(count == len(part.keys) == len(part.values) > 0, "columns of other lengths")
            require((part.offsets >= WANTED_FROM).all(), "a record that was not wanted")
            for column in (part.keys, part.values):
                column.array.validate(full=True)  # type: ignore[attr-defined]  # a ByteColumn


def _seeds() -> Sequence[bytes]:
    headers = [("name", b"content"), ("", b"")]
    records = [
        Written(n, 100 + n, b"key" if n % 2 else None, b"value %d" % (n // 3) * n, headers[: n % 3])
        for n in range(12)
    ]
    return [batch(records, codec)[CHECKED_AT:] for codec in CODECS]


TARGETS = [
    Target(
        name="record_batches",
        an_input="a batch, its checksum right",
        open=lambda: _read,
        seeds=_seeds,
        mutator=Mutator(BYTE_TOKEN, ODD_BYTES, ODD_BYTES),
        share=2_000,
    )
]
