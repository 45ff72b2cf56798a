"""Columns as framed Avro records of one schema: Arrow's buffers, where the kernel reads them."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from headrace.avro.program import ARRAY, ENUM, STRING, Slot
from headrace.avro.schema import AvroSchema
from headrace.avro.write_kernel import IS_FAULTY, SPARE_BYTES, most_bytes, write_rows
from headrace.batch import IntArray
from headrace.errors import InvariantError


def write_column(records: pa.RecordBatch, schema: AvroSchema, header: bytes) -> pa.BinaryArray:
    """Return each row as a record of this schema behind a header of five bytes.

    The columns have the names of the schema's, in its order.

    Raises:  InvariantError if a column is of another type, or holds a null or a symbol that the
             schema does not allow; names column and row.
    """
    program, rows = schema.program, records.num_rows
    if not program.slots:
        return pa.array([header] * rows, pa.binary())
    state = _state(records, schema)
    bytes_max = most_bytes(program.code, state) + rows * len(header) + SPARE_BYTES
    values = pa.allocate_buffer(bytes_max, resizable=True)
    offsets = pa.allocate_buffer(4 * rows + 4)
    number = int.from_bytes(header, "little")
    written = write_rows(program.code, state, number, values.address, offsets.address)
    if written < rows:
        raise _fault(records, schema, state, written)
    values.resize(int(np.frombuffer(offsets, np.int32)[rows]), shrink_to_fit=True)
    return pa.Array.from_buffers(pa.binary(), rows, [None, offsets, values])


def _state(records: pa.RecordBatch, schema: AvroSchema) -> IntArray:
    """Return where every slot's items lie, as the kernel takes it."""
    state: list[Sequence[int]] = []
    for column in records.columns:
        _add_slots(column, records.num_rows, schema, state)
    return np.array(state, np.int64)


def _add_slots(array: pa.Array, items: int, schema: AvroSchema, state: list[Sequence[int]]) -> None:
    """Add an array's slot and those of its items, whose count the kernel finds."""
    slot = schema.program.slots[len(state)]
    if array.type.id != slot.type.id:
        raise InvariantError(
            f"schema {schema.name}: column {slot.name}: expected {slot.type}, found {array.type}"
        )
    places = [part.address if part else 0 for part in array.buffers()]
    validity = places[0] if array.null_count else 0
    has_offsets = slot.opcode in {STRING, ENUM, ARRAY}
    offsets = places[1] if has_offsets else 0
    values = places[2] if has_offsets and slot.opcode != ARRAY else places[1]
    state.append((validity, offsets, values, array.offset, array.offset, items, 0, 0))
    if slot.opcode == ARRAY:
        _add_slots(array.values, 0, schema, state)


def _fault(
    records: pa.RecordBatch, schema: AvroSchema, state: IntArray, row: int
) -> InvariantError:
    """Return what to say of a row that cannot be written."""
    where = f"schema {schema.name}: row {row}"
    faulty = np.flatnonzero(state[:, IS_FAULTY])
    if not len(faulty):
        return InvariantError(f"{where}: expected a batch of less than 2 GB, found more")
    slot: Slot = schema.program.slots[faulty[0]]
    expected = "a symbol of its enum" if slot.opcode == ENUM else "no null"
    found = repr(records.column(slot.name.rstrip("[]"))[row].as_py())[:100]
    return InvariantError(f"{where}: column {slot.name}: expected {expected}, found {found}")
