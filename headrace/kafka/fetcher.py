"""Reads partitions from their leaders as whole record batches, ahead of who takes them.

A thread for each broker, and one that finds out who leads. Nothing here knows of groups.
"""

import random
from collections.abc import Callable, Collection, Iterable, Mapping
from threading import Condition, Event, RLock, Thread
from time import monotonic

import structlog

from headrace import limits
from headrace.errors import HeadraceError, InvariantError, UsageError
from headrace.kafka import fetch_wire as wire
from headrace.kafka.broker import Broker
from headrace.kafka.client_log import tell
from headrace.kafka.fetch_wire import Address, Answer, Leaders
from headrace.kafka.fetched import Fetched, Offsets, Place, RawPart
from headrace.kafka.positions import Positions
from headrace.kafka.record_batches import Bytes, compile_kernels, read_part

log = structlog.get_logger(__name__)

_chance = random.Random()  # noqa: S311  (no secret; the shared one is for who seeds it)

_RECONNECT_S_MIN = 0.05
_LOOK_S = 1.0
"""How often a thread that has nothing to do looks whether it should end."""


class Fetcher:
    """Fetches ahead what it is told to read; `take` gives it, in the order it came.

    Only the topics in `first` overtake the others.

    `start`, `stop`, `pause`, `resume`, `take` are for one thread; what goes wrong beside it that
    does not pass by itself is raised by `take`.
    """

    def __init__(self, bootstrap: str, client_id: str, first: Collection[str] = ()) -> None:
        """Read from the cluster behind these addresses: `host:port`, several by commas."""
        self._bootstrap = wire.addresses(bootstrap)
        self._client_id = client_id
        self._lock = RLock()
        # Each for those who wait for it alone: a thread that is woken in vain costs this process,
        # on its way to the interpreter and back, as much as a small batch.
        self._has_come = Condition(self._lock)
        self._is_wanted = Condition(self._lock)
        self._is_unled = Condition(self._lock)
        self._positions = Positions(frozenset(first))
        self._leaders = wire.NO_LEADERS
        self._is_lost = False
        self._is_waited_for = False
        self._unknown_since_s: float | None = None
        self._out_of_range: Offsets = {}
        self._failure: Exception | None = None
        self._is_closed = False
        self._closing = Event()
        self._threads: dict[str, Thread] = {}

    def start(self, starts: Mapping[Place, int]) -> None:
        """Read these partitions from these offsets, whatever was read of them before."""
        # Now, and not within the time that somebody waits for the first records: a second of work
        # for a process that has called no kernel yet.
        compile_kernels()
        with self._lock:
            self._positions.start(starts)
            self._out_of_range = {p: o for p, o in self._out_of_range.items() if p not in starts}
            self._is_unled.notify_all()
            self._is_wanted.notify_all()
        self._run("leaders", self._find_leaders)

    def assign(self, starts: Mapping[Place, int]) -> None:
        """Read these partitions from these offsets, and no others."""
        with self._lock:
            self._positions.stop(list(self._positions.by_place))
        if starts:
            self.start(starts)

    def stop(self, places: Iterable[Place]) -> None:
        """Read these no more, and give nothing of them."""
        with self._lock:
            self._positions.stop(places)

    def pause(self, places: Iterable[Place]) -> None:
        """Give nothing of these for now."""
        with self._lock:
            self._positions.pause(places, is_paused=True)

    def resume(self, places: Iterable[Place]) -> None:
        """Go on with these where they were paused."""
        with self._lock:
            self._positions.pause(places, is_paused=False)
            self._is_wanted.notify_all()

    def stable_ends(self) -> Offsets:
        """Return where each partition ended when it was last heard of."""
        with self._lock:
            return {
                place: position.stable_end
                for place, position in self._positions.by_place.items()
                if position.stable_end >= 0
            }

    def out_of_range(self) -> Offsets:
        """Return what the log does not have, once: by partition, the offset that was wanted."""
        with self._lock:
            found, self._out_of_range = self._out_of_range, {}
            return found

    def take(self, records_max: int, timeout_s: float) -> Fetched:
        """Return what came first, at most so many records; waits only if there is nothing.

        Raises:  UsageError if a topic does not exist or may not be read; InvariantError if a log
                 cannot be.
        """
        with self._lock:
            if not self._can_answer():
                self._is_waited_for = True
                self._is_wanted.notify_all()
                self._has_come.wait_for(self._can_answer, timeout_s)
                self._is_waited_for = False
            if self._failure is not None:
                raise self._failure
            was_full = self._is_full
            fetched = self._positions.take(records_max)
            if was_full and not self._is_full:
                self._is_wanted.notify_all()
            return fetched

    def close(self) -> None:
        """Read no more."""
        with self._lock:
            self._is_closed = True
            self._closing.set()
            for waiting in (self._has_come, self._is_wanted, self._is_unled):
                waiting.notify_all()
        for thread in list(self._threads.values()):  # it may find one more leader meanwhile
            thread.join(limits.CLOSE_S)

    def _can_answer(self) -> bool:
        return self._failure is not None or self._positions.is_readable()

    # Threads beside the one that takes.

    def _run(self, name: str, what: Callable[[], None]) -> None:
        if name not in self._threads:
            thread = Thread(target=self._guarded, args=(what,), name=f"fetch-{name}", daemon=True)
            self._threads[name] = thread
            thread.start()

    def _guarded(self, what: Callable[[], None]) -> None:
        """Hand what a thread cannot go on from to whoever takes."""
        try:
            what()
        except Exception as error:  # noqa: BLE001  (raised again by `take`)
            with self._lock:
                self._failure = error
                self._has_come.notify_all()

    def _find_leaders(self) -> None:
        """Find out who leads what is read, whenever that is not known or no longer true."""
        tries = 0
        while True:
            with self._lock:
                while not self._is_closed and not self._must_find():
                    self._is_unled.wait(_LOOK_S)
                if self._is_closed:
                    return
                topics = sorted({topic for topic, _ in self._positions.by_place})
                brokers = [*self._leaders.brokers.values(), *self._bootstrap]
            found = self._ask_for_leaders(brokers, topics, tries)
            tries = 0 if found is not None and not self._note(found) else tries + 1
            if tries:
                self._pause(tries)

    def _must_find(self) -> bool:
        return self._is_lost or bool(
            self._positions.by_place.keys() - self._leaders.leader_by_place.keys()
        )

    def _ask_for_leaders(
        self, brokers: list[Address], topics: list[str], tries: int
    ) -> Leaders | None:
        """Ask the brokers in turn, one a try."""
        address = brokers[tries % len(brokers)]
        try:
            broker = Broker(address, self._client_id)
            try:
                return broker.leaders(topics)
            finally:
                broker.close()
        except OSError as error:
            tell("kafka_fetch", f"{address.host}:{address.port}: {error}")
            return None

    def _note(self, found: Leaders) -> bool:
        """Take what was found; say whether something is still unknown.

        Raises:  UsageError if that is so because a topic does not exist, for long.
        """
        with self._lock:
            self._leaders, self._is_lost = found, False
            missing = self._must_find()
            unknown = found.unknown & {topic for topic, _ in self._positions.by_place}
            now_s = monotonic()
            if not unknown:
                self._unknown_since_s = None
            elif self._unknown_since_s is None:
                self._unknown_since_s = now_s
            elif now_s - self._unknown_since_s > limits.REQUEST_TIMEOUT_S:
                raise UsageError(
                    f"topic {min(unknown)}: the cluster has none of this name; create it with: "
                    "headrace topics TOPOLOGY --create"
                )
            self._is_wanted.notify_all()
            leading = {
                node
                for place, node in found.leader_by_place.items()
                if place in self._positions.by_place
            }
        for node in leading:
            self._run(f"broker-{node}", lambda node=node: self._serve(node))  # type: ignore[misc]
        return missing

    def _serve(self, node: int) -> None:
        """Fetch from one broker what it leads: ahead, but for the end of the log."""
        broker: Broker | None = None
        failures = 0
        is_at_end = False
        asked_s = monotonic()
        while True:
            with self._lock:
                # At the end each record would be an answer of its own, and cost the broker, and us,
                # as much as a thousand do: they gather there until somebody waits for them, but
                # not for long. An operator's word must not wait for another broker's backlog.
                while not self._is_closed and not (
                    (self._is_waited_for or not is_at_end or _has_gathered(asked_s))
                    and (wanted := self._wanted(node))
                ):
                    self._is_wanted.wait(limits.FETCH_GATHER_S_MAX if is_at_end else _LOOK_S)
                if self._is_closed:
                    break
                address = self._leaders.brokers.get(node)
            asked_s = monotonic()
            try:
                if broker is None:
                    broker = Broker(address or self._bootstrap[0], self._client_id)
                answer, said = broker.fetch(wanted)
                is_moved = self._add(wanted, answer, said)
                is_at_end = self._is_at_end(said)
            except OSError as error:
                if broker is not None:
                    broker.close()
                broker, is_moved = None, True
                if address is not None:
                    tell("kafka_fetch", f"{address.host}:{address.port}: {error}")
            failures = failures + 1 if is_moved else 0
            if is_moved:
                with self._lock:
                    self._is_lost = True
                    self._is_unled.notify_all()
                self._pause(failures)
        if broker is not None:
            broker.close()

    @property
    def _is_full(self) -> bool:
        return self._positions.waiting_bytes >= limits.CONSUMER_BYTES_MAX

    def _wanted(self, node: int) -> dict[Place, tuple[int, int]]:
        """Return what is to be fetched from a broker: offset and reading of each partition."""
        if self._is_full:
            return {}
        leaders = self._leaders.leader_by_place
        return {
            place: (position.offset, position.reading)
            for place, position in self._positions.by_place.items()
            if leaders.get(place) == node
            and not position.is_paused
            and place not in self._out_of_range
        }

    def _add(self, wanted: dict[Place, tuple[int, int]], answer: Bytes, said: list[Answer]) -> bool:
        """Note what came; say whether something is to be asked of another broker.

        Raises:  UsageError or InvariantError if a partition cannot be read.
        """
        is_moved = False
        read: list[tuple[Answer, int, RawPart | None, int]] = []
        for one in said:
            offset, reading = wanted[one.place]
            if one.error in wire.MOVED:
                is_moved = True
            elif one.error == wire.OUT_OF_RANGE:
                with self._lock:
                    self._out_of_range[one.place] = offset
            elif one.error:
                raise _refusal(one, offset)
            else:
                part = None
                if one.size:
                    records = answer[one.start :]
                    part, offset = read_part(records, one.size, one.place, offset, one.aborted)
                read.append((one, reading, part, offset))
        # All together: whoever waits would take the first alone, and do a whole turn for it.
        with self._lock:
            for one, reading, part, offset in read:
                self._positions.add(one.place, reading, part, offset, one.stable_end)
            if self._positions.is_readable():
                self._has_come.notify_all()
        return is_moved

    def _is_at_end(self, said: list[Answer]) -> bool:
        """Say whether an answer brought all there was."""
        with self._lock:
            by_place = self._positions.by_place
            return all(
                by_place[one.place].offset >= one.stable_end
                for one in said
                if one.place in by_place
            )

    def _pause(self, tries: int) -> None:
        """Wait before the next try: longer each time, and not all at once."""
        wait_s = min(_RECONNECT_S_MIN * 2 ** min(tries, 10), limits.RECONNECT_S_MAX)
        self._closing.wait(wait_s * _chance.uniform(0.5, 1.0))


def _has_gathered(asked_s: float) -> bool:
    return monotonic() - asked_s >= limits.FETCH_GATHER_S_MAX


def _refusal(answer: Answer, offset: int) -> HeadraceError:
    topic, partition = answer.place
    where = f"topic {topic}, partition {partition}, offset {offset}"
    if answer.error == wire.UNAUTHORIZED:
        return UsageError(f"{where}: this client may not read it")
    return InvariantError(f"{where}: the broker refuses it with error {answer.error}")
