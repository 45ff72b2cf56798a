"""The letters of a topology that nobody has dealt with, and how they are dealt with.

A consumer group without members notes how far each dead letter topic is dealt with. Dealing with
some letters and not with others moves it past all of them; those kept are written again behind the
end, in the same transaction: none is lost, none is sent twice, whatever fails meanwhile.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Literal

from headrace import limits
from headrace.kafka.admin import Admin
from headrace.kafka.consumer import Reader
from headrace.kafka.fetched import Offsets
from headrace.kafka.offsets import OffsetQuery, places_of_topics
from headrace.kafka.transaction import TransactionalProducer
from headrace.letters.letter import Letter, letters_of
from headrace.runtime.dead_letters import send_dead
from headrace.topology import Topic, Topology

Fate = Literal["redriven", "dropped", "kept"]


class PendingLetters:
    """The dead letters of some topics of a topology that were not dealt with yet."""

    def __init__(self, bootstrap: str, topology: Topology, topics: Sequence[Topic]) -> None:
        self._bootstrap = bootstrap
        self._group = f"headrace.{topology.name}.dead"
        counts = Admin(bootstrap).partitions()
        self._topics = {t.dead: counts[t.dead] for t in topics if t.dead in counts}

    def read(self) -> Iterator[Letter]:
        """Yield them, in order within a partition, up to where the topics end now."""
        starts, ends = self._bounds()
        reader = Reader(self._bootstrap, "headrace-dead")
        try:
            for part in reader.read_through(starts, ends):
                yield from letters_of(part)
        finally:
            reader.close()

    def deal(
        self, fate: Fate, is_meant: Callable[[Letter], bool], letters_max: int | None = None
    ) -> Counter[Fate]:
        """Redrive or drop the letters that are meant, at most so many; return what became of all.

        Raises:  FencedError if somebody else began to deal with them meanwhile.
        """
        query = OffsetQuery(self._bootstrap, self._group)
        nobody = query.metadata()
        query.close()
        producer = TransactionalProducer(self._bootstrap, "headrace-dead", self._group)
        done: Counter[Fate] = Counter()
        dealt: Offsets = {}
        waiting = 0
        for letter in self.read():
            if done[fate] == letters_max:
                break  # what comes after stays as it is
            found: Fate = fate if is_meant(letter) else "kept"
            _send(producer, letter, found)
            done[found] += 1
            dealt[letter.place] = letter.offset + 1
            waiting += 1
            if waiting == limits.BATCH_RECORDS_MAX:
                producer.commit(dealt, nobody)
                dealt, waiting = {}, 0
        if dealt:
            producer.commit(dealt, nobody)
        return done

    def _bounds(self) -> tuple[Offsets, Offsets]:
        places = places_of_topics(self._topics)
        # Whoever dealt with letters a moment ago is waited for, in both logs.
        group = OffsetQuery(self._bootstrap, self._group, counts_open=False)
        logs = OffsetQuery(self._bootstrap)
        try:
            dealt, lows, ends = group.committed(places), logs.starts(places), logs.ends(places)
        finally:
            group.close()
            logs.close()
        # What has expired since is gone.
        return {place: max(low, dealt.get(place, 0)) for place, low in lows.items()}, ends


def _send(producer: TransactionalProducer, letter: Letter, fate: Fate) -> None:
    if fate == "redriven":
        headers = [letter.headers] if letter.headers else None
        producer.send(
            letter.topic,
            [letter.value],
            [letter.key],
            partition=letter.partition,
            headers=headers,
        )
    elif fate == "kept":
        send_dead(producer, [letter.dead])
