"""What a step wrote, before it is bytes: those of several partitions become bytes in one go."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import overload

import pyarrow as pa

from headrace.batch import Headers, IntArray
from headrace.byte_column import ByteColumn
from headrace.runtime.emission import Emission, TopicCodec, emission_of


@dataclass(frozen=True)
class Draft:
    """Records a step wrote to a codec's topic; `emission` is what is sent of them.

    Shapes:  one item a record; `headers` is None where no record has any. `timestamps_ms`, of what
             caused each record, is None where nobody asks for it.
    """

    step: str
    records: pa.RecordBatch
    codec: TopicCodec
    headers: Sequence[Headers] | None
    timestamps_ms: IntArray | None

    @property
    def topic(self) -> str:
        """Return the topic's name."""
        return self.codec.topic.name

    @cached_property
    def emission(self) -> Emission:
        """Return it ready to send, encoded once.

        Raises:  InvariantError if the columns are not those of the schema: the agent is wrong.
        """
        return emission_of(self.step, self.records, self.codec, self.headers, self.timestamps_ms)


class DraftColumn(Sequence[bytes | None]):
    """The values or keys of a draft, encoded only if somebody asks for one of them."""

    __slots__ = ("_draft", "_name")

    def __init__(self, draft: Draft, name: str) -> None:
        """Stand for `values` or `keys`."""
        self._draft = draft
        self._name = name

    def __len__(self) -> int:
        """Return how many items there are."""
        return int(self._draft.records.num_rows)

    @overload
    def __getitem__(self, index: int) -> bytes | None: ...

    @overload
    def __getitem__(self, index: slice) -> ByteColumn: ...

    def __getitem__(self, index: int | slice) -> bytes | ByteColumn | None:
        """Return one item, or those of a slice."""
        return self._column()[index]

    def __iter__(self) -> Iterator[bytes | None]:
        """Iterate over the items."""
        return iter(self._column())

    def _column(self) -> ByteColumn:
        found: ByteColumn = getattr(self._draft.emission, self._name)
        return found


def merged(drafts: Sequence[Draft]) -> list[Draft]:
    """Return one draft for each topic a step wrote to, the records in the order they have here.

    Of few records most of the time goes by draft, not by record. Columns that an agent made of
    other types stay by themselves.
    """
    by_writer: dict[tuple[str, str], list[list[Draft]]] = {}
    for draft in drafts:
        groups = by_writer.setdefault((draft.step, draft.topic), [[]])
        if groups[-1] and not groups[-1][0].records.schema.equals(draft.records.schema):
            groups.append([])
        groups[-1].append(draft)
    return [_one(group) for groups in by_writer.values() for group in groups]


def _one(drafts: Sequence[Draft]) -> Draft:
    first = drafts[0]
    if len(drafts) == 1:
        return first
    headers: list[Headers] | None = None
    if any(draft.headers is not None for draft in drafts):
        headers = [
            own for draft in drafts for own in draft.headers or [()] * draft.records.num_rows
        ]
    records = pa.concat_batches([draft.records for draft in drafts])
    return Draft(first.step, records, first.codec, headers, None)
