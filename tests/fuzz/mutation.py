"""Spoils records by their own structure: values at the limits, spliced, repeated, cut, nested."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

from tests.fuzz.framing import RECORD_BYTES_MAX

CHANGES_MAX = 4
"""Changes to one record: more leave nothing of what it was."""

UNCHANGED = 0.3
"""Share of a batch's records left as they are: books need a good frame now and then."""

LARGE = 0.002
"""Share of changes that make a record large: each costs as much as hundreds of small ones."""

# What follows a delimiter, so that a search from anywhere finds a whole key or value.
JSON_TOKEN = re.compile(
    rb"(?<=[,:\[{])(?:"
    rb'-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|"(?:[^"\\]|\\.)*"|true|false|null'
    rb"|\[[^\[\]{}]*\]|\{[^\[\]{}]*\})"
)
TEXT_TOKEN = re.compile(rb"[\w.]+|[^\w.]")
BYTE_TOKEN = re.compile(rb"[\s\S]")

_KEPT_KEYS = 0.9

LARGE_BYTES = 6_000
"""A record longer than this is seldom spoiled again: a batch would soon hold nothing else."""

ODD_NUMBERS = (
    b"0", b"1", b"-1", b"2", b"-0", b"00", b"01", b"1.", b".5", b"1e", b"1.0", b"0.0", b"+1",
    b"1e400", b"-1e400", b"1e-400", b"1E+5", b"1e18", b"1e9999999999999999999", b"NaN", b"Infinity",
    b"0.00000001", b"0.000000001", b"0.1234567890123", b"123456789.123456789", b"1_000",
    b"46116860184.27387903", b"46116860184.27387904", b"92233720368.54775807",
    b"2147483647", b"2147483648", b"4294967295", b"4294967296", b"99999999999999",
    b"100000000000000", b"8000000000000", b"8000000000001", b"8000000000000000001",
    b"4611686018427387903", b"4611686018427387904", b"4611686018427387905",
    b"9223372036854775807", b"9223372036854775808", b"-9223372036854775808",
    b"-9223372036854775809", b"18446744073709551615", b"18446744073709551616", b"9" * 40,
)  # fmt: skip
ODD_STRINGS = (
    b'""', b'" "', b'"0"', b'"-1"', b'"a b"', b'"\\u0000"', b'"\\ud800"', b'"\\ud83d\\ude00"',
    b'"\xc3\xa9\xe2\x82\xac"', b'"\xff\xfe"', b'"' + b"x" * 81 + b'"', b'"' + b"1" * 20 + b'"',
    b'"\xd9\xa3"', b'"\xc2\xb2"', b'"1e5"', b'"0x10"', b'"1.5.5"', b'"2021-04-17T16:43:37Z"',
    b'"9999-12-31T23:59:59.999999999Z"', b'"0001-01-01T00:00:00Z"', b'"2021-W05-3T00:00:00Z"',
    b'"1969-12-31T23:59:59.9Z"', b'"\\""', b'"\\\\"', b'"]"', b'"[["', b'"../../x"',
)  # fmt: skip
ODD_VALUES = (
    b"null", b"true", b"false", b"[]", b"{}", b"[[]]", b"[{}]", b'[["1","2"]]', b"[[1,2]]",
    b'[["1","0"]]', b'[["0","1"]]', b'[["1"]]', b"[null]", b"[[null,null]]", b'[["1","2",[]]]',
    b'[["1","2",{}]]', b'[["3","1"],["2","1"],["1","1"]]', b'{"a":1}', b"[", b"]", b"{", b"}",
)  # fmt: skip
ODD_JSON = ODD_NUMBERS + ODD_STRINGS + ODD_VALUES
ODD_BYTES = (
    *(bytes([value]) for value in (0, 1, 2, 3, 4, 127, 128, 129, 254, 255)),
    b"\xff" * 9 + b"\x01", b"\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01", b"\x80" * 9 + b"\x01",
    b"\xff" * 10, b"\xff" * 11 + b"\x01", b"\x80\x80\x00", b"\xfe\xff\xff\xff\x0f",
    b"\x80\x80\x80\x80\x10", b"\xff\xff\xff\xff\x0f", b"\xfe\xff\xff\xff\x1f",
    b"\x80\x80\x80\x80\x80\x80\x80\x80\x40", b"\x00\x00\xf8\x7f", b"\x00" * 6 + b"\xf8\x7f",
)  # fmt: skip


