"""The schedule of faults: the seed and the fleet decide it, nothing else; it leaves room."""

import pytest

from headrace.errors import UsageError
from headrace.faults import limits
from headrace.faults.kinds import KINDS, menus
from headrace.faults.schedule import Menu, Planned, Roster, make_schedule

ROSTER = Roster(
    {"ingest": ("ingest-1", "ingest-2"), "sink-redis": ("sink-redis-1",)},
    source="frame.v1",
    repeatable=("report.v1",),
    drill="halt",
)
SEEDS = range(1, 21)


def schedule(seed: int, duration_s: float = 240.0, count: int = 20) -> list[Planned]:
    return make_schedule(seed, menus(ROSTER), duration_s=duration_s, count=count)


def active_at(planned: list[Planned], at_s: float) -> list[Planned]:
    return [each for each in planned if each.at_s <= at_s < each.until_s]


@pytest.mark.parametrize("seed", SEEDS)
def test_the_same_seed_gives_the_same_schedule(seed: int) -> None:
    assert schedule(seed) == schedule(seed)


def test_other_seeds_give_other_schedules() -> None:
    assert len({tuple(schedule(seed)) for seed in SEEDS}) == len(SEEDS)


def test_a_schedule_is_what_it_was_when_it_was_written_down() -> None:
    two = [Menu("kill", ("a", "b"), (1.0, 2.0)), Menu("freeze", ("a", "b"), (3.0, 4.0))]

    assert make_schedule(7, two, duration_s=40.0, count=3) == [
        Planned(8.12, "freeze", "a", 3.17),
        Planned(19.31, "kill", "a", 1.99),
        Planned(30.9, "freeze", "a", 3.3),
    ]


@pytest.mark.parametrize("seed", SEEDS)
def test_no_more_faults_are_active_than_allowed_and_none_of_one_target(seed: int) -> None:
    planned = schedule(seed)

    for each in planned:
        together = active_at(planned, each.at_s)
        assert len(together) <= limits.ACTIVE_MAX
        assert len({other.target for other in together}) == len(together)


@pytest.mark.parametrize("seed", SEEDS)
def test_input_runs_before_the_first_fault_and_after_the_last(seed: int) -> None:
    planned = schedule(seed)

    assert planned[0].at_s >= limits.CALM_BEFORE_S
    assert max(each.until_s for each in planned) <= 240.0 - limits.CALM_AFTER_S
    assert planned == sorted(planned, key=lambda each: each.at_s)


def test_ten_seeds_have_two_hundred_faults_of_every_kind() -> None:
    planned = [each for seed in range(1, 11) for each in schedule(seed, count=22)]

    assert len(planned) >= 200
    assert {each.fault for each in planned} == {kind.name for kind in KINDS}


def test_a_fault_without_target_is_left_out() -> None:
    bare = Roster({"ingest": ("ingest-1",)}, servers=("kafka",))

    planned = make_schedule(1, menus(bare), duration_s=240.0, count=20)

    targets = {each.target for each in planned}
    assert targets <= {"ingest-1", "kafka", "feed"}
    assert "worker joined" not in {each.fault for each in planned}


def test_faults_that_find_no_room_are_left_out_and_not_crowded_in() -> None:
    planned = schedule(1, duration_s=40.0, count=60)

    assert 0 < len(planned) < 60
    assert max(each.until_s for each in planned) <= 40.0


def test_a_kind_nobody_knows_is_refused_by_name() -> None:
    with pytest.raises(UsageError, match=r"expected some of worker killed.*found earthquake"):
        menus(ROSTER, ["earthquake"])


def test_zombies_sleep_past_their_session_and_short_freezes_do_not() -> None:
    lengths = {kind.name: kind.length_s for kind in KINDS}

    assert lengths["zombie"][0] * 1_000 > limits.SESSION_TIMEOUT_MS
    assert lengths["worker frozen"][1] * 1_000 < limits.SESSION_TIMEOUT_MS
