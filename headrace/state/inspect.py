"""What changelogs and disk say of state: who owns it, how large it is, how far it has read."""

from dataclasses import dataclass
from pathlib import Path

import msgspec

from headrace.kafka.admin import Admin
from headrace.kafka.consumer import Reader
from headrace.state.store import CHECKPOINT_KEY, Checkpoint

TAIL_RECORDS = 2_000
"""How far from the end the last checkpoint is looked for first: a commit writes fewer pages."""


@dataclass(frozen=True, slots=True)
class TaskState:
    """The state of one partition of a chain.

    `lag_records` is how many offsets of its inputs lie behind the checkpoint; `changelog_records`
    the span of its changelog; `owner` is empty if nobody has ever worked on it; `disk_bytes` is
    what a worker of this home keeps of it, as owner or on standby.
    """

    chain: str
    partition: int
    owner: str
    is_released: bool
    checkpoint: int
    lag_records: int
    changelog_records: int
    disk_bytes: int


def task_states(
    bootstrap: str,
    chain: str,
    *,
    changelog: str,
    partitions: int,
    inputs: dict[str, int],
    folder: Path,
) -> list[TaskState]:
    """Return the state of each task of a chain, as its changelog has it.

    Raises:  TransientError if Kafka does not answer.
    """
    ends = Admin(bootstrap).ends(inputs)
    reader = Reader(bootstrap, "headrace-state")
    found = []
    for partition in range(partitions):
        low, high = reader.bounds(changelog, partition)
        last = _last_checkpoint(reader, changelog, partition, (low, high)) or Checkpoint()
        found.append(
            TaskState(
                chain,
                partition,
                last.owner.removeprefix(f"{chain}."),
                last.is_released,
                last.number,
                sum(ends[topic, partition] - last.offsets.get(topic, 0) for topic in inputs),
                high - low,
                _size_bytes(folder / str(partition)),
            )
        )
    reader.close()
    return found


def _last_checkpoint(
    reader: Reader, topic: str, partition: int, bounds: tuple[int, int]
) -> Checkpoint | None:
    low, high = bounds
    place = (topic, partition)
    for start in (max(low, high - TAIL_RECORDS), low):
        last: bytes | None = None
        for part in reader.read_through({place: start}, {place: high}):
            for key, value in zip(part.keys, part.values, strict=True):
                if key == CHECKPOINT_KEY:
                    last = value
        if last is not None:
            return msgspec.json.decode(last, type=Checkpoint)
    return None


def _size_bytes(folder: Path) -> int:
    if not folder.is_dir():
        return 0
    return sum(file.stat().st_size for file in folder.iterdir() if file.is_file())