@dataclass(frozen=True)
class Mutator:
    """Spoils records of one language: what a token of it is, and which values are odd in it.

    `words` are good values of other records (channel names, keys): they lead into other branches.
    """

    token: re.Pattern[bytes]
    odd: Sequence[bytes]
    words: Sequence[bytes] = ()

    def batch(
        self, random: Random, records: Sequence[bytes], seeds: Sequence[bytes], count: int
    ) -> list[bytes]:
        """Return about `count` records made of these and of seeds: spoiled, swapped, repeated."""
        pool = list(records) or [random.choice(seeds)]
        fresh = random.random() < 0.5
        made: list[bytes] = []
        while len(made) < count:
            source = seeds if fresh and random.random() < 0.5 else pool
            at = int(random.random() * len(source))
            # Runs of neighbours, so that what belongs together often stays so.
            for record in source[at : at + 1 + int(random.random() * 16)]:
                if len(record) > LARGE_BYTES and random.random() < 0.95:
                    continue
                if random.random() >= UNCHANGED:
                    made.append(self.spoiled(random, record, pool, seeds))
                else:
                    made.append(record)
        return made[:count]

    def spoiled(
        self, random: Random, record: bytes, pool: Sequence[bytes], seeds: Sequence[bytes]
    ) -> bytes:
        """Return the record with 1 to `CHANGES_MAX` changes."""
        if random.random() < LARGE:
            return random.choice(_ENLARGEMENTS)(self, random, record)[:RECORD_BYTES_MAX]
        for _ in range(1 + int(random.random() ** 3 * CHANGES_MAX)):
            draw = random.random()
            if draw < 0.30:
                record = self._replace(random, record, random.choice(self.odd))
            elif draw < 0.45:
                record = self._replace(random, record, random.choice(self.words or self.odd))
            elif draw < 0.70:
                record = _nudge(random, record)
            elif draw < 0.85:
                other = random.choice(pool if random.random() < 0.5 else seeds)
                record = self._replace(random, record, self._any_token(random, other))
            else:
                record = random.choice(_PLAIN_CHANGES)(self, random, record, seeds)
        return record

    def _any_token(self, random: Random, record: bytes) -> bytes:
        found = self._find(random, record)
        return found.group() if found else b""

    def _find(self, random: Random, record: bytes) -> re.Match[bytes] | None:
        at = int(random.random() * len(record))
        return self.token.search(record, at) or self.token.search(record)

    def _replace(self, random: Random, record: bytes, value: bytes) -> bytes:
        found = self._find(random, record)
        if found is None:
            return record + value
        end = found.end()
        if record[end : end + 1] == b":" and value[:1] != b'"' and random.random() < _KEPT_KEYS:
            return record  # a key can only be a text
        return record[: found.start()] + value + record[end:]


def _nudge(random: Random, record: bytes) -> bytes:
    """Add a little to a number, or change one of its digits: ids that step back, repeat or gap."""
    found = _DIGITS.search(record, int(random.random() * len(record))) or _DIGITS.search(record)
    if found is None:
        return record
    digits = found.group()
    if random.random() < 0.6:
        changed = b"%d" % max(0, int(digits) + random.choice((-1, 1, -2, 2, 10, -10, 1_000)))
    else:
        at = int(random.random() * len(digits))
        changed = digits[:at] + b"%d" % int(random.random() * 10) + digits[at + 1 :]
    return record[: found.start()] + changed + record[found.end() :]


_DIGITS = re.compile(rb"\d{1,30}")


def _slice(random: Random, record: bytes) -> tuple[int, int]:
    start = int(random.random() * (len(record) + 1))
    return start, min(len(record), start + 1 + int(random.random() ** 3 * 64))


