"""A live feed against a real WebSocket server on loopback that speaks Kraken's v2 protocol."""

import asyncio
import json
import threading
from collections.abc import Iterator
from typing import Any, Self

import pytest
from aiohttp import WSMsgType, web

from feeds import open_feed
from feeds.live import LiveFeed, try_live
from feeds.live_session import SessionSettings
from headrace.errors import FeedError
from headrace.feed import FeedOptions, FrameBlock

SYMBOL = "BTC/USD"
MARKET = {
    "id": "XXBTZUSD",
    "symbol": SYMBOL,
    "base": "BTC",
    "quote": "USD",
    "baseId": "XXBT",
    "quoteId": "ZUSD",
    "type": "spot",
    "spot": True,
    "active": True,
    "wsId": "XBT/USD",
    "altname": "XBTUSD",
    "precision": {"amount": 1e-08, "price": 0.1},
    "limits": {},
    "info": {},
}
FRAMES = {
    "trade": {
        "symbol": SYMBOL,
        "side": "sell",
        "price": 63000.1,
        "qty": 0.00000001,
        "ord_type": "market",
        "trade_id": 70000001,
        "timestamp": "2026-01-02T03:04:05.678901Z",
    },
    "ticker": {
        "symbol": SYMBOL,
        "bid": 63000.1,
        "bid_qty": 0.5,
        "ask": 63000.2,
        "ask_qty": 1.25,
        "last": 63000.1,
        "volume": 1.0,
        "vwap": 63000.1,
        "low": 62000.0,
        "high": 64000.0,
        "change": 0.0,
        "change_pct": 0.0,
    },
    "book": {
        "symbol": SYMBOL,
        "bids": [{"price": 63000.1, "qty": 0.5}, {"price": 62999.9, "qty": 2.0}],
        "asks": [{"price": 63000.2, "qty": 1.25}],
        "checksum": 0,
    },
}


class FakeKraken:
    """Answers each subscription with one frame; the first connections may break off or go dumb."""

    def __init__(self, *, dropped: int = 0, silent: int = 0) -> None:
        self.connections = 0
        self._dropped = dropped
        self._silent = silent
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._stopping = asyncio.Event()
        self.url = ""
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._serve(),))

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join()
        self._loop.close()

    async def _serve(self) -> None:
        app = web.Application()
        app.router.add_get("/v2", self._converse)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        self.url = f"ws://{host}:{port}/v2"
        self._ready.set()
        await self._stopping.wait()
        await runner.cleanup()

    async def _converse(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self.connections += 1
        number = self.connections
        async for message in socket:
            if message.type != WSMsgType.TEXT:
                break
            asked = json.loads(message.data)
            if asked.get("method") != "subscribe" or number <= self._silent:
                continue
            channel = asked["params"]["channel"]
            frame = {"channel": channel, "type": "snapshot", "data": [FRAMES[channel]]}
            await socket.send_json(frame)
            if number <= self._dropped and channel == "trade":
                await socket.close()
        return socket


def feed_of(url: str, **changes: Any) -> LiveFeed:
    overrides = {
        "urls": {"api": {"ws": {"public": url, "publicV2": url}}},
        "markets": {SYMBOL: MARKET},
        "enableRateLimit": False,  # ccxt would send Kraken one subscription a second
    }
    settings: dict[str, Any] = {"backoff_s_min": 0.05, "overrides": overrides} | changes
    return LiveFeed(SessionSettings("kraken", (SYMBOL,), **settings))


def frames_until(feed: LiveFeed, wanted: dict[str, int]) -> tuple[list[dict[str, Any]], list[int]]:
    """Read until so many frames of each type came; return the frames and their sequences."""
    frames: list[dict[str, Any]] = []
    sequences: list[int] = []
    left = dict(wanted)
    blocks: Iterator[FrameBlock] = feed.blocks({f"live-kraken:{SYMBOL}": 41})
    for block in blocks:
        frames += map(json.loads, block.payloads)
        sequences += block.sequences.tolist()
        for payload in block.payloads:
            left.pop(json.loads(payload)["type"], None)
        counts = [sum(frame["type"] == kind for frame in frames) for kind in wanted]
        if all(count >= least for count, least in zip(counts, wanted.values(), strict=True)):
            break
    feed.close()
    return frames, sequences


def test_trades_quotes_and_books_arrive_as_plain_frames_with_exact_decimals() -> None:
    with FakeKraken() as server:
        frames, sequences = frames_until(feed_of(server.url), {"trade": 1, "quote": 1, "book": 1})

    by_type = {frame["type"]: frame for frame in frames}
    assert by_type["trade"] == {
        "type": "trade",
        "instrument": "live-kraken:BTC/USD",
        "price": "63000.1",
        "size": "0.00000001",
        "side": "sell",
        "trade_id": 70000001,
        "event_time_ns": 1767323045678000000,
    }
    quote = by_type["quote"]
    assert (quote["bid"], quote["bid_size"]) == ("63000.1", "0.5")
    assert (quote["ask"], quote["ask_size"]) == ("63000.2", "1.25")
    assert by_type["book"]["bids"] == [["63000.1", "0.5"], ["62999.9", "2.0"]]
    assert sequences == list(range(42, 42 + len(sequences)))


def test_a_broken_connection_is_opened_again() -> None:
    with FakeKraken(dropped=1) as server:
        feed = feed_of(server.url)

        frames_until(feed, {"trade": 2})

        assert server.connections >= 2
        assert feed.tally.notes["connection_failed"] >= 1


def test_a_silent_connection_is_opened_again() -> None:
    with FakeKraken(silent=1) as server:
        frames, _ = frames_until(feed_of(server.url, silence_s=0.4), {"trade": 1})

        assert frames
        assert server.connections >= 2


def test_a_refused_connection_says_what_was_tried_and_what_works() -> None:
    feed = feed_of("ws://127.0.0.1:9/v2", reconnects_max=2)

    with pytest.raises(FeedError, match=r"live:kraken.*BTC/USD.*--feed sim works") as caught:
        feed.connect(20.0)

    assert "127.0.0.1" in str(caught.value)


def test_an_unknown_venue_is_a_clear_error() -> None:
    with pytest.raises(FeedError, match=r"venue 'nosuch': expected one of ccxt\.pro's"):
        LiveFeed(SessionSettings("nosuch", (SYMBOL,))).connect()


def test_a_feed_that_is_let_go_ends_its_processes() -> None:
    with FakeKraken() as server:
        feed = feed_of(server.url)
        feed.connect()
        (process,) = feed._processes

        del feed

        assert not process.is_alive()


def test_try_live_gives_none_where_there_is_no_network() -> None:
    assert try_live("nosuch", [SYMBOL], 1.0) is None


@pytest.mark.parametrize("text", ["live:", "live:kraken", "live:kraken:", "live::BTC/USD"])
def test_live_needs_venue_and_symbols(text: str) -> None:
    with pytest.raises(FeedError, match="expected live:VENUE:SYM"):
        open_feed(text, FeedOptions())
