"""Our own dialect, and the decimals and records that all dialects share."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agents.venues.decimals import GOOD, scaled
from tests.replay.frame_batches import Frame, frame_counts, ingest, numbered, rows_of

S = 10**8
TRADE = {"type": "trade", "instrument": "sim:AAA", "price": "100.01", "size": "0.5",
         "side": "buy", "trade_id": 1, "event_time_ns": 7}  # fmt: skip
QUOTE = {"type": "quote", "instrument": "sim:AAA", "bid": "99.9", "bid_size": "1", "ask": "100",
         "ask_size": "2", "update_id": 3, "event_time_ns": None}  # fmt: skip
BOOK = {"type": "book", "instrument": "sim:AAA", "bids": [["99.9", "1"]], "asks": [["100", "2"]],
        "update_id": 4, "event_time_ns": 8}  # fmt: skip

SCHEMAS = Path(__file__).resolve().parents[2] / "schemas" / "avro"


def plain(*messages: dict[str, Any]) -> list[Frame]:
    return numbered([json.dumps(message) for message in messages], venue="plain")


def test_trade_quote_and_book_are_read() -> None:
    output = ingest(plain(TRADE, QUOTE, BOOK))

    assert frame_counts(output) == {"frame_trade": 1, "frame_quote": 1, "frame_snapshot": 1}
    assert rows_of(output, "trade")[0]["price_ticks"] == 10_001_000_000
    assert rows_of(output, "quote")[0]["sequence"] == 2
    assert rows_of(output, "book")[0]["bid_price_ticks"] == [9_990_000_000]
    assert rows_of(output, "instrument")[0]["venue"] == "sim"


def test_book_beside_quotes_gives_no_quotes_of_its_own() -> None:
    assert not rows_of(ingest(plain(BOOK)), "quote")


def test_numbers_may_be_numbers_and_what_is_not_known_null_or_left_out() -> None:
    bare = {"type": "trade", "instrument": "live-kraken:BTC/USD", "price": 100.25, "size": 1e-8,
            "side": None}  # fmt: skip

    output = ingest(plain(bare))

    (row,) = rows_of(output, "trade")
    assert (row["price_ticks"], row["size_lots"]) == (10_025_000_000, 1)
    assert (row["trade_id"], row["event_time_ns"], row["aggressor"]) == (None, None, "UNKNOWN")
    assert rows_of(output, "instrument")[0]["venue"] == "kraken"


def test_crossed_quote_is_passed_on_as_it_is() -> None:
    (row,) = rows_of(ingest(plain(QUOTE | {"bid": "101"})), "quote")

    assert row["bid_price_ticks"] > row["ask_price_ticks"]


def test_crossed_book_is_not_valid() -> None:
    (row,) = rows_of(ingest(plain(BOOK | {"bids": [["101", "1"]]})), "book")

    assert (row["integrity"], row["bid_price_ticks"]) == ("CROSSED", [])


@pytest.mark.parametrize(
    ("message", "outcome"),
    [
        (TRADE | {"type": "candle"}, "frame_dead_unknown_frame"),
        (TRADE | {"instrument": "moon:AAA"}, "frame_dead_unknown_instrument"),
        (TRADE | {"instrument": ""}, "frame_dead_unknown_instrument"),
        (TRADE | {"instrument": "sim:" + "A" * 100}, "frame_dead_unknown_instrument"),
        (TRADE | {"side": "up"}, "frame_dead_malformed"),
        (TRADE | {"trade_id": "1"}, "frame_dead_malformed"),
        (TRADE | {"size": "-1"}, "frame_dead_malformed"),
        (TRADE | {"price": True}, "frame_dead_bad_decimal"),
        (TRADE | {"price": "1\n2"}, "frame_dead_bad_decimal"),
        (QUOTE | {"ask": "0"}, "frame_dead_malformed"),
        (BOOK | {"bids": [["1", "1", ["2"]]]}, "frame_dead_malformed"),
        (BOOK | {"bids": {}}, "frame_dead_malformed"),
    ],
)
def test_odd_frames_have_one_outcome(message: dict[str, Any], outcome: str) -> None:
    assert frame_counts(ingest(plain(message))) == {outcome: 1}


def test_pass_that_would_run_over_64_bits_is_refused() -> None:
    frames = [
        Frame(json.dumps(TRADE), 1, venue="plain", pass_index=4_001),
        Frame(json.dumps(TRADE), 2, venue="plain", time_shift_ns=2 * 10**18),
    ]

    assert frame_counts(ingest(frames)) == {"frame_dead_malformed": 2}


def test_records_have_the_columns_of_their_schemas_in_order() -> None:
    output = ingest(plain(TRADE, QUOTE, BOOK))

    for topic, records in output.records.items():
        _, noun, version = topic.split(".")
        schema = json.loads((SCHEMAS / f"{noun}.{version}.avsc").read_text())
        assert records.schema.names == [field["name"] for field in schema["fields"]]


def test_frames_of_several_sources_keep_their_order_in_the_output() -> None:
    frames = [
        Frame(json.dumps(TRADE | {"instrument": f"sim:{source}"}), sequence, 10, source, "plain")
        for sequence in (1, 2)
        for source in ("b", "a", "c")
    ]

    output = ingest(frames)

    assert [row["instrument"][-1] for row in rows_of(output, "trade")] == list("bacbac")
    assert [row["sequence"] for row in rows_of(output, "trade")] == [1, 1, 1, 2, 2, 2]
    assert output.causes["market.trade.v1"].tolist() == list(range(6))


@pytest.mark.parametrize(
    "text",
    ["0", "1", "61837.63000000", "0.00000001", "1.2300000000000", "5e3", "1E-8", "12.5e+2",
     "46116860184.27387903", "-3.5", "007.5", "0e999"],
)  # fmt: skip
def test_decimals_are_exact(text: str) -> None:
    values, statuses = scaled([text.encode(), f'"{text}"'.encode()], np.array([8, 8]))

    assert statuses.tolist() == [GOOD, GOOD]
    assert values.tolist() == [int(Decimal(text) * S)] * 2


@pytest.mark.parametrize(
    "text",
    ["", "-", ".", "1.", ".5", "+1", "1e", "1e400", "1.000000001", "1e-9", "46116860184.27387904",
     "99999999999999999999999", "0x1", "1_000", " 1", "1 ", "NaN", "Infinity", "\uff11", "1.2.3",
     '"1', '""', "null", "[1]"],
)  # fmt: skip
def test_what_is_no_exact_decimal_is_refused(text: str) -> None:
    _, statuses = scaled([text.encode()], np.array([8]))

    assert statuses[0] != GOOD
