"""One partition of a gateway in a bad world: its owners, the line, and the far side.

The far side is the worst there may be: it acts on every request that reaches it in time, also on
one whose id it has seen.
"""

from collections import Counter
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

from headrace.gateway import (
    Absent,
    Command,
    GatewayRules,
    Known,
    Pushed,
    Refused,
    Reply,
    Report,
    Unanswered,
)
from headrace.runtime.gateway_desk import Act, Action, Desk

RULES = GatewayRules(remembered_max=4, open_max=12, ask_attempts_max=1_000)

MOVES = {
    "command": 3,
    "repeat_command": 1,
    "read": 4,
    "commit": 3,
    "take_over": 1,
    "wait": 4,
    "act": 6,
    "step_call": 10,
    "converse": 3,
    "lose_call": 2,
    "give_up_call": 3,
    "fill": 2,
    "push": 2,
}
"""What can happen next, by how often it does in a random walk."""


def refusal(command: Command, reason: str) -> Report:
    """Return the only report of a command that came to nothing."""
    return Report(command.id, 1, True, {"said": reason})


@dataclass
class FarSide:
    """Acts on every request in time; with `cancel_blocks` a cancel of nothing blocks the id."""

    cancel_blocks: bool
    created: Counter[str] = field(default_factory=Counter)
    said: dict[str, list[Report]] = field(default_factory=dict)
    blocked: set[str] = field(default_factory=set)
    log: list[Pushed] = field(default_factory=list)

    def receive(self, action: Action, now_s: float) -> Reply:
        """Act on a request that arrives now."""
        identity = action.command.id
        if action.act is Act.SEND:
            if now_s >= action.lease_until_s:  # the request carries it as its expiry
                return Refused("expired")
            if identity in self.blocked:
                return Refused("blocked")
            self.created[identity] += 1
            self.say(identity, "acknowledged")
        elif identity not in self.created:
            if action.act is Act.CANCEL and self.cancel_blocks:
                self.blocked.add(identity)
            return Absent()
        elif action.act is Act.CANCEL and not self.said[identity][-1].is_last:
            self.say(identity, "canceled", is_last=True)
        return Known(tuple(self.said[identity]))

    def say(self, identity: str, what: str, *, is_last: bool = False) -> None:
        """Report something of a command."""
        reports = self.said.setdefault(identity, [])
        reports.append(Report(identity, len(reports) + 1, is_last, {"said": what}))
        self.log.append(Pushed(len(self.log) + 1, reports[-1]))

    def open_ids(self) -> list[str]:
        """Return the commands that have no last report."""
        return [identity for identity, said in self.said.items() if not said[-1].is_last]


@dataclass(eq=False)
class Call:
    """A call of one owner; `place` is where it is: in a thread, on the wire, or answered."""

    owner: int
    action: Action
    place: str = "thread"
    reply: Reply = Unanswered("lapsed")  # noqa: RUF009  (frozen)
    is_given_up: bool = False


