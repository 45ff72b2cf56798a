"""What people and deployments type: feeds, mappings, speeds, settings, contracts; live updates."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Sequence
from typing import Any

import numpy as np
import structlog

from agents.ingest_frames import MARKET_BY_SOURCE
from feeds.live import LiveFeed
from feeds.live_frames import books_of, named, quotes_of, trades_of
from feeds.mapping import guess_mapping, read_mapping
from feeds.opening import open_feed
from headrace.avro.schema import load_schema
from headrace.errors import ContractError, FeedError, UsageError
from headrace.feed import FeedOptions
from headrace.inference import read_contract
from headrace.pace import SPEED_MAX, SPEED_MIN, parse_speed
from headrace.settings import ENV_PREFIX, Settings
from tests.fuzz.mutation import JSON_TOKEN, ODD_JSON, ODD_NUMBERS, TEXT_TOKEN, Mutator
from tests.fuzz.scratch import new_folder
from tests.fuzz.target import ROOT, Check, Target, require
from tests.fuzz.targets.frames import ingest
from tests.fuzz.targets.schema_texts import FOLDER

_TOLD_CHARACTERS_MAX = 250_000
SECRET = "hunter2hunter2"  # noqa: S105  (a bait: it must not come out)


def _text(record: bytes) -> str:
    return record.decode("utf-8", "surrogateescape")


def _open_feed_texts() -> Check:
    """Feeds by their text, in an empty folder; a live one is opened, not connected."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    LiveFeed.connect = lambda *_: None  # type: ignore[method-assign,assignment]
    folder = new_folder()
    (folder / "x.raw").write_text('1618678133365913000 {"a":1}\n')
    (folder / "x.csv").write_text("ts_us,symbol,bid,ask\n5,A,1,2\n")

    def check(records: Sequence[bytes]) -> None:
        os.chdir(folder)
        for record in records:
            try:
                feed = open_feed(_text(record), FeedOptions(), now_ns=lambda: 5)
            except FeedError as error:
                require(len(str(error)) < _TOLD_CHARACTERS_MAX, "an error without a limit")
                continue
            require(feed.identity, "a feed without a name")

    return check


def _speeds(records: Sequence[bytes]) -> None:
    for record in records:
        try:
            speed = parse_speed(_text(record))
        except FeedError:
            continue
        require(speed is None or SPEED_MIN <= speed <= SPEED_MAX, f"{speed}")


def _open_mappings() -> Check:
    path = new_folder() / "map.toml"

    def check(records: Sequence[bytes]) -> None:
        for record in records:
            path.write_bytes(record)
            for read in (
                lambda: read_mapping(path),
                lambda: guess_mapping(path, _text(record).split(",")),  # noqa: B023
            ):
                try:
                    mapping = read()
                except FeedError:
                    continue
                require("ts" in mapping.columns, "a mapping without a time")
                require(all(isinstance(text, str) for text in mapping.columns.values()), "texts")

    return check


def _open_settings() -> Check:
    """One variable and its value; the others keep their defaults, one of them a secret."""
    for name in [name for name in os.environ if name.startswith(ENV_PREFIX)]:
        if name != "HEADRACE_SHARED_DATA":
            del os.environ[name]

    def check(records: Sequence[bytes]) -> None:
        for record in records:
            name, _, value = record.replace(b"\0", b"").partition(b"=")
            variable = os.fsencode(ENV_PREFIX) + name.replace(b"=", b"")
            os.environb[variable] = value
            try:
                settings = Settings.load()
                require(1 <= settings.commit_interval_ms <= 60_000, "an interval out of bounds")
                require(SECRET not in repr(settings), "a secret is shown")
                require(settings.home.is_absolute(), "a home that moves with the folder")
            except UsageError as error:
                is_secret = name.lower() in {b"postgres", b"redis", b"schema_registry"}
                require(not is_secret or SECRET not in str(error), "a secret is told")
            finally:
                del os.environb[variable]

    return check


def _setting_seeds() -> list[bytes]:
    return [
        b"HOME=.headrace", b"HOME=~/x", b"CACHE=~root/y", b"KAFKA=localhost:9092,b:9093",
        b"KAFKA=[::1]:9092", b"POSTGRES=postgresql://u:hunter2hunter2@h:5432/d",
        b"POSTGRES=hunter2hunter2", b"REDIS=redis://:hunter2hunter2@h:6379/0",
        b"REDIS=rediss://h", b"REDIS=hunter2hunter2", b"SCHEMA_REGISTRY=http://u:hunter2hunter2@h",
        b"SCHEMA_REGISTRY=https://[::1]:80/x", b"COMMIT_INTERVAL_MS=100", b"WEB_PORT=6066",
        b"KAFKA_PORT=65535", b"POSTGRES_PORT=", b"KAFKA_HEAP_MB=512", b"REDIS_MEMORY_MB=256",
        b"STARTUP_TIMEOUT_S=60", b"RESOLVE_TIMEOUT_S=nan", b"CONNECT_TIMEOUT_S=1e3", b"OTHER=1",
    ]  # fmt: skip


