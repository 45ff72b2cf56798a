"""Which model decides: what an operator said of an instrument or of all, and from when."""

from collections.abc import Sequence

import msgspec
import numpy as np
import pyarrow as pa

from headrace import ObjectTable, StructCodec
from headrace.batch import IntArray
from headrace.state.tables import ObjectState

EVERY_INSTRUMENT = "*"
"""The instrument of a control that is for all: a record in every partition of the topic."""

CHANGES_MAX = 16
"""Changes kept of an instrument: what is said ahead, and the one in force."""

CHAMPION, GONE = 0, -1
"""Places among a step's models: the first of them, and of one the step no longer has."""


class Choice(msgspec.Struct, array_like=True):
    """Models by the time each takes over, earliest first; when the last word was said.

    Before the first of them the champion decides.
    """

    models: list[str] = msgspec.field(default_factory=list)
    from_times_ns: list[int] = msgspec.field(default_factory=list)
    said_time_ns: int = 0


CHOICE_BY_INSTRUMENT = ObjectTable(
    "contest_direction.choice_by_instrument.v1", StructCodec(Choice, lambda _: Choice())
)


def choose(
    state: ObjectState[Choice], instrument: str, model: str, *, from_time_ns: int, said_time_ns: int
) -> bool:
    """Take an operator's word; return False if it is older than all it would change.

    It replaces what was to come at its time or later. One for all instruments is for those too of
    which something else was said.
    """
    if instrument == EVERY_INSTRUMENT:
        keys = list(dict.fromkeys([*state, EVERY_INSTRUMENT]))
    else:
        keys = [instrument]
    heard = False
    for key in keys:
        before = state.read(key) or state.read(EVERY_INSTRUMENT) or Choice()
        if said_time_ns < before.said_time_ns:
            continue
        heard = True
        kept = [at for at in before.from_times_ns if at < from_time_ns]
        after = state.edit(key)
        after.models = [*before.models[: len(kept)], model][-CHANGES_MAX:]
        after.from_times_ns = [*kept, from_time_ns][-CHANGES_MAX:]
        if len(kept) == CHANGES_MAX:
            # The change forgotten was over long ago: what came next holds for what was before.
            after.from_times_ns[0] = 0
        after.said_time_ns = said_time_ns
    return heard


def chosen_places(
    records: pa.RecordBatch, state: ObjectState[Choice], models: Sequence[str]
) -> IntArray:
    """Return for each vector the place among `models` of the one that decides, or GONE."""
    chosen = np.full(records.num_rows, CHAMPION)
    if not len(state):
        return chosen
    places = {name: place for place, name in enumerate(models)}
    times_ns = records.column("receive_time_ns").to_numpy()
    instruments = records.column("instrument").dictionary_encode()
    numbers = instruments.indices.to_numpy()
    for number, instrument in enumerate(instruments.dictionary.to_pylist()):
        choice = state.read(instrument) or state.read(EVERY_INSTRUMENT)
        if choice is None:
            continue
        # What decides before the first change stands before them all.
        by_change = np.array([CHAMPION, *(places.get(name, GONE) for name in choice.models)])
        mine = numbers == number
        changes = np.searchsorted(np.array(choice.from_times_ns), times_ns[mine], side="right")
        chosen[mine] = by_change[changes]
    return chosen
