"""What a fuzz target is, and the running of its batches: what they raise, take and hold."""

import json
import resource
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tests.fuzz.framing import pack
from tests.fuzz.mutation import Mutator

ROOT = Path(__file__).resolve().parents[2]

Check = Callable[[Sequence[bytes]], None]
"""Gives a batch of inputs to a parser; raises only where parser or invariant is broken."""

BATCH_SECONDS_MAX = 2.0
"""CPU time of a batch: a worker's poll brings 8,192 records, and none may cost as much as a
million of the others."""

HANG_SECONDS = 120
"""A batch still running after this ends the process, and the campaign counts that as a find."""

BATCH_BYTES_MAX = 512 * 2**20
"""By how much a batch may raise the process's peak memory: the largest inputs here have a few MB,
zstd's window has 128 MiB, and what is made of one input is bounded in `feeds/limits.py`."""

WARM_INPUTS = 1_000
"""Inputs at the beginning whose time and memory are not judged: compiled loops are made there."""

RECORDS_SHOWN_MAX = 3

REDUCING_SECONDS_MAX = 20.0
"""CPU time for making a find small: one that is slow is tried slowly."""

FINDS_MAX = 40
"""Distinct finds of a target after which it gives up."""


@dataclass(frozen=True)
class Target:
    """One parser, or several that are fed alike.

    `open` returns a fresh check with a state of its own, which it keeps between batches.
    `share` is the target's part of a campaign, of 100,000; `batch` how many inputs go in at once.
    """

    name: str
    an_input: str
    open: Callable[[], Check]
    seeds: Callable[[], Sequence[bytes]]
    mutator: Mutator
    share: int
    batch: int = 256


@dataclass
class Find:
    """Something a parser must not do, and the smallest batch found that makes it do so."""

    kind: str
    place: str
    text: str
    records: list[str]
    needs_state: bool


class BrokenInvariantError(AssertionError):
    """A parser accepted, or made, what cannot be."""


class TooSlowError(Exception):
    """A batch took more CPU time than any may."""


class TooLargeError(Exception):
    """A batch took more memory than any may."""


def require(holds: object, text: str) -> None:
    """Raise BrokenInvariantError unless it holds."""
    if not holds:
        raise BrokenInvariantError(text)


@dataclass
class Runner:
    """Runs a target's batches, keeping what they broke."""

    target: Target
    inputs: int = 0
    finds: dict[str, Find] = field(default_factory=dict)
    folder: Path | None = None

    def __post_init__(self) -> None:
        self._check = self.target.open()

    def run(self, records: Sequence[bytes]) -> None:
        """Run one batch; whatever it raises is a find, after which the state is a fresh one."""
        error = self._error_of(self._check, records)
        if isinstance(error, TooSlowError | TooLargeError) and self.inputs < WARM_INPUTS:
            error = None  # numba compiles, caches fill
        self.inputs += len(records)
        if error is not None:
            self._add(error, records)
            self._check = self.target.open()

    @property
    def is_finished(self) -> bool:
        """Tell whether so much is broken that going on says nothing new."""
        return len(self.finds) >= FINDS_MAX

    def _error_of(self, check: Check, records: Sequence[bytes]) -> BaseException | None:
        started_s, peak = time.process_time(), peak_bytes()
        try:
            check(records)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # noqa: BLE001  (a panic of Rust is no Exception)
            return error
        seconds, grown = time.process_time() - started_s, peak_bytes() - peak
        if seconds > BATCH_SECONDS_MAX:
            return TooSlowError(f"{seconds:.1f} s for {len(records)} inputs")
        if grown > BATCH_BYTES_MAX:
            return TooLargeError(f"{grown:,} bytes for {len(records)} inputs")
        return None

    def _add(self, error: BaseException, records: Sequence[bytes]) -> None:
        place = _place(error)
        key = f"{type(error).__name__} {place}"
        if key in self.finds:
            return
        small, needs_state = self._reduced(error, list(records))
        find = Find(
            type(error).__name__,
            place,
            str(error)[:500],
            [repr(record[:400]) for record in small[:RECORDS_SHOWN_MAX]],
            needs_state,
        )
        self.finds[key] = find
        if self.folder is not None:
            self.folder.mkdir(parents=True, exist_ok=True)
            stem = f"{self.target.name}-{len(self.finds)}"
            (self.folder / f"{stem}.batch").write_bytes(pack(small))
            trace = "".join(traceback.format_exception(error))
            told = json.dumps(asdict(find), indent=1)
            (self.folder / f"{stem}.txt").write_text(f"{told}\n{trace[-6_000:]}")

    def _reduced(self, error: BaseException, records: list[bytes]) -> tuple[list[bytes], bool]:
        """Return the fewest of these records that still break a fresh state alike."""

        def breaks(some: list[bytes]) -> bool:
            found = self._error_of(self.target.open(), some)
            return type(found) is type(error) and found is not None and _place(found) == place

        place = _place(error)
        if not breaks(records):
            return records, True
        part, started_s = len(records) // 2, time.process_time()
        while part and time.process_time() - started_s < REDUCING_SECONDS_MAX:
            at = 0
            while at < len(records):
                rest = records[:at] + records[at + part :]
                if rest and breaks(rest):
                    records = rest
                else:
                    at += part
            part //= 2
        return records, False


def peak_bytes() -> int:
    """Return the most memory this process has held so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _place(error: BaseException) -> str:
    """Return the innermost line of ours that an error came through."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [f for f in frames if f.filename.startswith(str(ROOT)) and ".venv" not in f.filename]
    if not ours:
        return "nowhere"
    return f"{Path(ours[-1].filename).relative_to(ROOT)}:{ours[-1].lineno} {ours[-1].name}"
