"""What the inference benchmark times, and what it makes of it."""

from benchmarks.inference.__main__ import added, one_round, section
from benchmarks.inference.work import works
from benchmarks.spread import Spread

TITLES = ("bare", "bare-threads", "agent", "chain")


def test_the_same_batch_is_predicted_by_all() -> None:
    todo = works(3)

    assert todo["agent"]().records["signal.prediction.v1"].num_rows == 3
    # Encoded, not only drafted: that is part of what a step takes.
    assert [len(emission.values) for emission in todo["chain"]()] == [3]
    assert [answers.shape for answers in todo["bare"]()] == [(3, 3)]


def test_all_take_turns() -> None:
    calls: list[str] = []
    todo = {name: lambda name=name: calls.append(name) for name in ("one", "other")}

    one_round(todo, 2, 1)

    assert calls == ["one", "one", "other", "other"] * 2


def test_what_a_step_adds_is_what_it_takes_above_the_bare_run() -> None:
    assert added([40.0, 90.0], [10.0, 30.0]) == Spread(2.5, 2.0, 3.0)


def test_section_judges_by_the_batch_the_target_names() -> None:
    found = {
        1: {name: [10.0 if name.startswith("bare") else 45.0] for name in TITLES},
        4_096: {name: [10.0 if name.startswith("bare") else 12.0] for name in TITLES},
    }

    lines = [line for line in section(found, 1) if "at most" in line]

    assert [line.rpartition("| ")[0].rpartition("| ")[2] for line in lines] == [
        "1.20 to 1.20 ", "1.20 to 1.20 ", "3.50 to 3.50 ",
    ]  # fmt: skip
    assert ["met" in line for line in lines] == [True, True, False]
