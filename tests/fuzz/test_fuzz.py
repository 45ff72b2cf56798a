"""The fuzz targets stay alive, and would tell what breaks."""

import subprocess
import sys
from collections.abc import Sequence

import pytest

from tests.fuzz import target as running
from tests.fuzz.blind import explored
from tests.fuzz.campaign import SHARES
from tests.fuzz.catalog import TARGETS
from tests.fuzz.framing import pack, unpack
from tests.fuzz.mutation import ODD_NUMBERS, TEXT_TOKEN, Mutator
from tests.fuzz.target import ROOT, Runner, Target

SEED, INPUTS = 20_261_124, 200


def test_every_target_runs_and_finds_nothing() -> None:
    """In a process of its own: targets change the folder, the environment and the logs."""
    command = [sys.executable, "-m", "tests.fuzz.every", str(INPUTS), str(SEED)]

    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert ran.returncode == 0, f"seed {SEED}\n{ran.stdout}\n{ran.stderr[-2_000:]}"
    assert ran.stdout.count(" 0 finds") == len(TARGETS)


def test_parts_of_a_campaign_make_a_whole() -> None:
    assert sum(target.share for target in TARGETS.values()) == SHARES


def broken_on(word: bytes) -> Target:
    """Return a target whose parser fails on inputs with this word."""

    def check(records: Sequence[bytes]) -> None:
        for record in records:
            if word in record:
                raise KeyError("the word")

    seeds = [b"one two", b"three four five"]
    mutator = Mutator(TEXT_TOKEN, ODD_NUMBERS, (word, b"six"))
    return Target("broken", "a text", lambda: check, lambda: seeds, mutator, 1, batch=32)


def test_what_breaks_is_found_once_and_told_by_the_one_input_it_needs() -> None:
    runner = explored(broken_on(b"bomb"), seed=1, inputs=3_000)

    (find,) = runner.finds.values()
    assert find.kind == "KeyError"
    assert len(find.records) == 1
    assert "bomb" in find.records[0]
    assert not find.needs_state
    assert runner.inputs >= 3_000


def test_same_seed_gives_the_same_inputs() -> None:
    seen: list[list[bytes]] = []

    def check(records: Sequence[bytes]) -> None:
        seen.append(list(records))

    target = TARGETS["kraken_frames"]
    again = Target(
        "again", "a frame", lambda: check, lambda: target.seeds()[:50], target.mutator, 1
    )
    explored(again, seed=5, inputs=1_000)
    first = seen.copy()
    seen.clear()
    explored(again, seed=5, inputs=1_000)

    assert seen == first


@pytest.mark.parametrize(("limit", "kind"), [("SECONDS", "TooSlow"), ("BYTES", "TooLarge")])
def test_batch_that_takes_too_much_is_found(
    limit: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, f"BATCH_{limit}_MAX", -1)
    monkeypatch.setattr(running, "WARM_INPUTS", 0)
    runner = Runner(broken_on(b"bomb"))

    runner.run([b"good"])

    assert [find.kind for find in runner.finds.values()] == [f"{kind}Error"]


def test_batches_survive_their_packing() -> None:
    records = [b"", b"a", b"\x00" * 300]

    assert unpack(pack(records)) == records
    assert unpack(b"\xff\xff\xff" + b"abc") == [b"abc"]
    assert unpack(b"\x01") == [b""]
