"""Prints how far every lane is, a JSON line a sample; run as a script, by `ProgressWatch`.

A process of its own: librdkafka's admin client has ended the process it was in as its broker came
back (an assertion, or a segmentation fault), and the prover must outlive what it watches.
Arguments: bootstrap servers, the groups as JSON.
"""

import sys
import time

import msgspec

from headrace.errors import TransientError
from headrace.faults import limits
from headrace.kafka.probe import OffsetProbe
from headrace.up.lag import LaneGroup

Place = tuple[str, int, int]
"""Topic, partition, offset."""


class Seen(msgspec.Struct):
    """A sample as it is printed; the time is the machine's monotonic clock."""

    at: float
    ends: list[Place]
    committed: dict[str, list[Place]]


def main() -> None:
    """Sample until the reader is gone."""
    bootstrap, groups_text = sys.argv[1:]
    groups = msgspec.json.decode(groups_text, type=list[LaneGroup])
    topics = {name: count for group in groups for name, count in group.topics.items()}
    probe = OffsetProbe(bootstrap)
    while True:
        try:
            # The ends first: what is committed after them is never counted as waiting.
            ends = [(*place, offset) for place, offset in probe.ends(topics).items()]
            at = time.monotonic()
            committed = {
                group.group: [(*p, offset) for p, offset in probe.committed(group.group).items()]
                for group in groups
            }
        except TransientError:  # an outage is what it is here for: there is no sample of it
            time.sleep(limits.SAMPLE_S)
            continue
        sys.stdout.write(msgspec.json.encode(Seen(at, ends, committed)).decode() + "\n")
        sys.stdout.flush()
        time.sleep(limits.SAMPLE_S)


if __name__ == "__main__":
    main()
