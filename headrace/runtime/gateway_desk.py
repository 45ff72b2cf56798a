"""The protocol of a gateway in one partition: what is known of each command, and what to do next.

Pure: it reads no clock, does no I/O and draws no random number. Whoever drives it

1. tells it what happened (`take`, `committed`, `replied`, `pushed`),
2. writes `changes` and `reports` in one transaction and says so by `committed`,
3. does what is `due`.

A command is due to be sent once: after its intent is committed, while the lease of that commit
holds. In every other case (restored, lapsed, unanswered) it is only ever asked for.
"""

from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any
from zlib import crc32

import msgspec

from headrace.batch import Headers
from headrace.errors import InvariantError, TransientError
from headrace.gateway import (
    Absent,
    Command,
    GatewayRules,
    Known,
    NotSent,
    Pushed,
    Refused,
    Reply,
    Report,
    Reported,
)
from headrace.state.pages import PageKey

SENDING = "SENDING"
"""Written; it may have been sent, or not."""
CANCELING = "CANCELING"
"""The far side did not know it; a cancel by its id may have been sent, or not."""
LIVE = "LIVE"
"""The far side has it; its reports are followed."""
DONE = "DONE"
"""Its last report is written; it is remembered to know a repetition."""

REPORTS_HELD_MAX = 64
"""Reports of a command kept while an earlier one is missing; an answer brings all of them."""

CURSOR_STEP = 1_000
"""Reports of others after which a cursor is written for its own sake: so many are read again."""

Tables = dict[str, dict[PageKey, bytes | None]]


class Act(Enum):
    """What can be due for a command, the most urgent first."""

    SEND = "send"
    CANCEL = "cancel"
    ASK = "ask"


@dataclass(frozen=True, slots=True)
class Action:
    """What is to be done now, once; the answer goes to `Desk.replied`.

    What changes something over there must not begin at `lease_until_s` or later.
    """

    act: Act
    command: Command
    lease_until_s: float


class Entry(msgspec.Struct, array_like=True):
    """What is remembered of a command; `sequence` is its last report that was passed on."""

    number: int
    state: str
    time_ns: int
    row: dict[str, Any]
    headers: list[tuple[str, bytes]]
    sequence: int = 0
    held: dict[int, Report] = msgspec.field(default_factory=dict)


class Progress(msgspec.Struct, array_like=True):
    """How far the far side's log was read, and up to which time commands may be forgotten."""

    cursor: int = -1
    forgotten_time_ns: int = -(2**63)
    commands: int = 0


@dataclass(slots=True)
class Errand:
    """What comes next for an open command; `since_s` is when it can last have been sent."""

    act: Act
    due_s: float
    since_s: float
    is_written: bool
    is_in_flight: bool = False
    asked_s: float = 0.0
    attempts: int = 0


