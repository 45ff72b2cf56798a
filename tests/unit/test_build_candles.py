"""Candles of seconds from trades, and of minutes and hours from seconds: rules and edges."""

from typing import Any

import pyarrow as pa
import pytest

from agents.build_candles import AHEAD_NS_MAX, LATENESS_NS, SECOND_NS, TABLE, build_candles
from agents.roll_candles import HOUR_NS, MINUTE_NS, roll_candles
from agents.roll_candles import TABLE as ROLLED
from headrace import Batch, Output
from schemas.topics import CANDLE_HOUR, CANDLE_MINUTE, CANDLE_SECOND
from tests.binance_records import TRADE_SCHEMA, part_of

START_NS = 1_723_075_200 * SECOND_NS
"""A full hour."""
PRICE = 60_000 * 10**8


def trade(sequence: int, after_ns: int, **fields: Any) -> dict[str, Any]:
    return {
        "instrument": "binance-spot:BTCUSDT",
        "source": "test",
        "sequence": sequence,
        "price_ticks": PRICE + sequence,
        "size_lots": 10**8,
        "aggressor": "BUY",
        "event_time_ns": START_NS + after_ns,
        "receive_time_ns": START_NS + after_ns,
        "source_sequence": sequence,
        "book_valid": True,
    } | fields


def batch_of(*trades: dict[str, Any]) -> Batch:
    records = pa.RecordBatch.from_pylist(list(trades), schema=TRADE_SCHEMA)
    return Batch.of(part_of("market.trade.v1", records))


def candles(output: Output, topic: str = CANDLE_SECOND.name) -> list[dict[str, Any]]:
    return list(output.records[topic].to_pylist())


CLOSING = trade(99, SECOND_NS + LATENESS_NS)


def test_a_second_closes_when_a_trade_is_so_much_later_as_the_lateness() -> None:
    state = TABLE.open()
    first, last = trade(1, 0), trade(2, SECOND_NS - 1, size_lots=3 * 10**8)

    before = build_candles(batch_of(first, last, trade(98, SECOND_NS + LATENESS_NS - 1)), state)
    (candle,) = candles(output := build_candles(batch_of(CLOSING), state))

    assert candles(before) == []
    assert output.causes[CANDLE_SECOND.name].tolist() == [0]
    assert candle == {
        "instrument": "binance-spot:BTCUSDT",
        "source": "test",
        "event_time_ns": START_NS,
        "end_time_ns": START_NS + SECOND_NS,
        "open_ticks": PRICE + 1,
        "high_ticks": PRICE + 2,
        "low_ticks": PRICE + 1,
        "close_ticks": PRICE + 2,
        "vwap_ticks": PRICE + 2,  # 1.75, to the nearest
        "volume_lots": 4 * 10**8,
        "trade_count": 2,
        "first_sequence": 1,
        "last_sequence": 2,
    }


def test_trades_of_one_time_are_in_the_order_of_their_sequences() -> None:
    output = build_candles(batch_of(trade(3, 5), trade(1, 5), trade(2, 5), CLOSING), TABLE.open())

    (candle,) = candles(output)

    assert (candle["first_sequence"], candle["last_sequence"]) == (1, 3)
    assert (candle["open_ticks"], candle["close_ticks"]) == (PRICE + 1, PRICE + 3)


def test_a_trade_without_event_time_has_the_time_of_its_receipt() -> None:
    late_receipt = trade(1, 0, event_time_ns=None, receive_time_ns=START_NS + SECOND_NS // 2)

    (candle,) = candles(build_candles(batch_of(late_receipt, CLOSING), TABLE.open()))

    assert candle["event_time_ns"] == START_NS


def test_a_late_trade_is_dropped_and_counted() -> None:
    output = build_candles(batch_of(trade(1, 0), CLOSING, trade(2, 1)), TABLE.open())

    assert output.counts["late"] == 1
    assert not output.dead
    assert candles(output)[0]["trade_count"] == 1


def test_trades_that_cannot_be_are_dead_and_move_no_watermark() -> None:
    bad = [
        trade(2, 0, price_ticks=-1),
        trade(3, 0, size_lots=2**62),
        trade(4, 2 * AHEAD_NS_MAX, receive_time_ns=START_NS),
    ]

    output = build_candles(batch_of(trade(1, 0), *bad, trade(5, 1), CLOSING), TABLE.open())

    assert [(dead.row, dead.cause) for dead in output.dead] == [
        (1, "out_of_range"),
        (2, "out_of_range"),
        (3, "time_ahead"),
    ]
    assert candles(output)[0]["trade_count"] == 2


def test_a_trade_without_size_is_counted_and_in_no_candle() -> None:
    output = build_candles(batch_of(trade(1, 0, size_lots=0), trade(2, 1), CLOSING), TABLE.open())

    assert output.counts["trade_without_size"] == 1
    assert candles(output)[0]["first_sequence"] == 2
    assert output.causes[CANDLE_SECOND.name].tolist() == [2]


def test_streams_have_candles_of_their_own() -> None:
    other = trade(1, 0, source="elsewhere"), trade(2, 1, instrument="sim:X")

    output = build_candles(batch_of(trade(1, 0), *other, CLOSING), TABLE.open())

    assert [(candle["instrument"], candle["source"]) for candle in candles(output)] == [
        ("binance-spot:BTCUSDT", "elsewhere"),
        ("binance-spot:BTCUSDT", "test"),
        ("sim:X", "test"),
    ]


def test_a_restart_in_the_middle_changes_nothing() -> None:
    state = TABLE.open()
    build_candles(batch_of(trade(1, 0), trade(2, 10)), state)
    restored = TABLE.open()
    restored.restore({page: value for page, value in state.changes().items() if value})

    (candle,) = candles(build_candles(batch_of(trade(3, 20), CLOSING), restored))

    assert candle["trade_count"] == 3
    assert candle["open_ticks"] == PRICE + 1


def second(after_ns: int, price: int, **fields: Any) -> dict[str, Any]:
    return {
        "instrument": "sim:X",
        "source": "test",
        "event_time_ns": START_NS + after_ns,
        "end_time_ns": START_NS + after_ns + SECOND_NS,
        "open_ticks": price,
        "high_ticks": price + 5,
        "low_ticks": price - 5,
        "close_ticks": price + 1,
        "vwap_ticks": price,
        "volume_lots": 2,
        "trade_count": 3,
        "first_sequence": after_ns // SECOND_NS,
        "last_sequence": after_ns // SECOND_NS + 1,
    } | fields


@pytest.mark.parametrize(
    ("topic", "interval_ns"), [(CANDLE_MINUTE.name, MINUTE_NS), (CANDLE_HOUR.name, HOUR_NS)]
)
def test_longer_candles_are_the_sums_of_their_seconds(topic: str, interval_ns: int) -> None:
    seconds = [second(0, 100), second(interval_ns - SECOND_NS, 200), second(interval_ns, 300)]
    batch = Batch.of(part_of(CANDLE_SECOND.name, pa.RecordBatch.from_pylist(seconds)))

    output = roll_candles(batch, ROLLED.open())

    assert candles(output, topic)[0] == second(0, 100) | {
        "end_time_ns": START_NS + interval_ns,
        "high_ticks": 205,
        "low_ticks": 95,
        "close_ticks": 201,
        "vwap_ticks": 150,
        "volume_lots": 4,
        "trade_count": 6,
        "last_sequence": interval_ns // SECOND_NS,
    }
    assert len(candles(output, topic)) == 1
    assert output.causes[topic].tolist() == [2]
