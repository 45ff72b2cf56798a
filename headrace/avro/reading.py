"""Framed Avro records of one schema as columns: buffers the kernel fills, and Arrow holds."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from headrace.avro.program import (
    ARRAY,
    BOOLEAN,
    DOUBLE,
    ENUM,
    FLOAT,
    INT,
    LONG,
    ROW_WORDS,
    STRING,
    Program,
    Slot,
)
from headrace.avro.read_kernel import (
    ITEMS,
    NULLS,
    OFFSETS,
    START,
    TEXT_BYTES,
    VALIDITY,
    VALUES,
    copy_texts,
    read_rows,
)
from headrace.avro.schema import AvroSchema
from headrace.batch import IntArray

_TEXTS = (STRING, ENUM)
_BITS = {BOOLEAN: 1, INT: 32, FLOAT: 32, LONG: 64, DOUBLE: 64}


def read_columns(values: pa.BinaryArray, schema: AvroSchema) -> pa.RecordBatch | int:
    """Return the columns of these records, or the row of the first that is not vouched for.

    All must be of this schema, with the header of the first; none may be null. A bad record is
    not vouched for, nor some good ones: numbers longer than they need be, arrays in
    several blocks. Where a text is not UTF-8 the row is 0: it was seen too late to tell.
    """
    program, rows = schema.program, len(values)
    _, offsets, data = values.buffers()
    whole = (data.address if data else 0, offsets.address + 4 * values.offset, rows)
    items = [rows] * len(program.slots)
    if program.has_arrays:
        state = np.zeros((len(items), ROW_WORDS), np.int64)
        read: int = read_rows(*whole, program.code, state)
        if read < rows:
            return read
        items = state[:, ITEMS].tolist()
    room = _Room(program.slots, items)
    read = read_rows(*whole, program.code, room.state)
    if read < rows:
        return read
    is_ascii = room.copy_texts(program)
    records = pa.RecordBatch.from_arrays(room.arrays(program.columns), schema=schema.arrow)
    return records if is_ascii or _is_utf8(records) else 0


class _Room:
    """Buffers for every slot of a program, of just the size that its items take."""

    def __init__(self, slots: Sequence[Slot], items: Sequence[int]) -> None:
        self._slots = slots
        self._buffers = [_buffers(slot, count) for slot, count in zip(slots, items, strict=True)]
        words = [part.address if part else 0 for parts in self._buffers for part in parts]
        self.state: IntArray = np.array(words, np.int64).reshape(-1, ROW_WORDS)

    def copy_texts(self, program: Program) -> bool:
        """Lay down the texts that were read; return whether all of them are ASCII."""
        if not program.has_texts:
            return True
        for index, slot in enumerate(self._slots):
            if slot.opcode in _TEXTS:
                text = pa.allocate_buffer(int(self.state[index, TEXT_BYTES]))
                self._buffers[index][VALUES] = text
                self.state[index, VALUES] = text.address
        is_ascii: bool = copy_texts(program.code, self.state)
        return is_ascii

    def arrays(self, indexes: Sequence[int]) -> list[pa.Array]:
        """Return the Arrow arrays of slots that were read."""
        counts = self.state[:, ITEMS : NULLS + 1].tolist()
        return [self._array(index, counts) for index in indexes]

    def _array(self, index: int, counts: Sequence[Sequence[int]]) -> pa.Array:
        slot, parts, (items, nulls) = self._slots[index], self._buffers[index], counts[index]
        validity = parts[VALIDITY] if nulls else None
        if slot.opcode == ARRAY:
            children = [self._array(slot.item, counts)]
            buffers = [validity, parts[OFFSETS]]
            return pa.Array.from_buffers(slot.type, items, buffers, nulls, children=children)
        buffers = [validity, parts[VALUES]]
        if slot.opcode in _TEXTS:
            buffers.insert(OFFSETS, parts[OFFSETS])
        return pa.Array.from_buffers(slot.type, items, buffers, nulls)


def _buffers(slot: Slot, count: int) -> list[pa.Buffer | None]:
    """Return a slot's buffers by the words of its state; those of texts come when read."""
    buffers: list[pa.Buffer | None] = [None] * ROW_WORDS
    if slot.is_nullable:
        buffers[VALIDITY] = pa.allocate_buffer((count + 7) // 8)
    if slot.opcode in _BITS:
        buffers[VALUES] = pa.allocate_buffer((_BITS[slot.opcode] * count + 7) // 8)
        return buffers
    buffers[OFFSETS] = pa.allocate_buffer(4 * count + 4)
    if slot.opcode in _TEXTS:
        buffers[START] = pa.allocate_buffer(8 * count)
    return buffers


def _is_utf8(records: pa.RecordBatch) -> bool:
    try:
        records.validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True
