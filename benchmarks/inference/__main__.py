"""The model in the pipeline's step beside onnxruntime alone, one vector at a time and thousands.

Writes its part of docs/benchmarks.md, the figures as JSON and a picture of them.
"""

import argparse
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from statistics import median
from typing import Any

from benchmarks.inference.work import Work, works
from benchmarks.page import machine
from benchmarks.spread import Spread, Target, ratios, spread, verdict_lines
from benchmarks.written import say, write

SECTION = "inference"
BATCHES = (1, 4_096)
TURN_CALLS = {1: 200, 4_096: 1}
"""Calls of one before it is another's turn: short, so that the machine is the same to all."""

TITLES = {
    "bare": "onnxruntime alone, `session.run`, one thread",
    "bare-threads": "the same, with as many threads as it chooses",
    "agent": "**headrace**: the agent `predict_direction`, columns in and out",
    "chain": "**headrace**: the step in its chain, its predictions encoded, with keys",
}

Times = Mapping[int, Mapping[str, Sequence[float]]]
"""By batch and work: microseconds a call, the median of each round."""


def main() -> int:
    """Run all rounds, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--turns", type=int, default=30)
    parser.add_argument("--dry", action="store_true", help="print, but leave the page alone")
    chosen = parser.parse_args()
    found = rounds(chosen.rounds, chosen.turns)
    lines = section(found, chosen.rounds)
    print("\n".join(lines))
    if not chosen.dry:
        write(SECTION, lines, figures(found))
    return 0


def rounds(count: int, turns: int) -> Times:
    """Return what so many rounds took."""
    todo = {batch: works(batch) for batch in BATCHES}
    found: dict[int, dict[str, list[float]]] = {
        batch: {name: [] for name in mine} for batch, mine in todo.items()
    }
    for number in range(count):
        for batch, mine in todo.items():
            for name, taken_us in one_round(mine, turns, TURN_CALLS[batch]).items():
                found[batch][name].append(taken_us)
        say(f"round {number + 1} of {count}")
    return found


def one_round(todo: Mapping[str, Work], turns: int, calls: int) -> dict[str, float]:
    """Return the median microseconds of a call of each, which take turns."""
    taken_ns: dict[str, list[int]] = {name: [] for name in todo}
    for _ in range(turns):
        for name, work in todo.items():
            work()  # what the one before left in the caches is not this one's to pay
            for _ in range(calls):
                started_ns = time.perf_counter_ns()
                work()
                taken_ns[name].append(time.perf_counter_ns() - started_ns)
    return {name: median(values) / 1_000 for name, values in taken_ns.items()}


def added(ours: Sequence[float], bare: Sequence[float]) -> Spread:
    """Return what ours takes above the bare run, in bare runs."""
    return ratios([mine - theirs for mine, theirs in zip(ours, bare, strict=True)], bare)


def section(found: Times, count: int) -> list[str]:
    """Return the part of the page."""
    lines = [
        (
            f"`make bench-inference` on {machine()}; `models/direction`, medians of {count} "
            "rounds, in each of which all take turns; microseconds a call."
        ),
        "",
        "| way | batch | µs a call | range | to onnxruntime alone | range |",
        "|---|---|---|---|---|---|",
    ]
    for batch, taken in found.items():
        for name, values in taken.items():
            ratio = ratios(values, taken["bare"]).text()
            cells = f"{batch:,} | {spread(values).text(1)} | {ratio}"
            lines.append(f"| {TITLES[name]} | {cells} |")
    large, small = found[4_096], found[1]
    verdicts = [
        (
            Target("inference, batch 4,096: the agent to onnxruntime alone", 1.3, is_most=True),
            ratios(large["agent"], large["bare"]),
        ),
        (
            Target("the same, the whole step in its chain", 1.3, is_most=True),
            ratios(large["chain"], large["bare"]),
        ),
        (
            Target("inference, batch 1: the agent adds, in session runs", 3, is_most=True),
            added(small["agent"], small["bare"]),
        ),
    ]
    chain = added(small["chain"], small["bare"])
    return [
        *lines,
        "",
        *verdict_lines(verdicts),
        "",
        (
            f"At batch 1 the whole step in its chain adds {chain.median:.1f} session runs "
            f"({chain.least:.1f} to {chain.most:.1f}): besides the agent's work, a prediction and "
            "its key are encoded."
        ),
        "",
        "![microseconds at batch 1](benchmarks/inference.png)",
    ]


def figures(found: Times) -> dict[str, Any]:
    """Return the figures as they are drawn and kept."""
    return {
        "title": "one prediction",
        "axis": "µs a call at batch 1 (median of the rounds)",
        "machine": machine(),
        "bars": [
            {
                "title": TITLES[name],
                "is_ours": not name.startswith("bare"),
                **asdict(spread(values)),
            }
            for name, values in found[1].items()
        ],
        "rounds_us": found,
    }


if __name__ == "__main__":
    sys.exit(main())
