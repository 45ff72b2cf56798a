"""What librdkafka hands over, copied out of its messages without one Python object a record.

A message is a C struct of nine 64-bit words (`rd_kafka_message_t`, part of the library's ABI):
error, topic, partition, value and its length, key and its length, offset, private.
Addresses are int64; the kernels run without the interpreter's lock.
"""

from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from headrace import memory
from headrace.batch import IntArray
from headrace.compiled import compiled
from headrace.memory import copy_bytes, word_of

MESSAGE_WORDS = 9
ERROR, TOPIC, PARTITION, VALUE, VALUE_BYTES, KEY, KEY_BYTES, OFFSET = range(8)

NO_GROUP = -1
LOW_HALF = 0xFFFFFFFF
SIGN_OF_HALF = 0x80000000

_WORD = ir.IntType(64)


@intrinsic
def _ask(typing: Any, function: Any, message: Any, answer: Any) -> Any:  # noqa: ARG001
    """Call the C function at an address with a message and a place for its second answer."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:  # noqa: ARG001
        kind = ir.FunctionType(_WORD, [_WORD, _WORD])
        called = builder.inttoptr(arguments[0], kind.as_pointer())
        return builder.call(called, arguments[1:])

    return types.int64(types.int64, types.int64, types.int64), code


@compiled(memory)
def group_messages(  # noqa: PLR0917  (numba takes no keywords)
    messages: IntArray,
    timestamp: int,
    headers: int,
    words: Any,
    groups: IntArray,
    group_of: IntArray,
    stamps: IntArray,
    has_headers: Any,
) -> int:
    """Read the structs at these addresses; return of how many topic-partitions they are.

    Shapes:  `messages`, `group_of`, `stamps`, `has_headers`: (n,); `words`: (n, 9), what the
             structs hold; `groups`: (n, 5), of which the first rows are filled: topic,
             partition, records, bytes of values, bytes of keys.
    `group_of` is -1 for a message that is an error. `timestamp` and `headers` are the addresses of
    the library's functions that tell these of a message.
    """
    count = 0
    last = NO_GROUP
    answer = np.zeros(1, np.int64)
    for row in range(len(messages)):
        for word in range(MESSAGE_WORDS):
            words[row, word] = word_of(messages[row], word)
        words[row, ERROR] = _half(words[row, ERROR])
        words[row, PARTITION] = _half(words[row, PARTITION])
        if words[row, ERROR] != 0:
            group_of[row] = NO_GROUP
            continue
        topic, partition = words[row, TOPIC], words[row, PARTITION]
        if last == NO_GROUP or groups[last, 0] != topic or groups[last, 1] != partition:
            last = 0
            while last < count and (groups[last, 0] != topic or groups[last, 1] != partition):
                last += 1
            if last == count:
                groups[last] = 0
                groups[last, 0], groups[last, 1] = topic, partition
                count += 1
        group_of[row] = last
        groups[last, 2] += 1
        groups[last, 3] += words[row, VALUE_BYTES]
        groups[last, 4] += words[row, KEY_BYTES]
        stamps[row] = _ask(timestamp, messages[row], 0)
        has_headers[row] = _half(_ask(headers, messages[row], answer.ctypes.data)) == 0
    return count


@numba.njit(cache=True, nogil=True, inline="always")
def _half(word: int) -> int:
    """Return the lower half of a word as a signed number."""
    low = word & LOW_HALF
    return low - (LOW_HALF + 1) if low & SIGN_OF_HALF else low


@compiled(memory)
def gather_bytes(  # noqa: PLR0917  (as above)
    words: Any,
    group_of: IntArray,
    column: int,
    firsts: IntArray,
    starts: IntArray,
    data: Any,
    offsets: Any,
    is_null: Any,
) -> None:
    """Copy the values or keys together, group by group, each in the order it came.

    `column` is VALUE or KEY. `firsts` holds for each group where its first row is among all rows
    of groups, `starts` where its bytes begin in `data`; both are used up.
    Shapes:  `data`: all bytes of the column; `is_null`: (rows of groups,); `offsets`: (rows of
             groups + groups,), for each group its own bounds within `data`.
    """
    base = data.ctypes.data
    for group in range(len(firsts)):
        offsets[firsts[group] + group] = starts[group]
    for row in range(len(group_of)):
        group = group_of[row]
        if group == NO_GROUP:
            continue
        size = words[row, column + 1]
        source = words[row, column]
        place = firsts[group]
        is_null[place] = source == 0
        if size:
            copy_bytes(base + starts[group], source, size)
        starts[group] += size
        offsets[place + group + 1] = starts[group]
        firsts[group] = place + 1


@compiled(memory)
def destroy_messages(messages: IntArray, destroy: int) -> None:
    """Give the messages back to the library."""
    for message in messages:
        _ask(destroy, message, 0)
