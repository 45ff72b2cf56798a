"""Fuzzing under atheris (libFuzzer): batches that reach new branches are kept and spoiled again.

One target a process: `python -m tests.fuzz.guided TARGET --inputs N --seed S --out FOLDER`.
"""

import importlib
import os
import sys
import tempfile
import time
from pathlib import Path
from random import Random

import atheris

# Instrumented before anything imports them; numba cannot compile what is.
_COMPILED = (
    "agents.venues.decimals",
    "agents.venues.numbering",
    "agents.market.order_book",
    "agents.market.window_kernels",
    "headrace.memory",
    "headrace.avro.read_kernel",
    "headrace.avro.varints",
    "headrace.avro.write_kernel",
)
with atheris.instrument_imports(
    include=["agents", "feeds", "headrace", "schemas"], exclude=list(_COMPILED)
):
    TARGETS = importlib.import_module("tests.fuzz.catalog").TARGETS

from tests.fuzz.framing import pack, unpack  # noqa: E402
from tests.fuzz.reporting import arguments, write_report  # noqa: E402
from tests.fuzz.target import HANG_SECONDS, Runner, Target  # noqa: E402

CORPUS_BATCHES = 32
"""Batches of seeds to begin with."""

BATCH_BYTES_MAX = 8 * 2**20


def main() -> None:
    """Fuzz one target; writes `TARGET.json` with what came of it."""
    chosen = arguments(__doc__)
    _fuzz(TARGETS[chosen.target], chosen.inputs, chosen.seed, chosen.out)


def _fuzz(target: Target, inputs: int, seed: int, out: Path) -> None:
    seeds = target.seeds()
    runner = Runner(target, folder=out / "finds")
    runner.run(list(seeds)[: target.batch])  # compiles what is compiled, before the clock runs
    started_s = time.monotonic()

    def run(data: bytes) -> None:
        records = unpack(data)
        if records:
            runner.run(records)
        if runner.inputs >= inputs or runner.is_finished:
            write_report(runner, "guided", seed, time.monotonic() - started_s, out)
            os._exit(0)  # libFuzzer has no other way to end well

    def spoil(data: bytes, size_max: int, draw: int) -> bytes:
        records = unpack(data)
        random = Random(draw)  # noqa: S311  (reproducible, not secret)
        spoiled = target.mutator.batch(random, records, seeds, target.batch)
        while len(packed := pack(spoiled)) > size_max and len(spoiled) > 1:
            spoiled = spoiled[: len(spoiled) // 2]
        return packed[:size_max]

    corpus = _corpus(target, seed)
    flags = (
        f"-seed={seed}", "-len_control=0", f"-max_len={BATCH_BYTES_MAX}", "-verbosity=0",
        f"-timeout={HANG_SECONDS}", "-rss_limit_mb=4096", f"-artifact_prefix={out}/",
        "-print_final_stats=1",
    )  # fmt: skip
    atheris.Setup([sys.argv[0], *flags, str(corpus)], run, custom_mutator=spoil)
    atheris.Fuzz()


def _corpus(target: Target, seed: int) -> Path:
    """Return a folder of batches made of the seeds, in order and shuffled."""
    folder = Path(tempfile.mkdtemp(prefix="headrace-fuzz-"))
    seeds = list(target.seeds())
    random = Random(seed)  # noqa: S311
    for index in range(CORPUS_BATCHES):
        at = int(random.random() * len(seeds))
        batch = (seeds[at:] + seeds)[: target.batch]
        (folder / f"{index:03}").write_bytes(pack(batch)[:BATCH_BYTES_MAX])
    return folder


if __name__ == "__main__":
    main()
