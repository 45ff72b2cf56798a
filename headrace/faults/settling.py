"""Tells when a run is over: the logs have ended, and every lane has read them to their end."""

from collections.abc import Sequence

from headrace.errors import TransientError
from headrace.faults.limits import SETTLED_LOOKS
from headrace.faults.records import read_log
from headrace.kafka.fetched import Offsets
from headrace.kafka.offsets import OffsetQuery, places_of_topics
from headrace.up.lag import LaneGroup


class Settling:
    """Looks at ends and committed offsets until they have stood still often enough.

    What lies between the two may be transactions' markers and aborted records, which nobody
    commits: it is read, and only records count as waiting.
    """

    def __init__(self, bootstrap: str, groups: Sequence[LaneGroup]) -> None:
        self._bootstrap = bootstrap
        self._logs = OffsetQuery(bootstrap)
        self._groups = groups
        self._queries = {group.group: OffsetQuery(bootstrap, group.group) for group in groups}
        topics = {name: count for group in groups for name, count in group.topics.items()}
        self._places = places_of_topics(topics)
        self._before: tuple[Offsets, dict[str, Offsets]] = ({}, {})
        self._looks = 0
        self._waiting: dict[str, int] = {}

    def look(self) -> bool:
        """Look once; return whether the run is over."""
        ends = self._logs.ends(self._places)
        committed = {
            group.group: self._queries[group.group].committed(places_of_topics(group.topics))
            for group in self._groups
        }
        self._waiting = {
            group.group: sum(self._behind(group, ends, committed[group.group]).values())
            for group in self._groups
        }
        is_still = (ends, committed) == self._before
        self._before = (ends, committed)
        self._looks = self._looks + 1 if is_still else 0
        if self._looks < SETTLED_LOOKS:
            return False
        try:
            self._waiting = {
                group.group: self._records_waiting(group, ends, committed[group.group])
                for group in self._groups
            }
        except TransientError as error:
            self._waiting = {str(error): 1}
        return not any(self._waiting.values())

    def words(self) -> list[str]:
        """Return who was not through at the last look."""
        behind = [f"{group}: {count} waiting" for group, count in self._waiting.items() if count]
        return behind or ["records are still being written"]

    def _behind(self, group: LaneGroup, ends: Offsets, committed: Offsets) -> Offsets:
        """Return the offsets between what a group has committed and the end, where there are."""
        return {
            (topic, number): ends[topic, number] - committed.get((topic, number), 0)
            for topic, count in group.topics.items()
            for number in range(count)
            if ends[topic, number] > committed.get((topic, number), 0)
        }

    def _records_waiting(self, group: LaneGroup, ends: Offsets, committed: Offsets) -> int:
        behind = self._behind(group, ends, committed)
        topics = {topic: group.topics[topic] for topic, _ in behind}
        if not topics:
            return 0
        starts = {
            (topic, number): committed.get((topic, number), 0)
            for topic, count in topics.items()
            for number in range(count)
        }
        return sum(len(part.values) for part in read_log(self._bootstrap, topics, starts))
