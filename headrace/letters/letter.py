"""A record that could not be processed, and what was said of it."""

from collections.abc import Iterator
from dataclasses import dataclass

from headrace.batch import Headers
from headrace.errors import DecodeError
from headrace.kafka.fetched import Place, RawPart
from headrace.runtime.chain import Dead
from headrace.runtime.dead_letters import PREFIX

NAMES = ("cause", "detail", "step", "topic", "partition", "offset")


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter: where it lies, the record as it was, and which step gave it up, and why.

    `headers` are the record's own. `time_ms` is the writer's. `topic`, `partition` and
    `origin_offset` are where the record was read.
    """

    place: Place
    offset: int
    time_ms: int
    value: bytes
    key: bytes | None
    headers: Headers
    cause: str
    detail: str
    step: str
    topic: str
    partition: int
    origin_offset: int

    @property
    def dead(self) -> Dead:
        """Return it as the engine wrote it."""
        where = (self.step, self.topic, self.partition, self.origin_offset)
        return Dead(*where, self.value, self.key, self.headers, self.cause, self.detail)


def letters_of(part: RawPart) -> Iterator[Letter]:
    """Yield the letters in what was read of a dead letter topic.

    Raises:  DecodeError if one does not say what the engine says of each.
    """
    for row, (value, key) in enumerate(zip(part.values, part.keys, strict=True)):
        headers = () if part.headers is None else part.headers[row]
        own = [(name, text) for name, text in headers if not name.startswith(PREFIX)]
        # The last of a name: a record that died again was given up for the last reason.
        said = {
            name.removeprefix(PREFIX): text.decode(errors="replace")
            for name, text in headers
            if name.startswith(PREFIX)
        }
        place, offset = (part.topic, part.partition), int(part.offsets[row])
        try:
            yield Letter(
                place,
                offset,
                int(part.timestamps_ms[row]),
                value or b"",
                key,
                own,
                said["cause"],
                said["detail"],
                said["step"],
                said["topic"],
                int(said["partition"]),
                int(said["offset"]),
            )
        except (KeyError, ValueError) as error:
            raise DecodeError(
                f"{part.topic}, partition {part.partition}, offset {offset}: expected the headers "
                f"{', '.join(PREFIX + name for name in NAMES)}, found {sorted(said)}: somebody "
                "else writes to this topic"
            ) from error
