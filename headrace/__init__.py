"""headrace: Faust made columnar, over Kafka's own record batches."""

from headrace.batch import Batch, DeadRow, Output, Part
from headrace.state.tables import ObjectTable, RowTable, StructCodec
from headrace.topology import (
    Control,
    Drill,
    Entries,
    Gateway,
    Invariant,
    Ledger,
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
    "Entries",
    "Gateway",
    "Invariant",
    "Ledger",
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