def _open_contracts() -> Check:
    path = new_folder() / "contract.json"
    fields = load_schema(FOLDER, "feature_vector.v1").fields
    require(fields, "no fields")

    def check(records: Sequence[bytes]) -> None:
        for record in records:
            path.write_bytes(record)
            try:
                contract = read_contract(path.parent)
            except ContractError as error:
                require(len(str(error)) < 2_000, "an error without a limit")
                continue
            require(contract.inputs and contract.outputs, "a model of nothing")
            require(0 < contract.horizon_ns < 2**63, "a horizon beyond time")

    return check


class LiveUpdates:
    """What ccxt hands over: any JSON in the place of a trade, a ticker or a book."""

    def __call__(self, records: Sequence[bytes]) -> None:
        """Every update becomes frames the `plain` dialect reads, or is left out."""
        updates = [found for record in records if (found := _json(record)) is not None]
        payloads = asyncio.run(self._payloads(updates))
        output = ingest(
            MARKET_BY_SOURCE.open(),
            sources=["s"] * len(payloads),
            venues=["plain"] * len(payloads),
            sequences=_counted(len(payloads)),
            receive_times=_counted(len(payloads)),
            payloads=payloads,
        )
        broken = [row.detail for row in output.dead if row.cause == "not_json"]
        require(not broken, f"a frame that is no JSON: {broken[:1]}")

    async def _payloads(self, updates: list[dict[str, Any]]) -> list[str]:
        async def given(wrap: Any) -> AsyncIterator[Any]:
            for update in updates:
                yield wrap(update)

        streams = (
            trades_of(given(lambda update: [update])),
            quotes_of(given(lambda update: {str(update.get("symbol")): update})),
            books_of(given(lambda update: update), is_quoting=True),
        )
        return [text for stream in streams async for _, text in named(stream, "kraken")]


def _json(record: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(record)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _counted(count: int) -> Any:
    return np.arange(1, count + 1, dtype=np.int64)


def _live_seeds() -> list[bytes]:
    return [
        b'{"symbol":"BTC/USD","price":57000.1,"amount":0.01,"side":"buy","id":"7","timestamp":5}',
        b'{"symbol":"BTC/USD","bid":1.5,"bidVolume":2,"ask":1.6,"askVolume":3,"timestamp":5}',
        b'{"symbol":"BTC/USD","bids":[[1.5,2],[1.4,1]],"asks":[[1.6,3]],"nonce":7,"timestamp":5}',
    ]


_FEEDS = (
    b"capture:x.raw", b"capture:x.raw,x.csv", b"table:x.csv", b"table:x.csv?map=m.toml",
    b"live:kraken:BTC/USD,ETH/USD", b"sim", b"sim:4?seed=7&events=100&rate=3&start=5", b"sim:64",
    b"capture:.", b"capture:~/x", b"table:.?map=~nobody/x",
)  # fmt: skip
_FEED_WORDS = (
    b"capture", b"table", b"live", b"sim", b":", b",", b"?", b"&", b"=", b"map", b"seed", b"events",
    b"start", b"rate", b"~", b"/", b"..", b"\0", b"%00", b"%", b"+", b"x.raw", b"x.csv", b"\xff",
)  # fmt: skip
_MAPPINGS = (
    (b'market = "table"\nts_unit = "us"\n[columns]\nts = "t"\nsymbol = "s"\nbid = "b"\nask = "a"\n'
    b'[constants]\nbid_size = "1"\nask_size = "1"\n'),
    b'[columns]\nts="t"\nsymbol="s"\nprice="p"\nsize="z"\nside="d"\n',
    b"ts_utc_us,symbol,bid,ask", b"ts_ns,symbol,price,size,side",
)  # fmt: skip
TARGETS = [
    Target("feed_texts", "a text", _open_feed_texts, lambda: _FEEDS,
           Mutator(TEXT_TOKEN, (*ODD_NUMBERS, *_FEED_WORDS), _FEED_WORDS), 500, 64),
    Target("speed_texts", "a text", lambda: _speeds,
           lambda: (b"max", b"1", b"0.5", b"1e3", b" MAX ", b"10_0", b"nan", b"-inf"),
           Mutator(TEXT_TOKEN, ODD_NUMBERS, (b"e", b".", b"-", b"_", b"max", b"inf")),
           2_400, 1_024),
    Target("table_mappings", "a file", _open_mappings, lambda: _MAPPINGS,
           Mutator(TEXT_TOKEN, (*ODD_JSON, b"\n", b"="), (b"[", b"]", b"ts", b"price", b"\n")),
           200),
    Target("settings", "a variable", _open_settings, _setting_seeds,
           Mutator(TEXT_TOKEN, (*ODD_NUMBERS, b"~", b"\xff", b"[", b"://"),
                   (b"=", b":", b",", b"/", b"@", b"~root", b"http://", b"postgresql://")), 40, 64),
    Target("model_contracts", "a file", _open_contracts,
           lambda: ((ROOT / "models" / "direction" / "contract.json").read_bytes(),) * 2,
           Mutator(JSON_TOKEN, ODD_JSON, (b'"double"', b'"nan"', b'"inputs"', b'"long"')), 200, 64),
    Target("live_updates", "an update", LiveUpdates, _live_seeds,
           Mutator(JSON_TOKEN, ODD_JSON, (b'"symbol"', b'"bids"', b'"sell"', b"NaN")), 800),
]  # fmt: skip
