"""Kafka Streams as a way through the topics: its processes, started and ended as the bench says."""

import os
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.throughput.java import java_command

COMMIT_MS = 100
"""Between commits, in both guarantees: its default exactly once, and our interval."""

READY = "streams: running"
READY_S_MAX = 120.0
READY_POLL_S = 0.1
STOP_S_MAX = 20.0
WORDS_MAX = 500


@dataclass(frozen=True, slots=True)
class Relay:
    """One way of Kafka Streams through the topics of the bench.

    `run` is its name: each run is an application of its own, which begins at the topics' ends.
    """

    bootstrap: str
    hops: Sequence[str]
    schema_id: int
    class_path: str
    home: Path
    run: str
    is_split: bool
    is_exact: bool

    def environment(self) -> dict[str, str]:
        """Return what its process is told."""
        return {
            "BENCH_KAFKA": self.bootstrap,
            "BENCH_GROUP": self.run,
            "BENCH_STATE": str(self.home / self.run),
            "BENCH_HOPS": ",".join(self.hops),
            "BENCH_SCHEMA_ID": str(self.schema_id),
            "BENCH_SPLIT": "yes" if self.is_split else "no",
            "BENCH_GUARANTEE": "exactly_once" if self.is_exact else "at_least_once",
            "BENCH_COMMIT_INTERVAL_MS": str(COMMIT_MS),
        }

    @contextmanager
    def running(self) -> Iterator[subprocess.Popen[bytes]]:
        """Run it for as long as the context lasts, which begins when its tasks are at work.

        Raises:  ChildProcessError if it ended before; TimeoutError if it did not get to work.
        """
        log = self.home / f"{self.run}.log"
        with log.open("wb") as output:
            child = subprocess.Popen(
                java_command(self.class_path, "Relay"),
                env={**os.environ, **self.environment()},
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        try:
            self._wait_until_ready(child, log)
            yield child
            self._require_alive(child, log)
        finally:
            child.terminate()
            try:
                child.wait(STOP_S_MAX)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()

    def _wait_until_ready(self, child: subprocess.Popen[bytes], log: Path) -> None:
        deadline = time.monotonic() + READY_S_MAX
        while READY not in log.read_text():
            self._require_alive(child, log)
            if time.monotonic() > deadline:
                raise TimeoutError(
                    f"{self.run}: expected it at work within {READY_S_MAX:g} s, found it is not; "
                    f"its last words: {log.read_text()[-WORDS_MAX:]}"
                )
            time.sleep(READY_POLL_S)

    def _require_alive(self, child: subprocess.Popen[bytes], log: Path) -> None:
        if child.poll() is not None:
            raise ChildProcessError(
                f"{self.run}: expected it to run until it is ended, found exit code "
                f"{child.returncode}; its last words: {log.read_text()[-WORDS_MAX:]}"
            )
