"""The trades the sink's benchmark stores, and what it makes of its runs."""

from pathlib import Path

import pyarrow as pa

from benchmarks.sink.__main__ import section, wrong
from benchmarks.sink.run import Run
from benchmarks.sink.trades import BATCH_RECORDS, TRACE, draw, load, parts, save


def run(peer: str, rate: float = 1.0, content: str = "5 rows") -> Run:
    return Run(peer, rate, cpu_us=1.0, server_cpu_us=1.0, content=content)


def test_parts_hold_every_row_of_a_batch_once(tmp_path: Path) -> None:
    trades = draw(BATCH_RECORDS + 10)

    save(trades, tmp_path / "trades.arrow")
    batches = load(tmp_path / "trades.arrow")
    found = [part for batch in batches for part in parts(batch)]

    assert [batch.num_rows for batch in batches] == [BATCH_RECORDS, 10]
    assert pa.Table.from_batches([part.records for part in found]) == trades.drop(TRACE)
    assert [len(part) for part in found] == [8_192] * 4 + [10]


def test_offsets_of_a_partition_go_on_from_batch_to_batch(tmp_path: Path) -> None:
    save(draw(2 * BATCH_RECORDS), tmp_path / "trades.arrow")

    found = [part for batch in load(tmp_path / "trades.arrow") for part in parts(batch)]

    offsets = [n for part in found if part.partition == 1 for n in part.offsets.tolist()]
    assert offsets == list(range(2 * 8_192))


def test_peer_that_stored_something_else_is_named() -> None:
    assert wrong([run("headrace"), run("adbc")]) == ""
    assert "adbc stored 4 rows" in wrong([run("headrace"), run("adbc", content="4 rows")])


def test_section_says_what_the_target_came_to() -> None:
    runs = [run("headrace", 80.0), run("copy-rows", 100.0)]

    lines = section({"PostgreSQL": runs}, 5, 1)

    assert any("**missed by 11%**" in line for line in lines)
