"""The Redis sink on a real server: the latest of every key, and every record once, in order."""

import itertools
import math
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any

import orjson
import pytest
import redis
from pydantic import SecretStr

from headrace import Part
from headrace.errors import InvariantError, TransientError, UsageError
from headrace.servers import Servers
from headrace.sinks import PositionLostError, RedisSink
from headrace.sinks.limits import REDIS_PUBLISH_CHUNK
from schemas import topics
from tests.integration.sink_records import INT64_MAX, SUNK, part_of

WAIT_S = 60.0
QUOTES = topics.QUOTE.name
_numbers = itertools.count()


@pytest.fixture
def client(redis_url: str) -> Iterator["redis.Redis"]:
    with redis.Redis.from_url(redis_url) as connected:
        yield connected


@pytest.fixture
def prefix() -> str:
    return f"sink-test-{next(_numbers)}"


@pytest.fixture
def sink(redis_url: str, prefix: str) -> Iterator[RedisSink]:
    with closing(sink_on(redis_url, prefix)) as opened:
        yield opened


def sink_on(redis_url: str, prefix: str) -> RedisSink:
    sink = RedisSink(SecretStr(redis_url), "trading", SUNK, prefix=prefix)
    sink.open()
    return sink


def quotes(
    instruments: Sequence[str], *, offset: int = 0, partition: int = 0, **fields: Any
) -> Part:
    rows = [{"instrument": name} | fields for name in instruments]
    return part_of(topics.QUOTE, rows, offset=offset, partition=partition)


def latest(client: "redis.Redis", prefix: str, topic: str = QUOTES) -> dict[str, Mapping[str, Any]]:
    found: Any = client.hgetall(f"{prefix}:{topic}")
    return {key.decode(): orjson.loads(value) for key, value in found.items()}


def offsets(client: "redis.Redis", prefix: str) -> dict[str, int]:
    return {key: value["kafka_offset"] for key, value in latest(client, prefix).items()}


class Listener:
    """A subscriber that keeps what it hears."""

    def __init__(self, client: "redis.Redis", *, channel: str = "", pattern: str = "") -> None:
        self._pubsub = client.pubsub()
        if channel:
            self._pubsub.subscribe(channel)
        if pattern:
            self._pubsub.psubscribe(pattern)
        self._next()  # the server has taken it

    def heard(self, count: int) -> list[tuple[str, int]]:
        """Return channel and offset of the next messages, and see that no more are there."""
        messages = [self._next() for _ in range(count)]
        assert self._pubsub.get_message(timeout=0.05) is None
        return [(m["channel"].decode(), orjson.loads(m["data"])["kafka_offset"]) for m in messages]

    def _next(self) -> dict[str, Any]:
        message = self._pubsub.get_message(timeout=WAIT_S)
        assert message is not None
        return dict(message)

    def close(self) -> None:
        self._pubsub.close()


def test_the_hash_holds_the_last_record_of_every_key(
    client: "redis.Redis", prefix: str, sink: RedisSink
) -> None:
    written = sink.write([quotes(["a", "b", "a"]), quotes(["c"], partition=5)])

    assert written.rows == 4
    assert offsets(client, prefix) == {"a": 2, "b": 1, "c": 0}
    assert sink.positions() == {(QUOTES, 0): 3, (QUOTES, 5): 1}


def test_a_record_is_json_with_exact_integers_and_null_for_nan(
    client: "redis.Redis", prefix: str, sink: RedisSink
) -> None:
    row = {"instrument": "zł", "mid": math.nan, "price_ticks": INT64_MAX, "event_time_ns": None}
    book = {"instrument": "b", "bid_price_ticks": [INT64_MAX, 1], "ask_price_ticks": []}
    sink.write([part_of(topics.FEATURE, [row]), part_of(topics.BOOK, [book])])

    found = latest(client, prefix, topics.FEATURE.name)["zł"]
    assert [found[name] for name in ("mid", "price_ticks", "event_time_ns", "quote_valid")] == [
        None,
        INT64_MAX,
        None,
        True,
    ]
    assert latest(client, prefix, topics.BOOK.name)["b"]["bid_price_ticks"] == [INT64_MAX, 1]


