"""What a gateway is: the one place where commands leave Kafka, and reports of them come back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from headrace.batch import Headers


@dataclass(frozen=True, slots=True)
class Command:
    """What is sent, once: `id` names it for ever, here and at the far side.

    `time_ns` rises with the commands of a partition, roughly: below it old ids may be forgotten.
    `row` is the record as read.
    """

    id: str
    time_ns: int
    row: Mapping[str, Any]
    headers: Headers = ()


@dataclass(frozen=True, slots=True)
class Report:
    """What the far side said of a command.

    `sequence` counts the reports of the command from 1, the same in every answer and push; the
    report that is last ends it. `row` is the record to write; fields it lacks are taken from the
    command's row, fields that the record has not are left out.
    """

    command_id: str
    sequence: int
    is_last: bool
    row: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Pushed:
    """A report from the far side's own log; `number` ascends over all commands, by 1 if it can."""

    number: int
    report: Report


@dataclass(frozen=True, slots=True)
class Known:
    """The far side has the command; these are all its reports so far, in order."""

    reports: Sequence[Report]


@dataclass(frozen=True, slots=True)
class Refused:
    """The far side does not take the command, ever: nothing came of it and nothing will."""

    reason: str


@dataclass(frozen=True, slots=True)
class NotSent:
    """Not a byte of the request left: nothing can have come of it."""

    reason: str


@dataclass(frozen=True, slots=True)
class Absent:
    """The far side knows no such command.

    As the answer to `cancel` where `cancel_blocks`: and never will.
    """


@dataclass(frozen=True, slots=True)
class Unanswered:
    """Lost, late, unreadable, or a failure that says nothing of the command: anything may be."""

    detail: str


Reply: TypeAlias = Known | Refused | NotSent | Absent | Unanswered


@dataclass(frozen=True, slots=True)
class Page:
    """A piece of the far side's log of reports, and the number of the last report it has."""

    events: Sequence[Pushed]
    end: int


class Remote(Protocol):
    """The far side of a gateway. Called by several threads; every call ends by a timeout.

    Failures of the line or of the far side are `Unanswered`, not raised. `cancel_blocks` says that
    after `cancel` was answered with `Absent` no earlier request with that id can take effect.
    """

    cancel_blocks: bool

    def read(self, row: Mapping[str, Any], headers: Headers) -> Command:
        """Return the command of a record.

        Raises:  RecordError if it is none: it goes to the dead letters.
        """

    def refusal(self, command: Command, reason: str) -> Report:
        """Return the only report of a command that came to nothing: number 1, the last; pure."""

    def send(self, command: Command, *, expire_time_ns: int) -> Reply:
        """Send a command that the far side must not act on after `expire_time_ns` (UTC)."""

    def query(self, command: Command) -> Reply:
        """Ask what became of a command."""

    def cancel(self, command: Command) -> Reply:
        """End a command whatever became of it."""

    def pushed(self, after: int, limit: int) -> Page | Unanswered:
        """Return at most `limit` reports numbered above `after`, and where the log ends."""

    def close(self) -> None:
        """Disconnect."""


@dataclass(frozen=True, slots=True)
class GatewayRules:
    """The limits of a gateway, each with its reason.

    `lease_s`            how long after the commit of an intent began it may be sent: well under
                         the group's session timeout, so that a stopped owner wakes up too late
    `clock_skew_s_max`   how far our clock and the far side's may differ: `expire_time_ns` is
                         enforced over there
    `age_s_max`          a command that waited longer in Kafka is refused: what asked for it is over
    `call_s_max`         one call to the far side; ten of these fit in a drain
    `parallel_max`       calls at a time, and commands of one commit; they may overtake each other
    `open_max`           commands of a partition without an end; further ones are refused
    `remembered_max`     ended commands of a partition kept to know a repetition; what may have been
                         forgotten is asked for, never sent
    `ask_attempts_max`   questions after one command before the worker stops: at `ask_wait_s_max`
                         each some eight minutes
    `gap_s`              how long a missing report is waited for before it is asked for
    `reconcile_s`        how often an open command is asked for though nothing seems wrong
    `push_interval_s`    how often the far side's log is read
    `outage_s_max`       how long the far side may be silent before the worker stops
    """

    lease_s: float = 2.0
    clock_skew_s_max: float = 1.0
    age_s_max: float = 5.0
    call_s_max: float = 2.0
    parallel_max: int = 32
    open_max: int = 1_024
    remembered_max: int = 4_096
    ask_attempts_max: int = 100
    ask_wait_s_min: float = 0.1
    ask_wait_s_max: float = 5.0
    gap_s: float = 1.0
    reconcile_s: float = 10.0
    push_interval_s: float = 0.1
    push_records_max: int = 512
    outage_s_max: float = 300.0

    @property
    def settle_s(self) -> float:
        """Return how long after the last moment of sending nothing can take effect any more."""
        return self.lease_s + self.clock_skew_s_max


RULES = GatewayRules()
"""What a gateway gets that names no other rules."""


@dataclass(frozen=True, slots=True)
class Reported:
    """A report to write, with the headers of the command it answers."""

    report: Report
    headers: Headers = ()
