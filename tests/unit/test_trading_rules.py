"""The shared trading rules: amounts and their rounding, identities, schemas, paged state."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from agents.simulate_venue import QUOTE_COLUMNS
from agents.trading.amounts import (
    cash_delta_e8,
    fee_e8,
    lots_for_notional,
    notional_e8,
    position_value_e8,
)
from agents.trading.groups import fresh_sequences, rows_by_name
from agents.trading.identity import client_order_id_of, digest, request_id_of
from agents.trading.limits import AccountLimits
from agents.trading.pages import PagedMap, RecentMap
from agents.trading.records import OrderRejected, schema_of
from schemas import topics
from schemas.instruments import E8, instrument_of
from tests.trading_batches import KINDS, PERP, PREDICTION_SCHEMA, SPOT

SPOT_BTC = instrument_of(SPOT)
PERP_BTC = instrument_of(PERP)
ROOT = Path(__file__).parents[2]
AVRO = ROOT / "schemas" / "avro"
ARROW_NAMES = {"long": "int64", "boolean": "bool", "string": "string"}


@pytest.mark.parametrize("topic", [*KINDS, topics.ORDER_REJECTED.name])
def test_rows_have_the_fields_of_the_avro_schema_in_order(topic: str) -> None:
    kind = KINDS.get(topic, OrderRejected)
    stem = next(
        each.schema for each in vars(topics).values() if getattr(each, "name", None) == topic
    )
    fields = json.loads((AVRO / f"{stem}.avsc").read_text())["fields"]

    expected = [
        (each["name"], ARROW_NAMES["string" if isinstance(each["type"], dict) else each["type"]])
        for each in fields
    ]

    assert [(each.name, str(each.type)) for each in schema_of(kind)] == expected


def test_every_code_a_person_may_meet_is_explained() -> None:
    page = (ROOT / "docs" / "risk.md").read_text()
    sources = "".join(
        (ROOT / "agents" / name).read_text()
        for name in (
            "check_risk.py",
            "execute_orders.py",
            "request_orders.py",
            "simulate_venue.py",
            "trading/checks.py",
            "trading/exposure.py",
            "trading/order_state.py",
            "trading/paper_venue.py",
        )
    )
    prefixes = "account|answer|approval|control|event|fill|held|instrument|max|open|order|overfill"
    prefixes += "|prediction|price|quote|rate|report|request|signal|unchanged|unknown|waiting"
    codes = set(re.findall(rf'"((?:{prefixes})_\w+)"', sources))

    unexplained = {code for code in codes if not re.search(rf"\b{code}\b", page)}

    assert unexplained <= set(QUOTE_COLUMNS) | _names_of_fields()


def _names_of_fields() -> set[str]:
    kinds = [*KINDS.values(), OrderRejected]
    return {name for kind in kinds for name in kind.__struct_fields__} | set(
        PREDICTION_SCHEMA.names
    )


@pytest.mark.parametrize(
    ("instrument", "price", "lots", "expected"),
    [
        (SPOT_BTC, 60_000 * 10**8, 10**8, 60_000 * E8),
        (SPOT_BTC, 1, 1, 1),
        (SPOT_BTC, 10**8 + 1, 10**8 - 1, 10**8),
        (PERP_BTC, 60_000 * 10**8, 3 * 10**8, 300 * E8),
        (instrument_of("binance-coinm:ETHUSD_PERP"), 1, 3 * 10**8, 30 * E8),
        (instrument_of("kraken:XBT/USD"), 60_000 * 10**10, 10**8, 60_000 * E8),
    ],
)
def test_notional_rounds_up(instrument: Any, price: int, lots: int, expected: int) -> None:
    assert notional_e8(instrument, price, lots) == expected


def test_cash_pays_up_and_receives_down() -> None:
    paid = cash_delta_e8(SPOT_BTC, "BUY", price_ticks=10**8 + 1, size_lots=3, fee_e8=1)
    received = cash_delta_e8(SPOT_BTC, "SELL", price_ticks=10**8 + 1, size_lots=3, fee_e8=1)

    assert (paid, received) == (-5, 2)


def test_inverse_round_trip_at_one_price_never_gains() -> None:
    for price in range(59_999_00000007, 59_999_00000107):
        lots = 7 * 10**8
        cash = sum(
            cash_delta_e8(PERP_BTC, side, price_ticks=price, size_lots=lots, fee_e8=0)
            for side in ("BUY", "SELL")
        )
        assert cash in {-1, 0}


def test_position_value_rounds_down_for_long_and_short() -> None:
    assert position_value_e8(SPOT_BTC, 10**8 + 1, 3) == 3
    assert position_value_e8(SPOT_BTC, 10**8 + 1, -3) == -4
    assert position_value_e8(PERP_BTC, 60_000 * 10**8, 3 * 10**8) == -500_000
    assert position_value_e8(PERP_BTC, 7 * 10**8, -(10**8)) == 14_28571428


def test_fee_rounds_up_to_one_unit_and_is_nothing_at_rate_nought() -> None:
    assert fee_e8(SPOT_BTC, 1, 1, rate_e8=1) == 1
    assert fee_e8(SPOT_BTC, 10**12, 10**8, rate_e8=0) == 0


def test_lots_for_notional_are_the_most_that_fit() -> None:
    assert lots_for_notional(SPOT_BTC, 60_000 * 10**8, 1_000 * E8, step_lots=1) == 1_666_666
    assert lots_for_notional(SPOT_BTC, 60_000 * 10**8, 1_000 * E8, step_lots=1_000) == 1_666_000
    assert lots_for_notional(PERP_BTC, 1, 299 * E8, step_lots=1_000) == 2 * 10**8


def test_identities_tell_apart_what_runs_together() -> None:
    assert digest("x", "a", "bc") != digest("x", "ab", "c")
    assert digest("x", 1, 11) != digest("x", 11, 1)
    assert request_id_of("a", "s", SPOT, "f", 1) != client_order_id_of("a", "s", SPOT, "f", 1)
    assert digest("order", "é") == "705a4dcc1ddaa2c0e9cccaece36461f5"


def test_limits_are_found_by_instrument_then_market_then_any() -> None:
    limits = AccountLimits()

    assert limits.of_instrument(SPOT_BTC).max_position_lots == 10**7
    assert limits.of_instrument(PERP_BTC) is limits.instruments["binance-coinm"]
    assert limits.of_instrument(instrument_of("sim:X")) is limits.any_instrument
    assert not limits.of_instrument(instrument_of("table:EURUSD")).tradable


def test_rows_by_name_keeps_order_within_each_name() -> None:
    names, groups = rows_by_name(pa.array(["b", "a", "b", "c", "a"]))

    assert names == ["b", "a", "c"]
    assert [group.tolist() for group in groups] == [[0, 2], [1, 4], [3]]


def test_fresh_sequences_are_above_all_before_them() -> None:
    found = fresh_sequences(np.array([3, 5, 5, 4, 6, 9]), 3)

    assert found.tolist() == [False, True, False, False, True, True]


def test_paged_map_writes_only_changed_pages_and_deletes_empty_ones() -> None:
    pages = PagedMap(int, 8)
    for k in range(40):
        pages.put(f"key{k}", k)
    first = pages.dump()

    pages.put("key3", 33)
    second = pages.dump()
    for k in range(40):
        pages.remove(f"key{k}")

    assert len(first) == 8
    assert len(second) == 1
    assert set(pages.dump().values()) == {None}
    assert len(pages) == 0


def test_recent_map_forgets_the_oldest_also_after_a_restart() -> None:
    recent = RecentMap(int, page_count=2, page_keys=2)
    pages = {}
    for k in range(7):
        recent.add(f"key{k}", k)
        pages |= recent.dump()
    after = RecentMap(int, page_count=2, page_keys=2)

    after.load({number: page for number, page in pages.items() if page})

    assert [k for k in range(7) if f"key{k}" in after] == [3, 4, 5, 6]
    assert after.add("next", 9) == 3
    assert after.read("next") == 9