class Desk:
    """The commands of one partition. Times are seconds of one monotonic clock."""

    def __init__(
        self,
        owner: str,
        rules: GatewayRules,
        *,
        cancel_blocks: bool,
        refusal: Callable[[Command, str], Report],
    ) -> None:
        self.counts: Counter[str] = Counter()
        self._command_table = f"{owner}.command_by_id.v1"
        self._progress_table = f"{owner}.progress_by_name.v1"
        self._rules = rules
        self._cancel_blocks = cancel_blocks
        self._refusal = refusal
        self._progress = Progress()
        self._entries: dict[str, Entry] = {}
        self._errands: dict[str, Errand] = {}
        self._done: deque[str] = deque()
        self._changed: dict[str, None] = {}
        self._writing: tuple[str, ...] = ()
        self._reports: list[Reported] = []
        self._lease_until_s = float("-inf")
        self._cursor_written = -1
        self._progress_written = b""
        self._gap_since_s: float | None = None

    @property
    def cursor(self) -> int | None:
        """Return up to which number the far side's log was read; None before `begin`."""
        return None if self._progress.cursor < 0 else self._progress.cursor

    @property
    def open_count(self) -> int:
        """Return how many commands have no end yet."""
        return len(self._errands)

    @property
    def is_dirty(self) -> bool:
        """Say whether there is something to commit; the cursor alone can wait for a while."""
        is_far = self._progress.cursor - self._cursor_written >= CURSOR_STEP
        return bool(self._changed or self._reports) or is_far

    def begin(self, cursor: int) -> None:
        """Follow the far side's log from here: before the first command is sent."""
        self._progress.cursor = cursor

    def restore(self, tables: Mapping[str, Mapping[PageKey, bytes]], now_s: float) -> None:
        """Take what was committed; the outcome of what was being sent is unknown."""
        for page in tables.get(self._progress_table, {}).values():
            self._progress = msgspec.msgpack.decode(page, type=Progress)
            self._cursor_written = self._progress.cursor
        found = {
            identity: msgspec.msgpack.decode(page, type=Entry)
            for (identity, _), page in tables.get(self._command_table, {}).items()
        }
        for identity, entry in sorted(found.items(), key=lambda item: item[1].number):
            self._entries[identity] = entry
            if entry.state == DONE:
                self._done.append(identity)
                continue
            self._ask(identity, now_s)
            if entry.state != LIVE:
                self.counts["outcome_unknown"] += 1

    def take(self, command: Command, *, age_s: float, now_s: float) -> None:
        """Note a command that was read, `age_s` after it was written."""
        if command.id in self._entries:
            self.counts["command_repeated"] += 1
            return
        entry = Entry(
            self._progress.commands, SENDING, command.time_ns, dict(command.row), [*command.headers]
        )
        self._progress.commands += 1
        self._entries[command.id] = entry
        self._changed[command.id] = None
        if command.time_ns <= self._progress.forgotten_time_ns:
            self.counts["command_maybe_forgotten"] += 1
            self._ask(command.id, now_s)
        elif self.open_count >= self._rules.open_max:
            self._refuse(command.id, entry, "open_commands_limit")
        elif age_s > self._rules.age_s_max:
            self._refuse(command.id, entry, "too_old")
        elif self.cursor is None:
            self._refuse(command.id, entry, "remote_away")
        else:
            self._errands[command.id] = Errand(Act.SEND, now_s, now_s, is_written=False)

    def changes(self) -> Tables:
        """Return the pages to write; None deletes one. `committed` must follow, or the end."""
        commands: dict[PageKey, bytes | None] = {
            (identity, 0): msgspec.msgpack.encode(self._entries[identity])
            if identity in self._entries
            else None
            for identity in self._changed
        }
        self._writing = tuple(self._changed)
        self._changed.clear()
        tables: Tables = {self._command_table: commands} if commands else {}
        progress = msgspec.msgpack.encode(self._progress)
        if progress != self._progress_written:
            tables[self._progress_table] = {("", 0): progress}
            self._progress_written = progress
        return tables

    def reports(self) -> list[Reported]:
        """Return the reports to write in the same transaction as `changes`."""
        reports, self._reports = self._reports, []
        return reports

    def committed(self, began_s: float) -> None:
        """Note that what `changes` returned is written, by a commit that began then.

        It proves that nobody else owned the partition at that time; the lease counts from it.
        """
        for identity in self._writing:
            if identity in self._errands:
                self._errands[identity].is_written = True
        self._writing = ()
        self._cursor_written = self._progress.cursor
        self._lease_until_s = began_s + self._rules.lease_s

    def due(self, act: Act, now_s: float, limit: int) -> list[Action]:
        """Return what of this kind is to be done now; each is handed out once."""
        found: list[Action] = []
        for identity, errand in list(self._errands.items()):
            if len(found) >= limit:
                break
            if errand.act is not act or errand.is_in_flight or errand.due_s > now_s:
                continue
            if act is not Act.ASK and not errand.is_written:
                continue
            if act is not Act.ASK and now_s >= self._lease_until_s:
                self._lapse(identity, errand, now_s)
                continue
            errand.is_in_flight = True
            errand.asked_s = now_s
            found.append(Action(act, self._command(identity), self._lease_until_s))
        return found

    def replied(self, action: Action, reply: Reply, now_s: float) -> None:
        """Take the answer to an action."""
        identity = action.command.id
        entry, errand = self._entries.get(identity), self._errands.get(identity)
        if entry is None or errand is None:
            return  # a push has ended it meanwhile
        errand.is_in_flight = False
        if action.act is Act.SEND:
            errand.since_s = now_s
        if isinstance(reply, Known):
            self._follow(identity, entry, reply.reports, now_s)
        elif isinstance(reply, Absent) and action.act is not Act.SEND:
            self._absent(action, entry, errand, now_s)
        elif action.act is Act.SEND and entry.state == SENDING and isinstance(reply, NotSent):
            self._refuse(identity, entry, reply.reason)
        elif action.act is Act.SEND and entry.state == SENDING and isinstance(reply, Refused):
            self.counts["refused_by_remote"] += 1
            self._end(identity, entry, reply.reason)
        else:
            if action.act is Act.SEND and entry.state == SENDING:
                self.counts["outcome_unknown"] += 1
            self._ask_again(identity, errand, now_s)

    def pushed(self, events: Sequence[Pushed], now_s: float) -> None:
        """Take reports of the far side's log, of any partition, repeated or in any order.

        The cursor stays before a number that is missing until `gap_s` has passed: a report that was
        overtaken is read. One that is lost is asked for.
        """
        if self._progress.cursor < 0:
            raise InvariantError("a gateway's log is read before `begin` said from where")
        numbers: set[int] = set()
        for event in sorted(events, key=lambda event: event.number):
            entry = self._entries.get(event.report.command_id)
            if event.number in numbers:
                self.counts["push_repeated"] += 1
            elif entry is not None and event.number > self._progress.cursor:
                self._follow(event.report.command_id, entry, (event.report,), now_s)
            numbers.add(event.number)
        while self._progress.cursor + 1 in numbers:
            self._progress.cursor += 1
        last = max(numbers, default=0)
        if last <= self._progress.cursor:
            self._gap_since_s = None
        elif self._gap_since_s is None:
            self._gap_since_s = now_s
        elif now_s - self._gap_since_s >= self._rules.gap_s:
            self._skip_gap(last, now_s)

    def _skip_gap(self, last: int, now_s: float) -> None:
        """Read on behind a number that does not come; what it may have said is asked for."""
        self.counts["push_gap_skipped"] += 1
        self._progress.cursor = last
        self._gap_since_s = None
        for errand in self._errands.values():
            if errand.act is Act.ASK:
                errand.due_s = min(errand.due_s, now_s)

    def _follow(self, identity: str, entry: Entry, reports: Sequence[Report], now_s: float) -> None:
        """Take what the far side says of a command that it has."""
        if entry.state in {SENDING, CANCELING}:
            entry.state = LIVE
            self._changed[identity] = None
        for report in reports:
            self._hear(identity, entry, report)
        errand = self._errands.get(identity)
        if errand is None or errand.is_in_flight:
            return
        wait_s = self._rules.gap_s if entry.held else self._rules.reconcile_s
        self._ask(identity, now_s + wait_s * _jitter(identity, entry.sequence))

    def _hear(self, identity: str, entry: Entry, report: Report) -> None:
        """Pass a report on when those before it have been; hold it until then."""
        if report.sequence <= entry.sequence or report.sequence in entry.held:
            return
        if entry.state == DONE:
            self._emit_after_end(identity, entry, report)
            return
        if len(entry.held) >= REPORTS_HELD_MAX and report.sequence != entry.sequence + 1:
            self.counts["report_held_limit"] += 1
            return
        entry.held[report.sequence] = report
        self._changed[identity] = None
        while entry.sequence + 1 in entry.held:
            entry.sequence += 1
            due = entry.held.pop(entry.sequence)
            self._emit(identity, entry, due)
            if due.is_last:
                self._finish(identity, entry)

    def _absent(self, action: Action, entry: Entry, errand: Errand, now_s: float) -> None:
        """Take that the far side does not know a command; only what cannot change is reported."""
        identity = action.command.id
        if entry.state == LIVE:
            self.counts["known_command_absent"] += 1
            self._ask_again(identity, errand, now_s)
        elif action.act is Act.ASK:
            entry.state = CANCELING
            self._changed[identity] = None
            errand.act, errand.due_s, errand.is_written = Act.CANCEL, now_s, False
        elif self._cancel_blocks or errand.asked_s >= errand.since_s + self._rules.settle_s:
            self._refuse(identity, entry, "not_received")
        else:
            errand.act, errand.due_s = Act.ASK, errand.since_s + self._rules.settle_s

    def _lapse(self, identity: str, errand: Errand, now_s: float) -> None:
        """Give up what the lease no longer covers: an order is asked for, a cancel written anew."""
        self.counts["lease_lapsed"] += 1
        if errand.act is Act.CANCEL:
            errand.is_written = False
            self._changed[identity] = None
        else:
            self.counts["outcome_unknown"] += 1
            self._ask(identity, now_s)

    def _ask(self, identity: str, due_s: float) -> None:
        self._errands[identity] = Errand(Act.ASK, due_s, since_s=due_s, is_written=True)

    def _ask_again(self, identity: str, errand: Errand, now_s: float) -> None:
        errand.attempts += 1
        self.counts["asked_again"] += 1
        rules = self._rules
        if errand.attempts > rules.ask_attempts_max:
            raise TransientError(
                f"command {identity}: asked for {rules.ask_attempts_max} times without an answer; "
                "look at the far side, then start the worker again: it goes on asking"
            )
        wait_s = min(rules.ask_wait_s_max, rules.ask_wait_s_min * 2 ** min(errand.attempts, 30))
        errand.act = Act.ASK
        errand.due_s = now_s + wait_s * _jitter(identity, errand.attempts)

    def _refuse(self, identity: str, entry: Entry, reason: str) -> None:
        self.counts[f"refused_{reason}"] += 1
        self._end(identity, entry, reason)

    def _end(self, identity: str, entry: Entry, reason: str) -> None:
        """Write the last report ourselves, of a command of which the far side has none."""
        report = self._refusal(self._command(identity), reason)
        entry.sequence = report.sequence
        self._emit(identity, entry, report)
        self._finish(identity, entry)

    def _emit(self, identity: str, entry: Entry, report: Report) -> None:
        # What the far side does not say of its own (whose command it is, say) the command does.
        completed = replace(report, row={**entry.row, **report.row})
        self._reports.append(Reported(completed, tuple(entry.headers)))
        self._changed[identity] = None

    def _emit_after_end(self, identity: str, entry: Entry, report: Report) -> None:
        """Pass on what must not be: whoever reads it tells a person, as money may have moved."""
        self.counts["report_after_end"] += 1
        entry.sequence = report.sequence
        self._emit(identity, entry, report)

    def _finish(self, identity: str, entry: Entry) -> None:
        """Keep of an ended command what tells a repetition; forget the oldest of them."""
        for sequence in sorted(entry.held):
            self._emit_after_end(identity, entry, entry.held.pop(sequence))
        entry.state = DONE
        self._errands.pop(identity, None)
        self._done.append(identity)
        self._changed[identity] = None
        while len(self._done) > self._rules.remembered_max:
            oldest = self._done.popleft()
            time_ns = self._entries.pop(oldest).time_ns
            self._progress.forgotten_time_ns = max(self._progress.forgotten_time_ns, time_ns)
            self._changed[oldest] = None

    def _command(self, identity: str) -> Command:
        entry = self._entries[identity]
        headers: Headers = tuple(entry.headers)
        return Command(identity, entry.time_ns, entry.row, headers)


def _jitter(identity: str, attempt: int) -> float:
    """Return 0.5 to 1, spread over commands and attempts, the same at every run."""
    return 0.5 + crc32(f"{identity}/{attempt}".encode()) / 2**33
