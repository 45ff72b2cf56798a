"""Whatever is lost, late, repeated, stopped or taken over: no command acts twice, each one ends."""

from random import Random
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    rule,
    run_state_machine_as_test,
)

from headrace.gateway import Command
from headrace.runtime.gateway_desk import Act, Action, Desk
from tests.examples import examples
from tests.gateway_world import MOVES, World

WALKS = 1_000
WALK_MOVES = 150


class WorldMachine(RuleBasedStateMachine):
    """The world in the hands of hypothesis, which makes a failing story short."""

    world: World | None = None

    @initialize(cancel_blocks=st.booleans())
    def begin(self, cancel_blocks: bool) -> None:
        self.world = World(cancel_blocks=cancel_blocks)

    @rule(name=st.sampled_from(list(MOVES)), pick=st.integers(0, 59))
    def move(self, name: str, pick: int) -> None:
        assert self.world is not None
        self.world.move(name, pick)

    def teardown(self) -> None:
        if self.world is not None:
            self.world.end()


def test_no_command_acts_twice_and_each_ends() -> None:
    run_state_machine_as_test(
        WorldMachine,
        settings=settings(max_examples=examples(100), stateful_step_count=50, deadline=None),
    )


def walk(seed: int) -> None:
    """Go through the world by chance: far deeper than hypothesis comes in the same time."""
    random = Random(seed)  # noqa: S311  (repeatable chance)
    world = World(cancel_blocks=seed % 2 == 0)
    for name in random.choices(list(MOVES), list(MOVES.values()), k=WALK_MOVES):
        world.move(name, random.randrange(60))
    world.end()


def walk_all() -> None:
    """Take all walks, the same at every run."""
    for seed in range(WALKS):
        try:
            walk(seed)
        except AssertionError as error:
            error.add_note(f"seed {seed}")
            raise


def test_long_walks_keep_every_promise() -> None:
    walk_all()


def test_a_desk_that_sends_again_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    ask = Desk._ask

    def send_again(desk: Desk, identity: str, due_s: float) -> None:
        ask(desk, identity, due_s)
        if desk._entries[identity].state == "SENDING":
            desk._errands[identity].act = Act.SEND

    monkeypatch.setattr(Desk, "_ask", send_again)

    with pytest.raises(AssertionError):
        walk_all()


def test_a_desk_that_sends_after_its_lease_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    due = Desk.due

    def without_lease(desk: Desk, act: Act, now_s: float, limit: int) -> list[Action]:
        desk._lease_until_s = float("inf")
        return due(desk, act, now_s, limit)

    monkeypatch.setattr(Desk, "due", without_lease)

    with pytest.raises(AssertionError):
        walk_all()


def test_a_desk_that_believes_absence_at_once_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def believe(desk: Desk, action: Action, entry: Any, *_: Any) -> None:
        desk._refuse(action.command.id, entry, "not_received")

    monkeypatch.setattr(Desk, "_absent", believe)

    with pytest.raises(AssertionError):
        walk_all()


def test_a_desk_that_sends_before_it_has_written_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    take = Desk.take

    def as_written(desk: Desk, command: Command, *, age_s: float, now_s: float) -> None:
        take(desk, command, age_s=age_s, now_s=now_s)
        for errand in desk._errands.values():
            errand.is_written = True

    monkeypatch.setattr(Desk, "take", as_written)

    with pytest.raises(AssertionError):
        walk_all()


def test_a_desk_that_forgets_without_a_mark_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    take = Desk.take

    def forgetful(desk: Desk, command: Command, *, age_s: float, now_s: float) -> None:
        desk._progress.forgotten_time_ns = -(2**63)
        take(desk, command, age_s=age_s, now_s=now_s)

    monkeypatch.setattr(Desk, "take", forgetful)

    with pytest.raises(AssertionError):
        walk_all()
