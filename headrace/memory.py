"""Bytes at an address, for compiled kernels: Arrow's buffers are read and filled where they lie.

Numba sees no array here, so neither a copy nor a type of its own for what may only be read; and
nothing checks a bound: whoever takes an address has counted the bytes behind it.

Kernels that use these are made by `headrace.compiled`, which knows when this file has changed.
"""

from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic


def _load_of(kind: Any) -> Any:
    """Return a compiled function: the value of this type at an address, aligned or not."""

    @intrinsic
    def load(_: Any, address: Any) -> Any:
        def generate(_: Any, builder: Any, __: Any, arguments: Any) -> Any:
            bits = ir.IntType(kind.bitwidth)
            place = builder.inttoptr(arguments[0], bits.as_pointer())
            return builder.load(place, align=1, typ=bits)

        return (kind(address), generate) if isinstance(address, types.Integer) else None

    return load


def _store_of(kind: Any) -> Any:
    """Return a compiled function: lay the low bits of an integer down at an address."""

    @intrinsic
    def store(_: Any, address: Any, value: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            bits = ir.IntType(kind.bitwidth)
            place = builder.inttoptr(arguments[0], bits.as_pointer())
            low = context.cast(builder, arguments[1], signature.args[1], kind)
            builder.store(low, place, align=1)
            return context.get_dummy_value()

        is_whole = isinstance(address, types.Integer) and isinstance(value, types.Integer)
        return (types.void(address, value), generate) if is_whole else None

    return store


load_u8 = _load_of(types.uint8)
load_u16 = _load_of(types.uint16)
load_u32 = _load_of(types.uint32)
load_u64 = _load_of(types.uint64)
load_i32 = _load_of(types.int32)
load_i64 = _load_of(types.int64)
store_u8 = _store_of(types.uint8)
store_u16 = _store_of(types.uint16)
store_u32 = _store_of(types.uint32)
store_u64 = _store_of(types.uint64)
store_i32 = _store_of(types.int32)
store_i64 = _store_of(types.int64)


@intrinsic
def trailing_zeros(_: Any, __: Any) -> Any:
    """Return how many zeros a number ends with in binary; it is not 0."""

    def generate(_: Any, builder: Any, __: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 1))

    return types.int64(types.uint64), generate


@intrinsic
def leading_zeros(_: Any, __: Any) -> Any:
    """Return how many of its 64 bits a number begins with that are 0; it is not 0."""

    def generate(_: Any, builder: Any, __: Any, arguments: Any) -> Any:
        return builder.ctlz(arguments[0], ir.Constant(ir.IntType(1), 1))

    return types.int64(types.uint64), generate


_WORD_BYTES = 8

inlined = numba.njit(nogil=True, forceinline=True)
"""For functions of a few instructions: a call of one would pass its results through memory."""


@inlined
def whole(number: Any) -> int:
    """Return a number of any width as one of 64 bits: numba gives a variable one type."""
    found: int = np.int64(number)  # type: ignore[assignment]  # the same, compiled
    return found


@inlined
def word_of(row: int, word: int) -> int:
    """Return a word of a row of int64 at this address."""
    value: int = load_i64(row + _WORD_BYTES * word)
    return value


@inlined
def set_word(row: int, word: int, value: int) -> None:
    """Change a word of a row of int64 at this address."""
    store_i64(row + _WORD_BYTES * word, value)


@inlined
def copy_bytes(to: int, source: int, length: int) -> Any:
    """Copy so many bytes and touch none before or behind them.

    Returns a number whose every byte has its highest bit set if, and only where, one copied had.
    """
    seen = np.uint64(0)
    if length >= _WORD_BYTES:
        # The last eight bytes may overlap those before: no loop for what is left over.
        last = length - _WORD_BYTES
        for place in range(0, last, _WORD_BYTES):
            word = load_u64(source + place)
            store_u64(to + place, word)
            seen |= word
        word = load_u64(source + last)
        store_u64(to + last, word)
        return seen | word
    if length & 4:
        four = load_u32(source)
        store_u32(to, four)
        seen |= np.uint64(four)
    at = length & 4
    if length & 2:
        two = load_u16(source + at)
        store_u16(to + at, two)
        seen |= np.uint64(two)
        at += 2
    if length & 1:
        one = load_u8(source + at)
        store_u8(to + at, one)
        seen |= np.uint64(one)
    return seen
