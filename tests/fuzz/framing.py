"""Many inputs as one: a batch of records in the bytes that a fuzzer keeps, mutates and crosses."""

from collections.abc import Sequence

_LENGTH_BYTES = 3
RECORD_BYTES_MAX = 2 ** (8 * _LENGTH_BYTES) - 1


def pack(records: Sequence[bytes]) -> bytes:
    """Return the records, each led by its length."""
    return b"".join(
        len(record).to_bytes(_LENGTH_BYTES, "little") + record
        for record in (record[:RECORD_BYTES_MAX] for record in records)
    )


def unpack(data: bytes) -> list[bytes]:
    """Return the records of any bytes: a length beyond the end takes what there is."""
    records = []
    at = 0
    while at < len(data):
        start = at + _LENGTH_BYTES
        at = start + int.from_bytes(data[at:start], "little")
        records.append(data[start:at])
    return records
