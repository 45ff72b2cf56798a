"""A small sound project in a folder, to plant mistakes in; loaded as if nothing else was."""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

PACKAGES = ("topologies", "agents", "schemas")

FILES = {
    "topologies/__init__.py": "",
    "agents/__init__.py": "",
    "schemas/__init__.py": "",
    "schemas/topics.py": """
from headrace import Topic

FRAME = Topic("s.frame.v1", "frame.v1", key=("source",))
TRADE = Topic("s.trade.v1", "trade.v1", key=("symbol",))
QUOTE = Topic("s.quote.v1", "quote.v1", key=("symbol",))
BAR = Topic("s.bar.v1", "bar.v1", key=("symbol",), cleanup="compact")
""",
    "agents/read.py": """
from headrace import Batch, Output


def read(batch: Batch) -> Output:
    return Output()
""",
    "agents/bars.py": """
from headrace import Batch, Output, RowTable
import numpy as np

TABLE = RowTable("bars.bar_by_symbol.v1", np.dtype([("count", np.int64)]))


def bars(batch: Batch, state: object, size: int) -> Output:
    return Output()
""",
    "topologies/sample.py": """
from agents.bars import TABLE, bars
from agents.read import read
from schemas import topics as t

from headrace import Panel, Sink, Source, Step, Topology

TOPOLOGY = Topology(
    name="sample",
    source=Source(t.FRAME, lambda text, options: None, defaults=("none",)),
    steps=(
        Step("read", read, reads=(t.FRAME,), writes=(t.TRADE, t.QUOTE)),
        Step(
            "bars",
            bars,
            reads=(t.TRADE, t.QUOTE),
            merge=("symbol",),
            writes=(t.BAR,),
            table=TABLE,
            parameters={"size": 1},
        ),
    ),
    sinks=(Sink("redis", (t.BAR,)),),
    panels=(Panel("bars", t.BAR, lambda record: {}),),
)
""",
    "schemas/avro/frame.v1.avsc": """
{"type": "record", "name": "Frame", "fields": [
  {"name": "source", "type": "string"},
  {"name": "raw", "type": "string"}]}
""",
    "schemas/avro/trade.v1.avsc": """
{"type": "record", "name": "Trade", "fields": [
  {"name": "symbol", "type": "string"},
  {"name": "sequence", "type": "long"},
  {"name": "receive_time_ns", "type": "long"},
  {"name": "price_ticks", "type": "long"},
  {"name": "side", "type": {"type": "enum", "name": "Side", "symbols": ["BUY", "SELL"]}},
  {"name": "trade_id", "type": ["null", "long"], "default": null}]}
""",
    "schemas/avro/quote.v1.avsc": """
{"type": "record", "name": "Quote", "fields": [
  {"name": "symbol", "type": "string"},
  {"name": "sequence", "type": "long"},
  {"name": "receive_time_ns", "type": "long"}]}
""",
    "schemas/avro/bar.v1.avsc": """
{"type": "record", "name": "Bar", "fields": [
  {"name": "symbol", "type": "string"},
  {"name": "close_ticks", "type": "long"}]}
""",
}


def write(folder: Path, files: Mapping[str, str]) -> None:
    """Write these files."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.lstrip("\n"))


@contextmanager
def as_only_project() -> Iterator[None]:
    """Forget the packages of other projects meanwhile, and this one's afterwards."""
    path = list(sys.path)
    known = {name: module for name, module in sys.modules.items() if _is_of_a_project(name)}
    for name in known:
        del sys.modules[name]
    try:
        yield
    finally:
        for name in [name for name in sys.modules if _is_of_a_project(name)]:
            del sys.modules[name]
        sys.modules.update(known)
        sys.path[:] = path


def _is_of_a_project(name: str) -> bool:
    return name.partition(".")[0] in PACKAGES
