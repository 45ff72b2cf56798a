"""Keeps the latest value of every key in Redis and publishes every record, each once."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from struct import Struct
from typing import Any

import redis
from pydantic import SecretStr
from redis.backoff import NoBackoff
from redis.retry import Retry

from headrace.batch import Part
from headrace.errors import InvariantError, TransientError, UsageError
from headrace.sinks.contract import Keep, Key, Rows, Written, fresh_rows, require_position
from headrace.sinks.json_rows import json_rows
from headrace.sinks.limits import REDIS_ATTEMPTS, REDIS_PUBLISH_CHUNK, REDIS_TIMEOUT_S
from headrace.topology import Topic

_HEADER = Struct(">BI").pack  # MessagePack's array32 (0xDD), str32 (0xDB) and uint32 (0xCE)
_SCRIPT = (Path(__file__).parent / "publish.lua").read_text("utf-8")


@dataclass(frozen=True, slots=True)
class _Call:
    """One run of the script: its arguments, and what it means if it is applied."""

    key: Key
    rows: int
    first: int
    expected: int
    after: int
    quiet: bool
    batch: bytes


class RedisSink:
    """A sink of the newest only: hash `headrace:{topic}`, channels `headrace:{topic}:{key}`.

    Both hold a record as JSON. The positions stand in the hash `headrace::position`, moved by the
    same script that writes and publishes. While nobody listens to a topic its messages are not
    made; the script sees to it that one who subscribes misses nothing from then on.
    Not safe for threads: one caller at a time.
    """

    def __init__(
        self, url: SecretStr, topology: str, topics: Sequence[Topic], *, prefix: str = "headrace"
    ) -> None:
        self._topology = topology
        self._topics = {topic.name for topic in topics}
        self._prefix = prefix
        self._positions_key = f"{prefix}::position"
        self._client = _client(url)
        self._expected: dict[Key, int] = {}
        self._confirmed: dict[Key, int] = {}
        self._listened: set[str] = set()
        self._script = ""

    def open(self) -> None:
        """Connect and read the positions.

        Raises:  TransientError if the server is away.
        """
        with self._weather():
            self._client.connection_pool.disconnect()
            self._script = str(self._client.script_load(_SCRIPT))
            self._expected = self._read_positions()

    def positions(self) -> dict[Key, int]:
        """Return the next offset wanted by (topic, partition); absent where none was written.

        The caller reads on from there: what was confirmed before is forgotten.
        """
        with self._weather():
            self._expected = self._read_positions()
        self._confirmed.clear()
        return dict(self._expected)

    def write(self, parts: Sequence[Part], keep: Keep | None = None) -> Written:  # noqa: ARG002 (nothing is refused)
        """Apply the records that were not applied yet, in log order; one round trip as a rule.

        Raises:  TransientError if the connection was lost (what was applied, the positions say
                 after `open`) or another sink moved a position; PositionLostError if Redis is
                 behind what it had confirmed, as when it was emptied.
        """
        for part in parts:
            if part.topic not in self._topics:
                raise InvariantError(f"sink redis was given {part.topic}, which it does not copy")
        count = 0
        with self._weather():
            for _ in range(REDIS_ATTEMPTS):
                fresh, _ = fresh_rows(parts, self._expected)
                if not fresh:
                    return Written(count)
                calls = self._calls(fresh)
                applied = self._settle(calls, self._run(calls))
                count += applied
                if applied == sum(map(len, fresh)):
                    return Written(count)
        raise TransientError(f"{self._where}: no part was applied in {REDIS_ATTEMPTS} attempts")

    def close(self) -> None:
        """Disconnect."""
        self._client.close()

    def _calls(self, fresh: Sequence[Rows]) -> list[_Call]:
        calls = []
        at = dict(self._expected)
        for rows in fresh:
            quiet = rows.part.topic not in self._listened
            size = len(rows) if quiet else REDIS_PUBLISH_CHUNK
            for chunk in rows.pieces(size):
                call = _call(
                    chunk, expected=at.get((rows.part.topic, rows.part.partition), 0), quiet=quiet
                )
                at[call.key] = call.after
                calls.append(call)
        return calls

    def _run(self, calls: Sequence[_Call]) -> list[Any]:
        results = self._answers(calls)
        if any(isinstance(result, redis.exceptions.NoScriptError) for result in results):
            # Forgotten by SCRIPT FLUSH or a failover: none of the calls did anything.
            self._script = str(self._client.script_load(_SCRIPT))
            results = self._answers(calls)
        for result in results:
            if isinstance(result, Exception):
                raise result
        return results

    def _answers(self, calls: Sequence[_Call]) -> list[Any]:
        """Return what the script says of each call, or the error, in one round trip."""
        if len(calls) == 1:
            # A pipeline costs the client as much again: felt where records come one by one.
            try:
                return [self._client.evalsha(*self._arguments(calls[0]))]
            except redis.exceptions.ResponseError as error:
                return [error]
        with self._client.pipeline(transaction=False) as pipeline:
            for call in calls:
                pipeline.evalsha(*self._arguments(call))
            return list(pipeline.execute(raise_on_error=False))

    def _arguments(self, call: _Call) -> tuple[Any, ...]:
        topic, partition = call.key
        return (
            self._script,
            2,
            self._positions_key,
            f"{self._prefix}:{topic}",
            f"{topic}/{partition}",
            str(call.expected),
            str(call.after),
            f"{self._prefix}:{topic}:",
            "1" if call.quiet else "0",
            call.batch,
        )

    def _settle(self, calls: Sequence[_Call], results: Sequence[Any]) -> int:
        """Take note of what was applied, and return how many rows that were."""
        count = 0
        held_back: set[Key] = set()
        listened = {call.key[0]: False for call in calls}
        for call, (outcome, found, listens) in zip(calls, results, strict=True):
            listened[call.key[0]] |= bool(listens)
            if outcome == b"applied":
                self._expected[call.key] = self._confirmed[call.key] = call.after
                count += call.rows
            elif outcome == b"listened":
                held_back.add(call.key)
            elif call.key not in held_back:
                self._refuse(call, int(found))
        self._listened -= listened.keys()
        self._listened |= {topic for topic, heard in listened.items() if heard}
        return count

    def _refuse(self, call: _Call, found: int) -> None:
        confirmed = self._confirmed.get(call.key, 0)
        expected = call.expected
        require_position(
            call.key, first=call.first, stored=found, expected=expected, confirmed=confirmed
        )
        raise TransientError(
            f"{self._where}: {call.key[0]}[{call.key[1]}]: expected position {expected}, "
            f"found {found}; open it again"
        )

    def _read_positions(self) -> dict[Key, int]:
        found: dict[Any, Any] = self._client.hgetall(self._positions_key)
        positions = {}
        for field, offset in found.items():
            topic, _, partition = field.decode().rpartition("/")
            if topic in self._topics:
                positions[topic, int(partition)] = int(offset)
        return positions

    @property
    def _where(self) -> str:
        return f"sink redis of topology {self._topology}"

    @contextmanager
    def _weather(self) -> Iterator[None]:
        """Turn what the client raises into what the engine acts on."""
        try:
            yield
        except (redis.exceptions.ConnectionError, redis.exceptions.TimeoutError) as error:
            self._client.connection_pool.disconnect()
            raise TransientError(f"{self._where}: {error}") from error
        except redis.exceptions.ResponseError as error:
            if "WRONGTYPE" in str(error) or "NOPERM" in str(error):
                raise UsageError(f"{self._where}: the server refused it: {error}") from error
            # Read-only, out of memory, unable to persist: the server's troubles pass.
            raise TransientError(f"{self._where}: {error}") from error


def _client(url: SecretStr) -> "redis.Redis":
    try:
        return redis.Redis.from_url(
            url.get_secret_value(),
            socket_timeout=REDIS_TIMEOUT_S,
            socket_connect_timeout=REDIS_TIMEOUT_S,
            # The engine retries, and must know of each try: an answer lost may be a batch applied.
            retry=Retry(NoBackoff(), 0),
        )
    except ValueError:
        # The message may quote what stands between the slashes.
        raise UsageError(
            "HEADRACE_REDIS: expected redis://user:password@host:port/number, rediss:// or "
            "unix://, found something else (not shown: it may hold a password)"
        ) from None


def _call(rows: Rows, *, expected: int, quiet: bool) -> _Call:
    part, first, last = rows.part, int(rows.numbers[0]), int(rows.numbers[-1])
    keys = [key or b"" for key in part.keys[first : last + 1]]
    newest = {key: place for place, key in enumerate(keys)}
    if quiet:
        places = sorted(newest.values())
        keys = [keys[place] for place in places]
        newest = {key: place for place, key in enumerate(keys)}
        rows = Rows(rows.index, part, rows.numbers[places])
    newest.pop(b"", None)  # a record without a key has no latest value
    latest = b"".join(_HEADER(0xCE, place + 1) for place in newest.values())
    return _Call(
        key=(part.topic, part.partition),
        rows=last - first + 1,
        first=int(part.offsets[first]),
        expected=expected,
        after=int(part.offsets[last]) + 1,
        quiet=quiet,
        batch=b"".join(
            [
                _HEADER(0xDD, 3),
                *(_packed(texts) for texts in (keys, json_rows(rows))),
                *(_HEADER(0xDD, len(newest)), latest),
            ]
        ),
    )


def _packed(texts: Sequence[bytes]) -> bytes:
    """Return a MessagePack array of strings: Redis reads no `bin`, and keys may be no UTF-8."""
    items = [piece for text in texts for piece in (_HEADER(0xDB, len(text)), text)]
    return _HEADER(0xDD, len(texts)) + b"".join(items)
