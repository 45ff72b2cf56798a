"""A member of a group that reads whole record batches from the brokers by itself.

Groups, commits and offsets are confluent_kafka's client's, whose partitions stay paused.
"""

from collections.abc import Sequence

from headrace.kafka.consumer import Consumer
from headrace.kafka.fetched import Fetched, Offsets, Place
from headrace.kafka.fetcher import Fetcher
from headrace.kafka.offsets import in_log


class BatchConsumer(Consumer):
    """Reads as `Consumer` does, with a third of its work a record."""

    def __init__(
        self, bootstrap: str, client_id: str, group: str, instance: str | None = None
    ) -> None:
        """Be a member of `group`: a static one if `instance` names it."""
        super().__init__(bootstrap, client_id, group, instance)
        self._fetcher = Fetcher(bootstrap, client_id)

    def _take_over(self, places: Sequence[Place]) -> None:
        """Nothing comes from the client: its partitions are paused, and stay so."""

    def _let_go(self, places: Sequence[Place]) -> None:
        self._fetcher.stop(places)

    def start(self, starts: Offsets) -> bool:
        """Read these partitions from these offsets, whatever was read of them before."""
        self._fetcher.start(starts)
        return True

    def poll(self, records_max: int, timeout_s: float) -> Fetched:
        """Return what waits, at most so many records; waits only if there is nothing.

        Raises:  UsageError if a topic does not exist, or was read to behind its end; InvariantError
                 if the client is broken or a log is damaged.
        """
        self._hear()
        for place, offset in self._fetcher.out_of_range().items():
            self._find_again(place, offset)
        return self._fetcher.take(records_max, timeout_s)

    def _find_again(self, place: Place, offset: int) -> None:
        """Go on where the log begins, if what was wanted is no longer in it."""
        self._fetcher.start({place: in_log(place, offset, *self.bounds(*place))})

    def lag(self, offsets: Offsets) -> int:
        """Return how many offsets lie behind these, as far as this member has heard."""
        ends = self._fetcher.stable_ends()
        return sum(max(0, ends.get(place, 0) - offset) for place, offset in offsets.items())

    def pause(self, partitions: Sequence[Place]) -> None:
        """Stop reading these partitions for now."""
        self._fetcher.pause(partitions)

    def resume(self, partitions: Sequence[Place]) -> None:
        """Go on reading these partitions."""
        self._fetcher.resume(partitions)

    def close(self) -> None:
        """Stop reading, and leave the group."""
        self._fetcher.close()
        super().close()
