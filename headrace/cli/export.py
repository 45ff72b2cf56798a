"""`headrace export`: a topic as a file."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Annotated

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import typer

from headrace.avro.schema import load_schema
from headrace.avro.wire import Decoder
from headrace.cli.connect import connected
from headrace.cli.logs import log_to_stderr
from headrace.cli.options import HERE, ProjectFolder
from headrace.errors import UsageError
from headrace.kafka.read_all import read_all
from headrace.project import Project
from headrace.runtime.assemble import open_registry
from headrace.settings import Settings
from headrace.topology import Topic

WRITERS = ("parquet", "csv", "jsonl")

app = typer.Typer(add_completion=False)


@app.command("export")
def export(
    topic: Annotated[str, typer.Argument(help="The topic to write out.")],
    to: Annotated[Path, typer.Option("--to", help="FILE.parquet, FILE.csv or FILE.jsonl.")],
    topology: Annotated[str, typer.Option(help="The topology the topic belongs to.")] = "trading",
    project: ProjectFolder = HERE,
) -> None:
    """Write all records of a topic, with partition and offset, to a file."""
    log_to_stderr()
    kind = to.suffix.lstrip(".")
    if kind not in WRITERS:
        raise UsageError(f"--to {to}: expected a file ending in .parquet, .csv or .jsonl")
    found = Project(Path(project))
    chosen = {t.name: t for t in found.topology(topology).topics}.get(topic)
    if chosen is None:
        names = ", ".join(t.name for t in found.topology(topology).topics)
        raise UsageError(f"topology {topology} has no topic {topic!r}; it has {names}")
    settings = Settings.load()
    with connected(settings, only=frozenset({"kafka"})) as endpoints:
        # Written aside and moved when complete: a file that is there is whole.
        aside = to.with_name(f".{to.name}.part")
        bad: list[str] = []
        rows = _write(aside, kind, _batches(found, settings, endpoints.kafka, chosen, bad.append))
        aside.replace(to)
    sys.stderr.write(f"{rows:,} records of {topic} written to {to}\n")
    if bad:
        sys.stderr.write(f"{len(bad):,} records could not be decoded; the first: {bad[0]}\n")


def _batches(
    project: Project,
    settings: Settings,
    bootstrap: str,
    topic: Topic,
    on_bad: Callable[[str], None],
) -> Iterator[pa.RecordBatch]:
    """Yield the records of a topic up to where it ended when we began."""
    schema = load_schema(project.schemas, topic.schema)
    decoder = Decoder(schema, open_registry(settings, bootstrap).schema)
    columns = pa.schema(
        [
            pa.field("kafka_partition", pa.int32()),
            pa.field("kafka_offset", pa.int64()),
            *schema.arrow,
        ]
    )
    yield pa.RecordBatch.from_pylist([], schema=columns)
    for raw in read_all(bootstrap, {topic.name: topic.partitions}):
        # Of a reference topic what has no value is no record, and nothing bad: its row is gone.
        is_record = [value is not None for value in raw.values] if topic.reference else []
        part = raw.take(np.flatnonzero(is_record)) if topic.reference else raw
        decoded = decoder.decode(part.values)
        for bad in decoded.bad:
            on_bad(f"partition {part.partition}, offset {part.offsets[bad.row]}: {bad.detail}")
        offsets = part.offsets[decoded.rows]
        yield pa.record_batch(
            [
                pa.array([part.partition] * len(offsets), pa.int32()),
                pa.array(offsets, pa.int64()),
                *decoded.records.columns,
            ],
            schema=columns,
        )


def _write(path: Path, kind: str, batches: Iterator[pa.RecordBatch]) -> int:
    first = next(batches)
    rows = 0
    with path.open("wb") as file:
        write, close = _writer(kind, first.schema, file)
        for batch in batches:
            write(batch)
            rows += batch.num_rows
        close()
    return rows


def _writer(
    kind: str, schema: pa.Schema, file: IO[bytes]
) -> tuple[Callable[[pa.RecordBatch], object], Callable[[], object]]:
    if kind == "parquet":
        parquet = pyarrow.parquet.ParquetWriter(file, schema, compression="zstd")
        return parquet.write_batch, parquet.close
    if kind == "csv":
        lists = [field.name for field in schema if pa.types.is_list(field.type)]
        flat = pa.schema([pa.field(f.name, pa.string()) if f.name in lists else f for f in schema])
        csv = pyarrow.csv.CSVWriter(file, flat)
        return lambda batch: csv.write_batch(_flat(batch, flat)), csv.close
    encoder = msgspec.json.Encoder()
    return (
        lambda batch: file.write(encoder.encode_lines(batch.to_pylist())),
        lambda: None,
    )


def _flat(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """Return the batch with lists as JSON text, for a format that has none."""
    columns = [
        pa.array([msgspec.json.encode(v.as_py()).decode() for v in column], pa.string())
        if pa.types.is_list(column.type)
        else column
        for column in batch.columns
    ]
    return pa.record_batch(columns, schema=schema)