class World:
    """Every move takes a number that chooses among what it may do; impossible ones do nothing."""

    def __init__(self, *, cancel_blocks: bool) -> None:
        self.now_s = 100.0
        self.owner = 0
        self.pages: dict[str, dict[Any, bytes]] = {}
        self.commands: list[Command] = []
        self.read_to = self.committed_to = 0
        self.taken: Counter[str] = Counter()
        self.written: dict[str, list[Report]] = {}
        self.calls: list[Call] = []
        self.far = FarSide(cancel_blocks)
        self.desk = self.new_desk()

    def new_desk(self) -> Desk:
        """Return the desk of a new owner."""
        desk = Desk("gateway_test", RULES, cancel_blocks=self.far.cancel_blocks, refusal=refusal)
        desk.restore(self.pages, self.now_s)
        if desk.cursor is None:
            desk.begin(len(self.far.log))
        return desk

    def move(self, name: str, pick: int) -> None:
        """Let one thing happen, and see that no promise is broken."""
        getattr(self, name)(pick)
        self.check()

    def command(self, _: int) -> None:
        """Write a new command to the topic."""
        number = len(self.commands)
        self.commands.append(Command(f"c{number}", number, {"n": number}))

    def repeat_command(self, pick: int) -> None:
        """Write an old command to the topic again."""
        if self.commands:
            self.commands.append(self.commands[pick % len(self.commands)])

    def read(self, pick: int) -> None:
        """Read the next command; some are old when they are read."""
        if self.read_to < len(self.commands):
            command = self.commands[self.read_to]
            self.read_to += 1
            self.desk.take(command, age_s=0.0 if pick % 5 else 60.0, now_s=self.now_s)

    def commit(self, pick: int) -> None:
        """Commit; some take so long that the lease has lapsed when they are done."""
        began_s = self.now_s
        self.write()
        self.now_s += (0.0, 0.0, 0.05, 3.0)[pick % 4]
        self.desk.committed(began_s)

    def write(self) -> None:
        """Make what the owner has changed count."""
        for table, pages in self.desk.changes().items():
            kept = self.pages.setdefault(table, {})
            for key, page in pages.items():
                if page is None:
                    kept.pop(key, None)
                else:
                    kept[key] = page
        for reported in self.desk.reports():
            report = replace(reported.report, row={"said": reported.report.row["said"]})
            self.written.setdefault(report.command_id, []).append(report)
        for command in self.commands[self.committed_to : self.read_to]:
            self.taken[command.id] += 1
        self.committed_to = self.read_to

    def take_over(self, pick: int) -> None:
        """Stop the owner, before or after what it was writing counts; its calls live on."""
        if pick % 2:
            self.write()
        self.owner += 1
        self.read_to = self.committed_to
        self.desk = self.new_desk()

    def wait(self, pick: int) -> None:
        """Let time pass."""
        self.now_s += (0.01, 0.2, 0.3, 1.0, 2.5, 6.0)[pick % 6]

    def act(self, _: int) -> None:
        """Begin what is due."""
        for act in Act:
            due = self.desk.due(act, self.now_s, 8)
            self.calls += [Call(self.owner, action) for action in due]

    def step_call(self, pick: int) -> None:
        """Move a call on: to the wire if its lease holds, to the far side, back to the desk."""
        if self.calls:
            self.step(self.calls[pick % len(self.calls)])

    def step(self, call: Call) -> None:
        """Move this call on."""
        if call.place == "thread":
            lapsed = call.action.act is not Act.ASK and self.now_s >= call.action.lease_until_s
            call.place = "answered" if lapsed else "wire"
        elif call.place == "wire":
            call.reply = self.far.receive(call.action, self.now_s)
            call.place = "answered"
        else:
            self.answer(call, call.reply)

    def converse(self, _: int) -> None:
        """Write, do all that is due, and hear every answer: the line works for once."""
        self.commit(0)
        self.act(0)
        for call in [each for each in self.calls if each.owner == self.owner]:
            while call in self.calls:
                self.step(call)

    def lose_call(self, pick: int) -> None:
        """Lose a request or its reply; the desk hears nothing of it in time."""
        if self.calls:
            self.answer(self.calls[pick % len(self.calls)], Unanswered("lost"))

    def give_up_call(self, pick: int) -> None:
        """Wait no longer for a call that may still arrive, and act, later."""
        if self.calls:
            call = self.calls[pick % len(self.calls)]
            if call.owner == self.owner and not call.is_given_up:
                self.desk.replied(call.action, Unanswered("late"), self.now_s)
            call.is_given_up = True

    def answer(self, call: Call, reply: Reply) -> None:
        """End a call; nobody hears the answer to one that was given up or of an owner that is."""
        self.calls.remove(call)
        if call.owner == self.owner and not call.is_given_up:
            self.desk.replied(call.action, reply, self.now_s)

    def fill(self, pick: int) -> None:
        """Let the far side report a command, perhaps for the last time."""
        if ids := self.far.open_ids():
            self.far.say(ids[pick % len(ids)], "filled", is_last=bool(pick % 2))

    def push(self, pick: int) -> None:
        """Read the log from the cursor: in any order, with repeats, with some not there yet."""
        waiting = self.far.log[self.desk.cursor or 0 :]
        random = Random(pick)  # noqa: S311  (repeatable chance)
        found = random.choices(waiting, k=random.randint(0, 8)) if waiting else []
        self.desk.pushed(found, self.now_s)

    def check(self) -> None:
        """Fail if a command has acted twice, or a report is not true or not in its place."""
        assert all(count == 1 for count in self.far.created.values()), self.far.created
        for identity, reports in self.written.items():
            if self.taken[identity] == 1:
                assert [each.sequence for each in reports] == list(range(1, len(reports) + 1))
            if identity in self.far.created:
                assert all(each in self.far.said[identity] for each in reports), reports

    def end(self) -> None:
        """With a line that works again, everything comes to its end."""
        for _ in range(100):
            while self.read_to < len(self.commands):
                self.read(1)
            self.converse(0)
            while self.calls:
                self.step(self.calls[0])
            for identity in self.far.open_ids():
                self.far.say(identity, "filled", is_last=True)
            self.desk.pushed(self.far.log[self.desk.cursor or 0 :], self.now_s)
            self.now_s += 0.5
        self.commit(0)
        self.check()
        assert self.desk.open_count == 0
        for command in self.commands:
            first = {each.sequence: each for each in reversed(self.written[command.id])}
            assert [n for n in first if first[n].is_last] == [max(first)]
            if command.id in self.far.created:
                assert self.far.said[command.id] == [first[n] for n in sorted(first)]
