"""Whatever is lost, late, repeated, reordered, stopped or taken over: no command acts twice, and
each ends with its known outcome.

The far side here is the worst there may be: it acts on every request that reaches it in time, also
on one with an id it has seen.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

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
PICK = st.integers(0, 999)
WAITS_S = st.sampled_from([0.01, 0.3, 1.0, 2.5, 6.0])


def refusal(command: Command, sequence: int, reason: str) -> Report:
    return Report(command.id, sequence, True, {"said": reason})


@dataclass
class FarSide:
    """Acts on every request in time; with `cancel_blocks` a cancel of nothing blocks the id."""

    cancel_blocks: bool
    created: Counter[str] = field(default_factory=Counter)
    said: dict[str, list[Report]] = field(default_factory=dict)
    blocked: set[str] = field(default_factory=set)
    log: list[Pushed] = field(default_factory=list)

    def receive(self, action: Action, now_s: float) -> Reply:
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
        reports = self.said.setdefault(identity, [])
        reports.append(Report(identity, len(reports) + 1, is_last, {"said": what}))
        self.log.append(Pushed(len(self.log) + 1, reports[-1]))

    def open_ids(self) -> list[str]:
        return [identity for identity, said in self.said.items() if not said[-1].is_last]


@dataclass(eq=False)
class Call:
    """A call of one owner; `place` is where it is: in a thread, on the wire, or answered."""

    owner: int
    action: Action
    place: str = "thread"
    reply: Reply | None = None
    is_given_up: bool = False


class GatewayMachine(RuleBasedStateMachine):
    """One partition, its owners one after the other, the line and the far side."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 100.0
        self.owner = 0
        self.pages: dict[str, dict[Any, bytes]] = {}
        self.commands: list[Command] = []
        self.read_to = self.committed_to = 0
        self.taken: Counter[str] = Counter()
        self.written: dict[str, list[Report]] = {}
        self.calls: list[Call] = []

    @initialize(cancel_blocks=st.booleans())
    def open(self, cancel_blocks: bool) -> None:
        self.far = FarSide(cancel_blocks)
        self.desk = self.new_desk()

    def new_desk(self) -> Desk:
        desk = Desk("gateway_test", RULES, cancel_blocks=self.far.cancel_blocks, refusal=refusal)
        desk.restore(self.pages, self.now_s)
        if desk.cursor is None:
            desk.begin(len(self.far.log))
        return desk

    @rule()
    def command(self) -> None:
        number = len(self.commands)
        self.commands.append(Command(f"c{number}", number, {"n": number}))

    @precondition(lambda self: self.commands)
    @rule(pick=PICK)
    def repeat_command(self, pick: int) -> None:
        self.commands.append(self.commands[pick % len(self.commands)])

    @precondition(lambda self: self.read_to < len(self.commands))
    @rule(age_s=st.sampled_from([0.0, 0.0, 0.0, 60.0]))
    def read(self, age_s: float) -> None:
        command = self.commands[self.read_to]
        self.read_to += 1
        self.desk.take(command, age_s=age_s, now_s=self.now_s)

    @rule(lasts_s=st.sampled_from([0.0, 0.0, 0.05, 3.0]))
    def commit(self, lasts_s: float) -> None:
        began_s = self.now_s
        self.write()
        self.now_s += lasts_s
        self.desk.committed(began_s)

    def write(self) -> None:
        for table, pages in self.desk.changes().items():
            kept = self.pages.setdefault(table, {})
            for key, page in pages.items():
                if page is None:
                    kept.pop(key, None)
                else:
                    kept[key] = page
        for reported in self.desk.reports():
            self.written.setdefault(reported.report.command_id, []).append(reported.report)
        for command in self.commands[self.committed_to : self.read_to]:
            self.taken[command.id] += 1
        self.committed_to = self.read_to

    @rule(is_after_write=st.booleans())
    def take_over(self, is_after_write: bool) -> None:
        """Stop the owner, before or after what it was writing counts; its calls live on."""
        if is_after_write:
            self.write()
        self.owner += 1
        self.read_to = self.committed_to
        self.desk = self.new_desk()

    @rule(wait_s=WAITS_S)
    def wait(self, wait_s: float) -> None:
        self.now_s += wait_s

    @rule(limit=st.integers(1, 8))
    def act(self, limit: int) -> None:
        due = self.desk.due(self.now_s, limit)
        self.calls += [Call(self.owner, action) for action in due]

    @precondition(lambda self: self.calls)
    @rule(pick=PICK)
    def step_call(self, pick: int) -> None:
        """Move a call on: to the wire if its lease holds, to the far side, back to the desk."""
        self.step(self.calls[pick % len(self.calls)])

    def step(self, call: Call) -> None:
        if call.place == "thread":
            lapsed = call.action.act is not Act.ASK and self.now_s >= call.action.lease_until_s
            call.place = "answered" if lapsed else "wire"
            call.reply = Unanswered("lapsed")
        elif call.place == "wire":
            call.reply = self.far.receive(call.action, self.now_s)
            call.place = "answered"
        else:
            self.answer(call, call.reply)

    @rule()
    def converse(self) -> None:
        """Write, do all that is due, and hear every answer: the line works for once."""
        self.commit(0.0)
        self.act(64)
        for call in [each for each in self.calls if each.owner == self.owner]:
            while call in self.calls:
                self.step(call)

    @precondition(lambda self: self.calls)
    @rule(pick=PICK)
    def lose_call(self, pick: int) -> None:
        """Lose a request or its reply; the desk hears nothing of it in time."""
        call = self.calls[pick % len(self.calls)]
        self.answer(call, Unanswered("lost"))

    @precondition(lambda self: self.calls)
    @rule(pick=PICK)
    def give_up_call(self, pick: int) -> None:
        """Wait no longer for a call that may still arrive, and act, later."""
        call = self.calls[pick % len(self.calls)]
        if call.owner == self.owner and not call.is_given_up:
            self.desk.replied(call.action, Unanswered("late"), self.now_s)
        call.is_given_up = True

    def answer(self, call: Call, reply: Reply | None) -> None:
        self.calls.remove(call)
        if call.owner == self.owner and not call.is_given_up and reply is not None:
            self.desk.replied(call.action, reply, self.now_s)

    @precondition(lambda self: self.far.open_ids())
    @rule(pick=PICK, is_last=st.booleans())
    def fill(self, pick: int, is_last: bool) -> None:
        ids = self.far.open_ids()
        self.far.say(ids[pick % len(ids)], "filled", is_last=is_last)

    @rule(data=st.data())
    def push(self, data: st.DataObject) -> None:
        """Read the log from the cursor: in any order, with repeats, with some not there yet."""
        waiting = self.far.log[self.desk.cursor or 0 :]
        if waiting:
            found = data.draw(st.lists(st.sampled_from(waiting), max_size=2 * len(waiting)))
            self.desk.pushed(found, self.now_s)

    @invariant()
    def no_command_acts_twice(self) -> None:
        if hasattr(self, "far"):
            assert all(count == 1 for count in self.far.created.values()), self.far.created

    @invariant()
    def what_is_reported_is_true(self) -> None:
        for identity, reports in self.written.items():
            if self.taken[identity] == 1:
                assert [each.sequence for each in reports] == list(range(1, len(reports) + 1))
            if identity in self.far.created:
                assert all(each in self.far.said[identity] for each in reports), reports
            else:
                assert all(each.row["said"] != "acknowledged" for each in reports)

    def teardown(self) -> None:
        """With a line that works again everything comes to its end."""
        if not hasattr(self, "far"):
            return
        self.now_s += RULES.age_s_max
        for _ in range(200):
            while self.read_to < len(self.commands):
                self.read(0.0)
            self.commit(0.0)
            self.act(64)
            while self.calls:
                self.step(self.calls[0])
            for identity in self.far.open_ids():
                self.far.say(identity, "filled", is_last=True)
            self.desk.pushed(self.far.log[self.desk.cursor or 0 :], self.now_s)
            self.now_s += 0.5
            if not self.desk.open_count:
                break
        self.commit(0.0)
        assert self.desk.open_count == 0
        for command in self.commands:
            first = {each.sequence: each for each in reversed(self.written[command.id])}
            assert sum(each.is_last for each in first.values()) == 1
            assert first[max(first)].is_last
            if command.id in self.far.created:
                assert list(self.far.said[command.id]) == [first[n] for n in sorted(first)]
        self.no_command_acts_twice()
        self.what_is_reported_is_true()