def test_a_subscriber_hears_every_record_of_its_instrument_in_order(
    client: "redis.Redis", prefix: str, sink: RedisSink
) -> None:
    names = ["a", "b"] * REDIS_PUBLISH_CHUNK
    with (
        closing(Listener(client, channel=f"{prefix}:{QUOTES}:a")) as one,
        closing(Listener(client, pattern=f"{prefix}:{QUOTES}:*")) as every,
    ):
        sink.write([quotes(names)])
        sink.write([quotes(names, offset=len(names))])

        total = 2 * len(names)
        assert one.heard(len(names)) == [(f"{prefix}:{QUOTES}:a", n) for n in range(0, total, 2)]
        assert [offset for _, offset in every.heard(total)] == list(range(total))


def test_one_who_subscribes_later_hears_everything_from_then_on(
    client: "redis.Redis", prefix: str, sink: RedisSink
) -> None:
    sink.write([quotes(["a"])])  # nobody listens: no message is made
    with closing(Listener(client, channel=f"{prefix}:{QUOTES}:a")) as listener:
        sink.write([quotes(["a", "a"], offset=1)])
        assert [offset for _, offset in listener.heard(2)] == [1, 2]
    sink.write([quotes(["a"], offset=3)])
    sink.write([quotes(["a"], offset=4)])
    with closing(Listener(client, channel=f"{prefix}:{QUOTES}:a")) as listener:
        sink.write([quotes(["a"], offset=5)])
        assert [offset for _, offset in listener.heard(1)] == [5]

    assert offsets(client, prefix) == {"a": 5}


def test_those_who_come_and_go_while_batches_are_written_miss_nothing(
    client: "redis.Redis", redis_url: str, prefix: str, sink: RedisSink
) -> None:
    """From the first message a subscriber hears there is no hole until it leaves."""
    done = threading.Event()

    def write_on() -> None:
        with closing(sink_on(redis_url, prefix)) as writer:
            for start in itertools.count(0, 10):
                writer.write([quotes(["a"] * 10, offset=start)])
                if done.is_set():
                    return

    thread = threading.Thread(target=write_on)
    thread.start()
    for _ in range(20):
        before = sink.positions().get((QUOTES, 0), 0)
        with closing(Listener(client, channel=f"{prefix}:{QUOTES}:a")) as listener:
            heard = [orjson.loads(listener._next()["data"])["kafka_offset"] for _ in range(50)]
        assert heard == list(range(heard[0], heard[0] + 50))
        assert heard[0] >= before
    done.set()
    thread.join()


def test_a_repeated_write_publishes_and_changes_nothing(
    client: "redis.Redis", redis_url: str, prefix: str, sink: RedisSink
) -> None:
    sink.write([quotes(["a", "b", "a"])])
    with (
        closing(Listener(client, pattern=f"{prefix}:*")) as listener,
        closing(sink_on(redis_url, prefix)) as restarted,
    ):
        assert restarted.write([quotes(["a", "b"])]).rows == 0
        assert restarted.write([quotes(["b", "a", "b"], offset=1)]).rows == 1
        assert listener.heard(1) == [(f"{prefix}:{QUOTES}:b", 3)]

    assert offsets(client, prefix) == {"a": 2, "b": 3}


def test_an_older_value_never_replaces_a_newer_one(
    client: "redis.Redis", redis_url: str, prefix: str, sink: RedisSink
) -> None:
    with closing(sink_on(redis_url, prefix)) as late:
        sink.write([quotes(["a"] * 10)])

        with pytest.raises(TransientError, match="another sink"):
            late.write([quotes(["a"] * 5)])
        late.open()
        assert late.write([quotes(["a"] * 5)]).rows == 0

    assert offsets(client, prefix) == {"a": 9}


