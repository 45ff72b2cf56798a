"""headrace: Faust made columnar, on librdkafka."""

from headrace.batch import Batch, DeadRow, Output, Part
from headrace.state.tables import ObjectTable, RowTable, StructCodec
from headrace.topology import (
    Control,
    Drill,
    Gateway,
    Invariant,
    Panel,
    Proof,
    Sink,
    Source,
    Step,
    Topic,
    Topology,
)

__all__ = [
    "Batch",
    "Control",
    "DeadRow",
    "Drill",
    "Gateway",
    "Invariant",
    "ObjectTable",
    "Output",
    "Panel",
    "Part",
    "Proof",
    "RowTable",
    "Sink",
    "Source",
    "Step",
    "StructCodec",
    "Topic",
    "Topology",
]