def test_no_command_acts_twice_and_each_ends() -> None:
    run_state_machine_as_test(
        GatewayMachine, settings=settings(max_examples=300, stateful_step_count=60, deadline=None)
    )


@pytest.mark.parametrize("broken", ["send_again", "no_lease", "believe_absence"])
def test_the_machine_finds_a_broken_desk(broken: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Take a guard away: a command acts twice, or is reported dead and acts."""
    if broken == "send_again":
        monkeypatch.setattr(Desk, "_ask", _send_again)
    elif broken == "no_lease":
        # Both guards of the lease: before the wire, and the expiry the request carries.
        monkeypatch.setattr(Desk, "due", _due_without_lease)
    else:
        monkeypatch.setattr(Desk, "_absent", _believe_absence)

    with pytest.raises(AssertionError):
        run_state_machine_as_test(
            GatewayMachine,
            settings=settings(
                max_examples=3_000,
                stateful_step_count=60,
                deadline=None,
                database=None,
                derandomize=True,
                phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
            ),
        )


def _send_again(desk: Desk, identity: str, due_s: float) -> None:
    _ASK(desk, identity, due_s)
    if desk._entries[identity].state == "SENDING":
        desk._errands[identity].act = Act.SEND
        desk._errands[identity].is_written = True


def _due_without_lease(desk: Desk, now_s: float, limit: int) -> list[Action]:
    lease_until_s, desk._lease_until_s = desk._lease_until_s, float("inf")
    found = _DUE(desk, now_s, limit)
    desk._lease_until_s = lease_until_s
    return found


def _believe_absence(desk: Desk, action: Action, entry: Any, errand: Any, now_s: float) -> None:
    desk._refuse(action.command.id, entry, "not_received")


_ASK, _DUE = Desk._ask, Desk.due
