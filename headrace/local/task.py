"""One chain at work in a run without Kafka, what its steps have done, and who is told of it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from headrace.batch import Part
from headrace.local.inbox import Inbox
from headrace.runtime.chain import Chain, Dead


@dataclass(slots=True)
class LocalTask:
    """One chain, the partition it works on, and what waits for it."""

    run: int
    partition: int
    chain: Chain
    inbox: Inbox
    is_timed: bool
    reads_itself: bool


@dataclass(slots=True)
class StepWork:
    """What a step has done over all partitions."""

    records_in: int = 0
    records_out: int = 0
    dead_letters: int = 0
    busy_ns: int = 0


@dataclass(slots=True)
class Watch:
    """Who is told of what: records of a topic as they are written, values only, dead letters.

    `parts` are given decoded, so a topic that nobody reads or watches here is never decoded.
    """

    parts: Mapping[str, Callable[[Part], None]] = field(default_factory=dict)
    values: Callable[[str, int, Sequence[bytes | None]], None] | None = None
    dead: Callable[[Dead], None] | None = None
