"""Recorded frames cut anywhere, state written down and read back: the outputs stay the same."""

from itertools import pairwise
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agents.ingest_frames import MARKET_BY_SOURCE, ingest_frames
from headrace.batch import Output
from tests.examples import examples
from tests.replay.frame_batches import Frame, batch_of, binance_lines, frames_of, session_lines

FRAMES = 1_500


@pytest.fixture(scope="module")
def mixed(shared_data: Path) -> list[Frame]:
    """Return frames of four sources by turns, and again as a second pass."""
    sources = [
        frames_of(list(lines)[:FRAMES], venue=venue, source=f"{venue}/{index}")
        for index, (venue, lines) in enumerate(
            [
                ("binance", binance_lines(shared_data / "binance" / "usdm_btcusdt_20240808.gz")),
                ("binance", binance_lines(shared_data / "binance" / "spot_btcusdt_20240808.gz")),
                ("kraken", session_lines(shared_data / "captures" / "KRAKEN.ws.50.0.gz")),
                ("coinbase", session_lines(shared_data / "captures" / "COINBASE.ws.28.0.gz")),
            ]
        )
    ]
    first = [frame for turn in zip(*sources, strict=True) for frame in turn]
    second = [
        Frame(
            frame.payload,
            frame.sequence + FRAMES,
            frame.receive_time_ns + 10**12,
            frame.source,
            frame.venue,
            10**12,
            1,
        )
        for frame in first[: len(first) // 4]
    ]
    return first + second


@pytest.fixture(scope="module")
def uncut(mixed: list[Frame]) -> dict[str, pa.Table]:
    return tables_of([ingest_frames(batch_of(mixed), MARKET_BY_SOURCE.open())])


def tables_of(outputs: list[Output]) -> dict[str, pa.Table]:
    topics = {topic: None for output in outputs for topic in output.records}
    return {
        topic: pa.Table.from_batches(
            [output.records[topic] for output in outputs if topic in output.records]
        ).combine_chunks()
        for topic in topics
    }


@settings(
    max_examples=examples(12),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_restart_at_any_frame_and_any_cut_into_batches_give_the_same_outputs(
    data: st.DataObject, mixed: list[Frame], uncut: dict[str, pa.Table]
) -> None:
    """Some borders go on with the live state, some with what its pages bring back."""
    places = st.lists(st.integers(1, len(mixed) - 1), max_size=6, unique=True)
    borders = [0, *sorted(data.draw(places, label="borders")), len(mixed)]
    pages: dict[tuple[str, int], bytes] = {}
    state = MARKET_BY_SOURCE.open()
    outputs = []
    for start, end in pairwise(borders):
        outputs.append(ingest_frames(batch_of(mixed[start:end]), state))
        for page, value in state.changes().items():
            if value is None:
                del pages[page]
            else:
                pages[page] = value
        if data.draw(st.booleans(), label="restart"):
            state = MARKET_BY_SOURCE.open()
            state.restore(pages)

    found = tables_of(outputs)

    assert found.keys() == uncut.keys()
    for topic, table in uncut.items():
        assert found[topic].equals(table), topic


def test_a_batch_that_changes_little_writes_few_pages(mixed: list[Frame]) -> None:
    state = MARKET_BY_SOURCE.open()
    ingest_frames(batch_of(mixed[:-1]), state)
    everything = state.changes()

    ingest_frames(batch_of(mixed[-1:]), state)
    little = state.changes()

    assert len(everything) > 50
    assert len(little) <= 6


def test_frames_that_come_again_after_a_restart_change_nothing(mixed: list[Frame]) -> None:
    state = MARKET_BY_SOURCE.open()
    ingest_frames(batch_of(mixed[:2_000]), state)
    restored = MARKET_BY_SOURCE.open()
    restored.restore({page: value for page, value in state.changes().items() if value is not None})

    output = ingest_frames(batch_of(mixed[1_000:2_000]), restored)

    assert output.counts == {"frame_duplicate": 1_000}
    assert not output.records
