"""A record schema as a short program, which compiled kernels follow a record at a time."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from headrace.batch import IntArray

INT, LONG, FLOAT, DOUBLE, BOOLEAN, STRING, ENUM, ARRAY, END = range(9)
"""What an operation reads or writes; END closes the items of the array it belongs to."""

OPCODE, SLOT, NULL_BYTE, COUNT, SPANS, NEXT, ITEM = range(7)
"""What an operation says, by its words.

NULL_BYTE  the byte of a union's branch that is null, -1 if there is no union
COUNT      of an enum's symbols
SPANS      the address of two int64 a symbol of an enum: the address of its bytes, their count
NEXT       the operation after this value, an array's items included
ITEM       ARRAY and END: the operation an item begins with
"""

ROW_WORDS = 8
"""Of an operation, and of a slot's state: as many bytes as a cache line."""

_OPCODES = {
    "int": INT,
    "long": LONG,
    "float": FLOAT,
    "double": DOUBLE,
    "boolean": BOOLEAN,
    "string": STRING,
}


@dataclass(frozen=True, slots=True)
class Slot:
    """One Arrow array of a batch: a field's column, or the items of an array's.

    `item` is the slot of an array's items, where this is one.
    """

    name: str
    opcode: int
    type: pa.DataType
    is_nullable: bool
    item: int


@dataclass(frozen=True, slots=True)
class Program:
    """What to read or write for a record, in Avro's order.

    `slots` stand in the order of their operations, `columns` are those of the fields; `kept` is
    what the code's addresses point into.

    Shapes:  `code` (operations, ROW_WORDS) int64; an array's items follow it, then its END.
    """

    code: IntArray
    slots: tuple[Slot, ...]
    columns: tuple[int, ...]
    has_arrays: bool
    has_texts: bool
    kept: tuple[Any, ...]


def compile_program(fields: Sequence[dict[str, Any]], arrow: pa.Schema) -> Program:
    """Return the program of a record with these fields, whose columns are these."""
    compiler = _Compiler()
    columns = []
    for field, column in zip(fields, arrow, strict=True):
        columns.append(len(compiler.slots))
        compiler.add(field["type"], column.name, column.type)
    opcodes = {slot.opcode for slot in compiler.slots}
    return Program(
        code=np.array(compiler.code, np.int64).reshape(-1, ROW_WORDS),
        slots=tuple(compiler.slots),
        columns=tuple(columns),
        has_arrays=ARRAY in opcodes,
        has_texts=bool(opcodes & {STRING, ENUM}),
        kept=tuple(compiler.kept),
    )


class _Compiler:
    """Collects operations and slots, one value after another."""

    def __init__(self) -> None:
        self.code: list[list[int]] = []
        self.slots: list[Slot] = []
        self.kept: list[Any] = []

    def add(self, avro: Any, name: str, kind: pa.DataType, null_byte: int = -1) -> None:
        """Add the operations of a value of this type."""
        if isinstance(avro, list):
            (branch,) = (branch for branch in avro if branch != "null")
            # A branch's index is a zigzag varint: twice the index.
            self.add(branch, name, kind, 2 * avro.index("null"))
        elif isinstance(avro, dict) and avro["type"] == "array":
            self._add_array(avro["items"], name, kind, null_byte)
        elif isinstance(avro, dict) and avro["type"] == "enum":
            operation = self._add_value(ENUM, name, kind, null_byte)
            operation[COUNT] = len(avro["symbols"])
            operation[SPANS] = self._spans(avro["symbols"])
        elif isinstance(avro, dict):
            self.add(avro["type"], name, kind, null_byte)
        else:
            self._add_value(_OPCODES[avro], name, kind, null_byte)

    def _add_value(self, opcode: int, name: str, kind: pa.DataType, null_byte: int) -> list[int]:
        """Add an operation that has a slot of its own, and return it to be completed."""
        slot = Slot(name, opcode, kind, is_nullable=null_byte >= 0, item=len(self.slots) + 1)
        operation = self._add_operation(opcode, len(self.slots))
        operation[NULL_BYTE] = null_byte
        self.slots.append(slot)
        return operation

    def _add_array(self, items: Any, name: str, kind: pa.DataType, null_byte: int) -> None:
        slot = len(self.slots)
        begin = self._add_value(ARRAY, name, kind, null_byte)
        begin[ITEM] = len(self.code)
        self.add(items, f"{name}[]", kind.value_type)
        self._add_operation(END, slot)[ITEM] = begin[ITEM]
        begin[NEXT] = len(self.code)

    def _add_operation(self, opcode: int, slot: int) -> list[int]:
        operation = [0] * ROW_WORDS
        operation[OPCODE], operation[SLOT], operation[NULL_BYTE] = opcode, slot, -1
        self.code.append(operation)
        operation[NEXT] = len(self.code)
        return operation

    def _spans(self, symbols: Sequence[str]) -> int:
        """Return the address of where each symbol's bytes lie; they are ASCII."""
        letters = pa.py_buffer("".join(symbols).encode())
        lengths = np.array([len(symbol) for symbol in symbols], np.int64)
        starts = letters.address + np.cumsum(lengths) - lengths
        spans = np.ascontiguousarray(np.column_stack((starts, lengths)))
        self.kept += [letters, spans]
        return spans.ctypes.data
