"""Quotes of instruments become legs of an asset, legs a basis, and an unusual basis a signal."""

from fractions import Fraction
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.arbitrage import pair_samples
from agents.arbitrage.basis_kernels import BASIS_LIMIT, PRICE_SUM_LIMIT, basis_of
from agents.arbitrage.legs import LEGS, Leg
from agents.rekey_quotes import rekey_quotes
from agents.track_basis import LATENESS_NS, STALE_NS, TABLE, BasisRule, track_basis
from headrace import Batch, Output
from schemas.topics import ASSET_QUOTE, BASIS, BASIS_SIGNAL, QUOTE
from tests.binance_records import QUOTE_SCHEMA, part_of

E8 = 10**8
START_NS = 1_723_161_255 * 10**9
STEP_NS = 100_000_000
SPOT, FUTURE = "binance-spot:BTCUSDT", "binance-usdm:BTCUSDT"
RULE = BasisRule()


def quote(instrument: str, sequence: int, bid: int, ask: int) -> dict[str, Any]:
    return {
        "instrument": instrument,
        "source": "test",
        "sequence": sequence,
        "bid_price_ticks": bid,
        "bid_size_lots": 1,
        "ask_price_ticks": ask,
        "ask_size_lots": 1,
        "receive_time_ns": START_NS + sequence,
        "source_sequence": sequence,
    }


def rekeyed(*quotes: dict[str, Any], **legs: Leg) -> Output:
    records = pa.RecordBatch.from_pylist(list(quotes), schema=QUOTE_SCHEMA)
    return rekey_quotes(Batch.of(part_of(QUOTE.name, records)), legs or LEGS)


def leg(side: str, after_ns: int, mid: int, **fields: Any) -> dict[str, Any]:
    return {
        "asset": "BTC",
        "leg": side,
        "instrument": SPOT if side == "SPOT" else FUTURE,
        "source": "test",
        "sequence": after_ns,
        "bid_price_e8": mid - 1,
        "ask_price_e8": mid + 1,
        "receive_time_ns": START_NS + after_ns,
    } | fields


def tracked(legs: list[dict[str, Any]], state: Any = None) -> Output:
    records = pa.RecordBatch.from_pylist(legs)
    state = TABLE.open() if state is None else state
    return track_basis(Batch.of(part_of(ASSET_QUOTE.name, records)), state, RULE)


def told(output: Output, topic: str = BASIS.name) -> list[dict[str, Any]]:
    return list(output.records[topic].to_pylist())


FLUSH = leg("SPOT", 10**12, 100 * E8)
"""So much later that everything before it is known."""


def market(count: int) -> list[dict[str, Any]]:
    """Return spot at 100, and a future that swings by 1 basis point about 100.10."""
    found = []
    for step in range(count):
        found.append(leg("SPOT", step * STEP_NS, 100 * E8))
        swing = (-1) ** step * 10**6
        found.append(leg("FUTURE", step * STEP_NS + 1, 100 * E8 + 10**7 + swing))
    return found


def test_quotes_of_a_leg_are_keyed_by_its_asset_in_one_unit() -> None:
    kraken = "kraken:XBT/USD"
    legs = {SPOT: Leg("BTC", "SPOT"), kraken: Leg("BTC", "FUTURE")}

    output = rekeyed(quote(SPOT, 1, 7, 9), quote(kraken, 2, 700, 999), **legs)

    assert [
        (row["asset"], row["leg"], row["instrument"], row["bid_price_e8"], row["ask_price_e8"])
        for row in told(output, ASSET_QUOTE.name)
    ] == [("BTC", "SPOT", SPOT, 7, 9), ("BTC", "FUTURE", kraken, 7, 9)]
    assert output.causes[ASSET_QUOTE.name].tolist() == [0, 1]


def test_quotes_of_no_leg_or_without_a_price_are_counted() -> None:
    output = rekeyed(
        quote("sim:X", 1, 7, 9),
        quote(SPOT, 2, 0, 9),
        quote(SPOT, 3, 9, 7),
        quote(SPOT, 4, 7, 10**17),
        quote(SPOT, 5, 7, 7),
    )

    assert output.counts == {"quote_not_paired": 1, "quote_invalid": 3}
    assert [row["sequence"] for row in told(output, ASSET_QUOTE.name)] == [5]


