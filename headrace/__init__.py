"""headrace: Faust made columnar, on librdkafka."""

from headrace.batch import Batch, DeadRow, Output, Part
from headrace.state.tables import ObjectTable, RowTable, StructCodec
from headrace.topology import Sink, Step, Topic, Topology

__all__ = [
    "Batch",
    "DeadRow",
    "ObjectTable",
    "Output",
    "Part",
    "RowTable",
    "Sink",
    "Step",
    "StructCodec",
    "Topic",
    "Topology",
]