def _remove(_: Mutator, random: Random, record: bytes, __: Sequence[bytes]) -> bytes:
    start, end = _slice(random, record)
    return record[:start] + record[end:]


def _repeat(_: Mutator, random: Random, record: bytes, __: Sequence[bytes]) -> bytes:
    start, end = _slice(random, record)
    return record[:end] + record[start:end] * random.choice((1, 1, 2, 8)) + record[end:]


def _cut(_: Mutator, random: Random, record: bytes, __: Sequence[bytes]) -> bytes:
    return record[: int(random.random() * len(record))]


def _flip(_: Mutator, random: Random, record: bytes, __: Sequence[bytes]) -> bytes:
    if not record:
        return b"\x00"
    at = int(random.random() * len(record))
    changed = record[at] ^ (1 << int(random.random() * 8))
    return record[:at] + bytes([changed]) + record[at + 1 :]


def _insert(mutator: Mutator, random: Random, record: bytes, _: Sequence[bytes]) -> bytes:
    at = int(random.random() * (len(record) + 1))
    return record[:at] + random.choice(mutator.odd) + record[at:]


def _splice(mutator: Mutator, random: Random, record: bytes, seeds: Sequence[bytes]) -> bytes:
    other = random.choice(seeds)
    mine, theirs = mutator._find(random, record), mutator._find(random, other)
    if mine is None or theirs is None:
        return record + other
    return record[: mine.start()] + other[theirs.start() :]


def _swap(mutator: Mutator, random: Random, record: bytes, _: Sequence[bytes]) -> bytes:
    """Exchange two tokens of the record: bids for asks, a key for a value."""
    one, two = mutator._find(random, record), mutator._find(random, record)
    if one is None or two is None or one.end() > two.start():
        return record
    return (
        record[: one.start()] + two.group() + record[one.end() : two.start()] + one.group()
        + record[two.end() :]
    )  # fmt: skip


def _nest(mutator: Mutator, random: Random, record: bytes, _: Sequence[bytes]) -> bytes:
    opening, closing = random.choice(((b"[", b"]"), (b'{"a":', b"}")))
    depth = random.choice((1, 2, 20))
    value = mutator._any_token(random, record)
    return mutator._replace(random, record, opening * depth + value + closing * depth)


_PLAIN_CHANGES = (_remove, _repeat, _repeat, _cut, _flip, _flip, _insert, _splice, _swap, _nest)


def _deep(mutator: Mutator, random: Random, record: bytes) -> bytes:
    """A nesting that no recursion survives, closed or not."""
    opening, closing = random.choice(((b"[", b"]"), (b'{"a":', b"}"), (b"(", b")")))
    depth = random.choice((500, 5_000, 100_000))
    nest = opening * depth + (closing * depth if random.random() < 0.5 else b"")
    return mutator._replace(random, record, nest)


def _long_number(mutator: Mutator, random: Random, record: bytes) -> bytes:
    """A number past what Python converts (4,300 digits), or of a million."""
    digits = random.choice((b"1", b"9", b"0")) * random.choice((4_301, 5_000, 5_000, 1_000_000))
    number = random.choice((b"%b", b'"%b"', b"1.%b", b'"1.%b"', b"1e%b", b"-%b")) % digits
    return mutator._replace(random, record, number)


def _long_text(mutator: Mutator, random: Random, record: bytes) -> bytes:
    unit = random.choice((b"x", b"/", b" ", b'\\"', b"\\u0041", b"\xc3\xa9", b"-", b"["))
    length = random.choice((300, 5_000, 100_000))
    return mutator._replace(random, record, b'"' + unit * length + b'"')


def _many(_: Mutator, random: Random, record: bytes) -> bytes:
    """A piece of the record thousands of times: levels, trades, fields."""
    start, end = _slice(random, record)
    return record[:start] + record[start:end] * random.choice((500, 3_000)) + record[end:]


_ENLARGEMENTS: tuple[Callable[[Mutator, Random, bytes], bytes], ...] = (
    _deep,
    _long_number,
    _long_number,
    _long_text,
    _many,
)
