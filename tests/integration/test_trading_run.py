"""The main job on a whole recorded file: frames in, orders out, every one traceable."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
import redis

from headrace.servers import Servers
from headrace.settings import Settings
from schemas import topics
from tests.integration.trading_run import (
    assert_sound,
    finish_run,
    query,
    read_records,
    start_run,
)

RECORDING = "spot_ethusdt_20240808"
FRAMES = 33_618
"""As the README of the recordings counts them; one of them is the snapshot."""


@dataclass
class Subscriber:
    """Hears everything published on a topic while a run is on."""

    url: str
    pattern: str
    heard: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    stop: Event = field(default_factory=Event)

    def listen(self, ready: Event) -> None:
        with redis.Redis.from_url(self.url) as client, client.pubsub() as channel:
            channel.psubscribe(self.pattern)
            while not self.stop.is_set():
                message = channel.get_message(timeout=0.2)
                if message is None:
                    continue
                if message["type"] == "psubscribe":
                    ready.set()
                else:
                    self.heard.append((message["channel"].decode(), json.loads(message["data"])))


@dataclass(frozen=True)
class Done:
    """A finished run, on servers that are still up."""

    servers: Servers
    report: dict[str, Any]
    heard: list[tuple[str, dict[str, Any]]]
    feed: str
    folder: Path

    def again(self) -> dict[str, Any]:
        report = self.folder / "again.json"
        return finish_run(start_run(self.folder, report, self.feed, **where(self.servers)), report)


def where(servers: Servers) -> dict[str, str]:
    found = servers.endpoints
    return {"kafka": found.kafka, "postgres": found.postgres, "redis": found.redis}


@pytest.fixture(scope="module")
def done(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Done]:
    with recorded_run(tmp_path_factory.mktemp("run"), shared_data) as run:
        yield run


@pytest.fixture
def done_apart(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Done]:
    """The same on servers of its own, for a test that adds to it."""
    with recorded_run(tmp_path_factory.mktemp("run-apart"), shared_data) as run:
        yield run


@contextmanager
def recorded_run(folder: Path, shared_data: Path) -> Iterator[Done]:
    settings = Settings.load(home=folder / "servers", kafka=None, postgres=None, redis=None)
    feed = f"capture:{shared_data / 'binance' / RECORDING}.gz"
    with Servers(settings) as servers:
        ready = Event()
        subscriber = Subscriber(servers.endpoints.redis, "headrace:signal.prediction.v1:*")
        thread = Thread(target=subscriber.listen, args=(ready,))
        thread.start()
        assert ready.wait(10)
        report = folder / "report.json"
        found = finish_run(start_run(folder, report, feed, **where(servers)), report)
        subscriber.stop.set()
        thread.join()
        yield Done(servers, found, subscriber.heard, feed, folder)


def test_every_frame_is_accounted_for(done: Done) -> None:
    frames = done.report["frames"]

    assert frames["sent"] == FRAMES
    assert frames["adds_up"]
    assert sum(frames["outcomes"].values()) == FRAMES
    assert done.report["topics"]["market.frame.v1"] == FRAMES


def test_the_database_has_a_row_for_every_record_and_a_second_run_adds_none(done: Done) -> None:
    first = done.report["database"]

    second = done.again()

    assert done.report["database_equals_topics"]
    assert second["feed"]["dropped"] == {"already_ingested": FRAMES}
    assert second["database"] == first
    assert second["topics"] == done.report["topics"]


def test_every_order_traces_back_to_its_tick_and_positions_to_their_fills(done: Done) -> None:
    assert done.report["topics"]["order.approved.v1"] > 0

    assert_sound(done.servers.endpoints.postgres)


def test_the_tick_behind_every_order_is_the_frame_it_names(done: Done) -> None:
    frames = {
        (record["source"], record["sequence"]): json.loads(record["payload"])
        for record in read_records(done.servers.endpoints.kafka, topics.FRAME)
    }
    trades = query(
        done.servers.endpoints.postgres,
        """SELECT DISTINCT t.source, t.source_sequence, t.trade_id FROM order_event_v1 e
           JOIN market_trade_v1 t ON t.instrument = e.instrument AND t.source = e.source
           AND t.sequence = e.signal_sequence
        """,
    )

    assert trades
    for source, sequence, trade_id in trades:
        assert frames[source, sequence]["data"]["t"] == trade_id


def test_a_subscriber_hears_what_the_topic_holds_in_order(done: Done) -> None:
    records = read_records(done.servers.endpoints.kafka, topics.PREDICTION)

    said = [
        {name: value for name, value in message.items() if not name.startswith("kafka_")}
        for _, message in done.heard
    ]
    assert said == records
    assert {channel for channel, _ in done.heard} == {
        f"headrace:signal.prediction.v1:{record['instrument']}" for record in records
    }


def test_redis_keeps_the_latest_record_of_each_key(done: Done) -> None:
    latest = {r["instrument"]: r for r in read_records(done.servers.endpoints.kafka, topics.QUOTE)}

    with redis.Redis.from_url(done.servers.endpoints.redis) as client:
        kept = client.hgetall("headrace:market.quote.v1")

    assert {key.decode(): json.loads(value)["sequence"] for key, value in kept.items()} == {
        key: record["sequence"] for key, record in latest.items()
    }


@pytest.mark.slow
def test_a_second_recording_of_the_instrument_trades_beside_the_first(
    done_apart: Done, shared_data: Path
) -> None:
    """The day after, under another name: its sequences begin again, and none is a repeat."""
    recording = done_apart.folder / "second_ethusdt_20240809.gz"
    shutil.copy(shared_data / "binance" / "spot_ethusdt_20240809.gz", recording)
    report = done_apart.folder / "second.json"
    run = start_run(done_apart.folder, report, f"capture:{recording}", **where(done_apart.servers))

    second = finish_run(run, report)

    orders = query(
        done_apart.servers.endpoints.postgres,
        "SELECT source, count(DISTINCT client_order_id) FROM order_event_v1 GROUP BY 1",
    )
    assert second["frames"]["adds_up"]
    assert set(dict(orders)) == {"spot_ethusdt", "second_ethusdt"}
    assert_sound(done_apart.servers.endpoints.postgres)
