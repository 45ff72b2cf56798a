"""How far the lanes of a topology are behind, as Kafka has it."""

from collections.abc import Sequence
from dataclasses import dataclass

from headrace.kafka.fetched import Offsets
from headrace.kafka.offsets import OffsetQuery, places_of_topics
from headrace.kafka.read_all import read_all
from headrace.runtime.assemble import Choice
from headrace.runtime.chain import outer_topics
from headrace.runtime.topics import gateway_lane_name, lane_name, sink_lane_name
from headrace.topology import Topology


@dataclass(frozen=True, slots=True)
class LaneGroup:
    """The consumer group of a lane and the topics it reads, with their partition counts."""

    group: str
    topics: dict[str, int]


def lane_groups(topology: Topology, choice: Choice) -> list[LaneGroup]:
    """Return the groups of the chosen part of a topology."""
    partitions = {topic.name: topic.partitions for topic in topology.topics}
    chains = [
        LaneGroup(lane_name(topology, run), {n: partitions[n] for n in outer_topics(run)})
        for run in choice.runs(topology)
    ]
    sinks = [
        LaneGroup(
            sink_lane_name(topology, sink.name),
            {topic.name: topic.partitions for topic in sink.reads},
        )
        for sink in choice.chosen_sinks(topology)
    ]
    gateways = [
        LaneGroup(
            gateway_lane_name(topology, gateway.name),
            {topic.name: topic.partitions for topic in gateway.reads},
        )
        for gateway in choice.chosen_gateways(topology)
    ]
    return chains + sinks + gateways


class LagWatch:
    """Asks Kafka for ends and committed offsets of a topology's groups."""

    def __init__(self, bootstrap: str, groups: Sequence[LaneGroup]) -> None:
        self._bootstrap = bootstrap
        self._logs = OffsetQuery(bootstrap)
        self._groups = [(group, OffsetQuery(bootstrap, group.group)) for group in groups]
        topics = {name: count for group in groups for name, count in group.topics.items()}
        self._places = places_of_topics(topics)

    def ends(self) -> Offsets:
        """Return the end of every partition the groups read."""
        return self._logs.ends(self._places)

    def lags(self, ends: Offsets | None = None) -> dict[str, int]:
        """Return by group how many records it has not finished."""
        known = self.ends() if ends is None else ends
        found = {}
        for group, query in self._groups:
            places = places_of_topics(group.topics)
            committed = query.committed(places)
            found[group.group] = sum(
                max(0, known[place] - committed.get(place, 0)) for place in places
            )
        return found

    def counts(self, topics: dict[str, int]) -> dict[str, int]:
        """Return how many records each topic holds, by reading them.

        Offsets would not tell: transactions leave markers among the records.
        """
        found = dict.fromkeys(topics, 0)
        for part in read_all(self._bootstrap, topics):
            found[part.topic] += len(part.values)
        return found

    def worst(self) -> int:
        """Return the lag of the group that is furthest behind."""
        return max(self.lags().values(), default=0)
