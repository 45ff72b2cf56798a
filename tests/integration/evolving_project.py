"""A project whose schema and table change between versions, laid down in folders."""

from pathlib import Path

from tests.sample_project import write

TICKS, ECHOES = "evolving.tick.v1", "evolving.echo.v1"

ECHO_AGENT = """
import numpy as np

from headrace import Batch, Output, RowTable

COUNT_BY_SYMBOL = RowTable({table!r}, np.dtype([("count", {kind})]))


def echo_ticks(batch: Batch, state: object) -> Output:
    rows = state.index_of(batch.records.column("symbol").to_pylist())
    counts = []
    for row in rows.tolist():
        state.rows[row]["count"] += 1
        counts.append(int(state.rows[row]["count"]))
    records = batch.records.append_column("count", np.array(counts, np.int64))
    return Output({{"{echoes}": records}})
"""

TOPOLOGY = """
from agents.echo_ticks import COUNT_BY_SYMBOL, echo_ticks

from headrace import Source, Step, Topic, Topology

TICK = Topic("{ticks}", "tick.v1", key=("symbol",), partitions=1, compatibility={rule!r})
ECHO = Topic("{echoes}", "echo.v1", key=("symbol",), partitions=1)

TOPOLOGY = Topology(
    name="evolving",
    source=Source(TICK, lambda text, options: None, defaults=("none",)),
    steps=(Step("echo", echo_ticks, reads=(TICK,), writes=(ECHO,), table=COUNT_BY_SYMBOL),),
)
"""

SYMBOL = '{"name": "symbol", "type": "string"}'
PRICE = '{"name": "price_ticks", "type": "long"}'
VENUE = '{"name": "venue", "type": "string", "default": "unknown"}'
COUNT = '{"name": "count", "type": "long"}'


def record(name: str, *fields: str) -> str:
    """Return a schema of these fields."""
    return f'{{"type": "record", "name": "{name}", "fields": [{", ".join(fields)}]}}'


TICK_V1 = (SYMBOL, PRICE)
TICK_V2 = (*TICK_V1, VENUE)


def lay_down(
    folder: Path,
    tick: tuple[str, ...],
    *,
    table: str = "echo_ticks.count_by_symbol.v1",
    kind: str = "np.int64",
    rule: str = "BACKWARD",
) -> Path:
    """Write a version of the project into a folder: the fields of a tick, the table's layout."""
    write(
        folder,
        {
            "topologies/__init__.py": "",
            "agents/__init__.py": "",
            "agents/echo_ticks.py": ECHO_AGENT.format(table=table, kind=kind, echoes=ECHOES),
            "topologies/evolving.py": TOPOLOGY.format(ticks=TICKS, echoes=ECHOES, rule=rule),
            "schemas/avro/tick.v1.avsc": record("Tick", *tick),
            "schemas/avro/echo.v1.avsc": record("Echo", *tick, COUNT),
        },
    )
    return folder
