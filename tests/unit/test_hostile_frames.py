"""What fuzzing found in the dialects and their state: each broke a worker, or could have."""

import json

import numpy as np
import pytest

from agents.ingest_frames import MARKET_BY_SOURCE
from agents.venues.binance import futures_name
from agents.venues.decimals import GOOD, scaled
from agents.venues.source_state import INSTRUMENTS_MAX
from tests.replay.frame_batches import Frame, ingest, numbered, rows_of

KAFKA_RECORD_BYTES_MAX = 1_000_000
"""Far less than a topic takes as one record."""

DIGITS = "1" * 5_000
"""More than Python turns into an integer: `int` raises a ValueError of its own from 4,301 on."""


@pytest.mark.parametrize(
    "payload",
    [
        f'[1,[["1","2","{DIGITS}","b"]],"trade","A/B"]',
        f'[1,{{"a":[["1","2","{DIGITS}.5"]]}},"book-10","A/B"]',
        f'[1,{{"a":[["1","2","3.5"]],"c":"{DIGITS}"}},"book-10","A/B"]',
    ],
    ids=["time of a trade", "time of a level", "checksum"],
)
def test_kraken_number_of_5000_digits_is_a_bad_frame(payload: str) -> None:
    output = ingest(numbered([payload], venue="kraken"))

    assert output.counts == {"frame_dead_malformed": 1}


def test_kraken_depth_of_5000_digits_is_no_channel() -> None:
    payload = f'[1,{{"a":[["1","2","3.5"]]}},"book-{DIGITS}","A/B"]'

    output = ingest(numbered([payload], venue="kraken"))

    assert output.counts == {"frame_dead_malformed": 1}


def test_subscriptions_nobody_asked_for_do_not_fill_the_memory() -> None:
    state = MARKET_BY_SOURCE.open()
    answers = [
        json.dumps(
            {"method": "subscribe", "result": {"channel": "book", "symbol": name, "depth": 10}}
        )
        for name in (*(f"X{number}/USD" for number in range(INSTRUMENTS_MAX + 50)), "y" * 10_000)
    ]

    ingest(numbered(answers, venue="kraken"), state)

    source = state.read("test")
    assert source is not None
    assert len(source.subscribed_depths) == INSTRUMENTS_MAX
    assert max(map(len, source.subscribed_depths)) <= 80


@pytest.mark.parametrize(
    ("venue", "payload"),
    [
        ("bybit", '{"topic":"orderbook.%s","type":"snapshot","data":{"s":"AB","u":5}}'),
        ("kraken", '[1,{"a":[["1","2","3.5"]]},"book-%s","A/B"]'),
    ],
)
def test_channel_of_a_megabyte_is_not_remembered(venue: str, payload: str) -> None:
    state = MARKET_BY_SOURCE.open()

    output = ingest(numbered([payload % ("x" * 2**20)], venue=venue), state)

    assert output.counts == {"frame_dead_malformed": 1}
    assert max(len(page or b"") for page in state.changes().values()) < 1_000


def test_symbol_of_a_megabyte_is_not_cached() -> None:
    before = futures_name.cache_info().currsize
    payload = {"e": "trade", "s": "x" * 2**20, "t": 1, "p": "1", "q": "1", "T": 1, "m": True}

    output = ingest(numbered([json.dumps(payload)], venue="binance"))

    assert output.counts == {"frame_dead_malformed": 1}
    assert futures_name.cache_info().currsize == before


def test_time_shift_whose_absolute_value_overflows_is_refused() -> None:
    payload = '{"type":"trade","instrument":"sim:A","price":"1","size":"2","event_time_ns":5}'
    least = int(np.iinfo(np.int64).min)

    output = ingest([Frame(payload, 1, venue="plain", time_shift_ns=least)])

    assert output.counts == {"frame_dead_malformed": 1}


def test_source_of_many_long_names_is_written_in_pages_a_record_can_carry() -> None:
    state = MARKET_BY_SOURCE.open()
    trades = [
        '{"type":"trade","instrument":"sim:%s","price":"1","size":"2"}' % (f"{number}é" * 9)
        for number in range(INSTRUMENTS_MAX)
    ]
    ingest(numbered(trades, venue="plain"), state)

    pages = {page: value for page, value in state.changes().items() if value is not None}
    restored = MARKET_BY_SOURCE.open()
    restored.restore(pages)

    assert max(map(len, pages.values())) < KAFKA_RECORD_BYTES_MAX
    assert len(pages) > 1
    before, after = state.read("test"), restored.read("test")
    assert before is not None
    assert after is not None
    assert after.header() == before.header()


def test_header_that_becomes_shorter_deletes_the_pages_it_no_longer_needs() -> None:
    state = MARKET_BY_SOURCE.open()
    frames = [
        json.dumps({"topic": "orderbook." + "x" * 100, "data": {"s": f"S{number}", "u": 5}})
        for number in range(5_000)
    ]
    ingest(numbered(frames, venue="bybit"), state)
    assert state.changes().get(("test", -1)) is not None

    ingest([Frame("{}", 6_000, venue="bybit", pass_index=1)], state)

    assert state.changes().get(("test", -1), b"") is None


def test_change_of_60000_levels_before_its_snapshot_is_no_page_too_large_for_kafka() -> None:
    state = MARKET_BY_SOURCE.open()
    levels = [[str(number), "1"] for number in range(1, 60_000)]
    change = {"e": "depthUpdate", "E": 1, "s": "A", "U": 1, "u": 2, "b": levels, "a": []}

    output = ingest(numbered([json.dumps(change)], venue="binance"), state)

    assert rows_of(output, "book")[0]["integrity"] == "AWAITING_SNAPSHOT"
    assert max(len(page or b"") for page in state.changes().values()) < KAFKA_RECORD_BYTES_MAX


def test_number_with_digits_beyond_the_scale_that_its_exponent_brings_back_is_exact() -> None:
    values, statuses = scaled([b"1.000000001001E+5"], np.array([8]))

    assert statuses.tolist() == [GOOD]
    assert values.tolist() == [10_000_000_010_010]


def test_broken_frame_of_a_megabyte_loses_every_book_of_hundreds_unsearched() -> None:
    state = MARKET_BY_SOURCE.open()
    snapshots = [
        json.dumps(
            {"type": "snapshot", "product_id": f"P{number}", "bids": [["1", "2"]], "asks": []}
        )
        for number in range(100)
    ]
    ingest(numbered(snapshots, venue="coinbase"), state)

    ingest([Frame('{"P7"' + " " * 2**20, 101, venue="coinbase")], state)

    source = state.read("test")
    assert source is not None
    assert {book.integrity.name for book in source.books.values()} == {"GAPPED"}
