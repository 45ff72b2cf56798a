"""A lookup: beside each record of a stream the row of a reference topic that it names."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from headrace.batch import Batch, DeadRow, IntArray, Part
from headrace.byte_column import column_of
from headrace.errors import InvariantError, UsageError
from headrace.operators.held_rows import NONE, Held
from headrace.operators.latest_rows import take_latest
from headrace.operators.limits import KEY_SHOWN_CHARACTERS, LOOKUP_ROWS_MAX
from headrace.operators.reference_rows import ReferenceRows, RowChanges, load_reference

MissingPolicy: TypeAlias = Literal["null", "drop", "dead"]
"""What becomes of a record whose row is not there: nulls, only counted, or a dead letter."""

STREAM = 0
"""The part of the batch that is looked up for: the first of what the step reads."""


@dataclass(frozen=True, slots=True)
class Enriched:
    """What came of a batch.

    `records` are those of the stream, with the columns of their rows behind their own; `causes` is
    of each the row of the batch. `dead` and `counts` are for the agent's Output.
    """

    records: pa.RecordBatch
    causes: IntArray
    dead: list[DeadRow]
    counts: dict[str, int]


@dataclass(frozen=True, slots=True)
class Lookup:
    """Declares the enrichment of a stream by the rows of a reference topic, a global table.

    The step reads the stream and behind it the topic `reference`, of which every partition has all
    rows: any record may ask for any of them. `key` names the fields of the stream whose text,
    joined by `/`, is the key of the row that a record wants; a field that is null names none.
    `row` are the columns of the row that are kept and come out, `prefix` before their names.
    **Order.** A record sees the row as of its arrival: of those before it in the batch's order the
    last one of the key, none after a tombstone. Rows of the reference topic and records of the
    stream have no order but that of their arrival: which of two is first may be otherwise after a
    restart, until it is committed. Nothing waits and nothing is late; where rows hold from a time
    on, `AsOfJoin` goes by it.
    **Missing** rows: nulls, the record dropped, or a dead letter, as the policy says; counted.
    **Limits.** A row of a key beyond `rows_max` is a dead letter: it can be asked for by nobody.

    Shapes:  keys and rows as many as the topic has, `rows_max` at most, in every partition.
    Raises:  UsageError if the lookup cannot be; InvariantError for a batch of other topics.
    Counts:  `missing`, `row_refused`, `row_without_key`.
    Source:  the KStream-GlobalKTable join of Kafka Streams, inner (`drop`) and left (`null`).
    """

    reference: str
    key: tuple[str, ...]
    row: pa.Schema
    missing: MissingPolicy
    prefix: str = ""
    rows_max: int = LOOKUP_ROWS_MAX

    def __post_init__(self) -> None:
        """Refuse a lookup that cannot be."""
        where = f"operator, lookup in {self.reference}"
        if not isinstance(self.key, tuple) or not self.key or not len(self.row):
            raise UsageError(
                f"{where}: expected fields of the stream that name a row and columns of the row to "
                f"take, found key={self.key!r} and {len(self.row)} columns; name at least one each"
            )
        if not 1 <= self.rows_max <= LOOKUP_ROWS_MAX:
            raise UsageError(
                f"{where}: expected rows_max from 1 to {LOOKUP_ROWS_MAX}, found {self.rows_max}"
            )

    @property
    def layout(self) -> str:
        """Return what tells this way of writing rows from another."""
        return f"{type(self).__name__} {self.reference} {self.row.to_string()}"

    def new(self) -> ReferenceRows:
        """Return a state without rows."""
        return ReferenceRows.empty(_nullable(self.row))

    def load(self, name: str, pages: Mapping[int, bytes]) -> ReferenceRows:
        """Return the state that these pages were dumped from."""
        return load_reference(name, _nullable(self.row), pages)

    def add(self, state: ReferenceRows, batch: Batch) -> Enriched:
        """Take the rows that came and look up those that the records of the stream name.

        Raises:  InvariantError if the batch has no part of the reference topic behind the stream.
        """
        number = self._part(batch)
        stream = batch.parts[STREAM].records
        asked = np.flatnonzero(batch.order_parts == STREAM)
        keys = _texts_of(stream, self.key).take(pa.array(batch.order_rows[asked]))
        dead: list[DeadRow] = []
        if len(batch.parts[number]):
            pool, places = self._follow(state, batch, number, (asked, keys), dead)
        else:
            pool, places = state.held, _unchanged(state, keys)
        refused = [found.cause for found in dead]
        is_missing = places == NONE
        counts = {
            "missing": int(is_missing.sum()),
            **{name: refused.count(name) for name in ("row_refused", "row_without_key")},
        }
        rows = batch.order_rows[asked]
        if self.missing == "dead":
            dead += self._letters(rows[is_missing], keys.filter(pa.array(is_missing)))
        kept = slice(None) if self.missing == "null" else ~is_missing
        records = self._beside(stream.take(pa.array(rows[kept])), pool, places[kept])
        return Enriched(
            records, asked[kept], dead, {n: count for n, count in counts.items() if count}
        )

    def _part(self, batch: Batch) -> int:
        topics = [part.topic for part in batch.parts]
        if self.reference not in topics[STREAM + 1 :]:
            raise InvariantError(
                f"lookup in {self.reference}: expected a step that reads a stream and behind it "
                f"{self.reference}, found {', '.join(topics)}; mend Step(reads=…)"
            )
        return topics.index(self.reference, STREAM + 1)

    def _follow(
        self,
        state: ReferenceRows,
        batch: Batch,
        number: int,
        asked: tuple[IntArray, pa.Array],
        dead: list[DeadRow],
    ) -> tuple[Held, IntArray]:
        """Take the rows that came; return rows, and among them the place of what each record sees.

        Changes that cannot be taken are added to `dead`.
        """
        part = batch.parts[number]
        changed = np.flatnonzero(batch.order_parts == number)
        names = [_text(part.keys[row]) for row in batch.order_rows[changed].tolist()]
        has_key = np.array([name is not None for name in names], np.bool_)
        keys = [name for name in names if name is not None]
        before = pc.unique(pa.concat_arrays([asked[1], pa.array(keys, pa.string())])).drop_null()
        latest = state.places_of(before.to_pylist())
        rows = batch.order_rows[changed[has_key]]
        changes = self._changes(part, rows, keys)
        pool, places, refused = state.apply(changes, self.rows_max)
        dead += _keyless(number, batch.order_rows[changed[~has_key]])
        dead += self._too_many(number, rows[refused])
        positions = np.concatenate([asked[0], changed[has_key][~refused]])
        order = np.argsort(positions, kind="stable")
        taken = pa.array(keys, pa.string()).filter(pa.array(~refused))
        codes = pc.index_in(pa.concat_arrays([asked[1], taken]), value_set=before)
        codes = codes.fill_null(NONE).cast(pa.int64()).to_numpy()
        found = np.concatenate([np.full(len(asked[0]), NONE), places[~refused]])
        is_asked = np.arange(len(positions)) < len(asked[0])
        seen = take_latest(
            codes[order], is_asked[order], found[order], np.array([latest, latest]), False
        )
        return pool, seen[1][is_asked[order]]

    def _changes(self, part: Part, rows: IntArray, keys: Sequence[str]) -> RowChanges:
        taken = pa.array(rows)
        records = part.records.select(self.row.names).take(taken).cast(_nullable(self.row))
        is_removed = column_of(part.values).is_null().take(taken)
        return RowChanges(keys, np.asarray(is_removed), records)

    def _beside(self, stream: pa.RecordBatch, pool: Held, places: IntArray) -> pa.RecordBatch:
        """Return the records with the columns of their rows behind their own."""
        taken = pa.array(places, mask=places == NONE)
        columns = dict(zip(stream.schema.names, stream.columns, strict=True))
        for name, column in zip(self.row.names, pool.records.columns, strict=True):
            if f"{self.prefix}{name}" in columns:
                raise UsageError(
                    f"operator, lookup in {self.reference}: expected columns that the stream does "
                    f"not have, found {self.prefix}{name} in both; give a prefix"
                )
            columns[f"{self.prefix}{name}"] = column.take(taken)
        return pa.RecordBatch.from_pydict(columns)

    def _letters(self, rows: IntArray, keys: pa.Array) -> list[DeadRow]:
        return [
            DeadRow(
                STREAM,
                row,
                "missing",
                f"expected a row of {self.reference} with the key "
                f"{(key or 'null')[:KEY_SHOWN_CHARACTERS]!r}, found none; load it with "
                "headrace reference load, and send this record again",
            )
            for row, key in zip(rows.tolist(), keys.to_pylist(), strict=True)
        ]

    def _too_many(self, part: int, rows: IntArray) -> list[DeadRow]:
        detail = f"expected at most {self.rows_max} rows of {self.reference}; raise rows_max"
        return [DeadRow(part, row, "row_refused", detail) for row in rows.tolist()]


def _unchanged(state: ReferenceRows, keys: pa.Array) -> IntArray:
    """Return the place of each key's row, where no row has come."""
    encoded = keys.dictionary_encode()
    places = np.append(state.places_of(encoded.dictionary.to_pylist()), NONE)
    found: IntArray = places[encoded.indices.fill_null(len(places) - 1).to_numpy()]
    return found


def _texts_of(records: pa.RecordBatch, fields: Sequence[str]) -> pa.Array:
    """Return the text of these fields as a key in Kafka has it; null where one is."""
    columns = [records.column(name).cast(pa.string()) for name in fields]
    return columns[0] if len(columns) == 1 else pc.binary_join_element_wise(*columns, "/")


def _nullable(schema: pa.Schema) -> pa.Schema:
    """Return the columns as they are held: a tombstone has none of them until it is applied."""
    return pa.schema([field.with_nullable(True) for field in schema])


def _text(key: bytes | None) -> str | None:
    try:
        return None if key is None else key.decode()
    except UnicodeDecodeError:  # a foreign writer's
        return None


def _keyless(part: int, rows: IntArray) -> list[DeadRow]:
    detail = "expected a key that is text, found none; write rows with headrace reference load"
    return [DeadRow(part, row, "row_without_key", detail) for row in rows.tolist()]
