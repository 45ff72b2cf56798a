"""Topics on Kafka as tables: what a running graph wrote, to judge it by."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from headrace.avro.registry import Registry
from headrace.avro.schema import load_schema
from headrace.avro.wire import Decoder
from headrace.errors import UsageError
from headrace.kafka.read_all import read_all
from headrace.limits import TABLE_RECORDS_MAX
from headrace.project import Project
from headrace.topology import Topology

TIME = "receive_time_ns"


def topic_tables(
    project: Project,
    topology: Topology,
    topics: Sequence[str],
    bootstrap: str,
    registry: Registry,
    *,
    window_ns: tuple[int | None, int | None] = (None, None),
) -> dict[str, pa.Table]:
    """Return by topic the records it holds now, of those received within the window.

    A record that cannot be decoded is left out.
    Raises:  UsageError if the topology has no such topic, or there are more than
             `TABLE_RECORDS_MAX` records.
    """
    known = {topic.name: topic for topic in topology.topics}
    if unknown := [name for name in topics if name not in known]:
        raise UsageError(
            f"topology {topology.name} has no topic {', '.join(unknown)}; it has {', '.join(known)}"
        )
    schemas = {name: load_schema(project.schemas, known[name].schema) for name in topics}
    decoders = {name: Decoder(schema, registry.schema) for name, schema in schemas.items()}
    found: dict[str, list[pa.RecordBatch]] = {name: [] for name in topics}
    count = 0
    for part in read_all(bootstrap, {name: known[name].partitions for name in topics}):
        records = _within(decoders[part.topic].decode(part.values).records, window_ns)
        count += records.num_rows
        if count > TABLE_RECORDS_MAX:
            raise UsageError(
                f"topics {', '.join(topics)}: expected at most {TABLE_RECORDS_MAX:,} records, "
                "found more; name a shorter time with --from and --to"
            )
        found[part.topic].append(records)
    return {
        name: pa.Table.from_batches(batches, schemas[name].arrow) for name, batches in found.items()
    }


def _within(records: pa.RecordBatch, window_ns: tuple[int | None, int | None]) -> pa.RecordBatch:
    first_ns, last_ns = window_ns
    if first_ns is None and last_ns is None:
        return records
    times_ns = records.column(TIME).to_numpy()
    is_in = np.ones(len(times_ns), bool)
    if first_ns is not None:
        is_in &= times_ns >= first_ns
    if last_ns is not None:
        is_in &= times_ns < last_ns
    return records.filter(pa.array(is_in))
