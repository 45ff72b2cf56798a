"""CRC-32C, the checksum of a record batch, at the speed of memory.

Source:  RFC 3720, appendix B.4 (polynomial 0x1EDC6F41, reflected 0x82F63B78).
"""

from typing import Any

import llvmlite.binding
import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from headrace import memory
from headrace.compiled import compiled
from headrace.memory import inlined, load_u8, load_u64, whole

_POLYNOMIAL = 0x82F63B78
_WORD_BYTES = 8
_BYTE = np.uint64(0xFF)
_ONES = np.uint64(0xFFFF_FFFF)
_EIGHT = np.uint64(8)


def _tables() -> npt.NDArray[np.uint64]:
    """Return what each byte does to the checksum, followed by 0 to 7 more bytes."""
    tables = np.zeros((_WORD_BYTES, 256), np.uint64)
    for byte in range(256):
        found = byte
        for _ in range(8):
            found = found >> 1 ^ (_POLYNOMIAL if found & 1 else 0)
        tables[0, byte] = found
    for more in range(1, _WORD_BYTES):
        last = tables[more - 1]
        tables[more] = last >> _EIGHT ^ tables[0, (last & _BYTE).astype(np.int64)]
    return tables


_TABLES = _tables()
HAS_INSTRUCTION = bool(llvmlite.binding.get_host_cpu_features().get("sse4.2"))
"""Whether this machine has an instruction for it (x86-64 since 2008)."""


@intrinsic
def _instruction(_: Any, crc: Any, word: Any) -> Any:  # noqa: ARG001
    """Take a word of eight bytes into a checksum with the machine's own instruction."""
    bits = ir.IntType(64)

    def generate(_: Any, builder: Any, __: Any, arguments: Any) -> Any:
        name = "llvm.x86.sse42.crc32.64.64"
        kind = ir.FunctionType(bits, [bits, bits])
        return builder.call(builder.module.declare_intrinsic(name, (), kind), arguments)

    return types.uint64(types.uint64, types.uint64), generate


@inlined
def word_by_tables(crc: Any, word: Any) -> Any:
    """Take a word of eight bytes, the lowest first, into a checksum."""
    word ^= crc
    crc = np.uint64(0)
    for place in range(_WORD_BYTES):
        byte = whole((word >> np.uint64(8 * place)) & _BYTE)
        crc ^= _TABLES[_WORD_BYTES - 1 - place, byte]
    return crc


@inlined
def _word_by_instruction(crc: Any, word: Any) -> Any:
    return _instruction(crc, word)


take_word = _word_by_instruction if HAS_INSTRUCTION else word_by_tables


@compiled(memory)
def crc32c(at: int, size: int) -> int:
    """Return the checksum of so many bytes at an address."""
    crc: Any = _ONES
    end = at + size
    while end - at >= _WORD_BYTES:
        crc = take_word(crc, load_u64(at))
        at += _WORD_BYTES
    while at < end:
        byte = whole((crc ^ np.uint64(load_u8(at))) & _BYTE)
        crc = _TABLES[0, byte] ^ crc >> _EIGHT
        at += 1
    found: int = whole(crc ^ _ONES)
    return found