def test_a_partition_given_in_two_parts_is_written_through(
    client: "redis.Redis", prefix: str, sink: RedisSink
) -> None:
    parts = [quotes(["a"] * 3), quotes(["a"] * 3, offset=3)]
    with closing(Listener(client, pattern=f"{prefix}:*")) as listener:
        assert sink.write(parts).rows == 6

        assert [offset for _, offset in listener.heard(6)] == list(range(6))


def test_an_emptied_redis_is_noticed_and_filled_again(
    client: "redis.Redis", prefix: str, sink: RedisSink
) -> None:
    sink.write([quotes(["a", "b"])])
    client.delete(f"{prefix}::position", f"{prefix}:{QUOTES}")

    with pytest.raises(PositionLostError, match="Read on from 0"):
        sink.write([quotes(["b"], offset=2)])
    assert sink.positions() == {}
    sink.write([quotes(["a", "b", "b"])])

    assert offsets(client, prefix) == {"a": 0, "b": 2}


def test_a_script_the_server_forgot_is_loaded_again(
    client: "redis.Redis", prefix: str, sink: RedisSink
) -> None:
    client.script_flush()

    assert sink.write([quotes(["a"])]).rows == 1
    assert offsets(client, prefix) == {"a": 0}


def test_a_record_without_a_key_is_published_and_not_kept(
    client: "redis.Redis", prefix: str, sink: RedisSink
) -> None:
    part = quotes(["a"])
    keyless = Part(QUOTES, 0, part.records, part.values, [None], part.offsets, part.timestamps_ms)
    with closing(Listener(client, pattern=f"{prefix}:*")) as listener:
        sink.write([keyless])

        assert listener.heard(1) == [(f"{prefix}:{QUOTES}:", 0)]
    assert latest(client, prefix) == {}


def test_a_killed_server_is_weather_and_the_run_goes_on(
    client: "redis.Redis", servers: Servers, prefix: str, sink: RedisSink
) -> None:
    """What the server had not yet written to disk is read again from the position it has."""
    killer = threading.Thread(target=servers.kill, args=["redis"])
    size, total = 10, 2_000
    interrupted = at = 0
    deadline = time.monotonic() + WAIT_S
    while at < total:
        if at == total // 2 and not killer.ident:
            killer.start()
        if at > total // 2 and not interrupted:
            killer.join()
        try:
            sink.write([quotes(["a"] * size, offset=at)])
            at += size
        except TransientError:
            assert time.monotonic() < deadline
            interrupted += 1
            try:
                sink.open()
                at = sink.positions().get((QUOTES, 0), 0)
            except TransientError:
                continue

    assert interrupted
    assert offsets(client, prefix) == {"a": total - 1}
    assert sink.positions() == {(QUOTES, 0): total}


def test_a_topic_the_sink_does_not_copy_is_a_broken_invariant(sink: RedisSink) -> None:
    with pytest.raises(InvariantError, match="does not copy"):
        sink.write(
            [Part("other.v1", 0, quotes(["a"]).records, [], [], *[quotes(["a"]).offsets] * 2)]
        )


def test_a_key_of_another_type_is_said_to_the_person(
    client: "redis.Redis", prefix: str, sink: RedisSink
) -> None:
    client.set(f"{prefix}:{QUOTES}", "taken")

    with pytest.raises(UsageError, match="WRONGTYPE"):
        sink.write([quotes(["a"])])


@pytest.mark.parametrize("url", ["redis://:hun/ter2@there:port/0", "nothing"])
def test_a_url_that_is_none_is_refused_without_being_shown(url: str) -> None:
    with pytest.raises(UsageError) as raised:
        RedisSink(SecretStr(url), "trading", SUNK)

    assert "hun" not in str(raised.value)
    assert raised.value.__suppress_context__


def test_a_server_that_is_away_is_weather() -> None:
    sink = RedisSink(SecretStr("redis://:hunter2@127.0.0.1:1/0"), "trading", SUNK)

    with pytest.raises(TransientError) as raised:
        sink.open()

    assert "hunter2" not in str(raised.value)