def test_a_future_is_held_against_the_spot_quote_before_it() -> None:
    quotes = [
        leg("SPOT", 0, 100 * E8),
        leg("FUTURE", 10, 101 * E8),
        leg("SPOT", 11, 50 * E8),
        FLUSH,
    ]

    (row,) = told(output := tracked(quotes))

    assert row["basis_bps_e4"] == 100 * 10**4
    assert (row["spot_time_ns"], row["receive_time_ns"]) == (START_NS, START_NS + 10)
    assert (row["mean_bps_e4"], row["z_score_e4"]) == (None, None)
    assert output.causes[BASIS.name].tolist() == [3]
    assert told(output, BASIS_SIGNAL.name) == []


def test_a_future_without_a_fresh_spot_quote_is_counted() -> None:
    quotes = [leg("SPOT", 0, 100 * E8), leg("FUTURE", STALE_NS + 1, 101 * E8), FLUSH]

    output = tracked(quotes)

    assert told(output) == []
    assert output.counts == {"unmatched": 1}


def test_late_quotes_are_counted() -> None:
    quotes = [leg("SPOT", 0, 100 * E8), FLUSH, leg("SPOT", 10**12 - LATENESS_NS - 1, 100 * E8)]

    assert tracked(quotes).counts == {"late_right": 1}


def test_a_price_of_something_else_is_no_basis() -> None:
    output = tracked([leg("SPOT", 0, 100 * E8), leg("FUTURE", 1, 110 * E8), FLUSH])

    assert told(output) == []
    assert output.counts == {"basis_out_of_range": 1}


def test_a_basis_out_of_its_band_is_signalled_once_and_once_when_it_is_back() -> None:
    later = 61 * STEP_NS
    quotes = [
        *market(60),
        leg("SPOT", later, 100 * E8),
        leg("FUTURE", later + 1, 101 * E8),
        leg("FUTURE", later + 2, 101 * E8),
        leg("FUTURE", later + 3, 100 * E8 + 10**7),
        FLUSH,
    ]

    output = tracked(quotes)

    signals = told(output, BASIS_SIGNAL.name)
    assert [(one["action"], one["sequence"]) for one in signals] == [
        ("SELL_FUTURE", later + 1),
        ("CLOSE", later + 3),
    ]
    assert signals[0]["z_score_e4"] > 3 * 10**4
    assert signals[0]["mean_bps_e4"] == 10 * 10**4
    assert signals[0]["future_bid_price_e8"] == 101 * E8 - 1
    assert signals[0]["spot_ask_price_e8"] == 100 * E8 + 1


def test_a_cheap_future_is_bought() -> None:
    later = 61 * STEP_NS
    quotes = [*market(60), leg("SPOT", later, 100 * E8), leg("FUTURE", later + 1, 99 * E8), FLUSH]

    assert [one["action"] for one in told(tracked(quotes), BASIS_SIGNAL.name)] == ["BUY_FUTURE"]


@pytest.mark.parametrize("cut", [1, 50, 101, 119])
def test_neither_a_cut_nor_a_restart_changes_what_is_said(cut: int) -> None:
    quotes = [*market(60), FLUSH]
    state = TABLE.open()
    first = tracked(quotes[:cut], state)
    restored = TABLE.open()
    restored.restore({page: value for page, value in state.changes().items() if value})

    then = tracked(quotes[cut:], restored)

    assert told(first) + told(then) == told(tracked(quotes))


def test_one_future_too_many_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pair_samples, "PAIRS_MAX", 1)
    quotes = [leg("SPOT", 0, 100 * E8), leg("FUTURE", 1, 100 * E8)]
    other = leg("FUTURE", 2, 100 * E8, instrument="binance-coinm:BTCUSD_PERP")

    output = tracked([*quotes, other, FLUSH])

    assert output.counts == {"pair_refused": 1}
    assert len(told(output)) == 1


@given(st.integers(1, PRICE_SUM_LIMIT - 1), st.integers(1, PRICE_SUM_LIMIT - 1))
def test_a_basis_is_the_nearest_integer(future: int, spot: int) -> None:
    found = basis_of(future, spot)

    exact = (Fraction(future, spot) - 1) * 10**8
    if abs(exact) < BASIS_LIMIT:
        assert abs(found - exact) <= Fraction(1, 2)
    else:
        assert not -BASIS_LIMIT < found < BASIS_LIMIT
