"""Features do not depend on how the input is cut, nor on restarts in the middle."""

import numpy as np
import pyarrow as pa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agents.build_features import WINDOWS_BY_STREAM, build_features
from agents.market.rolling_windows import InstrumentWindows
from headrace import Batch
from headrace.state.pages import PageKey
from headrace.state.tables import ObjectState
from tests.binance_records import Recording, recording_of
from tests.examples import examples
from tests.table_store import keep_changes

INSTRUMENTS = ("binance-spot:BTCUSDT", "kraken:XBT/USD", "nowhere:X")
SECOND_NS = 10**9


@st.composite
def recordings(draw: st.DrawFn) -> Recording:
    """Draw bursts of trades and quotes, with gaps that empty the windows and ties in time."""
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    count = draw(st.integers(1, 1_500))
    gap_ns = draw(st.sampled_from([0, SECOND_NS // 100, SECOND_NS, 30 * SECOND_NS]))
    now = 0
    records: list[dict[str, object]] = []
    for index in range(count):
        now += int(generator.integers(0, gap_ns + 1)) * int(generator.random() < 0.5)
        price = 10**12 + int(generator.integers(-3, 4)) * 10**6
        record: dict[str, object] = {
            "instrument": INSTRUMENTS[int(generator.choice(3, p=[0.7, 0.29, 0.01]))],
            "sequence": index + 1,
            "receive_time_ns": now,
        }
        if generator.random() < 0.5:
            record |= {
                "price_ticks": price,
                "size_lots": int(generator.integers(0, 10**10)),
                "aggressor": str(generator.choice(["BUY", "SELL", "UNKNOWN"])),
            }
        else:
            record |= {
                "bid_price_ticks": price,
                "bid_size_lots": int(generator.integers(0, 10**10)),
                "ask_price_ticks": price + int(generator.integers(-1, 3)) * 10**6,
                "ask_size_lots": int(generator.integers(0, 10**10)),
            }
        records.append(record)
    return recording_of(records)


@settings(max_examples=examples(40), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(recordings(), st.data())
def test_outputs_do_not_depend_on_the_cuts_nor_on_restarts(
    recording: Recording, data: st.DataObject
) -> None:
    borders = sorted(data.draw(st.lists(st.integers(0, len(recording.is_trade)), max_size=12)))
    whole = list(recording.batches([]))
    cut = list(recording.batches(borders))

    wanted = outputs(whole, restart_after=set())
    found = outputs(cut, restart_after=data.draw(st.sets(st.integers(0, len(cut)))))

    assert found == wanted


def outputs(batches: list[Batch], restart_after: set[int]) -> tuple[bytes, dict[str, int]]:
    """Return all output bytes and counts; the state is committed after each batch."""
    state: ObjectState[InstrumentWindows] = WINDOWS_BY_STREAM.open()
    store: dict[PageKey, bytes] = {}
    vectors: list[pa.RecordBatch] = []
    counts = {"dead": 0}
    for index, batch in enumerate(batches):
        output = build_features(batch, state)
        vectors += output.records.values()
        counts["dead"] += len(output.dead)
        for name, count in output.counts.items():
            counts[name] = counts.get(name, 0) + count
        keep_changes(store, state)
        if index in restart_after:
            state = WINDOWS_BY_STREAM.open()
            state.restore(store)
    if not vectors:
        return b"", counts
    table = pa.Table.from_batches(vectors).combine_chunks()
    columns = (column.chunk(0) for column in table.columns)
    return b"".join(repr(column.to_numpy(False).tolist()).encode() for column in columns), counts
